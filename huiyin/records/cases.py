"""Cases, drafts of replies, and corrections that people made."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from huiyin.records.base import Act, Record, StateRecord, UtcDatetime


class CaseState(StrEnum):
    OPEN = "open"
    DRAFTED = "drafted"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    PUBLISHED = "published"
    CLOSED = "closed"


class Case(StateRecord):
    """One appeal that wants an answer, from opening to publication or hand-over."""

    kind: ClassVar[str] = "case"
    post: str
    account: str
    """Official account that answers."""
    state: CaseState = CaseState.OPEN
    intent: str = ""
    category: tuple[str, ...] = ()
    urgency: float = 0.0
    opened_at: UtcDatetime
    due_at: UtcDatetime
    handler: str | None = None
    incident: str | None = None
    closed_reason: str = ""
    acts: tuple[Act, ...] = ()

    @property
    def ref(self) -> str:
        return self.post


class Contact(StateRecord):
    """A telephone number that somebody left with a message, sealed; see huiyin/contacts.py."""

    kind: ClassVar[str] = "contact"
    post: str
    state: str = "sealed"
    """sealed, destroyed"""
    box: str = Field(repr=False)
    """Base64 of the sealed number; empty once destroyed."""
    sealed_at: UtcDatetime
    destroyed_at: UtcDatetime | None = None
    acts: tuple[Act, ...] = ()

    @property
    def ref(self) -> str:
        return self.post


class Correction(StateRecord):
    """What a reviewer said a post's category is: an example for the next fitting.

    Keeps no words: they are read from the post, so that a deletion reaches the example too.
    """

    kind: ClassVar[str] = "correction"
    post: str
    category: tuple[str, ...]
    was: tuple[str, ...] = ()
    """What the machine had said."""
    was_by: str = ""
    """Which version had said it."""
    acts: tuple[Act, ...] = ()

    @property
    def ref(self) -> str:
        return self.post


class DraftSentence(Record):
    text: str
    sources: tuple[str, ...] = ()
    """Post ids of the evidence."""
    quote: str = ""
    """The words of the evidence that it rests on."""
    supported: bool = False
    """False = a fact without source: shown as 【待核实】 and blocks approval."""


class DraftState(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    APPROVED = "approved"
    PUBLISHED = "published"


class Draft(StateRecord):
    """A reply being written. Approval names the SHA-256 of text, target and account."""

    kind: ClassVar[str] = "draft"
    case: str
    target: str
    """Post id that is answered."""
    account: str
    state: DraftState = DraftState.DRAFT
    text: str
    sentences: tuple[DraftSentence, ...] = ()
    style_notes: tuple[str, ...] = ()
    written_by: str
    """`system:drafter` or the person who last edited."""
    submitted_by: str | None = None
    reviewed_by: str | None = None
    approved_digest: str | None = None
    created_at: UtcDatetime
    published_at: UtcDatetime | None = None
    acts: tuple[Act, ...] = ()

    @property
    def ref(self) -> str:
        return self.case
