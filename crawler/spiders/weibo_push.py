"""Weibo's commercial push stream: posts come as they are made, without polling.

Form: open.weibo.com wiki, commercial/push and its subscription guide. One GET stays open and sends
a record a line (JSON, CR LF): `{"id": DATA_ID, "text": {"type": "status", "event": "add",
"status": {...}}, "match_info": {...}}`. There is no token: the subscription (`subid`) and the
caller's address are registered with the platform. The platform ends the connection after five
minutes, or after five seconds in which nothing came; the next one names the last data id
(`since_id`) and brings what came since, up to three days back. An older or unknown id brings the
newest hundred, so what lies between was lost: a gap with a reason. Which words are subscribed is
set at the platform (`huiyin source preview --list NAME --push` writes them); a `watch` list here
only leaves out more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import structlog

from crawler.items import PageItem, RoundEnd
from crawler.rounds import Reading
from crawler.sources import PUSH
from crawler.spiders.base import PollingSpider, end
from crawler.spiders.weibo_search import words_of
from crawler.values import CHINA, parse_time
from crawler.watch_list import WatchList, list_of
from crawler.weibo_api import TryAgain, read_answer
from huiyin import __version__
from huiyin.errors import CollectError, LayoutChanged, SourceRefused
from huiyin.records import Gap, Source

if TYPE_CHECKING:
    from crawler.build import Builder
    from huiyin.records import Post

log = structlog.get_logger("crawler")
PATH = "/commercial/push"
IDLE_SECONDS = 30.0
"""The platform ends a connection after 5 s in which nothing came: so long means that it is dead."""
LONGEST_LINE = 4 << 20
"""Bytes of one record."""
KEPT = timedelta(hours=72)
"""Before today's midnight: how far back `since_id` reaches."""
BATCH, WAITING, UNSAVED = 200, 1000, 4
"""Records of one write; records that wait for one, and writes on their way, at most."""
_TICK = 0.05
_AGAIN, _SLOWEST = 1.0, 60.0
"""Seconds before a new connection: after an ordinary end, and after many that failed."""


@dataclass(eq=False)
class Listening(Reading):
    """One connection. Its numbers are data ids, which are not posts' numbers."""

    watch: WatchList | None = None
    last: int = 0
    """Newest data id that was handed on."""
    lines: int = 0
    bad: int = 0
    oldest: datetime | None = None
    heard: asyncio.Queue[tuple[int, Mapping[str, Any]]] = field(
        default_factory=lambda: asyncio.Queue(WAITING), repr=False
    )
    failed: CollectError | None = None
    """Why the connection ended; what came before is stored all the same."""
    ended: bool = False

    @property
    def query(self) -> str:
        """What posts tell that they were found by."""
        return f"push:{self.source.parameters.get('subid', '')}"

    @property
    def is_lost(self) -> bool:
        """True when the platform no longer keeps what came after the last data id."""
        last = self.source.last_ok_at
        midnight = self.started.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
        return bool(self.cursor) and last is not None and last < midnight - KEPT

    def oldest_time(self) -> datetime:
        """When the oldest record was made, as far as this connection told."""
        return self.oldest or self.started

    def take(self, line: bytes) -> tuple[int, Mapping[str, Any]] | None:
        """The data id and the post or comment of a line; None for what is neither.

        Raises `CollectError` when the line is the platform's refusal.
        """
        self.lines += 1
        try:
            record = json.loads(line)
            number, told = int(record["id"]), record["text"]
            item = told[told["type"]]
            if not isinstance(item, Mapping):
                raise TypeError
        except (ValueError, TypeError, KeyError) as error:
            if b'"error' in line[:2000]:
                refuse(line, 200, self.started)
            self.bad += 1
            log.warning("record not understood", source=self.source.id, error=type(error).__name__)
            if self.bad >= 20 and self.bad == self.lines:
                raise LayoutChanged(
                    "推送的记录变了样子，没有一条读得懂", "请报告给开发者"
                ) from error
            return None
        if told.get("event", "add") != "add":
            log.info("event not known", source=self.source.id)  # documented: add, no other
            return None
        try:
            made, _ = parse_time(item.get("created_at"), None)
            self.oldest = min(made, self.oldest or made)
        except ValueError:
            pass
        return number, item

    def posts(self, item: Any, build: Builder) -> Iterator[Post]:
        """The posts of a status or comment, unless the list leaves it out."""
        from crawler.payloads import comment_posts, is_comment, status_posts

        if self.watch is not None and not self.watch.caught_by(words_of(item)):
            return
        yield from (comment_posts if is_comment(item) else status_posts)(item, build)


def refuse(body: bytes, status: int, now: datetime) -> None:
    """Raise the `CollectError` that an answer stands for; returns when it is none."""
    if b"ip is limited" in body[:2000].lower():
        raise SourceRefused(
            "平台说这台机器的网络地址不在订阅登记的名单里", "请平台把出口地址加进该订阅的名单"
        )
    read_answer(body, status, now)


class WeiboPush(PollingSpider):
    """Listens to each subscription; a connection that ends is followed by the next one."""

    name = PUSH

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open: dict[str, tuple[Listening, asyncio.Task[None]]] = {}
        self._failed: dict[str, int] = {}
        self._next: dict[str, float] = {}
        """Source -> time of the loop before which it is left alone."""
        self._once_done: set[str] = set()

    async def start(self) -> AsyncIterator[Any]:
        """Yield records as they come, until told to stop; once: until each connection ended."""
        job, loop = self.job, asyncio.get_running_loop()
        async with httpx.AsyncClient(
            timeout=httpx.Timeout(IDLE_SECONDS, connect=15.0), follow_redirects=False,
            headers={"User-Agent": f"Huiyin/{__version__} (official API client)"},
        ) as client:  # fmt: skip
            while not job.stopping():
                mine = {one.id: one for one in job.of(self.name)}
                for source in mine.values():
                    if self._may_begin(source, loop.time()):
                        self._listen(source, client, loop)
                for one, task in list(self._open.values()):
                    if one.source.id not in mine:  # paused, or another host's now
                        task.cancel()
                        one.ended = True
                    for item in self._heard(one, task):
                        yield item
                if job.once and mine.keys() <= self._once_done:
                    break
                await asyncio.sleep(_TICK)
            for one, task in list(self._open.values()):
                task.cancel()
                yield self._end(one)  # what was stored counts; the next start goes on there

    def _may_begin(self, source: Source, now: float) -> bool:
        if source.id in self.job.reading or source.id in self._once_done:
            return False
        return now >= self._next.get(source.id, 0.0)

    def _listen(self, source: Source, client: httpx.AsyncClient, loop: Any) -> None:
        self.job.reading.add(source.id)
        one = Listening(self.job.fresh(source), self.job.clock())
        one.last = one.cursor
        self._open[source.id] = (one, loop.create_task(self._hear(one, client)))

    async def _hear(self, one: Listening, client: httpx.AsyncClient) -> None:
        """Put the records of a connection into its queue, until it ends."""
        try:
            one.watch = list_of(one.source.parameters, self.job.watch_lists)
            await self._stream(one, client)
        except CollectError as error:
            one.failed = error
        except httpx.HTTPError as error:
            # What came before a break is whole, and the next connection brings the rest: a break
            # is no trouble, unless nothing comes at all.
            if not one.lines:
                kind = type(error).__name__
                one.failed = CollectError(f"连不上推送（{kind}）", "检查网络；会自动再连")
        except Exception as error:  # noqa: BLE001 - a reading must never be lost
            log.error("stream not read", source=one.source.id, error=repr(error)[:200])
            one.failed = CollectError("推送没能读下去", "看日志 crawl.log；会自动再连")
        finally:
            one.ended = True

    async def _stream(self, one: Listening, client: httpx.AsyncClient) -> None:
        query = {"subid": one.source.parameters.get("subid", "")}
        if one.cursor:
            query["since_id"] = str(one.cursor)
        url = f"{self.job.weibo.commercial_url}{PATH}?{urlencode(query)}"
        rest = b""
        async with client.stream("GET", url) as answer:
            if answer.status_code != 200:
                body = (await answer.aread())[:20_000]
                refuse(body, answer.status_code, one.started)
                raise TryAgain(f"推送没有打开（HTTP {answer.status_code}）", "会自动再连")
            async for chunk in answer.aiter_bytes():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    await self._put(one, line)
                if len(rest) > LONGEST_LINE:
                    raise LayoutChanged("推送的一条记录大得不像话，没有读", "请报告给开发者")
                if one.error is not None or self.job.stopping():
                    return
        await self._put(one, rest)  # a whole answer's last line may lack its end

    @staticmethod
    async def _put(one: Listening, line: bytes) -> None:
        if line := line.strip():  # blank lines only keep the connection alive
            heard = one.take(line)
            if heard is not None:
                await one.heard.put(heard)

    def _heard(self, one: Listening, task: asyncio.Task[None]) -> Iterator[Any]:
        """What has come since the last look, in one page; the end when all of it was handed on."""
        while not one.heard.empty() and one.pages - one.stored < UNSAVED and one.error is None:
            batch = [one.heard.get_nowait() for _ in range(min(BATCH, one.heard.qsize()))]
            before, one.last = one.last, max(one.last, *(number for number, _ in batch))
            one.pages += 1
            one.read += len(batch)
            items = tuple(item for _, item in batch)
            covers = (before + 1 if before else 0, one.last)
            yield PageItem(one, items, self.job.clock(), covers)
        if one.error is None and not (one.ended and one.heard.empty()):
            return
        task.cancel()
        del self._open[one.source.id]
        one.error = one.error or one.failed
        yield self._end(one)

    @staticmethod
    def _end(one: Listening) -> RoundEnd:
        if one.error is not None:
            return end(one, one.error)
        if one.is_lost and one.source.last_ok_at is not None:
            one.gaps.append(
                Gap(starts_at=one.source.last_ok_at, ends_at=one.oldest_time(), state="cut_off",
                    reason="断开超过三天，平台不再补给，中间这一段没有读到")
            )  # fmt: skip
        return RoundEnd(one)

    def round_finished(self, one: Reading, source: Source) -> None:
        """Connect again: at once after an ordinary end, more and more slowly after failures."""
        self.job.reading.discard(source.id)
        failed = self._failed[source.id] = self._failed.get(source.id, 0) + 1 if one.error else 0
        pause = min(_SLOWEST, _AGAIN * 2 ** max(0, failed - 1))
        if isinstance(one.error, SourceRefused | LayoutChanged):
            pause = _SLOWEST  # a person has to act
        self._next[source.id] = asyncio.get_running_loop().time() + pause
        if self.job.once:
            self._once_done.add(source.id)
        if one.error is not None:
            log.warning("stream failed", source=source.id, state=source.state, reason=source.reason)
        elif one.fresh or one.gaps:
            log.info("stream read", source=source.id, read=one.read, new=one.fresh,
                     lost=bool(one.gaps))  # fmt: skip
