"""Measure the default tree on the messages labelled by hand: each level, and what the head gives.

The rows of labels/taxonomy.csv name texts of the data folder by their hash (labels/README.md says
who read them). Where the label ends above the third level, only the levels that it has count.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as File

import numpy as np

from nlp.base import Text
from nlp.categories.fitting import LevelScore, scores
from nlp.categories.paths import NONE, Path, joined
from nlp.training import hand
from nlp.training.categories import Categorising
from nlp.training.scores import calibration_error

_SETS = (
    "streams/message_board_unlabelled.jsonl.gz", "labelled/appeals_with_replies.jsonl.gz",
    "streams/gov_comments.jsonl.gz",
)  # fmt: skip


@dataclass(frozen=True)
class TreeScore:
    """Figures of the default tree on labelled messages."""

    rows: int
    levels: tuple[LevelScore, ...]
    head: LevelScore
    """The head alone at the first level: seven classes, never another, never none."""
    below: tuple[tuple[int, int, float], ...]
    """(level, rows, accuracy) of levels 2 and 3 where the level above is right."""
    calibration_error: float
    """Of the main class: 15 bins of equal mass."""

    def lines(self) -> list[str]:
        """Markdown: a row a level."""
        table = ["| 级 | 条数 | 类别数 | macro-F1 | 正确率 |", "| --- | --- | --- | --- | --- |"]
        named = [(str(one.level), one) for one in self.levels]
        for name, one in [*named, ("1，只用分类头", self.head)]:
            table.append(
                f"| {name} | {one.rows} | {one.classes} | {one.macro_f1:.3f} | {one.accuracy:.3f} |"
            )
        below = "；".join(
            f"上一级对时第 {level} 级正确率 {right:.3f}（{rows} 条）"
            for level, rows, right in self.below
        )
        return [*table, "", f"{below}；主类 ECE {self.calibration_error:.3f}"]


def measure(data: File, understanding: Categorising) -> TreeScore | None:
    """Figures of the tree in use, which must be the default one; None without labels or data."""
    labelled = hand.rows("taxonomy")
    rows = [(text, _path(labelled[key])) for key, text in _texts(data, set(labelled))]
    if not rows:
        return None
    found = understanding.analyse([text for text, _ in rows])
    gold, guess = [path for _, path in rows], [one.category.path for one in found]
    shares = understanding.shares([_whole(text) for text, _ in rows])
    heads: list[Path] = [
        (max(one["category"], key=lambda label: one["category"][label]),) for one in shares
    ]
    top = np.array([max(one.category.probabilities.values()) for one in found])
    right = np.array([a[:1] == b[:1] for a, b in zip(guess, gold, strict=True)])
    return TreeScore(
        rows=len(rows),
        levels=tuple(scores(gold, guess)),
        head=scores(gold, heads)[0],
        below=tuple(_below(gold, guess, level) for level in (2, 3)),
        calibration_error=calibration_error(np.stack([top, 1 - top], 1), np.where(right, 0, 1)),
    )


def _below(gold: list[Path], guess: list[Path], level: int) -> tuple[int, int, float]:
    pairs = [
        (said[:level] == true[:level])
        for said, true in zip(guess, gold, strict=True)
        if len(true) >= level and said[: level - 1] == true[: level - 1]
    ]
    return level, len(pairs), float(np.mean(pairs)) if pairs else 0.0


def _path(row: dict[str, str]) -> Path:
    path = tuple(row[f"level{level}"] for level in (1, 2, 3) if row.get(f"level{level}"))
    return () if joined(path) == NONE else path


def _whole(text: Text) -> str:
    from nlp.text import join

    return join(text.title, text.text)


def _texts(data: File, wanted: set[str]) -> Iterator[tuple[str, Text]]:
    """(hash, text with its title) of the data folder, each hash once."""
    left = set(wanted)
    for name in _SETS:
        if not left or not (data / name).exists():
            continue
        with gzip.open(data / name, "rt", encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                text = str(row.get("text") or "")
                key = hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
                if key in left:
                    left.discard(key)
                    yield key, Text(text, row.get("title"))
