"""Run by test_kill: detects until nothing is pending; killed at any moment by its parent."""

from __future__ import annotations

import sys
from datetime import datetime

from archive import open_archive
from huiyin.settings import IncidentSettings
from nlp.incidents import Detector


def main(url: str, now: str) -> None:
    moment = datetime.fromisoformat(now)
    detector = Detector(
        open_archive(url), settings=IncidentSettings(), clock=lambda: moment, limit=8, lease=False
    )
    print("ready", flush=True)
    while detector.run_once().posts:
        pass
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
