"""Weibo's commercial search: words and places are watched, not only mentions.

A window of time whose result is cut off is split: a day into hours, an hour into regions. What is
still cut off then is read as far as it goes, and the rest is told with its number. A source with a
watch list asks for each of its `queries` (the interface knows no OR) and keeps what the list
catches; a time is covered when every question about it was answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import scrapy
from scrapy.http import Response

from archive.base import Filters, SearchRequest
from crawler.items import PageItem, RoundEnd
from crawler.rounds import MAX_PAGES, Reading, holes_of
from crawler.sources import EVERYTHING, SEARCH
from crawler.spiders.base import PollingSpider, end
from crawler.watch_list import WatchList, list_of
from crawler.weibo_api import PAGE_CUT_OFF, Page, read_page
from huiyin.errors import CollectError, SourceBlocked
from huiyin.records import Gap, Source

if TYPE_CHECKING:
    from crawler.build import Builder
    from huiyin.records import Post

PATH = "/2/search/statuses/limited.json"
COUNT = 50
DAY, HOUR = 86_400, 3_600
LATE_SECONDS = 600
"""The search finds a post some minutes after it was made: that long is read again."""
PROVINCES = (11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50,
             51, 52, 53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 100, 400)  # fmt: skip
"""Weibo's own numbers of provinces; 100 = elsewhere in China, 400 = abroad."""


_ANCHORS, _ANCHORS_SINCE = 200, timedelta(days=7)
"""Of so many stored posts those found by this search prove that it still answers."""

_PROVEN_FOR = timedelta(seconds=LATE_SECONDS)
"""So long nothing is asked to prove that nothing is new: that long is read again anyway."""


@dataclass(eq=False)
class Window:
    """Posts made in [start, end), in seconds since 1970; of one province, or of all; asked for by

    `query`.
    """

    start: int
    end: int
    province: int = 0
    parent: Window | None = None
    open_parts: int = 0
    """Parts that are not read yet."""
    query: str = ""
    whole: bool = True
    """Its time is covered once it is read; False for one of several questions about a time."""


@dataclass(eq=False)
class Search(Reading):
    """A reading of a search. Its numbers are seconds since 1970."""

    provinces: tuple[int, ...] = PROVINCES
    watch: WatchList | None = None
    limit: int = MAX_PAGES
    windows: list[Window] = field(default_factory=list)
    """To be read, the last one first."""
    held: list[tuple[int, int]] = field(default_factory=list)
    """Seconds in which nothing was found, as long as that may be no answer."""
    page: int = 1
    read_here: int = 0

    @property
    def query(self) -> str:
        """What posts tell that they were found by."""
        said = self.source.parameters
        return said.get("q") or f"watch:{said.get('watch', '')}"

    @property
    def window(self) -> Window:
        """The window being read."""
        return self.windows[-1]

    def plan(self, days: float) -> None:
        """Windows of a day at most for all that is not stored; first of all the newest."""
        now = int(self.started.timestamp())
        earliest = self.cursor or now - int(days * DAY)
        if not self.cursor:
            self.done.append((1, earliest))  # nobody watched before
        for hole in reversed(holes_of(earliest, self.source.ahead)):
            # a range ends before its last number: [start, end) is what a window asks for
            start, stop = hole.above, hole.upto + 1 if hole.upto else now
            while start < stop:
                self._plan_one(Window(start, min(start + DAY, stop)))
                start += DAY

    def _plan_one(self, window: Window) -> None:
        queries = self.watch.queries if self.watch is not None else ()
        if self.source.parameters.get("q") or not queries:
            self.windows.append(replace(window, query=self.source.parameters.get("q", "")))
            return
        window.open_parts = len(queries)
        self.windows += [
            replace(window, query=query, parent=window, whole=False, open_parts=0)
            for query in reversed(queries)
        ]

    def believed(self, covers: tuple[int, int] | None) -> tuple[int, int] | None:
        """What counts as covered at once: nothing as long as nothing was found."""
        if not self.read and covers is not None:
            self.held.append(covers)
            return None
        return covers

    def believe(self) -> None:
        """Nothing was there indeed."""
        if self.error is None:
            self.done += self.held
        self.held.clear()

    def known_of(self, posts: Sequence[Post]) -> tuple[str, int]:
        """A question that should bring two of these posts at least, and since when; 0 = none."""
        best: tuple[str, int] = "", 0
        most = 1
        asked = [self.source.parameters.get("q", "")]
        if self.watch is not None and not asked[0]:
            asked = list(self.watch.queries)
        for query in asked:
            words = query.split() if self.watch is not None else []
            times = [int(one.created_at.timestamp()) for one in posts
                     if all(word in one.text for word in words)]  # fmt: skip
            if len(times) > most:
                best, most = (query, min(times)), len(times)
        return best

    def parameters(self) -> dict[str, str]:
        """Query of the next page."""
        return self.parameters_of(self.window, self.page)

    def parameters_of(self, window: Window, page: int) -> dict[str, str]:
        """Query of a page of a window."""
        said = self.source.parameters
        query = {
            "q": window.query, "starttime": str(window.start), "endtime": str(window.end),
            "sort": "time", "count": str(COUNT), "page": str(page),
        }  # fmt: skip
        if window.province:
            query["province"] = str(window.province)
        elif said.get("province"):
            query["province"] = said["province"]
        return query

    def take(self, page: Page) -> tuple[bool, tuple[int, int] | None]:
        """Count a page in: whether another is to be asked for, and the seconds now covered."""
        self.pages += 1
        self.read += len(page.items)
        self.read_here += len(page.items)
        window, most = self.window, PAGE_CUT_OFF * COUNT
        known_cut = page.total is not None and page.total > most
        at_end = self.page >= PAGE_CUT_OFF and len(page.items) >= COUNT
        if (known_cut or at_end) and self._split(window):
            return self._next(), None
        ends = not page.items or (page.total is not None and self.read_here >= page.total)
        if not ends and self.page < PAGE_CUT_OFF:
            self.page += 1
            self.backlog = False
            return True, None
        if known_cut or at_end:
            self._cut_off(window, None if page.total is None else page.total - self.read_here)
        self.windows.pop()
        covers = self._closed(window)
        return self._next(), covers

    def _split(self, window: Window) -> bool:
        """Finer windows in place of this one; False when it is as fine as it gets."""
        if window.end - window.start > HOUR:
            first = window.start - window.start % HOUR
            edges = [window.start, *range(first + HOUR, window.end, HOUR), window.end]
            parts = [replace(window, start=a, end=b, parent=window) for a, b in pairwise(edges)]
        elif not window.province and not self.source.parameters.get("province"):
            parts = [replace(window, province=one, parent=window, whole=False)
                     for one in self.provinces]  # fmt: skip
        else:
            return False
        window.open_parts = len(parts)
        self.windows.pop()
        self.windows += parts
        return True

    def _closed(self, window: Window) -> tuple[int, int] | None:
        """The seconds that are covered with this window, or with the one it is the last part of."""
        while not window.whole and window.parent is not None:
            window = window.parent
            window.open_parts -= 1
            if window.open_parts:
                return None
        last = min(window.end, int(self.started.timestamp()) - LATE_SECONDS)
        return (window.start, last) if last > window.start else None

    def _cut_off(self, window: Window, missed: int | None) -> None:
        asked = f"“{window.query}”" if self.watch is not None else ""
        reason = f"{asked}这一段内容太多，按小时、按地区分开后平台仍给不全"
        if missed:
            reason += f"，约 {missed} 条没有读到"
        self.gaps.append(
            Gap(starts_at=_time(window.start), ends_at=_time(window.end), reason=reason,
                state="cut_off", missed=missed)
        )  # fmt: skip

    def _next(self) -> bool:
        self.page, self.read_here = 1, 0
        if not self.windows:
            return False
        # The parts of an hour are read to the end: only the whole hour counts as covered.
        if self.pages >= self.limit and self.window.whole:
            self.backlog = True
            return False
        return True

    def oldest_time(self) -> datetime:
        """Where the oldest window begins that was read."""
        first = min((first for first, _ in self.done), default=self.cursor)
        return _time(first) if first else self.started

    def posts(self, item: Any, build: Builder) -> Iterator[Post]:
        """The posts of one object, unless it holds one of the excluded words or is not watched

        for.
        """
        from crawler.payloads import posts_of

        words = self.source.parameters.get("exclude", "").split()
        text = words_of(item)
        if any(word in text for word in words):
            return
        if self.watch is None or self.watch.caught_by(text):
            yield from posts_of(item, build)


def words_of(item: Any) -> str:
    """The text of a post or comment and of the original in a repost, as lists judge them."""
    long = item.get("longText")
    said = [item.get("text"), long.get("longTextContent") if isinstance(long, Mapping) else None]
    if isinstance(inner := item.get("retweeted_status"), Mapping):
        said.append(words_of(inner))
    return "\n".join(one for one in said if isinstance(one, str))


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class WeiboSearch(PollingSpider):
    """Reads each watched search window by window."""

    name = SEARCH

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._proven: dict[str, datetime] = {}
        """Source -> when it last found what is stored."""

    def begin(self, source: Source, now: datetime) -> Search:
        """A reading of what is not stored yet; a new search begins some days back."""
        said = source.parameters.get("provinces", "")
        provinces = tuple(int(one) for one in said.split() if one.isdigit()) or PROVINCES
        one = Search(source, now, provinces=provinces)
        try:
            one.watch = list_of(source.parameters, self.job.watch_lists)
        except CollectError as error:
            one.error = error
            return one
        try:
            days = float(source.parameters.get("since_days", "1"))
        except ValueError:
            days = 1.0
        one.plan(max(timedelta(minutes=1) / timedelta(days=1), days))
        return one

    def next_request(self, one: Reading) -> Iterator[Any]:
        """The next page; just after the last reading there may be nothing to ask."""
        if one.error is not None:
            yield end(one, one.error)
            return
        if isinstance(one, Search) and not one.windows:
            yield from self.goes_on(one, False)
            return
        yield from super().next_request(one)

    def request_of(self, one: Search) -> scrapy.Request:
        """The request of the next page."""
        return self.request(PATH, one.parameters(), one.source, self.page, {"one": one})

    def page(self, response: Response, one: Search) -> Iterator[Any]:
        """A page of results."""
        now = self.job.clock()
        one.answered(float(response.meta.get("answer_seconds", 0.0)))
        try:
            page = read_page(response.body, response.status, "statuses", now)
        except CollectError as error:
            yield from self.refused(response, one, error)
            return
        if one.error is not None:
            yield from self.goes_on(one, False)
            return
        more, covers = one.take(page)
        yield PageItem(one, page.items, now, one.believed(covers))
        if more:
            one.idle = not one.read and self.job.stopping()  # proves nothing
            yield from self.goes_on(one, more)
        else:
            yield self._anchor_request(one) or self._believed(one)

    # ------------------------------------------------------------ nothing found: true or not?

    def _anchor_request(self, one: Search) -> scrapy.Request | None:
        """The same question about a time of which posts are stored, after a reading of none."""
        proven = self._proven.get(one.source.id, one.started - _PROVEN_FOR)
        lately = one.source.state == "ok" and one.started - proven < _PROVEN_FOR
        if one.read or lately:
            return None
        query, since = one.known_of(self.ask(lambda: self._stored(one), []))
        if not since:
            return None
        asked = one.parameters_of(Window(since, int(one.started.timestamp()), query=query), 1)
        return self.request(PATH, asked, one.source, self.anchor, {"one": one})

    def _stored(self, one: Search) -> list[Post]:
        offices = (one.source.account,) if one.source.account else ()
        filters = Filters(since=one.started - _ANCHORS_SINCE, platforms=("weibo",), offices=offices)
        found = self.job.archive.search(SearchRequest(filters=filters, limit=_ANCHORS), EVERYTHING)
        return [hit.post for hit in found.hits if hit.post.source.query == one.query]

    def anchor(self, response: Response, one: Search) -> Iterator[Any]:
        """Judge a reading that found nothing by whether what is stored is found."""
        try:
            page = read_page(response.body, response.status, "statuses", self.job.clock())
        except CollectError as error:
            yield from self.refused(response, one, error)
            return
        if page.items:
            self._proven[one.source.id] = one.started
            yield self._believed(one)
            return
        yield end(
            one,
            SourceBlocked(
                "平台只给空页，而我们知道那里有帖子", "在平台控制台查看应用和网络出口是否受限"
            ),
        )

    def _believed(self, one: Search) -> RoundEnd:
        one.believe()
        return RoundEnd(one)
