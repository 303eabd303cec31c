"""The doors beside Weibo: feeds and pages, which parameters their sources take, and how they run.

`start` joins them to a Scrapy process that runs anyway; `run_doors` is one of their own.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from archive.base import PutReport
from crawler.accounts import AccountBook
from crawler.boards import check_layout_name
from crawler.page_text import public_url
from crawler.privacy import Identity
from crawler.watch_list import WatchList
from huiyin import __version__
from huiyin.clock import Clock
from huiyin.errors import HuiyinError, InputError
from huiyin.records import Source

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.spiders.doors import DoorSpider
    from crawler.stores import Store

KINDS = ("feed", "message_board", "notices")
Progress = Callable[[str, PutReport], None]


@dataclass(frozen=True, repr=False)
class DoorJob:
    """What these spiders work with."""

    store: Store
    identity: Identity
    accounts: AccountBook
    clock: Clock
    stop: threading.Event
    layouts: Path
    """Folder of the office's own layout files."""
    once: bool = False
    only: frozenset[str] | None = None
    """Ids of the sources to read; None = all of these kinds."""
    on_progress: Progress | None = None
    mine: Callable[[Source], bool] | None = None
    """False = another host reads this source just now."""
    watch_lists: Path | None = None
    """Folder of the watch lists."""
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    """What `{secret:NAME}` in a source's address stands for."""

    def secret(self, name: str) -> str:
        """The secret of this name, "" when there is none; never written anywhere."""
        known = self.secrets.get(name)
        return known.get_secret_value() if known else ""

    def stopping(self) -> bool:
        """True when the job is to end."""
        return self.stop.is_set()

    def wants(self, source: Source) -> bool:
        """True for a source that is to be read here."""
        if source.resting or (self.only is not None and source.id not in self.only):
            return False
        return self.mine is None or self.mine(source)

    def progress(self, source: str, done: PutReport) -> None:
        """Tell the caller what a page brought."""
        if self.on_progress is not None:
            self.on_progress(source, done)


PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "feed": {
        "url": "订阅源的网址（RSS、Atom、JSON Feed 或 RSSHub 路由）",
        "kind": "post（默认）或 notice（官方站点，内容可作答复依据）",
        "unit": "notice 的发布单位名称，默认为订阅源的标题",
        "platform": "编号前的平台名，默认 web",
        "words": "只留提到这些词的（空格隔开）；默认全留",
        "without": "提到这些词的不留",
        "watch": "按这份盯看名单留（collect.watch_lists 里的文件名，不带 .toml）",
    },
    "message_board": {"layout": "页面说明文件的名称（不带 .toml）"},
    "notices": {"layout": "页面说明文件的名称（不带 .toml）"},
}
"""Spider -> parameter -> what it means; the first one is required."""


_OPENS = re.compile(
    r"[?&](?:access_?token|token|api_?key|key|secret|sign|signature|password|auth)="
    r"(?!(?:\{|%7B)secret:)[^&]",
    re.IGNORECASE,
)


def check_parameters(spider: str, parameters: Mapping[str, str]) -> None:
    """Raise `InputError` for parameters that a source of this spider cannot have."""
    known = PARAMETERS.get(spider)
    if known is None:
        raise InputError(f"没有 {spider} 这种来源", f"可用的是 {'、'.join(PARAMETERS)}")
    required = next(iter(known))
    if not parameters.get(required):
        raise InputError(f"{spider} 来源缺少 {required}", f"{required}：{known[required]}")
    if strange := set(parameters) - set(known):
        raise InputError(
            f"{spider} 来源没有 {'、'.join(sorted(strange))} 这个参数",
            f"可用的是 {'、'.join(known)}",
        )
    if "url" in parameters and not public_url(parameters["url"]):
        raise InputError(f"网址的写法不对：{parameters['url']}", "以 http:// 或 https:// 开头")
    if "@" in urlsplit(parameters.get("url", "").strip()).netloc:
        raise InputError(
            "网址里写了用户名或密码，不能存进档案", "去掉网址里 @ 前的部分；要登录的网站读不了"
        )
    if _OPENS.search(parameters.get("url", "")):
        raise InputError(
            "网址里有令牌或密钥，不能存进档案",
            '写进 collect.secrets，例如 [collect.secrets] hub = "…"，网址里写 key={secret:hub}',
        )
    if "layout" in parameters:
        check_layout_name(parameters["layout"])
    WatchList.in_parameters(parameters)
    if parameters.get("words") and parameters.get("watch"):
        raise InputError("words 和 watch 只能有一个", "词写进名单文件，或去掉 watch")
    if parameters.get("kind", "post") not in ("post", "notice"):
        raise InputError("kind 应为 post 或 notice", "改正后再加")


def spider_of(kind: str) -> type[DoorSpider]:
    """The spider of a kind of source."""
    from crawler.spiders.feed import FeedSpider
    from crawler.spiders.message_board import MessageBoardSpider
    from crawler.spiders.notices import NoticesSpider

    kinds: dict[str, type[DoorSpider]] = {
        one.kind: one for one in (FeedSpider, MessageBoardSpider, NoticesSpider)
    }
    return kinds[kind]


def door_settings(allowed: Sequence[str], contact: str = "") -> dict[str, Any]:
    """Scrapy settings of these spiders: slow, open about who asks, obedient to robots.txt.

    Hosts that the operator allowed by address are the office's own and need no slowness.
    """
    from crawler.guard import guard_settings

    guarded = guard_settings(allowed)
    handlers = dict.fromkeys(("http", "https"), "crawler.secret_handler.SecretHandler")
    robots = {
        "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
        "crawler.robots.OneAtATime": 100,
    }
    return {
        **guarded,
        "DOWNLOAD_HANDLERS": {**guarded["DOWNLOAD_HANDLERS"], **handlers},
        "DOWNLOADER_MIDDLEWARES": {**guarded["DOWNLOADER_MIDDLEWARES"], **robots},
        "USER_AGENT": f"Huiyin/{__version__} ({contact or 'government office feed reader'})",
        "ITEM_PIPELINES": {},
        "ROBOTSTXT_OBEY": True,
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOGSTATS_INTERVAL": 0,
        "AUTOTHROTTLE_ENABLED": True,
        "AUTOTHROTTLE_START_DELAY": 1.0,
        "DOWNLOAD_DELAY": 1.0,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
        "DOWNLOAD_SLOTS": {
            one: {"concurrency": 4, "delay": 0.0, "jitter": 0, "throttle": False}
            for one in ("127.0.0.1", "localhost", "::1")
        },
        "RETRY_TIMES": 2,
        "RETRY_HTTP_CODES": [500, 502, 503, 504, 522, 524, 408],
        "TWISTED_REACTOR": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
    }


def keep_quiet() -> None:
    """Scrapy's downloader names whole addresses in its errors, and links of strangers may hold

    numbers of persons and tokens; what failed is told by the spiders in their own words.
    """
    for name in ("scrapy.downloadermiddlewares", "scrapy.core.downloader", "scrapy.core.engine"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def start(
    job: DoorJob, allowed: Sequence[str], contact: str = "", kinds: Sequence[str] = KINDS
) -> list[Any]:
    """Start the spiders in the reactor that is installed; returns a Deferred each."""
    from scrapy.crawler import CrawlerRunner

    keep_quiet()
    runner = CrawlerRunner(door_settings(allowed, contact))
    return [runner.crawl(spider_of(kind), job=job) for kind in kinds]


def run_doors(
    job: DoorJob, allowed: Sequence[str], contact: str = "", kinds: Sequence[str] = KINDS
) -> None:
    """Read the sources of these kinds until `job.stop`, or once. A process can do this once.

    Raises `HuiyinError` when the spiders could not run.
    """
    from scrapy.utils.reactor import install_reactor

    install_reactor("twisted.internet.asyncioreactor.AsyncioSelectorReactor")
    from twisted.internet import defer
    from twisted.internet import reactor as installed

    for name in ("scrapy", "twisted"):  # their chatter holds addresses of every request
        logging.getLogger(name).setLevel(logging.WARNING)
    reactor: Any = installed
    failures: list[BaseException] = []
    endings = start(job, allowed, contact, kinds)
    for one in endings:
        one.addErrback(lambda failure: failures.append(failure.value))
    defer.DeferredList(endings).addBoth(lambda _: reactor.stop())
    reactor.run(installSignalHandlers=False)
    if failures:
        raise HuiyinError(f"采集没能运行：{failures[0]}", "看日志 crawl.log") from failures[0]
