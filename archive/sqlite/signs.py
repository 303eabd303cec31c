"""Nearest vectors in two steps: signs of all vectors in memory choose the candidates.

Each dimension of a vector is kept as one bit: is it above the mean of the model's vectors? Vectors
that differ in few bits point in nearly the same direction (random hyperplanes: Charikar 2002), and
counting different bits of a million vectors of 512 dimensions takes numpy about 6 ms. The best
`CANDIDATES` are then compared exactly, with the vectors in the tables: so no hit is ever stale, and
the answer is exact for fewer vectors than that. Sentence vectors of a model share a direction, so
the mean must be taken off first; without that recall is lower (figures: docs/decisions).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archive.sqlite.arrays import Arrays, Mask, Numbers, Turn
from archive.sqlite.connection import Database, Row
from huiyin.vectors import Matrix, unpack

CANDIDATES = 1000
LEAST_BITS = 512
"""Shorter vectors are turned into so many bits by several rotations."""
BLOCK = 65_536
"""Rows compared at a time, so that what lies between stays in the processor's cache."""
MEAN_OF = 20_000
"""Vectors that a mean needs; one of fewer is taken anew when there are `GROWN` times as many."""
GROWN = 8
_SAMPLE = "SELECT n FROM vectors WHERE model = ? LIMIT ?"


class Signs(Arrays):
    """One bit a dimension for each vector of one model and length; `has` = the post has one."""

    def __init__(self, db: Database, turn: Turn, model: str, dims: int) -> None:
        self._model, self._dims = model, dims
        self._rotations = _rotations(dims)
        self._bits = dims if self._rotations is None else self._rotations.shape[1]
        self._words = -(-self._bits // 64)
        name = hashlib.sha256(model.encode()).hexdigest()[:12]
        specs = {"bits": ("uint64", self._words), "has": ("bool", 1)}
        super().__init__(db, turn, f"signs-{name}-{dims}", specs)

    def _restart(self, more: Mapping[str, Any]) -> None:
        self._mean: npt.NDArray[np.float32] | None = None
        if "mean" in more:
            self._mean = np.array(more["mean"], dtype=np.float32)
        self._mean_of: int = more.get("mean_of", 0)

    def _more(self) -> dict[str, Any]:
        return {
            "mean": None if self._mean is None else self._mean.tolist(), "mean_of": self._mean_of
        }  # fmt: skip

    def _read(self, connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Row]:
        return connection.execute(
            f"""SELECT p.n, p.vector FROM vectors p
                WHERE {where} AND p.model = ? AND length(p.vector) = ?""",  # noqa: S608 - our own
            (*values, self._model, self._dims * 2),
        ).fetchall()

    def _fill(self, rows: Sequence[Row], at: Numbers) -> None:
        vectors = unpack([vector for _, vector in rows])
        if self._mean is None:
            self._mean, self._mean_of = vectors.mean(axis=0), len(vectors)
        self._columns["bits"][:, at] = self._signs(vectors - self._mean).T
        self._columns["has"][at] = True

    def _signs(self, moved: Matrix) -> npt.NDArray[np.uint64]:
        """Of vectors less the mean; shape (vectors, words)."""
        if self._rotations is not None:
            moved = moved @ self._rotations
        packed = np.zeros((len(moved), self._words * 8), dtype=np.uint8)
        bits = np.packbits(moved > 0, axis=1)
        packed[:, : bits.shape[1]] = bits
        return packed.view(np.uint64)

    def _begin(self, connection: sqlite3.Connection) -> None:
        sample = self._read(connection, f"p.n IN ({_SAMPLE})", (self._model, MEAN_OF))
        if sample:
            self._mean_of = len(sample)
            self._mean = unpack([vector for _, vector in sample]).mean(axis=0)

    def _outgrown(self) -> bool:
        many = max(GROWN * self._mean_of, CANDIDATES)
        return self._mean_of < MEAN_OF and int(np.count_nonzero(self.array("has"))) > many

    def nearest(self, wanted: npt.NDArray[np.float32], among: Mask | None) -> Numbers:
        """Row numbers of up to `CANDIDATES` posts with few different bits, of `among` if given."""
        if self._mean is None:
            return np.zeros(0, dtype=np.int64)
        distance = self._distances(self._signs((wanted - self._mean)[None])[0])
        can = self.array("has") if among is None else self.array("has") & among
        np.putmask(distance, ~can, self._bits + 1)
        enough = np.searchsorted(np.cumsum(np.bincount(distance)), CANDIDATES)
        limit = min(int(enough), self._bits)
        near = np.flatnonzero(distance < limit)
        equal = np.flatnonzero(distance == limit)[: max(0, CANDIDATES - len(near))]
        return np.concatenate([near, equal])

    def _distances(self, asked: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint16]:
        """Different bits of every row."""
        bits = self.array("bits")
        out = np.zeros(self.rows, dtype=np.uint16)
        for start in range(0, self.rows, BLOCK):
            part = out[start : start + BLOCK]
            for word, mine in zip(bits[:, start : start + BLOCK], asked, strict=True):
                part += np.bitwise_count(word ^ mine)
        return out


def _rotations(dims: int) -> Matrix | None:
    """Random rotations side by side, always the same; None when there are enough dimensions."""
    if dims >= LEAST_BITS:
        return None
    chance = np.random.default_rng(dims)
    turns = [np.linalg.qr(chance.standard_normal((dims, dims)))[0]
             for _ in range(-(-LEAST_BITS // dims))]  # fmt: skip
    return np.hstack(turns).astype(np.float32)
