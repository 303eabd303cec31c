"""Search: exact totals, facets, timeline, highlights, pages by key."""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

import json
import sqlite3

import numpy as np

from archive import query as q
from archive.asking import check, highlights, strange_cursor
from archive.base import Hit, SearchRequest, SearchResult
from archive.sqlite.arrays import Numbers
from archive.sqlite.columns import Columns
from archive.sqlite.connection import Database
from archive.sqlite.matching import Matching
from archive.sqlite.relevance import Orders, page
from archive.sqlite.rows import FROM, READ, to_post
from huiyin.records import Post, Scope

_NEVER = 2**62
"""Later than any post, in microseconds since 1970."""


class Searching:
    """`search`."""

    _db: Database
    _columns: Columns
    _orders: Orders

    def search(self, request: SearchRequest, scope: Scope) -> SearchResult:
        check(request)
        node = q.parse(request.query)
        columns = self._columns
        with self._db.snapshot() as connection:
            with columns.at(connection):
                mask = Matching(connection, columns, scope).asked(request.filters, node)
                found = np.flatnonzero(mask)
                times = columns.array("created_at")[found]
                facets = {name: columns.counts(name, found) for name in request.facets}
                buckets = columns.timeline(request.timeline, found) if request.timeline else ()
                authors, estimated = columns.authors(found)
            if request.newest_first or not q.words_of(node):  # nothing to be relevant to
                keys, cursor = _newest(connection, found, times, request.limit, request.after)
            else:
                keys, cursor = page(
                    connection, self._orders, node, found, times, request.limit, request.after
                )
            posts = posts_of(connection, [n for n, _ in keys])
        columns.save_if_due()
        words = q.words_of(node)
        hits = tuple(Hit(posts[n], score, highlights(posts[n], words)) for n, score in keys)
        return SearchResult(hits, len(found), facets, buckets, cursor, authors, estimated)


def _newest(
    connection: sqlite3.Connection, found: Numbers, times: Numbers, limit: int, after: str | None
) -> tuple[list[tuple[int, float]], str | None]:
    """One page of `found`, newest first, as (row number, score 0), and the cursor of the next."""
    at, last_id = _position(after) if after is not None else (_NEVER, "")
    found, times = found[times <= at], times[times <= at]
    older = times[times < at]
    if len(older) > limit:
        # enough posts are older than the cursor down to this time; ids decide between equals
        oldest = np.partition(older, len(older) - limit - 1)[len(older) - limit - 1]
        found = found[times >= oldest]
    rows = connection.execute(
        """SELECT p.n, p.created_at, p.id FROM json_each(?) f CROSS JOIN posts p ON p.n = f.value
            WHERE (p.created_at, p.id) < (?, ?)
            ORDER BY p.created_at DESC, p.id DESC LIMIT ?""",
        (json.dumps(found.tolist()), at, last_id, limit + 1),
    ).fetchall()
    part = rows[:limit]
    more = len(rows) > len(part) and part
    return [(n, 0.0) for n, *_ in part], f"{part[-1][1]}:{part[-1][2]}" if more else None


def _position(after: str) -> tuple[int, str]:
    """(created_at, id) of the last post of the page before."""
    at, _, post_id = after.partition(":")
    if not at.lstrip("-").isdigit():
        raise strange_cursor()
    return int(at), post_id


def posts_of(connection: sqlite3.Connection, numbers: list[int]) -> dict[int, Post]:
    """Posts by row number."""
    marks = ",".join("?" * len(numbers))
    rows = connection.execute(f"SELECT {READ} FROM {FROM} WHERE p.n IN ({marks})", numbers)
    return {row[0]: to_post(row) for row in rows}
