"""A post as grouping sees it, and what it keeps of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nlp.incidents.index import Pressed, Vector

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
    pressed: Pressed | None = None
    """`vector` as it is kept; made when the item is taken in."""


@dataclass(slots=True)
class Kept:
    """What stays of a post while it may still be joined."""

    id: str
    group: str
    root: str | None
    official: bool
    tags: tuple[str, ...]
    keys: tuple[Key, ...]
    places: tuple[str, ...]


class Nearest(NamedTuple):
    """The best group for a post, and the best one beside it."""

    similarity: float
    group: str | None
    second: float = -1.0
    other: str | None = None


def apart(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """True when no place of one is, holds or lies in a place of the other."""
    return not any(
        one.startswith(other) or other.startswith(one) for one in ours for other in theirs
    )
