"""One reading of one feed or site: what it brought, and what it leaves in the source's record."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from crawler.health import SLOW_SECONDS, add_hour, is_silent
from crawler.sources import CUT_OFF, after_failure, kept
from huiyin.errors import CollectError
from huiyin.records import Gap, Source

_SILENT = "silent"
_QUIET = timedelta(seconds=30)
"""An unchanged source is written this often at most: each write waits for the disk."""


@dataclass(eq=False)
class Visit:
    """Filled by the spider while it reads."""

    source: Source
    started: datetime
    memory: dict[str, Any] = field(default_factory=dict)
    """What the source's cursor holds: kept only when the visit ends well."""
    error: CollectError | None = None
    overlaps: bool = False
    """It reached what was known before: nothing between passed unseen."""
    unread: Gap | None = None
    """A time that this visit could not reach although it went well."""
    oldest: datetime | None = None
    """The oldest thing seen."""
    read: int = 0
    fresh: int = 0
    bad: int = 0
    """Items that were not understood."""
    answer_seconds: float | None = None
    """How long an answer takes, smoothed; begins with what the source's record says."""

    def answered(self, seconds: float) -> None:
        """One more answer came after this time."""
        before = self.answer_seconds
        self.answer_seconds = seconds if before is None else 0.8 * before + 0.2 * seconds

    def saw(self, at: datetime) -> None:
        """One more thing was read."""
        self.read += 1
        self.oldest = min(self.oldest or at, at)


def memory_of(source: Source) -> dict[str, Any]:
    """What the spider kept from the visit before."""
    try:
        kept = json.loads(source.cursor or "{}")
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


def after_visit(source: Source, visit: Visit, now: datetime) -> Source:
    """The source after a visit. Each cause of failing is a gap; a good visit ends the last."""
    if visit.error is not None:
        return after_failure(source, now, visit.error)
    # The first visit brings what lay there already: it says nothing about an hour.
    hours = add_hour(source.hours, now, visit.fresh) if source.last_ok_at else source.hours
    state, reason = _state(visit, hours, now)
    gaps = tuple(
        gap if gap.ends_at is None and state == gap.state == _SILENT
        else _after_good(gap, source, visit, now)
        for gap in source.gaps
    )  # fmt: skip
    if visit.unread is not None:
        gaps = (*gaps, visit.unread)
    gaps = tuple(sorted(gaps, key=lambda gap: gap.ends_at is None))
    if state == _SILENT and not any(gap.ends_at is None for gap in gaps):
        gaps = (*gaps, Gap(starts_at=source.last_ok_at or now, reason=reason, state=state))
    changed = source.model_copy(
        update={
            "state": state, "reason": reason, "gaps": kept(gaps), "last_ok_at": now,
            "tried_at": now, "state_since": _since(source, state, now), "hours": hours,
            "answer_seconds": visit.answer_seconds,
            "cursor": json.dumps(visit.memory, ensure_ascii=False, sort_keys=True),
            "covered_since": source.covered_since or visit.oldest or now,
        }
    )  # fmt: skip
    quiet = source.last_ok_at is not None and now - source.last_ok_at < _QUIET
    same = changed.model_copy(update={"last_ok_at": source.last_ok_at, "tried_at": source.tried_at})
    return source if quiet and same == source else changed


def _after_good(gap: Gap, source: Source, visit: Visit, now: datetime) -> Gap:
    caught_up = gap.caught_up_at or (now if _read_again(gap, source, visit) else None)
    return gap.model_copy(update={"ends_at": gap.ends_at or now, "caught_up_at": caught_up})


def _read_again(gap: Gap, source: Source, visit: Visit) -> bool:
    """True when everything of the gap's time is stored now."""
    if visit.unread is not None or gap.state == CUT_OFF:
        return False
    if gap.ends_at and source.last_ok_at and gap.ends_at <= source.last_ok_at and not gap.missed:
        return False  # a good visit came since and met nothing known: its own items prove nothing
    if gap.missed:
        return not visit.memory.get("missing")
    if source.covered_since is None and visit.oldest is not None:
        return visit.overlaps or visit.oldest <= gap.starts_at
    return visit.overlaps


def _state(visit: Visit, hours: tuple[tuple[int, int], ...], now: datetime) -> tuple[str, str]:
    if is_silent(hours, now):
        return _SILENT, "比平时这个时候少得多，请到网站上看一眼"
    if (visit.answer_seconds or 0.0) > SLOW_SECONDS:
        return "slow", f"网站每次回答约要 {visit.answer_seconds:.0f} 秒"
    return "ok", ""


def _since(source: Source, state: str, now: datetime) -> datetime:
    return source.state_since if source.state == state and source.state_since else now
