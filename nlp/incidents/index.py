"""The posts of the window in flat arrays: an inverted index of hashed terms, vectors in 8 bits.

Memory does not depend on how long it runs: terms are hashed into `BUCKETS`, of each bucket only the
latest `RING` posts are remembered, and what belongs to a row lies at row % room, where room is the
least power of two that holds all rows from the oldest kept one on. Rows are numbered in order of
arrival and never reused. What is found is a function of the rows that are kept, so an index that is
filled again answers the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlp.incidents import commonness, names
from nlp.incidents.packing import (
    BUCKETS,
    PACK,
    Floats,
    Ids,
    Pressed,
    Vector,
    buckets_of,
    counts_of,
)  # fmt: skip
from nlp.incidents.thresholds import MEAN_COSINE, SPREAD_COSINE, UNKNOWN_COSINE
from nlp.incidents.vector_store import Vectors

if TYPE_CHECKING:
    from nlp.incidents.items import Kept

RING = 24
FIRST_ROOM = 1 << 12
ENOUGH = 4
"""Common terms from which a cosine counts in full; one that is common in general is less than 1."""
_DAMPED = np.array([0.0, *(1 + math.log(count) for count in range(1, PACK))])
_LOG_UNSEEN = math.log(1.5)


class _Scale:
    """Brings the cosines of every model to one scale: mean 0.5, deviation 0.08."""

    stretch = 0.08 / SPREAD_COSINE
    shift = 0.5 - MEAN_COSINE * 0.08 / SPREAD_COSINE


def scale_cosines(mean: float, spread: float) -> None:
    """Take another model's mean and deviation; for choosing thresholds only."""
    _Scale.stretch, _Scale.shift = 0.08 / spread, 0.5 - mean * 0.08 / spread


class Query(NamedTuple):
    """A post as it is compared: made once, asked several times."""

    ids: Ids | npt.NDArray[np.int32]
    """Buckets of its terms, shape (terms,)."""
    weights: Floats
    """Their tf-idf weights now, shape (terms,)."""
    length: float
    """Square of the length of `weights`."""
    vector: Vector | None
    """Its vector as 8 bits would keep it, unit length; None = it has none."""
    model: int
    """Number of the model that made the vector; 0 = none."""


class Rows(NamedTuple):
    """Kept rows as posts are compared with them: read once, asked for each post."""

    numbers: list[int]
    times: Floats
    """Shape (rows,); likewise the others without a word."""
    ids: npt.NDArray[np.int32]
    """Buckets of the terms of all of them, one row after the other, shape (terms,)."""
    owner: Ids
    """To which row in `numbers` each term belongs, shape (terms,)."""
    weights: Floats
    """Tf-idf weights of the terms now, shape (terms,)."""
    squares: Floats
    """Of the lengths of their weights."""
    vectors: Vector
    """Shape (rows, dims)."""
    scales: npt.NDArray[np.float32]
    """What their vectors must be multiplied with for unit length."""
    made_by: npt.NDArray[np.int16]
    """Numbers of the models that made their vectors; 0 = none."""


class Index:
    """Rows with their terms, vectors and times; finds the likeliest neighbours of a post."""

    def __init__(self) -> None:
        self.next = 0
        self._ring = np.zeros((BUCKETS, RING), dtype=np.int32)
        """Row + 1; zeros, so that the system gives memory only for what is used."""
        self._written = np.zeros(BUCKETS, dtype=np.int32)
        self._seen = np.zeros(BUCKETS, dtype=np.int32)
        self._log_seen = np.zeros(BUCKETS, dtype=np.float32)
        """log((posts with the term + 1.5) / 1.5)"""
        self._uncommon = commonness.weights()
        self._query = np.zeros(BUCKETS, dtype=np.float64)
        self._models: dict[str, int] = {"": 0}
        self._room = FIRST_ROOM
        self._times = np.full(self._room, np.nan)
        """Time of a kept row at row % room; nan where none is kept. The others lie likewise."""
        self._terms: list[bytes] = [b""] * self._room
        self._posts: list[Kept | None] = [None] * self._room
        self._vectors = Vectors(self._room)
        self._gains = np.zeros(self._room, dtype=np.float64)
        self._first = np.zeros(self._room, dtype=np.int64)
        self._oldest = 0
        self._kept = 0

    def __len__(self) -> int:
        return self._kept

    # ---- keeping

    def add(self, time: float, packed: Ids, vector: Pressed | None, model: str, kept: Kept) -> int:
        """Keep a row; returns its number."""
        row = self.next
        self.next += 1
        self._make_room(row)
        place = row % self._room
        self._times[place] = time
        self._posts[place] = kept
        self._kept += 1
        if len(packed):
            self._terms[place] = packed.astype(np.int32).tobytes()
            ids = buckets_of(packed)
            written = self._written[ids]
            self._ring[ids, written % RING] = row + 1
            self._written[ids] = written + 1
            self._count(ids, 1)
            if vector is not None:
                number = self._models.setdefault(model, len(self._models))
                self._vectors.add(place, vector, number)
        return row

    def _count(self, ids: npt.NDArray[Any], more: int) -> None:
        seen = self._seen[ids] + more
        self._seen[ids] = seen
        self._log_seen[ids] = np.log(seen + 1.5) - _LOG_UNSEEN

    def kept(self, row: int) -> Kept:
        """What is known of the post of a kept row. Raises KeyError for any other row."""
        kept = self._posts[row % self._room]
        if kept is None:
            raise KeyError(row)
        return kept

    def drop(self, row: int) -> None:
        """Forget a kept row."""
        place = row % self._room
        self._times[place] = np.nan
        self._posts[place] = None
        self._vectors.drop(place)
        self._kept -= 1
        packed = self._terms[place]
        if packed:
            ids = buckets_of(np.frombuffer(packed, dtype=np.int32))
            self._count(ids, -1)
            self._terms[place] = b""

    def _make_room(self, row: int) -> None:
        """Rows that are kept must not meet at the same place."""
        while self._oldest < row and math.isnan(self._times[self._oldest % self._room]):
            self._oldest += 1
        if row - self._oldest < self._room:
            return
        kept = np.arange(self._oldest, row)
        before, after = kept % self._room, kept % (2 * self._room)
        terms: list[bytes] = [b""] * (2 * self._room)
        posts: list[Kept | None] = [None] * (2 * self._room)
        for old, new in zip(before.tolist(), after.tolist(), strict=True):
            terms[new], posts[new] = self._terms[old], self._posts[old]
        self._terms, self._posts = terms, posts
        self._room *= 2
        times = np.full(self._room, np.nan)
        times[after] = self._times[before]
        self._times = times
        self._vectors.move(before, after, self._room)
        self._gains = np.zeros(self._room, dtype=np.float64)
        self._first = np.zeros(self._room, dtype=np.int64)

    # ---- asking

    def has_terms(self, row: int) -> bool:
        """False for a row that is found only through its thread."""
        return bool(self._terms[row % self._room])

    def query(self, packed: Ids, vector: Pressed | None, model: str) -> Query:
        """What is asked for a post with these packed terms and this vector."""
        ids = buckets_of(packed)
        weights = self._weights(packed, ids)
        length = float(weights @ weights)
        if vector is None:
            return Query(ids, weights, length, None, 0)
        return Query(ids, weights, length, vector.bytes * vector.scale, self._models.get(model, 0))

    def queries(self, rows: Rows) -> list[Query]:
        """The same for kept rows."""
        ends = np.searchsorted(rows.owner, np.arange(len(rows.numbers) + 1)).tolist()
        found = []
        for place, (start, end) in enumerate(pairwise(ends)):
            weights, model = rows.weights[start:end], int(rows.made_by[place])
            vector = rows.vectors[place] * rows.scales[place] if model else None
            length = float(weights @ weights)
            found.append(Query(rows.ids[start:end], weights, length, vector, model))
        return found

    def _weights(self, packed: npt.NDArray[Any], ids: npt.NDArray[Any]) -> Floats:
        """Damped count times idf of the kept posts times how uncommon the term is in general."""
        idf = self._unseen() - self._log_seen[ids]
        return np.asarray(_DAMPED[counts_of(packed)] * idf * self._uncommon[ids], dtype=np.float64)

    def _unseen(self) -> float:
        return math.log(self._kept + 2) + 1.0 - _LOG_UNSEEN

    def candidates(self, query: Query, most_terms: int, limit: int) -> npt.NDArray[np.int64]:
        """Kept rows that share the rarest terms, those that share most first."""
        ids, weights = query.ids, query.weights
        if len(ids) > most_terms:
            best = np.argsort(-weights, kind="stable")[:most_terms]
            ids, weights = ids[best], weights[best]
        rows = self._ring[ids] - 1
        where = np.flatnonzero(rows.ravel() >= max(self._oldest, self.next - self._room, 0))
        found = rows.ravel()[where].astype(np.int64)
        places = found % self._room
        alive = ~np.isnan(self._times[places])
        if not alive.all():
            where, found, places = where[alive], found[alive], places[alive]
        if not len(found):
            return found
        self._gains[places] = 0.0
        np.add.at(self._gains, places, (weights * weights)[where // RING])
        order = np.arange(len(found))
        self._first[places[::-1]] = order[::-1]
        once = self._first[places] == order
        found, total = found[once], np.round(self._gains[places[once]], 6)
        if len(found) > limit:
            likely = total >= np.partition(total, -limit)[-limit]
            found, total = found[likely], total[likely]
        return np.asarray(found[np.lexsort((-found, -total))[:limit]])

    def holders(self, packed: Ids) -> list[list[int]]:
        """Of each term that may be a name (`names`) the latest kept rows that have it."""
        ids = buckets_of(packed)
        seen = self._seen[ids]
        rare = (seen >= names.FROM) & (seen <= names.TO) & (self._uncommon[ids] >= names.RARE)
        found = []
        for bucket in ids[rare].tolist():
            rows = self._ring[bucket].astype(np.int64) - 1
            rows = rows[rows >= max(self._oldest, self.next - self._room, 0)]
            kept = rows[~np.isnan(self._times[rows % self._room])]
            found.append(sorted(kept.tolist()))
        return found

    def share_a_name(self, rows: Sequence[int]) -> bool:
        """Whether a term that may be a name is in most of the rows, and in hardly any others."""
        terms = [np.frombuffer(self._terms[row % self._room], dtype=np.int32) for row in rows]
        ids, counts = np.unique(buckets_of(np.concatenate(terms)), return_counts=True)
        most = counts >= max(2.0, names.SHARED_BY * len(rows))
        own = self._seen[ids] <= 2 * counts + 2
        return bool((most & own & (self._uncommon[ids] >= names.RARE)).any())

    def time(self, row: int) -> float:
        """Time of a kept row, seconds since the epoch."""
        return float(self._times[row % self._room])

    def times(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Times of kept rows, shape (rows,)."""
        return np.asarray(self._times[rows % self._room], dtype=np.float64)

    def rows(self, numbers: Sequence[int]) -> Rows:
        """Kept rows, to be compared with one post or several."""
        room = self._room
        places = np.array(numbers, dtype=np.int64) % room
        parts = [self._terms[number % room] for number in numbers]
        packed = np.frombuffer(b"".join(parts), dtype=np.int32)
        ids = buckets_of(packed)
        owner = np.repeat(np.arange(len(parts)), [len(part) // 4 for part in parts])
        weights = self._weights(packed, ids)
        squares = np.bincount(owner, weights=weights * weights, minlength=len(parts))
        return Rows(
            list(numbers), self._times[places], ids, owner, weights, squares.astype(np.float64),
            *self._vectors.at(places),
        )  # fmt: skip

    def cosines(self, queries: Sequence[Query], rows: Rows) -> Floats:
        """Tf-idf cosine of posts with each of the rows, shape (posts, rows).

        Less where they have fewer than `ENOUGH` terms in common: one may be chance in short texts.
        """
        count = len(rows.numbers)
        dots, common = np.empty((len(queries), count)), np.empty((len(queries), count))
        for place, query in enumerate(queries):
            self._query[query.ids] = query.weights
            ours = self._query[rows.ids]
            self._query[query.ids] = 0.0
            shared = np.flatnonzero(ours != 0.0)  # of truth values it is several times as fast
            owner, weights = rows.owner[shared], rows.weights[shared] * ours[shared]
            known = np.minimum(1.0, self._uncommon[rows.ids[shared]])
            dots[place] = np.bincount(owner, weights, count)
            common[place] = np.bincount(owner, known, count)
        lengths = np.array([[query.length] for query in queries])
        lengths = np.sqrt(np.maximum(rows.squares * lengths, 1e-12))
        return np.asarray(dots / lengths * np.minimum(1.0, common / ENOUGH), dtype=np.float64)

    def meanings(self, queries: Sequence[Query], rows: Rows) -> Floats:
        """Cosine of the sentence vectors on the scale of `thresholds`, shape (posts, rows)."""
        near = np.zeros((len(queries), len(rows.numbers)), dtype=np.float32)
        for place, query in enumerate(queries):
            if query.vector is not None and query.model:
                near[place] = rows.vectors[:, : len(query.vector)] @ query.vector
        models = np.array([[query.model] for query in queries])
        found = near * rows.scales * _Scale.stretch + _Scale.shift
        known = (rows.made_by == models) & (models > 0)
        return np.where(known, found, UNKNOWN_COSINE).astype(np.float64)
