"""What understanding offers to the other rooms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from huiyin.records import Analysis

Shares = Mapping[str, Mapping[str, float]]
"""Task -> label -> probability."""


@dataclass(frozen=True)
class Text:
    """What is read of a post."""

    text: str
    title: str | None = None
    region: str | None = None
    """adcode of the office that reads it; helps to tell places of the same name apart"""


class Understanding(Protocol):
    """Reads texts. Deterministic: the same text gives the same answer in any batch."""

    @property
    def model(self) -> str:
        """Id of weights, code version and precision; kept in each `Analysis`."""

    def analyse(self, texts: Sequence[Text]) -> list[Analysis]:
        """One `Analysis` a text, in order."""

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Unit sentence vectors, little-endian float16, comparable with `Analysis.vector`."""

    def shares(self, texts: Sequence[str]) -> list[Shares]:
        """What `analyse` decides from: the probabilities of each task, titles joined already."""
