"""The posts of the window in flat arrays: an inverted index of hashed terms, vectors in blocks.

Memory does not depend on how long it runs: terms are hashed into `BUCKETS`, of each bucket only the
latest `RING` posts are remembered, and what belongs to a post lies in blocks that are freed when
all their posts have gone. Rows are numbered in the order of arrival and never reused. What is found
is a function of the rows that are kept, so an index that is filled again answers the same.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlp.incidents.terms import latin

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]

BUCKETS_BITS = 20
BUCKETS = 1 << BUCKETS_BITS
RING = 40
MAX_TERMS = 200
BLOCK = 1 << 12
UNKNOWN_COSINE = 0.55
"""Stands in for the cosine where one side has no vector of the same model: about the mean over
posts that have nothing to do with each other."""
ENOUGH = 3
"""Common terms from which a cosine counts in full."""
_PACK = 16
_MIX = np.uint64(0x9E3779B97F4A7C15)
_DAMPED = np.array([0.0, *(1 + math.log(count) for count in range(1, _PACK))])
_LOG_UNSEEN = math.log(1.5)


def term_ids(text: str) -> Ids:
    """Packed terms of a cleaned text, shape (distinct terms,): bucket * 16 + count (at most 15).

    Terms are character bigrams of Chinese runs, single characters that stand alone, and whole Latin
    words and numbers, as in `terms.terms`; two terms may share a bucket.
    """
    if not text:
        return np.zeros(0, dtype=np.int64)
    chars = np.frombuffer(text.encode("utf-32-le", "replace"), dtype=np.uint32)
    han = (chars >= 0x3400) & (chars <= 0x9FFF)
    wide = chars.astype(np.uint64)
    both = han[:-1] & han[1:]
    keys = (wide[:-1][both] << np.uint64(20)) ^ wide[1:][both]
    alone = han.copy()
    alone[:-1] &= ~han[1:]
    alone[1:] &= ~han[:-1]
    parts = [keys]
    if alone.any():
        parts.append(wide[alone])
    if not han.all():
        words = [zlib.crc32(word.encode()) | 1 << 40 for word in latin(text)]
        if words:
            parts.append(np.array(words, dtype=np.uint64))
    every = np.concatenate(parts)[:MAX_TERMS] if len(parts) > 1 else keys[:MAX_TERMS]
    buckets = (every * _MIX) >> np.uint64(64 - BUCKETS_BITS)
    ids, counts = np.unique(buckets.astype(np.int64), return_counts=True)
    return np.asarray(ids * _PACK + np.minimum(counts, _PACK - 1), dtype=np.int64)


class _Block:
    """What belongs to `BLOCK` rows that arrived one after the other."""

    __slots__ = ("live", "models", "scales", "terms", "vectors")

    def __init__(self) -> None:
        self.live = 0
        self.terms: list[bytes] = [b""] * BLOCK
        self.models: list[str] = [""] * BLOCK
        self.vectors: Bytes | None = None
        self.scales = np.zeros(BLOCK, dtype=np.float32)


class Index:
    """Rows with their terms, vectors and times; finds the likeliest neighbours of a post."""

    def __init__(self) -> None:
        self.next = 0
        self._blocks: dict[int, _Block] = {}
        self._ring = np.zeros((BUCKETS, RING), dtype=np.int32)
        """Row + 1; zeros, so that the system gives memory only for what is used."""
        self._written = np.zeros(BUCKETS, dtype=np.int32)
        self._seen = np.zeros(BUCKETS, dtype=np.int32)
        self._log_seen = np.zeros(BUCKETS, dtype=np.float32)
        """log((posts with the term + 1.5) / 1.5)"""
        self._query = np.zeros(BUCKETS, dtype=np.float64)
        self._room = 1 << 14
        self._times = np.full(self._room, np.nan)
        """Time of a kept row at row % room; nan where none is kept."""
        self._oldest = 0
        self._kept = 0

    def __len__(self) -> int:
        return self._kept

    # ---- keeping

    def add(self, time: float, packed: Ids, vector: Vector | None, model: str) -> int:
        """Keep a row; returns its number."""
        row = self.next
        self.next += 1
        self._make_room(row)
        self._times[row % self._room] = time
        self._kept += 1
        block = self._blocks.setdefault(row // BLOCK, _Block())
        block.live += 1
        place = row % BLOCK
        if len(packed):
            block.terms[place] = packed.astype(np.int32).tobytes()
            ids = packed // _PACK
            self._ring[ids, self._written[ids] % RING] = row + 1
            self._written[ids] += 1
            self._seen[ids] += 1
            self._log_seen[ids] = np.log(self._seen[ids] + 1.5) - _LOG_UNSEEN
            if vector is not None and len(vector):
                self._keep_vector(block, place, vector, model)
        return row

    @staticmethod
    def _keep_vector(block: _Block, place: int, vector: Vector, model: str) -> None:
        if block.vectors is None or block.vectors.shape[1] < len(vector):
            wider = np.zeros((BLOCK, len(vector)), dtype=np.int8)
            if block.vectors is not None:
                wider[:, : block.vectors.shape[1]] = block.vectors
            block.vectors = wider
        block.vectors[place, : len(vector)], block.scales[place] = _in_bytes(vector)
        block.models[place] = model

    def drop(self, row: int) -> None:
        """Forget a kept row."""
        self._times[row % self._room] = np.nan
        self._kept -= 1
        block = self._blocks[row // BLOCK]
        packed = block.terms[row % BLOCK]
        if packed:
            ids = np.frombuffer(packed, dtype=np.int32) // _PACK
            self._seen[ids] -= 1
            self._log_seen[ids] = np.log(self._seen[ids] + 1.5) - _LOG_UNSEEN
            block.terms[row % BLOCK] = b""
        block.live -= 1
        if not block.live and (row // BLOCK) != self.next // BLOCK:
            del self._blocks[row // BLOCK]

    def _make_room(self, row: int) -> None:
        """Rows that are kept must not meet at the same place."""
        while self._oldest < row and np.isnan(self._times[self._oldest % self._room]):
            self._oldest += 1
        if row - self._oldest < self._room:
            return
        kept = np.arange(self._oldest, row)
        times = self._times[kept % self._room]
        self._room *= 2
        self._times = np.full(self._room, np.nan)
        self._times[kept % self._room] = times

    # ---- asking

    def has_terms(self, row: int) -> bool:
        """False for a row that is found only through its thread."""
        return bool(self._blocks[row // BLOCK].terms[row % BLOCK])

    def weights(self, packed: Ids) -> tuple[Ids, Floats]:
        """Buckets and tf-idf weights of a post's terms, both of shape (terms,)."""
        ids = packed // _PACK
        total = math.log(self._kept + 2) + 1.0 - _LOG_UNSEEN
        return ids, _DAMPED[packed % _PACK] * (total - self._log_seen[ids])

    def candidates(
        self, ids: Ids, weights: Floats, most_terms: int, limit: int
    ) -> npt.NDArray[np.int64]:
        """Kept rows that share the rarest terms, those that share most first."""
        if len(ids) > most_terms:
            best = np.argsort(-weights, kind="stable")[:most_terms]
            ids, weights = ids[best], weights[best]
        rows = self._ring[ids] - 1
        known = rows >= max(self._oldest, self.next - self._room, 0)
        if not known.any():
            return np.zeros(0, dtype=np.int64)
        gains = np.broadcast_to((weights * weights)[:, None], rows.shape)[known]
        found = rows[known].astype(np.int64)
        alive = ~np.isnan(self._times[found % self._room])
        found, places = np.unique(found[alive], return_inverse=True)
        if not len(found):
            return found
        total = np.round(np.bincount(places, weights=gains[alive]), 6)
        order = np.lexsort((-found, -total))[:limit]
        return found[order]

    def time(self, row: int) -> float:
        """Time of a kept row, seconds since the epoch."""
        return float(self._times[row % self._room])

    def times(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Times of kept rows, shape (rows,)."""
        return np.asarray(self._times[rows % self._room], dtype=np.float64)

    def cosines(self, ids: Ids, weights: Floats, rows: Sequence[int]) -> Floats:
        """Tf-idf cosine of a post with each of the rows, shape (rows,).

        Less where they have fewer than `ENOUGH` terms in common: one may be chance in short texts.
        """
        parts = [self._blocks[row // BLOCK].terms[row % BLOCK] for row in rows]
        sizes = np.array([len(part) // 4 for part in parts])
        packed = np.frombuffer(b"".join(parts), dtype=np.int32)
        theirs = packed // _PACK
        total = math.log(self._kept + 2) + 1.0 - _LOG_UNSEEN
        values = _DAMPED[packed % _PACK] * (total - self._log_seen[theirs])
        self._query[ids] = weights
        owner = np.repeat(np.arange(len(rows)), sizes)
        ours = self._query[theirs]
        dots = np.bincount(owner, weights=values * ours, minlength=len(rows))
        common = np.bincount(owner, weights=ours > 0, minlength=len(rows))
        self._query[ids] = 0.0
        squares = np.bincount(owner, weights=values * values, minlength=len(rows))
        lengths = np.sqrt(np.maximum(squares * float(weights @ weights), 1e-12))
        return np.asarray(dots / lengths * np.minimum(1.0, common / ENOUGH), dtype=np.float64)

    def meanings(self, vector: Vector | None, model: str, rows: Sequence[int]) -> Floats:
        """Cosine of the sentence vectors, shape (rows,)."""
        found = np.full(len(rows), UNKNOWN_COSINE)
        if vector is None or not len(vector):
            return found
        places, theirs, scales = [], [], []
        for place, row in enumerate(rows):
            block = self._blocks[row // BLOCK]
            if block.vectors is not None and block.models[row % BLOCK] == model:
                places.append(place)
                theirs.append(block.vectors[row % BLOCK])
                scales.append(block.scales[row % BLOCK])
        if places:
            ours, scale = _in_bytes(vector)
            matrix = np.array(theirs)[:, : len(ours)].astype(np.float32)
            found[places] = (matrix @ ours.astype(np.float32)) * (np.array(scales) * scale)
        return found

    def packed(self, row: int) -> Ids:
        """Packed terms of a kept row."""
        packed = self._blocks[row // BLOCK].terms[row % BLOCK]
        return np.frombuffer(packed, dtype=np.int32).astype(np.int64)

    def vector(self, row: int) -> tuple[Vector | None, str]:
        """Vector of a kept row and the model that made it."""
        block = self._blocks[row // BLOCK]
        model = block.models[row % BLOCK]
        if block.vectors is None or not model:
            return None, ""
        scaled = block.vectors[row % BLOCK].astype(np.float32) * block.scales[row % BLOCK]
        return scaled, model


def _in_bytes(vector: Vector) -> tuple[Bytes, np.float32]:
    """8-bit form of a vector, and what its numbers must be multiplied with for unit length."""
    peak = float(np.abs(vector).max())
    small = np.rint(vector * (127.0 / peak if peak else 0.0)).astype(np.int8)
    length = float(np.sqrt((small.astype(np.float32) ** 2).sum()))
    return small, np.float32(1.0 / length if length else 0.0)
