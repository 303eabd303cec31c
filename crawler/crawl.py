"""Run the Scrapy process: one long-lived crawl over all sources, until told to stop."""

from __future__ import annotations

import ipaddress
import logging
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from archive.base import Archive, Filters, PutReport
from crawler.accounts import AccountBook
from crawler.privacy import Identity
from crawler.rounds import Round
from crawler.sources import EVERYTHING, ensure_sources, known_sources
from crawler.weibo_api import ENDPOINTS
from huiyin import __version__
from huiyin.clock import Clock
from huiyin.errors import HuiyinError
from huiyin.records import Kind, Source
from huiyin.settings import WeiboSettings

__all__ = ["CrawlJob", "ensure_sources", "run_crawl"]

Progress = Callable[[str, PutReport], None]
"""Called in the writing thread's turn with a source id and what became of a page's posts."""
_CHECKED_A_ROUND = 5
"""Posts asked for by number in a round; each costs a call."""
_REACTOR = "twisted.internet.asyncioreactor.AsyncioSelectorReactor"


@dataclass(frozen=True, repr=False)
class CrawlJob:
    """What the spider and the pipeline work with. Its text form shows no token."""

    archive: Archive
    identity: Identity
    accounts: AccountBook
    clock: Clock
    weibo: WeiboSettings
    stop: threading.Event
    once: bool = False
    on_progress: Progress | None = None

    @property
    def url(self) -> str:
        """Root of the interface."""
        return self.weibo.url

    def token(self, uid: str) -> str:
        """The account's access token; never written anywhere."""
        secret = self.weibo.tokens.get(uid)
        return secret.get_secret_value() if secret else ""

    def stopping(self) -> bool:
        """True when the crawl is to end."""
        return self.stop.is_set()

    def progress(self, source: str, done: PutReport) -> None:
        """Tell the caller what a page brought."""
        if self.on_progress is not None:
            self.on_progress(source, done)

    def missing(self, one: Round) -> list[int]:
        """Numbers of stored posts that the round's list should have held and did not."""
        kinds = (Kind.NOTICE,) if one.endpoint.name == "timeline" else (Kind.POST, Kind.REPOST)
        filters = Filters(since=one.oldest_time(), until=one.started, kinds=kinds,
                          offices=(one.source.account,))  # fmt: skip
        stored = (
            int(post.id.partition(":")[2])
            for post in self.archive.iter_posts(EVERYTHING, filters)
            if post.source.query == one.endpoint.name and post.deleted_at is None
        )
        inside = (
            number for number in stored
            if one.lowest <= number <= one.newest and number not in one.seen
        )  # fmt: skip
        return list(islice(inside, _CHECKED_A_ROUND))


def run_crawl(
    archive: Archive,
    sources: Sequence[Source] | None = None,
    *,
    weibo: WeiboSettings,
    identity: Identity,
    accounts: AccountBook,
    clock: Clock,
    stop: threading.Event | None = None,
    once: bool = False,
    on_progress: Progress | None = None,
) -> None:
    """Read all sources (default: those in the archive) again and again until `stop`, or once.

    SIGINT and SIGTERM set `stop` when called in the main thread. Returns when the last write is on
    disk. A process can do this once: Twisted's reactor does not start again. Raises `HuiyinError`
    when the crawl could not run; a source that fails is noted in its record and tried again.
    """
    chosen = list(sources) if sources is not None else known_sources(archive)
    chosen = [one for one in chosen if one.parameters.get("uid") in weibo.tokens]
    stop = stop or threading.Event()
    job = CrawlJob(archive, identity, accounts, clock, weibo, stop, once, on_progress)
    if not chosen:
        return
    # Appeals and notices first: a first reading of many accounts takes a while.
    order = list(ENDPOINTS)
    chosen.sort(key=lambda one: order.index(one.parameters["endpoint"]))
    failure = _run_reactor(job, chosen)
    if failure is not None:
        raise HuiyinError(f"采集没能运行：{failure}", "看日志 crawl.log") from failure


def _run_reactor(job: CrawlJob, sources: list[Source]) -> BaseException | None:
    from scrapy.utils.reactor import install_reactor

    install_reactor(_REACTOR)
    from scrapy.crawler import CrawlerRunner
    from twisted.internet import reactor as installed

    from crawler.spiders.weibo_official import WeiboOfficial

    for name in ("scrapy", "twisted"):  # their chatter holds addresses of every request
        logging.getLogger(name).setLevel(logging.WARNING)
    reactor: Any = installed  # typed as an interface without `installSignalHandlers`
    failures: list[BaseException] = []
    runner = CrawlerRunner(scrapy_settings(job.url))
    ended: Any = runner.crawl(WeiboOfficial, job=job, sources=sources)
    ended.addErrback(lambda failure: failures.append(failure.value))
    ended.addBoth(lambda _: reactor.stop())
    before = _on_signals(job.stop)
    try:
        reactor.run(installSignalHandlers=False)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return failures[0] if failures else None


def _on_signals(stop: threading.Event) -> dict[int, Any]:
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = (signal.SIGINT, signal.SIGTERM)
    return {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}


def scrapy_settings(url: str) -> dict[str, Any]:
    """Polite by default; a platform on this very machine needs no politeness."""
    local = is_loopback(url)
    return {
        "USER_AGENT": f"Huiyin/{__version__} (official API client)",
        "ITEM_PIPELINES": {"crawler.pipelines.ArchivePipeline": 100},
        "DOWNLOAD_HANDLERS": {
            "http": "crawler.handlers.TokenHandler",
            "https": "crawler.handlers.TokenHandler",
        },
        # robots.txt speaks to crawlers of pages; this is an interface called with an OAuth grant.
        "ROBOTSTXT_OBEY": False,
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOGSTATS_INTERVAL": 0,
        "AUTOTHROTTLE_ENABLED": not local,
        "AUTOTHROTTLE_START_DELAY": 1.0,
        "DOWNLOAD_DELAY": 0.0 if local else 1.0,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 8 if local else 1,
        "DOWNLOAD_TIMEOUT": 30,
        "DOWNLOAD_MAXSIZE": 64 << 20,
        "RETRY_TIMES": 3,
        "RETRY_HTTP_CODES": [500, 502, 503, 504, 522, 524, 408],
        "TWISTED_REACTOR": _REACTOR,
    }


def is_loopback(url: str) -> bool:
    """True for addresses of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
