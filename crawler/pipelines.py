"""From the spider's pages to posts in the archive; one thread writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import structlog
from scrapy.crawler import Crawler
from scrapy.utils.defer import maybe_deferred_to_future

from archive.base import PutReport
from crawler.build import Builder
from crawler.importers.base import reason_of
from crawler.payloads import posts_of
from crawler.rounds import Round
from crawler.sources import EVERYTHING, SPIDER, after_failure, after_success
from huiyin.errors import ArchiveAway, ArchiveError, CollectError
from huiyin.records import Post, Source

if TYPE_CHECKING:
    from crawler.spiders.weibo_official import WeiboOfficial

log = structlog.get_logger("crawler")
T = TypeVar("T")


@dataclass(eq=False)
class PageItem:
    """The objects of one page. Its text form shows none of them: Scrapy logs items on errors."""

    round: Round
    objects: tuple[Mapping[str, Any], ...] = field(repr=False)
    read_at: datetime


@dataclass(eq=False)
class RoundEnd:
    """All pages of a round were asked for, or it failed (`round.error`)."""

    round: Round


@dataclass(eq=False)
class Vanished:
    """Posts that the platform says are gone."""

    ids: tuple[str, ...]
    at: datetime


class ArchivePipeline:
    """Writes pages; moves a source's cursor when every page of the round is on disk."""

    def __init__(self, crawler: Crawler) -> None:
        from twisted.python.threadpool import ThreadPool

        self._crawler = crawler
        self._pool = ThreadPool(minthreads=1, maxthreads=1, name="archive-writer")

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Called by Scrapy; the archive comes with the spider's job."""
        return cls(crawler)

    def open_spider(self) -> None:
        """Start the writing thread."""
        self._pool.start()

    def close_spider(self) -> None:
        """Wait for the write in hand."""
        self._pool.stop()

    @property
    def _spider(self) -> WeiboOfficial:
        return cast("WeiboOfficial", self._crawler.spider)

    async def process_item(self, item: object) -> object:
        """Store a page, finish a round, or note deletions."""
        if isinstance(item, PageItem):
            await self._store(item)
        elif isinstance(item, RoundEnd):
            await self._finish(item.round)
        elif isinstance(item, Vanished):
            await self._in_thread(lambda: self._delete(item))
        return item

    async def _in_thread(self, work: Callable[[], T]) -> T:
        from twisted.internet import reactor
        from twisted.internet.threads import deferToThreadPool

        result: T = await maybe_deferred_to_future(deferToThreadPool(reactor, self._pool, work))
        return result

    async def _store(self, item: PageItem) -> None:
        if not item.objects:
            item.round.page_stored(0)
            return
        try:
            done = await self._in_thread(lambda: self._write(item))
        except ArchiveError as error:
            log.error("page not stored", source=item.round.source.id, error=str(error))
            item.round.page_lost(CollectError(f"读到的内容没能入库：{error.message}", error.mend))
            return
        except BaseException:
            item.round.page_lost(CollectError("读到的内容没能入库", "看日志 crawl.log"))
            raise
        item.round.page_stored(done.new)
        self._spider.job.progress(item.round.source.id, done)

    def _write(self, item: PageItem) -> PutReport:
        job, source = self._spider.job, item.round.source
        build = Builder(
            identity=job.identity, accounts=job.accounts, office=source.account, spider=SPIDER,
            at=item.read_at, now=job.clock(), always=True,
        )  # fmt: skip
        posts: dict[str, Post] = {}
        for one in item.objects:
            try:
                for post in posts_of(one, build):
                    query = post.source.model_copy(update={"query": item.round.endpoint.name})
                    posts.setdefault(post.id, post.model_copy(update={"source": query}))
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
                log.warning("item not understood", source=source.id, reason=reason_of(error))
        return job.archive.put_posts(list(posts.values())) if posts else PutReport()

    def _delete(self, item: Vanished) -> None:
        gone = self._spider.job.archive.delete_posts(item.ids, item.at)
        log.info("deleted on the platform", posts=gone)

    async def _finish(self, one: Round) -> None:
        await one.all_stored()
        try:
            source = await self._in_thread(lambda: self._move_on(one))
        except ArchiveAway as error:
            # Its posts are on this host's disk, so the next round need not read them again; the
            # archive hears of it with the next round that finds it there.
            log.warning("source not updated", source=one.source.id, error=str(error))
            source = self._moved(one, one.source)
        except ArchiveError as error:
            log.error("source not updated", source=one.source.id, error=str(error))
            source = one.source
        self._spider.round_finished(one, source)

    def _move_on(self, one: Round) -> Source:
        return self._spider.job.archive.change(
            Source, one.source.id, EVERYTHING, lambda source: self._moved(one, source)
        ).record

    def _moved(self, one: Round, source: Source) -> Source:
        """The source after the round; its cursor is at least what the round began with."""
        now = self._spider.job.clock()
        if one.error is not None:
            return after_failure(source, now, one.error)
        return after_success(
            source, now, newest=max(one.newest, one.cursor), oldest=one.oldest_time(),
            truncated=one.truncated,
        )  # fmt: skip
