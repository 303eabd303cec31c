"""What is read off a whole post, against labels set by readers: places, and paths of the tree."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from huiyin.records import Analysis, Place
from nlp.analyser import Analyser
from nlp.categories.fitting import LevelScore
from nlp.categories.fitting import scores as level_scores
from nlp.places import prefix
from nlp.training import hand
from nlp.training.tables import Found


def places(data: Path, analyser: Analyser) -> Found | None:
    """Codes found against `labels/places.csv`, none of them counting more than another."""
    labelled = hand.rows("places")
    rows, found = _analysed(data, analyser, set(labelled))
    if not rows:
        return None
    gold = [set(filter(None, labelled[key]["adcodes"].split("|"))) for key in rows]
    said = [codes(one.places) for one in found]
    right = np.array([len(g & s) for g, s in zip(gold, said, strict=True)])
    has, gave = np.array([len(g) for g in gold]), np.array([len(s) for s in said])
    picks = np.random.default_rng(0).integers(0, len(rows), (1000, len(rows)))
    samples = [_f1(right[p].sum(), has[p].sum(), gave[p].sum()) for p in picks]
    low, high = (float(np.quantile(samples, share)) for share in (0.025, 0.975))
    total, hits = int(has.sum()), int(right.sum())
    return Found(
        "地点（区划代码）", len(rows), total, hits / max(1, int(gave.sum())), hits / max(1, total),
        _f1(hits, total, gave.sum()), low, high,
    )  # fmt: skip


def codes(found: Sequence[Place]) -> set[str]:
    """Six-digit codes: a street gives its county, a parent of another code is left out."""
    short = {place.adcode[:6] for place in found}
    return {
        code for code in short
        if not any(other != code and other.startswith(prefix(code)) for other in short)
    }  # fmt: skip


def tree(data: Path, analyser: Analyser) -> tuple[LevelScore, ...]:
    """Each level of the tree in use against `labels/taxonomy.csv`, over the rows that go so deep.

    Macro-F1 over the classes of the labels, 无 being one of the first level.
    """
    labelled = hand.rows("taxonomy")
    rows, found = _analysed(data, analyser, set(labelled))
    names = ("level1", "level2", "level3")
    gold = [tuple(filter(None, (labelled[key][name] for name in names))) for key in rows]
    return tuple(level_scores(gold, [one.category.path for one in found]))


def _analysed(data: Path, analyser: Analyser, wanted: set[str]) -> tuple[list[str], list[Analysis]]:
    texts = hand.texts(data, wanted)
    return list(texts), analyser.analyse(list(texts.values()))


def _f1(right: float, has: float, gave: float) -> float:
    return float(2 * right / max(1, has + gave))
