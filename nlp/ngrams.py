"""A linear model over hashed character n-grams, to stand beside an encoder.

A small encoder reads meaning; which exact pieces of two and three characters stand in a text it
partly forgets. A linear model sees only those and errs elsewhere, so the mean of both is better
than either: it helps to teach a student (nlp/training/targets.py) and, where it still pays beside
the student, it ships in the model folder (`ngrams.npz`).

A text is the set of places in it at which an n-gram begins: weight of a bucket = its inverse
document frequency, divided by the length of the whole vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIZES = (1, 2, 3)
"""Lengths of the n-grams, in characters."""
BUCKETS = 1 << 17
LONGEST = 1000
"""Characters read of a text: three quarters from its beginning, the rest from its end."""
FILE = "ngrams.npz"
_FACTOR = np.uint32(2_654_435_761)
"""Knuth's multiplicative hash (The Art of Computer Programming 3, 6.4)."""


class Grams(NamedTuple):
    """Of n texts: the bucket of each n-gram, and where each text's begin."""

    buckets: NDArray[np.uint32]
    """(m,)"""
    starts: NDArray[np.int64]
    """(n + 1,): text i has `buckets[starts[i] : starts[i + 1]]`."""


def grams_of(texts: Sequence[str]) -> Grams:
    """The n-grams of cleaned texts, lower case, each text between two borders."""
    cut = [f"\n{_shortened(text.lower())}\n" for text in texts]
    codes = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    ends = np.cumsum([len(text) for text in cut])
    owner = np.repeat(np.arange(len(cut)), [len(text) for text in cut])
    parts, owners = [], []
    for size in SIZES:
        count = len(codes) - size + 1
        if count <= 0:
            continue
        number = np.full(count, size, dtype=np.uint32)
        for offset in range(size):
            number = (number ^ codes[offset : offset + count]) * _FACTOR
        inside = np.arange(count) + size <= ends[owner[:count]]
        parts.append((number >> np.uint32(15))[inside])
        owners.append(owner[:count][inside])
    if not parts:
        return Grams(np.zeros(0, np.uint32), np.zeros(len(texts) + 1, np.int64))
    whose = np.concatenate(owners)
    order = np.argsort(whose, kind="stable")
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.bincount(whose, minlength=len(texts)), out=starts[1:])
    return Grams(np.concatenate(parts)[order], starts)


def _shortened(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    head = LONGEST * 3 // 4
    return f"{text[:head]}\n{text[head - LONGEST :]}"


@dataclass(frozen=True)
class Ngrams:
    """Fitted linear models, one a task, over the same buckets."""

    labels: Mapping[str, tuple[str, ...]]
    weights: NDArray[np.float16]
    """(BUCKETS, all labels of all tasks): already multiplied by the bucket's idf."""
    bias: NDArray[np.float32]
    """(all labels,)"""
    squares: NDArray[np.float16]
    """(BUCKETS,): square of the idf."""
    shares: Mapping[str, float]
    """Weight of this model's probability beside the encoder's, a task; 0 = not asked."""

    def probabilities(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Task -> (n, labels) of cleaned texts."""
        found = self.scores(grams_of(texts))
        out, at = {}, 0
        for task, names in self.labels.items():
            part = found[:, at : at + len(names)]
            part = np.exp(part - part.max(1, keepdims=True))
            out[task] = part / part.sum(1, keepdims=True)
            at += len(names)
        return out

    def scores(self, grams: Grams) -> NDArray[np.float32]:
        """Logits (n, all labels)."""
        found = np.repeat(self.bias[None, :], len(grams.starts) - 1, axis=0)
        if not len(grams.buckets):
            return found
        begins = grams.starts[:-1]  # never empty: two borders give n-grams to every text
        sums = np.add.reduceat(self.weights[grams.buckets].astype(np.float32), begins, axis=0)
        squares = np.add.reduceat(self.squares[grams.buckets].astype(np.float32), begins)
        length = np.sqrt(np.maximum(squares, 1e-6))
        return np.asarray(found + sums / length[:, None], dtype=np.float32)

    def mixed(
        self, task: str, encoder: NDArray[np.float64], own: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float64]:
        """The encoder's probabilities (n, labels) of a task beside these, `own`, by its share."""
        share = self.shares.get(task, 0.0)
        return (1 - share) * encoder + share * own[task] if share else encoder

    def save(self, folder: Path) -> None:
        """Write `ngrams.npz`."""
        named = {f"labels.{task}": np.array(names) for task, names in self.labels.items()}
        shares = np.array([self.shares[task] for task in self.labels], dtype=np.float32)
        with (folder / FILE).open("wb") as file:
            np.savez_compressed(
                file, allow_pickle=False, weights=self.weights, bias=self.bias,
                squares=self.squares, shares=shares, **named,
            )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> Ngrams:
        """Read what `save` wrote. Raises OSError, ValueError or KeyError on a broken file."""
        with np.load(folder / FILE, allow_pickle=False) as kept:
            labels = {
                name.removeprefix("labels."): tuple(str(one) for one in kept[name])
                for name in kept.files
                if name.startswith("labels.")
            }
            shares = dict(zip(labels, kept["shares"].tolist(), strict=True))
            return cls(labels, kept["weights"], kept["bias"], kept["squares"], shares)
