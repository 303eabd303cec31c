"""Examples as tensors: token ids, label ids and weights, in batches of similar length."""

import dataclasses
import random
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from nlp.training.config import LABELS
from nlp.training.data import Example


@dataclasses.dataclass(frozen=True)
class Batch:
    """b examples padded to t tokens; `labels` holds -1 where a label is not known."""

    rows: list[int]
    ids: Tensor
    mask: Tensor
    labels: dict[str, Tensor]
    weights: dict[str, Tensor]


def make(rows: list[int], tokens: list[list[int]], examples: Sequence[Example]) -> Batch:
    """Pad the named rows into one batch."""
    ids, mask = pad([tokens[row] for row in rows])
    labels, weights = {}, {}
    for task, names in LABELS.items():
        found = [examples[row].labels.get(task) for row in rows]
        labels[task] = torch.tensor([names.index(x) if x in names else -1 for x in found])
        weights[task] = torch.tensor([examples[row].weights.get(task, 1.0) for row in rows])
    return Batch(rows, ids, mask, labels, weights)


def pad(tokens: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """Token lists to (ids, mask), both (b, t) int64, padded with 0 = [PAD]."""
    width = max(len(item) for item in tokens)
    ids = np.zeros((len(tokens), width), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, item in enumerate(tokens):
        ids[row, : len(item)] = item
        mask[row, : len(item)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def plan(tokens: list[list[int]], budget: int, order: random.Random | None) -> list[list[int]]:
    """Group rows of similar length into batches of at most `budget` padded tokens.

    With `order`, lengths are jittered and batches shuffled, so that each epoch differs.
    """
    jitter = [order.uniform(0, 6) if order else 0.0 for _ in tokens]
    rows = sorted(range(len(tokens)), key=lambda row: (len(tokens[row]) + jitter[row], row))
    found: list[list[int]] = []
    current: list[int] = []
    width = 0
    for row in rows:
        width = max(width, len(tokens[row]))
        if current and width * (len(current) + 1) > budget:
            found.append(current)
            current, width = [], len(tokens[row])
        current.append(row)
    if current:
        found.append(current)
    if order:
        order.shuffle(found)
    return found


def epochs(
    tokens: list[list[int]], budget: int, seed: int, count: int
) -> Iterator[tuple[int, list[int]]]:
    """Yield (epoch, rows) for every batch of every epoch: the same sequence for the same seed."""
    for epoch in range(count):
        for rows in plan(tokens, budget, random.Random(seed * 1000 + epoch)):
            yield epoch, rows
