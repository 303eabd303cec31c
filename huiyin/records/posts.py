"""Posts and what was understood of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from huiyin.records.base import Record, UtcDatetime

PERSON = "person"
"""`Category.by` where a reviewer set the category."""


class Kind(StrEnum):
    """What a post is on its platform."""

    POST = "post"
    COMMENT = "comment"
    REPOST = "repost"
    MESSAGE = "message"
    NOTICE = "notice"  # an official account's own post: evidence for replies


class AuthorKind(StrEnum):
    """Who speaks, as the platform verified it."""

    GOVERNMENT = "government"
    MEDIA = "media"
    ORGANISATION = "organisation"
    VERIFIED = "verified"
    ORDINARY = "ordinary"


class Author(Record):
    key: str | None = None
    """Keyed hash of platform and account number; None when the source did not say who wrote."""
    kind: AuthorKind = AuthorKind.ORDINARY
    region: str | None = None
    """As the platform shows it (IP territory or profile), in words."""
    name: str | None = None
    """Only for government, media and organisations; never for persons."""


class Metrics(Record):
    """Counts as the platform said them; None = it did not say (never 0)."""

    reposts: int | None = None
    comments: int | None = None
    likes: int | None = None
    read_at: UtcDatetime


class Media(Record):
    kind: str
    """picture or video"""
    url: str
    was_read: bool = False
    """False = nobody and no model has looked at its content; shown as such."""


class Origin(Record):
    """Which spider or importer brought the post, for which query, in which run."""

    spider: str
    query: str = ""
    run: str = ""


class Labelled(Record):
    label: str
    probabilities: Mapping[str, float]


class Category(Record):
    path: tuple[str, ...]
    """Main class first; empty = it belongs to none."""
    probabilities: Mapping[str, float]
    """Of the main classes (they add up to 1), and of each deeper level of the path, by the path

    so far: `城建/道路`.
    """
    by: str = ""
    """Version of the categories that decided, or `PERSON`."""


class Urgency(Record):
    score: float
    """0..1"""
    reasons: tuple[str, ...] = ()


class Place(Record):
    adcode: str
    name: str
    text: str
    """The words that gave it."""


class Analysis(Record):
    """What nlp understood of one text; owned by nlp."""

    model: str
    text_sha: str
    """`text_sha(title, text)` of the text that was read."""
    sentiment: Labelled
    emotion: Labelled
    intent: Labelled
    category: Category
    needs_answer: float
    """Probability that the post wants an answer from the office."""
    urgency: Urgency
    places: tuple[Place, ...] = ()
    vector: bytes = Field(default=b"", repr=False)
    """Unit sentence vector, little-endian float16; compared only with vectors of the same model."""
    language: str | None = None
    """Of the text, as in BCP 47: zh-Hans, zh-Hant, en, bo, ug, ...; None = nothing tells it."""
    duplicate_of: str | None = None
    """Id of an earlier post with the same words, None if this is the first."""


def text_sha(title: str | None, text: str) -> str:
    """First 16 hex digits of SHA-256 over title and text; says whether an analysis is current."""
    return hashlib.sha256(f"{title or ''}\n{text}".encode()).hexdigest()[:16]


class Post(Record):
    """One thing that somebody said, or an official account's own post."""

    id: str
    """`platform:native_id`"""
    kind: Kind = Kind.POST
    text: str
    """Masked: ordinary people's @names, phone and ID numbers are never stored."""
    title: str | None = None
    url: str | None = None
    """In the form without the author's number."""
    created_at: UtcDatetime
    """Never changes after first sight: it decides where the post lies."""
    collected_at: UtcDatetime
    """First sight."""
    read_at: UtcDatetime
    """When this text was read; an older reading never replaces a newer one."""
    edited_at: UtcDatetime | None = None
    """Its author's last known change: the time the platform says, else the last reading that showed
    other words than the newest. None = not known to have been changed."""
    author: Author = Author()
    offices: tuple[str, ...] = ()
    """Official account ids that the post belongs to: all it mentions, and the one served."""
    mentions: tuple[str, ...] = ()
    parent: str | None = None
    """Post id that this one answers or reposts."""
    root: str | None = None
    """Post id at the start of the thread or repost chain."""
    metrics: Metrics | None = None
    region: str | None = None
    """adcode"""
    media: tuple[Media, ...] = ()
    source: Origin
    deleted_at: UtcDatetime | None = None
    """The platform no longer shows it; text, title and analysis are erased and stay so."""
    analysis: Analysis | None = None
    """Owned by nlp."""
    incident: str | None = None
    """Owned by incidents: None = not looked at yet, "" = stays alone, else an incident id."""

    @property
    def platform(self) -> str:
        """Part of the id before the colon."""
        return self.id.partition(":")[0]
