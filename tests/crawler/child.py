"""A crawl in a process of its own (Twisted's reactor runs once in a process).

`python -m tests.crawler.child ARCHIVE_URL PLATFORM_URL ACCOUNTS_JSON UIDS once|forever [SECONDS]`
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

from archive import open_archive
from crawler import AccountBook, Identity, ensure_sources, load_accounts, run_crawl
from crawler.sources import known_sources
from crawler.weibo_api import ENDPOINTS
from huiyin.clock import system_clock
from huiyin.settings import WeiboSettings
from tests.crawler import preload  # the seconds given count from when all is loaded

SECRET = b"secret of the crawl tests".ljust(32, b".")


__all__ = ["main", "preload"]


def main() -> None:
    archive_url, platform, accounts_file, uids, mode, *rest = sys.argv[1:]
    logging.basicConfig(level=logging.DEBUG)
    for noisy in ("engine", "scraper", "downloader"):  # what would show a token, if it were there
        logging.getLogger(f"scrapy.core.{noisy}").setLevel(logging.DEBUG)
    logging.getLogger("scrapy.downloadermiddlewares.retry").setLevel(logging.DEBUG)
    if count := os.environ.get("HUIYIN_TEST_COUNT"):  # small pages
        for name, endpoint in ENDPOINTS.items():
            ENDPOINTS[name] = replace(endpoint, count=int(count))
    archive = open_archive(archive_url)
    book = AccountBook(load_accounts(Path(accounts_file)))
    weibo = WeiboSettings.model_validate(
        {
            "url": platform,
            "every_seconds": 0.2,
            "tokens": {uid: f"sample-{uid}" for uid in uids.split(",")},
        }
    )
    ensure_sources(archive, book, weibo)
    stop = threading.Event()
    if rest:
        threading.Timer(float(rest[0]), stop.set).start()
    run_crawl(
        archive, known_sources(archive), weibo=weibo, identity=Identity(SECRET), accounts=book,
        clock=system_clock, stop=stop, once=mode == "once",
    )  # fmt: skip
    archive.close()


if __name__ == "__main__":
    main()
