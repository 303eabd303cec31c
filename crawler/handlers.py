"""Download handler that adds the OAuth token at the last moment.

Scrapy writes request addresses into its log and its errors. Requests carry the account number in
`meta`; only what goes over the wire carries the token, and what comes back is cleaned of it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from scrapy import Request
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.http import Response

from huiyin.clock import monotonic


class TokenHandler(HTTP11DownloadHandler):
    """Adds `access_token` for `meta["uid"]` from the job that `run_crawl` was given."""

    async def download_request(self, request: Request) -> Response:
        """Send the request with its token. Errors name the address without it."""
        token = self._token(request)
        if not token:
            return await super().download_request(request)
        self._count(request)
        sign = "&" if "?" in request.url else "?"
        began = monotonic()
        secret = request.replace(url=f"{request.url}{sign}access_token={quote(token, safe='')}")
        try:
            response = await super().download_request(secret)
        except Exception as error:
            error.args = tuple(_without(one, token) for one in error.args)
            raise
        finally:
            request.meta["answer_seconds"] = monotonic() - began
        return response.replace(url=request.url)

    def _token(self, request: Request) -> str:
        job: Any = getattr(self._crawler.spider, "job", None)
        return job.token(request.meta.get("uid", "")) if job is not None else ""

    def _count(self, request: Request) -> None:
        """Every call that goes out is booked, retries included."""
        job: Any = getattr(self._crawler.spider, "job", None)
        key = request.meta.get("purse")
        if job is not None and key:
            job.budget.count(key, job.clock())


def _without(value: Any, token: str) -> Any:
    if not isinstance(value, str):
        return value
    return value.replace(quote(token, safe=""), "…").replace(token, "…")
