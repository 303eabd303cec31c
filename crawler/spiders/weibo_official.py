"""Weibo's official interface: what official accounts are told. One long-lived spider polls it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import scrapy
import structlog
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.http import Response

from crawler.pipelines import PageItem, RoundEnd, Vanished
from crawler.rounds import Round
from crawler.sources import SPIDER
from crawler.weibo_api import (
    ENDPOINTS,
    GONE_CODES,
    SHOW_PATH,
    TryAgain,
    error_code,
    read_page,
)
from huiyin.errors import ArchiveError, CollectError, QuotaExceeded, SourceRefused
from huiyin.records import Source

if TYPE_CHECKING:
    from crawler.crawl import CrawlJob

log = structlog.get_logger("crawler")
_TICK = 0.1
_LATER = datetime.max.replace(tzinfo=UTC)
_REREAD_EVERY = timedelta(minutes=10)


class WeiboOfficial(scrapy.Spider):
    """Mentions, comments, own posts and private messages of each account that has a token.

    The polling loop is `start`: it yields the first page of each source that is due. Pages run down
    to the cursor; the round's end goes through the pipeline, which stores first and then moves the
    cursor. A kill in between reads the same pages again.
    """

    name = SPIDER

    def __init__(self, job: CrawlJob, sources: list[Source], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.sources = {one.id: one for one in sources}
        self._due = {one.id: datetime.min.replace(tzinfo=UTC) for one in sources}
        self._reread: dict[str, datetime] = {}
        self._running: set[str] = set()

    # ------------------------------------------------------------ the loop

    async def start(self) -> AsyncIterator[scrapy.Request]:
        """Yield what is due until told to stop; in a single round, until each was read once."""
        while not self.job.stopping():
            now = self.job.clock()
            for source_id in [one for one, due in self._due.items() if due <= now]:
                self._due[source_id] = _LATER
                self._running.add(source_id)
                yield self._page_request(self._begin(self.sources[source_id], now))
            if self.job.once and not self._running:
                return
            await asyncio.sleep(_TICK)

    def _begin(self, source: Source, now: datetime) -> Round:
        endpoint = ENDPOINTS[source.parameters["endpoint"]]
        last = self._reread.get(source.id)
        pause = min(_REREAD_EVERY, timedelta(seconds=20 * source.every_seconds))
        reread = last is None or now - last >= pause
        if reread:
            self._reread[source.id] = now
        return Round(source, endpoint, now, reread=reread)

    def round_finished(self, one: Round, source: Source) -> None:
        """Called by the pipeline when the round is on disk: plan the next one."""
        self.sources[source.id] = source
        self._running.discard(source.id)
        now = self.job.clock()
        pause = timedelta(seconds=source.every_seconds)
        if isinstance(one.error, SourceRefused):
            pause *= 10  # a person has to act; asking often would only annoy
        due = now + pause
        if isinstance(one.error, QuotaExceeded) and one.error.until:
            due = max(due, one.error.until)
        self._due[source.id] = _LATER if self.job.once else due
        if one.error is not None:
            log.warning("source failed", source=source.id, state=source.state, reason=source.reason)
        elif one.fresh or one.truncated:
            log.info("source read", source=source.id, pages=one.pages, read=one.read,
                     new=one.fresh, truncated=one.truncated)  # fmt: skip

    # ------------------------------------------------------------ requests and answers

    def _page_request(self, one: Round) -> scrapy.Request:
        return self._request(
            one.endpoint.path, one.parameters(), one.source, self.page, {"one": one}
        )

    def _request(
        self, path: str, query: dict[str, str], source: Source, callback: Any, more: dict[str, Any]
    ) -> scrapy.Request:
        return scrapy.Request(
            f"{self.job.url}{path}?{urlencode(query)}",
            callback=callback,
            errback=self.failed,
            cb_kwargs=more,
            dont_filter=True,
            meta={
                "uid": source.parameters["uid"], "handle_httpstatus_all": True,
                "dont_redirect": True,
            },
        )  # fmt: skip

    def page(self, response: Response, one: Round) -> Iterator[Any]:
        """A page of a list: hand it to the pipeline, ask for the next or end the round."""
        now = self.job.clock()
        try:
            page = read_page(response.body, response.status, one.endpoint.key, now)
        except TryAgain as error:
            again = response.request and get_retry_request(
                response.request, spider=self, reason="broken answer"
            )
            yield again if again and not self.job.stopping() else _end(one, error)
            return
        except CollectError as error:
            yield _end(one, error)
            return
        if one.error is not None:  # a page could not be stored: reading on would only be lost
            yield RoundEnd(one)
            return
        more = one.take(page)
        yield PageItem(one, page.items, now)
        if more and self.job.stopping():
            # The cursor stays; the next start reads these pages again.
            self._running.discard(one.source.id)
        elif more:
            yield self._page_request(one)
        else:
            yield from self._check_vanished(one)
            yield RoundEnd(one)

    def failed(self, failure: Any) -> Iterator[Any]:
        """No answer at all, after Scrapy's retries."""
        one = failure.request.cb_kwargs.get("one")
        if one is not None:
            kind = type(failure.value).__name__
            yield _end(one, CollectError(f"连不上平台（{kind}）", "检查网络；会自动再读"))

    # ------------------------------------------------------------ deletions

    def _check_vanished(self, one: Round) -> Iterator[scrapy.Request]:
        """Ask for posts by number that a list held before and does not hold any more."""
        if not one.reread or one.endpoint.key != "statuses" or not one.lowest:
            return
        try:
            missing = self.job.missing(one)
        except ArchiveError as error:  # asked again in ten minutes
            log.warning("deletions not looked for", source=one.source.id, error=str(error))
            return
        for number in missing:
            yield self._request(
                SHOW_PATH, {"id": str(number)}, one.source, self.shown, {"number": number}
            )

    def shown(self, response: Response, number: int) -> Iterator[Vanished]:
        """Only the platform's own word counts: a post that a list leaves out may still be there."""
        if error_code(response.body) in GONE_CODES:
            yield Vanished((f"weibo:{number}",), self.job.clock())


def _end(one: Round, error: CollectError) -> RoundEnd:
    one.error = error
    return RoundEnd(one)
