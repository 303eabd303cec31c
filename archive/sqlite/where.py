"""Queries, filters and scopes as SQL conditions on `posts p`."""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from archive import query as q
from archive.base import Filters
from archive.merging import category_path
from archive.sqlite.rows import micros
from archive.tokens import query_tokens
from huiyin.records import Scope

_MANY = {"office": "offices", "mentions": "mentions"}
"""Fields with several values: their tables."""


class Where:
    """Conditions that must all hold, and their parameters in order."""

    def __init__(self) -> None:
        self.conditions: list[str] = []
        self.parameters: list[Any] = []

    def add(self, condition: str, *parameters: Any) -> None:
        """One more condition."""
        self.conditions.append(condition)
        self.parameters.extend(parameters)

    @property
    def sql(self) -> str:
        """The conditions joined, `1` when there are none."""
        return " AND ".join(f"({one})" for one in self.conditions) or "1"


def where(scope: Scope, filters: Filters | None = None, node: q.Node | None = None) -> Where:
    """What a question asks for; deleted posts are no matches of words, but exist."""
    out = Where()
    _add_scope(out, scope)
    if node is not None and not isinstance(node, q.Everything):
        sql, parameters = condition(q.resolved(node, lambda: q.Replied(scope.offices)))
        out.add(sql, *parameters)
    if filters is not None:
        _add_filters(out, filters)
    return out


def _add_scope(out: Where, scope: Scope) -> None:
    if scope.offices is not None:
        _add_any(out, "offices", sorted(scope.offices))


def _add_any(out: Where, table: str, accounts: Sequence[str]) -> None:
    if not accounts:
        out.add("0")
        return
    marks = ",".join("?" * len(accounts))
    out.add(
        f"EXISTS (SELECT 1 FROM {table} o WHERE o.account IN ({marks}) AND o.n = p.n)", *accounts
    )


def _add_filters(out: Where, filters: Filters) -> None:
    if filters.since is not None:
        out.add("p.created_at >= ?", micros(filters.since))
    if filters.until is not None:
        out.add("p.created_at < ?", micros(filters.until))
    for column, values in (
        ("platform", filters.platforms), ("kind", filters.kinds),
        ("author_kind", filters.author_kinds), ("sentiment", filters.sentiments),
        ("emotion", filters.emotions), ("intent", filters.intents),
    ):  # fmt: skip
        if values:
            out.add(f"p.{column} IN ({','.join('?' * len(values))})", *(str(v) for v in values))
    if filters.offices:
        _add_any(out, "offices", filters.offices)
    if filters.region is not None:
        out.add(*_in_region(filters.region))
    if filters.category:
        path = category_path(filters.category)
        out.add("substr(p.category, 1, ?) = ?", len(path), path)
    if filters.incident is not None:
        out.add("p.incident = ?", filters.incident)
    if filters.root is not None:
        out.add("p.root = ?", filters.root)
    if filters.min_needs_answer is not None:
        out.add("p.needs_answer >= ?", filters.min_needs_answer)


def _in_region(adcode: str) -> tuple[Any, ...]:
    """Everything under an adcode: 410000 a province, 410100 a city, 410102 a county."""
    stem = adcode
    while len(stem) > 2 and stem.endswith("00") and len(stem) % 2 == 0:
        stem = stem[:-2]
    return "substr(p.region, 1, ?) = ?", len(stem), stem


def condition(node: q.Node) -> tuple[str, list[Any]]:
    """SQL that is true exactly for the posts that match; unknown values count as no match."""
    words = match_expression(node)
    if words is not None:
        return "p.n IN (SELECT rowid FROM words WHERE words MATCH ?)", [words]
    if isinstance(node, q.And | q.Or):
        return _joined(node)
    if isinstance(node, q.Not):
        sql, parameters = condition(node.part)
        return f"({sql}) IS NOT TRUE", parameters
    if isinstance(node, q.Range):
        return _range(node)
    if isinstance(node, q.Equals):
        return _equals(node)
    if isinstance(node, q.Prefix):
        if node.field == "category":
            return "instr(p.category, ?) > 0", [f"/{node.value.strip('/')}"]
        return _field(node.field, "substr({0}, 1, ?) = ?", [len(node.value), node.value])
    if isinstance(node, q.Exists):
        return _exists(node)
    if isinstance(node, q.Replied):
        return _replied(node)
    if isinstance(node, q.Ids):
        return f"p.id IN ({','.join('?' * len(node.ids))})", sorted(node.ids)
    return "1", []


def _joined(node: q.And | q.Or) -> tuple[str, list[Any]]:
    """AND or OR; parts that the word index can answer together become one question to it."""
    glue = " AND " if isinstance(node, q.And) else " OR "
    together = [part for part in node.parts if match_expression(part) is not None]
    apart: list[q.Node] = [part for part in node.parts if match_expression(part) is None]
    if len(together) > 1:
        apart.insert(0, type(node)(tuple(together)))
    else:
        apart = [*together, *apart]
    sqls, parameters = [], []
    for part in apart:
        sql, values = condition(part)
        sqls.append(f"({sql})")
        parameters += values
    return glue.join(sqls), parameters


def _range(node: q.Range) -> tuple[str, list[Any]]:
    parts, parameters = [f"p.{node.field} IS NOT NULL"], []
    for end, operator in (
        (node.low, ">=" if node.include_low else ">"),
        (node.high, "<=" if node.include_high else "<"),
    ):
        if end is not None:
            parts.append(f"p.{node.field} {operator} ?")
            parameters.append(micros(end) if isinstance(end, datetime) else end)
    return " AND ".join(parts), parameters


def _equals(node: q.Equals) -> tuple[str, list[Any]]:
    if node.field == "region":
        sql, *parameters = _in_region(node.value)
        return sql, parameters
    if node.field == "category":
        return "instr(p.category, ?) > 0", [f"/{node.value.strip('/')}/"]
    return _field(node.field, "{0} = ?", [node.value])


def _field(field: str, test: str, parameters: list[Any]) -> tuple[str, list[Any]]:
    if field in _MANY:
        table = _MANY[field]
        return f"p.n IN (SELECT o.n FROM {table} o WHERE {test.format('o.account')})", parameters
    return test.format(f"p.{field}"), parameters


def _exists(node: q.Exists) -> tuple[str, list[Any]]:
    if node.field in _MANY:
        return f"p.n IN (SELECT o.n FROM {_MANY[node.field]} o)", []
    if node.field == "title":
        return "p.n IN (SELECT t.n FROM contents t WHERE t.title > '')", []
    return f"p.{node.field} IS NOT NULL AND p.{node.field} <> ''", []


def _replied(node: q.Replied) -> tuple[str, list[Any]]:
    answer = """SELECT 1 FROM posts r WHERE r.parent = p.id AND r.author_kind = 'government'
        AND r.deleted_at IS NULL"""
    if node.offices is None:
        return f"EXISTS ({answer})", []
    marks = ",".join("?" * len(node.offices))
    mine = f"SELECT 1 FROM offices o WHERE o.n = r.n AND o.account IN ({marks})"
    return f"EXISTS ({answer} AND EXISTS ({mine}))", sorted(node.offices)


def match_expression(node: q.Node) -> str | None:
    """The node as one FTS5 expression, None when the word index alone cannot answer it."""
    if isinstance(node, q.Words):
        tokens, begins = query_tokens(node.words, prefix=node.prefix)
        star = " *" if begins else ""
        return f'({node.field} : "{" ".join(tokens)}"{star})'
    if isinstance(node, q.And | q.Or):
        parts = [match_expression(part) for part in node.parts]
        if any(part is None for part in parts):
            return None
        glue = " AND " if isinstance(node, q.And) else " OR "
        return "(" + glue.join(part for part in parts if part is not None) + ")"
    return None
