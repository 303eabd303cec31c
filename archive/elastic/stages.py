"""The queues of the stages: questions to the archive, no state of their own.

Failures lie in the post itself, so that a success, another text and a deletion clear them in the
same write. What the server refused to store is among them as the stage `put`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from archive.base import Failure, Slice
from archive.elastic.bulk import Bulk
from archive.elastic.connection import Elastic
from archive.elastic.documents import ATTEMPTS, failing, failures_of, to_post, to_time
from archive.elastic.editing import Editor
from archive.elastic.reading import IN_ORDER, LARGEST_PAGE, NEWEST_FIRST
from archive.elastic.templates import DEAD_LETTERS
from archive.elastic.where import iso
from huiyin.records import Post

Json = dict[str, Any]

ANALYSIS = "analysis"
INCIDENTS = "incidents"
PUT = "put"
"""The stage of what could not be stored at all."""
_WHOLE = Slice()
_SLICE = "doc['slice'].value % params.of == params.number"


def _has(field: str) -> Json:
    return {"exists": {"field": field}}


def _all(*must: Json, none: list[Json]) -> Json:
    return {"bool": {"filter": list(must), "must_not": none}}


def _never(stage: str) -> list[Json]:
    return [_has("deleted_at"), {"term": {"failed": stage}}]


def _first_lane() -> Json:
    return _all(none=[_has("model"), *_never(ANALYSIS)])


def _second_lane(model: str) -> Json:
    other = {"bool": {"must_not": [{"term": {"model": model}}]}}
    outdated = {"bool": {"should": [other, {"term": {"stale": True}}], "minimum_should_match": 1}}
    return _all(_has("model"), outdated, none=_never(ANALYSIS))


def _ungrouped(*more: Json) -> Json:
    return _all(_has("model"), *more, none=[_has("incident"), *_never(INCIDENTS)])


class Stages:
    """`pending_*`, `record_failure`, `failures`, `clear_failures`."""

    _es: Elastic
    _bulk: Bulk
    _editor: Editor

    def pending_analysis(self, model: str, *, limit: int, part: Slice = _WHOLE) -> list[Post]:
        posts = self._pending(_first_lane(), limit, part)
        if len(posts) < limit:
            posts += self._pending(_second_lane(model), limit - len(posts), part)
        return posts

    def _pending(self, lane: Json, limit: int, part: Slice) -> list[Post]:
        if part.of > 1:
            script = {"source": _SLICE, "params": {"of": part.of, "number": part.number}}
            lane = {"bool": {"filter": [lane, {"script": {"script": script}}]}}
        return self._queued(lane, NEWEST_FIRST, limit)

    def pending_incidents(self, *, before: datetime, limit: int) -> list[Post]:
        read = {"range": {"collected_at": {"lt": iso(before)}}}
        return self._queued(_ungrouped(read), IN_ORDER, limit)

    def _queued(self, query: Json, sort: list[dict[str, str]], limit: int) -> list[Post]:
        body = {
            "size": min(limit, LARGEST_PAGE), "query": query, "sort": sort,
            "track_total_hits": False,
        }  # fmt: skip
        hits = self._es.search(self._es.posts, body)["hits"]["hits"]
        return [to_post(one["_source"]) for one in hits]

    def pending_counts(self, model: str) -> Mapping[str, int]:
        lanes = {
            "analysis": _first_lane(),
            "reanalysis": _second_lane(model),
            "incidents": _ungrouped(),
        }
        failed = {"failed": {"value_count": {"field": "failed"}}}
        body = {"size": 0, "track_total_hits": False,
                "aggs": {"lanes": {"filters": {"filters": lanes}}, **failed}}  # fmt: skip
        found = self._es.search(self._es.posts, body).get("aggregations")
        if found is None:  # no posts yet
            counts = dict.fromkeys(lanes, 0)
        else:
            counts = {name: found["lanes"]["buckets"][name]["doc_count"] for name in lanes}
        refused = self._es.count(self._es.name(DEAD_LETTERS))
        return {**counts, "failed": (found["failed"]["value"] if found else 0) + refused}

    def record_failure(self, stage: str, post_id: str, reason: str, at: datetime) -> int:
        """Count one more failed attempt. Of a post that is no longer there nothing is kept."""
        attempts = 1

        def fail(source: Json, _: None) -> tuple[Json | None, bool]:
            nonlocal attempts
            known = {one.stage: one for one in failures_of(source)}
            attempts = known[stage].attempts + 1 if stage in known else 1
            known[stage] = Failure(stage, post_id, attempts, reason, at, attempts >= ATTEMPTS)
            return failing(list(known.values())), True

        self._editor.edit({post_id: [None]}, fail, without=("vectors", "text", "analysis"))
        return attempts

    def failures(self, *, limit: int = 100) -> list[Failure]:
        body = {
            "size": min(limit, LARGEST_PAGE), "query": _has("failing"),
            "sort": [{"failed_at": "desc"}, {"id": "asc"}], "track_total_hits": False,
            "_source": ["id", "failures"],
        }  # fmt: skip
        hits = self._es.search(self._es.posts, body)["hits"]["hits"]
        found = [failure for one in hits for failure in failures_of(one["_source"])]
        found += self._refused(limit)
        found.sort(key=lambda one: (one.stage, one.post_id))
        found.sort(key=lambda one: one.at, reverse=True)
        return found[:limit]

    def _refused(self, limit: int) -> list[Failure]:
        body = {"size": min(limit, LARGEST_PAGE), "sort": [{"at": "desc"}],
                "_source": ["id", "at", "reason"]}  # fmt: skip
        hits = self._es.search(self._es.name(DEAD_LETTERS), body)["hits"]["hits"]
        out = []
        for one in hits:
            source = one["_source"]
            at = to_time(source["at"])
            if at is not None:
                out.append(Failure(PUT, source["id"], 1, source["reason"], at, final=True))
        return out

    def clear_failures(self, stage: str) -> int:
        """Make failed posts pending again; for the stage `put`: try to store them again."""
        if stage == PUT:
            return self._put_again()
        cleared = 0

        def clear(source: Json, _: None) -> tuple[Json | None, bool]:
            left = [one for one in failures_of(source) if one.stage != stage]
            changes = len(left) < len(failures_of(source))
            return (failing(left), True) if changes else (None, False)

        while True:
            body = {"size": 1000, "query": {"term": {"failing": stage}}, "_source": False}
            self._es.refresh(self._es.posts)
            hits = self._es.search(self._es.posts, body)["hits"]["hits"]
            if not hits:
                return cleared
            wanted = {one["_id"]: [None] for one in hits}
            cleared += self._editor.edit(wanted, clear, without=("vectors", "text", "analysis"))[0]

    def _put_again(self) -> int:
        """Dead letters whose post is accepted now (after an upgrade) leave the list."""
        alias = self._es.name(DEAD_LETTERS)
        self._es.refresh(alias)
        hits = self._es.search(alias, {"size": LARGEST_PAGE})["hits"]["hits"]
        stored = 0
        for one in hits:
            post = to_post(from_json(one["_source"]["document"]))
            if not self.put_posts([post]).rejected:  # type: ignore[attr-defined]
                self._es.request("DELETE", f"/{alias}/_doc/{one['_id']}", missing=None)
                stored += 1
        return stored
