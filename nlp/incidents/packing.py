"""A post's words and vector as the index keeps them: hashed terms, a vector in 8 bits."""

from __future__ import annotations

import math
import zlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlp.incidents.terms import latin

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]

BUCKETS_BITS = 20
BUCKETS = 1 << BUCKETS_BITS
MAX_TERMS = 200
COUNT_BITS = 4
PACK = 1 << COUNT_BITS
"""A packed term is its bucket times this, and its count."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


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
    keys = ((wide[:-1] << np.uint64(20)) ^ wide[1:])[both]
    alone = han.copy()
    alone[:-1] &= ~han[1:]
    alone[1:] &= ~han[:-1]
    parts = [keys]
    if np.count_nonzero(alone):
        parts.append(wide[alone])
    if np.count_nonzero(han) < len(han):
        words = [zlib.crc32(word.encode()) | 1 << 40 for word in latin(text)]
        if words:
            parts.append(np.array(words, dtype=np.uint64))
    every = np.concatenate(parts)[:MAX_TERMS] if len(parts) > 1 else keys[:MAX_TERMS]
    buckets = (every * _MIX) >> np.uint64(64 - BUCKETS_BITS)
    return _counted(buckets.astype(np.int64))


def _counted(buckets: Ids) -> Ids:
    """Each bucket once, packed with its count (several times as fast as `numpy.unique`)."""
    if not len(buckets):
        return buckets
    buckets.sort()
    is_first = np.empty(len(buckets), dtype=np.bool_)
    is_first[0] = True
    np.not_equal(buckets[1:], buckets[:-1], out=is_first[1:])
    starts = np.flatnonzero(is_first)
    if len(starts) == len(buckets):
        return buckets * PACK + 1
    counts = np.empty_like(starts)
    np.subtract(starts[1:], starts[:-1], out=counts[:-1])
    counts[-1] = len(buckets) - starts[-1]
    return np.asarray(buckets[starts] * PACK + np.minimum(counts, PACK - 1), dtype=np.int64)


def buckets_of(packed: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Buckets of packed terms; a shift, which is several times as fast as a division."""
    return np.asarray(packed >> COUNT_BITS)


def counts_of(packed: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Counts of packed terms."""
    return np.asarray(packed & (PACK - 1))


class Pressed(NamedTuple):
    """A vector as it is kept."""

    bytes: Bytes
    """Shape (dims,), the largest one 127."""
    scale: np.float32
    """What they must be multiplied with for unit length."""


def pressed(vector: Vector | None) -> Pressed | None:
    """8-bit form of a vector of any length; None where there is none, or only zeros."""
    if vector is None or not len(vector):
        return None
    peak = float(np.abs(vector).max())
    if not peak:
        return None
    small = np.rint(vector * (127.0 / peak)).astype(np.int8)
    wide = small.astype(np.float32)
    return Pressed(small, np.float32(1.0 / math.sqrt(float(wide @ wide))))
