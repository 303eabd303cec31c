"""Run the Scrapy process: one long-lived crawl over all sources, until told to stop."""

from __future__ import annotations

import ipaddress
import logging
import signal
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from archive.base import Archive, Filters, PutReport
from crawler.accounts import AccountBook
from crawler.budget import Budget, purse_of
from crawler.pipes import fewer_collections
from crawler.privacy import Identity
from crawler.refreshing import COUNTS
from crawler.rounds import Round
from crawler.sources import EVERYTHING, SPIDER, SPIDERS, ensure_sources, known_sources
from crawler.tending import Ends, Tender, tell_without_token
from crawler.values import weibo_id_time
from crawler.weibo_api import ENDPOINTS
from huiyin import __version__
from huiyin.clock import Clock, monotonic
from huiyin.errors import ArchiveError, HuiyinError
from huiyin.records import Kind, Source
from huiyin.settings import WeiboSettings

__all__ = ["CrawlJob", "ensure_sources", "run_crawl"]

Progress = Callable[[str, PutReport], None]
"""Called in the writing thread's turn with a source id and what became of a page's posts."""
Accounts = AccountBook | Callable[[], AccountBook]
Tokens = Callable[[], Mapping[str, SecretStr]]
_CHECKED_A_ROUND = 5
"""Posts asked for by number in a round; each costs a call."""
SWITCH_SECONDS = 0.0005
"""How long the writing thread may keep the interpreter while an answer comes in. An answer comes in
many small pieces, and with Python's 5 ms each of them would wait that long."""
_REACTOR = "twisted.internet.asyncioreactor.AsyncioSelectorReactor"


@dataclass(repr=False)
class CrawlJob:
    """What the spiders and the pipeline work with. Its text form shows no token."""

    archive: Archive
    identity: Identity
    accounts: AccountBook
    clock: Clock
    weibo: WeiboSettings
    stop: threading.Event
    budget: Budget
    once: bool = False
    on_progress: Progress | None = None
    sources: tuple[Source, ...] = ()
    """All that are known; kept up to date while it runs."""
    tokens: Mapping[str, SecretStr] = field(default_factory=dict)
    mine: Callable[[str], bool] = lambda _: True
    """False = another process reads this source."""
    reading: set[str] = field(default_factory=set)
    """Ids of the sources that are being read just now."""
    watch_lists: Path | None = None
    """Folder of the watch lists."""
    unknown: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Source -> fields of its answers that no table names."""

    def url_of(self, source: Source) -> str:
        """Root of the interface that a source is read from."""
        if purse_of(source) == "commercial":
            return self.weibo.commercial_url or self.weibo.url
        return self.weibo.url

    def token(self, uid: str) -> str:
        """The account's access token; never written anywhere."""
        secret = self.tokens.get(uid)
        return secret.get_secret_value() if secret else ""

    def stopping(self) -> bool:
        """True when the crawl is to end."""
        return self.stop.is_set()

    def progress(self, source: str, done: PutReport) -> None:
        """Tell the caller what a page brought."""
        if self.on_progress is not None:
            self.on_progress(source, done)

    def of(self, spider: str) -> list[Source]:
        """The sources of a spider that this process is to read, what matters most first."""
        order = {name: place for place, name in enumerate(ENDPOINTS)}
        found = [
            one for one in self.sources
            if one.spider == spider and not one.resting and self.mine(one.id)
            and not self._lacks_token(one)
        ]  # fmt: skip
        return sorted(found, key=lambda one: order.get(one.parameters.get("endpoint", ""), 99))

    def without_token(self) -> list[Source]:
        """The sources that this process is to read and cannot: their account has no token.

        Counts are left out: the account's lists tell it, and a count may be due only hours after a
        new token.
        """
        return [
            one for one in self.sources
            if not one.resting and self.mine(one.id) and self._lacks_token(one)
            and one.parameters.get("endpoint") != COUNTS
        ]  # fmt: skip

    def _lacks_token(self, source: Source) -> bool:
        kind = SPIDERS.get(source.spider)
        if kind is None or not kind.token:
            return False
        return source.parameters.get("uid") not in self.tokens

    def of_timelines(self) -> list[Source]:
        """The sources that read the own accounts' posts, and are read here."""
        return [one for one in self.of(SPIDER) if one.parameters.get("endpoint") == "timeline"]

    def fresh(self, source: Source) -> Source:
        """The source as the archive has it now; as it was known, while the archive is away."""
        try:
            stored = self.archive.get(Source, source.id, EVERYTHING)
        except ArchiveError:
            return source
        return stored.record if stored else source

    def missing(self, one: Round) -> list[int]:
        """Numbers of posts stored before that the round's list should have held and did not."""
        upto = weibo_id_time(str(one.cursor)) if one.cursor else None
        if upto is None or upto < one.oldest_time():
            return []
        kinds = (Kind.NOTICE,) if one.endpoint.name == "timeline" else (Kind.POST, Kind.REPOST)
        filters = Filters(since=one.oldest_time(), until=upto + timedelta(seconds=1), kinds=kinds,
                          offices=(one.source.account,))  # fmt: skip
        stored = (
            int(post.id.partition(":")[2])
            for post in self.archive.iter_posts(EVERYTHING, filters)
            if post.source.query == one.endpoint.name and post.deleted_at is None
        )
        inside = (
            number for number in stored
            if one.lowest <= number <= one.cursor and number not in one.seen
        )  # fmt: skip
        return list(islice(inside, _CHECKED_A_ROUND))


def run_crawl(
    archive: Archive,
    sources: Sequence[Source] | None = None,
    *,
    weibo: WeiboSettings,
    identity: Identity,
    accounts: Accounts,
    clock: Clock,
    stop: threading.Event | None = None,
    once: bool = False,
    on_progress: Progress | None = None,
    tokens: Tokens | None = None,
    beside: Callable[[CrawlJob], Sequence[Any]] | None = None,
    ends: Ends | None = None,
    watch_lists: Path | None = None,
    renewal: Callable[[], str] | None = None,
) -> None:
    """Read all sources again and again until `stop`, or once.

    `sources`: these and no others; default: those in the archive, shared with other processes by
    leases, with changes picked up while it runs (accounts and tokens too, where functions are
    given). `renewal` makes a link for the keeper of a grant that ends. `beside` starts other
    spiders in the same reactor and returns a Deferred each.

    SIGINT and SIGTERM set `stop` when called in the main thread. Returns when the last write is on
    disk. A process can do this once: Twisted's reactor does not start again. Raises `HuiyinError`
    when the crawl could not run; a source that fails is noted in its record and tried again.
    """
    read_tokens = tokens or (lambda: weibo.tokens)
    job = CrawlJob(
        archive, identity, accounts() if callable(accounts) else accounts, clock, weibo,
        stop or threading.Event(), Budget(archive, weibo.calls_per_day), once, on_progress,
        tuple(known_sources(archive) if sources is None else sources), tokens=read_tokens(),
        watch_lists=watch_lists,
    )  # fmt: skip
    alone = once or sources is not None
    if alone:
        with suppress(ArchiveError):  # that is told by each reading
            tell_without_token(job)
    if alone and beside is None and not any(job.of(name) for name in SPIDERS):
        return
    books = accounts if callable(accounts) else None
    with nullcontext() if alone else _tended(job, read_tokens, books, ends, renewal):
        failure = _run_reactor(job, beside)
    if failure is not None:
        raise HuiyinError(f"采集没能运行：{failure}", "看日志 crawl.log") from failure


@contextmanager
def _tended(
    job: CrawlJob, tokens: Tokens, books: Callable[[], AccountBook] | None, ends: Ends | None,
    renewal: Callable[[], str] | None,
) -> Iterator[None]:  # fmt: skip
    tender = Tender(job, tokens, books, monotonic, ends, renewal)
    tender.start()
    try:
        yield
    finally:
        tender.end()


def _run_reactor(
    job: CrawlJob, beside: Callable[[CrawlJob], Sequence[Any]] | None
) -> BaseException | None:
    from scrapy.utils.reactor import install_reactor

    install_reactor(_REACTOR)
    from scrapy.crawler import CrawlerRunner
    from twisted.internet import defer
    from twisted.internet import reactor as installed

    for name in ("scrapy", "twisted"):  # their chatter holds addresses of every request
        logging.getLogger(name).setLevel(logging.WARNING)
    reactor: Any = installed  # typed as an interface without `installSignalHandlers`
    failures: list[BaseException] = []
    runner = CrawlerRunner(scrapy_settings(job.weibo.url, job.weibo.commercial_url))
    endings: list[Any] = [
        runner.crawl(spider_class(one.where), job=job) for one in SPIDERS.values()
    ]
    endings += beside(job) if beside is not None else ()
    for ended in endings:
        ended.addErrback(lambda failure: failures.append(failure.value))
    defer.DeferredList(endings).addBoth(lambda _: reactor.stop())
    before, switching = _on_signals(job.stop), sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with fewer_collections():
            reactor.run(installSignalHandlers=False)
    finally:
        sys.setswitchinterval(switching)
        for number, handler in before.items():
            signal.signal(number, handler)
    return failures[0] if failures else None


def spider_class(where: str) -> Any:
    """The class that `module:class` names."""
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)


def _on_signals(stop: threading.Event) -> dict[int, Any]:
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = (signal.SIGINT, signal.SIGTERM)
    return {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}


def scrapy_settings(url: str, *more: str) -> dict[str, Any]:
    """Polite by default; a platform on this very machine needs no politeness.

    `url`, `more`: roots of the interface as the operator wrote them. They may lie inside; nothing
    else may. A proxy of the environment is used: only these hosts are ever asked, no redirect is
    followed, so nobody else decides what the proxy looks up.
    """
    from crawler.guard import guard_settings

    local = is_loopback(url)
    guarded = guard_settings(host_of(one) for one in (url, *more) if one)
    token = dict.fromkeys(("http", "https"), "crawler.handlers.TokenHandler")
    return {
        **guarded,
        "DOWNLOAD_HANDLERS": {**guarded["DOWNLOAD_HANDLERS"], **token},
        "HTTPPROXY_ENABLED": True,
        "REDIRECT_ENABLED": False,
        "METAREFRESH_ENABLED": False,
        "USER_AGENT": f"Huiyin/{__version__} (official API client)",
        "ITEM_PIPELINES": {"crawler.pipelines.ArchivePipeline": 100},
        # robots.txt speaks to crawlers of pages; this is an interface called with an OAuth grant.
        "ROBOTSTXT_OBEY": False,
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOGSTATS_INTERVAL": 0,
        "AUTOTHROTTLE_ENABLED": not local,
        "AUTOTHROTTLE_START_DELAY": 1.0,
        "DOWNLOAD_DELAY": 0.0 if local else 1.0,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 8 if local else 1,
        # Of one answer at a time. Scrapy starts so many tasks for each answer, and ours yields a
        # page and a request or two: its own 100 cost 2 ms an answer.
        "CONCURRENT_ITEMS": 8,
        # Answers whose pages are not on disk yet; more than this, and nothing more is asked.
        "SCRAPER_SLOT_MAX_ACTIVE_SIZE": 16 << 20,
        "RETRY_TIMES": 3,
        "RETRY_HTTP_CODES": [500, 502, 503, 504, 522, 524, 408],
        "TWISTED_REACTOR": _REACTOR,
    }


def host_of(url: str) -> str:
    """host:port of an address."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.hostname or ''}:{port}"


def is_loopback(url: str) -> bool:
    """True for addresses of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
