"""The yardsticks: TF-IDF of character 1-3-grams with a linear SVM, and SnowNLP for sentiment.

Fitting takes minutes, so what they answered is kept in a folder, by a hash of all that decides it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from nlp.training import scores
from nlp.training.config import LABELS
from nlp.training.data import Example

TASKS = ("emotion", "sentiment", "category", "intent")
"""Tasks with hand labels; the labels made by rule would only measure the rules."""
SVM, SNOW = "TF-IDF + SVM", "SnowNLP"
CACHE = Path("build/baselines")
_OWN_SOURCE = {"sentiment": {"sentiment"}, "intent": {"fuzhou"}}
"""Where a task has other rows too, the sources whose labels were set by hand."""
_VERSION = 1
"""Raised when what is computed from the same rows changes."""

Answers = dict[str, list[int]]
"""Development set -> label number of each row, in order."""


def svm(
    task: str,
    train: Iterable[Example],
    dev: Mapping[str, list[Example]],
    cache: Path | None = CACHE,
) -> Answers:
    """What TF-IDF + SVM, fitted on the hand labels of a task, answers on its development sets."""
    rows = [item for item in train if _is_labelled(item, task)]
    ours = {name: items for name, items in dev.items() if scores.task_of(name) == task}
    if len({item.labels[task] for item in rows}) < 2 or not ours:
        return {}

    def compute() -> Answers:
        model = pipeline()
        model.fit([item.text for item in rows], [item.labels[task] for item in rows])
        index = LABELS[task].index
        return {
            name: [index(str(one)) for one in model.predict([item.text for item in items])]
            for name, items in ours.items()
        }

    texts = [f"{item.labels[task]} {item.text}" for item in rows]
    return _kept(cache, ["svm", version("scikit-learn"), *texts], ours, compute)


def snow(dev: Mapping[str, list[Example]], cache: Path | None = CACHE) -> Answers:
    """What SnowNLP answers on the sentiment sets; none when it is not installed.

    Its one number (naive Bayes from reviews of goods) becomes three classes by the two thresholds
    that give the highest macro-F1 on the very rows measured: more than a user could know.
    """
    ours = {name: items for name, items in dev.items() if scores.task_of(name) == "sentiment"}
    try:
        edition = version("snownlp")
    except PackageNotFoundError:
        return {}

    def compute() -> Answers:
        from snownlp import SnowNLP

        found = {}
        for name, items in ours.items():
            values = np.array([float(SnowNLP(item.text or "。").sentiments) for item in items])
            gold = np.array([LABELS["sentiment"].index(i.labels["sentiment"]) for i in items])
            found[name] = _best_thresholds(values, gold).tolist()
        return found

    gold_too = [item.labels["sentiment"] for items in ours.values() for item in items]
    return _kept(cache, ["snow", edition, *gold_too], ours, compute)


def pipeline() -> Pipeline:
    """An unfitted TF-IDF + SVM."""
    grams = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    return make_pipeline(grams, LinearSVC(C=0.5, class_weight="balanced"))


def _best_thresholds(values: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Label numbers (n,) of positive, neutral, negative by the best two of nineteen thresholds."""
    steps = np.quantile(values, np.linspace(0.05, 0.95, 19))
    best, best_score = np.zeros(len(values), dtype=int), -1.0
    for low in steps:
        for high in steps[steps >= low]:
            guess = np.where(values >= high, 0, np.where(values < low, 2, 1))
            if (found := scores.macro_f1(gold, guess)) > best_score:
                best, best_score = guess, found
    return best


def _kept(
    cache: Path | None,
    decides: Iterable[str],
    dev: Mapping[str, list[Example]],
    compute: Callable[[], Answers],
) -> Answers:
    """`compute()`, or what an earlier run on the same rows kept."""
    if cache is None:
        return compute()
    digest = hashlib.sha256(f"{_VERSION}".encode())
    for part in decides:
        digest.update(part.encode("utf-8", "replace") + b"\0")
    for name, items in sorted(dev.items()):
        digest.update("\0".join([name, *(item.text for item in items)]).encode("utf-8", "replace"))
    file = cache / f"{digest.hexdigest()[:24]}.json"
    if file.exists():
        kept: Answers = json.loads(file.read_text(encoding="utf-8"))
        return kept
    found = compute()
    cache.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found), encoding="utf-8")
    return found


def _is_labelled(item: Example, task: str) -> bool:
    own = _OWN_SOURCE.get(task)
    return item.labels.get(task) in LABELS[task] and (own is None or item.source in own)
