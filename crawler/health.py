"""How a source is: each way of not working is a state of its own, with the mend in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from huiyin.errors import (
    CollectError,
    LayoutChanged,
    LoginExpired,
    QuotaExceeded,
    SourceBlocked,
    SourceRefused,
)
from huiyin.records import Source

STATES: Mapping[type[CollectError], str] = {
    LoginExpired: "login_expired", QuotaExceeded: "quota", SourceRefused: "refused",
    SourceBlocked: "blocked", LayoutChanged: "layout",
}  # fmt: skip
WEEK_HOURS = 24 * 7
SLOW_SECONDS = 10.0
"""Answers that take longer, smoothed, make a source slow."""
_IMPROBABLE = 1e-4
_LEAST_EXPECTED = 10.0
"""With fewer posts than this to be expected, silence says nothing."""


@dataclass(frozen=True)
class State:
    """What a state means, what mends it, and how long it may last before somebody is told."""

    title: str
    mend: str
    lasts: timedelta | None = None
    """None = nobody is told."""


HEALTH: Mapping[str, State] = {
    "new": State("还没有读过", "采集进程启动后会开始读取"),
    "ok": State("正常", ""),
    "login_expired": State(
        "登录已过期", "请账号保管人重新授权：huiyin source login；期间的内容没有看到",
        timedelta(0),
    ),
    "quota": State(
        "接口次数用完", "到平台规定的时间自动继续并补读；长期不够请申请商业接口",
        timedelta(hours=6),
    ),
    "refused": State(
        "平台拒绝", "到平台控制台申请该接口的权限，或核对账号编号", timedelta(hours=1)
    ),
    "blocked": State(
        "被平台挡住", "在平台控制台查看应用和网络出口是否受限，联系平台解除；已放慢",
        timedelta(minutes=30),
    ),
    "layout": State(
        "返回格式变了", "请把 var/log/crawl.log 报告给开发者，等新版本；期间的内容没有看到",
        timedelta(minutes=30),
    ),
    "slow": State("很慢", "看网络和平台是否拥堵；读到的内容会晚一些", timedelta(hours=2)),
    "silent": State(
        "异常安静", "比平时这个时候少得多：到平台上看一眼，账号或接口是否受限", timedelta(hours=1)
    ),
    "failing": State(
        "反复失败", "会自动重试；若持续，检查网络，看 var/log/crawl.log", timedelta(minutes=30)
    ),
    "paused": State("人为暂停", "huiyin source pause --resume 恢复"),
    "ended": State("随事件结束", "事件重新打开时自己接着读，并补读这段时间"),
    "cut_off": State("超出平台页数", "平台只给最近的内容；把读取间隔调短，或申请商业接口"),
    "behind": State("还在补读", "正在读，读完即补齐"),
}  # fmt: skip

_SITES: Mapping[str, tuple[str, str]] = {
    "login_expired": ("要登录才能看", "请换成公开的网址，或改用导入"),
    "quota": ("访问过于频繁", "过些时候会自动再读；总是如此请把读取间隔调长"),
    "refused": ("读不了", "核对网址；请网站的管理者放行，或改用导入"),
    "blocked": ("被网站挡住", "请网站的管理者放行，或改用导入；已放慢"),
    "layout": ("页面改版了", "重新运行 huiyin source learn 网址，更新页面说明文件"),
    "slow": ("很慢", "看网络和网站是否拥堵；读到的内容会晚一些"),
    "silent": ("异常安静", "比平时这个时候少得多：到网站上看一眼，网址是否换了"),
    "failing": ("反复失败", "会自动重试；若持续，检查网址和网络，看 var/log/crawl.log"),
    "cut_off": ("新内容太多", "中间有内容没有读到；把读取间隔调短"),
}
"""Title and mend where not the platform but a site is read and the error says nothing better."""


def is_site(source: Source) -> bool:
    """True for a feed or a page, which knows no grant and no console of a platform."""
    return not source.spider.startswith("weibo_")


def parted(reason: str) -> tuple[str, str]:
    """What happened, and the mend that stands in brackets at the end of an error's words."""
    depth = 0
    for place in range(len(reason) - 1, 0, -1) if reason.endswith("）") else ():
        depth += (reason[place] == "）") - (reason[place] == "（")
        if not depth:
            return reason[:place], reason[place + 1 : -1]
    return reason, ""


def standing(source: Source) -> State | None:
    """The state of a source with the mend that is right for it; None = not known."""
    name = "ended" if source.ended_at else "paused" if source.paused else source.state
    state = HEALTH.get(name)
    if state is None or not is_site(source) or name not in _SITES:
        return state
    title, mend = _SITES[name]
    return State(title, parted(source.reason)[1] or mend, state.lasts)


def state_of(error: CollectError) -> str:
    """The state that an error puts a source in."""
    return next((name for kind, name in STATES.items() if isinstance(error, kind)), "failing")


def add_hour(
    hours: tuple[tuple[int, int], ...], now: datetime, fresh: int
) -> tuple[tuple[int, int], ...]:
    """The counts of the last week with `fresh` more in this hour."""
    this = int(now.timestamp()) // 3600
    known = dict(hours)
    known[this] = known.get(this, 0) + fresh
    return tuple(sorted((hour, count) for hour, count in known.items() if hour > this - WEEK_HOURS))


def is_silent(hours: tuple[tuple[int, int], ...], now: datetime) -> bool:
    """True when the last hours brought far less than these hours of the day usually bring.

    Usual is the median of the same hour on the days before (at least three). The last 1, 2, 3, ...
    12 whole hours are looked at; silence is a count that a Poisson process of the usual rate would
    show less than once in 10,000 times.
    """
    this = int(now.timestamp()) // 3600
    known = dict(hours)
    expected, got = 0.0, 0
    for back in range(1, 13):
        hour = this - back
        days = [known[hour - 24 * day] for day in range(1, 7) if hour - 24 * day in known]
        if len(days) < 3 or hour not in known:
            return False
        expected += median(days)
        got += known[hour]
        if expected >= _LEAST_EXPECTED and _at_most(got, expected) < _IMPROBABLE:
            return True
    return False


def _at_most(got: int, expected: float) -> float:
    """Probability of at most `got` events where `expected` are (Poisson)."""
    term = math.exp(-expected)
    total = term
    for number in range(1, got + 1):
        term *= expected / number
        total += term
    return total


def lasting(source: Source, now: datetime) -> State | None:
    """The state that has lasted long enough to tell the operator, else None.

    Not of a temporary one: what is wrong with its grant its standing neighbours tell.
    """
    state = standing(source)
    if source.incident or source.paused or source.state_since is None:
        return None
    if state is None or state.lasts is None:
        return None
    return state if now - source.state_since >= state.lasts else None
