"""Bringing whole posts and records into an archive on servers, and taking posts out of it.

A post that is stored already keeps its place, whatever the time of what comes says; what the
server cannot store becomes a dead letter that holds all of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from archive.base import Failure, Stored
from archive.elastic.bulk import (
    BYTES_A_REQUEST,
    WRITES_A_REQUEST,
    Outcome,
    Write,
    delete,
    in_parts,
    put,
)
from archive.elastic.connection import LONGEST_ID
from archive.elastic.copies import copies
from archive.elastic.documents import (
    counted_at,
    crawled,
    document,
    failing,
    failures_of,
    to_post,
    to_time,
    understood,
)
from archive.elastic.editing import Found
from archive.elastic.keeping import Keep
from archive.elastic.stages import PUT
from archive.elastic.states import record_body
from archive.elastic.templates import DEAD_LETTERS
from archive.keeping.base import DeadLetter, WholePost
from archive.merging import first_counted
from archive.placing import place_of
from huiyin.clock import system_clock
from huiyin.records import StateRecord

Json = dict[str, Any]

AT_ONCE = 1000
LETTERS_A_PAGE = 200
_MONTHS = ("1970", "2262-03")
"""First and last that the server's times can hold."""


class Restoring(Keep):
    """`restore_*`, `remove_posts`, and the dead letters."""

    # ---- posts

    def restore_posts(self, posts: Sequence[WholePost]) -> int:
        self._open_to_restore()
        written = 0
        for part in in_parts(posts, AT_ONCE):
            wholes = {one.post.id: one for one in part}
            stored = copies(self._editor, wholes)
            writes: list[Write] = []
            refused: list[DeadLetter] = []
            for post_id, one in wholes.items():
                known = stored.get(post_id, [])
                writes += [delete(post_id, at.place, at.seq_no, at.term) for at in known[1:]]
                if known and _whole(known[0].source) == one:
                    continue
                written += 1
                if why := reason_against(one.post.id, place_of(one.post)):
                    refused.append(DeadLetter(one.post, system_clock(), why))
                else:
                    writes.append(self._restored(one, known[0] if known else None))
            refused += self._refused_of(writes, wholes)
            self._keep_apart(refused, stored)
        return written

    def _restored(self, one: WholePost, old: Found | None) -> Write:
        body = whole_document(one)
        if old is None:
            return put(one.post.id, self._editor.alias(place_of(one.post)), to_json(body))
        body |= {key: value for key, value in failing(failures_of(old.source)).items() if value}
        action = {"index": {"_index": old.place, "_id": one.post.id}}
        return Write(one.post.id, old.place, to_json(action), to_json(body))

    def _refused_of(
        self, writes: Sequence[Write], wholes: dict[str, WholePost]
    ) -> Iterator[DeadLetter]:
        """Do the writes; those that the server cannot do as they are."""
        for outcome in self._bulk.send(writes):
            if outcome.unfit:
                post = wholes[outcome.write.id].post
                yield DeadLetter(post, system_clock(), outcome.reason)
            else:
                _require_done(outcome)

    def _keep_apart(self, letters: Sequence[DeadLetter], stored: dict[str, list[Found]]) -> None:
        """Keep what was refused as dead letters alone: an older state would be taken for it."""
        self._put_letters(letters)
        self._do([
            delete(one.post.id, at.place, at.seq_no, at.term)
            for one in letters for at in stored.get(one.post.id, [])[:1]
        ])  # fmt: skip

    def remove_posts(self, ids: Sequence[str]) -> int:
        removed = 0
        for part in in_parts(ids, AT_ONCE):
            known = copies(self._editor, part, without=("*",))
            self._do([
                delete(one, at.place, at.seq_no, at.term)
                for one, several in known.items() for at in several
            ])  # fmt: skip
            removed += len(known)
        self._drop_letters(ids)
        if removed:
            self._es.refresh(self._es.posts)
            self._purge.soon()
        return removed

    # ---- records and failures

    def restore_records(self, records: Sequence[Stored[StateRecord]]) -> None:
        self._open_to_restore()
        writes = [
            put(one.record.id, self._es.name(one.record.kind), to_json(record_body(one.record)))
            for one in records
        ]
        for part in _in_turn(writes):  # the order of writing is part of it
            self._do(part)
        for kind in {one.record.kind for one in records}:
            self._es.refresh(self._es.name(kind))

    def restore_failures(self, failures: Sequence[Failure]) -> None:
        self._open_to_restore()
        self._es.refresh(self._es.posts)
        wanted: dict[str, list[Failure]] = {}
        for one in failures:
            if one.stage != PUT:
                wanted.setdefault(one.post_id, []).append(one)
        here = {one.post_id for one in self.failures(limit=1_000_000)}  # type: ignore[attr-defined]

        def make(_: Json, known: list[Failure]) -> tuple[Json | None, bool]:
            return failing(known), True

        edits = {one: [wanted.get(one, [])] for one in {*wanted, *here}}
        self._editor.edit(edits, make, without=("vectors", "text", "analysis"), refresh=True)

    # ---- dead letters

    def dead_letters(self) -> Iterator[DeadLetter]:
        alias = self._es.name(DEAD_LETTERS)
        self._es.refresh(alias)
        after: list[Any] | None = None
        while True:
            body: Json = {"size": LETTERS_A_PAGE, "sort": [{"_seq_no": "asc"}],
                          "track_total_hits": False}  # fmt: skip
            page = body if after is None else {**body, "search_after": after}
            hits = self._es.search(alias, page)["hits"]["hits"]
            for one in hits:
                yield _letter(one["_source"])
            if len(hits) < LETTERS_A_PAGE:
                return
            after = hits[-1]["sort"]

    def restore_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        self._open_to_restore()
        self._put_letters(letters)

    def remove_dead_letters(self, ids: Sequence[str]) -> int:
        self._open_to_restore()
        return self._drop_letters(ids)

    def _put_letters(self, letters: Sequence[DeadLetter]) -> None:
        alias = self._es.name(DEAD_LETTERS)
        self._do([put(letter_key(one.post.id), alias, _letter_body(one)) for one in letters])

    def _drop_letters(self, ids: Sequence[str]) -> int:
        """Costs one question where there are none, which is nearly always so."""
        alias, dropped = self._es.name(DEAD_LETTERS), 0
        for part in in_parts(ids, AT_ONCE):
            docs = [{"_index": alias, "_id": letter_key(one), "_source": False} for one in part]
            answer = self._es.request("POST", "/_mget", body={"docs": docs})
            found = [one for one in answer["docs"] if one.get("found")]
            self._do([
                delete(one["_id"], one["_index"], one["_seq_no"], one["_primary_term"])
                for one in found
            ])  # fmt: skip
            dropped += len(found)
        return dropped

    def _do(self, writes: Sequence[Write]) -> None:
        for outcome in self._bulk.send(writes):
            _require_done(outcome)


def reason_against(post_id: str, month: str) -> str:
    """Why no server can store such a post; empty when it may. `month`: see archive/placing.py."""
    size = len(post_id.encode())
    if not 0 < size <= LONGEST_ID:
        return f"编号长 {size} 字节，最多 {LONGEST_ID}"
    if not _MONTHS[0] <= month <= _MONTHS[1]:
        return f"时间 {month} 不在 1970 到 2262 年之间"
    return ""


def whole_document(one: WholePost) -> Json:
    """A post with all its owners' fields as a document."""
    body = {**document(one.post), **crawled(one.post, one.counted_at)}
    if one.post.analysis is not None:
        body |= understood(one.post.analysis, body)
    if one.post.incident is not None:
        body["incident"] = one.post.incident
    return body


def letter_key(post_id: str) -> str:
    """Where a post's dead letter lies: its own id may be what is wrong with it."""
    return hashlib.sha256(post_id.encode()).hexdigest()


def _whole(source: Json) -> WholePost:
    return WholePost(to_post(source), counted_at(source))


def _letter_body(letter: DeadLetter) -> bytes:
    post = letter.post
    kept = whole_document(WholePost(post, first_counted(post.metrics)))
    return to_json({
        "id": post.id, "at": letter.at, "reason": letter.reason,
        "document": to_json(kept).decode(),
    })  # fmt: skip


def _letter(source: Json) -> DeadLetter:
    at = to_time(source["at"])
    assert at is not None  # noqa: S101 - always written
    return DeadLetter(to_post(from_json(source["document"])), at, source["reason"])


def _require_done(outcome: Outcome) -> None:
    if outcome.status >= 300:
        raise outcome.refusal()


def _in_turn(writes: Sequence[Write]) -> Iterator[list[Write]]:
    """Parts that each go in one request, whose writes the server does in their order."""
    part: list[Write] = []
    for one in writes:
        full = len(part) >= WRITES_A_REQUEST or (
            sum(each.size for each in part) + one.size > BYTES_A_REQUEST
        )
        if part and full:
            yield part
            part = []
        part.append(one)
    if part:
        yield part
