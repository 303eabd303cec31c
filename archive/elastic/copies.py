"""Every copy of a post: an id may for a while be stored under two times (see writing.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from archive.elastic.connection import Elastic
from archive.elastic.editing import Editor, Found

Json = dict[str, Any]

IDS_A_PAGE = 20_000


def copies(
    editor: Editor, ids: Iterable[str], *, without: Sequence[str] = ()
) -> dict[str, list[Found]]:
    """The stored copies of those that are stored, real-time, the one in the oldest index first."""
    found: dict[str, list[Found]] = {}
    for one, copy in editor._copies(list(ids), editor.aliases(), without):
        found.setdefault(one, []).append(copy)
    return found


def doubled(es: Elastic, editor: Editor) -> Iterator[str]:
    """Every id of the archive that is stored more than once, as searches see it."""
    if len(editor.aliases()) < 2:
        return
    after: Json = {}
    ids = {"id": {"terms": {"field": "id"}}}
    twice: Json = {"buckets_path": {"copies": "_count"}, "script": "params.copies > 1"}
    while True:
        page = {"size": IDS_A_PAGE, "sources": [ids], **after}
        body = {
            "size": 0, "track_total_hits": False,
            "aggs": {"ids": {"composite": page, "aggs": {"twice": {"bucket_selector": twice}}}},
        }  # fmt: skip
        found = es.search(es.posts, body)["aggregations"]["ids"]
        yield from (one["key"]["id"] for one in found["buckets"])
        if "after_key" not in found:
            return
        after = {"after": found["after_key"]}
