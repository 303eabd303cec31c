"""Looking without storing: what a new source would bring, and a proposal of a layout for a page."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from parsel import Selector
from pydantic import SecretStr

from archive.base import PutReport
from crawler.accounts import AccountBook
from crawler.boards import Entry, read_detail, read_list
from crawler.doors import DoorJob, door_settings, keep_quiet, spider_of
from crawler.learning import Proposal, first_entry, propose
from crawler.page_text import public_url
from crawler.privacy import Identity
from crawler.spiders.doors import DoorSpider, text_of
from crawler.spiders.message_board import board_posts, native_of
from crawler.visits import Visit
from crawler.wrong_pages import wrong_page
from huiyin.clock import Clock
from huiyin.errors import CollectError, HuiyinError, InputError, LayoutChanged
from huiyin.records import Post, Source

ENOUGH = 10
"""Posts that a look shows."""


class EnoughSeen(CollectError):
    """A look has shown what it was to show."""


@dataclass
class _Shelf:
    """Takes posts as the archive would, and keeps none."""

    source: Source
    posts: list[Post] = field(default_factory=list)

    def sources(self) -> list[Source]:
        return [self.source]

    def known(self, ids: Sequence[str]) -> set[str]:
        return set()

    def put(self, posts: Sequence[Post]) -> PutReport:
        self.posts += posts
        if len(self.posts) >= ENOUGH:
            raise EnoughSeen("看够了")
        return PutReport(new=len(posts))

    def change(self, source: str, edit: Callable[[Source], Source]) -> Source:
        self.source = edit(self.source)
        return self.source


@dataclass(frozen=True)
class Looked:
    """What a look at a source showed."""

    posts: tuple[Post, ...]
    bad: int
    """Items that were not understood."""


def look_at(
    source: Source, *, identity: Identity, accounts: AccountBook, clock: Clock, layouts: Path,
    allowed: Sequence[str], contact: str = "", secrets: Mapping[str, SecretStr] | None = None,
    watch_lists: Path | None = None,
) -> Looked:  # fmt: skip
    """The first posts that a feed, a board or a site would bring; nothing is stored.

    Raises `CollectError` with what stands in the way. A process can do this once.
    """
    shelf = _Shelf(source.model_copy(update={"cursor": "", "paused": False}))
    job = DoorJob(shelf, identity, accounts, clock, threading.Event(), layouts, once=True,
                  watch_lists=watch_lists, secrets=secrets or {})  # fmt: skip
    visits: list[Visit] = []
    _run(_watched(spider_of(source.spider), visits), job, allowed, contact)
    done = shelf.source
    if done.state not in ("ok", "new") and not shelf.posts:
        what, _, mend = done.reason.partition("（")
        raise CollectError(what, mend.removesuffix("）"))
    return Looked(tuple(shelf.posts[:ENOUGH]), sum(one.bad for one in visits))


def _watched(kind: type[DoorSpider], visits: list[Visit]) -> type[DoorSpider]:
    """The same spider, its visits kept: the source's record does not count what was bad."""

    async def visit(spider: DoorSpider, one: Visit) -> None:
        visits.append(one)
        await kind.visit(spider, one)

    made: type[DoorSpider] = type("Watched", (kind,), {"visit": visit})
    return made


@dataclass(frozen=True)
class Learned:
    """A proposal, and the posts that its example pages would give."""

    proposal: Proposal
    posts: tuple[Post, ...]
    detail_url: str


class LookSpider(DoorSpider):
    """Does one piece of work with the spiders' own polite and guarded fetch."""

    name = kind = "look"

    def __init__(
        self, job: DoorJob, work: Callable[[DoorSpider], Awaitable[Any]], results: list[Any],
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(job, **kwargs)
        self._work = work
        self._results = results

    async def start(self) -> AsyncIterator[Any]:
        """Do the work; its error is the result when it fails."""
        try:
            self._results.append(await self._work(self))
        except HuiyinError as error:
            self._results.append(error)
        finally:
            self._writer.shutdown()
        return
        yield


def learn(
    url: str, detail: str | None, *, identity: Identity, accounts: AccountBook, clock: Clock,
    office: str, allowed: Sequence[str], contact: str = "",
) -> Learned:  # fmt: skip
    """Fetch a list page and one of its entries, and propose a layout for them.

    Raises `CollectError`, `InputError`. A process can do this once.
    """
    for one in filter(None, (url, detail)):
        if not public_url(one):
            raise InputError(f"这不是网址：{one[:100]}", "以 http:// 或 https:// 开头")
    source = Source(id="source:learn", spider="message_board", account=office)

    async def work(spider: DoorSpider) -> Learned:
        listed = text_of(await spider.fetch(url))
        if wrong := wrong_page(listed):
            raise wrong
        there = detail or first_entry(listed, url)
        page = text_of(await spider.fetch(there))
        proposal = propose(listed, url, page, there)
        entries = read_list(listed, url, proposal.layout).entries
        entry = next((one for one in entries if public_url(one.url) == public_url(there)),
                     Entry(there, "", "", Selector(page)))  # fmt: skip
        found = read_detail(Selector(page), there, proposal.layout)
        if not found.text:
            raise LayoutChanged("详情页里找不到正文", "用 --detail 给出另一条的网址再试")
        build = spider.builder(Visit(source, clock() - timedelta(seconds=1)))
        native = native_of(entry, proposal.layout, spider.job)
        posts = board_posts(entry, found, proposal.layout, build, native)
        return Learned(proposal, tuple(posts), there)

    results: list[Any] = []
    job = DoorJob(_Shelf(source), identity, accounts, clock, threading.Event(), Path(), once=True)
    _run(LookSpider, job, allowed, contact, work=work, results=results)
    if not results:
        raise CollectError("没有读成", "看日志 var/log/crawl.log，再试一次")
    if isinstance(results[0], HuiyinError):
        raise results[0]
    learned: Learned = results[0]
    return learned


def _run(
    spider: type[DoorSpider], job: DoorJob, allowed: Sequence[str], contact: str, **more: Any
) -> None:
    from scrapy.utils.reactor import install_reactor

    settings = {**door_settings(allowed, contact), "RETRY_TIMES": 1, "LOG_LEVEL": "ERROR"}
    install_reactor(settings["TWISTED_REACTOR"])
    from scrapy.crawler import CrawlerRunner
    from twisted.internet import reactor as installed

    for name in ("scrapy", "twisted"):
        logging.getLogger(name).setLevel(logging.ERROR)
    keep_quiet()
    reactor: Any = installed
    failures: list[BaseException] = []
    ended: Any = CrawlerRunner(settings).crawl(spider, job=job, **more)
    ended.addErrback(lambda failure: failures.append(failure.value))
    ended.addBoth(lambda _: reactor.stop())
    reactor.run(installSignalHandlers=False)
    if failures:
        raise HuiyinError(f"没能运行：{failures[0]}", "请报告") from failures[0]
