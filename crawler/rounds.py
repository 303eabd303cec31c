"""One reading of one source: which pages to ask for, and what has been covered in the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crawler.values import weibo_id_time
from crawler.weibo_api import Endpoint, Page, id_of_time, item_number
from huiyin.errors import CollectError
from huiyin.records import Source

MAX_PAGES = 25
"""Pages of one round; what lies deeper becomes a visible gap."""
EXTRA_PAGES = 2
"""Pages read again beyond the cursor to refresh counts."""
REREAD = timedelta(hours=24)
"""How far back posts are read again for their counts, edits and deletions."""


@dataclass(eq=False)
class Round:
    """Pages run from the newest down to the cursor. The cursor moves only after all were stored.

    `reread` = also read what is younger than a day again.
    """

    source: Source
    endpoint: Endpoint
    started: datetime
    reread: bool = False
    pages: int = 0
    read: int = 0
    newest: int = 0
    lowest: int = 0
    truncated: bool = False
    """The page limit came before the cursor."""
    seen: set[int] = field(default_factory=set, repr=False)
    error: CollectError | None = None
    stored: int = 0
    """Pages that are on disk."""
    fresh: int = 0
    """New posts."""
    _max_id: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def cursor(self) -> int:
        """Newest number below which everything was stored before this round."""
        return int(self.source.cursor or 0)

    @property
    def since(self) -> int:
        """since_id: only newer ones are asked for."""
        if not self.reread or self.endpoint.name == "messages":
            return self.cursor
        return min(self.cursor, id_of_time(self.started - REREAD))

    def parameters(self) -> dict[str, str]:
        """Query of the next page."""
        query = {"count": str(self.endpoint.count)}
        if self.endpoint.key == "statuses":
            query["isGetLongText"] = "1"
        if self.since:
            query["since_id"] = str(self.since)
        if self._max_id:
            query["max_id"] = str(self._max_id)
        return query

    def take(self, page: Page) -> bool:
        """Count a page in; True when another one is to be asked for."""
        self.pages += 1
        numbers = [number for item in page.items if (number := _number(item))]
        self.read += len(numbers)
        self.seen.update(numbers)
        if numbers:
            self.newest = max(self.newest, *numbers)
            self.lowest = min(self.lowest or numbers[0], *numbers)
        following = page.next_cursor
        if following is None:
            following = min(numbers) - 1 if numbers else 0
        if self._max_id and following >= self._max_id:
            following = 0  # a platform that repeats itself must not keep us busy for ever
        if following <= self.since:
            following = 0
        return self._goes_on(following)

    def _goes_on(self, following: int) -> bool:
        cap = self.endpoint.cap
        if not following:
            self.truncated = bool(self.cursor and cap and self.read >= cap)
            return False
        if self.cursor and following <= self.cursor and self.pages >= EXTRA_PAGES:
            return False  # all new ones are there; what is read again has an end
        if self.pages >= MAX_PAGES:
            self.truncated = bool(self.cursor)
            return False
        self._max_id = following
        return True

    def oldest_time(self) -> datetime:
        """When the oldest item was made that this round saw."""
        return weibo_id_time(str(self.lowest)) or self.started if self.lowest else self.started

    def page_stored(self, fresh: int) -> None:
        """The pipeline says that one more page is on disk."""
        self.stored += 1
        self.fresh += fresh
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


def _number(item: object) -> int:
    try:
        return item_number(item)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return 0  # the pipeline reports it
