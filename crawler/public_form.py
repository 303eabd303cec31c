"""A small public form that people reach by a QR code: no login, no contact details.

Its own process, so that a flood of visitors stops nothing else. Whoever writes gets a case number
and a code, and can read the answer with them; of the code only a keyed digest is kept. Names and
numbers in the text are masked before anything is written. There is no field for a telephone number:
without sealed storage nobody here could keep one. Network addresses stay in memory, hashed with a
secret of the process, for an hour, to count by.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from archive.base import Archive
from crawler.accounts import AccountBook
from crawler.build import Builder
from crawler.privacy import Identity
from crawler.values import CHINA
from huiyin.clock import Clock
from huiyin.errors import ArchiveError
from huiyin.records import Account, Case, Draft, DraftState, Kind, Post, Scope, Setting

EVERYTHING = Scope.everything()
SHORTEST, LONGEST = 4, 2000
LARGEST_BODY = 64 << 10
_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_HOUR = timedelta(hours=1)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}  # fmt: skip


@dataclass
class Limit:
    """Counts acts of the last hour, in all and by key."""

    total: int
    each: int
    _times: deque[tuple[datetime, str]] = field(default_factory=deque)

    def allows(self, key: str, now: datetime) -> bool:
        """True when one more may be done; it counts then."""
        while self._times and now - self._times[0][0] >= _HOUR:
            self._times.popleft()
        of_key = sum(1 for _, one in self._times if one == key)
        if len(self._times) >= self.total or of_key >= self.each:
            return False
        self._times.append((now, key))
        return True


class Form:
    """What the form does, without the web around it."""

    def __init__(
        self, archive: Archive, identity: Identity, accounts: Callable[[], AccountBook],
        office: str, clock: Clock,
    ) -> None:  # fmt: skip
        self.archive = archive
        self.identity = identity
        self.accounts = accounts
        self.office = office
        self.clock = clock

    def halls(self) -> Mapping[str, str]:
        """Account id -> name, of the accounts that a form may be for."""
        return {one.id: one.name for one in self.accounts().accounts.values()}

    def take(self, text: str, hall: str) -> tuple[str, str]:
        """Store a message; returns its case number and code. Raises `ArchiveError`."""
        now, book = self.clock(), self.accounts()
        account: Account | None = book.accounts.get(hall)
        number = f"{now.astimezone(CHINA):%y%m%d}-{_random(6)}"
        code = _random(8)
        build = Builder(
            identity=self.identity, accounts=book, office=account.id if account else self.office,
            spider="form", at=now, now=now, always=True,
        )  # fmt: skip
        post = build.post(
            platform="form", native=number, text=text, created_at=now, kind=Kind.MESSAGE,
            belongs=account.offices if account else (), query=account.id if account else "",
        )  # fmt: skip
        self.archive.create(
            Setting(id=f"form:{number}", value=json.dumps({"code": self._digest(number, code)}))
        )
        self.archive.put_posts([post])
        return number, code

    def standing(self, number: str, code: str) -> tuple[str, str] | None:
        """(what has become of it, the published answer or ""), None for a wrong number or code."""
        kept = self.archive.get(Setting, f"form:{number}", EVERYTHING)
        told = json.loads(kept.record.value)["code"] if kept else "-"
        if not hmac.compare_digest(told, self._digest(number, code)):
            return None
        post_id = f"form:{number}"
        answer = self._answer(post_id)
        if answer is not None:
            return "已答复", answer.text
        cases = self.archive.records(Case, EVERYTHING, ref=post_id, limit=10)
        if cases and cases[-1].record.state.value == "closed":
            return "已办结", ""
        return ("正在办理" if cases else "已收到"), ""

    def _answer(self, post_id: str) -> Post | Draft | None:
        for one in self.archive.thread(post_id, EVERYTHING):
            if one.parent == post_id and one.kind is Kind.NOTICE:
                return one
        for case in self.archive.records(Case, EVERYTHING, ref=post_id, limit=10):
            for draft in self.archive.records(Draft, EVERYTHING, ref=case.record.id, limit=20):
                if draft.record.state is DraftState.PUBLISHED:
                    return draft.record
        return None

    def _digest(self, number: str, code: str) -> str:
        return hmac.new(
            self.identity.secret, f"form {number} {code}".encode(), hashlib.sha256
        ).hexdigest()


def _random(size: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(size))


# ---------------------------------------------------------------- the web around it


def web_app(form: Form, *, title: str, per_hour: int, per_address: int) -> Starlette:
    """The pages: `/?h=ACCOUNT` the form, `/q` what has become of a message."""
    salt = secrets.token_bytes(16)
    written, asked = Limit(per_hour, per_address), Limit(per_hour * 20, per_address * 10)

    def who(request: Request) -> str:
        host = request.client.host if request.client else ""
        return hashlib.blake2b(host.encode(), key=salt, digest_size=8).hexdigest()

    def page(body: str, status: int = 200) -> Response:
        return HTMLResponse(_PAGE.format(title=html.escape(title), body=body), status, _HEADERS)

    async def fields(request: Request) -> Mapping[str, Any] | None:
        size = request.headers.get("content-length", "")
        if not size.isdigit() or int(size) > LARGEST_BODY:
            return None
        kind = request.headers.get("content-type", "")
        if not kind.startswith("application/x-www-form-urlencoded"):
            return None
        return {
            key: value for key, value in (await request.form()).items() if isinstance(value, str)
        }

    async def show(request: Request) -> Response:
        halls = await run_in_threadpool(form.halls)
        hall = request.query_params.get("h", "")
        return page(_form(halls.get(hall, ""), hall if hall in halls else ""))

    async def send(request: Request) -> Response:
        told = await fields(request)
        if told is None:
            return page(_note("内容太大，或不是从表单来的。"), 413)
        text, hall = told.get("text", "").strip(), told.get("hall", "")
        if told.get("website"):  # a field that people do not see
            return page(_note("已收到。"))
        if not SHORTEST <= len(text) <= LONGEST:
            return page(_note(f"请写 {SHORTEST} 到 {LONGEST} 个字。"), 400)
        if not written.allows(who(request), form.clock()):
            return page(
                _note("现在留言的人太多，请过一会儿再来；紧急情况请打 110、119、120。"), 429
            )
        try:
            number, code = await run_in_threadpool(form.take, text, hall)
        except ArchiveError:
            return page(_note("现在存不进，您的留言没有收到。请过一会儿再试，或打 12345。"), 503)
        return page(_RECEIPT.format(number=number, code=code))

    async def ask(request: Request) -> Response:
        if request.method == "GET":
            return page(_ASK)
        told = await fields(request) or {}
        if not asked.allows(who(request), form.clock()):
            return page(_note("查得太频繁，请过一会儿再来。"), 429)
        number, code = (str(told.get(one, "")).strip().upper() for one in ("number", "code"))
        try:
            found = await run_in_threadpool(form.standing, number, code)
        except ArchiveError:
            return page(_note("现在查不了，请过一会儿再试。"), 503)
        if found is None:
            return page(_note("编号或查询码不对。") + _ASK, 404)
        answer = f"<p class=a>{html.escape(found[1])}</p>" if found[1] else ""
        return page(f"<h2>{html.escape(number)}：{found[0]}</h2>{answer}")

    return Starlette(
        routes=[
            Route("/", show, methods=["GET"]), Route("/", send, methods=["POST"]),
            Route("/q", ask, methods=["GET", "POST"]),
        ]
    )  # fmt: skip


def _note(text: str) -> str:
    return f"<p class=n>{html.escape(text)}</p>"


def _form(name: str, hall: str) -> str:
    head = f"<h2>给{html.escape(name)}留言</h2>" if name else "<h2>留言</h2>"
    return head + _FORM.format(hall=html.escape(hall, quote=True), most=LONGEST)


_PAGE = """<!doctype html><html lang="zh-CN"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>body{{font:18px/1.6 sans-serif;max-width:36em;margin:0 auto;padding:1em}}
textarea,input{{font:inherit;width:100%;box-sizing:border-box}}textarea{{height:12em}}
button{{font:inherit;padding:.5em 2em;margin-top:1em}}.w{{position:absolute;left:-99em}}
.n{{background:#fff3cd;padding:.6em}}.a{{white-space:pre-wrap;background:#eef;padding:.6em}}
b{{font-size:1.3em;letter-spacing:.05em}}</style><h1>{title}</h1>{body}
<p><a href="/q">查我的留言</a></p></html>"""
_FORM = """<form method="post" action="/"><input type="hidden" name="hall" value="{hall}">
<label>什么事、在哪里、什么时候（最多 {most} 字）<textarea name="text" required></textarea></label>
<input class="w" name="website" tabindex="-1" autocomplete="off">
<p class="n">请不要写姓名、电话、身份证号：写了也会被遮掉，我们看不到，也无法给您打电话。
交上后会给您编号和查询码，凭它们在这里看答复。有危险请直接打 110、119、120。</p>
<button>交上</button></form>"""
_RECEIPT = """<h2>已收到</h2><p>编号 <b>{number}</b></p><p>查询码 <b>{code}</b></p>
<p class="n">请现在记下或截图：查询码我们也找不回来。凭这两个在“查我的留言”里看答复。</p>"""
_ASK = """<form method="post" action="/q">
<label>编号<input name="number" autocomplete="off"></label>
<label>查询码<input name="code" autocomplete="off"></label><button>查</button></form>"""


def poster(url: str, hall: str, name: str, title: str) -> str:
    """A page to print, with the QR code of a hall's form."""
    from urllib.parse import quote

    import segno

    address = f"{url}/?h={quote(hall, safe='')}" if hall else f"{url}/"
    code = segno.make(address, error="m").svg_inline(scale=8, border=2)
    return (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8">'
        f"<title>{html.escape(name)}</title>"
        '<body style="font:20px sans-serif;text-align:center;padding:3em">'
        f"<h1>{html.escape(title)}</h1><h2>{html.escape(name)}</h2>{code}"
        "<p>扫一扫，写下您的问题。不用登录，不留电话，凭编号看答复。</p>"
        f"<p style='font-size:14px'>{html.escape(address)}</p></body></html>"
    )
