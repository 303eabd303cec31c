"""A post as grouping sees it, and what it keeps of one."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from nlp.incidents.packing import Pressed, Vector

KEY_FADES = 3600.0
"""Seconds after which what a common key adds has fallen to 1/e; it is looked for four times as
long."""


class Key(NamedTuple):
    """Something that two posts may share beside words."""

    name: str
    fades: float = KEY_FADES
    wide: bool = False
    """True: it holds for posts that name different spots too."""


@dataclass(slots=True)
class Item:
    """A post as grouping sees it. `time` in seconds since the epoch."""

    id: str
    time: float
    text: str
    """From `terms.plain`."""
    vector: Vector | None = None
    model: str = ""
    root: str | None = None
    """Thread or repost chain that it belongs to; None for an original post."""
    by_words: bool = True
    """False: a repost, which goes with its root whatever it says."""
    official: bool = False
    keys: tuple[Key, ...] = ()
    places: tuple[str, ...] = ()
    """Stems (`stem`) of the places that it names: a place begins with the stem of what holds it."""
    author: str = ""
    """Key, or the post's id when nobody knows who wrote it."""
    voice: bool = True
    """False for what only passes on, and for the office's own posts."""
    pressed: Pressed | None = None
    """`vector` as it is kept; made when the item is taken in."""


@dataclass(slots=True)
class Kept:
    """What stays of a post while it may still be joined."""

    id: str
    group: str
    root: str | None
    official: bool
    keys: tuple[Key, ...]
    places: tuple[str, ...]
    author: str
    voice: bool


class Nearest(NamedTuple):
    """The best group for a post, and the best one beside it."""

    similarity: float
    group: str | None
    second: float = -1.0
    other: str | None = None


@lru_cache(maxsize=8192)
def apart(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """True when no place of one is, holds or lies in a place of the other.

    Kept, because a stream names few places: on a board it is asked forty times a post.
    """
    return not any(
        one.startswith(other) or other.startswith(one) for one in ours for other in theirs
    )


class Ages:
    """Kept rows, the oldest post first. Of posts in order, as nearly all come, 8 bytes each."""

    def __init__(self, time_of: Callable[[int], float]) -> None:
        self._time_of = time_of
        self._in_order: deque[int] = deque()
        self._late: list[tuple[float, int]] = []
        self._latest = -float("inf")

    def __bool__(self) -> bool:
        return bool(self._in_order or self._late)

    def add(self, time: float, row: int) -> None:
        """A row that is kept from now on; rows come in order, their times need not."""
        if time >= self._latest:
            self._latest = time
            self._in_order.append(row)
        else:
            heapq.heappush(self._late, (time, row))

    def oldest(self) -> float:
        """Time of the oldest post, seconds since the epoch. IndexError where none is kept."""
        if self._late and (not self._in_order or self._late_first()):
            return self._late[0][0]
        return self._time_of(self._in_order[0])

    def pop(self) -> int:
        """Row of the oldest post, of two equally old the one that came first; it is forgotten."""
        if self._late and (not self._in_order or self._late_first()):
            return heapq.heappop(self._late)[1]
        return self._in_order.popleft()

    def _late_first(self) -> bool:
        row = self._in_order[0]
        return self._late[0] < (self._time_of(row), row)
