"""Run by test_stopped: detects and alerts; stops itself (SIGSTOP) before the write that is named.

    python -m tests.incidents.stopped_child URL NOW WRITE TAKE_OVER

WRITE: number of the write at whose door it stops, 0 = never. TAKE_OVER: seconds without a beat
after which a lease is free. Ends when nothing is pending, or when it lost its lease.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from alerts import Alerter
from archive import open_archive
from huiyin.settings import AlertSettings, IncidentSettings
from nlp import leases
from nlp.incidents import Detector

WRITES = {"create", "replace", "change", "mark_incidents"}


class Stopping:
    """An archive that stops its process before one of the writes."""

    def __init__(self, inner: Any, at: int) -> None:
        self._inner, self._left = inner, at

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return self._counted(method) if name in WRITES else method

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGSTOP)
            return method(*given, **named)

        return call


def main(url: str, now: str, write: str, take_over: str) -> None:
    leases.TAKE_OVER_SECONDS = float(take_over)
    moment = datetime.fromisoformat(now)
    archive: Any = Stopping(open_archive(url), int(write))
    detector = Detector(archive, settings=IncidentSettings(), clock=lambda: moment, limit=8)
    alerter = Alerter(archive, [], settings=AlertSettings(), clock=lambda: moment)
    counted = 0
    waited = time.monotonic()
    while True:
        report = detector.run_once()
        counted += report.posts
        if report.held:
            alerter.run_once()
            if not report.posts:
                break
        elif counted or time.monotonic() - waited > 4 * leases.TAKE_OVER_SECONDS + 30:
            break
        else:
            time.sleep(0.2)
    print(counted, report.held, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
