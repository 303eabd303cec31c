"""The embedded engine: one SQLite file (3.40 or newer) in WAL mode with an FTS5 word index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from archive.sqlite.connection import Database
from archive.sqlite.reading import PostReading
from archive.sqlite.searching import Searching
from archive.sqlite.stages import Stages
from archive.sqlite.states import StateKeeping
from archive.sqlite.writing import PostWriting


class SqliteArchive(PostWriting, PostReading, Searching, Stages, StateKeeping):
    """Everything in one file. Safe for threads (a connection each) and for processes."""

    def __init__(self, file: Path) -> None:
        """Open or make `file`; raises `ArchiveError`, `SchemaError`."""
        self._db = Database(file)

    def counts(self) -> Mapping[str, int]:
        rows = self._db.read(
            """SELECT 'posts', count(*) FROM posts UNION ALL
               SELECT kind, count(*) FROM records GROUP BY kind"""
        )
        return dict(rows)

    def check(self) -> list[str]:
        problems = [row[0] for row in self._db.read("PRAGMA quick_check") if row[0] != "ok"]
        return problems

    def close(self) -> None:
        self._db.close()
