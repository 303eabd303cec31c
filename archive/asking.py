"""What every engine does around a search: looks at the request, fills the timeline, marks words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from archive import query as q
from archive.base import FACETS, TIMEZONE, SearchRequest
from archive.tokens import spans
from huiyin.errors import ArchiveError
from huiyin.records import Post

FACET_VALUES = 100
LARGEST_PAGE = 10_000
UNITS = ("hour", "day", "week", "month")
ZONE = ZoneInfo(TIMEZONE)


def check(request: SearchRequest) -> None:
    """Raise `ArchiveError` for what no engine can do."""
    unknown = [name for name in request.facets if name not in FACETS]
    if unknown:
        raise ArchiveError(f"没有 {unknown[0]} 这个分面", f"可用：{' '.join(FACETS)}")
    if request.timeline not in (None, *UNITS):
        raise ArchiveError(f"没有 {request.timeline} 这种时间粒度", "可用：hour day week month")
    if not 0 <= request.limit <= LARGEST_PAGE:
        raise ArchiveError(f"一页最多 {LARGEST_PAGE} 条", "请用 next_cursor 翻页")


def strange_cursor() -> ArchiveError:
    """A cursor that is none of ours."""
    return ArchiveError("翻页标记无法识别", "请从第一页重新检索")


def highlights(post: Post, words: list[q.Words]) -> tuple[tuple[int, int], ...]:
    """[start, end) positions in the text where any of the words stand, joined where they touch."""
    found = sorted(
        span
        for one in words if one.field == "text"
        for span in spans(post.text, one.words, prefix=one.prefix)
    )  # fmt: skip
    joined: list[tuple[int, int]] = []
    for start, end in found:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def filled(counts: Mapping[datetime, int], unit: str) -> tuple[tuple[datetime, int], ...]:
    """Buckets of `UNITS` from the first to the last, empty ones included; local times."""
    out: list[tuple[datetime, int]] = []
    if not counts:
        return ()
    at, last, following = min(counts), max(counts), _FOLLOWING[unit]
    while at <= last:
        out.append((at, counts.get(at, 0)))
        at = following(at)
    return tuple(out)


_FOLLOWING: Mapping[str, Callable[[datetime], datetime]] = {
    "hour": lambda at: at + timedelta(hours=1),
    "day": lambda at: at + timedelta(days=1),
    "week": lambda at: at + timedelta(weeks=1),
    "month": lambda at: (at + timedelta(days=32)).replace(day=1),
}
