"""From the spider's pages to posts in the archive; one thread writes.

When many pages wait, their posts are made in a process beside (`crawler.making`) while this thread
writes those before.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import structlog
from scrapy.crawler import Crawler
from scrapy.utils.defer import maybe_deferred_to_future

from archive.base import PutReport
from crawler.items import CountItem, PageItem, RoundEnd, Vanished
from crawler.making import Made, Maker, Page, make
from crawler.payload_table import unknown_paths
from crawler.payloads import is_cut_short, with_whole
from crawler.pictures import links
from crawler.rounds import Reading, joined
from crawler.sources import EVERYTHING, after_reading
from huiyin.clock import monotonic
from huiyin.errors import ArchiveAway, ArchiveError, CollectError
from huiyin.records import Metrics, Post, Source

if TYPE_CHECKING:
    from twisted.python.threadpool import ThreadPool

    from crawler.spiders.base import PollingSpider

log = structlog.get_logger("crawler")
T = TypeVar("T")
_SAVE_EVERY = 1.0
_TOGETHER = 2000
"""Objects of the pages that are written together."""
_MANY = 400
"""Waiting objects from which a process beside pays."""
_FULL = 100
"""Objects on the first page of a late reading that let many more be expected."""
_LOOKED_AT = 25
"""Of every so many pages of a source one is looked through for fields that no table names."""


@dataclass(eq=False)
class _Waiting:
    """A page on its way to the disk."""

    item: PageItem
    done: asyncio.Future[None]


@dataclass(eq=False)
class _Batch:
    """Pages of one round that are written together."""

    waiting: list[_Waiting]
    made: asyncio.Future[Made | None] | None = None
    """Their posts, where another process makes them."""

    @property
    def pages(self) -> list[PageItem]:
        return [one.item for one in self.waiting]


class ArchivePipeline:
    """Writes pages; moves a source's cursor when every page of the round is on disk."""

    def __init__(self, crawler: Crawler) -> None:
        """`crawler` is Scrapy's own."""
        from twisted.python.threadpool import ThreadPool

        self._crawler = crawler
        self._pool = ThreadPool(minthreads=1, maxthreads=1, name="archive-writer")
        self._asking = ThreadPool(minthreads=0, maxthreads=1, name="post-asker")
        self._maker: Maker | None = None
        self._saved: dict[str, float] = {}
        self._pages: Counter[str] = Counter()
        self._waiting: deque[_Waiting] = deque()
        self._writer: asyncio.Future[None] | None = None
        self._singly = 0
        """So many pages are written one by one, to find the one that cannot be stored."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Called by Scrapy; the archive comes with the spider's job."""
        return cls(crawler)

    def open_spider(self) -> None:
        """Start the writing thread."""
        self._pool.start()
        self._asking.start()

    def close_spider(self) -> None:
        """Wait for the write in hand."""
        if self._maker is not None:
            self._maker.close()
        self._asking.stop()
        self._pool.stop()

    @property
    def _spider(self) -> PollingSpider:
        return cast("PollingSpider", self._crawler.spider)

    async def process_item(self, item: object) -> object:
        """Store a page or counts, finish a round, or note deletions."""
        if isinstance(item, PageItem):
            await self._store(item)
        elif isinstance(item, CountItem):
            await self._store_counts(item)
        elif isinstance(item, RoundEnd):
            await self._finish(item.round)
        elif isinstance(item, Vanished):
            await self._in_thread(lambda: self._delete(item))
        return item

    async def _in_thread(self, work: Callable[[], T], pool: ThreadPool | None = None) -> T:
        from twisted.internet import reactor
        from twisted.internet.threads import deferToThreadPool

        started = deferToThreadPool(reactor, pool or self._pool, work)
        result: T = await maybe_deferred_to_future(started)
        return result

    async def _store(self, item: PageItem) -> None:
        """Wait until the page is on disk or lost. While a write waits for the disk, the reactor

        reads on; the pages that came meanwhile are the next write. So nothing waits when there is
        little, and much costs few waits. How much may wait is up to Scrapy
        (SCRAPER_SLOT_MAX_ACTIVE_SIZE): an answer counts until its page is stored.
        """
        if not item.objects:
            item.round.page_stored(0, item.covers)
            return
        if item.round.is_late and len(item.objects) >= _FULL and self._maker is None:
            self._begin_maker()  # it takes a second to start
        one = _Waiting(item, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        if self._writer is None:
            self._writer = asyncio.ensure_future(self._write_waiting())
        await one.done

    async def _write_waiting(self) -> None:
        try:
            await self._write_all()
        finally:
            self._writer = None

    async def _write_all(self) -> None:
        batch = self._next()
        while batch is not None:
            ahead = None
            try:
                made = await batch.made if batch.made is not None else None
                # While these are written the posts of what came meanwhile are made.
                ahead = self._next() if made is not None and self._many_wait() else None
                done = await self._write_one(batch.pages, made)
            except Exception as error:  # noqa: BLE001 - told to each page's round
                self._failed(batch, ahead, error)
                ahead = None
            else:
                await self._written(batch, done)
            batch = ahead or self._next()

    async def _write_one(self, pages: Sequence[PageItem], made: Made | None) -> PutReport:
        return await self._in_thread(lambda: self._write(pages, made))

    def _failed(self, batch: _Batch, ahead: _Batch | None, error: Exception) -> None:
        """What was to be written later waits again, in its order; what is alone is lost."""
        if ahead is not None:
            self._waiting.extendleft(reversed(ahead.waiting))
            if ahead.made is not None:
                ahead.made.cancel()
        if len(batch.waiting) > 1:
            self._waiting.extendleft(reversed(batch.waiting))
            self._singly = len(batch.waiting)
        else:
            self._lost(batch.waiting[0], error)

    async def _written(self, batch: _Batch, done: PutReport) -> None:
        one = batch.pages[0].round
        for number, page in enumerate(batch.pages):
            one.page_stored(0 if number else done.new, page.covers)
        for waiting in batch.waiting:
            waiting.done.set_result(None)
        await self._stored(one, done)

    async def _stored(self, one: Reading, done: PutReport) -> None:
        try:
            self._spider.job.progress(one.source.id, done)
            if self._is_due(one):
                await self._in_thread(lambda: self._checkpoint(one))
        except Exception:  # what waits must be written all the same
            log.exception("after a write", source=one.source.id)

    def _next(self) -> _Batch | None:
        """The next batch; the process beside begins with it if it can, None = nothing waits."""
        if not self._waiting:
            return None
        batch = _Batch(self._take())
        pages = batch.pages
        if (
            self._singly
            or sum(len(page.objects) for page in pages) < _MANY
            or any(page.posts is not None or not page.round.plain for page in pages)
        ):
            return batch
        maker, accounts = self._begin_maker(), self._spider.job.accounts
        if not maker.ready:
            return batch
        told = [
            self._page(page, () if page.answer else page.objects, page.answer) for page in pages
        ]
        making = self._in_thread(lambda: maker.make(told, accounts), self._asking)
        batch.made = asyncio.ensure_future(making)
        return batch

    def _begin_maker(self) -> Maker:
        if self._maker is None:
            job = self._spider.job
            self._maker = Maker(job.identity, job.archive.packer())
        self._maker.prepare()
        return self._maker

    def _many_wait(self) -> bool:
        return not self._singly and sum(len(one.item.objects) for one in self._waiting) >= _MANY

    def _take(self) -> list[_Waiting]:
        """Pages of one round that wait together, in their order."""
        taken = [self._waiting.popleft()]
        if self._singly:
            self._singly -= 1
            return taken
        objects = len(taken[0].item.objects)
        while self._waiting and self._waiting[0].item.round is taken[0].item.round:
            objects += len(self._waiting[0].item.objects)
            if objects > _TOGETHER:
                break
            taken.append(self._waiting.popleft())
        return taken

    def _page(
        self, item: PageItem, objects: Sequence[Mapping[str, Any]],
        answer: tuple[bytes, str] | None = None,
    ) -> Page:  # fmt: skip
        job, source = self._spider.job, item.round.source
        return Page(
            objects, answer, source.id, source.account, self._spider.name, item.round.query,
            item.read_at, job.clock(),
        )  # fmt: skip

    def _lost(self, one: _Waiting, error: Exception) -> None:
        item = one.item
        if isinstance(error, CollectError):  # what the heads skipped is broken
            item.round.page_lost(error)
            one.done.set_result(None)
            return
        if not isinstance(error, ArchiveError):  # a mistake of ours: Scrapy logs it
            item.round.page_lost(CollectError("读到的内容没能入库", "看日志 crawl.log"))
            one.done.set_exception(error)
            return
        log.error("page not stored", source=item.round.source.id, error=str(error))
        item.round.page_lost(CollectError(f"读到的内容没能入库：{error.message}", error.mend))
        one.done.set_result(None)

    def _write(self, pages: Sequence[PageItem], made: Made | None = None) -> PutReport:
        """Store pages of one round; all of them are on disk when it returns.

        `made`: what another process made of their objects.
        """
        self._look_through(pages)
        archive = self._spider.job.archive
        if made is None:
            return archive.put_posts([post for page in pages for post in self._posts_of(page)])
        _tell(made.bad)
        for note in made.noted:
            links.note(*note)
        return archive.put_packed(made.packed) + self._put_cut(pages, made.cut)

    def _put_cut(self, pages: Sequence[PageItem], packed: bytes) -> PutReport:
        """Store what was cut short: as another process made it, or, where some is known, anew."""
        archive = self._spider.job.archive
        ids = [name for page in pages for name in page.cut_short()]
        try:
            known = bool(ids and archive.get_posts(ids, EVERYTHING))
        except ArchiveAway:  # it may be known
            known = True
        if not known:
            return archive.put_packed(packed) if ids else PutReport()
        return archive.put_posts(
            [post for page in pages for post in self._posts_of(page, cut_only=True)]
        )

    def _posts_of(self, item: PageItem, *, cut_only: bool = False) -> Iterable[Post]:
        job = self._spider.job
        objects = [one for one in item.whole() if is_cut_short(one) or not cut_only]
        page = self._page(item, objects)
        posts, bad = make(page, job.identity, job.accounts, item.posts or item.round.posts)
        _tell(() if cut_only else bad)
        self._keep_whole(posts, item)
        return posts.values()

    def _look_through(self, pages: Sequence[PageItem]) -> None:
        for page in pages:
            source = page.round.source.id
            if self._pages[source] % _LOOKED_AT == 0:
                found = self._spider.job.unknown[source]
                for item in page.whole():
                    found.update(unknown_paths(item))
            self._pages[source] += 1

    def _keep_whole(self, posts: dict[str, Post], page: PageItem) -> None:
        """A list shows the beginning of a long post again: the whole that is stored stays."""
        ids = page.cut_short()
        if not ids:
            return
        try:
            known = self._spider.job.archive.get_posts(ids, EVERYTHING)
        except ArchiveAway:  # what is new waits on this host's disk; the rest comes again
            for name in ids:
                if int(name.partition(":")[2]) <= page.round.cursor:
                    posts.pop(name, None)
            return
        for name, stored in known.items():
            shown = posts.get(name)
            if shown is not None and shown.deleted_at is None:
                posts[name] = with_whole(shown, stored)

    async def _store_counts(self, item: CountItem) -> None:
        """Counts are no reason to fail: what could not be written stays due."""
        try:
            await self._in_thread(lambda: self._count(item))
        except ArchiveError as error:
            log.warning("counts not stored", source=item.round.source.id, error=str(error))
        finally:
            item.round.page_stored(0)

    def _count(self, item: CountItem) -> PutReport:
        """As a reading of the stored text of the same time, so that nothing else changes."""
        archive = self._spider.job.archive
        known = archive.get_posts(list(item.counts), EVERYTHING)
        posts = [
            post.model_copy(
                update={"metrics": Metrics(read_at=item.read_at, **item.counts[post.id])}
            )
            for post in known.values() if post.deleted_at is None
        ]  # fmt: skip
        return archive.put_posts(posts)

    def _is_due(self, one: Reading) -> bool:
        """How far a long reading has come is written each second: a kill loses no more."""
        now = monotonic()
        if not one.done or now - self._saved.setdefault(one.source.id, now) < _SAVE_EVERY:
            return False
        self._saved[one.source.id] = now
        return True

    def _checkpoint(self, one: Reading) -> None:
        done = tuple(one.done)

        def reach(source: Source) -> Source:
            cursor, ahead = joined(int(source.cursor or 0), (*source.ahead, *done))
            return source.model_copy(update={"cursor": str(cursor or ""), "ahead": ahead})

        # A cursor that passes what was cut off needs its gap: only the end of the round knows it.
        with suppress(ArchiveError):
            if not one.truncated and not one.gaps:
                self._spider.job.archive.change(Source, one.source.id, EVERYTHING, reach)

    def _delete(self, item: Vanished) -> None:
        gone = self._spider.job.archive.delete_posts(item.ids, item.at)
        log.info("deleted on the platform", posts=gone)

    async def _finish(self, one: Reading) -> None:
        await one.all_stored()
        self._saved.pop(one.source.id, None)
        try:
            source = await self._in_thread(lambda: self._move_on(one))
        except ArchiveAway as error:
            # Its posts are on this host's disk, so the next round need not read them again; the
            # archive hears of it with the next round that finds it there.
            log.warning("source not updated", source=one.source.id, error=str(error))
            source = after_reading(one.source, self._spider.job.clock(), one)
        except ArchiveError as error:
            log.error("source not updated", source=one.source.id, error=str(error))
            source = one.source
        except BaseException:  # a mistake of ours: the source is tried again, and says so
            one.error = one.error or CollectError("这一轮没能记下", "看日志 crawl.log")
            self._spider.round_finished(one, one.source)
            raise
        self._spider.round_finished(one, source)

    def _move_on(self, one: Reading) -> Source:
        job = self._spider.job
        return job.archive.change(
            Source, one.source.id, EVERYTHING,
            lambda source: after_reading(source, job.clock(), one, job.unknown.get(one.source.id)),
        ).record  # fmt: skip


def _tell(bad: Iterable[tuple[str, str]]) -> None:
    for (source, reason), count in Counter(bad).items():
        log.warning("items not understood", source=source, reason=reason, items=count)
