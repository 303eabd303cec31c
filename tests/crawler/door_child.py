"""One run of the doors' spiders in a process of its own (Twisted's reactor runs once).

`python -m tests.crawler.door_child JOB.json`: {archive, sources, allowed, kinds, layouts, accounts,
seconds, timeout, largest}
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from archive import open_archive
from crawler import AccountBook, Identity, guard
from crawler.doors import KINDS, DoorJob, run_doors
from crawler.stores import ArchiveStore
from huiyin.clock import system_clock
from huiyin.errors import Conflict
from huiyin.records import Account, Source

SECRET = b"secret of the door tests".ljust(32, b".")


def main() -> None:
    told: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    logging.basicConfig(level=logging.DEBUG)
    guard.LONGEST_FETCH = told.get("timeout", guard.LONGEST_FETCH)
    guard.LARGEST_PAGE = told.get("largest", guard.LARGEST_PAGE)
    archive = open_archive(told["archive"])
    for one in told["sources"]:
        with suppress(Conflict):
            archive.create(Source.model_validate(one))
    stop = threading.Event()
    if told.get("seconds"):
        threading.Timer(told["seconds"], stop.set).start()
    accounts = [Account.model_validate(one) for one in told.get("accounts", [])]
    job = DoorJob(
        store=ArchiveStore(archive), identity=Identity(SECRET), accounts=AccountBook(accounts),
        clock=system_clock, stop=stop, layouts=Path(told.get("layouts", "/nonexistent")),
        once=not told.get("seconds"),
        watch_lists=Path(told["watch_lists"]) if "watch_lists" in told else None,
        secrets={name: SecretStr(one) for name, one in told.get("secrets", {}).items()},
    )  # fmt: skip
    run_doors(job, told.get("allowed", []), kinds=told.get("kinds", KINDS))
    archive.close()


if __name__ == "__main__":
    main()
