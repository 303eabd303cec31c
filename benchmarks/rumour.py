"""Measures the rumour risk on cascades: AUC on the half that set no weight, beside baselines.

    python -m benchmarks.rumour [--fit] [--out benchmarks/results/rumour.json]

Reads streams/cascades_*.jsonl.xz under HUIYIN_REAL_DATA (posts marked rumour or not, with their
reposts). The halves are cut by a hash of the cascade's number. `--fit` sets the weights anew on the
first half (logistic regression, strength by cross-validation inside it) and prints them for
nlp/incidents/rumour.py; the figures are always those of the second half.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import os
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from nlp.incidents.rumour import DOUBT, Telling, log_odds, signs
from nlp.incidents.statements import statements

HORIZONS: tuple[tuple[str, timedelta | None], ...] = (
    ("the post alone", timedelta(0)),
    ("with reposts of 1 h", timedelta(hours=1)),
    ("with reposts of 24 h", timedelta(hours=24)),
    ("with all reposts", None),
)
MOST_ANSWERS = 500
Row = dict[str, Any]


def rows_of(file: Path) -> Iterator[Row]:
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def tuned_on(cascade: str) -> bool:
    """True for the half that may set weights."""
    return hashlib.sha256(cascade.encode()).digest()[0] % 2 == 0


def at(row: Row) -> datetime | None:
    """None where the source wrote its time in a form of its own."""
    try:
        return datetime.fromisoformat(row["created_at"])
    except ValueError:
        return None


def auc(labels: Sequence[bool], scores: Sequence[float]) -> float:
    """Area under the ROC curve; ties count half."""
    from scipy.stats import rankdata

    truth = np.array(labels)
    ranks = rankdata(scores)
    positive = int(truth.sum())
    if not 0 < positive < len(truth):
        return float("nan")
    return float(
        (ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * (len(truth) - positive))
    )


def interval(labels: Sequence[bool], scores: Sequence[float]) -> tuple[float, float]:
    """95 % of 500 bootstrap samples."""
    random_ = random.Random(5)
    found = []
    for _ in range(500):
        places = [random_.randrange(len(labels)) for _ in labels]
        found.append(auc([labels[n] for n in places], [scores[n] for n in places]))
    return float(np.percentile(found, 2.5)), float(np.percentile(found, 97.5))


def telling(post: Row, answers: Sequence[Row], horizon: timedelta | None) -> Telling:
    start = at(post)
    said = [row["text"].partition("//")[0] for row in answers if _within(start, at(row), horizon)]
    return Telling(
        texts=(post["text"],),
        answers=tuple(text for text in said if len(text) > 1)[:MOST_ANSWERS],
        unverified=0.0 if post["verified"] else 1.0,
    )


def _within(start: datetime | None, moment: datetime | None, horizon: timedelta | None) -> bool:
    if horizon is None:
        return True
    return bool(horizon) and start is not None and moment is not None and moment - start <= horizon


def load(folder: Path) -> tuple[list[Row], dict[str, list[Row]]]:
    posts = list(rows_of(folder / "streams" / "cascades_posts.jsonl.xz"))
    answers: dict[str, list[Row]] = {post["cascade"]: [] for post in posts}
    for row in rows_of(folder / "streams" / "cascades_reposts.jsonl.xz"):
        if row["cascade"] in answers:
            answers[row["cascade"]].append(row)
    for found in answers.values():
        found.sort(key=lambda row: row["created_at"])
    return posts, answers


def fit(told: Sequence[Telling], labels: Sequence[bool]) -> tuple[dict[str, float], float]:
    from sklearn.linear_model import LogisticRegressionCV

    names = list(signs(told[0]))
    table = np.array([[signs(one)[name] for name in names] for one in told])
    model = LogisticRegressionCV(Cs=8, cv=5, scoring="roc_auc", max_iter=2000).fit(table, labels)
    return (
        {name: round(float(w), 2) for name, w in zip(names, model.coef_[0], strict=True)},
        round(float(model.intercept_[0]), 2),
    )


def baselines(posts: Sequence[Row], told: Sequence[Telling]) -> dict[str, list[float]]:
    return {
        "number of reposts": [float(post["reposts"]) for post in posts],
        "author not verified": [0.0 if post["verified"] else 1.0 for post in posts],
        "length of the text": [float(len(post["text"])) for post in posts],
        "share of reposts with words of doubt": [_share_of_doubt(one) for one in told],
    }


def _share_of_doubt(one: Telling) -> float:
    return sum(DOUBT.search(text) is not None for text in one.answers) / max(1, len(one.answers))


def measure(posts: Sequence[Row], answers: dict[str, list[Row]]) -> dict[str, Any]:
    test = [post for post in posts if not tuned_on(post["cascade"])]
    labels = [bool(post["rumour"]) for post in test]
    whole = [telling(post, answers[post["cascade"]], None) for post in test]
    found: dict[str, Any] = {
        "cascades": len(posts), "tested": len(test), "rumours among them": sum(labels),
        "baselines": {name: round(max(auc(labels, scores), 1 - auc(labels, scores)), 3)
                      for name, scores in baselines(test, whole).items()},
        "risk": {},
    }  # fmt: skip
    for name, horizon in HORIZONS:
        told = [telling(post, answers[post["cascade"]], horizon) for post in test]
        scores = [log_odds(one) for one in told]
        low, high = interval(labels, scores)
        claiming = [n for n, post in enumerate(test) if statements(post["text"])]
        found["risk"][name] = {
            "auc": round(auc(labels, scores), 3),
            "interval": [round(low, 3), round(high, 3)],
            "auc among posts that state a number, cause, place or blame": round(
                auc([labels[n] for n in claiming], [scores[n] for n in claiming]), 3
            ),
            "such posts": len(claiming),
            "baseline: share of these reposts with words of doubt": round(
                auc(labels, [_share_of_doubt(one) for one in told]), 3
            ),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/rumour.json"))
    options = parser.parse_args()
    posts, answers = load(Path(os.environ["HUIYIN_REAL_DATA"]))
    if options.fit:
        train = [post for post in posts if tuned_on(post["cascade"])]
        told = [
            telling(post, answers[post["cascade"]], horizon)
            for _, horizon in HORIZONS
            for post in train
        ]
        weights, bias = fit(told, [bool(post["rumour"]) for _ in HORIZONS for post in train])
        print(json.dumps(weights, ensure_ascii=False, indent=1), "BIAS", bias)
    found = measure(posts, answers) | {"measured_at": datetime.now(UTC).date().isoformat()}
    print(f"{found['tested']} cascades that set no weight, {found['rumours among them']} rumours")
    for name, value in found["baselines"].items():
        print(f"  {value:.3f}  baseline: {name}")
    for name, row in found["risk"].items():
        print(f"  {row['auc']:.3f}  {row['interval']}  risk, {name}")
        print(f"         {row['auc among posts that state a number, cause, place or blame']:.3f}"
              f" among the {row['such posts']} that state something checkable;"
              " doubt alone"
              f" {row['baseline: share of these reposts with words of doubt']:.3f}")  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
