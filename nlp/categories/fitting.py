"""Fit a tree of classifiers to vectors and paths, and measure it by cross-validation."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from nlp.categories.classifier import STOP, Classifier, Floats, numbered
from nlp.categories.paths import NONE, Path, joined

C = 10.0
"""Inverse of the penalty on unit vectors: of 1 to 100 the best or as good, with 8, 30 and 80 rows
a class (category_full with the base model's vectors)."""
FOLDS, FEW_FOLDS = 5, 3
MANY_ROWS = 2000
"""With more rows three folds say as much and take half the time."""
_STEPS, _TOLERANCE = 100, 1e-3
_GRID = np.exp(np.linspace(np.log(0.25), np.log(4.0), 81))
Indices = npt.NDArray[np.int64]
Told = Callable[[int, int | None], None]


@dataclass(frozen=True)
class LevelScore:
    """Cross-validated figures of one level (1 = main class)."""

    level: int
    classes: int
    rows: int
    macro_f1: float
    accuracy: float

    def as_json(self) -> dict[str, float | int]:
        return {
            "level": self.level, "classes": self.classes, "rows": self.rows,
            "macro_f1": round(self.macro_f1, 4), "accuracy": round(self.accuracy, 4),
        }  # fmt: skip


def labelled(path: Path) -> Path:
    """The path as the tree has it: the empty one is the main class 无."""
    return path or (NONE,)


def fit(vectors: Floats, paths: Sequence[Path], space: str) -> Classifier:
    """One multinomial logistic regression a parent; vectors are (n, dims) of unit length.

    Classes weigh the same however many rows they have. Raises ValueError for no rows.
    """
    if not paths:
        raise ValueError("no rows to fit")
    members: dict[Path, list[int]] = defaultdict(list)
    for row, path in enumerate(map(labelled, paths)):
        for level in range(len(path)):
            members[path[:level]].append(row)
        members[path].append(row)
    decisions: list[tuple[Path, tuple[str, ...]]] = []
    parts: list[tuple[Floats, Floats]] = []
    for parent in sorted(members, key=lambda one: (len(one), one)):
        rows = members[parent]
        wanted = [labelled(paths[row])[len(parent) :][:1] for row in rows]
        targets = np.array([child[0] if child else STOP for child in wanted])
        children = tuple(sorted(set(targets)))
        if children == (STOP,):
            continue
        decisions.append((parent, children))
        parts.append(_decision(vectors[rows], targets, children))
    return Classifier(
        space,
        numbered(decisions),
        np.concatenate([weights for weights, _ in parts]),
        np.concatenate([bias for _, bias in parts]),
        (1.0,) * max(len(labelled(path)) for path in paths),
    )


def _decision(
    vectors: Floats, targets: npt.NDArray[np.str_], children: tuple[str, ...]
) -> tuple[Floats, Floats]:
    dims = vectors.shape[1]
    if len(children) == 1:
        return np.zeros((1, dims), np.float32), np.zeros(1, np.float32)
    model = LogisticRegression(C=C, max_iter=_STEPS, tol=_TOLERANCE, class_weight="balanced")
    with warnings.catch_warnings():  # two rows a class are what some offices have
        warnings.filterwarnings("ignore", message="The number of unique classes", module="sklearn")
        model.fit(vectors, targets)
    # As the file keeps them, so that who fitted and who loaded a tree give the same answers.
    weights, bias = model.coef_.astype(np.float16), model.intercept_.astype(np.float32)
    weights = weights.astype(np.float32)
    if len(children) == 2:  # scikit-learn keeps one row for two classes
        weights = np.concatenate([np.zeros_like(weights), weights])
        bias = np.concatenate([np.zeros_like(bias), bias])
    return weights, bias


def folds_of(paths: Sequence[Path]) -> Indices:
    """Fold of each row, every class spread over them as evenly as its rows allow."""
    folds = FOLDS if len(paths) <= MANY_ROWS else FEW_FOLDS
    fold = np.zeros(len(paths), np.int64)
    seen: dict[Path, int] = {}
    order = np.random.default_rng(0).permutation(len(paths)).tolist()
    for row in order:
        path = paths[row]
        start = seen.setdefault(path, len(seen))
        fold[row] = start % folds
        seen[path] = start + 1
    return fold


def cross_validate(
    vectors: Floats,
    paths: Sequence[Path],
    space: str,
    progress: Told | None = None,
) -> tuple[Classifier, list[LevelScore], list[Path]]:
    """Fit on all rows with temperatures from held-out ones.

    Returns the classifier, figures a level, and the path given to each row by a classifier that
    had not seen it.
    """
    tell = progress or (lambda done, total: None)
    fold = folds_of(paths)
    logits: dict[int, list[tuple[Floats, int]]] = defaultdict(list)
    held: list[Path] = [()] * len(paths)
    used = sorted(set(fold.tolist()))
    for number, one in enumerate(used):
        tell(number, len(used) + 1)
        learn, keep = np.flatnonzero(fold != one).tolist(), np.flatnonzero(fold == one).tolist()
        if not learn:
            continue
        part = fit(vectors[learn], [paths[row] for row in learn], space)
        _collect(part, vectors[keep], [labelled(paths[row]) for row in keep], logits)
        for row, path in zip(keep, decide(part, vectors[keep]), strict=True):
            held[row] = path
    whole = fit(vectors, paths, space)
    tell(len(used) + 1, len(used) + 1)
    temperatures = tuple(_temperature(logits[level]) for level in range(len(whole.temperatures)))
    return replace(whole, temperatures=temperatures), scores(paths, held), held


def decide(classifier: Classifier, vectors: Floats) -> list[Path]:
    """The likeliest path of each vector; empty = none."""
    decisions = classifier.decisions(vectors)
    first = decisions[()].argmax(1)
    found = []
    for row in range(len(vectors)):
        path = classifier.descend(decisions, row, classifier.mains[first[row]], 1.0)[-1][0]
        found.append(() if path == (NONE,) else path)
    return found


def _collect(
    part: Classifier,
    vectors: Floats,
    paths: Sequence[Path],
    logits: Mapping[int, list[tuple[Floats, int]]],
) -> None:
    """Add the logits of the decisions that lead to each row's own path, with the right child."""
    values = vectors @ part.weights.T + part.bias
    nodes = {node.parent: node for node in part.nodes}
    for row, path in enumerate(paths):
        for level in range(len(path) + 1):
            node = nodes.get(path[:level])
            child = path[level] if level < len(path) else STOP
            if node is not None and len(node.children) > 1 and child in node.children:
                logits[level].append((values[row, node.rows], node.children.index(child)))


def _temperature(rows: Sequence[tuple[Floats, int]]) -> float:
    """The temperature that gives the right children the highest likelihood; 1 with few rows."""
    if len(rows) < 20:
        return 1.0
    losses = np.zeros(len(_GRID))
    for values, right in rows:
        scaled = values[None, :] / _GRID[:, None]
        top = scaled.max(1)
        losses += np.log(np.exp(scaled - top[:, None]).sum(1)) + top - scaled[:, right]
    return float(_GRID[int(losses.argmin())])


def scores(gold: Sequence[Path], guess: Sequence[Path]) -> list[LevelScore]:
    """Macro-F1 and accuracy of each level's prefix, over the rows that go as deep."""
    found = []
    for level in range(1, max((len(labelled(path)) for path in gold), default=0) + 1):
        rows = [row for row, path in enumerate(gold) if len(labelled(path)) >= level]
        right = [joined(labelled(gold[row])[:level]) for row in rows]
        said = [joined(labelled(guess[row])[:level]) for row in rows]
        classes = sorted(set(right))
        found.append(
            LevelScore(
                level, len(classes), len(rows),
                float(f1_score(right, said, labels=classes, average="macro", zero_division=0)),
                float(np.mean([one == two for one, two in zip(right, said, strict=True)])),
            )
        )  # fmt: skip
    return found
