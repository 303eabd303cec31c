"""Posts read by id, in order and by thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archive.base import Filters
from archive.elastic.connection import Elastic
from archive.elastic.documents import to_post
from archive.elastic.editing import Editor
from archive.elastic.where import scope_conditions, where
from huiyin.errors import SchemaError
from huiyin.records import Post, Scope

LARGEST_PAGE = 10_000
"""The server's own limit."""
KEEP_ALIVE = "5m"
"""How long the server keeps the moment of a long read between two pages; then another is begun."""
IN_ORDER = [{"created_at": "asc"}, {"id": "asc"}]
NEWEST_FIRST = [{"created_at": "desc"}, {"id": "desc"}]


class PostReading:
    """`get_posts`, `iter_posts`, `thread`."""

    _es: Elastic
    _editor: Editor

    def get_posts(self, ids: Sequence[str], scope: Scope) -> dict[str, Post]:
        found = self._editor.find(ids)
        posts = {one: to_post(found[one].source) for one in ids if one in found}
        return {one: post for one, post in posts.items() if scope.allows(post.offices)}

    def iter_posts(
        self, scope: Scope, filters: Filters | None = None, *, page: int = 1000
    ) -> Iterator[Post]:
        size = max(1, min(page, LARGEST_PAGE))
        query = where(scope, filters)
        with Moment(self._es) as moment:
            after: list[Any] | None = None
            while True:
                found = moment.search(
                    {"size": size, "query": query, "sort": IN_ORDER, "track_total_hits": False},
                    after,
                )
                for one in found:
                    yield to_post(one["_source"])
                if len(found) < size:
                    return
                after = found[-1]["sort"][:2]

    def thread(self, root: str, scope: Scope, *, limit: int = 500) -> list[Post]:
        belongs = [{"term": {name: {"value": root}}} for name in ("id", "root", "parent")]
        body = {
            "size": min(limit, LARGEST_PAGE),
            "query": {
                "bool": {
                    "filter": [
                        {"bool": {"should": belongs, "minimum_should_match": 1}},
                        *scope_conditions(scope),
                    ]
                }
            },
            "sort": IN_ORDER,
            "track_total_hits": False,
        }
        hits = self._es.search(self._es.posts, body)["hits"]["hits"]
        return [to_post(one["_source"]) for one in hits]


class Moment:
    """A point in time of all posts (PIT), so that a long read meets each post once.

    When the server forgot it (a slow reader, a lost node) the read goes on in a later moment: the
    order is by time and id, which never change, so nothing is met twice or left out.
    """

    def __init__(self, es: Elastic) -> None:
        self._es = es
        self._id: str | None = None

    def __enter__(self) -> Moment:
        return self

    def __exit__(self, *_: object) -> None:
        if self._id is not None:
            self._es.request("DELETE", "/_pit", body={"id": self._id}, missing=None)

    def search(self, body: dict[str, Any], after: list[Any] | None) -> list[dict[str, Any]]:
        """The hits of one page that begins behind `after`."""
        body = {**body, "search_after": after} if after is not None else body
        for last in (False, True):
            if self._id is None and not self._open():
                return []
            try:
                pit = {"id": self._id, "keep_alive": KEEP_ALIVE}
                found = self._es.search(self._es.posts, {**body, "pit": pit})
            except SchemaError:
                self._id = None
                if last:
                    raise
                continue
            self._id = found["pit_id"]
            hits: list[dict[str, Any]] = found["hits"]["hits"]
            return hits
        raise AssertionError("unreachable")

    def _open(self) -> bool:
        """False when there are no posts at all."""
        self._es.before_search(self._es.posts)
        answer = self._es.request(
            "POST", f"/{self._es.posts}/_pit", params={"keep_alive": KEEP_ALIVE}, missing=None
        )
        self._id = answer["id"] if answer else None
        return answer is not None
