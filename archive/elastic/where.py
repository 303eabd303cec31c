"""Queries, filters and scopes as Elasticsearch's query DSL; means what sqlite/where.py means.

A word is looked for by our own tokens (archive/tokens.py), never by what the server would make of
it: one token is a `term`, several are an exact phrase, and the beginning of one is a term of the
subfield `starts` (archive/elastic/analysis.py), which stands at the same position.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from archive import query as q
from archive.base import Filters
from archive.elastic.analysis import LONGEST_START
from archive.tokens import query_tokens
from huiyin.records import Scope

Query = dict[str, Any]

NOTHING: Query = {"match_none": {}}
EVERYTHING: Query = {"match_all": {}}
COUNTS = ("reposts", "comments", "likes")
_NAMES = {"office": "offices"} | {name: f"metrics.{name}" for name in COUNTS}
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(2262, 4, 11, tzinfo=UTC)
"""What `date_nanos` can hold."""
_LARGEST = 2**63 - 1
MOST_TERMS = 50_000
"""The server takes 65,536 in one `terms`."""


def where(scope: Scope, filters: Filters | None = None, node: q.Node | None = None) -> Query:
    """What a question asks for, as one `bool` filter; tombstones are among it.

    `has:reply` is resolved by the caller to `Ids` (archive/elastic/searching.py).
    """
    conditions = scope_conditions(scope)
    if node is not None and not isinstance(node, q.Everything):
        conditions.append(condition(node))
    if filters is not None:
        conditions += _filter_conditions(filters)
    return {"bool": {"filter": conditions or [EVERYTHING]}}


def scope_conditions(scope: Scope) -> list[Query]:
    """The condition that a post belongs to one of the scope's offices; empty = sees everything."""
    return [] if scope.offices is None else [_any_of("offices", sorted(scope.offices))]


def _any_of(field: str, values: Iterable[str]) -> Query:
    wanted = [str(value) for value in values]
    return {"terms": {field: wanted}} if wanted else NOTHING


def _filter_conditions(filters: Filters) -> list[Query]:
    out: list[Query] = []
    if filters.since is not None or filters.until is not None:
        out.append(time_range("created_at", filters.since, filters.until, include_high=False))
    for field, values in (
        ("platform", filters.platforms), ("kind", filters.kinds),
        ("author_kind", filters.author_kinds), ("sentiment", filters.sentiments),
        ("emotion", filters.emotions), ("intent", filters.intents), ("offices", filters.offices),
    ):  # fmt: skip
        if values:
            out.append(_any_of(field, values))
    if filters.region is not None:
        out.append(_in_region(filters.region))
    if filters.category:
        out.append({"prefix": {"category": f"/{'/'.join(filters.category)}/"}})
    if filters.incident is not None:
        out.append({"term": {"incident": filters.incident}})
    if filters.root is not None:
        out.append({"term": {"root": filters.root}})
    if filters.min_needs_answer is not None:
        out.append({"range": {"needs_answer": {"gte": filters.min_needs_answer}}})
    return out


def _in_region(adcode: str) -> Query:
    """Everything under an adcode: 410000 a province, 410100 a city, 410102 a county."""
    stem = adcode
    while len(stem) > 2 and stem.endswith("00") and len(stem) % 2 == 0:
        stem = stem[:-2]
    return {"prefix": {"region": stem}}


def condition(node: q.Node) -> Query:
    """A query that matches exactly the posts that `node` means."""
    if isinstance(node, q.Words):
        return words_query(node)
    if isinstance(node, q.And):
        return {"bool": {"filter": [condition(part) for part in node.parts]}}
    if isinstance(node, q.Or):
        return {"bool": {"should": [condition(part) for part in node.parts],
                         "minimum_should_match": 1}}  # fmt: skip
    if isinstance(node, q.Not):
        return {"bool": {"must_not": [condition(node.part)]}}
    if isinstance(node, q.Range):
        return _range(node)
    if isinstance(node, q.Equals):
        return _equals(node)
    if isinstance(node, q.Prefix):
        return _prefix(node)
    if isinstance(node, q.Exists):
        return _exists(node)
    if isinstance(node, q.Ids):
        return _ids(node)
    return EVERYTHING


def words_query(node: q.Words) -> Query:
    """Posts whose field contains these words; scores as BM25 of the whole phrase."""
    tokens, begins = query_tokens(node.words, prefix=node.prefix)
    if not tokens:
        return NOTHING
    *first, last = tokens
    if begins:
        ending = _beginning(node.field, last)
        if not first:
            return ending
        masked = {"span_field_masking": {"query": _spanned(ending), "field": node.field}}
        clauses: list[Query] = [{"span_term": {node.field: one}} for one in first]
        return {"span_near": {"clauses": [*clauses, masked], "slop": 0, "in_order": True}}
    if not first:
        return {"term": {node.field: {"value": last}}}
    phrase = {"query": " ".join(tokens), "analyzer": "whitespace"}
    return {"match_phrase": {node.field: phrase}}


def _beginning(field: str, start: str) -> Query:
    if len(start) <= LONGEST_START:
        return {"term": {f"{field}.starts": {"value": start}}}
    return {"prefix": {field: {"value": start}}}  # rare: few words are so long


def _spanned(query: Query) -> Query:
    """A term or prefix query as a span."""
    [(kind, body)] = query.items()
    if kind == "term":
        [(field, value)] = body.items()
        return {"span_term": {field: value["value"]}}
    return {"span_multi": {"match": query}}


def time_range(
    field: str, low: datetime | None, high: datetime | None, *,
    include_low: bool = True, include_high: bool = True,
) -> Query:  # fmt: skip
    """Between two times; ends that `date_nanos` cannot hold become open or match nothing."""
    ends: dict[str, str] = {}
    if (low is not None and low > _LAST) or (high is not None and high < _FIRST):
        return NOTHING
    if low is not None and low >= _FIRST:
        ends["gte" if include_low else "gt"] = iso(low)
    if high is not None and high <= _LAST:
        ends["lte" if include_high else "lt"] = iso(high)
    return {"range": {field: ends}} if ends else {"exists": {"field": field}}


def iso(at: datetime) -> str:
    """A time in UTC with microseconds, as documents carry it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _range(node: q.Range) -> Query:
    field = _NAMES.get(node.field, node.field)
    low, high = node.low, node.high
    if isinstance(low, datetime) or isinstance(high, datetime) or field == "created_at":
        since = low if isinstance(low, datetime) else None
        until = high if isinstance(high, datetime) else None
        return time_range(
            field, since, until, include_low=node.include_low, include_high=node.include_high
        )
    ends: dict[str, float] = {}
    for end, inclusive, exclusive, include, open_below in (
        (low, "gte", "gt", node.include_low, True), (high, "lte", "lt", node.include_high, False),
    ):  # fmt: skip
        if end is None:
            continue
        if math.isinf(end) or (node.field in COUNTS and abs(end) > _LARGEST):
            if (end < 0) is open_below:
                continue  # everything lies on the right side of it
            return NOTHING
        ends[inclusive if include else exclusive] = end
    return {"range": {field: ends}} if ends else {"exists": {"field": field}}


def _equals(node: q.Equals) -> Query:
    if node.field == "region":
        return _in_region(node.value)
    if node.field == "category":
        return _wildcard("category", f"/{node.value.strip('/')}/", goes_on=True)
    return {"term": {_NAMES.get(node.field, node.field): {"value": node.value}}}


def _prefix(node: q.Prefix) -> Query:
    if node.field == "category":
        return _wildcard("category", f"/{node.value.strip('/')}", goes_on=True)
    return {"prefix": {_NAMES.get(node.field, node.field): {"value": node.value}}}


def _wildcard(field: str, part: str, *, goes_on: bool) -> Query:
    """The part anywhere in the field; a category field has only some hundred values."""
    escaped = "".join(f"\\{char}" if char in "*?\\" else char for char in part)
    return {"wildcard": {field: {"value": f"*{escaped}{'*' if goes_on else ''}"}}}


def _ids(node: q.Ids) -> Query:
    ids = sorted(node.ids)
    parts = [
        {"terms": {"id": ids[start : start + MOST_TERMS]}}
        for start in range(0, len(ids), MOST_TERMS)
    ]
    return {"bool": {"should": parts, "minimum_should_match": 1}} if parts else NOTHING


def _exists(node: q.Exists) -> Query:
    field = _NAMES.get(node.field, node.field)
    query: Query = {"bool": {"filter": [{"exists": {"field": field}}]}}
    if node.field in q.VALUE_FIELDS:
        query["bool"]["must_not"] = [{"term": {field: {"value": ""}}}]
    return query
