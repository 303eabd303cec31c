"""What `huiyin run` has done once a day: the backup, and retention where it is set.

A chore is the command `huiyin archive daily` in a process of its own, begun when it is due; so it
can also be run by hand or by the system's own timer on another host.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from huiyin.clock import Clock, monotonic
from huiyin.keeping import backup_due
from huiyin.settings import Settings

LOOK_EVERY_SECONDS = 60.0
AGAIN_SECONDS = 3600.0
"""After a failed attempt; `doctor` says meanwhile what went wrong."""
GRACE_SECONDS = 5.0
COMMAND = (sys.executable, "-m", "huiyin", "archive", "daily")


class Chores:
    """Begins the daily chore when it is due; call `tend` often."""

    def __init__(
        self, settings: Settings, clock: Clock, *, command: Sequence[str] = COMMAND,
        monotonic: Callable[[], float] = monotonic,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._clock = clock
        self._command = command
        self._monotonic = monotonic
        self._process: subprocess.Popen[bytes] | None = None
        self._look_at = float("-inf")
        self._thinned_at = float("-inf")

    def tend(self) -> list[str]:
        """Begin what is due; returns what happened."""
        if self._process is not None:
            return self._ended()
        if self._monotonic() < self._look_at:
            return []
        self._look_at = self._monotonic() + LOOK_EVERY_SECONDS
        if backup_due(self._settings, self._clock()) or self._only_retention_due():
            self._begin()
        return []

    def _only_retention_due(self) -> bool:
        """Where no backups are made, retention goes by a clock of its own."""
        if self._settings.backup.folder or not self._settings.retention.days:
            return False
        if self._monotonic() - self._thinned_at < 24 * 3600.0:
            return False
        self._thinned_at = self._monotonic()
        return True

    def stop(self) -> None:
        """End a chore that is running; a backup without its manifest does not count."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _begin(self) -> None:
        folder = self._settings.path(self._settings.log.folder)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "daily.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def _ended(self) -> list[str]:
        assert self._process is not None  # noqa: S101 - asked by `tend` alone
        code = self._process.poll()
        if code is None:
            return []
        self._process = None
        if code == 0:
            return []
        self._look_at = self._monotonic() + AGAIN_SECONDS
        return ["每天的备份没有做成，一小时后再试；见日志 daily.log，或运行 huiyin doctor"]
