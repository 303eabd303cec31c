"""Run by test_kill: detects until nothing is pending; killed at any moment by its parent."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from archive import open_archive
from huiyin.settings import IncidentSettings
from nlp.incidents import Detector


class Told:
    """An archive that says a line before and after each write, so that kills hit every seam."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return _told(method) if name in {"create", "change", "mark_incidents"} else method


def _told(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        print("before", flush=True)
        result = method(*given, **named)
        print("after", flush=True)
        return result

    return call


def main(url: str, now: str) -> None:
    moment = datetime.fromisoformat(now)
    archive: Any = Told(open_archive(url))
    detector = Detector(
        archive, settings=IncidentSettings(), clock=lambda: moment, limit=8, lease=False
    )
    while detector.run_once().posts:
        pass
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
