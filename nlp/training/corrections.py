"""Fit the categories anew with reviewers' corrections; switch on only what is not worse.

A third of the corrections, by a hash of the post, is never learned from: on these the new version
is compared with the one in use. What an office's own rows said must not be forgotten either: the
cross-validated figure on them may fall by one point, or by chance, at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from archive.base import Archive
from huiyin.errors import InputError
from huiyin.vectors import Matrix, unpack
from nlp.categories import default
from nlp.categories.classifier import Classifier, Floats
from nlp.categories.corrections import Corrections, Example
from nlp.categories.deciding import decide
from nlp.categories.fitting import LevelScore, cross_validate, fit, folds_of, scores
from nlp.categories.paths import NONE, Path, joined
from nlp.categories.versions import Versions
from nlp.training.categories import Categorising, Progress, embed
from nlp.training.data import bucket

HELD_SHARE = 1 / 3
LEAST = 8
"""Corrections wanted on either side, to learn from and to compare on."""
MAY_FALL = 0.01
"""Macro-F1 (main class) that the rows of the version before may lose; with few rows, what chance

alone moves it by (one standard error of a share).
"""
SAY = (0.3, 0.6, 1.0)
"""How much the tree may say beside the head (`Blend.inside` and `share`)."""

BETTER, EQUAL, WORSE, FORGETS = "better", "equal", "worse", "forgets"


@dataclass(frozen=True)
class Side:
    """One version on the held-back corrections."""

    name: str
    right: int
    """Whole paths right, as far as the reviewer went."""
    levels: tuple[LevelScore, ...]
    base_macro_f1: float
    """Main class, cross-validated, on the rows fitted on besides corrections."""
    base_rows: int

    def as_json(self) -> dict[str, object]:
        return {
            "version": self.name, "right": self.right,
            "levels": [one.as_json() for one in self.levels],
            "base_macro_f1": round(self.base_macro_f1, 4),
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """The version in use against the new one, and what became of it."""

    old: Side
    new: Side
    learned: int
    held: int
    switched_on: bool
    reason: str
    """better, equal, worse or forgets"""
    left_out: tuple[tuple[Path, int], ...] = field(default=())
    """Corrections to classes that the tree does not have."""

    def as_json(self) -> dict[str, object]:
        return {
            "old": self.old.as_json(), "new": self.new.as_json(), "learned": self.learned,
            "held_back": self.held, "switched_on": self.switched_on, "reason": self.reason,
            "left_out": [{"path": joined(path), "rows": rows} for path, rows in self.left_out],
        }  # fmt: skip


@dataclass(frozen=True)
class _Rows:
    """Corrections as the classifiers see them."""

    paths: list[Path]
    vectors: Matrix
    heads: list[dict[str, float]]

    def take(self, rows: Sequence[int]) -> _Rows:
        return _Rows(
            [self.paths[row] for row in rows],
            self.vectors[list(rows)],
            [self.heads[row] for row in rows],
        )


def train_from_corrections(
    archive: Archive,
    understanding: Categorising,
    versions: Versions,
    at: datetime,
    progress: Progress,
) -> Comparison:
    """Fit, compare, keep as a new version, and switch it on if it is better.

    Raises InputError when there are too few corrections, or the version in use must first be
    fitted to this model's vectors.
    """
    name, space = versions.current(), understanding.categories.space
    old = understanding.categories.classifier
    base_vectors, base_paths = _base(name, old, understanding, versions)
    examples, left_out = _usable(Corrections(archive).examples(), old)
    learn = [row for row, one in enumerate(examples) if bucket(one.post) >= HELD_SHARE]
    held = [row for row, one in enumerate(examples) if bucket(one.post) < HELD_SHARE]
    if len(learn) < LEAST or len(held) < LEAST:
        raise InputError(
            f"改正太少：可用来学的 {len(learn)} 条，留作比较的 {len(held)} 条，各要 {LEAST} 条",
            "请审核员在“诉求”页改正或确认更多类别（合计约 30 条起）",
        )
    rows = _read(examples, understanding, progress)
    learned, kept = rows.take(learn), rows.take(held)
    new, base_new = _fit(base_vectors, base_paths, learned, old, space)
    about = {
        **new.about, "from": f"{name}+corrections", "corrections": len(learn),
        "model": understanding.model, "made_at": at.isoformat(timespec="seconds"),
    }  # fmt: skip
    base_old = _base_f1(old, base_vectors, base_paths, space)
    added = versions.add(replace(new, about=about), base_vectors, base_paths)
    size = len(base_paths)
    first = _side(name, old, kept, base_old, size)
    second = _side(added, new, kept, base_new, size)
    reason = judge(first, second)
    if reason == BETTER:
        versions.switch_on(added, f"{len(learn)} corrections", at)
    return Comparison(first, second, len(learn), len(held), reason == BETTER, reason, left_out)


def judge(old: Side, new: Side) -> str:
    """better, equal, worse, or forgets (what the rows before had taught)."""
    chance = (old.base_macro_f1 * (1 - old.base_macro_f1) / max(old.base_rows, 1)) ** 0.5
    if new.base_macro_f1 < old.base_macro_f1 - max(MAY_FALL, chance):
        return FORGETS
    before = (old.right, old.levels[0].macro_f1)
    after = (new.right, new.levels[0].macro_f1)
    if new.right < old.right or after < before:
        return WORSE
    return BETTER if after > before else EQUAL


def _base(
    name: str, old: Classifier, understanding: Categorising, versions: Versions
) -> tuple[Matrix, list[Path]]:
    """What the version in use was fitted on, without corrections: they are read anew."""
    if name == default.NAME:
        rows = default.examples()
        vectors = unpack(understanding.embed([text for _, text in rows]))
        return vectors, [path for path, _ in rows]
    if str(old.about.get("name")) != name and default.blend_of(versions.load(name)) is not None:
        return _base(default.NAME, old, understanding, versions)
    if str(old.about.get("name")) != name:
        raise InputError(f"分类版本 {name} 是按另一个模型的句向量训练的", "先用原来的 CSV 重新训练")
    return versions.rows(name)


def _usable(
    examples: Sequence[Example], old: Classifier
) -> tuple[list[Example], tuple[tuple[Path, int], ...]]:
    known = {*old.paths(), ()}
    good = [one for one in examples if one.path in known]
    lost: dict[Path, int] = {}
    for one in examples:
        if one.path not in known:
            lost[one.path] = lost.get(one.path, 0) + 1
    return good, tuple(sorted(lost.items()))


def _read(examples: Sequence[Example], understanding: Categorising, progress: Progress) -> _Rows:
    texts = [one.text for one in examples]
    vectors = embed(understanding, texts, progress)
    heads = [dict(one["category"]) for one in understanding.shares(texts)]
    return _Rows([one.path for one in examples], vectors, heads)


def _fit(
    base_vectors: Matrix, base_paths: list[Path], learned: _Rows, old: Classifier, space: str
) -> tuple[Classifier, float]:
    """The new tree, and its cross-validated macro-F1 (main class) on the base rows."""
    vectors = np.concatenate([base_vectors, learned.vectors])
    paths = [*base_paths, *learned.paths]
    blend = default.blend_of(old)
    if blend is not None:  # two rows a class below the first level: nothing to validate there
        mains = _mains(paths)
        guesses = cross_validate(vectors, mains, space)[2]
        new = default.finished(
            fit(vectors, paths, space), _blend(base_vectors, base_paths, learned, space, blend)
        )
    else:
        new, _, guesses = cross_validate(vectors, paths, space)
    return new, scores(base_paths, guesses[: len(base_paths)])[0].macro_f1


def _mains(paths: Sequence[Path]) -> list[Path]:
    return [path[:1] for path in paths]


def _blend(
    base_vectors: Matrix, base_paths: list[Path], learned: _Rows, space: str, was: default.Blend
) -> default.Blend:
    """How much the tree may say beside the head: what held-out corrections bear out."""
    fold = folds_of(learned.paths)
    mains = sorted({(path or (NONE,))[0] for path in base_paths})
    shares = np.zeros((len(learned.paths), len(mains)), np.float32)
    for one in set(fold.tolist()):
        learn, keep = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
        part = fit(
            np.concatenate([base_vectors, learned.vectors[learn]]),
            [(path or (NONE,))[:1] for path in [*base_paths, *(learned.paths[r] for r in learn)]],
            space,
        )
        shares[keep] = part.decisions(learned.vectors[keep])[()]
    labels = tuple(learned.heads[0])
    known = [mains.index(label) for label in labels]
    head = default.head_rows(learned.heads, labels)
    gold = np.array([mains.index((path or (NONE,))[0]) for path in learned.paths])

    def right(blend: default.Blend) -> int:
        return int((blend(head, shares, known).argmax(1) == gold).sum())

    others = [replace(was, inside=say, share=say) for say in SAY]
    return max((was, *others), key=lambda one: (right(one), one == was))


def _base_f1(old: Classifier, vectors: Floats, paths: list[Path], space: str) -> float:
    """Cross-validated figure of the base rows alone."""
    levels = old.about.get("levels")
    if isinstance(levels, list) and levels and "corrections" not in old.about:
        return float(levels[0]["macro_f1"])
    return cross_validate(vectors, _mains(paths), space)[1][0].macro_f1


def _side(name: str, classifier: Classifier, rows: _Rows, base: float, size: int) -> Side:
    """A version on the held-back corrections, judged as deep as the reviewer went."""
    decided = decide(classifier, rows.heads, rows.vectors)
    guesses = [
        one.path[: len(gold)] if gold else one.path
        for one, gold in zip(decided, rows.paths, strict=True)
    ]
    right = sum(guess == gold for guess, gold in zip(guesses, rows.paths, strict=True))
    return Side(name, right, tuple(scores(rows.paths, guesses)), base, size)
