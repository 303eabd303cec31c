"""Weibo's official interface: what official accounts are told. One long-lived spider polls it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import scrapy
from scrapy.http import Response

from archive.base import Filters
from crawler.budget import RESERVE, SMALL, purse_of
from crawler.items import CountItem, PageItem, Vanished
from crawler.partial import read_heads
from crawler.payloads import is_cut_short
from crawler.refreshing import (
    COUNTS,
    Counted,
    Recount,
    Told,
    Watched,
    batch_path,
    call_of,
    calls_of,
    read_counts,
)
from crawler.rounds import EXTRA_PAGES, ROUND_SECONDS, Hole, Reading, Round, number_or_zero
from crawler.sources import EVERYTHING, SPIDER
from crawler.spiders.base import PollingSpider
from crawler.values import weibo_id_time
from crawler.weibo_api import (
    ENDPOINTS,
    GONE_CODES,
    SHOW_PATH,
    Page,
    error_code,
    is_no_answer,
    read_answer,
)
from huiyin.errors import CollectError, SourceBlocked
from huiyin.records import Kind, Source

_REREAD_EVERY = timedelta(minutes=10)
_LONG_A_PAGE = 5
"""Long texts asked for whole after a page; each costs a call."""
_VAIN = 10
"""Answers in a row without the whole text after which only one a round is asked for: not every
application is given them."""
_THREADS_A_ROUND = 5
"""Own posts whose comments are read in one round."""
_THREADS_SINCE = timedelta(days=7)
_CHECKED_A_CALL = 10
"""Posts asked for by themselves because counts were asked for and did not come."""
_GONE_FOR = timedelta(hours=1)
"""So long it is believed that an empty list is right."""
_ANCHORS, _ANCHOR_DAYS = 9, (1, 30)
"""Stored comments, of so many days before, asked for beside the one that a list left out."""


class WeiboOfficial(PollingSpider):
    """Mentions, comments, own posts, topics and private messages of accounts that have a token.

    Pages run from the newest down through what is not stored yet (`crawler.rounds`).
    """

    name = SPIDER

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reread: dict[str, datetime] = {}
        self._watched: dict[str, Watched] = {}
        self._vain: Counter[str] = Counter()
        """Source -> answers in a row that did not bring the whole text."""
        self._gone: dict[str, tuple[int, datetime]] = {}
        """Source -> a stored post that the platform said is gone, so that its absence is right."""

    def begin(self, source: Source, now: datetime) -> Reading:
        """A reading through the holes; every ten minutes the last day comes along."""
        endpoint = ENDPOINTS[source.parameters["endpoint"]]
        if endpoint.name == COUNTS:
            return Recount(source, now)
        last = self._reread.get(source.id)
        pause = min(_REREAD_EVERY, timedelta(seconds=20 * source.every_seconds))
        reread = last is None or now - last >= pause
        if reread:
            self._reread[source.id] = now
        holes = self._threads(source, now) if endpoint.name == "comments_show" else ()
        quota = self.job.budget.quota(purse_of(source), now)
        # Pages only for newer counts are for those who have calls to spare.
        extra = 1 if quota is not None and quota.limit <= SMALL else EXTRA_PAGES
        return Round(
            source, now, endpoint=endpoint, reread=reread, holes=holes, extra_pages=extra,
            least_seconds=ROUND_SECONDS,
        )  # fmt: skip

    def _threads(self, source: Source, now: datetime) -> tuple[Hole, ...]:
        """Own posts whose comments grew beyond what is stored, the hungriest first."""
        return self.ask(lambda: self._hungry(source, now), ())  # type: ignore[no-any-return]

    def _hungry(self, source: Source, now: datetime) -> tuple[Hole, ...]:
        archive = self.job.archive
        filters = Filters(since=now - _THREADS_SINCE, kinds=(Kind.NOTICE,),
                          offices=(source.account,))  # fmt: skip
        wanting: list[tuple[int, Hole]] = []
        for post in archive.iter_posts(EVERYTHING, filters):
            told = post.metrics.comments if post.metrics else None
            if not told or post.platform != "weibo" or post.deleted_at is not None:
                continue
            known = [int(one.id.partition(":")[2]) for one in archive.thread(post.id, EVERYTHING)
                     if one.kind is Kind.COMMENT]  # fmt: skip
            if told > len(known):
                number = post.id.partition(":")[2]
                hole = Hole(max(known, default=0), extra={"id": number})
                wanting.append((told - len(known), hole))
        wanting.sort(key=lambda one: -one[0])
        return tuple(hole for _, hole in wanting[:_THREADS_A_ROUND])

    def next_request(self, one: Reading) -> Iterator[Any]:
        """The next page; a source of threads may have none to read."""
        if (
            isinstance(one, Round)
            and one.endpoint.name == "comments_show"
            and not one.holes[0].extra
        ):
            one.idle = True
        yield from super().next_request(one)

    def request_of(self, one: Reading) -> scrapy.Request:
        """The request of the next page, or of counts."""
        if isinstance(one, Recount):
            path, query = call_of(one)
            return self.request(path, query, one.source, self.counted, {"one": one})
        assert isinstance(one, Round)  # noqa: S101 - there is no third kind
        path = one.endpoint.path_for(one.source)
        return self.request(path, one.parameters(), one.source, self.page, {"one": one})

    def page(self, response: Response, one: Round) -> Iterator[Any]:
        """A page of a list: hand it to the pipeline, ask for the next or end the round."""
        now = self.job.clock()
        one.answered(float(response.meta.get("answer_seconds", 0.0)))
        try:
            page = read_heads(response.body, response.status, one.endpoint.key, now)
        except CollectError as error:
            yield from self.refused(response, one, error)
            return
        if one.error is not None:  # a page could not be stored: reading on would only be lost
            yield from self.goes_on(one, False)
            return
        under = one.hole.extra.get("id")
        more, covers = one.take(page)
        doubtful = bool(one.empty) and not self._is_known_empty(one)
        make = partial(one.posts, under=under) if under else None
        answer = (response.body, one.endpoint.key)
        yield PageItem(one, page.items, now, None if doubtful else covers, answer, make)
        if not self.job.stopping():
            yield from self._long_texts(one, page)
        if more or self.job.stopping():
            # what cannot be judged any more closes no gap
            one.idle = doubtful and self.job.stopping()
            yield from self.goes_on(one, more)
        elif doubtful:
            yield self._anchor_request(one)
        else:
            yield from self._check_vanished(one)
            yield from self.goes_on(one, False)

    # ------------------------------------------------------------ an empty page: true or not?

    def _is_known_empty(self, one: Round) -> bool:
        """The platform said lately, post by post, that what should stand there is gone."""
        number, at = self._gone.get(one.source.id, (0, one.started))
        return number == one.empty and one.started - at < _GONE_FOR

    def _anchor_request(self, one: Round) -> scrapy.Request:
        """Does the stored item still exist? Then an empty page was no answer."""
        asked = [one.empty]
        path, query = SHOW_PATH, {"id": str(one.empty)}
        if one.endpoint.key == "comments":
            asked += self.ask(lambda: self._other_comments(one), [])
            path, query = batch_path(one.source), {"cids": ",".join(map(str, asked))}
        return self.request(
            path, query, one.source, self.anchor, {"one": one, "asked": tuple(asked)}
        )

    def _other_comments(self, one: Round) -> list[int]:
        """More stored comments: an answer to a batch leaves out what was deleted."""
        last = weibo_id_time(str(one.empty)) or one.started
        found: list[int] = []
        for days in _ANCHOR_DAYS:
            filters = Filters(since=last - timedelta(days=days), kinds=(Kind.COMMENT,),
                              offices=(one.source.account,))  # fmt: skip
            posts = self.job.archive.iter_posts(EVERYTHING, filters)
            numbers = (int(post.id.partition(":")[2]) for post in posts
                       if post.platform == "weibo" and post.deleted_at is None)  # fmt: skip
            found = list(deque((other for other in numbers if other != one.empty), _ANCHORS))
            if found:
                break
        return found

    def anchor(self, response: Response, one: Round, asked: tuple[int, ...]) -> Iterator[Any]:
        """Judge an empty page by whether what it should hold exists; no answer proves nothing."""
        now, number = self.job.clock(), asked[0]
        try:
            answer = read_answer(response.body, response.status, now)
        except CollectError as error:
            if error_code(response.body) not in GONE_CODES:
                yield from self.refused(response, one, error)
                return
            if one.endpoint.key == "statuses":
                yield Vanished((f"weibo:{number}",), now)
            self._gone[one.source.id] = number, now
        else:
            if is_no_answer(answer, one.endpoint.key, asked):
                one.error = SourceBlocked(
                    "平台只给空页，而我们知道那里有帖子", "在平台控制台查看应用和网络出口是否受限"
                )
            else:
                self._gone[one.source.id] = number, now
        yield from self.goes_on(one, False)

    # ------------------------------------------------------------ long texts

    def _long_texts(self, one: Round, page: Page) -> Iterator[scrapy.Request]:
        """Ask for posts whose text the list cut short."""
        if one.endpoint.key != "statuses":
            return
        wanted = [item for item in page.items if is_cut_short(item)
                  and number_or_zero(item) > one.cursor][:_LONG_A_PAGE]  # fmt: skip
        if self._vain[one.source.id] >= _VAIN:
            wanted = [] if one.asked_whole else wanted[:1]
        for item in wanted:
            if self._can_afford(one.source):
                one.pages += 1
                one.asked_whole = True
                query = {"id": str(number_or_zero(item)), "isGetLongText": "1"}
                yield self.request(
                    SHOW_PATH, query, one.source, self.whole, {"part_of": one},
                    errback=partial(self._no_whole, one),
                )  # fmt: skip

    def whole(self, response: Response, part_of: Round) -> Iterator[PageItem]:
        """The whole of a post; where the platform does not give it, what there is stays."""
        now = self.job.clock()
        try:
            answer = read_answer(response.body, response.status, now)
        except CollectError:
            answer = None
        items: tuple[Any, ...] = ()
        if isinstance(answer, dict) and number_or_zero(answer):
            items = (answer,)
        if any(not is_cut_short(one) for one in items):
            self._vain[part_of.source.id] = 0
        else:
            self._vain[part_of.source.id] += 1
        yield PageItem(part_of, items, now)

    def _no_whole(self, one: Reading, _failure: Any) -> None:
        one.page_stored(0)

    def _can_afford(self, source: Source) -> bool:
        try:
            self.job.budget.check(purse_of(source), self.job.clock(), RESERVE)
        except CollectError:
            return False
        return True

    # ------------------------------------------------------------ counts of stored posts

    def preparation(self, one: Reading) -> Callable[[], None] | None:
        """Counts are asked of those posts of which most has to be expected."""
        if not isinstance(one, Recount):
            return None
        watched = self._watched.setdefault(one.source.id, Watched(self.job.archive, one.source))
        quota = self.job.budget.quota(purse_of(one.source), one.started)
        rich = quota is None or quota.limit > SMALL

        def pick() -> None:
            one.wanted = tuple(watched.pick(one.started, calls_of(one.source)))
            one.idle = not one.wanted
            one.more = rich and watched.left(one.started, one.wanted)
            watched.was_asked(one.wanted, one.started)

        return pick

    def counted(self, response: Response, one: Recount) -> Iterator[Any]:
        """Counts, or whole posts; what was asked for and is not among them is asked for by itself.

        An answer without any of them proves nothing: refused applications get empty ones.
        """
        now = self.job.clock()
        one.answered(float(response.meta.get("answer_seconds", 0.0)))
        try:
            answer = read_answer(response.body, response.status, now)
        except CollectError as error:
            if error_code(response.body) not in GONE_CODES:
                yield from self.refused(response, one, error)
                return
            answer = []
        told = read_counts(answer, one)
        if told.counts:
            one.pages += 1
            yield CountItem(one, told.counts, now)
        if told.objects:
            one.pages += 1
            yield PageItem(one, told.objects, now)
        if told.absent and not self.job.stopping():
            yield from self._check_absent(one, told)
        yield from self.goes_on(one, False)

    def _check_absent(self, one: Recount, told: Told) -> Iterator[scrapy.Request]:
        """Is a post that the answer leaves out gone, or only left out?"""
        if one.of_comments and not told.objects:
            return
        for missed in told.absent[:_CHECKED_A_CALL]:
            if not self._can_afford(one.source):
                return
            one.pages += 1
            path, query = SHOW_PATH, {"id": missed.number, "isGetLongText": "1"}
            if one.of_comments:
                path, query = batch_path(one.source), {"cids": missed.number}
            yield self.request(
                path, query, one.source, self.checked, {"part_of": one, "missed": missed},
                errback=partial(self._no_whole, one),
            )  # fmt: skip

    def checked(self, response: Response, part_of: Recount, missed: Counted) -> Iterator[Any]:
        """The platform's word about one post: gone, or here is its newest text."""
        now = self.job.clock()
        gone = error_code(response.body) in GONE_CODES
        items: tuple[Any, ...] = ()
        try:
            answer = read_answer(response.body, response.status, now)
            items = tuple(answer) if isinstance(answer, list) else (answer,)
            gone = gone or (missed.comment and not items)
        except CollectError:
            pass
        if gone:
            yield Vanished((missed.id,), now)
        yield PageItem(part_of, tuple(item for item in items if number_or_zero(item)), now)

    # ------------------------------------------------------------ deletions

    def _check_vanished(self, one: Round) -> Iterator[scrapy.Request]:
        """Ask for posts by number that a list held before and does not hold any more."""
        if not one.reread or one.endpoint.key != "statuses" or not one.lowest or one.error:
            return
        if one.endpoint.paging != "max_id":
            return
        for number in self.ask(lambda: self.job.missing(one), []):
            if self._can_afford(one.source):
                yield self.request(
                    SHOW_PATH, {"id": str(number)}, one.source, self.shown, {"number": number}
                )

    def shown(self, response: Response, number: int) -> Iterator[Vanished]:
        """Only the platform's own word counts: a post that a list leaves out may still be there."""
        if error_code(response.body) in GONE_CODES:
            yield Vanished((f"weibo:{number}",), self.job.clock())
