"""What the spiders of Weibo's interface share: the polling loop, budgets, requests, endings."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import scrapy
import structlog
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.http import Response

from crawler.budget import RESERVE, next_due, plan, purse_of, told_limit
from crawler.items import RoundEnd
from crawler.rounds import Reading
from crawler.weibo_api import RATE_PATH, TryAgain, read_answer
from huiyin.errors import (
    ArchiveError,
    CollectError,
    LayoutChanged,
    LoginExpired,
    QuotaExceeded,
    SourceBlocked,
    SourceRefused,
)
from huiyin.records import Source

if TYPE_CHECKING:
    from crawler.crawl import CrawlJob

log = structlog.get_logger("crawler")
_TICK = 0.05
_LATER = datetime.max.replace(tzinfo=UTC)
_SOON = datetime.min.replace(tzinfo=UTC)
_LIMITS_EVERY = timedelta(hours=1)
_BOOK_EVERY = timedelta(seconds=5)
_SLOWER = {
    SourceRefused: 10,
    SourceBlocked: 10,
    LayoutChanged: 4,
    LoginExpired: 4,
    QuotaExceeded: 4,
}
"""A person has to act; asking often would only annoy."""


class PollingSpider(scrapy.Spider):
    """Reads each of its sources when it is due, until the job ends.

    The polling loop is `start`. Pages go through the pipeline, which stores first and then moves
    the cursor; a kill in between reads the same pages again.
    """

    def __init__(self, job: CrawlJob, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job = job
        self._due: dict[str, datetime] = {}
        self._limits: dict[str, datetime] = {}
        """Purse -> when the platform was last asked for its limit."""
        self._asking: set[str] = set()
        self._booked = _SOON
        self._ready: deque[Reading] = deque()
        """Readings that were prepared in a thread and can begin."""

    # ------------------------------------------------------------ the loop

    async def start(self) -> AsyncIterator[Any]:
        """Yield what is due until told to stop; in a single round, until each was read once."""
        job = self.job
        while not job.stopping():
            now = job.clock()
            mine = job.of(self.name)
            for request in self._ask_limits(mine, now):
                yield request
            while self._ready:
                for one in self.next_request(self._ready.popleft()):
                    yield one
            for source in mine:
                if self._asking & {purse_of(source)} or not self._is_due(source, now):
                    continue
                self._due[source.id] = _LATER
                job.reading.add(source.id)
                for one in self._begin(job.fresh(source), now):
                    yield one
            if job.once and all(self._is_done(one) for one in mine):
                break
            if now - self._booked >= _BOOK_EVERY:
                self._booked = now
                job.budget.book()
            await asyncio.sleep(_TICK)
        job.budget.book()

    def _is_done(self, source: Source) -> bool:
        return self._due.get(source.id) == _LATER and source.id not in self.job.reading

    def _is_due(self, source: Source, now: datetime) -> bool:
        if source.id in self.job.reading:
            return False
        due = self._due.get(source.id)
        if due is None:
            last = max(source.tried_at or _SOON, source.last_ok_at or _SOON)
            at_once = self.job.once or last == _SOON
            due = self._due[source.id] = _SOON if at_once else self._after(source, last)
        return due <= now

    def _after(self, source: Source, last: datetime) -> datetime:
        key, now = purse_of(source), self.job.clock()
        beside = [one for one in self.job.sources if purse_of(one) == key]
        return next_due(last, plan(source, beside, self.job.budget.quota(key, now)))

    def _begin(self, source: Source, now: datetime) -> Iterator[Any]:
        one = self.begin(source, now)
        one.answer_seconds = source.answer_seconds
        if (work := self.preparation(one)) is None:
            yield from self.next_request(one)
            return
        from twisted.internet.threads import deferToThread

        def prepare() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a reading must never be lost
                log.warning("reading not prepared", source=source.id, error=repr(error))
                one.idle = True

        deferToThread(prepare).addCallback(lambda _: self._ready.append(one))

    def begin(self, source: Source, now: datetime) -> Reading:
        """A new reading of a source."""
        raise NotImplementedError

    def preparation(self, one: Reading) -> Callable[[], None] | None:
        """What the reading needs from the archive before its first request, done in a thread."""
        return None

    def request_of(self, one: Any) -> scrapy.Request:
        """The request of the reading's next page."""
        raise NotImplementedError

    def next_request(self, one: Reading) -> Iterator[Any]:
        """The next page of a reading, or its end when no call is left for it."""
        if one.idle:
            yield RoundEnd(one)
            return
        try:
            # The reserve is for what follows from a first page.
            keep = 0.0 if one.pages or one.read else RESERVE / 2
            if one.source.incident:  # temporary: it takes nothing from the standing ones
                self.job.budget.check_spare(purse_of(one.source), self.job.clock())
            else:
                self.job.budget.check(purse_of(one.source), self.job.clock(), keep)
        except QuotaExceeded as error:
            yield end(one, error)
            return
        yield self.request_of(one)

    def round_finished(self, one: Reading, source: Source) -> None:
        """Called by the pipeline when the round is on disk: plan the next one."""
        self.job.reading.discard(source.id)
        now = self.job.clock()
        at_once = one.at_once and one.error is None
        due = now if at_once else self._after(source, one.started)
        for kind, times in _SLOWER.items():
            if isinstance(one.error, kind):
                due = one.started + times * (due - one.started)
        if isinstance(one.error, QuotaExceeded) and one.error.until:
            self.job.budget.used_up(purse_of(source), now, one.error.until)
            due = max(due, one.error.until)
        ended = self.job.once and not at_once
        self._due[source.id] = _LATER if ended else due
        if one.error is not None:
            log.warning("source failed", source=source.id, state=source.state, reason=source.reason)
        elif one.fresh or one.truncated:
            log.info("source read", source=source.id, pages=one.pages, read=one.read,
                     new=one.fresh, truncated=one.truncated)  # fmt: skip

    # ------------------------------------------------------------ limits

    def _ask_limits(self, mine: list[Source], now: datetime) -> Iterator[scrapy.Request]:
        """Ask each account's limit before its first reading, and each hour again."""
        for source in mine:
            key = purse_of(source)
            if now - self._limits.get(key, _SOON) < _LIMITS_EVERY:
                continue
            if key not in self._limits:
                self._asking.add(key)
            self._limits[key] = now
            yield self.request(
                RATE_PATH, {}, source, self.limits, {"key": key}, errback=self.no_limits, purse=""
            )

    def limits(self, response: Response, key: str) -> None:
        """Keep what the platform says; an answer that is none leaves the settings' number."""
        self._asking.discard(key)
        now = self.job.clock()
        try:
            quota = told_limit(read_answer(response.body, response.status, now), key, now)
        except CollectError:
            return
        if quota is not None:
            self.job.budget.told(quota, key)

    def no_limits(self, failure: Any) -> None:
        """Nobody answered; the readings will say so."""
        self._asking.discard(failure.request.cb_kwargs["key"])

    # ------------------------------------------------------------ requests and answers

    def request(
        self, path: str, query: dict[str, str], source: Source, callback: Any,
        more: dict[str, Any], *, errback: Any = None, purse: str | None = None,
    ) -> scrapy.Request:  # fmt: skip
        """A request with the source's token, which is added when it goes out."""
        return scrapy.Request(
            f"{self.job.url_of(source)}{path}?{urlencode(query)}",
            callback=callback,
            errback=errback or self.failed,
            cb_kwargs=more,
            dont_filter=True,
            meta={
                "uid": source.parameters.get("uid", ""), "handle_httpstatus_all": True,
                "dont_redirect": True,
                "purse": purse_of(source) if purse is None else purse,
            },
        )  # fmt: skip

    def refused(self, response: Response, one: Reading, error: CollectError) -> Iterator[Any]:
        """An answer that is no page: ask again where that may help, else end the reading."""
        if isinstance(error, TryAgain) and not self.job.stopping() and response.request:
            again = get_retry_request(response.request, spider=self, reason="broken answer")
            if again:
                yield again
                return
        yield end(one, error)

    def failed(self, failure: Any) -> Iterator[Any]:
        """No answer at all, after Scrapy's retries."""
        one = failure.request.cb_kwargs.get("one")
        if one is not None:
            kind = type(failure.value).__name__
            yield end(one, CollectError(f"连不上平台（{kind}）", "检查网络；会自动再读"))

    def goes_on(self, one: Reading, more: bool) -> Iterator[Any]:
        """The next page, nothing when told to stop, or the end."""
        if more and self.job.stopping():
            yield RoundEnd(one)  # what was stored counts; the next start goes on there
        elif more:
            yield from self.next_request(one)
        else:
            yield RoundEnd(one)

    def ask(self, act: Any, otherwise: Any) -> Any:
        """Ask the archive something that is not worth failing for."""
        try:
            return act()
        except ArchiveError as error:
            log.warning("archive not asked", error=str(error))
            return otherwise


def end(one: Reading, error: CollectError) -> RoundEnd:
    """The end of a reading that failed."""
    one.error = one.error or error
    return RoundEnd(one)
