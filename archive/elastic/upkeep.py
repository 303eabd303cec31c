"""The archive as a whole: counts and soundness."""

from __future__ import annotations

from collections.abc import Mapping

from archive.elastic.connection import Elastic
from archive.elastic.purging import Purge
from archive.elastic.templates import KINDS, Schema, generation


class Upkeep:
    """`counts`, `check`."""

    _es: Elastic
    _schema: Schema
    _purge: Purge

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
        broken = [name for name, one in health["indices"].items() if one["status"] == "red"]
        problems = [f"索引 {name} 有一部分不在任何节点上" for name in sorted(broken)]
        return problems + [f"档案结构要升级：{one.said}" for one in self._schema.changes()]
