"""What goes on beside the reading: leases, new sources, accounts and tokens, alerts of health."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from pydantic import SecretStr

from archive.base import Archive
from crawler.health import lasting, state_of
from crawler.leases import SourceLeases
from crawler.own_posts import OwnPosts, posts_of_account
from crawler.privacy import Identity
from crawler.sources import EVERYTHING, after_failure, ensure_sources, known_sources
from crawler.values import CHINA
from huiyin.errors import ArchiveError, Conflict, LoginExpired
from huiyin.records import Alert, Source

if TYPE_CHECKING:
    from crawler.accounts import AccountBook
    from crawler.crawl import CrawlJob

log = structlog.get_logger("crawler")
EVERY_SECONDS = 2.0
_ACCOUNTS_EVERY = 5
"""Accounts and tokens are read again every so many turns."""
_TELL_EVERY = 15
_OWN_EVERY = 30
"""Turns between two looks at what the own accounts posted: once a minute."""
_SLEEPY_EVERY = 1800
"""Turns between two looks at when the own accounts last posted: once an hour."""
SLEEPY_DAYS = (12, 7)
"""An own account without a post for 14 days has failed the national check."""
TOKEN_DAYS = (1, 7)
_NO_TOKEN = LoginExpired("这个账号没有授权", "请该账号的保管人授权：huiyin source login")
Ends = Callable[[], Mapping[str, datetime]]
"""When the access token of each account ends, where that is known."""


class Tender:
    """A thread that keeps a `CrawlJob` up to date with the archive until `end`."""

    def __init__(
        self,
        job: CrawlJob,
        tokens: Callable[[], Mapping[str, SecretStr]],
        accounts: Callable[[], AccountBook] | None,
        monotonic: Callable[[], float],
        ends: Ends | None = None,
        renewal: Callable[[], str] | None = None,
    ) -> None:
        """`renewal` makes the address where a keeper renews a grant."""
        self._job, self._tokens, self._accounts, self._ends = job, tokens, accounts, ends
        self._renewal = renewal
        self._told: set[str] = set()
        self._own = OwnPosts(job.archive, job.identity)
        self._leases = SourceLeases(job.archive, monotonic=monotonic)
        self._ended = threading.Event()
        self._turns = 0
        job.mine = self._leases.holds
        self._thread = threading.Thread(target=self._run, name="crawl-tender", daemon=True)

    def start(self) -> None:
        """Take the first leases, then go on in the background."""
        self.turn()
        self._thread.start()

    def end(self) -> None:
        """Stop, and give the leases back."""
        self._ended.set()
        self._thread.join()
        try:
            self._leases.release()
        except ArchiveError as error:
            log.warning("leases not given back", error=str(error))

    def _run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            self.turn()

    def turn(self) -> None:
        """Look once at all of it; `start` does so every two seconds."""
        job = self._job
        try:
            if self._turns % _ACCOUNTS_EVERY == 0:
                self._look_around()
            job.sources = tuple(known_sources(job.archive, None))
            self._leases.turn(
                (one.id for one in job.sources if not one.resting), lambda one: one in job.reading
            )
            tell_without_token(job)
            if self._turns % _TELL_EVERY == _TELL_EVERY - 1:
                self._tell(alerts_of_sources(job.sources, job.clock()))
                ends = self._ends() if self._ends else {}
                self._tell(alerts_of_tokens(ends, job.clock(), self._told, self._renewal))
            if self._turns % _OWN_EVERY == _OWN_EVERY - 1 and job.weibo.report_own_posts:
                self._tell(self._own.alerts(job.of_timelines(), job.accounts, job.clock()))
            if self._turns % _SLEEPY_EVERY == _SLEEPY_EVERY - 1:
                sleepers = alerts_of_sleepers(
                    job.archive, job.identity, job.of_timelines(), job.clock()
                )
                self._tell(sleepers)
        except ArchiveError as error:
            log.warning("sources not looked at", error=str(error))
        self._turns += 1

    def _tell(self, alerts: Iterable[Alert]) -> None:
        """Write each alert once, whoever of several processes comes first; `watch` delivers it."""
        for alert in alerts:
            if alert.id in self._told:
                continue
            with suppress(Conflict):
                self._job.archive.create(alert)
                log.error("operator told", alert=alert.id, title=alert.title)
            self._told.add(alert.id)

    def _look_around(self) -> None:
        job = self._job
        tokens = self._tokens()
        if self._accounts is not None:
            job.accounts = self._accounts()
        if tokens.keys() != job.tokens.keys():
            ensure_sources(job.archive, job.accounts, job.weibo, tokens)
        job.tokens = tokens


def tell_without_token(job: CrawlJob) -> None:
    """Sources of this process whose account has no token say so. Raises `ArchiveError`.

    Only the holder of a source's lease says it, and only once: the first reading with a token ends
    it.
    """

    def tell(source: Source) -> Source:
        return source if _is_told(source) else after_failure(source, job.clock(), _NO_TOKEN)

    for one in job.without_token():
        if one.id not in job.reading and not _is_told(one):
            job.archive.change(Source, one.id, EVERYTHING, tell)
            log.warning("no token", source=one.id)


def _is_told(source: Source) -> bool:
    open_gap = bool(source.gaps) and source.gaps[-1].ends_at is None
    return source.resting or (source.state == state_of(_NO_TOKEN) and open_gap)


def alerts_of_sources(sources: Iterable[Source], now: datetime) -> Iterator[Alert]:
    """One alert for each trouble that lasts, named by source, state and its beginning."""
    for one in sources:
        state = lasting(one, now)
        if state is None or one.state_since is None:
            continue
        since = one.state_since.astimezone(CHINA)
        yield Alert(
            id=f"alert:{one.id}:{one.state}:{one.state_since:%Y%m%d%H%M%S}", offices=one.offices,
            incident="", rule="source-health", title=f"采集：{state.title}", created_at=now,
            text=f"来源 {one.id} 从 {since:%m月%d日 %H:%M} 起{state.title}：{one.reason}。"
                 f"这段时间有没有新内容，我们不知道。办法：{state.mend}。",
        )  # fmt: skip


def alerts_of_tokens(
    ends: Mapping[str, datetime], now: datetime, told: Container[str] = (),
    renewal: Callable[[], str] | None = None,
) -> Iterator[Alert]:  # fmt: skip
    """A token's keeper is told 7 days and 1 day before it ends, with the link where it is renewed.

    `told`: ids that need not be made again.
    """
    for uid, end in ends.items():
        days = next((one for one in TOKEN_DAYS if end - now <= timedelta(days=one)), None)
        name = f"alert:token:{uid}:{end:%Y%m%d}:{days}"
        if days is None or name in told:
            continue
        mend = "请账号保管人运行 huiyin source login 重新授权。"
        if link := renewal() if renewal else "":
            mend = (
                f"请账号保管人在登录着该账号的浏览器里打开 {link} 并同意，再把浏览器地址栏里的"
                "整个地址交给管理员，运行 huiyin source login --pasted 地址。"
            )
        yield Alert(
            id=name, incident="", rule="token-ends", offices=(f"weibo:{uid}",),
            title="微博授权快到期", created_at=now,
            text=f"账号 {uid} 的授权在 {end.astimezone(CHINA):%m月%d日 %H:%M} 到期，"
                 f"到期后收不到它的消息。{mend}",
        )  # fmt: skip


def alerts_of_sleepers(
    archive: Archive, identity: Identity, timelines: Iterable[Source], now: datetime
) -> Iterator[Alert]:
    """An own account without a post for 7 days, and again at 12."""
    for one in timelines:
        if one.state != "ok" or one.covered_since is None:
            continue  # what we could not look at is not called silent
        latest = one.covered_since
        for post in posts_of_account(
            archive, identity, one, now - timedelta(days=max(SLEEPY_DAYS) + 3)
        ):
            latest = max(latest, post.created_at)
        idle = now - latest
        for days in SLEEPY_DAYS:
            if idle >= timedelta(days=days):
                yield Alert(
                    id=f"alert:sleepy:{one.account}:{latest:%Y%m%d}:{days}", incident="",
                    rule="account-sleeps", offices=one.offices, title="账号多日没有更新",
                    text=f"{one.account} 已有 {idle.days} 天没有发布内容；"
                         "连续 14 天不更新，全国政务新媒体检查即为不合格。",
                    created_at=now,
                )  # fmt: skip
                break
