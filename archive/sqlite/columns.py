"""What is filtered and counted, as arrays in memory: 101 bytes a post."""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from archive.asking import FACET_VALUES, ZONE
from archive.authors import EXACT_AUTHORS
from archive.sqlite.arrays import Arrays, Mask, Numbers, Turn
from archive.sqlite.connection import Database, Row
from archive.sqlite.rows import moment

CODED = (
    "platform", "kind", "author_kind", "region", "sentiment", "emotion", "intent", "category",
    "incident",
)  # fmt: skip
"""Columns of `posts` kept as codes of their values; 0 = none."""
SETS = {"office": "offices", "mentions": "mentions"}
"""Fields with several values, and their name in `contents.rest`: a code stands for a whole set."""
NUMBERS = ("likes", "comments", "reposts", "urgency", "needs_answer")
"""float64; not a number = unknown, for which no comparison holds."""
_OFFSET = 8 * 3600 * 1_000_000
"""Asia/Shanghai in microseconds; no summer time since 1991, before the first post of any source."""
_BUCKETS = {"hour": 3600 * 1_000_000, "day": 86400 * 1_000_000, "week": 7 * 86400 * 1_000_000}
_MONDAY = 4 * 86400 * 1_000_000
"""1970-01-05 was a Monday."""
_SPECS = {
    "created_at": ("int64", 1), "live": ("bool", 1), "author": ("int64", 1),
    **dict.fromkeys((*CODED, *SETS), ("int32", 1)),
    **dict.fromkeys(NUMBERS, ("float64", 1)),
}  # fmt: skip
FEW_ROWS = 50_000
SLOTS = 2**22
Timeline = tuple[tuple[datetime, int], ...]


class Columns(Arrays):
    """One value a post and field; `live` = neither deleted nor removed."""

    def __init__(self, db: Database, turn: Turn) -> None:
        super().__init__(db, turn, "columns", _SPECS)

    def _restart(self, more: Mapping[str, Any]) -> None:
        self._codes: dict[str, dict[str, int]] = {
            name: {value: code for code, value in enumerate(more.get(name, [""]))}
            for name in (*CODED, *SETS)
        }

    def _more(self) -> dict[str, Any]:
        return {name: list(codes) for name, codes in self._codes.items()}

    def _read(self, connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Row]:
        sets = ", ".join(f"json_extract(c.rest, '$.{name}')" for name in SETS.values())
        plain = ", ".join(f"p.{name}" for name in (*CODED, *NUMBERS))
        return connection.execute(
            f"""SELECT p.n, p.created_at, p.deleted_at IS NULL, p.author, {plain}, {sets}
                FROM posts p JOIN contents c ON c.n = p.n WHERE {where}""",
            values,
        ).fetchall()

    def _fill(self, rows: Sequence[Row], at: Numbers) -> None:
        names = ("created_at", "live", "author", *CODED, *NUMBERS, *SETS)
        for name, values in zip(names, list(zip(*rows, strict=True))[1:], strict=True):
            self._columns[name][at] = np.array(self._kept(name, values), _SPECS[name][0])

    def _kept(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        """Codes for what is coded; new values get the next code."""
        if name in self._codes:
            codes = self._codes[name]
            return [codes.setdefault(value or "", len(codes)) for value in values]
        return [value or 0 for value in values] if name == "author" else values

    # ---- masks: one bool a row number

    def none(self) -> Mask:
        """No post."""
        return np.zeros(self.rows, dtype=np.bool_)

    def chosen(self, rows: Numbers) -> Mask:
        """The posts of these row numbers."""
        mask = self.none()
        mask[rows] = True
        return mask

    def where(self, field: str, holds: Callable[[str], bool]) -> Mask:
        """Posts whose value (one of whose values) fulfils `holds`; never those without value."""
        codes = self._codes[field]
        if field in SETS:
            found = [any(map(holds, _members(text))) for text in codes]
        else:
            found = [bool(text) and holds(text) for text in codes]
        mask: Mask = np.array(found, dtype=np.bool_)[self.array(field)]
        return mask

    # ---- counts over row numbers

    def counts(self, field: str, rows: Numbers) -> tuple[tuple[str, int], ...]:
        """Values and how many of `rows` have them: the most frequent first, at most 100."""
        found = np.bincount(self.array(field)[rows], minlength=1)
        values = list(self._codes[field])
        total: dict[str, int] = {}
        for code in np.flatnonzero(found).tolist():
            for value in _members(values[code]) if field in SETS else (values[code],):
                total[value] = total.get(value, 0) + int(found[code])
        total.pop("", None)
        best = sorted(total.items(), key=lambda one: (-one[1], one[0]))[:FACET_VALUES]
        if field == "category":
            return tuple((value.strip("/"), count) for value, count in best)
        return tuple(best)

    def authors(self, rows: Numbers) -> tuple[int, bool]:
        """How many different known authors `rows` have, and whether that is an estimate.

        Sorting a million numbers takes longer than all facets, so many rows are counted by the
        share of slots that no author's number falls into (linear counting: Whang, Vander-Zanden,
        Taylor 1990; here within 0.2 % up to a million authors); few authors are counted exactly.
        """
        numbers = self.array("author")[rows]
        if len(rows) > FEW_ROWS:
            slots = np.zeros(SLOTS, dtype=np.bool_)
            slots[numbers & (SLOTS - 1)] = True
            empty = 1 - np.count_nonzero(slots) / SLOTS
            about = round(-SLOTS * math.log(max(empty, 1 / SLOTS)))
            if about > 2 * EXACT_AUTHORS:
                return about, True
        return int(np.count_nonzero(np.unique(numbers))), False

    def timeline(self, unit: str, rows: Numbers) -> Timeline:
        """(start of the bucket, count), empty buckets between the first and last included."""
        if not len(rows):
            return ()
        local = self.array("created_at")[rows] + _OFFSET
        if unit == "month":
            months = (local // 1_000_000).astype("M8[s]").astype("M8[M]").astype(np.int64)
            first = int(months.min())
            return tuple(
                (datetime(1970 + at // 12, at % 12 + 1, 1, tzinfo=ZONE), count)
                for at, count in enumerate(np.bincount(months - first).tolist(), first)
            )
        shift = _MONDAY if unit == "week" else 0
        buckets = (local - shift) // _BUCKETS[unit]
        first, width = int(buckets.min()), timedelta(microseconds=_BUCKETS[unit])
        start = moment(first * _BUCKETS[unit] + shift - _OFFSET).astimezone(ZONE)
        return tuple(
            (start + width * step, count)
            for step, count in enumerate(np.bincount(buckets - first).tolist())
        )


@lru_cache(maxsize=100_000)
def _members(text: str) -> tuple[str, ...]:
    """The values of a set."""
    return tuple(json.loads(text)) if text else ()
