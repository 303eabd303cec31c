"""`python -m crawler.sample_platform --sample DIR --port N`: play a sample city on loopback."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from datetime import datetime
from pathlib import Path

from crawler.sample_platform.server import start_server
from huiyin.errors import HuiyinError, InputError
from samples import cities

LIVE_SECONDS = 50.0
"""Default of the demo: long enough to watch an incident emerge, short enough to wait for."""


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM. Returns the exit code: 0, or 2 for misuse."""
    options = _parser().parse_args(arguments)
    try:
        base = _base_time(options.base_time)
        platform = start_server(
            options.sample, options.port, now=base, live_seconds=options.live_seconds
        )
    except HuiyinError as error:
        print(error, file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with platform:
        city = platform.city
        print(
            f"样例平台 {platform.url}  {city.info.name}  {len(city.accounts)} 个账号  "
            f"{len(city.entries)} 条  base-time {platform.base_time.isoformat()}",
            flush=True,
        )
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crawler.sample_platform", description=__doc__)
    parser.add_argument(
        "--sample", type=Path, default=next(iter(cities().values()), Path("samples")),
        help="folder of a sample city (default: the shipped one)",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=0, help="0 = any free port")
    parser.add_argument(
        "--base-time", default="",
        help="ISO time with zone at which the day ends; the same gives the same ids (default: now)",
    )  # fmt: skip
    parser.add_argument(
        "--live-seconds", type=float, default=LIVE_SECONDS,
        help="the day's last minutes arrive within so many seconds of the base time; 0 = at once",
    )  # fmt: skip
    return parser


def _base_time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        base = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--base-time {text} 不是时间", "例如 2026-09-17T20:36:00+08:00") from None
    if base.tzinfo is None:
        raise InputError(f"--base-time {text} 没有时区", "在末尾写 +08:00") from None
    return base


if __name__ == "__main__":
    sys.exit(main())
