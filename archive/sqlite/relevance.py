"""Pages by relevance: the order is fixed when the first page is asked for.

BM25 depends on the whole archive, so it shifts whenever somebody writes. The order of one search is
therefore kept in memory (the last few searches of a process) and the following pages are cut from
it. Another process, or a later day, works the order out again over the posts that were there at the
first page, and goes on after the last score; only then may a post near the cut come twice or not at
all.
"""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections import OrderedDict
from dataclasses import dataclass

from archive import query as q
from archive.sqlite.where import match_expression
from huiyin.errors import ArchiveError

KEPT = 8
"""Orders in memory; one of 100,000 posts takes about 15 MB."""

Key = tuple[float, int, int]
"""(-score, -created_at, n): ascending is most relevant first"""


@dataclass(frozen=True)
class Cursor:
    """Where a page ends."""

    token: str
    offset: int
    newest: int
    """Largest row number at the first page."""
    last: Key

    def __str__(self) -> str:
        score, created_at, n = self.last
        return f"r:{self.token}:{self.offset}:{self.newest}:{score!r}:{created_at}:{n}"

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Raises `ArchiveError` when it is none of ours."""
        try:
            mark, token, offset, newest, score, created_at, n = text.split(":")
            if mark != "r":
                raise ValueError(mark)
            last = (float(score), int(created_at), int(n))
            return cls(token, int(offset), int(newest), last)
        except ValueError as error:
            raise ArchiveError("翻页标记无法识别", "请从第一页重新检索") from error


class Orders:
    """The orders of the last searches by relevance of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, list[Key]] = OrderedDict()

    def keep(self, order: list[Key]) -> str:
        """Store an order and return its token."""
        token = secrets.token_hex(8)
        with self._lock:
            self._kept[token] = order
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return token

    def find(self, token: str) -> list[Key] | None:
        """The order of that token, None when it is gone."""
        with self._lock:
            if token in self._kept:
                self._kept.move_to_end(token)
            return self._kept.get(token)


def page(
    connection: sqlite3.Connection, orders: Orders, node: q.Node, limit: int, after: str | None
) -> tuple[list[tuple[int, float]], str | None]:
    """One page of `temp.found` as (row number, score), and the cursor of the next."""
    if after is None:
        order = _order(connection, node)
        token = orders.keep(order) if len(order) > limit else ""
        start, newest = 0, max((n for _, _, n in order), default=0)
    else:
        cursor = Cursor.read(after)
        token, start, newest = cursor.token, cursor.offset, cursor.newest
        order = orders.find(token) or []
        if not order:
            fresh = _order(connection, node)
            order = [key for key in fresh if key[2] <= newest and key > cursor.last]
            token, start = orders.keep(order), 0
    part = order[start : start + limit]
    end = start + len(part)
    more = len(order) > end and part
    following = str(Cursor(token, end, newest, part[-1])) if more else None
    still = _still_found(connection, [n for _, _, n in part])
    return [(n, -score) for score, _, n in part if n in still], following


def _order(connection: sqlite3.Connection, node: q.Node) -> list[Key]:
    expression = match_expression(q.Or(tuple(q.words_of(node))))
    # bm25() is negative, the most relevant the smallest
    rows: list[Key] = connection.execute(
        """SELECT bm25(words), -f.created_at, f.n FROM words CROSS JOIN temp.found f
           ON f.n = words.rowid WHERE words MATCH ?""",
        (expression,),
    ).fetchall()
    rows += connection.execute(
        """SELECT 0.0, -created_at, n FROM temp.found
           WHERE n NOT IN (SELECT rowid FROM words WHERE words MATCH ?)""",
        (expression,),
    )
    rows.sort()
    return rows


def _still_found(connection: sqlite3.Connection, numbers: list[int]) -> set[int]:
    """Those that match now: a post of an earlier order may have been deleted or edited."""
    marks = ",".join("?" * len(numbers))
    rows = connection.execute(f"SELECT n FROM temp.found WHERE n IN ({marks})", numbers)
    return {n for (n,) in rows}
