"""What was measured, as records and as Markdown, which reads well in a terminal too."""

import dataclasses
from collections.abc import Mapping, Sequence

from nlp.categories.fitting import LevelScore
from nlp.training.baseline import SNOW, SVM


@dataclasses.dataclass(frozen=True)
class Score:
    """Macro-F1 with its 95 % bootstrap interval."""

    macro_f1: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.macro_f1:.3f}（{self.low:.3f}–{self.high:.3f}）"


@dataclasses.dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one label over `rows` rows that carry it.

    `said`: rows that the model gives the label.
    """

    label: str
    rows: int
    said: int
    precision: float
    recall: float
    f1: float
    baselines: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """F1 by baseline."""


@dataclasses.dataclass(frozen=True)
class SetScore:
    """One development set; `name` is the task, or the task, a slash and the set."""

    name: str
    rows: int
    ours: Score
    baselines: Mapping[str, Score]
    calibration_error: float
    """15 equal-mass bins, of the top label."""
    classes: tuple[ClassScore, ...]
    seen: int = 0
    """Rows whose text the training also saw, with labels made by rule."""

    @property
    def macro_f1(self) -> float:
        return self.ours.macro_f1

    def f1_of(self, *labels: str) -> float | None:
        """Mean F1 of some labels; None when one does not occur."""
        known = {one.label: one.f1 for one in self.classes}
        if not set(labels) <= set(known):
            return None
        return sum(known[label] for label in labels) / len(labels)


@dataclasses.dataclass(frozen=True)
class Ranking:
    """How well a score ranks the rows that should come first above the others."""

    name: str
    rows: int
    wanted: int
    auc: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Found:
    """What was found in texts against what is there: `wanted` things in `rows` texts."""

    name: str
    rows: int
    wanted: int
    precision: float
    recall: float
    f1: float
    low: float
    high: float
    """Of F1, 95 % bootstrap over texts."""

    def __str__(self) -> str:
        return (
            f"{self.name}：{self.rows} 条里有 {self.wanted} 个，精确率 {self.precision:.3f}，"
            f"召回率 {self.recall:.3f}，F1 {self.f1:.3f}（{self.low:.3f}–{self.high:.3f}）。  "
        )


def summary(sets: Sequence[SetScore]) -> list[str]:
    """Markdown lines: a row a development set."""
    lines = [
        f"| 开发集 | 条数 | macro-F1（95 % 区间） | {SVM} | {SNOW} | ECE |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in sets:
        floors = (
            str(one.baselines[name]) if name in one.baselines else "—" for name in (SVM, SNOW)
        )
        lines.append(
            f"| {one.name} | {one.rows} | {one.ours} | {' | '.join(floors)} "
            f"| {one.calibration_error:.3f} |"
        )
    return lines


def per_class(sets: Sequence[SetScore]) -> list[str]:
    """Markdown lines: a row a class of each development set."""
    lines = [
        f"| 开发集 | 类 | 条数 | 判为此类 | 精确率 | 召回率 | F1 | {SVM} |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in sets:
        for c in one.classes:
            floor = f"{c.baselines[SVM]:.3f}" if SVM in c.baselines else "—"
            lines.append(
                f"| {one.name} | {c.label} | {c.rows} | {c.said} "
                f"| {c.precision:.3f} | {c.recall:.3f} | {c.f1:.3f} | {floor} |"
            )
    return lines


def rankings(found: Sequence[Ranking]) -> list[str]:
    """Markdown lines: a row a ranking."""
    return [
        "| 紧急程度 | 条数 | 其中应排前 | AUC（95 % 区间） |",
        "| --- | --- | --- | --- |",
        *(
            f"| {one.name} | {one.rows} | {one.wanted} "
            f"| {one.auc:.3f}（{one.low:.3f}–{one.high:.3f}） |"
            for one in found
        ),
    ]


def levels(found: Sequence[LevelScore]) -> list[str]:
    """Markdown lines: a row a level of the category tree."""
    return [
        "| 类别树的层 | 条数 | 类数 | macro-F1 | 路径对的 |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {one.level} | {one.rows} | {one.classes} | {one.macro_f1:.3f} "
            f"| {one.accuracy:.3f} |"
            for one in found
        ),
    ]
