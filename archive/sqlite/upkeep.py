"""What keeps the file sound: deleted words leave the index for good, damage is noticed.

Taking a text out of FTS5 only marks its words as gone; the letters stay in the index file until
the parts that hold them are merged (the option that rewrites them at once needs SQLite 3.42). So a
deletion leaves a note, and `purge` merges the whole index in short steps and empties the log.
"""

# ruff: noqa: S608 - the SQL is put together from our own constants

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

from archive.sqlite.connection import Database
from huiyin.errors import ArchiveBusy, ArchiveError

MERGE_PAGES = 64
"""Index pages (4 KB) written a step; a step stays below 50 ms."""
PURGE_EVERY_SECONDS = 600.0
"""A process that deletes all day merges the index this often at most."""
PURGE_BUDGET_SECONDS = 2.0
"""What one deletion may spend on it; the rest is done by the next one, or by `check`."""
STEP_PAUSE_SECONDS = 0.003


def mark_for_purge(connection: sqlite3.Connection) -> None:
    """Note, inside the caller's transaction, that the index holds words of removed texts."""
    connection.execute(
        """INSERT INTO notes VALUES ('to_purge', 1)
           ON CONFLICT DO UPDATE SET value = value + 1"""
    )


_ENDS = (("posts", "n"), ("contents", "n"), ("vectors", "n"), ("words_data", "id"),
         ("words_docsize", "id"))  # fmt: skip
"""Tables and their keys: a file that was cut short lacks the end of at least one of them."""


def look_over(db: Database) -> None:
    """At each start, a few pages: the first and last row of every large table, and the word index.

    Raises `ArchiveError` where they cannot be read. Damage in between is for `check`.
    """
    with db.snapshot() as connection:
        last = {}
        for table, key in _ENDS:
            rows = connection.execute(
                f"""SELECT * FROM (SELECT * FROM {table} ORDER BY {key} LIMIT 1) UNION ALL
                    SELECT * FROM (SELECT * FROM {table} ORDER BY {key} DESC LIMIT 1)"""
            ).fetchall()
            last[table] = rows[-1][0] if rows else 0
        connection.execute("SELECT 1 FROM words WHERE words MATCH '\"x\"' LIMIT 1").fetchall()
    if last["posts"] != last["contents"]:
        raise ArchiveError(
            "档案文件已损坏：最后的帖子没有正文", "请停止程序，运行 huiyin doctor，并从备份恢复"
        )


class Upkeep:
    """Purging and checking of one file."""

    def __init__(self, db: Database, monotonic: Callable[[], float]) -> None:
        self._db = db
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._last_purge: float | None = None

    def purge_soon(self) -> None:
        """Purge now unless this process did within the last ten minutes."""
        now = self._monotonic()
        with self._lock:
            last = self._last_purge
            if last is not None and now - last < PURGE_EVERY_SECONDS:
                return
            self._last_purge = now
        self.purge(PURGE_BUDGET_SECONDS)

    def purge(self, budget: float | None = None) -> bool:
        """Rewrite the index without the words of removed texts; True when none are left.

        Works in transactions of at most about 50 ms and stops after `budget` seconds.
        """
        started = self._monotonic()
        noted = self._noted()
        if not noted:
            return True
        pages = -MERGE_PAGES  # negative: take all parts, whatever their size
        while True:
            with self._db.write(through_seal=True) as connection:
                before = connection.total_changes
                connection.execute("INSERT INTO words(words, rank) VALUES ('merge', ?)", (pages,))
                done = connection.total_changes - before < 2  # documented: nothing was merged
                if done:
                    connection.execute(
                        "DELETE FROM notes WHERE name = 'to_purge' AND value = ?", (noted,)
                    )
            if done:
                break
            if budget is not None and self._monotonic() - started > budget:
                return False
            pages = MERGE_PAGES
            self._db.pause(STEP_PAUSE_SECONDS)
        self._empty_log()
        return self._noted() == 0

    def _noted(self) -> int:
        rows = self._db.read("SELECT value FROM notes WHERE name = 'to_purge'")
        return int(rows[0][0]) if rows else 0

    def _empty_log(self) -> None:
        """The write-ahead log keeps old pages until it is cut; readers may hold it back a while."""
        try:
            self._db.read("PRAGMA wal_checkpoint(TRUNCATE)")
        except ArchiveBusy:
            return  # the pages are overwritten when the log starts over

    def check(self) -> list[str]:
        """Damage in pages, rows and word index; nobody is locked out meanwhile."""
        problems = [str(row[0]) for row in self._db.read("PRAGMA quick_check") if row[0] != "ok"]
        if problems:
            return [f"档案文件损坏：{one}" for one in problems]
        [[posts, contents]] = self._db.read(
            "SELECT (SELECT count(*) FROM posts), (SELECT count(*) FROM contents)"
        )
        if posts != contents:
            problems.append(f"有 {posts} 条帖子却有 {contents} 份正文")
        return problems + self._check_words()

    def _check_words(self) -> list[str]:
        """Read the whole word index, and look whether each text is in it."""
        with self._db.snapshot() as connection:
            try:
                connection.execute(
                    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary"
                    " USING fts5vocab(main, words, row)"
                )
                connection.execute("SELECT sum(doc), sum(cnt) FROM temp.vocabulary").fetchall()
                [[missing]] = connection.execute(
                    """SELECT count(*) FROM posts p LEFT JOIN words_docsize d ON d.id = p.n
                       WHERE (p.deleted_at IS NULL) <> (d.id IS NOT NULL)"""
                ).fetchall()
            except sqlite3.DatabaseError as error:
                return [f"检索索引损坏：{error}"]
        return [f"检索索引与正文不一致：{missing} 条"] if missing else []
