"""What the room that answers needs from others, and what a way of publishing must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from responder.review import ApprovedDraft


class Embedder(Protocol):
    """Sentence vectors, comparable with `Analysis.vector` of the same model."""

    @property
    def model(self) -> str:
        """Id of the model, as it stands in `Analysis.model`."""

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Unit vectors, little-endian float16, one a text, in order."""


@dataclass(frozen=True)
class Published:
    """What a publisher did with an approved draft."""

    channel: str
    text: str
    """The approved text, exactly."""
    target: str
    account: str
    at: datetime


class Publisher(Protocol):
    """Brings out an approved reply. Takes nothing but `ApprovedDraft` and decides nothing."""

    @property
    def name(self) -> str:
        """As it stands in the history."""

    def publish(self, approved: ApprovedDraft) -> Published:
        """Raises `NotAllowed` for anything that review did not approve."""
