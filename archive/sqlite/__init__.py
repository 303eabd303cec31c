"""The embedded engine: one SQLite file (3.40 or newer) in WAL mode with an FTS5 word index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from archive.sqlite.arrays import Turn
from archive.sqlite.columns import Columns
from archive.sqlite.connection import Database
from archive.sqlite.keeping import Keep
from archive.sqlite.letters import DeadLetters
from archive.sqlite.liking import Liking
from archive.sqlite.reading import PostReading
from archive.sqlite.relevance import Orders
from archive.sqlite.rewording import reword
from archive.sqlite.searching import Searching
from archive.sqlite.stages import PUT, Stages
from archive.sqlite.states import StateKeeping
from archive.sqlite.upkeep import Upkeep, look_over
from huiyin.clock import monotonic


class SqliteArchive(DeadLetters, PostReading, Searching, Liking, Stages, StateKeeping, Keep):
    """Everything in one file. Safe for threads (a connection each) and for processes."""

    def __init__(self, file: Path) -> None:
        """Open or make `file`; raises `ArchiveError`, `SchemaError`."""
        self._db = Database(file)
        look_over(self._db)
        reword(self._db)
        self._upkeep = Upkeep(self._db, monotonic)
        self._orders = Orders()
        self._turn = Turn()
        self._columns = Columns(self._db, self._turn)
        self._signs = {}

    def clear_failures(self, stage: str) -> int:
        return self.put_again() if stage == PUT else super().clear_failures(stage)

    def counts(self) -> Mapping[str, int]:
        rows = self._db.read(
            """SELECT 'posts', count(*) FROM posts UNION ALL
               SELECT kind, count(*) FROM records GROUP BY kind"""
        )
        return dict(rows)

    def check(self) -> list[str]:
        self._upkeep.purge()
        return self._upkeep.check()

    def close(self) -> None:
        self._db.close()
