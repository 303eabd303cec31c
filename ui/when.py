"""Times as people read them: Asia/Shanghai, with a hint how far away."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

# China has kept one time zone without summer time since 1991, so this needs no tz database.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")


def local(at: datetime) -> datetime:
    """The same moment in Asia/Shanghai."""
    return at.astimezone(SHANGHAI)


def stamp(at: datetime, now: datetime) -> str:
    """`11-22 09:05`, with the year when it is another one."""
    here = local(at)
    form = "%m-%d %H:%M" if here.year == local(now).year else "%Y-%m-%d %H:%M"
    return here.strftime(form)


def span_words(seconds: float) -> str:
    """`40 秒`, `12 分钟`, `3 小时 5 分`, `2 天 4 小时`."""
    whole = round(abs(seconds))
    if whole < 60:
        return f"{whole} 秒"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} 分钟"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} 小时 {rest} 分" if rest else f"{hours} 小时"
    days, hours = divmod(hours, 24)
    return f"{days} 天 {hours} 小时" if hours else f"{days} 天"


def ago(at: datetime, now: datetime) -> str:
    """`12 分钟前`, or `12 分钟后` for the future."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 5:
        return "刚刚"
    return f"{span_words(seconds)}{'前' if seconds > 0 else '后'}"


def when(at: datetime, now: datetime) -> str:
    """`11-22 09:05（12 分钟前）`"""
    return f"{stamp(at, now)}（{ago(at, now)}）"


def due(at: datetime, now: datetime) -> str:
    """`还剩 3 小时` or `已超时 20 分钟`."""
    seconds = (at - now).total_seconds()
    return f"还剩 {span_words(seconds)}" if seconds >= 0 else f"已超时 {span_words(seconds)}"
