"""robots.txt, asked for once a site even when several requests begin at the same time."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware


class OneAtATime(RobotsTxtMiddleware):
    """Scrapy 2.19 lets all but the first of several waiting requests pass unchecked: they await

    one Deferred, and each waiter leaves None to the next.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._locks: dict[str, asyncio.Lock] = {}

    async def robot_parser(self, request: Request) -> Any:
        """The parsed robots.txt of the request's site."""
        async with self._locks.setdefault(urlsplit(request.url).netloc, asyncio.Lock()):
            return await super().robot_parser(request)
