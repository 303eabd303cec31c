"""The yardstick: TF-IDF of character 1-3-grams with a linear SVM (Pang & Lee 2008 and since)."""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from nlp.training import scores
from nlp.training.config import LABELS
from nlp.training.data import Data, Example

TASKS = ("emotion", "sentiment", "category", "intent")
"""Tasks with hand labels; the labels made by rule would only measure the rules."""
_OWN_SOURCE = {"sentiment": {"sentiment"}, "intent": {"fuzhou"}}
"""Where a task has other rows too, the sources whose labels were set by hand."""


def scores_of(task: str, sets: Data) -> dict[str, float]:
    """Macro-F1 of the baseline on each development set of a task."""
    rows = [item for item in sets.train if _is_labelled(item, task)]
    if len({item.labels[task] for item in rows}) < 2:
        return {}
    model = pipeline()
    model.fit([item.text for item in rows], [item.labels[task] for item in rows])
    found = {}
    for name, examples in sets.dev.items():
        known = [item for item in examples if item.labels.get(task) in LABELS[task]]
        if scores.task_of(name) != task or not known:
            continue
        guess = model.predict([item.text for item in known])
        index = LABELS[task].index
        gold = np.array([index(item.labels[task]) for item in known])
        found[name] = scores.macro_f1(gold, np.array([index(str(label)) for label in guess]))
    return found


def pipeline() -> Pipeline:
    """An unfitted TF-IDF + SVM."""
    grams = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    return make_pipeline(grams, LinearSVC(C=0.5, class_weight="balanced"))


def _is_labelled(item: Example, task: str) -> bool:
    own = _OWN_SOURCE.get(task)
    return item.labels.get(task) in LABELS[task] and (own is None or item.source in own)
