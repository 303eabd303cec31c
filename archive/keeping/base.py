"""What an engine must do so that an archive can be moved, closed, thinned out and looked after.

These methods see everything and belong to the operator's commands; no page and no stage uses them.
Settings records whose id begins with `APART` tell about one archive and are never moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from huiyin.records import Post, Setting, StateRecord

if TYPE_CHECKING:
    from archive.base import Failure, Stored

R = TypeVar("R", bound=StateRecord)
T = TypeVar("T")

APART = "archive:"
MEND = "→"
"""In a problem that `check` tells: what follows is its own mend, not a restore from a backup."""
NOW = "now"
"""A position behind everything that was written until now."""


def is_apart(record: StateRecord) -> bool:
    """True for a record about the archive itself, which stays behind when the rest moves."""
    return isinstance(record, Setting) and record.id.startswith(APART)


@dataclass(frozen=True)
class WholePost:
    """A post with all its owners' fields, and what of it no reader is shown."""

    post: Post
    counted_at: tuple[datetime | None, datetime | None, datetime | None] = (None, None, None)
    """When reposts, comments and likes were read last; None = never said."""


@dataclass(frozen=True)
class DeadLetter:
    """A post that a server refused to store as it is; kept apart, and listed by `failures`."""

    post: Post
    at: datetime
    """When it was refused."""
    reason: str
    """In the server's words."""


@dataclass(frozen=True)
class Changed(Generic[T]):
    """A page of what was written after a position."""

    items: tuple[T, ...]
    position: str
    """Where the next page begins; opaque, and good for this archive only."""
    left: int
    """0 = nothing was waiting behind this page; else about how many writes are."""


@dataclass(frozen=True)
class Seal:
    """Why an archive takes no writes."""

    state: str
    """closing: a switch is under way, wait; moved: another archive is in use now"""
    to: str
    """URL of the archive in use after the switch, without credentials."""
    at: datetime


@dataclass(frozen=True)
class Fact:
    """One thing about the engine's health. `state`: ok, note (works, but know it) or bad."""

    what: str
    state: str
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Health:
    """How an engine is: what it is, where, how large, and what is to be known."""

    engine: str
    place: str
    bytes: int
    """On disk, logs and indices included."""
    facts: tuple[Fact, ...] = ()


class Keeping(Protocol):
    """The part of `Archive` that the operator's commands use."""

    def track_changes(self, on: bool) -> None:
        """Note what is written from now on, so that `changed_*` can tell; off forgets it.

        An engine that knows anyway does nothing. Doing it twice changes nothing.
        """

    def changed_posts(self, position: str, *, limit: int) -> Changed[WholePost]:
        """Posts written since `position` ("" = all; `NOW`), as they are now; needs `track_changes`.

        Every post that was written before the call and after the position is in this page or a
        later one, once at least. A position of another archive, or of an earlier tracking, counts
        as "". Removed posts (`remove_posts`) are not told.
        """

    def changed_records(self, kind: type[R], position: str, *, limit: int) -> Changed[Stored[R]]:
        """State records of a kind in the order of their last writing; otherwise as for posts."""

    def restore_posts(self, posts: Sequence[WholePost]) -> int:
        """Store posts as they are, whoever owns the fields, in place of what is stored.

        Works on a sealed archive too. What the engine cannot store becomes a dead letter, whole.
        Returns how many were not stored like this before.
        """

    def restore_records(self, records: Sequence[Stored[StateRecord]]) -> None:
        """Store records as they are, in this order of last writing; works on a sealed archive.

        Versions may differ from the given ones, but never say an older state than before.
        """

    def restore_failures(self, failures: Sequence[Failure]) -> None:
        """Make the failures exactly these; works on a sealed archive."""

    def dead_letters(self) -> Iterator[DeadLetter]:
        """All of them, in no order. A deletion and a removal of the post take its letter too."""

    def restore_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keep these, each in place of one with the same id; works on a sealed archive."""

    def remove_dead_letters(self, ids: Sequence[str]) -> int:
        """Forget dead letters; returns how many there were; works on a sealed archive."""

    def remove_posts(self, ids: Sequence[str]) -> int:
        """Take posts out for good with their words, vectors and failures; no tombstone stays.

        Returns how many there were. The words leave the files with the next purge.
        """

    def seal(self, seal: Seal | None) -> None:
        """Take no writes from now on, or (None) take them again; on disk when it returns.

        When it returns no write that was under way can still arrive. While `closing`, writers wait
        up to a minute, then fail with `ArchiveBusy`; when `moved` they fail with `ArchiveMoved`.
        """

    def sealed(self) -> Seal | None:
        """The seal, None when the archive takes writes; cheap enough to ask every second."""

    def health(self) -> Health:
        """The engine's own figures; a server that is away is a fact, not an error."""
