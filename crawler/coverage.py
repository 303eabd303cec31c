"""What each source covered and what not: asked by charts, pages and reports.

"We could not look" is never "nothing there": a stretch of time is covered, or it has a reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from crawler.health import HEALTH
from crawler.refreshing import COUNTS
from huiyin.records import Gap, Source


@dataclass(frozen=True)
class Stretch:
    """A stretch of time of one source, [start, end)."""

    source: str
    start: datetime
    end: datetime
    state: str
    """covered, caught_up (read late), unknown (before the first reading), or the gap's state."""
    reason: str = ""
    missed: int | None = None
    """About so many posts were there and not read; None = not known."""
    caught_up_at: datetime | None = None

    @property
    def blind(self) -> bool:
        """True: posts of this time may be missing; a chart hatches it, whatever it counts."""
        return self.state not in ("covered", "caught_up")

    @property
    def title(self) -> str:
        """The state in Chinese."""
        names = {"covered": "已读到", "caught_up": "后来补齐", "unknown": "还没有开始读"}
        state = HEALTH.get(self.state)
        return names.get(self.state) or (state.title if state else self.state)


def coverage(source: Source, start: datetime, end: datetime) -> list[Stretch]:
    """The timeline of a source between two times, without overlaps, oldest first.

    Where gaps overlap, one that was not caught up stands before one that was.
    """
    marks = sorted({start, end, *_edges(source, start, end)})
    found: list[Stretch] = []
    for one, following in pairwise(marks):
        stretch = _stretch(source, one, following)
        last = found[-1] if found else None
        if last is not None and _same(last, stretch):
            found[-1] = Stretch(**{**vars(last), "end": following})
        else:
            found.append(stretch)
    return found


def blind_spots(sources: Iterable[Source], start: datetime, end: datetime) -> list[Stretch]:
    """Every stretch of every source that a chart between two times has to hatch."""
    bringing = filter(brings_posts, sources)
    return [one for source in bringing for one in coverage(source, start, end) if one.blind]


def brings_posts(source: Source) -> bool:
    """False for what only counts again what is stored: while it fails, no post goes unseen."""
    return source.parameters.get("endpoint") != COUNTS


def open_gaps(sources: Iterable[Source]) -> list[Gap]:
    """Gaps whose posts may still be missing: not caught up."""
    bringing = filter(brings_posts, sources)
    return [gap for source in bringing for gap in source.gaps if gap.caught_up_at is None]


def _edges(source: Source, start: datetime, end: datetime) -> Iterable[datetime]:
    times = [source.covered_since, source.last_ok_at, source.ended_at]
    for gap in source.gaps:
        times += [gap.starts_at, gap.ends_at]
    return [time for time in times if time is not None and start < time < end]


def _stretch(source: Source, start: datetime, end: datetime) -> Stretch:
    gaps = [
        gap for gap in source.gaps
        if gap.starts_at <= start and (gap.ends_at is None or gap.ends_at >= end)
    ]  # fmt: skip
    gaps.sort(key=lambda gap: (gap.caught_up_at is not None, -(gap.missed or 0)))
    if gaps:
        gap = gaps[0]
        state = "caught_up" if gap.caught_up_at else gap.state
        return Stretch(source.id, start, end, state, gap.reason, gap.missed, gap.caught_up_at)
    if source.ended_at is not None and start >= source.ended_at:
        return Stretch(source.id, start, end, "ended", "事件已经结束，没有再看")
    since, until = source.covered_since, source.last_ok_at
    if since is None or end <= since:
        return Stretch(source.id, start, end, "unknown", "这时还没有开始读这个来源")
    if until is None or start >= until:
        return Stretch(source.id, start, end, "behind", "上次读到之后还没有再读")
    return Stretch(source.id, start, end, "covered")


def _same(one: Stretch, other: Stretch) -> bool:
    return (one.state, one.reason, one.caught_up_at) == (
        other.state, other.reason, other.caught_up_at
    )  # fmt: skip
