"""What the spiders hand to the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crawler.payloads import PLATFORM, is_cut_short
from crawler.rounds import number_or_zero
from crawler.weibo_api import read_page

if TYPE_CHECKING:
    from crawler.making import Make
    from crawler.rounds import Reading


@dataclass(eq=False)
class PageItem:
    """The objects of one page. Its text form shows none of them: Scrapy logs items on errors."""

    round: Reading
    objects: tuple[Mapping[str, Any], ...] = field(repr=False)
    """Their heads only (`crawler.partial`) where there is an `answer`."""
    read_at: datetime
    covers: tuple[int, int] | None = None
    """Numbers that are all stored once this page is."""
    answer: tuple[bytes, str] | None = field(default=None, repr=False)
    """The page as it came and the name of its list: whoever makes the posts reads it."""
    posts: Make | None = field(default=None, repr=False)
    """Makes posts of an object; default: the reading's own way."""

    def cut_short(self) -> list[str]:
        """Ids of the posts that the list shows only the beginning of."""
        return [f"{PLATFORM}:{number_or_zero(one)}" for one in self.objects if is_cut_short(one)]

    def whole(self) -> Sequence[Mapping[str, Any]]:
        """The objects with all that came. Raises `CollectError` where the answer is broken."""
        if self.answer is None:
            return self.objects
        body, key = self.answer
        return read_page(body, 200, key, self.read_at).items


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
