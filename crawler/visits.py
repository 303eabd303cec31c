"""One reading of one feed or site: what it brought, and what it leaves in the source's record."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from crawler.health import SLOW_SECONDS, add_hour, is_silent, state_of
from huiyin.errors import CollectError
from huiyin.records import Gap, Source

_GAPS_KEPT = 100
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
    """The source after a visit. An error opens a gap that only a good visit closes."""
    if visit.error is not None:
        return _after_failure(source, visit.error, now)
    # The first visit brings what lay there already: it says nothing about an hour.
    hours = add_hour(source.hours, now, visit.fresh) if source.last_ok_at else source.hours
    state, reason = _state(visit, hours, now)
    ended = {"ends_at": now}
    gaps = tuple(
        gap if gap.ends_at or state == gap.state == _SILENT else gap.model_copy(update=ended)
        for gap in source.gaps
    )
    if visit.unread is not None:
        gaps = (*gaps, visit.unread)
    if state == _SILENT and not any(gap.ends_at is None for gap in gaps):
        gaps = (*gaps, Gap(starts_at=source.last_ok_at or now, reason=reason, state=state))
    changed = source.model_copy(
        update={
            "state": state, "reason": reason, "gaps": gaps[-_GAPS_KEPT:], "last_ok_at": now,
            "tried_at": now, "state_since": _since(source, state, now), "hours": hours,
            "answer_seconds": visit.answer_seconds,
            "cursor": json.dumps(visit.memory, ensure_ascii=False, sort_keys=True),
            "covered_since": source.covered_since or visit.oldest or now,
        }
    )  # fmt: skip
    quiet = source.last_ok_at is not None and now - source.last_ok_at < _QUIET
    same = changed.model_copy(update={"last_ok_at": source.last_ok_at, "tried_at": source.tried_at})
    return source if quiet and same == source else changed


def _state(visit: Visit, hours: tuple[tuple[int, int], ...], now: datetime) -> tuple[str, str]:
    if is_silent(hours, now):
        return _SILENT, "比平时这个时候少得多，请到网站上看一眼"
    if (visit.answer_seconds or 0.0) > SLOW_SECONDS:
        return "slow", f"网站每次回答约要 {visit.answer_seconds:.0f} 秒"
    return "ok", ""


def _after_failure(source: Source, error: CollectError, now: datetime) -> Source:
    state = state_of(error)
    gaps = source.gaps
    if not any(gap.ends_at is None for gap in gaps):
        start = source.last_ok_at or now
        gaps = (*gaps, Gap(starts_at=start, reason=error.message, state=state))
    return source.model_copy(
        update={
            "state": state, "reason": str(error), "gaps": gaps[-_GAPS_KEPT:], "tried_at": now,
            "state_since": _since(source, state, now),
        }
    )  # fmt: skip


def _since(source: Source, state: str, now: datetime) -> datetime:
    return source.state_since if source.state == state and source.state_since else now
