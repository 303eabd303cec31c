"""Which posts a question asks for: every condition is a mask over row numbers, joined by numpy.

Words are looked up in the word index; what columns.py keeps is compared there; the few other
conditions are asked of the tables.
"""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import reduce
from operator import and_, or_
from typing import Any

import numpy as np

from archive import query as q
from archive.base import Filters
from archive.merging import category_path
from archive.sqlite.arrays import Mask, Numbers
from archive.sqlite.columns import CODED, NUMBERS, SETS, Columns
from archive.sqlite.rows import micros
from archive.sqlite.where import leaf, match_expression, region_stem
from huiyin.records import Scope


def row_numbers(
    connection: sqlite3.Connection, sql: str, parameters: Sequence[Any] = ()
) -> Numbers:
    """The numbers that `sql` selects as `n`, read as one text: a third of the time of rows."""
    [[text]] = connection.execute(f"SELECT group_concat(n) FROM ({sql})", parameters).fetchall()
    numbers: Numbers = np.fromstring(text or "", dtype=np.int64, sep=",")
    return numbers


class Matching:
    """Reads `columns` at the moment of `connection`'s transaction; used inside `Columns.at`."""

    def __init__(self, connection: sqlite3.Connection, columns: Columns, scope: Scope) -> None:
        self._connection = connection
        self._columns = columns
        self._scope = scope
        self._low, self._high = 0, columns.rows
        """Row numbers between which words are looked for."""

    def seen(self, filters: Filters | None = None) -> Mask:
        """Posts in the scope that fulfil the filters; deleted ones are none."""
        mask: Mask = self._columns.array("live").copy()
        if self._scope.offices is not None:
            mask &= self._columns.where("office", self._scope.offices.__contains__)
        for one in self._filtered(filters) if filters is not None else ():
            mask &= one
        return mask

    def _filtered(self, filters: Filters) -> Iterator[Mask]:
        """One mask for each filter that is set."""
        if filters.since is not None or filters.until is not None:
            yield self._range(
                q.Range("created_at", filters.since, filters.until, include_high=False)
            )
        for field, values in (
            ("platform", filters.platforms), ("kind", filters.kinds), ("office", filters.offices),
            ("author_kind", filters.author_kinds), ("sentiment", filters.sentiments),
            ("emotion", filters.emotions), ("intent", filters.intents),
        ):  # fmt: skip
            if values:
                yield self._columns.where(field, {str(one) for one in values}.__contains__)
        if filters.region is not None:
            yield self.node(q.Equals("region", filters.region))
        if filters.category:
            path = category_path(filters.category)
            yield self._columns.where("category", lambda text: text.startswith(path))
        for column, value in (("incident", filters.incident), ("root", filters.root)):
            if value is not None:  # an empty incident is one too: alone
                yield self._tables(f"p.{column} = ?", value)
        if filters.min_needs_answer is not None:
            yield self._range(q.Range("needs_answer", filters.min_needs_answer, None))

    def asked(self, filters: Filters | None, node: q.Node) -> Mask:
        """Of those, the posts that match the query."""
        mask = self.seen(filters)
        rows = np.flatnonzero(mask)
        if not len(rows) or isinstance(node, q.Everything):
            return mask
        self._low, self._high = int(rows[0]), int(rows[-1])
        mask &= self.node(q.resolved(node, lambda: q.Replied(self._scope.offices)))
        return mask

    def node(self, node: q.Node) -> Mask:
        """The posts that match; unknown values never do, so under a Not they always do."""
        words = match_expression(node)
        if words is not None:
            return self._words(words)
        if isinstance(node, q.And | q.Or):
            return self._joined(node)
        if isinstance(node, q.Not):
            return ~self.node(node.part)
        if isinstance(node, q.Range):
            return self._range(node)
        if isinstance(node, q.Equals | q.Prefix) and node.field in (*CODED, *SETS):
            return self._columns.where(node.field, _test(node))
        if isinstance(node, q.Exists) and node.field in (*CODED, *SETS):
            return self._columns.where(node.field, bool)
        if isinstance(node, q.Exists) and node.field in NUMBERS:
            return ~np.isnan(self._columns.array(node.field))
        sql, parameters = leaf(node)
        return self._tables(sql, *parameters)

    def _words(self, expression: str) -> Mask:
        sql = """SELECT rowid AS n FROM words
                 WHERE words MATCH ? AND rowid >= ? AND rowid <= ?"""
        found = row_numbers(self._connection, sql, (expression, self._low, self._high))
        return self._columns.chosen(found)

    def _tables(self, condition: str, *parameters: Any) -> Mask:
        """Posts for which an SQL condition on `posts p` holds."""
        sql = f"SELECT p.n AS n FROM posts p WHERE {condition}"
        return self._columns.chosen(row_numbers(self._connection, sql, parameters))

    def _joined(self, node: q.And | q.Or) -> Mask:
        """AND or OR; parts that the word index can answer together become one question to it."""
        together = [part for part in node.parts if match_expression(part) is not None]
        apart = [part for part in node.parts if match_expression(part) is None]
        masks = [self.node(part) for part in apart]
        if together:
            masks.append(self.node(type(node)(tuple(together))))
        return reduce(and_ if isinstance(node, q.And) else or_, masks)

    def _range(self, node: q.Range) -> Mask:
        values = self._columns.array(node.field)
        mask: Mask = values == values  # noqa: PLR0124 - false for unknown numbers
        for end, compare in (
            (node.low, np.greater_equal if node.include_low else np.greater),
            (node.high, np.less_equal if node.include_high else np.less),
        ):
            if end is not None:
                mask &= compare(values, micros(end) if isinstance(end, datetime) else end)
        return mask


def _test(node: q.Equals | q.Prefix) -> Callable[[str], bool]:
    """What a value must fulfil."""
    value = node.value
    if node.field == "category":
        end = "/" if isinstance(node, q.Equals) else ""
        part = f"/{value.strip('/')}{end}"
        return lambda text: part in text
    if isinstance(node, q.Prefix):
        return lambda text: text.startswith(value)
    if node.field == "region":
        stem = region_stem(value)
        return lambda text: text.startswith(stem)
    return lambda text: text == value
