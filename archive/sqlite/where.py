"""Scopes, filters and some leaves of queries as SQL conditions on `posts p`."""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archive import query as q
from archive.base import Filters
from archive.merging import category_path
from archive.sqlite.rows import micros
from archive.tokens import query_tokens
from huiyin.records import Scope


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


def where(scope: Scope, filters: Filters | None = None) -> Where:
    """What may be seen and is asked for, deleted posts included."""
    out = Where()
    _add_scope(out, scope)
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
        stem = region_stem(filters.region)
        out.add("substr(p.region, 1, ?) = ?", len(stem), stem)
    if filters.category:
        path = category_path(filters.category)
        out.add("substr(p.category, 1, ?) = ?", len(path), path)
    if filters.incident is not None:
        out.add("p.incident = ?", filters.incident)
    if filters.root is not None:
        out.add("p.root = ?", filters.root)
    if filters.min_needs_answer is not None:
        out.add("p.needs_answer >= ?", filters.min_needs_answer)


def region_stem(adcode: str) -> str:
    """What the codes under an adcode begin with: 410000 a province, 410100 a city."""
    stem = adcode
    while len(stem) > 2 and stem.endswith("00") and len(stem) % 2 == 0:
        stem = stem[:-2]
    return stem


def leaf(node: q.Node) -> tuple[str, list[Any]]:
    """SQL for the conditions that only the tables can answer (the rest: matching.py)."""
    if isinstance(node, q.Replied):
        return _replied(node)
    if isinstance(node, q.Ids):
        return f"p.id IN ({','.join('?' * len(node.ids))})", sorted(node.ids)
    if isinstance(node, q.Equals):
        return f"p.{node.field} = ?", [node.value]
    if isinstance(node, q.Prefix):
        return f"substr(p.{node.field}, 1, ?) = ?", [len(node.value), node.value]
    if isinstance(node, q.Exists) and node.field in q.TEXT_FIELDS:
        return f"p.n IN (SELECT t.n FROM contents t WHERE t.{node.field} > '')", []
    return "1", []  # every post has an id and a time


def _replied(node: q.Replied) -> tuple[str, list[Any]]:
    """Asked from the answers' side: they are few, and a post is found by its id."""
    answers = """SELECT r.parent FROM posts r WHERE r.parent IS NOT NULL
        AND r.author_kind = 'government' AND r.deleted_at IS NULL"""
    if node.offices is None:
        return f"p.id IN ({answers})", []
    marks = ",".join("?" * len(node.offices))
    mine = f"SELECT 1 FROM offices o WHERE o.n = r.n AND o.account IN ({marks})"
    return f"p.id IN ({answers} AND EXISTS ({mine}))", sorted(node.offices)


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
