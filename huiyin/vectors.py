"""Sentence vectors as they lie in records: unit length, little-endian float16."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]


def pack(vector: npt.ArrayLike) -> bytes:
    """Turn numbers of shape (dims,) into a record's vector, normalised to unit length."""
    array = np.asarray(vector, dtype=np.float32)
    norm = float(np.linalg.norm(array))
    return (array / norm if norm else array).astype("<f2").tobytes()


def unpack(vectors: Sequence[bytes]) -> Matrix:
    """Return shape (len(vectors), dims); all must have the same number of dimensions."""
    if not vectors:
        return np.zeros((0, 0), dtype=np.float32)
    flat = np.frombuffer(b"".join(vectors), dtype="<f2").astype(np.float32)
    return flat.reshape(len(vectors), -1)
