"""How common a term is in what people write in general, whatever this office has seen so far.

The idf of a stream says what is rare among its own posts: on a board of complaints "我们小区" is
common and "开发商" soon is, but a new office's stream has learned nothing yet, and in any stream
most words that two posts share by chance are rare there and common elsewhere. What is rare in both
is mostly a name: a quarter, a firm, a school. So the weight of a term is its idf times

    (ln(terms / (times seen + 5)) / 10) ** 2

from a table counted once over general short texts (`nlp/training/commonness.py`); 0.3 for the most
common pairs of characters, 2.2 for those never seen. What it earns: docs/incidents.md.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

TABLE = Path(__file__).parents[1] / "data" / "commonness.npz"
STEPS = 8
"""Steps of the table for each factor e."""
_PRIOR = 5.0
_UNIT = 10.0


def pressed(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Counts as the table keeps them: ln(1 + count) in steps of an eighth."""
    return np.asarray(np.minimum(255, np.rint(STEPS * np.log1p(counts))), dtype=np.uint8)


def weights_of(levels: npt.NDArray[np.uint8], total: int) -> npt.NDArray[np.float64]:
    """The weight of each bucket, `levels` as `pressed` made them of `total` terms."""
    seen = np.expm1(np.arange(256) / STEPS)
    surprise = np.maximum(0.0, math.log(total) - np.log(seen + _PRIOR))
    return np.asarray(((surprise / _UNIT) ** 2)[levels], dtype=np.float64)


@cache
def weights() -> npt.NDArray[np.float64]:
    """The shipped weights of the buckets of `packing.term_ids`. Raises OSError without the file."""
    with np.load(TABLE) as table:
        return weights_of(table["levels"], int(table["total"]))
