"""Posts as their owners write them: the crawler, nlp, incidents."""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from archive.base import Packer, PutReport
from archive.merging import category_path
from archive.sqlite import merge
from archive.sqlite.connection import Database, Row
from archive.sqlite.rows import (
    CONTENT_COLUMNS,
    POST_COLUMNS,
    Prepared,
    analysis_json,
    pack,
    prepared,
    unpack,
)
from archive.sqlite.upkeep import Upkeep
from huiyin.records import Analysis, Post

T = TypeVar("T")

FIRST_SLICE = 250
"""Posts in the first transaction of a bulk write; later ones follow the time that it took."""
LARGEST_SLICE = 1500
ROWS_A_STATEMENT = (500, 100, 20, 5, 1)
"""Largest first; 500 rows of 21 columns stay below SQLite's default limit of 32,766 parameters."""
SLICE_SECONDS = 0.035
"""What a transaction aims at, so that most stay below 50 ms."""
LEAST_WORK_SECONDS = 0.010
"""Processor time that a transaction may always use: when it is the disk that takes long, smaller
slices would only wait for it more often."""
PAUSE_SECONDS = 0.003
"""At least so long between two transactions of a bulk write, three tries of a waiting writer
(`POLL_SECONDS`); preparing the next posts mostly takes longer."""


class PostWriting:
    """`put_posts`, `delete_posts`, `write_analyses`, `mark_incidents`."""

    _db: Database
    _upkeep: Upkeep
    _slice: int = FIRST_SLICE

    def put_posts(self, posts: Sequence[Post]) -> PutReport:
        parts = in_parts(posts, LARGEST_SLICE)
        return self._put_all(one for part in parts for one in prepared(part))

    def packer(self) -> Packer:
        return pack

    def put_packed(self, packed: bytes) -> PutReport:
        return self._put_all(unpack(packed))

    def _put_all(self, posts: Iterator[tuple[Prepared, Row]]) -> PutReport:
        report = PutReport()
        free_since = -math.inf
        while part := list(islice(posts, self._slice)):
            still = PAUSE_SECONDS - (time.perf_counter() - free_since)
            if still > 0:
                self._db.pause(still)
            with self._db.write() as connection:
                started, worked = time.perf_counter(), time.thread_time()
                report += _put(connection, part)
            free_since = time.perf_counter()
            self._adapt(len(part), free_since - started, time.thread_time() - worked)
        return report

    def _adapt(self, rows: int, seconds: float, worked: float) -> None:
        """Choose the next slice so that it takes `SLICE_SECONDS`; grows slowly, shrinks at once."""
        by_time = rows * SLICE_SECONDS / max(seconds, 1e-6)
        by_work = rows * LEAST_WORK_SECONDS / max(worked, 1e-6)
        wanted = int(max(by_time, by_work, 1.0))
        self._slice = min(wanted, int(self._slice * 1.25) + 1, LARGEST_SLICE)

    def delete_posts(self, ids: Sequence[str], at: datetime) -> int:
        deleted = 0
        for part in in_parts(ids, 100):
            with self._db.write() as connection:
                for n, _ in known_rows(connection, part):
                    deleted += merge.erase(connection, n, at)
        if deleted:
            self._upkeep.purge_soon()
        return deleted

    def write_analyses(self, analyses: Sequence[tuple[str, Analysis]]) -> int:
        written = 0
        for part in in_parts(analyses, 100):
            rows = [(post_id, one, analysis_json(one)) for post_id, one in part]
            with self._db.write() as connection:
                for post_id, one, body in rows:
                    written += write_analysis(connection, post_id, one, body)
        return written

    def mark_incidents(
        self, marks: Mapping[str, str], *, was: Mapping[str, Sequence[str]] | None = None
    ) -> int:
        marked, left = 0, was or {}
        rows = [(id_, mark, json.dumps(left.get(id_, ()))) for id_, mark in marks.items()]
        for part in in_parts(rows, 500):
            with self._db.write() as connection:
                done = connection.executemany(
                    "UPDATE posts SET incident = ?2 WHERE id = ?1 AND incident IS NOT ?2 AND"
                    " (incident IS NULL OR (incident = '' AND ?2 <> '') OR"
                    " (?2 <> '' AND incident IN (SELECT value FROM json_each(?3))))", part
                )  # fmt: skip
                marked += done.rowcount  # of all; without what triggers wrote
        return marked


def _put(connection: sqlite3.Connection, posts: Sequence[tuple[Prepared, Row]]) -> PutReport:
    known = {id_: n for n, id_ in known_rows(connection, [one.id for one, _ in posts])}
    fresh: dict[str, tuple[Prepared, Row]] = {}
    later: list[Prepared] = []
    for one, tokens in posts:
        if one.id in known or one.id in fresh:
            later.append(one)
        else:
            fresh[one.id] = one, tokens
    if fresh:
        known.update(insert_posts(connection, list(fresh.values())))
    updated = 0
    for one in later:
        updated += merge.refresh(connection, known[one.id], one.post())
    return PutReport(new=len(fresh), updated=updated, unchanged=len(later) - updated)


def known_rows(connection: sqlite3.Connection, ids: Sequence[str]) -> list[tuple[int, str]]:
    """(n, id) of those ids that are stored."""
    marks = ",".join("?" * len(ids))
    return connection.execute(
        f"SELECT n, id FROM posts WHERE id IN ({marks})", list(ids)
    ).fetchall()


def insert_posts(
    connection: sqlite3.Connection, fresh: Sequence[tuple[Prepared, Row]]
) -> dict[str, int]:
    """Store posts that are new; one statement a table, so that C does the loop without the GIL."""
    first = 1 + last_row(connection)
    rows = [(n, one, words) for n, (one, words) in enumerate(fresh, first)]
    _insert_rows(connection, "posts", POST_COLUMNS, ((n, *one.columns) for n, one, _ in rows))
    _insert_rows(
        connection, "contents", CONTENT_COLUMNS,
        ((n, one.text, one.title, one.rest) for n, one, _ in rows),
    )  # fmt: skip
    _insert_rows(
        connection, "words", ("rowid", "text", "title"),
        ((n, *words) for n, one, words in rows if not one.deleted),
    )  # fmt: skip
    for table in ("offices", "mentions"):
        _insert_rows(
            connection, table, ("account", "n"),
            sorted((account, n) for n, one, _ in rows for account in set(getattr(one, table))),
        )  # fmt: skip
    return {one.id: n for n, one, _ in rows}


def last_row(connection: sqlite3.Connection) -> int:
    """The highest row number ever given, also when its post was removed since."""
    [[last]] = connection.execute(
        """SELECT max(ifnull((SELECT max(n) FROM posts), 0),
                      ifnull((SELECT value FROM notes WHERE name = 'last_n'), 0))"""
    ).fetchall()
    return int(last)


def _insert_rows(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], rows: Iterable[Any]
) -> None:
    """Insert rows, many by one statement.

    Only a few lengths of statement, so that each is compiled once: one of every length would be
    kept with its thousands of parameters, about 2 MB each.
    """
    row = "(" + ",".join("?" * len(columns)) + ")"
    left = list(rows)
    start = 0
    for size in ROWS_A_STATEMENT:
        sql = f"INSERT INTO {table} ({','.join(columns)}) VALUES " + ",".join([row] * size)
        while len(left) - start >= size:
            part = left[start : start + size]
            connection.execute(sql, [value for values in part for value in values])
            start += size


def write_analysis(connection: sqlite3.Connection, post_id: str, one: Analysis, body: str) -> int:
    """Store one analysis, `body` being its JSON; 1 when the post took it."""
    row = connection.execute(
        """UPDATE posts SET model = ?2, analysed_sha = ?3, sentiment = ?4, emotion = ?5,
               intent = ?6, category = ?7, needs_answer = ?8, urgency = ?9
           WHERE id = ?1 AND deleted_at IS NULL AND (model IS NULL OR text_sha = ?3)
           RETURNING n""",
        (
            post_id, one.model, one.text_sha, one.sentiment.label, one.emotion.label,
            one.intent.label, category_path(one.category.path), one.needs_answer,
            one.urgency.score,
        ),
    ).fetchall()  # fmt: skip
    if not row:
        return 0
    n = row[0][0]
    connection.execute("UPDATE contents SET analysis = ? WHERE n = ?", (body, n))
    connection.execute("DELETE FROM vectors WHERE n = ? AND ? = x''", (n, one.vector))
    if one.vector:
        connection.execute(
            "INSERT OR REPLACE INTO vectors VALUES (?,?,?)", (n, one.model, one.vector)
        )
    connection.execute("DELETE FROM failures WHERE stage = 'analysis' AND post_id = ?", (post_id,))
    return 1


def in_parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size` items, in order."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
