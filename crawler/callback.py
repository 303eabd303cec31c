"""Private messages that Weibo posts to us as they come (粉丝服务平台, developer mode).

Form: open.weibo.com wiki, Messages_api_start, 接收普通消息, 接收事件推送. The platform first sends
a GET with `signature`, `timestamp`, `nonce` and `echostr`, and wants the last one back; then each
message is a POST of JSON with the first three in its address. The signature is SHA-1 over the app's
secret, the timestamp and the nonce, sorted and joined. It does not cover the message, so whoever
saw one address could send other words with it: an address is good for ten minutes, for one message
(the platform's own repetition of the same words is answered and changes nothing), and not from
before this process began.

The platform waits five seconds, tries three times, and gives up: what it sent while nobody listened
is lost. That time is a visible gap of the source `source:weibo-messages`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from archive.base import Archive
from crawler.accounts import AccountBook
from crawler.build import Builder
from crawler.privacy import Identity
from huiyin.clock import Clock
from huiyin.errors import ArchiveError, Conflict
from huiyin.records import Gap, Kind, Post, Scope, Source

log = structlog.get_logger("crawler")
EVERYTHING = Scope.everything()
PATH = "/weibo"
SOURCE = "source:weibo-messages"
LARGEST_BODY = 64 << 10
GOOD_FOR = timedelta(minutes=10)
BEAT = timedelta(minutes=1)
"""How often it is written down that somebody listens."""
MESSAGES = ("text", "position", "voice", "image")
"""Kinds that are messages of a person. Others (follows, menus, mentions) are acknowledged only."""


class Refused(Exception):
    """A call that is not the platform's, or not for the first time. Its text is for the log."""


class Callback:
    """What the route does, without the web around it."""

    def __init__(
        self, archive: Archive, identity: Identity, accounts: Callable[[], AccountBook],
        office: str, secret: str, clock: Clock,
    ) -> None:  # fmt: skip
        self.archive, self.identity, self.accounts = archive, identity, accounts
        self.office, self.clock = office, clock
        self._secret = secret
        self._began = clock()
        self._used: dict[tuple[str, str], tuple[datetime, str]] = {}
        """(timestamp, nonce) -> when, digest of the message it came with."""
        self._lost_since: datetime | None = None

    def check(self, query: Mapping[str, str]) -> None:
        """Raise `Refused` for a signature that is wrong or too old."""
        stamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        parts = sorted([self._secret, stamp, nonce])
        right = hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()
        told = query.get("signature", "").lower()
        if not self._secret or not hmac.compare_digest(right.encode(), told.encode("utf-8")):
            raise Refused("signature")
        at, now = _time(stamp), self.clock()
        if abs(now - at) > GOOD_FOR or at < self._began - timedelta(seconds=15):
            raise Refused("too old")

    def take(self, query: Mapping[str, str], body: bytes) -> str:
        """Store a message; returns its post's id, "" for what is none or was here before.

        Raises `Refused`, `ArchiveError`, `ValueError` for what is no message.
        """
        self.check(query)
        now, digest = self.clock(), hashlib.sha256(body).hexdigest()
        self._used = {key: one for key, one in self._used.items() if now - one[0] < 2 * GOOD_FOR}
        key = (query["timestamp"], query["nonce"])
        if self._used.get(key, (now, digest))[1] != digest:
            raise Refused("used before with other words")
        post = self._post(body, now)
        if post is not None and key not in self._used:
            try:
                self.archive.put_posts([post])
            except ArchiveError:
                self._lost_since = self._lost_since or now
                raise
        self._used[key] = (now, digest)
        return post.id if post is not None else ""

    def _post(self, body: bytes, now: datetime) -> Post | None:
        told: Any = json.loads(body)
        if not isinstance(told, Mapping):
            raise ValueError("no object")
        kind = told.get("type")
        if kind not in MESSAGES:
            return None
        sender, text = str(told["sender_id"]), str(told.get("text") or "")
        book, said = self.accounts(), str(told.get("created_at") or "")
        account = book.find("weibo", str(told.get("receiver_id") or ""), None)
        build = Builder(
            identity=self.identity, accounts=book, office=account.id if account else self.office,
            spider="weibo_messages", at=now, now=now, always=True,
        )  # fmt: skip
        # messages have no number: sender, time and words are the platform's own advice
        mark = self.identity.author_key("weibo-message", f"{sender}\n{said}\n{kind}\n{text}")
        return build.post(
            platform="weibo", native=f"m{mark}", text=text, kind=Kind.MESSAGE, uid=sender,
            created_at=build.time(said) if said else now, pictures=int(kind == "image"),
            belongs=(account.id,) if account else (),
        )  # fmt: skip

    # ------------------------------------------------------------ what was not heard

    def listen(self) -> None:
        """Write down that somebody listens; the time since the last word is a gap. Call it at the

        start and every minute. Raises `ArchiveError`.
        """
        now, office = self.clock(), self.office
        fresh = Source(
            id=SOURCE, spider="weibo_messages", account=office, offices=(office,), state="ok",
            every_seconds=1.0, covered_since=now, last_ok_at=now, tried_at=now,
        )  # fmt: skip
        try:
            self.archive.create(fresh)
        except Conflict:
            self.archive.change(Source, SOURCE, EVERYTHING, lambda one: self._heard(one, now))
        self._lost_since = None

    def _heard(self, one: Source, now: datetime) -> Source:
        gaps, last = one.gaps, one.last_ok_at or now
        since = min(self._lost_since or now, last if now - last > 3 * BEAT else now)
        if since < now:
            why = "档案存不进" if self._lost_since else "接收私信的进程没有开着"
            reason = f"{why}，平台重试三次就不再发，这段时间的私信没有收到"
            gaps = (*gaps, Gap(starts_at=since, ends_at=now, reason=reason, state="cut_off"))[-200:]
        return one.model_copy(update={
            "gaps": gaps, "last_ok_at": now, "tried_at": now, "state": "ok", "reason": "",
        })  # fmt: skip


def _time(stamp: str) -> datetime:
    """Of milliseconds, as in the platform's example, or seconds."""
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 13:
        raise Refused("timestamp")
    number = int(stamp)
    return datetime.fromtimestamp(number / 1000 if len(stamp) > 11 else number, UTC)


def route_of(callback: Callback) -> Route:
    """The address `/weibo`, beside the public form."""

    async def answer(request: Request) -> Response:
        query = dict(request.query_params)
        try:
            if request.method == "GET":
                callback.check(query)
                return PlainTextResponse(query.get("echostr", ""))
            size = request.headers.get("content-length", "")
            if not size.isdigit() or int(size) > LARGEST_BODY:
                return PlainTextResponse("", 413)
            await run_in_threadpool(callback.take, query, await request.body())
        except Refused as error:
            log.warning("message refused", reason=str(error))
            return PlainTextResponse("", 403)
        except ArchiveError as error:
            log.error("message not stored", error=str(error))
            return PlainTextResponse("", 503)  # anything but 200: the platform sends it again
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            log.warning("message not understood", error=type(error).__name__)
            return PlainTextResponse("", 400)
        return PlainTextResponse("")  # empty: nothing is answered by itself

    return Route(PATH, answer, methods=["GET", "POST"])
