"""Learn nlp/data/calling.npz: which posts call for help, and in which life is at stake.

    python -m nlp.training.calling DATA OUT.npz

DATA holds streams/flood_2021.jsonl.gz (labels 求救..., 帮助...), gov_comments and emotion as
ordinary posts, message_board_unlabelled and appeals_with_replies as letters to an office.

labels/danger.csv says where life is at stake. Of it, of the ordinary posts and of the letters only
the half whose hash begins with an even digit is learned from, so that the other half measures.
Prints what cross-validation gives on the learned half.
"""

import csv
import hashlib
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, StratifiedKFold

from nlp import cues
from nlp.calling import CUE_WEIGHT, Calling, prepare
from nlp.training.data import rows
from nlp.urgency import urgency

LABELS = Path(__file__).parent / "labels" / "danger.csv"
EVENT = re.compile(r"#[^#]*#|河南|郑州|新乡|暴雨|洪水|洪灾|水灾|求救|互助")
"""The flood's own names and the label itself: taken out, lest the model learn the event."""
ORDINARY = 12_000
STRENGTH = {"asks": 5.0, "danger": 30.0}
ORDINARY_WEIGHT, WEAK_WEIGHT = 0.2, 0.5
RECALL = 0.95
"""Share of the marked posts (cross-validated) that the threshold of danger keeps."""


@dataclass(frozen=True)
class Rows:
    """Texts ready to be read, their labels and weights; the first `own` are measured."""

    texts: list[str]
    labels: Any
    weights: Any
    own: int


def digest(text: str) -> str:
    """The first 16 hex digits of SHA-256, as labels/ names a text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def learned(text: str) -> bool:
    """Whether a text is of the half that may be learned from."""
    return int(digest(text)[0], 16) % 2 == 0


def nameless(text: str) -> str:
    """The text as the model reads it, without the event's names."""
    return EVENT.sub(" ", prepare(text))


def asking(data: Path) -> Rows:
    """Flood posts with a label: 求救 of any kind, or not."""
    found = [r for r in rows(data / "streams/flood_2021.jsonl.gz") if r.get("label")]
    labels = np.array([str(r["label"]).startswith("求救") for r in found])
    texts = [nameless(str(r["text"])) for r in found]
    return Rows(texts, labels, np.where(labels, 0.75, 1.5), len(texts))


def danger(data: Path) -> Rows:
    """Marked posts of the learned half, then weakly labelled ones, then ordinary ones."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        marked = {row["sha256_16"]: row["danger"] == "yes" for row in csv.DictReader(file)}
    own: list[tuple[str, bool]] = []
    weak: list[tuple[str, bool]] = []
    for row in rows(data / "streams/flood_2021.jsonl.gz"):
        text, label = str(row["text"]), str(row.get("label") or "")
        if digest(text) in marked:
            if learned(text):
                own.append((text, marked[digest(text)]))
        elif label == "求救":
            weak.append((text, True))
        elif label.startswith("帮助") or label in {"求救_招人", "求救_招地"}:
            weak.append((text, False))
    letters = [(text, False) for text in _letters(data)]
    ordinary = [(text, False) for text in _ordinary(data)]
    every = own + weak + letters + ordinary
    weights = [1.0] * len(own) + [WEAK_WEIGHT] * (len(weak) + len(letters))
    weights += [ORDINARY_WEIGHT] * len(ordinary)
    labels = np.array([label for _, label in every])
    return Rows([nameless(t) for t, _ in every], labels, np.array(weights), len(own))


def _ordinary(data: Path) -> list[str]:
    texts = [
        str(row["text"])
        for name in ("streams/gov_comments.jsonl.gz", "labelled/emotion.jsonl.gz")
        for row in rows(data / name)
    ]
    return random.Random(0).sample([text for text in texts if learned(text)], ORDINARY)


def _letters(data: Path) -> list[str]:
    """Citizens' messages to an office: complaints and requests, almost never a life at stake."""
    texts = [
        f"{row['title']}\n{row['text']}" if row.get("title") else str(row["text"])
        for name in (
            "streams/message_board_unlabelled.jsonl.gz",
            "labelled/appeals_with_replies.jsonl.gz",
        )
        for row in rows(data / name)
    ]
    return [text for text in texts if learned(text)]


def features(vectorizer: TfidfVectorizer, texts: Sequence[str]) -> Any:
    """Sparse matrix: cues, then TF-IDF of characters and pairs."""
    found = np.array([list(cues.read(text).values()) for text in texts], dtype=float)
    return hstack([csr_matrix(found * CUE_WEIGHT), vectorizer.transform(texts)]).tocsr()


def _fit(matrix: Any, data: Rows, pick: Any, strength: float) -> LogisticRegression:
    model = LogisticRegression(C=strength, max_iter=3000)
    return model.fit(matrix[pick], data.labels[pick], sample_weight=data.weights[pick])


def held_out(matrix: Any, data: Rows, strength: float, seed: int = 0) -> Any:
    """Scores of the first `own` rows, each from a model that saw neither it nor a near copy."""
    groups = [re.sub(r"[^\u4e00-\u9fff]", "", text)[20:60] for text in data.texts[: data.own]]
    labels, every = data.labels[: data.own], np.arange(len(data.texts))
    grouped = len(set(groups)) < 0.95 * len(groups)
    parts: Any = (GroupKFold if grouped else StratifiedKFold)(5, shuffle=True, random_state=seed)
    found = np.zeros(data.own)
    for _, test in parts.split(labels, labels, groups if grouped else None):
        model = _fit(matrix, data, np.setdiff1d(every, test), strength)
        found[test] = model.decision_function(matrix[test])
    return found


def urgency_auc(data: Path, seed: int = 0) -> tuple[int, float] | None:
    """(posts, AUC) of what `held_out_urgency` gives; None where the data are absent."""
    wanted, values = held_out_urgency(data, seed)
    return (len(wanted), float(roc_auc_score(wanted, values))) if wanted else None


def held_out_urgency(data: Path, seed: int = 0) -> tuple[list[bool], list[float]]:
    """Whether each labelled flood post is 求救, and its `urgency`, cross-validated.

    Hashtags, the flood's name and the label's own word are taken out; each post is scored by a
    model that saw neither it nor a near copy. Both empty where the data are absent.
    """
    found = asking(data)
    if not found.texts:
        return [], []
    matrix = features(_vectorizer().fit(found.texts), found.texts)
    asks = 1 / (1 + np.exp(-held_out(matrix, found, STRENGTH["asks"], seed)))
    values = []
    for text, share in zip(found.texts, asks, strict=True):
        allowed = any(cues.read(text)[name] for name in cues.ASKING)
        values.append(urgency(text, Calling(float(share) if allowed else 0.0, 0.0)).score)
    return found.labels.tolist(), values


def _vectorizer() -> TfidfVectorizer:
    return TfidfVectorizer(
        analyzer="char", ngram_range=(1, 2), min_df=3, sublinear_tf=True, lowercase=False
    )


def train(data: Path, out: Path) -> str:
    """Learn both, write the weights, return the report."""
    sets = {"asks": asking(data), "danger": danger(data)}
    vectorizer = _vectorizer()
    vectorizer.fit(sets["asks"].texts + sets["danger"].texts[: sets["danger"].own])
    lines, weights, intercepts = [], [], []
    for name, rows_ in sets.items():
        matrix = features(vectorizer, rows_.texts)
        scores = held_out(matrix, rows_, STRENGTH[name])
        labels = rows_.labels[: rows_.own]
        model = _fit(matrix, rows_, np.arange(len(rows_.texts)), STRENGTH[name])
        least = 0.0
        if name == "danger":  # its 0.5 is the alarm
            least = float(np.quantile(scores[labels], 1 - RECALL))
        weights.append(model.coef_[0])
        intercepts.append(float(model.intercept_[0]) - least)
        lines.append(
            f"{name}: {rows_.own} posts, {int(labels.sum())} yes, cross-validated AUC "
            f"{roc_auc_score(labels, scores):.3f}; at 0.5 recall "
            f"{(scores[labels] >= least).mean():.3f}, false {(scores[~labels] >= least).mean():.3f}"
        )
    count, coefficients = len(cues.PATTERNS), np.array(weights)
    np.savez_compressed(
        out,
        grams=np.array("\n".join(vectorizer.get_feature_names_out())),
        inverse=vectorizer.idf_.astype(np.float16),
        weights=coefficients[:, count:].astype(np.float16),
        cue_weights=(coefficients[:, :count] * CUE_WEIGHT).astype(np.float32),
        intercepts=np.array(intercepts, dtype=np.float32),
    )
    return "\n".join(lines)


if __name__ == "__main__":
    print(train(Path(sys.argv[1]), Path(sys.argv[2])))
