"""Search: exact totals, facets, timeline, highlights, pages by key."""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

from archive import query as q
from archive.asking import FACET_VALUES, ZONE, check, filled, highlights, strange_cursor
from archive.base import FACETS, Hit, SearchRequest, SearchResult
from archive.sqlite.connection import Database
from archive.sqlite.relevance import Orders, page
from archive.sqlite.rows import FROM, READ, moment, to_post
from archive.sqlite.where import Where, where
from huiyin.records import Post, Scope

_COLUMN_FACETS = tuple(name for name in FACETS if name != "office")
_OFFSET = 8 * 3600 * 1_000_000
"""Asia/Shanghai in microseconds; no summer time since 1991, before the first post of any source."""
_BUCKETS = {
    "hour": 3600 * 1_000_000,
    "day": 86400 * 1_000_000,
}
_WEEK = 7 * 86400 * 1_000_000
_MONDAY = 4 * 86400 * 1_000_000
"""1970-01-05 was a Monday."""


class Searching:
    """`search`."""

    _db: Database
    _orders: Orders

    def search(self, request: SearchRequest, scope: Scope) -> SearchResult:
        check(request)
        node = q.parse(request.query)
        asked = where(scope, request.filters, node)
        asked.add("p.deleted_at IS NULL")
        with self._db.snapshot() as connection:
            _materialise(connection, asked, request.facets)
            total = connection.execute("SELECT count(*) FROM temp.found").fetchone()[0]
            if request.newest_first or not q.words_of(node):  # nothing to be relevant to
                keys, cursor = _newest(connection, request.limit, request.after)
            else:
                keys, cursor = page(connection, self._orders, node, request.limit, request.after)
            posts = _posts(connection, [n for n, _ in keys])
            facets = {name: _facet(connection, name) for name in request.facets}
            buckets = _timeline(connection, request.timeline) if request.timeline else ()
            authors = _authors(connection)
            connection.execute("DELETE FROM temp.found")
        words = q.words_of(node)
        hits = tuple(Hit(posts[n], score, highlights(posts[n], words)) for n, score in keys)
        return SearchResult(hits, total, facets, buckets, cursor, authors)


def _materialise(connection: sqlite3.Connection, asked: Where, facets: tuple[str, ...]) -> None:
    """Put row number, time and asked facets of all matches into a temporary table in memory."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS found"
        f" (n INTEGER PRIMARY KEY, created_at INTEGER, author INTEGER, {', '.join(_COLUMN_FACETS)})"
    )
    connection.execute("DELETE FROM temp.found")
    columns = [
        "n",
        "created_at",
        "author",
        *dict.fromkeys(one for one in facets if one in _COLUMN_FACETS),
    ]
    connection.execute(
        f"INSERT INTO temp.found ({','.join(columns)})"
        f" SELECT {','.join('p.' + one for one in columns)} FROM posts p WHERE {asked.sql}",
        asked.parameters,
    )


def _newest(
    connection: sqlite3.Connection, limit: int, after: str | None
) -> tuple[list[tuple[int, float]], str | None]:
    """One page, newest first, as (row number, score 0), and the cursor of the next."""
    before, values = _before(after)
    [oldest] = connection.execute(
        # enough posts are older than the cursor down to this time; ids decide between equals
        f"""SELECT ifnull((SELECT created_at FROM temp.found WHERE {before}
                ORDER BY created_at DESC LIMIT 1 OFFSET {int(limit)}), -9e18)""",
        values[:1],
    ).fetchone()
    sql, values = ("(p.created_at, p.id) < (?, ?)", values) if after else ("1", ())
    rows = connection.execute(
        f"""SELECT p.n, p.created_at, p.id FROM temp.found f CROSS JOIN posts p ON p.n = f.n
            WHERE f.created_at >= ? AND {sql}
            ORDER BY p.created_at DESC, p.id DESC LIMIT ?""",
        (oldest, *values, limit + 1),
    ).fetchall()
    part = rows[:limit]
    more = len(rows) > len(part) and part
    return [(n, 0.0) for n, *_ in part], f"{part[-1][1]}:{part[-1][2]}" if more else None


def _before(after: str | None) -> tuple[str, tuple[Any, ...]]:
    """Condition on `temp.found` of a page's cursor, and (created_at, id) to start below."""
    if after is None:
        return "1", ()
    at, _, post_id = after.partition(":")
    if not at.lstrip("-").isdigit():
        raise strange_cursor()
    return "created_at < ?", (int(at), post_id)


def _posts(connection: sqlite3.Connection, numbers: list[int]) -> dict[int, Post]:
    marks = ",".join("?" * len(numbers))
    rows = connection.execute(f"SELECT {READ} FROM {FROM} WHERE p.n IN ({marks})", numbers)
    return {row[0]: to_post(row) for row in rows}


def _facet(connection: sqlite3.Connection, name: str) -> tuple[tuple[str, int], ...]:
    if name == "office":
        sql = """SELECT o.account, count(*) FROM offices o JOIN temp.found f ON f.n = o.n
                 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?"""
    else:
        sql = f"""SELECT {name}, count(*) FROM temp.found WHERE {name} > ''
                  GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?"""
    rows = connection.execute(sql, (FACET_VALUES,)).fetchall()
    if name == "category":
        return tuple((value.strip("/"), count) for value, count in rows)
    return tuple((value, count) for value, count in rows)


def _authors(connection: sqlite3.Connection) -> int:
    sql = "SELECT count(DISTINCT author) FROM temp.found"
    return int(connection.execute(sql).fetchone()[0])


def _timeline(connection: sqlite3.Connection, unit: str) -> tuple[tuple[datetime, int], ...]:
    if unit == "month":
        local = f"(created_at + {_OFFSET}) / 1000000"
        sql = f"SELECT strftime('%Y-%m', {local}, 'unixepoch'), count(*) FROM temp.found GROUP BY 1"
        months = {datetime.strptime(at, "%Y-%m").replace(tzinfo=ZONE): count
                  for at, count in connection.execute(sql)}  # fmt: skip
        return filled(months, unit)
    width, shift = (_WEEK, _OFFSET - _MONDAY) if unit == "week" else (_BUCKETS[unit], _OFFSET)
    sql = f"SELECT (created_at + {shift}) / {width}, count(*) FROM temp.found GROUP BY 1"
    counts = {
        moment(at * width - shift).astimezone(ZONE): count for at, count in connection.execute(sql)
    }
    return filled(counts, unit)
