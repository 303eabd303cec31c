"""Pages by relevance: the first page fixes what the following ones are cut from.

BM25 shifts whenever somebody writes. So the first page opens a point in time on the server, and the
following pages of this process read from it; the last few are kept. Another process, or one that
comes after the server let go of it, reads from a new one and goes on after the last score; only
then may a post near the cut come twice or not at all.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from archive.asking import strange_cursor
from archive.elastic.connection import Elastic
from huiyin.errors import ArchiveAway, ArchiveError

Json = dict[str, Any]

KEPT = 8
KEEP_ALIVE = "10m"


@dataclass(frozen=True)
class Cursor:
    """Where a page ends: the sort values of its last hit."""

    token: str
    score: float
    created_at: str
    id: str

    def __str__(self) -> str:
        return f"r|{self.token}|{self.score!r}|{self.created_at}|{self.id}"

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Raises `ArchiveError` when it is none of ours."""
        try:
            mark, token, score, created_at, post_id = text.split("|", 4)
            if mark != "r":
                raise ValueError(mark)
            return cls(token, float(score), created_at, post_id)
        except ValueError as error:
            raise strange_cursor() from error


class Snapshots:
    """Points in time of the last searches by relevance of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, str] = OrderedDict()

    def page(
        self, es: Elastic, body: Json, cursor: Cursor | None, limit: int
    ) -> tuple[Json, str | None]:
        """The server's answer for one page, and the cursor of the next."""
        token, pit = self._find(cursor)
        if cursor is not None:
            body = {**body, "search_after": [cursor.score, cursor.created_at, cursor.id],
                    "size": max(body["size"], 1)}  # fmt: skip
        found = None if pit is None else _read(es, body, pit)
        if found is None:
            token, pit = secrets.token_hex(8), _open(es)
            if pit is None:
                return _NOTHING, None
            found = _read(es, body, pit)
            if found is None:
                raise ArchiveAway("检索的快照失效了", "请重新检索")
        rows = found["hits"]["hits"]
        pit = str(found.get("pit_id", pit))  # the server may give it a new name
        if not 0 < limit < len(rows):
            self._forget(es, token, pit)
            return found, None
        self._keep(es, token, pit)
        score, created_at, post_id = rows[limit - 1]["sort"][:3]
        return found, str(Cursor(token, score, created_at, post_id))

    def close(self, es: Elastic) -> None:
        """Let the server free what it keeps for us."""
        with self._lock:
            kept, self._kept = list(self._kept.values()), OrderedDict()
        for pit in kept:
            _close(es, pit)

    def _find(self, cursor: Cursor | None) -> tuple[str, str | None]:
        if cursor is None:
            return "", None
        with self._lock:
            return cursor.token, self._kept.get(cursor.token)

    def _keep(self, es: Elastic, token: str, pit: str) -> None:
        with self._lock:
            self._kept[token] = pit
            self._kept.move_to_end(token)
            old = [self._kept.popitem(last=False)[1] for _ in range(len(self._kept) - KEPT)]
        for one in old:
            _close(es, one)

    def _forget(self, es: Elastic, token: str, pit: str) -> None:
        with self._lock:
            self._kept.pop(token, None)
        _close(es, pit)


_NOTHING: Json = {"hits": {"total": {"value": 0}, "hits": []}}


def _open(es: Elastic) -> str | None:
    es.before_search(es.posts)
    found = es.request(
        "POST", f"/{es.posts}/_pit",
        params={"keep_alive": KEEP_ALIVE, "ignore_unavailable": "true"}, missing=None,
    )  # fmt: skip
    return None if found is None else str(found["id"])


def _read(es: Elastic, body: Json, pit: str) -> Json | None:
    """None when the server no longer knows the point in time."""
    params = {
        "search_type": "dfs_query_then_fetch", "allow_partial_search_results": "false",
        "filter_path": "took,timed_out,_shards.failed,hits,pit_id,aggregations,"
        "-aggregations.authors.buckets",
    }  # fmt: skip
    whole = {**body, "pit": {"id": pit, "keep_alive": KEEP_ALIVE}}
    found: Json | None = es.request("POST", "/_search", params=params, body=whole, missing=None)
    return found


def _close(es: Elastic, pit: str) -> None:
    try:
        es.request("DELETE", "/_pit", body={"id": pit}, missing=None)
    except ArchiveError:
        return  # the server frees it by itself in ten minutes
