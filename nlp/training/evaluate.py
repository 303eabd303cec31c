"""Measure a model on the development sets, beside TF-IDF + linear SVM on the same rows.

The model is read through the same code as in use (cleaning, precision, temperatures); the urgency
rules and the sentence vectors are measured too. No row measured here was trained on.
"""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from huiyin.vectors import unpack
from nlp.model import Model
from nlp.text import clean
from nlp.training import baseline, data, scores
from nlp.training.config import TrainConfig
from nlp.training.data import Example
from nlp.urgency import urgency

Progress = Callable[[int, int | None], None]
RESAMPLES = 1000
_FLOOD_NAME = re.compile(r"#[^#]*#|河南|郑州|新乡|暴雨|洪水|洪灾|水灾|求救|互助")


@dataclasses.dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one label over `rows` dev rows that carry it."""

    label: str
    rows: int
    precision: float
    recall: float
    f1: float


@dataclasses.dataclass(frozen=True)
class SetScore:
    """One development set: macro-F1 with its 95 % bootstrap interval, calibration error, classes.

    `baseline` is None where too few hand labels exist to train one.
    """

    name: str
    rows: int
    macro_f1: float
    low: float
    high: float
    baseline: float | None
    calibration_error: float
    classes: tuple[ClassScore, ...]


@dataclasses.dataclass(frozen=True)
class Report:
    """All measurements of one model."""

    model: str
    sets: tuple[SetScore, ...]
    retrieval: tuple[int, float, float] | None
    """(messages, recall@1, recall@10): a title finds its own text by vectors alone."""
    urgency_auc: tuple[int, float] | None
    """(posts, AUC): calls for rescue against the other posts, names and hashtags removed."""

    def table(self) -> str:
        """The report as Markdown, which reads well in a terminal too."""
        lines = [f"模型 {self.model}", "", *summary(self.sets), ""]
        if self.retrieval is not None:
            count, first, ten = self.retrieval
            lines.append(f"标题找自己的正文（{count} 条）：recall@1 {first:.3f}，@10 {ten:.3f}")
        if self.urgency_auc is not None:
            count, auc = self.urgency_auc
            lines.append(f"求救与其他帖文的紧急程度（{count} 条，去掉话题和灾名）：AUC {auc:.3f}")
        return "\n".join([*lines, "", *per_class(self.sets)])


def summary(sets: tuple[SetScore, ...]) -> list[str]:
    """Markdown lines: a row a development set."""
    lines = [
        "| 开发集 | 条数 | macro-F1 | 95 % 区间 | TF-IDF + SVM | ECE |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in sets:
        base = "—" if one.baseline is None else f"{one.baseline:.3f}"
        lines.append(
            f"| {one.name} | {one.rows} | {one.macro_f1:.3f} | {one.low:.3f}–{one.high:.3f} "
            f"| {base} | {one.calibration_error:.3f} |"
        )
    return lines


def per_class(sets: tuple[SetScore, ...]) -> list[str]:
    """Markdown lines: a row a class of each development set."""
    lines = [
        "| 开发集 | 类 | 条数 | 精确率 | 召回率 | F1 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in sets:
        lines += [
            f"| {one.name} | {c.label} | {c.rows} "
            f"| {c.precision:.3f} | {c.recall:.3f} | {c.f1:.3f} |"
            for c in one.classes
        ]
    return lines


def evaluate(
    folder: Path,
    *,
    model: Path | None = None,
    card: Path | None = None,
    progress: Progress | None = None,
    with_baseline: bool = True,
) -> Report:
    """Measure the model in `model` (None: the shipped one) on the data in `folder`.

    Writes the model card to `card` if given. Raises ModelError for a broken model folder.
    """
    loaded = Model(model)
    sets = data.load(TrainConfig(data=folder, out=folder, openings=0.0))
    names = [name for name, rows in sets.dev.items() if rows]
    tell = progress or (lambda done, total: None)
    floors: dict[str, float] = {}
    if with_baseline:
        for number, task in enumerate(baseline.TASKS):
            tell(number, len(baseline.TASKS) + len(names) + 2)
            floors |= baseline.scores_of(task, sets)
    total, done = len(baseline.TASKS) + len(names) + 2, len(baseline.TASKS)
    found = []
    for name in names:
        tell(done, total)
        found.append(score(name, sets.dev[name], loaded, floors.get(name)))
        done += 1
    tell(done, total)
    report = Report(loaded.id, tuple(found), retrieval(folder, loaded), urgency_auc(folder))
    tell(total, total)
    if card is not None:
        from nlp.training.card import write

        write(card, report, loaded)
    return report


def score(name: str, examples: list[Example], model: Model, floor: float | None) -> SetScore:
    """Measure one development set."""
    task = scores.task_of(name)
    labels = model.labels[task]
    rows = [item for item in examples if item.labels.get(task) in labels]
    readings = model.read([item.text for item in rows])
    shares = np.array([[r.probabilities[task][label] for label in labels] for r in readings])
    gold = np.array([labels.index(item.labels[task]) for item in rows])
    guess = shares.argmax(1)
    order = np.random.default_rng(0)
    samples = [
        scores.macro_f1(gold[pick], guess[pick])
        for pick in order.integers(0, len(gold), (RESAMPLES, len(gold)))
    ]
    present = sorted(set(gold.tolist()))
    parts = precision_recall_fscore_support(gold, guess, labels=present, zero_division=0)
    return SetScore(
        name=name,
        rows=len(rows),
        macro_f1=scores.macro_f1(gold, guess),
        low=float(np.quantile(samples, 0.025)),
        high=float(np.quantile(samples, 0.975)),
        baseline=floor,
        calibration_error=scores.calibration_error(shares, gold),
        classes=tuple(
            ClassScore(labels[label], int(parts[3][i]), *(float(parts[k][i]) for k in range(3)))
            for i, label in enumerate(present)
        ),
    )


def retrieval(folder: Path, model: Model) -> tuple[int, float, float] | None:
    """A message's title finds its own text among all, by vectors; doubled titles are left out."""
    titles: dict[str, list[str]] = {}
    for name in ("streams/message_board_unlabelled.jsonl.gz", "labelled/category_full.jsonl.gz"):
        for row in data.rows(folder / name):
            titles.setdefault(str(row["title"]).strip(), []).append(str(row["text"]))
    pairs = [(title, texts[0]) for title, texts in titles.items() if len(texts) == 1]
    if not pairs:
        return None
    asked = unpack([r.vector for r in model.read([title for title, _ in pairs])])
    kept = unpack([r.vector for r in model.read([text for _, text in pairs])])
    likeness = asked @ kept.T
    own = np.diagonal(likeness)
    rank = (likeness > own[:, None]).sum(1)
    return len(pairs), float((rank < 1).mean()), float((rank < 10).mean())


def urgency_auc(folder: Path) -> tuple[int, float] | None:
    """How well the urgency rules rank calls for rescue above the other labelled flood posts."""
    texts, wanted = [], []
    for row in data.rows(folder / "streams/flood_2021.jsonl.gz"):
        if row.get("label"):
            texts.append(_FLOOD_NAME.sub(" ", clean(str(row["text"]))))
            wanted.append(str(row["label"]).startswith("求救"))
    if not texts or len(set(wanted)) < 2:
        return None
    values = [urgency(text).score for text in texts]
    return len(texts), float(roc_auc_score(wanted, values))
