"""An archive whose word index was cut by an older version of archive/tokens.py is indexed anew.

The new index grows beside the old one, some hundred posts a transaction, and takes its place in one
step; a kill in between loses at most one transaction of work. Whoever opens the archive waits until
it is done, and several that wait share the work: nobody ever searches half an index. (Processes of
the older version must have ended, as before every upgrade.)
"""

from __future__ import annotations

import sqlite3

import structlog

from archive.authors import author_number
from archive.sqlite.connection import Database, Row
from archive.tokens import VERSION, index_tokens

POSTS_A_STEP = 500
"""About 30 ms under the write lock."""
PAGES_A_STEP = 500
"""Of the old index, removed (and zeroed) in one transaction."""
PAUSE_SECONDS = 0.003
SAY_EVERY = 20_000
"""Posts between two lines of the log."""

log = structlog.get_logger("archive")


def reword(db: Database) -> None:
    """Bring the word index to this program's `VERSION`; nothing to do is one small read."""
    while not _current(db):
        with db.write(through_seal=True) as connection:
            _advance(connection)
        db.pause(PAUSE_SECONDS)
    while _left_over(db):
        with db.write(through_seal=True) as connection:
            _remove_some(connection)
        db.pause(PAUSE_SECONDS)


def _current(db: Database) -> bool:
    return db.read("SELECT 1 FROM notes WHERE name = 'tokens' AND value = ?", (VERSION,)) != []


def _left_over(db: Database) -> bool:
    return db.read("SELECT 1 FROM sqlite_master WHERE name = 'words_old'") != []


def _advance(connection: sqlite3.Connection) -> None:
    """Index the next posts; after the last, put the new index in the place of the old one."""
    if _note(connection, "tokens") == VERSION:
        return  # another process was quicker
    if _note(connection, "words_next_tokens") != VERSION:  # none, or another version's beginning
        connection.execute("DROP TABLE IF EXISTS words_next")
        connection.execute(
            "CREATE VIRTUAL TABLE words_next USING fts5 (text, title, content='', tokenize='ascii')"
        )
        # merge 8 parts of a size, not 4: 2 to 4 us a post less, up to 8 more parts to look into
        connection.execute("INSERT INTO words_next(words_next, rank) VALUES ('automerge', 8)")
        _set(connection, "words_next_tokens", VERSION)
        _set(connection, "words_next_from", 0)
    start = _note(connection, "words_next_from") or 0
    rows = connection.execute(
        """SELECT c.n, c.text, c.title, json_extract(c.rest, '$.author.key'), p.deleted_at
           FROM contents c JOIN posts p ON p.n = c.n WHERE c.n > ? ORDER BY c.n LIMIT ?""",
        (start, POSTS_A_STEP),
    ).fetchall()
    if not rows:
        _swap(connection)
        return
    _index(connection, rows)
    _set(connection, "words_next_from", rows[-1][0])
    if rows[-1][0] // SAY_EVERY != start // SAY_EVERY:
        log.info("rebuilding the word index", posts=rows[-1][0])


def _index(connection: sqlite3.Connection, rows: list[Row]) -> None:
    connection.executemany(
        "INSERT INTO words_next(rowid, text, title) VALUES (?,?,?)",
        [
            (n, index_tokens(text), index_tokens(title or ""))
            for n, text, title, _, deleted_at in rows
            if deleted_at is None
        ],
    )
    connection.executemany(
        "UPDATE posts SET author = ? WHERE n = ? AND author IS NULL",
        [(author_number(key), n) for n, _, _, key, _ in rows if key is not None],
    )


def _swap(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE words RENAME TO words_old")
    connection.execute("ALTER TABLE words_next RENAME TO words")
    connection.execute("DELETE FROM notes WHERE name IN ('words_next_tokens', 'words_next_from')")
    _set(connection, "tokens", VERSION)


def _remove_some(connection: sqlite3.Connection) -> None:
    """Empty the old index bit by bit: dropped at once it would block everybody for seconds."""
    done = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'words_old'").fetchone()
    if done is None:
        return
    for table in ("words_old_data", "words_old_docsize"):
        found = connection.execute(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id > 10 LIMIT ?)"  # noqa: S608
            " RETURNING 1",
            (PAGES_A_STEP,),
        ).fetchall()
        if found:
            return
    connection.execute("DROP TABLE words_old")


def _note(connection: sqlite3.Connection, name: str) -> int | None:
    row = connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def _set(connection: sqlite3.Connection, name: str, value: int) -> None:
    connection.execute(
        "INSERT INTO notes VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2", (name, value)
    )
