"""Copies an archive into another one, whatever their engines, and catches up with what changes.

The place that a copy has reached lies in the target, so a copy that was killed goes on, and a
target that was thrown away begins anew. A page is stored before its place is; storing it twice
changes nothing. One copy at a time: a file lock on this host.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from archive.base import Archive, Failure, Stored
from archive.dump import letter_line
from archive.keeping.base import APART, NOW, is_apart
from huiyin.errors import ArchiveBusy, ArchiveError
from huiyin.records import STATE_RECORDS, Scope, Setting, StateRecord

T = TypeVar("T")
Progress = Callable[[int, int | None], None]

PAGE = 1000
PLACE = APART + "copied-from"
"""In the target: which archive it is a copy of and how far."""
MOVING = APART + "moving"
"""In the source: where its copy goes."""
ALL = Scope.everything()
_OWN_KINDS = frozenset({"setting", "lease"})
"""Kinds that a program writes by itself; with only these an archive counts as empty."""


def silent(_done: int, _total: int | None) -> None:
    """No progress is shown."""


@dataclass
class Place:
    """How far a copy has come."""

    source: str
    """URL, without credentials."""
    posts: str = ""
    records: dict[str, str] = field(default_factory=dict)
    complete: bool = False
    """Everything was there once; only what changes is left."""
    equal: bool = False
    """The last comparison found no difference."""
    moving: list[tuple[str, str]] = field(default_factory=list)
    """(kind, id) that somebody wrote at each look, so that only a closed archive can tell."""


def note(archive: Archive, name: str, value: Mapping[str, Any] | None) -> None:
    """Keep a small JSON value about this archive; None empties it. Works on a sealed one."""
    text = "" if value is None else json.dumps(value, ensure_ascii=False)
    archive.restore_records([Stored(Setting(id=name, value=text), 1)])


def noted(archive: Archive, name: str) -> dict[str, Any] | None:
    """What `note` kept."""
    stored = archive.get(Setting, name, ALL)
    if stored is None or not stored.record.value:
        return None
    value: dict[str, Any] = json.loads(stored.record.value)
    return value


def place_of(target: Archive) -> Place | None:
    """How far the copy into `target` has come, None when it is no copy."""
    found = noted(target, PLACE)
    return None if found is None else Place(**found)


class Copier:
    """Brings what changed in `source` into `target`."""

    def __init__(
        self, source: Archive, target: Archive, *, source_url: str, target_url: str,
        page: int = PAGE,
    ) -> None:  # fmt: skip
        self.source = source
        self.target = target
        self.source_url = source_url
        self.target_url = target_url
        self._page = page
        self.place = Place(source_url)

    def begin(self) -> None:
        """Note changes from now on, and find the place; refuse a target that is something else.

        Raises `ArchiveError`.
        """
        found = place_of(self.target)
        if found is not None and found.source == self.source_url:
            self.place = found
        elif found is not None:
            raise ArchiveError(
                f"目标已是另一个档案 {found.source} 的副本", "换一个空的目标，或先删掉它"
            )
        else:
            _refuse_filled(self.target)
            note(self.target, PLACE, vars(self.place))
        self.source.track_changes(True)
        moving = {"to": self.target_url, "back": False}
        if (noted(self.source, MOVING) or {}).get("to") != self.target_url:
            note(self.source, MOVING, moving)

    def catch_up(self, progress: Progress = silent) -> int:
        """Copy until nothing is waiting; returns how many posts and records were brought."""
        done = self._posts(progress)
        for kind in STATE_RECORDS:
            done += self._records(kind)
        done += self._failures()
        done += self._dead_letters()
        if not self.place.complete:
            self.place.complete = True
            self.save()
        return done

    def left(self) -> int:
        """About how many posts are still to be brought, 0 when none are."""
        page = self.source.changed_posts(self.place.posts, limit=self._page)
        return len(page.items) + page.left

    def save(self) -> None:
        """Keep the place in the target."""
        note(self.target, PLACE, vars(self.place))

    def _posts(self, progress: Progress) -> int:
        done = 0
        while True:
            page = self.source.changed_posts(self.place.posts, limit=self._page)
            self.target.restore_posts(page.items)
            done += len(page.items)
            self._keep_place(posts=page.position)
            progress(done, done + page.left)
            if not page.left:
                return done

    def _records(self, kind: type[StateRecord]) -> int:
        done = 0
        while True:
            before = self.place.records.get(kind.kind, "")
            page = self.source.changed_records(kind, before, limit=self._page)
            moved = [one for one in page.items if not is_apart(one.record)]
            self.target.restore_records(moved)
            done += len(moved)
            self._keep_place(records={**self.place.records, kind.kind: page.position})
            if not page.left:
                return done

    def _failures(self) -> int:
        wanted = failures_of(self.source)
        before = failures_of(self.target)
        if wanted == before:
            return 0
        self.target.restore_failures(wanted)
        # of a post that the target lacks nothing is kept: comparing says so, trying again does not
        return 0 if failures_of(self.target) == before else len(wanted)

    def _dead_letters(self) -> int:
        """Bring those of the source; those that the target made of posts it cannot store stay."""
        there = {one.post.id: letter_line(one) for one in self.target.dead_letters()}
        wanted: set[str] = set()
        done = 0
        for page in _pages(self.source.dead_letters(), self._page):
            wanted.update(one.post.id for one in page)
            changed = [one for one in page if there.get(one.post.id) != letter_line(one)]
            if changed:
                self.target.restore_dead_letters(changed)
            done += len(changed)
        gone = sorted(there.keys() - wanted)
        if gone:
            done += self.target.remove_dead_letters(
                sorted(set(gone) - refused_of(self.source, self.target, gone))
            )
        return done

    def _keep_place(self, **changed: Any) -> None:
        """Keep a place that moved on; one that did not costs no write."""
        if all(getattr(self.place, name) == value for name, value in changed.items()):
            return
        for name, value in changed.items():
            setattr(self.place, name, value)
        self.save()


ALL_FAILURES = 1_000_000
REFUSED = "put"
"""Stage of posts that a server refused to store: they are no part of what it holds."""


def failures_of(archive: Archive) -> list[Failure]:
    """What stages could not do with posts that are there, in one order."""
    found = [one for one in archive.failures(limit=ALL_FAILURES) if one.stage != REFUSED]
    known = archive.get_posts([one.post_id for one in found], Scope.everything())
    return sorted(
        (one for one in found if one.post_id in known), key=lambda one: (one.stage, one.post_id)
    )


def refused_of(source: Archive, target: Archive, letters: Sequence[str]) -> set[str]:
    """Those of the target's dead letters that are all it has of a post of the source."""
    return source.get_posts(letters, ALL).keys() - target.get_posts(letters, ALL).keys()


def alone(archive: Archive) -> int:
    """Dead letters of posts that are not stored in any form: with the posts, all that is kept."""
    number = 0
    for page in _pages(archive.dead_letters(), PAGE):
        ids = [one.post.id for one in page]
        number += len(ids) - len(archive.get_posts(ids, ALL))
    return number


def _pages(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while page := list(islice(items, size)):
        yield page


def place_now(archive: Archive, url: str) -> Place:
    """The place of a copy of `archive` that lacks nothing, for who will follow it from now on."""
    archive.track_changes(True)
    return Place(
        url,
        archive.changed_posts(NOW, limit=1).position,
        {kind.kind: archive.changed_records(kind, NOW, limit=1).position for kind in STATE_RECORDS},
        complete=True,
        equal=True,
    )


def _refuse_filled(target: Archive) -> None:
    filled = {
        kind: number
        for kind, number in target.counts().items()
        if number and kind not in _OWN_KINDS
    }
    letters = sum(1 for _ in target.dead_letters())
    if letters:
        filled["put"] = letters
    if filled:
        shown = "，".join(f"{kind} {number}" for kind, number in filled.items())
        raise ArchiveError(f"目标不是空的：{shown}", "换一个空的目标；档案只搬进空的地方")


@contextmanager
def only_one(lock: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock of copying; `ArchiveBusy` when another process has it for longer."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        end = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() >= end:
                    raise ArchiveBusy(
                        "另一个搬迁正在运行", "等它结束，或先停下它（Ctrl-C）"
                    ) from error
                time.sleep(0.1)
        yield
