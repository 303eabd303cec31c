"""Posts as their owners write them: the crawler, nlp, incidents.

New posts are bulk `create`; only the conflicts become updates. A change is worked out here, by the
functions that SQLite uses too, and written if nobody wrote meanwhile; the server computes nothing.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from archive.base import Packer, PutReport
from archive.elastic.bulk import Bulk, Outcome, Write, create, delete, put
from archive.elastic.connection import Elastic
from archive.elastic.documents import (
    counted_at,
    crawled,
    document,
    failing,
    failures_of,
    to_post,
    tombstone,
    understood,
)
from archive.elastic.editing import MOST_ROUNDS, Editor
from archive.elastic.purging import Purge
from archive.elastic.restoring import letter_key, reason_against
from archive.elastic.templates import DEAD_LETTERS
from archive.merging import erased, merge
from archive.placing import fixed_month, place_of
from huiyin.clock import system_clock
from huiyin.errors import ArchiveBusy
from huiyin.records import Analysis, Post

Json = dict[str, Any]


class Packed(NamedTuple):
    """A post as it is sent; `marshal` carries it between processes."""

    id: str
    place: str
    """Month of the time that decides where it lies, `2026-07`."""
    body: bytes
    """The document."""

    def post(self) -> Post:
        """The post again."""
        return to_post(from_json(self.body))


def packed(post: Post) -> Packed:
    """All that can be done for a post without the archive."""
    return Packed(post.id, place_of(post), to_json(document(post)))


def pack(posts: Sequence[Post]) -> bytes:
    """Posts prepared in another process, for `put_packed`."""
    return marshal.dumps([tuple(packed(post)) for post in posts])


class PostWriting:
    """`put_posts`, `packer`, `put_packed`, `delete_posts`, `write_analyses`, `mark_incidents`."""

    _es: Elastic
    _bulk: Bulk
    _editor: Editor
    _purge: Purge

    def put_posts(self, posts: Sequence[Post]) -> PutReport:
        return self._put(map(packed, posts))

    def packer(self) -> Packer:
        return pack

    def put_packed(self, packed: bytes) -> PutReport:
        return self._put(map(Packed._make, marshal.loads(packed)))  # noqa: S302 - our own

    def _put(self, posts: Iterable[Packed]) -> PutReport:
        run = _Put(self._es, self._bulk, self._editor)
        for outcome in self._bulk.send(run.writes(posts)):
            run.look_at(outcome)
        return run.finish()

    def delete_posts(self, ids: Sequence[str], at: datetime) -> int:
        def erase(source: Json, when: datetime) -> tuple[Json | None, bool]:
            if source.get("deleted_at") is not None:
                return None, False
            post = to_post({**source, "analysis": None})
            return tombstone(erased(post, when), counted_at(source)), True

        deleted, _ = self._editor.edit({one: [at] for one in ids}, erase, refresh=True)
        if deleted:
            self._purge.soon()
        return deleted

    def write_analyses(self, analyses: Sequence[tuple[str, Analysis]]) -> int:
        def store(source: Json, one: Analysis) -> tuple[Json | None, bool]:
            older = source.get("model") is not None and source["text_sha"] != one.text_sha
            if source.get("deleted_at") is not None or older:
                return None, False
            fields = understood(one, source)
            if "analysis" in (source.get("failing") or ()):
                left = [failure for failure in failures_of(source) if failure.stage != "analysis"]
                fields |= failing(left)
            return fields, True

        wanted: dict[str, list[Analysis]] = {}
        for post_id, one in analyses:
            wanted.setdefault(post_id, []).append(one)
        return self._editor.edit(wanted, store)[0]

    def mark_incidents(
        self, marks: Mapping[str, str], *, was: Mapping[str, Sequence[str]] | None = None
    ) -> int:
        def mark(source: Json, given: tuple[str, Sequence[str]]) -> tuple[Json | None, bool]:
            incident, left = given
            now = source.get("incident")
            may = now is None or (bool(incident) and (not now or now in left))
            return ({"incident": incident}, True) if may and now != incident else (None, False)

        wanted = {id_: [(incident, (was or {}).get(id_, ()))] for id_, incident in marks.items()}
        return self._editor.edit(wanted, mark, without=("vectors", "text", "analysis"))[0]


class _Put:
    """One `put_posts`: what is to be created, what is there already, what is refused."""

    def __init__(self, es: Elastic, bulk: Bulk, editor: Editor) -> None:
        self._es = es
        self._bulk = bulk
        self._editor = editor
        self._created: dict[str, Packed] = {}
        self._known: dict[str, list[Packed]] = {}
        self._places: frozenset[str] | None = None
        self._loose: set[str] = set()
        """Ids that may lie under another time too."""
        self._new = self._rejected = 0

    def writes(self, posts: Iterable[Packed]) -> Iterator[Write]:
        """A `create` for each id that is not known to be stored already."""
        loose: list[Packed] = []
        for one in posts:
            if one.id in self._created or one.id in self._known:
                self._known.setdefault(one.id, []).append(one)
            elif not self._can_be_stored(one):
                continue
            elif not self._elsewhere(one):
                if fixed_month(one.id) is None:  # another importer may make it elsewhere
                    self._loose.add(one.id)
                yield self._create(one)
            else:
                self._loose.add(one.id)
                self._created[one.id] = one
                loose.append(one)
                if len(loose) == 1000:
                    yield from self._where_unknown(loose)
                    loose = []
        yield from self._where_unknown(loose)

    def _create(self, one: Packed) -> Write:
        self._created[one.id] = one
        return create(one.id, self._editor.alias(one.place), one.body)

    def _elsewhere(self, one: Packed) -> bool:
        """True when it may lie in another index than this reading's time says.

        So it is with ids that encode no time, and with all since `archive.posts_index` changed.
        """
        if self._places is None:
            self._places = self._editor.aliases()
        places = set(self._editor.candidates(one.id, self._places))
        return bool(places - {self._editor.alias(one.place)})

    def _where_unknown(self, posts: list[Packed]) -> Iterator[Write]:
        """Creates for those that are not stored under another time."""
        stored = self._editor.find((one.id for one in posts), without=("*",)) if posts else {}
        for one in posts:
            if one.id in stored:
                self._known.setdefault(one.id, []).insert(0, one)
                del self._created[one.id]
            else:
                yield self._create(one)

    def _can_be_stored(self, one: Packed) -> bool:
        if reason := reason_against(one.id, one.place):
            self._reject(one, reason)
        return not reason

    def look_at(self, outcome: Outcome) -> None:
        """Count a new post; keep aside what is stored already; refused ones are dead letters."""
        one = self._created[outcome.write.id]
        if outcome.status < 300:
            self._new += 1
        elif outcome.status == 409:
            self._known.setdefault(one.id, []).insert(0, one)
            del self._created[one.id]
        elif outcome.unfit:
            self._reject(one, outcome.reason)
            del self._created[one.id]
        else:
            raise outcome.refusal()

    def finish(self) -> PutReport:
        """Bring what the readings of known posts say."""
        readings = sum(map(len, self._known.values()))
        updated, unknown = self._editor.edit(
            self._known, _refresh, without=("vectors", "analysis"), reject=self._refused_change
        )
        if unknown:  # removed since: they are new again
            again = _Put(self._es, self._bulk, self._editor)
            posts = [one for several in unknown.values() for one in several]
            for outcome in self._bulk.send(again.writes(posts)):
                again.look_at(outcome)
            rest = again.finish()
            readings -= len(posts)
        else:
            rest = PutReport()
        self._settle_doubles()
        unchanged = readings - updated - self._changes_refused
        report = PutReport(new=self._new, updated=updated, unchanged=unchanged,
                           rejected=self._rejected)  # fmt: skip
        return report + rest

    _changes_refused = 0

    def _refused_change(self, outcome: Outcome) -> None:
        if outcome.outdated:
            raise outcome.refusal()
        for one in self._known[outcome.write.id]:
            self._reject(one, outcome.reason)
            self._changes_refused += 1

    def _reject(self, one: Packed, reason: str) -> None:
        """Keep what cannot be stored, with the server's reason; texts were masked before."""
        self._rejected += 1
        body = to_json(
            {"id": one.id, "at": system_clock(), "reason": reason, "document": one.body.decode()}
        )
        key = letter_key(one.id)
        for outcome in self._bulk.send([put(key, self._es.name(DEAD_LETTERS), body)]):
            if outcome.status >= 300:
                raise outcome.refusal()

    def _settle_doubles(self) -> None:
        """Two importers may at one moment have made an id under two times: the older place stays.

        Each looks after it has written, so at least one of the two sees both copies. What a killed
        one left is settled when the id is read in again.
        """
        if not self._loose or len(self._editor.aliases()) < 2:
            return
        for _ in range(MOST_ROUNDS):
            doubles = self._editor.doubles(self._loose)
            if not doubles:
                return
            readings = {
                post_id: [packed(to_post({**copy.source, "analysis": None})) for copy in others]
                for post_id, others in doubles.items()
            }
            self._editor.edit(readings, _refresh)
            # one that changed meanwhile stays, and is looked at in the next round
            list(self._bulk.send(
                delete(post_id, copy.place, copy.seq_no, copy.term)
                for post_id, others in doubles.items() for copy in others
            ))  # fmt: skip
        raise ArchiveBusy("这些帖文一直有别人在写", "请稍后再试")


def _refresh(source: Json, one: Packed) -> tuple[Json | None, bool]:
    """What another reading of a stored post changes."""
    old, read = to_post({**source, "analysis": None}), counted_at(source)
    merged = merge(old, read, one.post())
    if merged.post == old and merged.counted_at == read:
        return None, False
    if merged.post.deleted_at is not None:
        return tombstone(merged.post, merged.counted_at), merged.changed
    fields = {"title": None, **crawled(merged.post, merged.counted_at)}
    if merged.reworded:
        # what failed on the old text may succeed on the new one
        fields |= failing([])
        if source.get("model") is not None:
            fields["stale"] = source["analysed_sha"] != fields["text_sha"]
    return fields, merged.changed
