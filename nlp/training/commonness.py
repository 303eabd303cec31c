"""Count how common each term of grouping is in general short texts (nlp/incidents/commonness.py).

    python -m nlp.training.commonness DATA

The texts are `pretrain/short_texts.txt.xz` of the data folder: posts and trending titles of 2020.
None of the streams that incidents are measured on is among them.
"""

from __future__ import annotations

import lzma
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nlp.incidents import commonness
from nlp.incidents.packing import BUCKETS, PACK, term_ids
from nlp.incidents.terms import plain

TEXTS = Path("pretrain") / "short_texts.txt.xz"


def count(data: Path, out: Path = commonness.TABLE) -> Path:
    """Write the table; returns its path. Raises OSError when the texts cannot be read."""
    counts = np.zeros(BUCKETS, dtype=np.int64)
    for text in _texts(data / TEXTS):
        packed = term_ids(plain(None, text))
        counts[packed // PACK] += packed % PACK
    np.savez_compressed(out, levels=commonness.pressed(counts), total=counts.sum())
    return out


def _texts(path: Path) -> Iterator[str]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        yield from lines


if __name__ == "__main__":
    print(count(Path(sys.argv[1])))
