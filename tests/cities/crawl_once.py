"""Reads everything once, as `huiyin crawl` does, on the day that a city tells of.

    python tests/cities/crawl_once.py HOME ISO_TIME

The notices of a city name days; played months later they would rightly count as expired.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from crawler import ensure_sources, run_crawl
from huiyin.app import open_app
from huiyin.clock import system_clock
from huiyin.settings import load_settings


def main(home: str, time: str) -> None:
    """Crawl into the archive of `home`; the clock starts at `time` and runs on."""
    late = system_clock() - datetime.fromisoformat(time)
    app = open_app(load_settings(Path(home)), lambda: system_clock() - late)
    weibo = app.settings.weibo
    ensure_sources(app.archive, app.accounts, weibo)
    run_crawl(
        app.archive, weibo=weibo, identity=app.identity, accounts=app.accounts, clock=app.clock,
        once=True,
    )  # fmt: skip
    app.archive.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
