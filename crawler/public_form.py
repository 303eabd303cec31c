"""A small public form that people reach by a QR code: no login, a telephone number only if wished.

Its own process, so that a flood of visitors stops nothing else. Whoever writes gets a case number
and a code, and can read the answer with them; of the code only a keyed digest is kept. Names and
numbers in the text are masked before anything is written. A number in the field for it is sealed
(huiyin/contacts.py): this process has the key that closes and none that opens. The pages are in
crawler/form_pages.py.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from archive.base import Archive
from crawler.accounts import AccountBook
from crawler.build import Builder
from crawler.privacy import Identity
from crawler.values import CHINA
from huiyin.clock import Clock
from huiyin.records import Account, Case, Draft, DraftState, Kind, Post, Scope, Setting

if TYPE_CHECKING:
    from huiyin.contacts import Sealer

EVERYTHING = Scope.everything()
SHORTEST, LONGEST = 4, 2000
_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


class Form:
    """What the form does, without the web around it."""

    def __init__(
        self, archive: Archive, identity: Identity, accounts: Callable[[], AccountBook],
        office: str, clock: Clock, sealer: Sealer | None = None,
    ) -> None:  # fmt: skip
        self.archive = archive
        self.sealer = sealer
        self.identity = identity
        self.accounts = accounts
        self.office = office
        self.clock = clock

    def halls(self) -> Mapping[str, str]:
        """Account id -> name, of the accounts that a form may be for."""
        return {one.id: one.name for one in self.accounts().accounts.values()}

    def take(self, text: str, hall: str, phone: str = "") -> tuple[str, str]:
        """Store a message; returns its case number and code. Raises `ArchiveError`, `InputError`

        for a number that is none.
        """
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
        if phone and self.sealer is not None:  # before the message: it may not lack its number
            self.archive.create(self.sealer.seal(phone, post, now))
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
        "<p>扫一扫，写下您的问题。不用登录，凭编号看答复。</p>"
        f"<p style='font-size:14px'>{html.escape(address)}</p></body></html>"
    )
