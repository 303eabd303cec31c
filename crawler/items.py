"""What the spiders hand to the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.making import Make
    from crawler.rounds import Reading


@dataclass(eq=False)
class PageItem:
    """The objects of one page. Its text form shows none of them: Scrapy logs items on errors."""

    round: Reading
    objects: tuple[Mapping[str, Any], ...] = field(repr=False)
    read_at: datetime
    covers: tuple[int, int] | None = None
    """Numbers that are all stored once this page is."""
    answer: tuple[bytes, str] | None = field(default=None, repr=False)
    """The page as it came and the name of its list: another process reads it again in less time
    than it takes to hand its objects over."""
    posts: Make | None = field(default=None, repr=False)
    """Makes posts of an object; default: the reading's own way."""


@dataclass(eq=False)
class CountItem:
    """Counts of stored posts, read anew."""

    round: Reading
    counts: Mapping[str, Mapping[str, int | None]] = field(repr=False)
    """Post id -> reposts, comments, likes; None = not said."""
    read_at: datetime


@dataclass(eq=False)
class RoundEnd:
    """All pages of a round were asked for, or it failed (`round.error`)."""

    round: Reading


@dataclass(eq=False)
class Vanished:
    """Posts that the platform says are gone."""

    ids: tuple[str, ...]
    at: datetime
