"""Hands on what waits, in order, by itself, when the archive is there again."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import structlog
from filelock import FileLock, Timeout

from archive.base import Archive
from archive.spool.entries import do
from archive.spool.store import Entry, Spool
from huiyin.errors import (
    ArchiveAway,
    ArchiveBusy,
    ArchiveDenied,
    ArchiveError,
    ArchiveMoved,
    SchemaError,
)

ATTEMPTS = 3
"""An entry that the archive refuses so often is set aside: it blocks nobody and is not lost."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
_LATER = (ArchiveAway, ArchiveBusy, ArchiveDenied, ArchiveMoved, SchemaError)
"""The state of the archive, not of the entry: wait, whatever it takes."""

log = structlog.get_logger("archive.spool")


class Drainer:
    """A thread that runs while something waits; of all processes on a host one drains at a time.

    The lock falls with its process, however it ends. Killed between a write and forgetting it, the
    next one writes it again, which changes nothing.
    """

    def __init__(self, archive: Archive, spool: Spool) -> None:
        self._archive = archive
        self._spool = spool
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0

    def wake(self) -> None:
        """See that the thread runs."""
        with self._guard:
            running = self._thread is not None and self._thread.is_alive()
            if (running and self._pid == os.getpid()) or self._stop.is_set():
                return
            self._thread = threading.Thread(target=self._run, name="spool-drain", daemon=True)
            self._pid = os.getpid()
            self._thread.start()

    def stop(self) -> None:
        """End the thread after the write in hand; what still waits stays on disk."""
        self._stop.set()
        thread = self._thread
        if thread is not None and self._pid == os.getpid():
            thread.join(timeout=10.0)

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.wait(pause):
            try:
                if self.drain() and self._ends():
                    return
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            except ArchiveError as error:  # the spool's own file
                log.error("spool not readable", error=str(error))
                pause = LONGEST_PAUSE_SECONDS

    def _ends(self) -> bool:
        """Let go of the thread unless something came since it saw the end.

        Whoever put that in found the thread alive and did not begin another one.
        """
        with self._guard:
            if self._spool.waits():
                return False
            self._thread = None
            return True

    def drain(self) -> bool:
        """Hand on all that waits; False when some stays (archive away, or another one drains).

        Raises `ArchiveError` when the spool's own file cannot be read.
        """
        try:
            with FileLock(f"{self._spool.file}.lock", timeout=0):
                return self._drain()
        except Timeout:
            return not self._spool.waits()

    def _drain(self) -> bool:
        done = 0
        while entries := self._spool.head():
            if self._stop.is_set():
                return False
            why = self._hand_on(entries)
            if why is not None:
                self._spool.note(str(why))
                log.warning("spool waits", reason=str(why))
                return False
            done += sum(one.posts for one in entries)
        if done:
            log.info("spool drained", posts=done)
        return True

    def _hand_on(self, entries: Sequence[Entry]) -> ArchiveError | None:
        """Do and forget entries; the error when the archive cannot take any now."""
        try:
            do(self._archive, entries)
        except _LATER as error:
            return error
        except ArchiveError as error:
            if len(entries) == 1:
                return self._refused(entries[0], error)
            for one in entries:  # find the one that is refused
                why = self._hand_on([one])
                if why is not None:
                    return why
            return None
        self._spool.remove(entries)
        return None

    def _refused(self, entry: Entry, error: ArchiveError) -> ArchiveError | None:
        """An entry that the archive does not take, or that cannot be read."""
        if self._spool.failed(entry, str(error), most=ATTEMPTS):
            log.error("entry set aside", act=entry.act, posts=entry.posts, reason=str(error))
            return None
        return error
