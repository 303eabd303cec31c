"""Make full texts look like those of the segmented sets, which lost stop words and punctuation.

Two training sets came without them, the posts we read have them. A share of the full texts is
therefore learned without, so that their loss tells the model nothing about the label.
"""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jieba

if TYPE_CHECKING:
    from nlp.training.data import Example

SOURCES = frozenset({"emotion", "message", "sentiment-hand"})
"""Sources of full texts whose tasks are also learned from segmented ones."""


@functools.cache
def stop_words() -> frozenset[str]:
    """Words and marks that stand ten times as often in the full sets as in the segmented ones."""
    path = Path(__file__).parent / "stop_words.txt"
    return frozenset(path.read_text(encoding="utf-8").split())


def segmented(text: str) -> str:
    """The text without stop words, punctuation and blanks."""
    stops = stop_words()
    return "".join(word for word in jieba.lcut(text) if word.strip() and word not in stops)


def some(examples: Sequence[Example], share: float, seed: int) -> list[Example]:
    """The examples, a share of the full texts among them segmented; the same for the same seed."""
    chance = random.Random(seed)
    found = []
    for item in examples:
        cut = segmented(item.text) if item.source in SOURCES and chance.random() < share else ""
        found.append(dataclasses.replace(item, text=cut) if cut else item)
    return found
