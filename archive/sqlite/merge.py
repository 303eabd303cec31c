"""Writes into rows what archive/merging.py says of a stored post and another reading of it."""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

import sqlite3
from datetime import datetime

from archive.authors import author_number
from archive.merging import COUNTS, erased, merge_words
from archive.sqlite.rows import FROM, READ, micros, rest_json, to_post
from archive.sqlite.upkeep import mark_for_purge
from archive.tokens import index_tokens
from huiyin.records import Post, text_sha


def refresh(connection: sqlite3.Connection, n: int, new: Post) -> bool:
    """Write what a reading of a known post brings; True when text, counts or deletion changed."""
    old = load(connection, n)
    if old.deleted_at is not None:
        return False
    if new.deleted_at is not None:
        erase(connection, n, new.deleted_at)
        return True
    counted = _refresh_counts(connection, n, new)
    merged = merge_words(old, new)
    if merged == old:
        return counted
    changed = (merged.text, merged.title) != (old.text, old.title)
    _write_words(connection, n, old, merged)
    visible = merged.model_copy(update={"read_at": old.read_at}) != old
    return counted or changed or visible


def load(connection: sqlite3.Connection, n: int) -> Post:
    """The stored post."""
    row = connection.execute(f"SELECT {READ} FROM {FROM} WHERE p.n = ?", (n,)).fetchone()
    return to_post(row)


def _write_words(connection: sqlite3.Connection, n: int, old: Post, new: Post) -> None:
    sha = text_sha(new.title, new.text)
    connection.execute(
        """UPDATE posts SET read_at = ?, kind = ?, author_kind = ?, region = ?, root = ?,
               parent = ?, text_sha = ?, author = ? WHERE n = ?""",
        (
            micros(new.read_at), new.kind.value, new.author.kind.value, new.region, new.root,
            new.parent, sha, author_number(new.author.key), n,
        ),
    )  # fmt: skip
    connection.execute(
        "UPDATE contents SET text = ?, title = ?, rest = ? WHERE n = ?",
        (new.text, new.title, rest_json(new), n),
    )
    for table in ("offices", "mentions"):
        for account in getattr(new, table):
            if account not in getattr(old, table):
                connection.execute(f"INSERT OR IGNORE INTO {table} VALUES (?,?)", (account, n))
    if (new.text, new.title) != (old.text, old.title):
        unindex(connection, n, old)
        connection.execute(
            "INSERT INTO words(rowid, text, title) VALUES (?,?,?)",
            (n, index_tokens(new.text), index_tokens(new.title or "")),
        )
        # what failed on the old text may succeed on the new one
        connection.execute("DELETE FROM failures WHERE post_id = ?", (old.id,))


def unindex(connection: sqlite3.Connection, n: int, old: Post) -> None:
    """Take a text out of the search index, which keeps no copy and so must be told the words.

    They cannot be found from now on; their letters leave the file with the next purge.
    """
    connection.execute(
        "INSERT INTO words(words, rowid, text, title) VALUES ('delete',?,?,?)",
        (n, index_tokens(old.text), index_tokens(old.title or "")),
    )
    mark_for_purge(connection)


def _refresh_counts(connection: sqlite3.Connection, n: int, new: Post) -> bool:
    if new.metrics is None:
        return False
    at = micros(new.metrics.read_at)
    changed = False
    for name in COUNTS:
        value = getattr(new.metrics, name)
        if value is None:
            continue
        done = connection.execute(
            f"""UPDATE posts SET {name} = ?1, {name}_at = ?2 WHERE n = ?3
                AND ({name} IS NULL OR {name}_at < ?2 OR ({name}_at = ?2 AND {name} < ?1))
                RETURNING 1""",
            (value, at, n),
        ).fetchall()
        changed = changed or bool(done)
    connection.execute(
        "UPDATE posts SET metrics_at = ?1 WHERE n = ?2 AND ifnull(metrics_at, ?1 - 1) < ?1", (at, n)
    )
    return changed


def erase(connection: sqlite3.Connection, n: int, at: datetime) -> bool:
    """Leave only the tombstone of a post; False when it was one already."""
    old = load(connection, n)
    if old.deleted_at is not None:
        return False
    unindex(connection, n, old)
    connection.execute(
        """UPDATE posts SET deleted_at = ?, text_sha = ?, model = NULL, analysed_sha = NULL,
               sentiment = NULL, emotion = NULL, intent = NULL, category = NULL,
               needs_answer = NULL, urgency = NULL WHERE n = ?""",
        (micros(at), text_sha(None, ""), n),
    )
    connection.execute(
        "UPDATE contents SET text = '', title = NULL, rest = ?, analysis = NULL WHERE n = ?",
        (rest_json(erased(old, at)), n),
    )
    connection.execute("DELETE FROM vectors WHERE n = ?", (n,))
    connection.execute("DELETE FROM failures WHERE post_id = ?", (old.id,))
    return True
