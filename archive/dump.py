"""Everything in an archive as lines of JSON, the same for the same content.

Two archives that were written in different ways (one of them killed in between) are equal when
their dumps are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from archive.base import Archive
from archive.keeping.base import DeadLetter, is_apart
from huiyin.records import STATE_RECORDS, Post, Scope, StateRecord

VOLATILE = ("run",)
"""Names that differ from run to run wherever they stand: the run of a post's source."""


def dump(archive: Archive, *, without: Collection[str] = ()) -> Iterator[str]:
    """Yield one line a post and a state record, sorted by kind and id; memory holds one kind.

    `without`: names of fields that are left out wherever they stand, for example `VOLATILE`.
    Versions of state records are not part of it: they count attempts, not content. Nor are records
    about the archive itself (`archive.keeping.base.APART`).
    """
    left_out = frozenset(without)
    lines: list[tuple[str, str]] = []
    for post in archive.iter_posts(Scope.everything()):
        lines.append((post.id, post_line(post, left_out)))
    yield from (line for _, line in sorted(lines))
    for kind in sorted(STATE_RECORDS, key=lambda one: one.kind):
        yield from _states(archive, kind, left_out)


def _states(archive: Archive, kind: type[StateRecord], left_out: frozenset[str]) -> Iterator[str]:
    after = ""
    while page := archive.records(kind, Scope.everything(), after=after):
        for stored in page:
            if not is_apart(stored.record):
                yield record_line(stored.record, left_out)
        after = page[-1].record.id


def post_line(post: Post, left_out: frozenset[str] = frozenset()) -> str:
    """A whole post as one line of JSON."""
    body = post.model_dump(mode="json", exclude={"analysis": {"vector"}})
    if post.analysis is not None:
        body["analysis"]["vector"] = post.analysis.vector.hex()
    return _line("post", body, left_out)


def letter_line(letter: DeadLetter) -> str:
    """A dead letter as one line of JSON."""
    body = {"post": post_line(letter.post), "at": letter.at.isoformat(), "reason": letter.reason}
    return _line("dead-letter", body, frozenset())


def record_line(record: StateRecord, left_out: frozenset[str] = frozenset()) -> str:
    """A state record as one line of JSON."""
    return _line(record.kind, record.model_dump(mode="json"), left_out)


def _line(kind: str, body: dict[str, Any], left_out: frozenset[str]) -> str:
    body = {"record": kind, **body}
    if left_out:
        body = _without(body, left_out)
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _without(value: Any, left_out: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {k: _without(v, left_out) for k, v in value.items() if k not in left_out}
    if isinstance(value, list):
        return [_without(one, left_out) for one in value]
    return value
