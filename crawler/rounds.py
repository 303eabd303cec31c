"""One reading of one source: which pages to ask for, and what has been covered in the end.

What is stored is kept as ranges of native numbers: everything up to the cursor, and ranges above it
(`Source.ahead`). A reading goes through the holes between them, the newest first, so that a kill
after page 300 of 500 loses one page of work and the cursor never passes what was not stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.values import weibo_id_time
from crawler.weibo_api import PAGE_CUT_OFF, Endpoint, Page, id_of_time, item_number
from huiyin.clock import monotonic
from huiyin.errors import CollectError, LayoutChanged
from huiyin.records import Gap, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.build import Builder
    from huiyin.records import Post

MAX_PAGES = 25
"""Pages of one round; the rest is read in the next one, which follows at once."""
ROUND_SECONDS = 10.0
"""A round that was quicker goes on, for at its end all waits for the disk."""
EXTRA_PAGES = 2
"""Pages read again beyond the cursor to refresh counts."""
REREAD = timedelta(hours=24)
"""How far back posts are read again for their counts, edits and deletions."""
Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Hole:
    """Numbers above `above` up to `upto` (0 = the newest) that are not stored yet."""

    above: int
    upto: int = 0
    extra: Mapping[str, str] = field(default_factory=dict)
    """More parameters of the query: a list of its own, which moves no cursor."""


def holes_of(cursor: int, ahead: Ranges) -> list[Hole]:
    """What is still to be read, the newest first."""
    edges = [(0, cursor), *ahead]
    upper = [0, *(first - 1 for first, _ in reversed(ahead))]
    return [Hole(last, upto) for (_, last), upto in zip(reversed(edges), upper, strict=True)]


def joined(cursor: int, ranges: Iterable[tuple[int, int]]) -> tuple[int, Ranges]:
    """The cursor and the ranges above it, with what touches made one."""
    ahead: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if first <= cursor + 1:
            cursor = max(cursor, last)
        elif ahead and first <= ahead[-1][1] + 1:
            ahead[-1] = (ahead[-1][0], max(ahead[-1][1], last))
        else:
            ahead.append((first, last))
    while ahead and ahead[0][0] <= cursor + 1:
        cursor = max(cursor, ahead.pop(0)[1])
    return cursor, tuple(ahead)


@dataclass(eq=False)
class Reading:
    """A reading of a source as the pipeline sees it: pages to be stored, then an end."""

    source: Source
    started: datetime
    pages: int = 0
    """Pages handed to the pipeline."""
    read: int = 0
    stored: int = 0
    """Pages that are on disk."""
    fresh: int = 0
    """New posts."""
    error: CollectError | None = None
    backlog: bool = False
    """There is more to read at once."""
    truncated: bool = False
    """The platform showed no more before what is stored."""
    missed: int | None = None
    """About so many were there and not shown."""
    gaps: list[Gap] = field(default_factory=list)
    """Times that could not be read although the reading went well."""
    answer_seconds: float | None = None
    """How long an answer takes, smoothed over the readings."""
    done: list[tuple[int, int]] = field(default_factory=list, repr=False)
    """Ranges that are on disk."""
    idle: bool = False
    """Nothing was to be asked, so nothing is known of how the source is."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    plain: ClassVar[bool] = False
    """`posts` is `payloads.posts_of` and nothing else, so another process can make them."""

    @property
    def query(self) -> str:
        """What the posts' origin says was asked."""
        return ""

    @property
    def is_late(self) -> bool:
        """A first reading, or one that was broken off: it may take many pages."""
        return self.plain and bool(not self.source.cursor or self.source.ahead)

    @property
    def at_once(self) -> bool:
        """The next reading follows at once."""
        return self.backlog

    def answered(self, seconds: float) -> None:
        """An answer took so long."""
        before = self.answer_seconds
        self.answer_seconds = seconds if before is None else 0.8 * before + 0.2 * seconds

    def posts(self, item: Any, build: Builder) -> Iterator[Post]:
        """The posts of one object of a page; `ValueError` for what cannot be read."""
        raise NotImplementedError

    def oldest_time(self) -> datetime:
        """When the oldest item was made that this reading saw."""
        return self.started

    def page_stored(self, fresh: int, covers: tuple[int, int] | None = None) -> None:
        """The pipeline says that one more page is on disk."""
        self.stored += 1
        self.fresh += fresh
        if covers is not None and self.error is None:
            self.done.append(covers)
        self._changed.set()

    def page_lost(self, error: CollectError) -> None:
        """The pipeline could not store a page: the cursor must not move."""
        self.error = self.error or error
        self.page_stored(0)

    async def all_stored(self) -> None:
        """Wait until every page of the round was stored or lost."""
        while self.stored < self.pages:
            self._changed.clear()
            await self._changed.wait()

    @property
    def cursor(self) -> int:
        """Newest number below which everything was stored before this round."""
        return int(self.source.cursor or 0)


@dataclass(eq=False)
class Round(Reading):
    """Pages of a Weibo list, through its holes. `reread` = also read the last day again."""

    plain: ClassVar[bool] = True
    endpoint: Endpoint = field(kw_only=True)
    reread: bool = False
    limit: int = MAX_PAGES
    least_seconds: float = 0.0
    """So long the limit does not end it."""
    extra_pages: int = EXTRA_PAGES
    holes: Sequence[Hole] = ()
    newest: int = 0
    lowest: int = 0
    seen: set[int] = field(default_factory=set, repr=False)
    empty: int = 0
    """A stored post that should stand where the platform gave an empty page."""
    asked_whole: bool = False
    """A text that a list cut short was asked for whole."""
    _hole: int = 0
    _max_id: int = 0
    _page: int = 1
    _in_hole: int = 0
    """Pages of this hole."""
    _lowest_here: int = 0
    _newest_here: int = 0
    _met: bool = False
    """A stored post was seen at the lower edge of the hole: nothing was left out above it."""
    _asked_on: bool = False
    _began: float = field(default_factory=monotonic, repr=False)

    def __post_init__(self) -> None:
        if not self.holes:
            self.holes = holes_of(self.cursor, self.source.ahead)
        self._enter(0)

    @property
    def query(self) -> str:
        """Name of the list."""
        return self.endpoint.name

    @property
    def hole(self) -> Hole:
        """What is being read now."""
        return self.holes[self._hole]

    @property
    def since(self) -> int:
        """since_id (exclusive). One less than what is stored, so that the last stored post comes

        along: it proves that the platform left nothing out in between.
        """
        since = max(0, self.hole.above - 1)
        if not self._rereads:
            return since
        return min(since, id_of_time(self.started - REREAD))

    @property
    def _rereads(self) -> bool:
        top = not self.hole.upto and not self.hole.extra
        return self.reread and top and self.endpoint.name != "messages"

    def parameters(self) -> dict[str, str]:
        """Query of the next page."""
        query = {"count": str(self.endpoint.count_for(self.source)), **self.hole.extra}
        if self.endpoint.key == "statuses":
            query["isGetLongText"] = "1"
        if of := self.source.parameters.get("of"):
            query["uid"] = of
        if words := self.source.parameters.get("q"):
            query["q"] = words
        if self.endpoint.paging == "page":
            return query | {"page": str(self._page)}
        if self.since:
            query["since_id"] = str(self.since)
        if self._max_id:
            query["max_id"] = str(self._max_id)
        return query

    def take(self, page: Page) -> tuple[bool, tuple[int, int] | None]:
        """Count a page in. Returns whether another one is to be asked for, and the range of

        numbers that is covered once this page is on disk.
        """
        self.pages += 1
        self._in_hole += 1
        numbers = [number for item in page.items if (number := number_or_zero(item))]
        self.read += len(numbers)
        self.seen.update(numbers)
        if numbers:
            self.newest = max(self.newest, *numbers)
            self.lowest = min(self.lowest or numbers[0], *numbers)
            self._newest_here = max(self._newest_here, *numbers)
            self._lowest_here = min(self._lowest_here or numbers[0], *numbers)
            self._met = self._met or self._lowest_here <= self.hole.above
        if self._in_hole == 1 and not page.items and not page.next_cursor:
            self.empty = self.empty or self.hole.above
        if self.endpoint.paging == "page":
            return self._take_numbered(numbers)
        upto = self._max_id or self._newest_here
        following = self._following(page, numbers)
        if following > self.hole.above:
            self._max_id = following
            return self._goes_on(), self._covers(following + 1, upto)
        self._met = self._met or following > 0  # the next one would be a stored one
        covers = self._covers(self.hole.above + 1, upto)
        if following > self.since and self._rereads and self._in_hole < self.extra_pages:
            self._max_id = following
            return True, covers
        self._end_of_list()
        return self._next_hole(), covers

    def _following(self, page: Page, numbers: list[int]) -> int:
        following = page.next_cursor
        if following is None or (following == 0 and self._is_doubtful(numbers)):
            following = min(numbers) - 1 if numbers else 0
        if self._max_id and following >= self._max_id:
            following = min(numbers) - 1 if numbers else 0
            if following >= self._max_id:
                self.error = LayoutChanged("平台一再给同一页", "请把日志报告给开发者")
                return 0
        return following

    def _is_doubtful(self, numbers: list[int]) -> bool:
        """The list says that it ends, but no stored post was met and the page was not short."""
        if self._met or not self.hole.above or self._asked_on or self._in_hole == 1:
            return False
        self._asked_on = True
        return bool(numbers)

    def _covers(self, first: int, last: int) -> tuple[int, int] | None:
        if self.hole.extra or last < first:
            return None
        return first, last

    def _goes_on(self) -> bool:
        self.backlog = self._is_long()
        return not self.backlog

    def _is_long(self) -> bool:
        return self.pages >= self.limit and monotonic() - self._began >= self.least_seconds

    def _end_of_list(self) -> None:
        """Was the end of the list its true end, or did the platform cut it off?"""
        above, cap = self.hole.above, self.endpoint.cap
        if not above or self._met or not self._lowest_here:
            return
        full = self._in_hole > 1 or len(self.seen) >= self.endpoint.count_for(self.source)
        if full or (cap and self.read >= cap):
            self._cut_off(above)

    def _cut_off(self, above: int) -> None:
        self.truncated = True
        span, behind = self._newest_here - self._lowest_here, self._lowest_here - above
        if span > 0:  # as dense there as in what was read
            self.missed = round(self.read * behind / span)

    def _next_hole(self) -> bool:
        if self._hole + 1 >= len(self.holes):
            return False
        if self._is_long():
            self.backlog = True
            return False
        self._enter(self._hole + 1)
        return True

    def _enter(self, hole: int) -> None:
        self._hole, self._max_id = hole, self.holes[hole].upto
        self._in_hole = self._lowest_here = self._newest_here = 0
        self._page, self._met, self._asked_on = 1, False, False

    def _take_numbered(self, numbers: list[int]) -> tuple[bool, tuple[int, int] | None]:
        """Lists by page number: nothing can be resumed, so a range counts only at the end."""
        above = self.holes[-1].above
        ends = not numbers or self._lowest_here <= above
        if not ends and self._page < PAGE_CUT_OFF:
            self._page += 1
            return True, None
        if not ends and above:
            self._cut_off(above)
        return False, self._covers(above + 1, self._newest_here)

    def oldest_time(self) -> datetime:
        """When the oldest item was made that this round saw."""
        return weibo_id_time(str(self.lowest)) or self.started if self.lowest else self.started

    def posts(self, item: Any, build: Builder, under: str | None = None) -> Iterator[Post]:
        """The posts of one object. `under`: number of the post whose comments are read."""
        from crawler.payloads import comment_posts, posts_of

        if under and self.endpoint.key == "comments" and "status" not in item:
            return comment_posts(item, build, under={"idstr": under})
        return posts_of(item, build)

    def settled(self) -> tuple[int, Ranges]:
        """Cursor and ranges above it with what is on disk by now."""
        return joined(self.cursor, (*self.source.ahead, *self.done))


def number_or_zero(item: object) -> int:
    """The number of an object, 0 where there is none (the pipeline reports it)."""
    try:
        return item_number(item)  # type: ignore[arg-type]
    except (ValueError, TypeError, AttributeError):
        return 0
