"""Finding stored posts in real time, and changing them as "write if nobody wrote since I read"."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from archive.elastic.bulk import Bulk, Outcome, Write, in_parts, update
from archive.elastic.connection import BUSY_SECONDS, Elastic
from archive.placing import fixed_month, suffix
from huiyin.errors import ArchiveAway, ArchiveBusy

T = TypeVar("T")
Json = dict[str, Any]

IDS_AT_ONCE = 500
_PLACE = re.compile(r"\d{4}(-\d{2})?")
MOST_ROUNDS = 60
"""How often a change is begun again because somebody else was quicker."""
Edit = Callable[[Json, T], tuple[Json | None, bool]]
"""From a stored document and what is wanted to (fields to write or None, whether it counts)."""


class Found(NamedTuple):
    """A stored document as it is now."""

    place: str
    """The concrete index."""
    seq_no: int
    term: int
    source: Json


class Editor:
    """All writes to posts that exist."""

    def __init__(self, es: Elastic, bulk: Bulk) -> None:
        self._es = es
        self._bulk = bulk
        self._known: frozenset[str] = frozenset()

    # ---- where posts lie

    def alias(self, place: str) -> str:
        """The alias of a month's index of posts (see archive/placing.py)."""
        return f"{self._es.posts}-{suffix(place, self._es.options.posts_index)}"

    def aliases(self) -> frozenset[str]:
        """The aliases of all indices of posts that there are now."""
        answer = self._es.request("GET", f"/_alias/{self._es.posts}-*", missing={})
        self._known = frozenset(
            alias for found in answer.values() if isinstance(found, Mapping)
            for alias in found.get("aliases", {})
            if _PLACE.fullmatch(alias.removeprefix(f"{self._es.posts}-"))
        )  # fmt: skip
        return self._known

    def candidates(self, post_id: str, known: frozenset[str]) -> Sequence[str]:
        """The aliases among `known` that can hold an id."""
        place = fixed_month(post_id)
        if place is None:
            return sorted(known)
        return [
            alias for alias in (f"{self._es.posts}-{place[:4]}", f"{self._es.posts}-{place}")
            if alias in known
        ]  # fmt: skip

    def find(self, ids: Iterable[str], *, without: Sequence[str] = ()) -> dict[str, Found]:
        """Those that are stored, real-time; `without`: parts of the documents not to be read.

        Indices that another process just made are looked for only when something is not found.
        """
        wanted = list(dict.fromkeys(ids))
        known = self._known or self.aliases()
        found = self._find(wanted, known, without)
        if len(found) < len(wanted) and (new := self.aliases() - known):
            missing = [one for one in wanted if one not in found]
            found |= self._find(missing, new, without)
        return found

    def doubles(self, ids: Iterable[str]) -> dict[str, list[Found]]:
        """Ids that are stored more than once, and their copies but the one in the oldest index."""
        known, wanted = self.aliases(), list(dict.fromkeys(ids))
        times = Counter(one for one, _ in self._copies(wanted, known, ("*",)))
        wanted = [one for one in wanted if times[one] > 1]
        copies: dict[str, list[Found]] = {}
        for one, found in self._copies(wanted, known, ("vectors",)):
            copies.setdefault(one, []).append(found)
        return {one: several[1:] for one, several in copies.items() if len(several) > 1}

    def _find(
        self, ids: Sequence[str], known: frozenset[str], without: Sequence[str]
    ) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for one, copy in self._copies(ids, known, without):
            found.setdefault(one, copy)  # the older index wins
        return found

    def _copies(
        self, ids: Sequence[str], known: frozenset[str], without: Sequence[str]
    ) -> Iterator[tuple[str, Found]]:
        """Every stored copy; those of one id from the oldest index to the newest."""
        asked = [(alias, one) for one in ids for alias in self.candidates(one, known)]
        params = {"_source_excludes": ",".join(without)} if without else None
        for part in in_parts(asked, IDS_AT_ONCE):
            docs = [{"_index": alias, "_id": one} for alias, one in part]
            answer = self._es.request("POST", "/_mget", params=params, body={"docs": docs})
            for one in answer["docs"]:
                if one.get("found"):
                    yield (
                        one["_id"],
                        Found(one["_index"], one["_seq_no"], one["_primary_term"], one["_source"]),
                    )

    # ---- changing

    def edit(
        self, wanted: Mapping[str, Sequence[T]], edit: Edit[T], *,
        without: Sequence[str] = ("vectors",), refresh: bool = False,
        reject: Callable[[Outcome], None] | None = None,
    ) -> tuple[int, dict[str, Sequence[T]]]:  # fmt: skip
        """Change stored posts; returns how many wanted changes count, and those of unknown ids.

        Each post's changes are applied one after the other to what is stored now and written at
        once. `reject` is told of what the server refuses for good; without it that is an error.
        Raises `ArchiveBusy` when others are always quicker.
        """
        left, unknown, counted = dict(wanted), dict[str, Sequence[T]](), 0
        started, blocked = time.monotonic(), False
        for tries in range(MOST_ROUNDS):
            again: dict[str, Sequence[T]] = {}
            for part in in_parts(left, IDS_AT_ONCE):
                found = self.find(part, without=without)
                unknown.update((one, left[one]) for one in part if one not in found)
                writes, counts = _changes(found, left, edit)
                for outcome in self._bulk.send(writes, refresh=refresh):
                    if outcome.status < 300:
                        continue
                    del counts[outcome.write.id]
                    blocked = outcome.error.get("type") == "cluster_block_exception"
                    if outcome.status in (404, 409) or blocked:
                        again[outcome.write.id] = left[outcome.write.id]
                    elif outcome.status == 400 and reject is not None:
                        reject(outcome)
                    else:
                        raise outcome.refusal()
                counted += sum(counts.values())
            if not again:
                return counted, unknown
            left = again
            if blocked:
                self._es.when_blocked()
            if time.monotonic() - started > BUSY_SECONDS:
                break
            time.sleep(min(0.002 * 2**tries, 1.0))
        if blocked:
            raise ArchiveAway("档案暂时不接受写入", "请稍后再试；采集到的帖文会先存在本机")
        raise ArchiveBusy("这些帖文一直有别人在写", "请稍后再试")


def _changes(
    found: Mapping[str, Found], wanted: Mapping[str, Sequence[T]], edit: Edit[T]
) -> tuple[list[Write], dict[str, int]]:
    """The writes, and how many wanted changes of each post count once they are done."""
    writes, counts = [], {}
    for post_id, stored in found.items():
        fields, counts[post_id] = _applied(stored.source, wanted[post_id], edit)
        if fields:
            writes.append(update(post_id, stored.place, stored.seq_no, stored.term, fields))
    return writes, counts


def _applied(source: Json, wanted: Sequence[T], edit: Edit[T]) -> tuple[Json, int]:
    """Fields that the changes give together, and how many of them count."""
    fields: Json = {}
    counted = 0
    for one in wanted:
        part, counts = edit({**source, **fields}, one)
        counted += counts
        fields |= part or {}
    return fields, counted
