"""Who is on call: turns of the rota, read from `rota.toml`, kept as `Shift` records.

Two forms of a `[[shift]]`: between two moments (`starts_at`, `ends_at`), or each day between two
times of day (`from = "08:00"`, `to = "20:00"`, Asia/Shanghai; `to` not after `from` ends next day).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar

from alerts.text import SHANGHAI
from archive.base import Archive, Stored
from huiyin.clock import Clock, system_clock
from huiyin.errors import FileFormatError, InputError, unreadable
from huiyin.records import Person, Role, Scope, Shift

R = TypeVar("R", Person, Shift)
ALL = Scope.everything()
DAYS_AHEAD = 31
"""Daily turns become records for so many days from today on."""
KEYS = {"person", "starts_at", "ends_at", "from", "to", "order", "channels", "offices"}


@dataclass(frozen=True)
class OnCall:
    """One person to tell, and through which channels (empty = all that are configured)."""

    person: str
    name: str
    order: int
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Rota:
    """Who is on call now, first called first; `warning` is empty when the rota answers it."""

    people: tuple[OnCall, ...]
    warning: str = ""


def on_call(archive: Archive, offices: tuple[str, ...], now: datetime) -> Rota:
    """Who is told about a matter of `offices` now; no turn: every active 值班员, and a warning.

    Nobody is told of what their own offices do not cover.
    """
    people = {
        stored.record.id: stored.record
        for stored in _everything(archive, Person)
        if stored.record.active and Scope.of(*stored.record.offices).allows(offices)
    }
    turns = sorted(
        (
            stored.record
            for stored in _everything(archive, Shift)
            if stored.record.starts_at <= now < stored.record.ends_at
            and stored.record.person in people
            and (not stored.record.offices or Scope.of(*stored.record.offices).allows(offices))
        ),
        key=lambda shift: (shift.order, shift.id),
    )
    if turns:
        return Rota(
            tuple(
                OnCall(turn.person, people[turn.person].name, turn.order, turn.channels)
                for turn in turns
            )
        )
    officers = tuple(
        OnCall(person.id, person.name, 1, ())
        for person in people.values()
        if Role.ON_CALL in person.roles
    )
    if officers:
        return Rota(officers, "此刻排班表上没有人，已通知全部值班员")
    return Rota((), "此刻排班表上没有人，也没有可通知的值班员")


def load_rota(file: Path, clock: Clock = system_clock) -> list[Shift]:
    """Read `rota.toml`. Raises `FileFormatError`, or `InputError` naming the turn that is wrong."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileFormatError(
            f"排班表读不出来：{unreadable(error)}", "检查文件和写法", file=str(file)
        ) from error
    entries = data.get("shift", data.get("shifts"))
    if not isinstance(entries, list):
        raise FileFormatError("排班表里没有 [[shift]]", "每个班次写一段 [[shift]]", file=str(file))
    today = clock().astimezone(SHANGHAI).date()
    shifts: list[Shift] = []
    for position, entry in enumerate(entries, start=1):
        try:
            shifts.extend(_shifts(entry, today))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"排班表第 {position} 个班次有误：{error}",
                "需要 person，以及 starts_at 和 ends_at（带时区）或 from 和 to（如 08:00）",
                file=str(file),
            ) from error
    return shifts


def save_rota(archive: Archive, shifts: list[Shift]) -> int:
    """Store turns; ones already known are replaced when they differ. Returns how many changed."""
    changed = 0
    for shift in shifts:
        stored = archive.get(Shift, shift.id, ALL)
        if stored is None:
            archive.create(shift)
            changed += 1
        elif stored.record != shift:
            archive.replace(stored, shift)
            changed += 1
    return changed


def _shifts(entry: Mapping[str, Any], today: date) -> list[Shift]:
    unknown = set(entry) - KEYS
    if unknown:
        raise ValueError(f"不认识 {'、'.join(sorted(unknown))}")
    if "from" in entry:
        begin, end = _time(entry["from"]), _time(entry["to"])
        # Yesterday's turn may still be running: it starts the list.
        days = [today + timedelta(days=number) for number in range(-1, DAYS_AHEAD)]
        spans = [
            (
                datetime.combine(day, begin, SHANGHAI),
                datetime.combine(day + timedelta(days=int(end <= begin)), end, SHANGHAI),
            )
            for day in days
        ]
    else:
        spans = [(entry["starts_at"], entry["ends_at"])]
    return [_shift(entry, starts, ends) for starts, ends in spans]


def _time(words: str) -> time:
    """`HH:MM`; 24:00 is the midnight at the day's end."""
    return time() if words == "24:00" else time.fromisoformat(words)


def _shift(entry: Mapping[str, Any], starts: datetime, ends: datetime) -> Shift:
    if not isinstance(starts, datetime) or not isinstance(ends, datetime):
        raise ValueError("时间须写成 2026-11-22T08:00:00+08:00")
    if starts.tzinfo is None or ends.tzinfo is None:
        raise ValueError("时间须带时区，例如 +08:00")
    if ends <= starts:
        raise ValueError("结束不晚于开始")
    person, order = str(entry["person"]), int(entry.get("order", 1))
    return Shift(
        id=f"shift:{person}:{starts:%Y%m%dT%H%M%z}",
        person=person,
        starts_at=starts,
        ends_at=ends,
        order=order,
        channels=tuple(entry.get("channels", ("log",))),
        offices=tuple(entry.get("offices", ())),
    )


def _everything(archive: Archive, kind: type[R]) -> list[Stored[R]]:
    found: list[Stored[R]] = []
    while True:
        page = archive.records(kind, ALL, after=found[-1].record.id if found else "", limit=1000)
        found.extend(page)
        if len(page) < 1000:
            return found
