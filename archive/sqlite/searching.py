"""Search: exact totals, facets, timeline, highlights, pages by key."""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from archive import query as q
from archive.base import FACETS, TIMEZONE, Hit, SearchRequest, SearchResult
from archive.sqlite.connection import Database
from archive.sqlite.relevance import Orders, page
from archive.sqlite.rows import FROM, READ, moment, to_post
from archive.sqlite.where import Where, where
from archive.tokens import spans
from huiyin.errors import ArchiveError
from huiyin.records import Post, Scope

FACET_VALUES = 100
LARGEST_PAGE = 10_000
_COLUMN_FACETS = tuple(name for name in FACETS if name != "office")
_ZONE = ZoneInfo(TIMEZONE)
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
        _check(request)
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
            connection.execute("DELETE FROM temp.found")
        words = q.words_of(node)
        hits = tuple(Hit(posts[n], score, highlights(posts[n], words)) for n, score in keys)
        return SearchResult(hits, total, facets, buckets, cursor)


def _check(request: SearchRequest) -> None:
    unknown = [name for name in request.facets if name not in FACETS]
    if unknown:
        raise ArchiveError(f"没有 {unknown[0]} 这个分面", f"可用：{' '.join(FACETS)}")
    if request.timeline not in (None, "hour", "day", "week", "month"):
        raise ArchiveError(f"没有 {request.timeline} 这种时间粒度", "可用：hour day week month")
    if not 0 <= request.limit <= LARGEST_PAGE:
        raise ArchiveError(f"一页最多 {LARGEST_PAGE} 条", "请用 next_cursor 翻页")


def _materialise(connection: sqlite3.Connection, asked: Where, facets: tuple[str, ...]) -> None:
    """Put row number, time and asked facets of all matches into a temporary table in memory."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS found"
        f" (n INTEGER PRIMARY KEY, created_at INTEGER, {', '.join(_COLUMN_FACETS)})"
    )
    connection.execute("DELETE FROM temp.found")
    columns = ["n", "created_at", *dict.fromkeys(one for one in facets if one in _COLUMN_FACETS)]
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
        raise ArchiveError("翻页标记无法识别", "请从第一页重新检索")
    return "created_at < ?", (int(at), post_id)


def _posts(connection: sqlite3.Connection, numbers: list[int]) -> dict[int, Post]:
    marks = ",".join("?" * len(numbers))
    rows = connection.execute(f"SELECT {READ} FROM {FROM} WHERE p.n IN ({marks})", numbers)
    return {row[0]: to_post(row) for row in rows}


def highlights(post: Post, words: list[q.Words]) -> tuple[tuple[int, int], ...]:
    """[start, end) positions in the text where any of the words stand, joined where they touch."""
    found = sorted(
        span
        for one in words if one.field == "text"
        for span in spans(post.text, one.words, prefix=one.prefix)
    )  # fmt: skip
    joined: list[tuple[int, int]] = []
    for start, end in found:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


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


def _timeline(connection: sqlite3.Connection, unit: str) -> tuple[tuple[datetime, int], ...]:
    if unit == "month":
        local = f"(created_at + {_OFFSET}) / 1000000"
        sql = f"SELECT strftime('%Y-%m', {local}, 'unixepoch'), count(*) FROM temp.found GROUP BY 1"
        months = {datetime.strptime(at, "%Y-%m").replace(tzinfo=_ZONE): count
                  for at, count in connection.execute(sql)}  # fmt: skip
        return _filled(months, lambda at: (at + timedelta(days=32)).replace(day=1))
    width, shift = (_WEEK, _OFFSET - _MONDAY) if unit == "week" else (_BUCKETS[unit], _OFFSET)
    sql = f"SELECT (created_at + {shift}) / {width}, count(*) FROM temp.found GROUP BY 1"
    counts = {
        moment(at * width - shift).astimezone(_ZONE): count for at, count in connection.execute(sql)
    }
    return _filled(counts, lambda at: at + timedelta(microseconds=width))


def _filled(counts: Mapping[datetime, int], following: Any) -> tuple[tuple[datetime, int], ...]:
    """Buckets from the first to the last, empty ones included."""
    out: list[tuple[datetime, int]] = []
    if not counts:
        return ()
    at, last = min(counts), max(counts)
    while at <= last:
        out.append((at, counts.get(at, 0)))
        at = following(at)
    return tuple(out)
