"""The SQLite schema: numbered steps that only go forward, and the version that a file has.

`PRAGMA user_version` counts the steps done. A step never changes after its release; a change is a
new step at the end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from huiyin.errors import SchemaError

Step = Callable[[sqlite3.Connection], None]
TOUCHED_KEPT = 500_000
"""Rows of `touched`, about 6 MB; who is further behind starts from the tables."""

_FIRST = """
CREATE TABLE posts (
    n INTEGER PRIMARY KEY,          -- row number in all tables of posts; never used again
    id TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,    -- times: microseconds since 1970, UTC
    collected_at INTEGER NOT NULL,
    read_at INTEGER NOT NULL,
    deleted_at INTEGER,
    slice INTEGER NOT NULL,         -- CRC-32 of the id
    platform TEXT NOT NULL,
    kind TEXT NOT NULL,
    author_kind TEXT NOT NULL,
    region TEXT,
    root TEXT,
    parent TEXT,
    metrics_at INTEGER,             -- newest reading of the counts
    reposts INTEGER, reposts_at INTEGER,
    comments INTEGER, comments_at INTEGER,
    likes INTEGER, likes_at INTEGER,
    text_sha TEXT NOT NULL,
    incident TEXT,                  -- NULL = not looked at, '' = alone
    model TEXT,                     -- of the analysis; NULL = none
    analysed_sha TEXT,              -- text_sha of the text that was analysed
    sentiment TEXT, emotion TEXT, intent TEXT,
    category TEXT,                  -- '/main/sub/'
    needs_answer REAL,
    urgency REAL
);
CREATE INDEX posts_by_time ON posts (created_at, id);
CREATE INDEX posts_by_root ON posts (root, created_at) WHERE root IS NOT NULL;
CREATE INDEX posts_by_parent ON posts (parent, created_at) WHERE parent IS NOT NULL;
CREATE INDEX posts_by_incident ON posts (incident, created_at, id) WHERE incident > '';
CREATE INDEX posts_to_analyse ON posts (created_at) WHERE model IS NULL AND deleted_at IS NULL;
CREATE INDEX posts_analysed ON posts (model, created_at) WHERE model IS NOT NULL;
CREATE INDEX posts_stale ON posts (created_at)
    WHERE model IS NOT NULL AND analysed_sha <> text_sha;
CREATE INDEX posts_to_group ON posts (created_at, id)
    WHERE model IS NOT NULL AND incident IS NULL AND deleted_at IS NULL;

CREATE TABLE contents (             -- what is read by row only, kept apart so that scans stay small
    n INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    title TEXT,
    rest TEXT NOT NULL,             -- JSON: the other fields of the post
    analysis TEXT                   -- JSON, without the vector
);
CREATE TABLE vectors (n INTEGER PRIMARY KEY, model TEXT NOT NULL, vector BLOB NOT NULL);

CREATE TABLE offices (account TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (account, n))
    WITHOUT ROWID;
CREATE TABLE mentions (account TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (account, n))
    WITHOUT ROWID;

CREATE VIRTUAL TABLE words USING fts5 (text, title, content='', tokenize='ascii');

CREATE TABLE failures (
    stage TEXT NOT NULL,
    post_id TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (stage, post_id)
) WITHOUT ROWID;

CREATE TABLE records (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    written INTEGER NOT NULL,       -- rises with every write to any record
    state TEXT NOT NULL,
    ref TEXT NOT NULL,
    offices TEXT NOT NULL,          -- JSON list
    body TEXT NOT NULL,             -- JSON
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX records_by_write ON records (written);
CREATE INDEX records_by_state ON records (kind, state, id);
CREATE INDEX records_by_ref ON records (kind, ref, id);

CREATE TABLE notes (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
"""


def _first(connection: sqlite3.Connection) -> None:
    for statement in _statements(_FIRST):
        connection.execute(statement)


def _authors(connection: sqlite3.Connection) -> None:
    """`posts.author`: see archive/authors.py; filled by archive/sqlite/rewording.py."""
    connection.execute("ALTER TABLE posts ADD COLUMN author INTEGER")


_TOUCHED = """
CREATE TABLE touched (              -- posts written again or removed, in order; the last ones
    seq INTEGER PRIMARY KEY,        -- without AUTOINCREMENT: the last row always stays
    n INTEGER NOT NULL
);
CREATE TRIGGER touch_changed AFTER UPDATE ON posts BEGIN
    INSERT INTO touched (n) VALUES (new.n);
    DELETE FROM touched WHERE seq = last_insert_rowid() - KEPT;
END;
CREATE TRIGGER touch_removed AFTER DELETE ON posts BEGIN
    INSERT INTO touched (n) VALUES (old.n);
    DELETE FROM touched WHERE seq = last_insert_rowid() - KEPT;
END;
""".replace("KEPT", str(TOUCHED_KEPT))


def _touched(connection: sqlite3.Connection) -> None:
    """What arrays in memory must read again: see archive/sqlite/arrays.py."""
    for statement in _statements(_TOUCHED):
        connection.execute(statement)


_LETTERS = """
CREATE TABLE dead_letters (         -- posts that a server refused, brought with its archive
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,            -- microseconds since 1970
    reason TEXT NOT NULL,
    post TEXT NOT NULL,             -- JSON, without the vector
    vector BLOB NOT NULL
);
"""


def _dead_letters(connection: sqlite3.Connection) -> None:
    for statement in _statements(_LETTERS):
        connection.execute(statement)


STEPS: tuple[Step, ...] = (_first, _authors, _touched, _dead_letters)


def migrate(connection: sqlite3.Connection, steps: Sequence[Step] = STEPS) -> int:
    """Bring the file up to the newest step, each step in its own transaction; returns the version.

    The caller holds no transaction. Raises `SchemaError` when the file is newer than the program.
    """
    while True:
        version = _version(connection)
        if version > len(steps):
            raise SchemaError(
                f"档案由更新版本的程序写成（结构版本 {version}，本程序只到 {len(steps)}）",
                "请升级 huiyin，或恢复升级前的备份",
            )
        if version == len(steps):
            return version
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection) == version:  # nobody else did it while we waited
                steps[version](connection)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    """Cut a script at its semicolons (`executescript` would end the transaction)."""
    out, statement = [], ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            out.append(statement)
            statement = ""
    return out
