"""Fit the linear model over character n-grams (nlp/ngrams.py) on the labelled texts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from nlp.ngrams import BUCKETS, FILE, Grams, Ngrams, grams_of
from nlp.training import scores
from nlp.training.config import LABELS
from nlp.training.data import Example

log = logging.getLogger(__name__)

STRENGTH = 4.0
"""`C` of the logistic regression."""
MIN_TEXTS = 2
"""A bucket seen in fewer texts weighs nothing."""
STEPS = tuple(round(0.05 * step, 2) for step in range(13))
"""Shares tried beside an encoder's probabilities."""


def fitted(train: Sequence[Example], work: Path) -> Ngrams:
    """`fit`, kept in the work folder."""
    folder = work / "ngrams"
    if not (folder / FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        fit(train).save(folder)
    return Ngrams.load(folder)


def fit(train: Sequence[Example], tasks: Sequence[str] = tuple(LABELS)) -> Ngrams:
    """One logistic regression a task, classes balanced by the root of their frequency."""
    grams = grams_of([item.text for item in train])
    idf = _idf(grams, len(train))
    used = np.flatnonzero(idf)  # the solver works on columns that say something
    features = matrix(grams, idf)[:, used]
    weights = np.zeros((BUCKETS, sum(len(LABELS[task]) for task in tasks)), dtype=np.float32)
    bias = np.zeros(weights.shape[1], dtype=np.float32)
    at = 0
    for task in tasks:
        names = LABELS[task]
        rows = [row for row, item in enumerate(train) if item.labels.get(task) in names]
        gold = np.array([names.index(train[row].labels[task]) for row in rows])
        weight = np.array([train[row].weights.get(task, 1.0) for row in rows])
        counts = np.maximum(np.bincount(gold, weight, minlength=len(names)), 1.0)
        model = LogisticRegression(C=STRENGTH, max_iter=200)
        model.fit(
            features[rows], gold, sample_weight=weight * np.sqrt(counts.mean() / counts)[gold]
        )
        present = np.ix_(used, at + model.classes_)
        bias[at : at + len(names)] = -20.0  # a class never seen
        if len(model.classes_) == 2:  # one row of weights for two classes
            weights[present] = np.stack([-model.coef_[0] / 2, model.coef_[0] / 2], axis=1)
            bias[at + model.classes_] = [-model.intercept_[0] / 2, model.intercept_[0] / 2]
        else:
            weights[present] = model.coef_.T
            bias[at + model.classes_] = model.intercept_
        log.info("n-grams: %s from %d texts", task, len(rows))
        at += len(names)
    return Ngrams(
        {task: LABELS[task] for task in tasks}, (weights * idf[:, None]).astype(np.float16), bias,
        (idf**2).astype(np.float16), dict.fromkeys(tasks, 0.0),
    )  # fmt: skip


def only(model: Ngrams, shares: Mapping[str, float]) -> Ngrams | None:
    """The model with these shares, of the tasks where they are not 0; None if there is none."""
    kept = {task: names for task, names in model.labels.items() if shares.get(task)}
    if not kept:
        return None
    columns, at = [], 0
    for task, names in model.labels.items():
        columns += list(range(at, at + len(names))) if task in kept else []
        at += len(names)
    weights, bias = model.weights[:, columns], model.bias[columns]
    return Ngrams(kept, weights, bias, model.squares, {task: shares[task] for task in kept})


def matrix(grams: Grams, idf: NDArray[np.float32]) -> csr_matrix:
    """The features as `Ngrams.scores` weighs them: (n, BUCKETS), rows about of unit length."""
    values = idf[grams.buckets]
    squares = np.add.reduceat(values**2, grams.starts[:-1])
    values = values / np.repeat(np.sqrt(np.maximum(squares, 1e-6)), np.diff(grams.starts))
    shape = (len(grams.starts) - 1, BUCKETS)
    made = csr_matrix((values, grams.buckets.astype(np.int32), grams.starts), shape=shape)
    made.sum_duplicates()
    return made


def _idf(grams: Grams, count: int) -> NDArray[np.float32]:
    """ln(texts / texts with the bucket) + 1; 0 for buckets seen in fewer than `MIN_TEXTS`."""
    owner = np.repeat(np.arange(count), np.diff(grams.starts))
    pairs = np.unique(owner.astype(np.int64) * BUCKETS + grams.buckets)
    seen = np.bincount(pairs % BUCKETS, minlength=BUCKETS)
    idf = np.log(count / np.maximum(seen, 1)) + 1.0
    return np.where(seen >= MIN_TEXTS, idf, 0.0).astype(np.float32)


def best_share(
    encoder: Sequence[NDArray[np.float32]],
    ngrams: Sequence[NDArray[np.float32]],
    gold: Sequence[NDArray[np.int64]],
) -> float:
    """The share of `STEPS` with the highest mean macro-F1 over development sets of one task."""

    def mean(share: float) -> float:
        mixed = [
            (1 - share) * one + share * other for one, other in zip(encoder, ngrams, strict=True)
        ]
        found = [scores.macro_f1(g, m.argmax(1)) for g, m in zip(gold, mixed, strict=True)]
        return float(np.mean(found))

    return max(STEPS, key=lambda share: (round(mean(share), 4), -share))


def gold_of(examples: Sequence[Example], task: str) -> tuple[list[int], NDArray[np.int64]]:
    """(rows that carry a label of the task, its number)."""
    rows = [row for row, item in enumerate(examples) if item.labels.get(task) in LABELS[task]]
    return rows, np.array([LABELS[task].index(examples[row].labels[task]) for row in rows])


def dev_scores(model: Ngrams, dev: Mapping[str, list[Example]]) -> dict[str, float]:
    """Macro-F1 of the n-grams alone on each development set."""
    found = {}
    for name, examples in dev.items():
        task = scores.task_of(name)
        rows, gold = gold_of(examples, task)
        if rows and task in model.labels:
            guess = model.probabilities([examples[row].text for row in rows])[task].argmax(1)
            found[name] = round(scores.macro_f1(gold, guess), 4)
    return found
