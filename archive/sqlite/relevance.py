"""Pages by relevance: the order is fixed when the first page is asked for.

BM25 depends on the whole archive, so it shifts whenever somebody writes. The order of one search is
therefore kept in memory (the last few searches of a process) and the following pages are cut from
it. Another process, or a later day, works the order out again over the posts that were there at the
first page, and goes on after the last score; only then may a post near the cut come twice or not at
all.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from archive import query as q
from archive.sqlite.arrays import Numbers
from archive.sqlite.where import match_expression
from huiyin.errors import ArchiveError

KEPT = 8
"""Orders in memory; one of 100,000 posts takes about 2.4 MB."""

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


@dataclass(frozen=True)
class Order:
    """Keys in ascending order, as three arrays of the same length."""

    scores: npt.NDArray[np.float64]
    times: Numbers
    rows: Numbers

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice | npt.NDArray[Any]) -> Order:
        return Order(self.scores[part], self.times[part], self.rows[part])

    def keys(self) -> list[Key]:
        """As Python numbers."""
        return list(zip(self.scores.tolist(), self.times.tolist(), self.rows.tolist(), strict=True))

    def after(self, last: Key, newest: int) -> Order:
        """What follows `last` among the row numbers until `newest`."""
        score, time, n = last
        later = (self.times > time) | ((self.times == time) & (self.rows > n))
        follows = (self.scores > score) | ((self.scores == score) & later)
        return self[follows & (self.rows <= newest)]


class Orders:
    """The orders of the last searches by relevance of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Order] = OrderedDict()

    def keep(self, order: Order) -> str:
        """Store an order and return its token."""
        token = secrets.token_hex(8)
        with self._lock:
            self._kept[token] = order
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return token

    def find(self, token: str) -> Order | None:
        """The order of that token, None when it is gone."""
        with self._lock:
            if token in self._kept:
                self._kept.move_to_end(token)
            return self._kept.get(token)


def page(
    connection: sqlite3.Connection, orders: Orders, node: q.Node, found: Numbers, times: Numbers,
    limit: int, after: str | None,
) -> tuple[list[tuple[int, float]], str | None]:  # fmt: skip
    """One page of `found` (ascending) as (row number, score), and the cursor of the next."""
    if after is None:
        order = _order(connection, node, found, times)
        token = orders.keep(order) if len(order) > limit else ""
        start, newest = 0, int(found[-1]) if len(found) else 0
    else:
        cursor = Cursor.read(after)
        token, start, newest = cursor.token, cursor.offset, cursor.newest
        kept = orders.find(token)
        if kept is None:
            kept = _order(connection, node, found, times).after(cursor.last, newest)
            token, start = orders.keep(kept), 0
        order = kept
    part = order[start : start + limit].keys()
    end = start + len(part)
    more = len(order) > end and part
    following = str(Cursor(token, end, newest, part[-1])) if more else None
    # a post of an earlier order may have been deleted or edited
    still = np.isin([n for _, _, n in part], found)
    return [(n, -score) for (score, _, n), here in zip(part, still, strict=True) if here], following


def _order(connection: sqlite3.Connection, node: q.Node, found: Numbers, times: Numbers) -> Order:
    expression = match_expression(q.Or(tuple(q.words_of(node))))
    # bm25() is negative, the most relevant the smallest; the plus keeps SQLite from asking the
    # word index once for each row
    rows = connection.execute(
        """SELECT rowid, bm25(words) FROM words
           WHERE words MATCH ? AND +rowid IN (SELECT value FROM json_each(?))""",
        (expression, json.dumps(found.tolist())),
    ).fetchall()
    scores = np.zeros(len(found))
    scores[np.searchsorted(found, [n for n, _ in rows])] = [score for _, score in rows]
    order = np.lexsort((found, -times, scores))
    return Order(scores, -times, found)[order]
