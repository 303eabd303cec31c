"""Does a post call for help, and is life at stake? A small linear model over cues and characters.

Two logistic regressions over the cues of nlp/cues.py and the TF-IDF of single characters and pairs,
learned by `python -m nlp.training.calling` (which ships with the weights, nlp/data/calling.npz).
Hashtags are not read: a tag names the event, not what this post wants.
"""

import functools
import itertools
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nlp import cues
from nlp.text import clean

WEIGHTS = Path(__file__).parent / "data" / "calling.npz"
MAX_CHARACTERS = 1_000
"""Characters that are read; appeals say what they want at the beginning."""
CUE_WEIGHT = 0.3
"""Value of a cue that is found, beside a TF-IDF vector of length 1."""
_TAG = re.compile(r"#[^#\n]{1,30}#")


@dataclass(frozen=True)
class Calling:
    """Probabilities 0..1; 0 where no cue allows it."""

    asks: float
    """It asks for help: rescue, goods, hands, or for somebody who is missing."""
    danger: float
    """Somebody's life is at stake now; 0.5 is the threshold of an alarm."""


NOTHING = Calling(0.0, 0.0)


def prepare(text: str) -> str:
    """The text as the model reads it."""
    return clean(_TAG.sub(" ", text[: 2 * MAX_CHARACTERS]))[:MAX_CHARACTERS]


def calling(text: str) -> Calling:
    """Read one post, raw or cleaned."""
    text = prepare(text)
    found = cues.read(text)
    may_ask = any(found[name] for name in cues.ASKING)
    endangered = any(found[name] for name in cues.ENDANGERED)
    if not may_ask and not endangered:
        return NOTHING
    asks, danger = _model().scores(text, list(found.values()))
    return Calling(
        round(_share(asks), 4) if may_ask else 0.0, round(_share(danger), 4) if endangered else 0.0
    )


def _share(score: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


@dataclass(frozen=True)
class _Model:
    columns: dict[str, int]
    inverse: list[float]
    """Inverse document frequency of each character or pair."""
    weights: tuple[list[float], list[float]]
    cue_weights: tuple[list[float], list[float]]
    intercepts: tuple[float, float]

    def scores(self, text: str, found: list[bool]) -> tuple[float, float]:
        """Logits of asking and of danger."""
        counts: dict[int, int] = {}
        for grams in (text, map("".join, itertools.pairwise(text))):
            for gram in grams:
                column = self.columns.get(gram)
                if column is not None:
                    counts[column] = counts.get(column, 0) + 1
        values = {c: (1 + math.log(n)) * self.inverse[c] for c, n in counts.items()}
        length = math.sqrt(sum(v * v for v in values.values())) or 1.0
        asks, danger = (
            intercept
            + sum(weight for weight, cue in zip(cue_weights, found, strict=True) if cue)
            + sum(weights[c] * v for c, v in values.items()) / length
            for intercept, cue_weights, weights in zip(
                self.intercepts, self.cue_weights, self.weights, strict=True
            )
        )
        return asks, danger


@functools.cache
def _model() -> _Model:
    with np.load(WEIGHTS) as file:
        grams = str(file["grams"]).split("\n")
        inverse, weights, cue_weights, intercepts = (
            file[name].astype(float).tolist()
            for name in ("inverse", "weights", "cue_weights", "intercepts")
        )
    return _Model(
        columns={gram: number for number, gram in enumerate(grams)},
        inverse=inverse,
        weights=(weights[0], weights[1]),
        cue_weights=(cue_weights[0], cue_weights[1]),
        intercepts=(intercepts[0], intercepts[1]),
    )
