"""A crawl of given sources in a process of its own, with settings as JSON.

`python -m tests.crawler.reader '{"archive": URL, "platform": URL, "endpoints": ["mentions"]}'`
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from archive import open_archive
from crawler import AccountBook, Identity, run_crawl
from crawler.spiders import weibo_push
from crawler.weibo_api import ENDPOINTS
from huiyin.clock import system_clock
from huiyin.errors import Conflict
from huiyin.records import Account, Source
from huiyin.settings import WeiboSettings

SECRET = b"secret of the crawl tests".ljust(32, b".")
UID = "101"
BOOK = AccountBook(
    [Account(id="weibo:101", uid=UID, name="云渡发布", level=1, offices=("weibo:101",))]
)


def source(endpoint: str, **more: Any) -> Source:
    parameters = {"endpoint": endpoint, "uid": UID, **more.pop("parameters", {})}
    return Source(
        id=f"source:weibo:{UID}:{endpoint}", offices=("weibo:101",), account="weibo:101",
        spider=more.pop("spider", "weibo_official"), parameters=parameters, **more,
    )  # fmt: skip


def main(said: str) -> None:
    options = json.loads(said)
    logging.basicConfig(level=logging.DEBUG)
    weibo_push.IDLE_SECONDS = options.get("push_idle", weibo_push.IDLE_SECONDS)
    archive = open_archive(options["archive"])
    every = options.get("every", 0.2)
    wanted = [source(one, every_seconds=every) for one in options.get("endpoints", ["mentions"])]
    for one in (*wanted, *map(Source.model_validate, options.get("sources", ()))):
        with suppress(Conflict):
            archive.create(one)
    if count := options.get("count"):  # small pages
        for name, endpoint in ENDPOINTS.items():
            ENDPOINTS[name] = replace(endpoint, count=count)
    weibo = WeiboSettings.model_validate(
        {"url": options["platform"], "commercial_url": options["platform"],
         "every_seconds": every, "calls_per_day": options.get("calls_per_day", 0),
         "tokens": options.get("tokens", {UID: "token-1"})}
    )  # fmt: skip
    stop = threading.Event()
    if seconds := options.get("seconds"):
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()
    clock = system_clock
    if speed := options.get("speed"):  # a day in minutes
        origin, start = options["origin"], datetime.fromisoformat(options["start"])

        def clock() -> datetime:
            return start + timedelta(seconds=(time.time() - origin) * speed)

    run_crawl(
        archive, weibo=weibo, identity=Identity(SECRET), accounts=BOOK, clock=clock, stop=stop,
        once=options.get("once", False), tokens=lambda: weibo.tokens,
        watch_lists=Path(options["watch_lists"]) if "watch_lists" in options else None,
    )  # fmt: skip
    archive.close()


def launch(said: str, log: str) -> None:
    """`main` in a forked process, with what it says in a file."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    main(said)


if __name__ == "__main__":
    main(sys.argv[1])
