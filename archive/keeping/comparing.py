"""Compares two archives, record by record, in little memory.

Both are read in the same order, side by side. Checksums are sums of SHA-256 modulo 2^256, so that
they do not depend on the order and a record that changed meanwhile can be exchanged in them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from archive.base import Archive
from archive.dump import letter_line, post_line, record_line
from archive.keeping.base import is_apart
from archive.keeping.copying import Copier, Progress, failures_of, silent
from huiyin.records import STATE_RECORDS, Scope, StateRecord

ALL = Scope.everything()
ROUNDS = 5
"""A record that differs because somebody writes is looked at again this often."""
SEEN_SECONDS = 1.5
"""A server's searches see what was written within a second."""
LETTER = "dead-letter"
_MODULUS = 2**256


@dataclass
class Row:
    """Counts and checksums of one kind of record on both sides."""

    kind: str
    counts: list[int] = field(default_factory=lambda: [0, 0])
    sums: list[int] = field(default_factory=lambda: [0, 0])
    different: set[str] = field(default_factory=set)
    """Ids that only one side has, or whose contents differ."""
    seen: dict[str, list[int | None]] = field(default_factory=dict)
    """What was added for the ids in `different`."""

    moving: set[str] = field(default_factory=set)
    """Those of them that the source wrote anew between any two looks: a lease, for example. Only
    a closed archive can tell; a switch looks at them again."""

    refused: set[str] = field(default_factory=set)
    """Those of them that the target cannot store and keeps whole as dead letters."""

    @property
    def equal(self) -> bool:
        return self.different <= self.moving | self.refused

    def checksum(self, side: int) -> str:
        """First 16 hex digits."""
        return f"{self.sums[side]:064x}"[:16]

    def add(self, side: int, digest: int | None, sign: int = 1) -> None:
        """Count a record in, or (sign -1) out."""
        if digest is not None:
            self.counts[side] += sign
            self.sums[side] = (self.sums[side] + sign * digest) % _MODULUS


def compare(
    source: Archive, target: Archive, *, progress: Progress = silent,
    again: Callable[[], object] | None = None,
) -> list[Row]:  # fmt: skip
    """One row a kind. `again` brings the target up to date before differing ids are asked anew."""
    if {source.health().engine, target.health().engine} != {"SQLite"}:
        time.sleep(SEEN_SECONDS)
    rows = [_posts(source, target, progress)]
    for kind in sorted(STATE_RECORDS, key=lambda one: one.kind):
        rows.append(_walk(kind.kind, _records(source, kind), _records(target, kind)))
    for _ in range(ROUNDS):
        if again is None or not any(one.different for one in rows):
            break
        again()
        for row in rows:
            _look_again(row, source, target)
    rows.append(_walk("failure", _failures(source), _failures(target)))
    rows[0].refused = _refused(rows[0], target)
    rows.append(
        _walk(LETTER, _dead_letters(source), _dead_letters(target, without=rows[0].refused))
    )
    return rows


def settle(copier: Copier, rows: list[Row]) -> bool:
    """Keep in the copy's place what a comparison found; returns whether all is equal."""
    copier.place.equal = all(row.equal for row in rows)
    copier.place.moving = [(row.kind, name) for row in rows for name in sorted(row.moving)]
    copier.save()
    return copier.place.equal


def content(archive: Archive) -> dict[str, tuple[int, str]]:
    """Count and checksum (64 hex digits) by kind."""
    out = {}
    streams: list[tuple[str, Iterator[tuple[Any, str, int]]]] = [("post", _post_stream(archive))]
    streams += [(kind.kind, _records(archive, kind)) for kind in STATE_RECORDS]
    streams += [("failure", _failures(archive)), (LETTER, _dead_letters(archive))]
    for name, stream in streams:
        row = Row(name)
        for _, _, digest in stream:
            row.add(0, digest)
        out[name] = row.counts[0], f"{row.sums[0]:064x}"
    return out


def _posts(source: Archive, target: Archive, progress: Progress) -> Row:
    total = source.counts().get("posts")
    return _walk("post", _post_stream(source, progress, total), _post_stream(target))


def _post_stream(
    archive: Archive, progress: Progress = silent, total: int | None = None
) -> Iterator[tuple[Any, str, int]]:
    for number, post in enumerate(archive.iter_posts(ALL), 1):
        yield (post.created_at, post.id), post.id, _digest(post_line(post))
        if number % 1000 == 0:
            progress(number, total)


def _records(archive: Archive, kind: type[StateRecord]) -> Iterator[tuple[Any, str, int]]:
    after = ""
    while page := archive.records(kind, ALL, after=after):
        for stored in page:
            if not is_apart(stored.record):
                yield stored.record.id, stored.record.id, _digest(record_line(stored.record))
        after = page[-1].record.id


def _failures(archive: Archive) -> Iterator[tuple[Any, str, int]]:
    for one in failures_of(archive):
        name = f"{one.stage} {one.post_id}"
        yield name, name, _digest(repr((name, one.attempts, one.reason, one.at.isoformat())))


def _dead_letters(
    archive: Archive, *, without: Collection[str] = ()
) -> Iterator[tuple[Any, str, int]]:
    found = [(one.post.id, _digest(letter_line(one))) for one in archive.dead_letters()]
    for name, digest in sorted(found):
        if name not in without:
            yield name, name, digest


def _refused(posts: Row, target: Archive) -> set[str]:
    """Posts that the target has as dead letters only, each with all that the source has of it."""
    lacking = {name for name in posts.different if posts.seen[name][1] is None}
    if not lacking:
        return set()
    return {
        one.post.id for one in target.dead_letters()
        if one.post.id in lacking and _digest(post_line(one.post)) == posts.seen[one.post.id][0]
    }  # fmt: skip


def _digest(line: str) -> int:
    return int.from_bytes(hashlib.sha256(line.encode()).digest(), "big")


def _walk(
    kind: str, left: Iterator[tuple[Any, str, int]], right: Iterator[tuple[Any, str, int]]
) -> Row:
    """Read two streams in the order of their keys and count what is in both, and what in one."""
    row = Row(kind)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        first = other is None or (one is not None and one[0] <= other[0])
        second = one is None or (other is not None and other[0] <= one[0])
        digests = [one[2] if first and one else None, other[2] if second and other else None]
        name = one[1] if first and one else other[1] if other else ""
        for side in (0, 1):
            row.add(side, digests[side])
        if digests[0] != digests[1]:
            row.different.add(name)
            row.seen[name] = digests
        one = next(left, None) if first else one
        other = next(right, None) if second else other
    return row


def _look_again(row: Row, source: Archive, target: Archive) -> None:
    """Ask both archives for the differing ids as they are now."""
    for name in sorted(row.different):
        fresh = [now_of(source, row.kind, name), now_of(target, row.kind, name)]
        if fresh[0] == row.seen[name][0]:
            row.moving.discard(name)
        else:
            row.moving.add(name)
        for side in (0, 1):
            row.add(side, row.seen[name][side], -1)
            row.add(side, fresh[side])
        row.seen[name] = fresh
        if fresh[0] == fresh[1]:
            row.different.discard(name)
            row.moving.discard(name)


def now_of(archive: Archive, kind: str, name: str) -> int | None:
    """Digest of a record as it is now; None when there is none."""
    if kind == "post":
        post = archive.get_posts([name], ALL).get(name)
        return None if post is None else _digest(post_line(post))
    for one in STATE_RECORDS:
        if one.kind == kind:
            stored = archive.get(one, name, ALL)
            return None if stored is None else _digest(record_line(stored.record))
    return None
