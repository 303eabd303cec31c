"""How like two posts are: in words, in meaning, in time, and in what they share beside words.

    similarity = 0.85 tf-idf cosine over character bigrams + 0.15 cosine of the sentence vectors
                 + what the two share beside words (`SHARED`) - 0.03 ln(1 + days between / 30)

Several posts are compared with the same rows in one go, to the last bit as one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nlp.incidents.index import Index, Query, Rows
from nlp.incidents.items import Item, apart
from nlp.incidents.packing import Floats
from nlp.incidents.thresholds import LATER_UNIT


class Likeness:
    """The similarity of posts with kept ones; its numbers are those of `thresholds`."""

    def __init__(self, words_share: float, shared: float, apart: float, later: float) -> None:
        self._words_share = words_share
        self._shared, self._apart, self._later = shared, apart, later

    def of(
        self, index: Index, queries: Sequence[Query], items: Sequence[Item], rows: Rows
    ) -> Floats:
        """Similarity of each post with each of the rows, shape (posts, rows)."""
        gaps = np.abs(rows.times - np.array([[item.time] for item in items]))
        similar = self._words_share * index.cosines(queries, rows)
        similar += (1 - self._words_share) * index.meanings(queries, rows)
        similar -= self._later * np.log1p(gaps / LATER_UNIT)
        for place, item in enumerate(items):
            if item.keys or item.places:
                similar[place] += self._beside_words(index, item, rows, gaps[place])
        return np.round(similar, 6)

    def _beside_words(self, index: Index, item: Item, rows: Rows, gaps: Floats) -> Floats:
        """What is added for common keys and taken for places apart, shape (rows,)."""
        found = np.zeros(len(rows.numbers))
        ours = {key.name for key in item.keys}
        for place, row in enumerate(rows.numbers):
            kept = index.kept(row)
            far = bool(item.places and kept.places) and apart(item.places, kept.places)
            common = [key for key in kept.keys if key.name in ours and (key.wide or not far)]
            if common:
                gap = float(gaps[place])
                found[place] = self._shared * max(math.exp(-gap / key.fades) for key in common)
            elif far:
                found[place] = -self._apart
        return found
