"""What people do with sources, the same from the command line and the console.

Add one, stop it and let it go on, and tell how fresh it can be with its allowance.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from archive.base import Archive, Stored
from crawler.accounts import AccountBook
from crawler.boards import load_layout
from crawler.budget import Budget, Plan, plan, purse_of, quota_id
from crawler.doors import KINDS, PARAMETERS, check_parameters
from crawler.health import State, standing
from crawler.sources import PUSH, SPIDERS, stopped
from crawler.sources import SPIDER as OFFICIAL
from crawler.watch_list import WatchList
from crawler.weibo_api import ENDPOINTS
from huiyin.errors import InputError, NotAllowed, SourceRefused
from huiyin.records import Quota, Scope, Source, append_act

TITLES: Mapping[str, str] = {
    **{name: kind.title for name, kind in SPIDERS.items()},
    "feed": "订阅源（RSS、Atom、JSON Feed）", "message_board": "留言板", "notices": "官方站点通知",
}  # fmt: skip
"""Spider -> what it is called."""
_FIELDS: Mapping[str, str] = {
    "endpoint": "看哪个列表", "uid": "用哪个账号的授权（微博数字编号）",
    "host": "写 commercial 用商业接口", "of": "看哪个账号（数字编号），默认自己",
    "q": "找哪些词（空格隔开，都要有）", "watch": "或按哪份盯看名单找",
    "weight": "占额度的份量，默认按列表",
    "province": "省份编号",
    "subid": "订阅编号（向平台申请推送时得到）",
    "provinces": "逐个省份找（编号，逗号隔开）", "exclude": "提到这些词的不要",
    "since_days": "第一次往回找几天",
}  # fmt: skip

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "endpoint": tuple(ENDPOINTS), "kind": ("post", "notice"), "host": ("commercial",),
}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """A parameter of a kind of source, as a form asks for it."""

    name: str
    about: str
    needed: bool
    options: tuple[str, ...] = ()
    """The values that it may have; none = anything."""


def fields_of(spider: str) -> list[Field]:
    """What a source of this kind is told, the needed ones first."""
    if spider in SPIDERS:
        kind = SPIDERS[spider]
        return [
            Field(name, _FIELDS.get(name, name), name in kind.needs, _OPTIONS.get(name, ()))
            for name in (*kind.needs, *kind.knows)
        ]
    known = PARAMETERS.get(spider, {})
    return [
        Field(name, about, place == 0, _OPTIONS.get(name, ()))
        for place, (name, about) in enumerate(known.items())
    ]


def check(spider: str, given: Mapping[str, str]) -> None:
    """Raise `InputError` for a source that cannot be."""
    if spider in KINDS:
        check_parameters(spider, given)
        return
    if spider not in SPIDERS:
        raise InputError(f"没有 {spider} 这种来源", f"可用的是 {'、'.join((*SPIDERS, *KINDS))}")
    kind = SPIDERS[spider]
    allowed = {*kind.needs, *kind.knows}
    if missing := [one for one in kind.needs if not given.get(one)]:
        raise InputError(f"{kind.title}还缺 {'、'.join(missing)}", "写成 名称=值")
    if strange := sorted(set(given) - allowed):
        raise InputError(
            f"{kind.title}没有 {'、'.join(strange)} 这个参数",
            f"可用的是 {'、'.join(sorted(allowed))}",
        )
    if kind.one_of and sum(bool(given.get(one)) for one in kind.one_of) != 1:
        raise InputError(f"{kind.title}要写 {' 或 '.join(kind.one_of)}，只写一个",
                         "例如 q=停水，或 region=410100 由回音提出名单")  # fmt: skip
    if "endpoint" in given and given["endpoint"] not in ENDPOINTS:
        raise InputError(f"没有 {given['endpoint']} 这个列表", f"可用的是 {'、'.join(ENDPOINTS)}")
    if any(sign in given.get("q", "") for sign in '{}"“”'):
        raise InputError("检索词里不能有花括号和引号", "只写词，词之间空格")
    for name in ("uid", "of"):
        if given.get(name) and not re.fullmatch(r"[0-9]{1,20}", given[name]):
            raise InputError(f"{name} 应是微博账号的数字编号，不是“{given[name][:30]}”",
                             "huiyin account list 看编号")  # fmt: skip
    if given.get("endpoint") == "topic" and not given.get("q"):
        raise InputError("读话题要写话题的名称", "加上 q=话题，不带 #")


def check_reach(
    spider: str, given: Mapping[str, str], layouts: Path | None, allowed: Sequence[str] | None
) -> None:
    """Raise for a feed or a page that could not be read here: no layout, or an inside address.

    `layouts`, `allowed`: of the settings; None = not looked at.
    """
    url = given.get("url", "")
    if spider in KINDS and given.get("layout") and layouts is not None:
        url = load_layout(given["layout"], layouts).list.url
    if not url or allowed is None:
        return
    from crawler.guard import Guard

    guard = Guard(allowed)
    try:
        guard.check_url(url)
    except SourceRefused as error:
        raise InputError(error.message, error.mend) from error
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    inside = host == "localhost" or host.endswith((".localhost", ".local"))
    if inside and not guard.allows(host, port):
        raise InputError("网址指向本机或内部网络", "请管理员把它写进 collect.allow_hosts")


def new_source(
    spider: str, given: Mapping[str, str], *, accounts: AccountBook, office: str,
    every_seconds: float, account: str | None = None, every: float | None = None, by: str,
    now: datetime, watch_lists: Path | None = None, layouts: Path | None = None,
    allowed: Sequence[str] | None = None,
) -> Source:  # fmt: skip
    """A source that is not stored yet. `every`: seconds; `every_seconds`: of the settings.

    With `watch_lists`, the folder of the watch lists, the one that is named there must be whole;
    `layouts` and `allowed` likewise: see `check_reach`.
    Raises `InputError`, `FileFormatError`.
    """
    check(spider, given)
    check_reach(spider, given, layouts, allowed)
    WatchList.in_parameters(given, watch_lists)
    if every is not None and not 0 < every < math.inf:
        raise InputError("间隔应大于 0 秒", "例如 900")
    served = account or _account_of(accounts, given, office)
    known = accounts.accounts.get(served)
    said = "\n".join(f"{name}={given[name]}" for name in sorted(given))
    digest = hashlib.sha256(f"{spider}\n{said}".encode()).hexdigest()[:10]
    return Source(
        id=f"source:{spider}:{digest}", spider=spider, parameters=dict(given), account=served,
        offices=known.offices if known and known.offices else (served,),
        every_seconds=every or (SPIDERS[PUSH].every_seconds if spider == PUSH else every_seconds),
        acts=append_act((), at=now, actor=by, what="add-source"),
    )  # fmt: skip


def _account_of(accounts: AccountBook, given: Mapping[str, str], office: str) -> str:
    uid = given.get("of") or given.get("uid")
    if not uid:
        return office
    found = accounts.find("weibo", uid, None)
    return found.id if found else f"weibo:{uid}"


def pause(
    archive: Archive, source_id: str, scope: Scope, *, resume: bool, by: str, now: datetime
) -> Stored[Source]:
    """Stop a source (the time counts as not seen) or let it go on. Raises `NotFound`."""

    def edit(one: Source) -> Source:
        if one.ended_at is not None:
            raise InputError("这个临时来源已经随事件结束", "事件重新打开时它自己接着读")
        if one.paused is not resume:
            return one
        what = "resume-source" if resume else "pause-source"
        acts = append_act(one.acts, at=now, actor=by, what=what)
        if resume:
            return one.model_copy(update={"paused": False, "acts": acts})
        marked = stopped(one, now, "paused", "人为暂停")
        kept = {"paused": True, "state": one.state, "reason": one.reason, "acts": acts}
        return marked.model_copy(update=kept)

    return archive.change(Source, source_id, scope, edit)


def name_of(source: Source, *, short: bool = False) -> str:
    """What a source is in words: its kind and what it reads (`short`: only the host of it)."""
    said = source.parameters
    url = said.get("url", "")
    if source.spider == OFFICIAL:
        endpoint = ENDPOINTS.get(said.get("endpoint", ""))
        what = endpoint.title if endpoint else said.get("endpoint", "")
        what += f"“{said['q']}”" if said.get("q") else ""
        what += "" if short else f"（账号 {said.get('of') or said.get('uid', '')}）"
    elif url:
        what = (urlsplit(url).hostname or url) if short else url
    else:
        watch = f"名单 {said['watch']}" if said.get("watch") else ""
        what = said.get("q") or said.get("layout") or said.get("subid") or watch or source.id
    title = TITLES.get(source.spider, source.spider)
    return what if short and source.spider == OFFICIAL else f"{title}：{what}"


def allowed_for(source: Source, scope: Scope) -> None:
    """Raise `NotAllowed` when the asker may not add a source that serves this account."""
    if not scope.allows(source.offices):
        raise NotAllowed("这个账号不归您负责", "换一个账号，或请管理员授权", reason="scope")


@dataclass(frozen=True)
class Outlook:
    """How a source is and what may be expected of it."""

    state: State | None
    quota: Quota | None
    """None = no limit is known."""
    plan: Plan

    @property
    def seen_after(self) -> str:
        """How late a post may be seen, in words."""
        day, night = self.plan.seen_by_day, self.plan.seen_by_night
        words = f"{_span(day)}内"
        return words if night <= day * 1.01 else f"{words}（夜间 {_span(night)}）"

    @property
    def quota_words(self) -> str:
        """Calls spent of those allowed."""
        return f"{self.quota.used}/{self.quota.limit}" if self.quota else "—"


def outlook(
    source: Source, every: Iterable[Source], archive: Archive, *, calls_per_day: int, now: datetime
) -> Outlook:
    """`every`: all sources, of which some share the allowance. Raises `ArchiveError`."""
    quota = None
    purse = purse_of(source)
    if source.spider in SPIDERS and purse:  # the push stream spends no calls
        stored = archive.get(Quota, quota_id(purse), Scope.everything())
        # before the first reading the settings tell of the allowance
        quota = stored.record if stored else Budget(archive, calls_per_day).quota(purse, now)
    beside = [one for one in every if purse_of(one) == purse]
    return Outlook(standing(source), quota, plan(source, beside, quota))


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{math.ceil(seconds)} 秒"
    # rounded up: a promise that is a little short would be broken
    if seconds < 5400:
        return f"{math.ceil(seconds / 60)} 分钟"
    return f"{math.ceil(seconds / 360) / 10:.1f} 小时"
