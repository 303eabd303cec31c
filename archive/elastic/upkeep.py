"""The archive as a whole: counts and soundness."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from archive.elastic.bulk import in_parts
from archive.elastic.connection import Elastic
from archive.elastic.copies import doubled
from archive.elastic.documents import to_post
from archive.elastic.editing import IDS_AT_ONCE, Editor
from archive.elastic.purging import Purge
from archive.elastic.templates import KINDS, Schema, generation
from archive.keeping.base import MEND

MOST_DOUBLED = 10_000
SHOWN = 5


class Upkeep:
    """`counts`, `check`."""

    _es: Elastic
    _schema: Schema
    _purge: Purge
    _editor: Editor

    def counts(self) -> Mapping[str, int]:
        aliases = [self._es.posts, *(self._es.name(kind) for kind in KINDS)]
        self._es.refresh(self._es.posts)  # a place that was filled a moment ago is not empty
        body = {
            "size": 0, "track_total_hits": False,
            "aggs": {"indices": {"terms": {"field": "_index", "size": 10_000}}},
        }  # fmt: skip
        found = self._es.search(",".join(aliases), body).get("aggregations")
        counts = {"posts": 0}
        for bucket in found["indices"]["buckets"] if found else []:
            kind = self._kind(bucket["key"])
            counts[kind] = counts.get(kind, 0) + bucket["doc_count"]
        return counts

    def _kind(self, index: str) -> str:
        name = index.removeprefix(f"{self._es.prefix}-")
        return (
            "posts" if name.startswith("posts-") else name.removesuffix(f"-{generation(index):06d}")
        )

    def check(self) -> list[str]:
        self._purge.purge()
        health = self._es.request(
            "GET", f"/_cluster/health/{self._es.prefix}-*", params={"level": "indices"}
        )
        broken = [
            name for name, one in health["indices"].items()
            if one["status"] == "red" and self._schema.template_of(name)
        ]  # fmt: skip
        problems = [f"索引 {name} 有一部分不在任何节点上" for name in sorted(broken)]
        if not broken:
            problems += self._doubled()
        return problems + [
            f"档案结构要升级：{one.said}{MEND}huiyin init" for one in self._schema.changes()
        ]

    def _doubled(self) -> list[str]:
        """Ids stored more than once: a killed importer may leave one until it is read in again."""
        self._es.refresh(self._es.posts)
        found = list(islice(doubled(self._es, self._editor), MOST_DOUBLED))
        if not found:
            return []
        many = f"{len(found)} 条以上" if len(found) == MOST_DOUBLED else f"{len(found)} 条"
        shown = "、".join(found[:SHOWN])
        return [f"有帖文存了两份（{many}）：{shown}{MEND}huiyin doctor --retry-failed 会并成一份"]

    def settle_doubles(self) -> int:
        """Merge the copies of posts that are stored more than once into the oldest; how many.

        What only a newer copy was understood to say is worked out again by its stage.
        """
        self._es.refresh(self._es.posts)
        settled = 0
        for part in in_parts(list(doubled(self._es, self._editor)), IDS_AT_ONCE):
            doubles = self._editor.doubles(part)
            self.put_posts([  # type: ignore[attr-defined]
                to_post({**copy.source, "analysis": None})
                for others in doubles.values() for copy in others
            ])  # fmt: skip
            settled += len(doubles)
        return settled
