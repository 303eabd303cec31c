"""Measure a model on the development sets and on labels set by readers, beside two baselines.

Texts are read through the same code as in use (cleaning, precision, temperatures, rules, models of
others); the urgency score and the sentence vectors are measured too.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from huiyin.settings import ModelChoices
from huiyin.vectors import unpack
from nlp import foreign
from nlp.analyser import Analyser
from nlp.categories.fitting import LevelScore
from nlp.model import Model
from nlp.training import baseline, calling, data, hand, reading, scores, tables
from nlp.training.config import LABELS, TrainConfig
from nlp.training.data import Data, Example
from nlp.training.pairs import held
from nlp.training.tables import ClassScore, Found, Ranking, Score, SetScore
from nlp.urgency import urgency

Progress = Callable[[int, int | None], None]
P = ParamSpec("P")
T = TypeVar("T")
_AT_ONCE = 512


@dataclasses.dataclass(frozen=True)
class Report:
    """All measurements of one model."""

    model: str
    sets: tuple[SetScore, ...]
    retrieval: tuple[int, float, float] | None
    """(titles, recall@1, recall@10): a title finds its own text by vectors alone."""
    rankings: tuple[Ranking, ...]
    """Of the urgency score."""
    places: Found | None = None
    levels: tuple[LevelScore, ...] = ()
    """Of the category tree."""

    def table(self) -> str:
        """The report as Markdown."""
        return "\n".join([f"模型 {self.model}", "", *self.lines()])

    def lines(self) -> list[str]:
        """The tables with their remarks."""
        lines = [*tables.summary(self.sets), ""]
        for one in self.sets:
            if scores.task_of(one.name) == "intent":
                mean = one.f1_of("投诉", "咨询")
                if mean is not None:
                    lines.append(f"{one.name}：投诉、咨询两类 F1 的平均 {mean:.3f}。  ")
            if one.seen:
                lines.append(f"{one.name}：其中 {one.seen} 条的文字在训练里带规则标签出现过。  ")
        if self.retrieval is not None:
            count, first, ten = self.retrieval
            figures = f"recall@1 {first:.3f}，@10 {ten:.3f}"
            lines.append(f"标题找自己的正文（{count} 个没学过的标题）：{figures}。  ")
        if self.places is not None:
            lines.append(str(self.places))
        if self.rankings:
            lines += ["", *tables.rankings(self.rankings)]
        if self.levels:
            lines += ["", *tables.levels(self.levels)]
        return [*lines, "", *tables.per_class(self.sets)]


def evaluate(
    folder: Path,
    *,
    model: Path | None = None,
    others: ModelChoices | None = None,
    home: Path | None = None,
    card: Path | None = None,
    progress: Progress | None = None,
    with_baseline: bool = True,
    cache: Path | None = baseline.CACHE,
) -> Report:
    """Measure the model in `model` (None: the shipped one) on the data in `folder`.

    `others`: models that answer single tasks instead, as `nlp.analyser.load` takes them. What the
    baselines answer is kept in `cache`. Writes the model card to `card` if given. Raises ModelError
    for a broken model folder.
    """
    loaded = Model(model)
    analyser = Analyser(
        loaded, foreign.load(others or ModelChoices(), loaded.labels, home or Path())
    )
    sets = data.load(TrainConfig(data=folder, out=folder, openings=0.0))
    found = {**sets.dev, **hand.mentions(folder, answers=_kept_back)}
    dev = {name: rows for name, items in found.items() if (rows := known_rows(name, items))}
    step = _Steps(progress, len(dev) + 4 + (len(baseline.TASKS) + 1) * with_baseline)
    floors = _floors(sets, dev, cache, step) if with_baseline else {}
    trained = {item.text for item in sets.train}
    measured = tuple(
        step(score)(name, rows, analyser, floors.get(name, {}), trained)
        for name, rows in dev.items()
    )
    report = Report(
        analyser.model, measured, step(retrieval)(folder, analyser),
        tuple(step(urgency_ranks)(folder)), step(reading.places)(folder, analyser),
        step(reading.tree)(folder, analyser),
    )  # fmt: skip
    if card is not None:
        from nlp.training.card import write

        write(card, report, loaded)
    return report


def known_rows(name: str, rows: Sequence[Example]) -> list[Example]:
    """The rows of a set whose label for its task is one of ours."""
    task = scores.task_of(name)
    return [item for item in rows if item.labels.get(task) in LABELS[task]]


def score(
    name: str,
    rows: Sequence[Example],
    analyser: Analyser,
    floors: dict[str, list[int]],
    trained: set[str],
) -> SetScore:
    """Measure one set. `floors`: what each baseline answers; `trained`: texts of the training."""
    task = scores.task_of(name)
    labels = LABELS[task]
    shares = np.array([[one[label] for label in labels] for one in _shares(analyser, task, rows)])
    gold = np.array([labels.index(item.labels[task]) for item in rows])
    guess = shares.argmax(1)
    kinds = {kind: np.array(answers) for kind, answers in floors.items()}
    return SetScore(
        name=name,
        rows=len(rows),
        ours=_score(gold, guess),
        baselines={kind: _score(gold, answers) for kind, answers in kinds.items()},
        calibration_error=scores.calibration_error(shares, gold),
        classes=_classes(labels, gold, guess, kinds),
        seen=sum(item.text in trained for item in rows),
    )


def retrieval(folder: Path, analyser: Analyser) -> tuple[int, float, float] | None:
    """A message's title finds its own text among all, by vectors; doubled titles are left out.

    Only titles that vectors were not learned from ask (`pairs.held`).
    """
    titles: dict[str, list[str]] = {}
    for name in ("streams/message_board_unlabelled.jsonl.gz", "labelled/category_full.jsonl.gz"):
        for row in data.rows(folder / name):
            titles.setdefault(str(row["title"]).strip(), []).append(str(row["text"]))
    pairs = [(title, texts[0]) for title, texts in titles.items() if len(texts) == 1]
    if not pairs:
        return None
    places = [row for row, (title, _) in enumerate(pairs) if held(title)]
    asked = unpack(analyser.embed([pairs[row][0] for row in places]))
    kept = unpack(analyser.embed([text for _, text in pairs]))
    likeness = asked @ kept.T
    own = likeness[np.arange(len(places)), places]
    rank = (likeness > own[:, None]).sum(1)
    return len(places), float((rank < 1).mean()), float((rank < 10).mean())


def urgency_ranks(folder: Path) -> list[Ranking]:
    """How well the urgency score ranks calls for rescue, and posts that tell of danger, first.

    Hashtags and the flood's names are taken out, so that it is not the topic that is recognised.
    Nothing is measured on what it was learned from: calls by cross-validation, danger on the half
    of the labels that was kept back.
    """

    def score(text: str) -> float:
        return urgency(calling.nameless(text)).score

    danger, calm = (
        hand.scored(name, "danger", folder, score, _kept_back) for name in ("danger", "calm")
    )
    found = [
        ranking(
            "求救与其他有标签的帖文，2021 年水灾（交叉验证）", *calling.held_out_urgency(folder)
        ),
        ranking("水灾帖文里有人正处于危险（未学的一半）", *danger),
        ranking("同上，加上平常帖文", danger[0] + calm[0], danger[1] + calm[1]),
    ]
    return [one for one in found if one is not None]


def ranking(name: str, wanted: Sequence[bool], values: Sequence[float]) -> Ranking | None:
    """AUC with its 95 % bootstrap interval; None when one side is empty."""
    if len(set(wanted)) < 2:
        return None
    gold, scored = np.array(wanted), np.array(values)
    picks = np.random.default_rng(0).integers(0, len(gold), (1000, len(gold)))
    samples = [
        roc_auc_score(gold[pick], scored[pick])
        for pick in picks
        if 0 < gold[pick].sum() < len(gold)
    ]
    low, high = (float(np.quantile(samples, share)) for share in (0.025, 0.975))
    return Ranking(name, len(gold), int(gold.sum()), float(roc_auc_score(gold, scored)), low, high)


def _kept_back(text: str) -> bool:
    """The half of the readers' labels that nothing was learned from."""
    return not calling.learned(text)


class _Steps:
    """Tells the progress as each function called through it returns."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._tell, self._done, self._total = progress or (lambda done, total: None), 0, total
        self._tell(0, total)

    def __call__(self, work: Callable[P, T]) -> Callable[P, T]:
        def told(*args: P.args, **named: P.kwargs) -> T:
            result = work(*args, **named)
            self._done += 1
            self._tell(self._done, self._total)
            return result

        return told


def _floors(
    sets: Data, dev: dict[str, list[Example]], cache: Path | None, step: _Steps
) -> dict[str, dict[str, list[int]]]:
    """What each baseline answers, by set and baseline."""
    train = _unseen(sets, dev)
    answers = [
        *((baseline.SVM, step(baseline.svm)(task, train, dev, cache)) for task in baseline.TASKS),
        (baseline.SNOW, step(baseline.snow)(dev, cache)),
    ]
    floors: dict[str, dict[str, list[int]]] = {}
    for kind, found in answers:
        for name, guess in found.items():
            floors.setdefault(name, {})[kind] = guess
    return floors


def _unseen(sets: Data, dev: dict[str, list[Example]]) -> list[Example]:
    """The training rows without the texts of any set that is measured."""
    held = {item.text for rows in dev.values() for item in rows}
    return [item for item in sets.train if item.text not in held]


def _shares(analyser: Analyser, task: str, rows: Sequence[Example]) -> list[dict[str, float]]:
    found: list[dict[str, float]] = []
    for start in range(0, len(rows), _AT_ONCE):
        texts = [item.text for item in rows[start : start + _AT_ONCE]]
        found += [dict(one[task]) for one in analyser.shares(texts)]
    return found


def _score(gold: np.ndarray, guess: np.ndarray) -> Score:
    return Score(scores.macro_f1(gold, guess), *scores.interval(gold, guess))


def _classes(
    labels: tuple[str, ...], gold: np.ndarray, guess: np.ndarray, kinds: dict[str, np.ndarray]
) -> tuple[ClassScore, ...]:
    present = sorted(set(gold.tolist()))

    def parts(answers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = precision_recall_fscore_support(gold, answers, labels=present, zero_division=0)
        return found[0], found[1], found[2]

    precision, recall, f1 = parts(guess)
    floors = {kind: parts(answers)[2] for kind, answers in kinds.items()}
    return tuple(
        ClassScore(
            labels[label], int((gold == label).sum()), int((guess == label).sum()),
            float(precision[row]), float(recall[row]), float(f1[row]),
            {kind: float(values[row]) for kind, values in floors.items()},
        )
        for row, label in enumerate(present)
    )  # fmt: skip
