"""A platform's allowance, and how it is spent: what people ask of us first, by day before by night.

An ordinary app has about 100 calls a day an account; every five minutes over four lists would be
1,152. So each source gets a share by its weight; the share decides the pause between two readings.
The books lie in the archive (`Quota`), so that a kill or a second host cannot overspend.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from archive.base import Archive
from crawler.values import CHINA
from crawler.weibo_api import ENDPOINTS
from huiyin.errors import ArchiveError, Conflict, QuotaExceeded
from huiyin.records import Quota, Scope, Source

log = structlog.get_logger("crawler")
_ALL = Scope.everything()
RESERVE = 0.1
"""Part of an allowance kept for further pages, long texts, deletions and mistakes."""
NIGHT = 0.3
"""How often is looked between 23:00 and 07:00, against the day."""
SMALL = 5000
"""Allowances up to this are booked call by call; larger ones every few seconds."""
_UNITS = {"HOURS": 3600, "HOUR": 3600, "DAYS": 86400, "DAY": 86400, "MINUTES": 60}
CALLS_A_READING = 1.0
START_SECONDS = 3.0
"""A reading waits for its turn (1 to 1.5 s between two calls to a host) and for the disk."""
COMMERCIAL = "commercial"
COMMERCIAL_HOURLY = 50_000
"""Calls an hour of one address on the commercial host, as every one of its pages states."""


def pace(at: datetime) -> float:
    """How eagerly is looked at this time of day: 1 by day, less at night (Asia/Shanghai)."""
    return 1.0 if 7 <= at.astimezone(CHINA).hour < 23 else NIGHT


def paced_seconds(start: datetime, end: datetime) -> float:
    """Seconds between two times, those of the night counted at their lesser pace."""
    total, at = 0.0, start
    while at < end:
        local = at.astimezone(CHINA)
        hour = local.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        upto = min(end, hour)
        total += (upto - at).total_seconds() * pace(at)
        at = upto
    return total


@dataclass(frozen=True)
class Plan:
    """What a source may expect of its account's allowance."""

    day_seconds: float
    """Pause between two readings by day."""
    night_seconds: float
    calls_a_day: float
    reading_seconds: float = 0.0
    """From the beginning of a reading until what it brings is stored."""

    @property
    def seen_by_day(self) -> float:
        """So late a post is seen at most (seconds): made just after one reading's answer, it comes

        with the next one's. Holds for what is made so long before the night begins.
        """
        return self.day_seconds + self.reading_seconds

    @property
    def seen_by_night(self) -> float:
        """The same between 23:00 and 07:00, and across their borders."""
        return self.night_seconds + self.reading_seconds


def plan(source: Source, beside: Iterable[Source], quota: Quota | None) -> Plan:
    """The pauses of `source` with the others that share the allowance (itself among them)."""
    wish = source.every_seconds
    takes = START_SECONDS + 2 * (source.answer_seconds or 0.5)
    if quota is None:
        return Plan(wish, wish, 86400 / wish, takes)
    if source.incident:
        calls = max(spare_calls(beside, quota), 1.0)
    else:
        total = sum(weight_of(one) for one in beside if not one.resting and not one.incident)
        share = weight_of(source) / max(total, weight_of(source))
        calls = quota.limit * (1 - RESERVE) * share / CALLS_A_READING
    day = paced_day() if quota.window_seconds >= 86400 else quota.window_seconds
    pause = max(wish, day / max(calls, 1e-9))
    night = max(wish, pause / NIGHT) if quota.window_seconds >= 86400 else pause
    return Plan(pause, night, 16 * 3600 / pause + 8 * 3600 / night, takes)


def spare_calls(beside: Iterable[Source], quota: Quota, more: int = 0) -> float:
    """Calls a window for each temporary source (and `more`): what the standing ones' plan leaves.

    These plan as if there were no temporary ones.
    """
    known = [one for one in beside if not one.resting]
    standing = [one for one in known if not one.incident]
    planned = sum(plan(one, standing, quota).calls_a_day for one in standing)
    left = quota.limit * (1 - RESERVE) - planned * quota.window_seconds / 86400
    return max(0.0, left) / max(1, len(known) - len(standing) + more)


def paced_day() -> float:
    """Seconds of a day with the night's counted at their pace."""
    return 16 * 3600 + 8 * 3600 * NIGHT


def weight_of(source: Source) -> float:
    """Its share; a source may be given another weight."""
    said = source.parameters.get("weight", "")
    try:
        return max(0.01, float(said))
    except ValueError:
        endpoint = ENDPOINTS.get(source.parameters.get("endpoint", ""))
        return endpoint.weight if endpoint else 1.0


def next_due(last: datetime, planned: Plan) -> datetime:
    """When a source that was read at `last` is to be read again."""
    at, left = last, planned.day_seconds
    if planned.day_seconds == planned.night_seconds:
        return last + timedelta(seconds=left)
    step = timedelta(minutes=1)
    while left > 0:
        rate = pace(at)
        at += min(step, timedelta(seconds=left / rate))
        left -= min(step.total_seconds() * rate, left)
    return min(at, last + timedelta(seconds=planned.night_seconds))


def told_limit(answer: Any, key: str, now: datetime) -> Quota | None:
    """What `account/rate_limit_status` says of the account; None when it cannot be read."""
    if not isinstance(answer, Mapping):
        return None
    try:
        limit, left = int(answer["user_limit"]), int(answer["remaining_user_hits"])
        window = _UNITS[str(answer.get("limit_time_unit", "HOURS")).upper()]
        seconds = float(answer.get("reset_time_in_seconds") or window)
    except (KeyError, TypeError, ValueError):
        return None
    if limit <= 0 or not 0 <= seconds <= 2 * window:
        return None
    return Quota(
        id=quota_id(key), limit=limit, window_seconds=window, used=max(0, limit - left),
        resets_at=now + timedelta(seconds=seconds), told_at=now,
    )  # fmt: skip


def purse_of(source: Source) -> str:
    """Whose allowance a source spends: its account's, or the commercial host's."""
    said = source.parameters
    if source.spider == "weibo_search" or said.get("host") == COMMERCIAL or said.get("of"):
        return COMMERCIAL
    return source.parameters.get("uid", "")


def quota_id(key: str) -> str:
    """Id of the allowance of an account."""
    return f"quota:weibo:{key}"


def _left_of(quota: Quota, now: datetime) -> float:
    """Share of the window that is still to come, 0..1; the hours of a day at their pace."""
    window = timedelta(seconds=quota.window_seconds)
    if quota.window_seconds < 86400:
        return max(0.0, min(1.0, (quota.resets_at - now) / window))
    whole = paced_seconds(quota.resets_at - window, quota.resets_at)
    return min(1.0, paced_seconds(now, quota.resets_at) / whole)


class Budget:
    """The allowances of all accounts, as one process spends them. Used from one thread.

    `calls_a_day` is for accounts whose limit the platform did not tell; 0 = no limit.
    """

    def __init__(self, archive: Archive, calls_a_day: int) -> None:
        self._archive, self._calls_a_day = archive, calls_a_day
        self._quotas: dict[str, Quota] = {}
        self._unbooked: dict[str, int] = {}

    def quota(self, key: str, now: datetime) -> Quota | None:
        """The allowance of an account now; None = no limit is known."""
        quota = self._quotas.get(key)
        if quota is None:
            stored = self._stored(key)
            quota = stored or self._from_settings(key, now)
            if quota is None:
                return None
        if now >= quota.resets_at:
            window = timedelta(seconds=quota.window_seconds)
            behind = (now - quota.resets_at) // window + 1
            quota = quota.model_copy(
                update={"used": 0, "resets_at": quota.resets_at + behind * window}
            )
            self._unbooked.pop(key, None)
        self._quotas[key] = quota
        return quota

    def check(self, key: str, now: datetime, keep: float = 0.0) -> None:
        """Raise `QuotaExceeded` when no call is left, or only the part `keep` of all."""
        quota = self.quota(key, now)
        if quota is not None and quota.used + 1 > quota.limit - int(quota.limit * keep):
            raise QuotaExceeded(
                f"接口次数已用完（{quota.used}/{quota.limit}）",
                "到时间自动再读；长期不够请申请商业接口", until=quota.resets_at,
            )  # fmt: skip

    def check_spare(self, key: str, now: datetime) -> None:
        """Raise `QuotaExceeded` where a temporary source would take a call from standing ones.

        It spends what they let lapse: calls of the part of the window that is over. Of what is
        left, the part that is still to come is theirs, whatever they plan, and the reserve too.
        """
        quota = self.quota(key, now)
        if quota is None:
            return
        theirs = quota.limit * (RESERVE + (1 - RESERVE) * _left_of(quota, now))
        if quota.used + 1 > quota.limit - theirs:
            raise QuotaExceeded(
                f"剩下的次数留给常设来源（已用 {quota.used}/{quota.limit}）", "有空余时自己再读"
            )

    def count(self, key: str, now: datetime) -> None:
        """A call goes out, retries included."""
        quota = self.quota(key, now)
        if quota is None:
            return
        self._quotas[key] = quota.model_copy(update={"used": quota.used + 1})
        self._unbooked[key] = self._unbooked.get(key, 0) + 1
        if quota.limit <= SMALL:
            self._book(key)

    def told(self, quota: Quota, key: str) -> None:
        """The platform said how much is left; it knows better than our books."""
        self._quotas[key] = quota
        self._unbooked[key] = 0
        self._write(key, lambda _: quota)

    def used_up(self, key: str, now: datetime, until: datetime | None) -> None:
        """The platform refused for the limit, whatever our books say."""
        quota = self.quota(key, now)
        if quota is not None:
            resets = max(until or quota.resets_at, now)
            self._quotas[key] = quota.model_copy(update={"used": quota.limit, "resets_at": resets})
            self._write(key, lambda _: self._quotas[key])

    def book(self) -> None:
        """Write what was spent since the last time."""
        for key in [one for one, count in self._unbooked.items() if count]:
            self._book(key)

    def _book(self, key: str) -> None:
        ours, count = self._quotas[key], self._unbooked.get(key, 0)

        def add(known: Quota) -> Quota:
            if known.resets_at != ours.resets_at:
                return ours
            return known.model_copy(update={"used": known.used + count})

        written = self._write(key, add)
        if written is not None:
            self._quotas[key] = written
            self._unbooked[key] = 0

    def _write(self, key: str, edit: Any) -> Quota | None:
        try:
            if self._stored(key) is None:
                return self._archive.create(self._quotas[key]).record
            return self._archive.change(Quota, quota_id(key), _ALL, edit).record
        except Conflict:
            return None
        except ArchiveError as error:
            log.warning("calls not booked", account=key, error=str(error))
            return None

    def _stored(self, key: str) -> Quota | None:
        try:
            stored = self._archive.get(Quota, quota_id(key), _ALL)
        except ArchiveError:
            return None
        return stored.record if stored else None

    def _from_settings(self, key: str, now: datetime) -> Quota | None:
        if key == COMMERCIAL:
            return Quota(
                id=quota_id(key), limit=COMMERCIAL_HOURLY, window_seconds=3600,
                resets_at=now + timedelta(hours=1),
            )  # fmt: skip
        if not self._calls_a_day:
            return None
        local = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
        return Quota(
            id=quota_id(key), limit=self._calls_a_day, window_seconds=86400,
            resets_at=local + timedelta(days=1),
        )  # fmt: skip
