"""The file in which writes wait while the archive's server is away: first in, first out.

A small SQLite database gives what a spool needs: an entry is on disk before it is acknowledged
(WAL, `synchronous = FULL`), a torn tail after a kill is cut off, several processes of one host add
to one order, and the file cannot outgrow its room (`max_page_count`).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archive.base import Waiting
from archive.sqlite.connection import errors, refuse_network
from huiyin.errors import ArchiveError, ArchiveFull

FILE = "waiting.db"
WAIT_SECONDS = 10.0
_PAGE_BYTES = 4096
_PRAGMAS = (
    f"PRAGMA page_size = {_PAGE_BYTES}",
    "PRAGMA auto_vacuum = INCREMENTAL",  # an emptied spool gives its room back
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",  # what was handed on is zeroed here
    "PRAGMA journal_size_limit = 4194304",
)
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS entries (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,                   -- ISO 8601, UTC, microseconds
        act TEXT NOT NULL,
        posts INTEGER NOT NULL,             -- posts that the act brings or changes
        bytes INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        aside TEXT NOT NULL DEFAULT '',     -- why it was set aside; '' = waits
        body BLOB NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS sizes ON entries (aside, n, act, posts, bytes, at)",
    "CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
)


@dataclass(frozen=True)
class Entry:
    """One write that waits. `n` is its place in the order; `body` as `entries.py` made it."""

    act: str
    posts: int
    body: bytes
    n: int = 0


class Spool:
    """Entries in order on this host's disk. Safe for threads and processes."""

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        """Open or make the file in `folder`; raises `ArchiveError` when that cannot be.

        `limit_bytes`: the file takes no more than this; a file that is larger already stays.
        """
        self.file = folder / FILE
        self.limit_bytes = limit_bytes
        self._lock = threading.RLock()
        self._pid = 0
        self._open: sqlite3.Connection | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArchiveError(
                f"不能建立暂存文件夹 {folder}：{error.strerror}", "检查设置 archive.spool 和写权限"
            ) from error
        refuse_network(self.file)
        with self._connected():
            pass

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The one connection of this process, one thread at a time."""
        with self._lock, errors():
            if self._open is None or self._pid != os.getpid():
                self._open, self._pid = self._connect(), os.getpid()
            yield self._open

    def _connect(self) -> sqlite3.Connection:
        made = sqlite3.connect(
            self.file, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
        for statement in (*_PRAGMAS, *_SCHEMA):
            made.execute(statement)
        made.execute(f"PRAGMA max_page_count = {max(64, self.limit_bytes // _PAGE_BYTES)}")
        return made

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def add(self, entries: Iterable[Entry], at: datetime) -> None:
        """Put entries at the end, all or none; on disk when it returns. Raises `ArchiveFull`."""
        when = at.astimezone(UTC).isoformat(timespec="microseconds")
        rows = [(when, one.act, one.posts, len(one.body), one.body) for one in entries]
        try:
            with self._writing() as connection:
                connection.executemany(
                    "INSERT INTO entries (at, act, posts, bytes, body) VALUES (?,?,?,?,?)", rows
                )
        except ArchiveError as error:
            cause = error.__cause__
            if getattr(cause, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
                raise
            raise ArchiveFull(
                f"档案连不上，本机暂存（{self.limit_bytes >> 20} MB）也满了，不再收新内容",
                "先恢复档案服务器，暂存会自动写入；也可清出磁盘、调大 archive.spool_mb",
            ) from error

    def waits(self) -> bool:
        """True when something is to be handed on."""
        return bool(self._read("SELECT 1 FROM entries WHERE aside = '' LIMIT 1"))

    def head(self, *, most: int = 100, posts: int = 2000) -> list[Entry]:
        """The first entries: as many of the same act as hold `posts` posts together, at least one.

        Empty when nothing waits.
        """
        sizes = self._read(
            "SELECT n, act, posts FROM entries WHERE aside = '' ORDER BY n LIMIT ?", (most,)
        )
        chosen: list[int] = []
        room = posts
        for n, act, count in sizes:
            if act != sizes[0][1] or (chosen and count > room):
                break
            chosen.append(n)
            room -= count
        if not chosen:
            return []
        rows = self._read(
            "SELECT act, posts, body, n FROM entries WHERE aside = '' AND n BETWEEN ? AND ?"
            " ORDER BY n",
            (chosen[0], chosen[-1]),
        )
        return [Entry(*row) for row in rows]

    def remove(self, entries: Sequence[Entry]) -> None:
        """Forget entries that have arrived."""
        with self._writing() as connection:
            connection.executemany("DELETE FROM entries WHERE n = ?", [(one.n,) for one in entries])
        if not self.waits():
            with self._connected() as connection:
                # `execute` would step only once, which frees one page
                connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(FULL)")

    def failed(self, entry: Entry, reason: str, *, most: int) -> bool:
        """Count a refusal; True when it was the `most`th and the entry is set aside, kept."""
        with self._writing() as connection:
            [[attempts]] = connection.execute(
                "UPDATE entries SET attempts = attempts + 1 WHERE n = ? RETURNING attempts",
                (entry.n,),
            ).fetchall()
            if attempts >= most:
                connection.execute("UPDATE entries SET aside = ? WHERE n = ?", (reason, entry.n))
        return bool(attempts >= most)

    def take_back(self) -> int:
        """Let entries that were set aside wait again; returns how many."""
        with self._writing() as connection:
            return connection.execute(
                "UPDATE entries SET aside = '', attempts = 0 WHERE aside <> ''"
            ).rowcount

    def note(self, reason: str) -> None:
        """Remember why what waits could not be handed on, for other processes to show."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO notes VALUES ('reason', ?)", (reason,))

    def waiting(self) -> Waiting | None:
        """What waits, or None when nothing does and nothing was set aside."""
        [[posts, others, since, size, aside, why]] = self._read(
            """SELECT ifnull(sum(posts) FILTER (WHERE act IN ('put', 'packed')), 0),
                   ifnull(sum(posts) FILTER (WHERE act NOT IN ('put', 'packed')), 0),
                   min(at), ifnull(sum(bytes), 0), count(*) FILTER (WHERE aside <> ''), max(aside)
               FROM entries"""
        )
        if since is None:
            return None
        noted = self._read("SELECT value FROM notes WHERE name = 'reason'")
        return Waiting(
            posts=posts, others=others, since=datetime.fromisoformat(since), bytes=size,
            limit_bytes=self.limit_bytes, aside=aside, reason=why or (noted[0][0] if noted else ""),
        )  # fmt: skip

    def _read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._connected() as connection:
            return connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._open is not None and self._pid == os.getpid():
                self._open.close()
            self._open = None
