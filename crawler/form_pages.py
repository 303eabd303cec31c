"""The public form's pages: a form, a receipt, what has become of a message.

Network addresses stay in memory, hashed with a secret of the process, for an hour, to count by.
"""

from __future__ import annotations

import hashlib
import html
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from crawler.public_form import LONGEST, SHORTEST, Form
from huiyin.errors import ArchiveError, InputError

LARGEST_BODY = 64 << 10
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


class Pages:
    """Answers of the form: `/?h=ACCOUNT` the form, `/q` what has become of a message."""

    def __init__(self, form: Form, *, title: str, per_hour: int, per_address: int) -> None:
        self._form, self._title = form, title
        self._salt = secrets.token_bytes(16)
        self._written = Limit(per_hour, per_address)
        self._asked = Limit(per_hour * 20, per_address * 10)

    def routes(self) -> list[BaseRoute]:
        """The addresses that are answered."""
        return [
            Route("/", self.show, methods=["GET"]), Route("/", self.send, methods=["POST"]),
            Route("/q", self.ask, methods=["GET", "POST"]),
        ]  # fmt: skip

    async def show(self, request: Request) -> Response:
        """The empty form, for the hall whose code was scanned."""
        halls = await run_in_threadpool(self._form.halls)
        hall = request.query_params.get("h", "")
        known = hall if hall in halls else ""
        return self._page(_form(halls.get(hall, ""), known, self._form.sealer is not None))

    async def send(self, request: Request) -> Response:
        """Take a message."""
        told = await _fields(request)
        if told is None:
            return self._page(_note("内容太大，或不是从表单来的。"), 413)
        text, hall = told.get("text", "").strip(), told.get("hall", "")
        if told.get("website"):  # a field that people do not see
            return self._page(_note("已收到。"))
        if not SHORTEST <= len(text) <= LONGEST:
            return self._page(_note(f"请写 {SHORTEST} 到 {LONGEST} 个字。"), 400)
        if not self._written.allows(self._who(request), self._form.clock()):
            return self._page(
                _note("现在留言的人太多，请过一会儿再来；紧急情况请打 110、119、120。"), 429
            )
        phone = told.get("phone", "").strip()
        try:
            number, code = await run_in_threadpool(self._form.take, text, hall, phone)
        except InputError as error:
            return self._page(_note(f"{error.message}。请返回{error.mend}。"), 400)
        except ArchiveError:
            failed = "现在存不进，您的留言没有收到。请过一会儿再试，或打 12345。"
            return self._page(_note(failed), 503)
        return self._page(_RECEIPT.format(number=number, code=code))

    async def ask(self, request: Request) -> Response:
        """What has become of a message."""
        if request.method == "GET":
            return self._page(_ASK)
        told = await _fields(request) or {}
        if not self._asked.allows(self._who(request), self._form.clock()):
            return self._page(_note("查得太频繁，请过一会儿再来。"), 429)
        number, code = (str(told.get(one, "")).strip().upper() for one in ("number", "code"))
        try:
            found = await run_in_threadpool(self._form.standing, number, code)
        except ArchiveError:
            return self._page(_note("现在查不了，请过一会儿再试。"), 503)
        if found is None:
            return self._page(_note("编号或查询码不对。") + _ASK, 404)
        answer = f"<p class=a>{html.escape(found[1])}</p>" if found[1] else ""
        return self._page(f"<h2>{html.escape(number)}：{found[0]}</h2>{answer}")

    def _who(self, request: Request) -> str:
        host = request.client.host if request.client else ""
        return hashlib.blake2b(host.encode(), key=self._salt, digest_size=8).hexdigest()

    def _page(self, body: str, status: int = 200) -> Response:
        whole = _PAGE.format(title=html.escape(self._title), body=body)
        return HTMLResponse(whole, status, _HEADERS)


def web_app(
    form: Form, *, title: str, per_hour: int, per_address: int, more: Sequence[BaseRoute] = ()
) -> Starlette:
    """The form's pages, and `more` that is to be reached at the same address."""
    pages = Pages(form, title=title, per_hour=per_hour, per_address=per_address)
    return Starlette(routes=[*pages.routes(), *more])


async def _fields(request: Request) -> Mapping[str, str] | None:
    size = request.headers.get("content-length", "")
    if not size.isdigit() or int(size) > LARGEST_BODY:
        return None
    kind = request.headers.get("content-type", "")
    if not kind.startswith("application/x-www-form-urlencoded"):
        return None
    return {key: value for key, value in (await request.form()).items() if isinstance(value, str)}


def _note(text: str) -> str:
    return f"<p class=n>{html.escape(text)}</p>"


def _form(name: str, hall: str, sealed: bool) -> str:
    head = f"<h2>给{html.escape(name)}留言</h2>" if name else "<h2>留言</h2>"
    said = {"hall": html.escape(hall, quote=True), "most": LONGEST}
    return head + _FORM.format(**said, phone=_PHONE if sealed else "", never=_NEVER[sealed])


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
{phone}<p class="n">{never}
交上后会给您编号和查询码，凭它们在这里看答复。有危险请直接打 110、119、120。</p>
<button>交上</button></form>"""
_PHONE = """<label>电话（可以不留）<input name="phone" inputmode="tel" autocomplete="off"
maxlength="24"></label><p>只有办这件事的经办人能看到，每看一次都有记录，办结后销毁。</p>"""
_NEVER = {
    True: "正文里请不要写姓名、电话、身份证号：写了也会被遮掉，我们看不到。",
    False: "请不要写姓名、电话、身份证号：写了也会被遮掉，我们看不到，也无法给您打电话。",
}
_RECEIPT = """<h2>已收到</h2><p>编号 <b>{number}</b></p><p>查询码 <b>{code}</b></p>
<p class="n">请现在记下或截图：查询码我们也找不回来。凭这两个在“查我的留言”里看答复。</p>"""
_ASK = """<form method="post" action="/q">
<label>编号<input name="number" autocomplete="off"></label>
<label>查询码<input name="code" autocomplete="off"></label><button>查</button></form>"""
