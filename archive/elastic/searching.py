"""Search: exact totals, facets, timeline, highlights, pages by key; and the nearest vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from archive import query as q
from archive.asking import FACET_VALUES, ZONE, check, filled, highlights, strange_cursor
from archive.authors import EXACT_AUTHORS
from archive.base import Filters, Hit, SearchRequest, SearchResult
from archive.elastic.connection import Elastic
from archive.elastic.documents import to_post, vector_name
from archive.elastic.snapshots import Cursor, Snapshots
from archive.elastic.where import Query, iso, scope_conditions, where, words_query
from huiyin.records import Post, Scope
from huiyin.vectors import unpack

Json = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = "strict_date_optional_time_nanos"
BUCKETS_A_REQUEST = 10_000
SEEN_VALUES = 2_000
"""Facet values that each part of the index reports; more are counted page by page."""
LARGEST_WINDOW = 10_000
"""Hits that the server gives at once."""
MORE_NEIGHBOURS = 20
"""Fetched beyond the wanted: exact cosines are worked out here, the server's are quantised."""
LEAST_NEIGHBOURS = 200
"""Candidates that each part of the index looks at."""
_DELETED: Query = {"exists": {"field": "deleted_at"}}
_MATCHES_NOW = {"allow_partial_search_results": "false"}


class PostSearching:
    """`search`, `similar`, `like`."""

    _es: Elastic
    _snapshots: Snapshots

    def search(self, request: SearchRequest, scope: Scope) -> SearchResult:
        check(request)
        node = self._resolved(q.parse(request.query), scope)
        words = q.words_of(node)
        asked = _alive(where(scope, request.filters, node))
        relevant = bool(words) and not request.newest_first
        body = _body(request, asked, words if relevant else [])
        if relevant:
            cursor = None if request.after is None else Cursor.read(request.after)
            found, keys = self._snapshots.page(self._es, body, cursor, request.limit)
            following = keys
        else:
            _after_key(body, request.after)
            found = self._es.search(self._es.posts, body, **_MATCHES_NOW, filter_path=_PATHS)
            following = _following(found, request.limit)
        posts = self._posts(found, request, asked, relevant)
        hits = tuple(Hit(post, score, highlights(post, words)) for post, score in posts)
        aggregations = found.get("aggregations", {})
        facets = {name: self._facet(name, aggregations, asked) for name in request.facets}
        timeline = self._timeline(request.timeline, aggregations, asked)
        authors, estimated = _authors(aggregations)
        total = int(found["hits"]["total"]["value"])
        return SearchResult(hits, total, facets, timeline, following, authors, estimated)

    def similar(
        self, vector: bytes, model: str, scope: Scope, *,
        filters: Filters | None = None, limit: int = 10,
    ) -> list[Hit]:  # fmt: skip
        wanted = unpack([vector])[0]
        field = vector_name(vector)
        indices = self._with_field(field)
        if not indices or not np.any(wanted):
            return []
        asked = _alive(where(scope, filters))
        asked["bool"]["filter"].append({"term": {"model": model}})
        wide = min(limit + max(limit // 4, MORE_NEIGHBOURS), LARGEST_WINDOW)
        looked_at = min(max(wide * 2, LEAST_NEIGHBOURS), LARGEST_WINDOW)
        body = {
            "knn": {"field": field, "query_vector": wanted.tolist(), "k": wide,
                    "num_candidates": looked_at, "filter": asked},
            "size": wide, "_source": True, "track_total_hits": False,
        }  # fmt: skip
        found = self._es.search(",".join(indices), body, **_MATCHES_NOW)
        posts = [to_post(one["_source"]) for one in found["hits"]["hits"]]
        return nearest(posts, vector, limit)

    def like(
        self, text: str, scope: Scope, *, filters: Filters | None = None, limit: int = 10
    ) -> list[Hit]:
        tokens = q.like_tokens(text)
        if not tokens:
            return []
        asked = _alive(where(scope, filters))
        asked["bool"]["should"] = [
            {"term": {field: {"value": token}}} for token in tokens for field in q.TEXT_FIELDS
        ]
        asked["bool"]["minimum_should_match"] = 1
        body = {"query": asked, "size": min(limit, LARGEST_WINDOW), "track_total_hits": False,
                "sort": _RELEVANT}  # fmt: skip
        params = {"search_type": "dfs_query_then_fetch", **_MATCHES_NOW}
        found = self._es.search(self._es.posts, body, **params)
        return [Hit(to_post(one["_source"]), float(one["_score"])) for one in found["hits"]["hits"]]

    # ---- parts of a search

    def _resolved(self, node: q.Node, scope: Scope) -> q.Node:
        """The tree with the answered posts' ids in the place of `has:reply`, looked up once."""
        known: list[q.Ids] = []

        def answered() -> q.Node:
            if not known:
                known.append(q.Ids(frozenset(self._answered(scope))))
            return known[0]

        return q.resolved(node, answered)

    def _answered(self, scope: Scope) -> Iterator[str]:
        """Parents of what government authors wrote, inside the scope."""
        conditions: list[Query] = [
            {"term": {"author_kind": "government"}}, {"exists": {"field": "parent"}},
            *scope_conditions(scope),
        ]  # fmt: skip
        for bucket in self._buckets(
            _alive({"bool": {"filter": conditions}}), {"terms": {"field": "parent"}}
        ):
            yield bucket["key"]["value"]

    def _buckets(self, asked: Query, source: Json) -> Iterator[Json]:
        """All buckets of one value source among the matches, page by page, so that none lacks."""
        after: Json | None = None
        while True:
            part: Json = {"size": BUCKETS_A_REQUEST, "sources": [{"value": source}]}
            if after is not None:
                part["after"] = after
            body = {"query": asked, "size": 0, "aggs": {"all": {"composite": part}}}
            found = self._es.search(self._es.posts, body, **_MATCHES_NOW)
            result = found.get("aggregations", {}).get("all", {})
            yield from result.get("buckets", [])
            after = result.get("after_key")
            if after is None or len(result["buckets"]) < BUCKETS_A_REQUEST:
                return

    def _posts(
        self, found: Json, request: SearchRequest, asked: Query, relevant: bool
    ) -> list[tuple[Post, float]]:
        """Posts and scores of one page; of an older snapshot only what matches now."""
        rows = found["hits"]["hits"][: request.limit]
        sources = {row["_id"]: row["_source"] for row in rows}
        if relevant and request.after is not None and rows:
            still = {"bool": {"filter": [asked, {"terms": {"id": list(sources)}}]}}
            body = {"query": still, "size": len(rows)}
            now = self._es.search(self._es.posts, body, **_MATCHES_NOW)
            sources = {row["_id"]: row["_source"] for row in now["hits"]["hits"]}
        return [
            (to_post(sources[row["_id"]]), float(row.get("_score") or 0.0) if relevant else 0.0)
            for row in rows
            if row["_id"] in sources
        ]

    def _facet(self, name: str, found: Json, asked: Query) -> tuple[tuple[str, int], ...]:
        """The most frequent values, exactly: where a part did not report all, all are counted."""
        result = found.get(f"facet:{name}", {})
        counts = [(one["key"], one["doc_count"]) for one in result.get("buckets", [])]
        if result.get("doc_count_error_upper_bound"):
            source = {"terms": {"field": _FACET_FIELDS.get(name, name)}}
            every = Counter({
                one["key"]["value"]: one["doc_count"] for one in self._buckets(asked, source)
            })  # fmt: skip
            del every[""]
            counts = sorted(every.items(), key=lambda one: (-one[1], one[0]))[:FACET_VALUES]
        strip = "/" if name == "category" else ""
        return tuple((value.strip(strip) if strip else value, count) for value, count in counts)

    def _timeline(
        self, unit: str | None, found: Json, asked: Query
    ) -> tuple[tuple[datetime, int], ...]:
        if unit is None:
            return ()
        buckets = found.get("timeline", {}).get("buckets", [])
        if len(buckets) >= BUCKETS_A_REQUEST:
            buckets = list(self._buckets(asked, _timeline_source(unit)))
        return filled(
            {
                (EPOCH + timedelta(milliseconds=one["key"]["value"])).astimezone(ZONE): one[
                    "doc_count"
                ]
                for one in buckets
            },
            unit,
        )

    def _with_field(self, field: str) -> list[str]:
        """The indices of posts that know the field; others would refuse the question."""
        self._es.before_search(self._es.posts)
        found = self._es.request(
            "GET", f"/{self._es.posts}/_field_caps",
            params={"fields": field, "include_unmapped": "true", "ignore_unavailable": "true",
                    "filters": "-parent"},
        )  # fmt: skip
        kinds = found.get("fields", {}).get(field, {})
        if "dense_vector" not in kinds:
            return []
        listed: list[str] = kinds["dense_vector"].get("indices") or found["indices"]
        return [listed] if isinstance(listed, str) else listed


def nearest(posts: list[Post], vector: bytes, limit: int) -> list[Hit]:
    """Of these posts the ones with the nearest vectors, by exact cosine, highest first."""
    same = [
        post for post in posts
        if post.analysis is not None and len(post.analysis.vector) == len(vector)
    ]  # fmt: skip
    if not same:
        return []
    scores = unpack([post.analysis.vector for post in same if post.analysis]) @ unpack([vector])[0]
    order = sorted(range(len(same)), key=lambda place: (-float(scores[place]), same[place].id))
    return [Hit(same[place], float(scores[place])) for place in order[:limit]]


_FACET_FIELDS = {"office": "offices"}
_NEWEST: list[Json] = [
    {"created_at": {"order": "desc", "format": TIMES, "numeric_type": "date_nanos"}},
    {"id": {"order": "desc"}},
]
_RELEVANT: list[Json] = [{"_score": {"order": "desc"}}, *_NEWEST]
_PATHS = "took,timed_out,_shards.failed,hits,pit_id,aggregations,-aggregations.authors.buckets"
"""The answer without the list of authors, of which only the length is wanted."""


def _alive(asked: Query) -> Query:
    asked["bool"]["must_not"] = [_DELETED]
    return asked


def _body(request: SearchRequest, asked: Query, words: list[q.Words]) -> Json:
    """The request without its place in the order; `words`: what relevance is about."""
    query = asked
    if words:
        query = {"bool": {"filter": [asked], "should": [words_query(one) for one in words],
                          "minimum_should_match": 0}}  # fmt: skip
    aggregations: Json = {
        "authors": {"terms": {"field": "author", "size": EXACT_AUTHORS + 1,
                              "order": {"_key": "asc"}}},
        "known": {"stats_bucket": {"buckets_path": "authors._count"}},
        "about": {"cardinality": {"field": "author", "precision_threshold": EXACT_AUTHORS}},
    }  # fmt: skip
    for name in request.facets:
        aggregations[f"facet:{name}"] = {
            "terms": {"field": _FACET_FIELDS.get(name, name), "size": FACET_VALUES,
                      "shard_size": SEEN_VALUES, "exclude": [""]},
        }  # fmt: skip
    if request.timeline:
        aggregations["timeline"] = {
            "composite": {"size": BUCKETS_A_REQUEST,
                          "sources": [{"value": _timeline_source(request.timeline)}]},
        }  # fmt: skip
    return {
        "query": query, "size": min(request.limit + 1, LARGEST_WINDOW), "track_total_hits": True,
        "sort": _RELEVANT if words else _NEWEST, "aggs": aggregations,
    }  # fmt: skip


def _timeline_source(unit: str) -> Json:
    # the offset, not the zone: both engines agree on posts from before 1992 too
    return {"date_histogram": {"field": "created_at", "calendar_interval": unit,
                               "time_zone": "+08:00"}}  # fmt: skip


def _after_key(body: Json, after: str | None) -> None:
    """Start below the place that a cursor names: microseconds, a colon, the id."""
    if after is None:
        return
    at, _, post_id = after.partition(":")
    if not at.lstrip("-").isdigit():
        raise strange_cursor()
    body["search_after"] = [iso(EPOCH + timedelta(microseconds=int(at))), post_id]
    body["size"] = max(body["size"], 1)


def _following(found: Json, limit: int) -> str | None:
    """The cursor after the `limit`-th hit; None when nothing lies behind it."""
    rows = found["hits"]["hits"]
    if not limit or len(rows) < min(limit + 1, LARGEST_WINDOW):
        return None
    at, post_id = rows[limit - 1]["sort"][-2:]
    return f"{micros(at)}:{post_id}"


def micros(at: str) -> int:
    """Microseconds since 1970 of a time as the server writes it."""
    return (datetime.fromisoformat(at) - EPOCH) // timedelta(microseconds=1)


def _authors(found: Mapping[str, Any]) -> tuple[int, bool]:
    if not found:
        return 0, False
    exact = int(found["known"]["count"])
    if exact <= EXACT_AUTHORS:
        return exact, False
    return max(int(found["about"]["value"]), exact), True
