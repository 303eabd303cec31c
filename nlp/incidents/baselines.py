"""What is normal for this account, category, region and hour of the week, learned from the stream.

For each of these cells it is remembered how many independent authors the most spoken-of matter had
in each hour and on each day (Shanghai time) of the last `WEEKS` weeks. What is normal in an hour of
the week is the median over these weeks, so that a rush that comes each Monday is normal once it
came in most of them, and one great incident is not. An hour early or late is the same hour. With
less than `LEAST_WEEKS` weeks of history nothing is normal yet: the priors of `burst` stand alone.

The numbers only grow, as posts come, so they may be written again and by two detectors: the larger
one counts. They lie in the archive as `Baseline` records.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import NamedTuple

from archive.base import Archive
from huiyin.errors import Conflict
from huiyin.records import Baseline, Scope
from nlp.incidents.gathering import Gathering, Member

HOUR = 3600.0
WEEKS = 8
LEAST_WEEKS = 3
HOURS, DAYS = 24 * 7, 7
"""Hours and days of a week."""
OFFSET = 8 * HOUR
"""Asia/Shanghai, which knows no summer time."""
OPEN_HOURS = 48
"""Authors of a matter are counted by name for so long after the newest post."""
KNOWN = 256
_ALL = Scope.everything()
_PAGE = 500


class Cell(NamedTuple):
    """Whose normal it is; empty where nothing is known."""

    account: str
    category: str
    region: str
    """City: 4 digits of its adcode."""


def cell_of(one: Member) -> Cell:
    """Account, category and city of one post."""
    city = next((place.adcode[:4] for place in one.places if place.adcode[2:4] != "00"), "")
    return Cell(one.accounts[0] if one.accounts else "", one.category, city)


class _Counts:
    """Of one cell: hour or day since 1970 (Shanghai) -> most authors of one matter."""

    def __init__(self, stored: Baseline | None = None) -> None:
        self.hours: dict[int, int] = dict(stored.hours) if stored else {}
        self.days: dict[int, int] = dict(stored.days) if stored else {}

    def raise_to(self, hour: int, in_hour: int, in_day: int) -> bool:
        """One author alone is no matter; True when a number rose."""
        rose = False
        for counts, when, count in ((self.hours, hour, in_hour), (self.days, hour // 24, in_day)):
            if count > counts.get(when, 1):
                counts[when] = count
                rose = True
        return rose

    def forget(self, before: int) -> None:
        self.hours = {hour: count for hour, count in self.hours.items() if hour >= before}
        self.days = {day: count for day, count in self.days.items() if day >= before // 24}


class Usual:
    """How many authors of one matter are normal in a span, as seen from one moment."""

    def __init__(self, counts: _Counts, hour: int, weeks: int) -> None:
        near = [_medians(counts.hours, hour + shift, HOURS, weeks) for shift in (-1, 0, 1)]
        self._hours = [0.0, *accumulate(map(max, *near))]
        self._days = [0.0, *accumulate(_medians(counts.days, hour // 24, DAYS, weeks))]
        self._hour = hour

    def expected(self, begin: float, end: float) -> float:
        """Authors of the most spoken-of matter that are normal in (begin, end], UTC seconds."""
        first = (begin + OFFSET) / HOUR
        last = (end + OFFSET) / HOUR
        by_hour = _summed(self._hours, self._hour + 1 - last, self._hour + 1 - first)
        days = self._hour // 24 - int(first // 24) + 1
        return min(by_hour, _summed(self._days, 0, days))


def _medians(counts: Mapping[int, int], last: int, period: int, weeks: int) -> list[float]:
    """Of `last` and the times before it, one period in all: the lower median of earlier weeks."""
    found = []
    for back in range(period):
        earlier = sorted(counts.get(last - back - period * week, 0) for week in range(1, weeks + 1))
        found.append(float(earlier[(weeks - 1) // 2]))
    return found


def _summed(sums: list[float], start: float, end: float) -> float:
    """Sum over [start, end) steps back; periods repeat, parts of a step count in part."""
    return _up_to(sums, end) - _up_to(sums, start)


def _up_to(sums: list[float], steps: float) -> float:
    period = len(sums) - 1
    whole, rest = divmod(max(0.0, steps), period)
    step = int(rest)
    part = (rest - step) * (sums[min(step + 1, period)] - sums[step])
    return whole * sums[-1] + sums[step] + part


class Baselines:
    """Fed with what joins incidents; asked what is normal for one of them."""

    def __init__(self, jurisdiction: str = "default") -> None:
        self._jurisdiction = jurisdiction
        self._cells: dict[Cell, _Counts] = {}
        self._in_hour: dict[tuple[str, int], set[str]] = {}
        """Incident and hour -> authors."""
        self._in_day: dict[tuple[str, int], set[str]] = {}
        self._began: int | None = None
        self._latest = 0
        self._changed: dict[Cell, None] = {}
        self._known: dict[tuple[Cell, int, int], Usual] = {}

    def saw(self, time: float) -> None:
        """A post of the stream, whether it belongs to an incident or not. UTC seconds."""
        hour = hour_of(time)
        if self._began is None or hour < self._began:
            self._began = hour
        if hour > self._latest:
            self._latest = hour
            edge = hour - OPEN_HOURS
            self._in_hour = {key: of for key, of in self._in_hour.items() if key[1] >= edge}
            self._in_day = {key: of for key, of in self._in_day.items() if key[1] >= edge // 24}

    def note(self, group: str, members: Iterable[Member]) -> None:
        """Posts that joined an incident; all of them when it has just opened or merged."""
        for one in members:
            hour = hour_of(one.time)
            if not one.voice or hour < self._latest - OPEN_HOURS:
                continue
            in_hour = self._in_hour.setdefault((group, hour), set())
            in_day = self._in_day.setdefault((group, hour // 24), set())
            in_hour.add(one.author)
            in_day.add(one.author)
            cell = cell_of(one)
            counts = self._cells.setdefault(cell, _Counts())
            if counts.raise_to(hour, len(in_hour), len(in_day)):
                self._changed[cell] = None

    def usual(self, gathering: Gathering) -> Usual | None:
        """What is normal where most of its authors speak; None without enough history."""
        if self._began is None or not gathering.voices:
            return None
        weeks = min(WEEKS, (hour_of(gathering.last) - self._began) // HOURS)
        if weeks < LEAST_WEEKS:
            return None
        cells = Counter(map(cell_of, gathering.voices))
        cell = min(cells, key=lambda one: (-cells[one], one))
        counts = self._cells.get(cell)
        if counts is None:
            return None
        return self._asked(cell, counts, hour_of(gathering.last), weeks)

    def _asked(self, cell: Cell, counts: _Counts, hour: int, weeks: int) -> Usual:
        """Kept for the hour: it rests on what is a week old and does not change any more."""
        key = (cell, hour, weeks)
        if key not in self._known:
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[key] = Usual(counts, hour, weeks)
        return self._known[key]

    # ---- keeping

    def save(self, archive: Archive) -> None:
        """Write the cells that changed. Raises `ArchiveError`."""
        for cell in self._changed:
            counts = self._cells[cell]
            counts.forget(self._latest - (WEEKS + 1) * HOURS)
            record = Baseline(
                id=self._id_of(cell), jurisdiction=self._jurisdiction, account=cell.account,
                category=cell.category, region=cell.region, since=self._began or 0,
                hours=counts.hours, days=counts.days,
            )  # fmt: skip
            _write(archive, record)
        self._changed.clear()

    def load(self, archive: Archive) -> None:
        """Take over what is stored. Raises `ArchiveError`."""
        after = ""
        while page := archive.records(
            Baseline, _ALL, ref=self._jurisdiction, limit=_PAGE, after=after
        ):
            after = page[-1].record.id
            for stored in page:
                one = stored.record
                cell = Cell(one.account, one.category, one.region)
                self._cells[cell] = _Counts(one)
                self._began = one.since if self._began is None else min(self._began, one.since)

    def _id_of(self, cell: Cell) -> str:
        digest = hashlib.sha256("\0".join(cell).encode()).hexdigest()[:24]
        return f"baseline:{self._jurisdiction}:{digest}"


def _write(archive: Archive, record: Baseline) -> None:
    if archive.get(Baseline, record.id, _ALL) is None:
        try:
            archive.create(record)
            return
        except Conflict:  # another detector was first
            pass
    archive.change(Baseline, record.id, _ALL, lambda old: _larger(old, record))


def hour_of(time: float) -> int:
    """Hours since 1970 in Asia/Shanghai; hour 0 of a day is divisible by 24."""
    return int((time + OFFSET) // HOUR)


def _larger(old: Baseline, new: Baseline) -> Baseline:
    """Both, the larger number each; what `new` has forgotten stays forgotten."""
    edge = min(new.hours, default=0)
    hours = {hour: count for hour, count in old.hours.items() if hour >= edge}
    days = {day: count for day, count in old.days.items() if day >= min(new.days, default=0)}
    for merged, more in ((hours, new.hours), (days, new.days)):
        for key, count in more.items():
            merged[key] = max(count, merged.get(key, 0))
    return new.model_copy(update={"hours": hours, "days": days, "since": min(old.since, new.since)})
