"""Secrets of sources' addresses (`{secret:NAME}`) are put in at the last moment.

Scrapy writes addresses of requests into its log and its errors, and a source's record lies in the
archive: both hold the name only. What comes back is cleaned of the secret.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from scrapy import Request
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.http import Response

PLACE = re.compile(r"(?:\{|%7B)secret:([A-Za-z0-9_-]{1,60})(?:\}|%7D)", re.IGNORECASE)


class SecretHandler(HTTP11DownloadHandler):
    """Puts in the secrets of the spider's job."""

    async def download_request(self, request: Request) -> Response:
        """Send the request; its answer and its errors name the address without the secret."""
        names = PLACE.findall(request.url)
        if not names:
            return await super().download_request(request)
        job: Any = getattr(self._crawler.spider, "job", None)
        secrets = {name: job.secret(name) for name in names} if job is not None else {}
        url = PLACE.sub(lambda found: quote(secrets.get(found[1], ""), safe=""), request.url)
        try:
            response = await super().download_request(request.replace(url=url))
        except Exception as error:
            error.args = tuple(_without(one, secrets) for one in error.args)
            raise
        place = response.headers.get("Location")
        if place:
            said = _without(place.decode("latin-1"), secrets)
            response.headers["Location"] = said.encode("latin-1")
        return response.replace(url=request.url)


def _without(value: Any, secrets: dict[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    for name, secret in secrets.items():
        for form in (quote(secret, safe=""), secret):
            if form:
                value = value.replace(form, f"%7Bsecret:{name}%7D")
    return value
