"""A spool in front of an archive on other machines: while it is away, writes of posts wait here.

What is relied on, so that order and repetition cannot matter:
- On one host all processes share one spool, first in, first out; while anything waits, new writes
  of posts go behind it.
- Between hosts nothing is ordered: `put_posts` does not depend on the order of readings, a deletion
  holds for ever, an analysis of an older text never replaces one of the newer, and a mark follows
  from its batch. A deletion that comes before its post is found again by the next reading.
- Every write may be done twice.

Acts of people never wait: they are refused, so that nobody believes a decision was taken that the
archive does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import structlog

from archive.base import Archive, Packer, PutReport, Stored, Waiting
from archive.spool.drain import Drainer
from archive.spool.entries import (
    CountingPacker,
    analyses_entry,
    delete_entry,
    marks_entry,
    packed_entry,
    put_entries,
    unpacked,
)
from archive.spool.store import Entry, Spool
from huiyin.clock import Clock, system_clock
from huiyin.errors import ArchiveAway
from huiyin.records import Analysis, Post, Scope, StateRecord

__all__ = ["SpooledArchive", "spooled", "take_back", "waiting_in"]

R = TypeVar("R", bound=StateRecord)
T = TypeVar("T")

log = structlog.get_logger("archive.spool")


def spooled(
    inner: Archive,
    folder: Path,
    *,
    limit_bytes: int,
    drains: bool = True,
    clock: Clock = system_clock,
) -> Archive:
    """`inner` with a spool in `folder` in front. Raises `ArchiveError` when that cannot be.

    `drains`: hand on at once what an earlier process left; the console leaves it to the others.
    """
    wrapped = SpooledArchive(inner, Spool(folder, limit_bytes=limit_bytes), clock=clock)
    if drains and wrapped.spool.waits():
        wrapped.drainer.wake()
    return cast(Archive, wrapped)


def waiting_in(archive: Archive) -> Waiting | None:
    """What waits in this archive's spool; None when nothing does or it has none."""
    return archive.spool.waiting() if isinstance(archive, SpooledArchive) else None


def take_back(archive: Archive) -> int:
    """Let writes that the archive refused be tried again; returns how many."""
    if not isinstance(archive, SpooledArchive):
        return 0
    again = archive.spool.take_back()
    if again:
        archive.drainer.wake()
    return again


class SpooledArchive:
    """An archive whose writes of posts outlive its server's absence; all else goes straight on."""

    def __init__(self, inner: Archive, spool: Spool, *, clock: Clock = system_clock) -> None:
        self.inner = inner
        self.spool = spool
        self.drainer = Drainer(inner, spool)
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    # ---- writes of posts: wait when they must

    def put_posts(self, posts: Sequence[Post]) -> PutReport:
        return self._write(
            lambda: self.inner.put_posts(posts), lambda: put_entries(posts),
            PutReport(waiting=len(posts)),
        )  # fmt: skip

    def packer(self) -> Packer:
        return CountingPacker(self.inner.packer())

    def put_packed(self, packed: bytes) -> PutReport:
        count, body = unpacked(packed)
        return self._write(
            lambda: self.inner.put_packed(body), lambda: [packed_entry(packed)],
            PutReport(waiting=count),
        )  # fmt: skip

    def delete_posts(self, ids: Sequence[str], at: datetime) -> int:
        return self._write(
            lambda: self.inner.delete_posts(ids, at), lambda: [delete_entry(ids, at)], 0
        )

    def write_analyses(self, analyses: Sequence[tuple[str, Analysis]]) -> int:
        return self._write(
            lambda: self.inner.write_analyses(analyses), lambda: [analyses_entry(analyses)], 0
        )

    def mark_incidents(
        self, marks: Mapping[str, str], *, was: Mapping[str, Sequence[str]] | None = None
    ) -> int:
        return self._write(
            lambda: self.inner.mark_incidents(marks, was=was),
            lambda: [marks_entry(marks, was)],
            0,
        )

    def _write(self, now: Callable[[], T], later: Callable[[], Iterable[Entry]], kept: T) -> T:
        """Write at once, or behind what waits already; `kept` is the answer when it waits.

        Raises `ArchiveFull` when there is no room; whatever but `ArchiveAway` the archive raises.
        """
        if not self.spool.waits():
            try:
                return now()
            except ArchiveAway as error:
                log.warning(
                    "archive away, posts wait", reason=str(error), file=str(self.spool.file)
                )
                self.spool.note(str(error))
        self.spool.add(later(), self._clock())
        self.drainer.wake()
        return kept

    # ---- acts: refused while it is away

    def create(self, record: R) -> Stored[R]:
        return _act(lambda: self.inner.create(record))

    def replace(self, stored: Stored[R], record: R) -> Stored[R]:
        return _act(lambda: self.inner.replace(stored, record))

    def change(
        self, kind: type[R], record_id: str, scope: Scope, edit: Callable[[R], R]
    ) -> Stored[R]:
        return _act(lambda: self.inner.change(kind, record_id, scope, edit))

    def close(self) -> None:
        self.drainer.stop()
        self.spool.close()
        self.inner.close()


def _act(do: Callable[[], T]) -> T:
    try:
        return do()
    except ArchiveAway as error:
        raise ArchiveAway(
            f"这次操作没有得到档案的确认：{error.message}",
            "请稍后刷新，没有记下就再做一次；采集到的帖文存在本机，档案恢复后自动写入",
        ) from error
