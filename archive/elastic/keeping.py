"""Moving, closing and thinning out the indices of one prefix: `archive.keeping.base.Keeping`.

What changed is known from the number that the server gives each write (`_seq_no`, one shard an
index): everything up to the global checkpoint lies on every copy and is never taken back, so a
position is the number reached in each index. An index that was written anew is read anew.

The seal is a note that every process reads, and the server's own write block on every index and in
the templates, so that no write can come in late, wherever it comes from.
"""

from __future__ import annotations

import copy
import functools
import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from archive.base import Stored
from archive.elastic.bulk import Bulk
from archive.elastic.connection import Elastic
from archive.elastic.documents import counted_at, to_post
from archive.elastic.editing import Editor
from archive.elastic.purging import Purge
from archive.elastic.states import stored_record
from archive.elastic.templates import Schema, make_index
from archive.keeping.base import NOW, Changed, Fact, Health, Seal, WholePost
from archive.keeping.sizes import shown_size
from huiyin.errors import ArchiveAway, ArchiveBusy, ArchiveMoved, SchemaError
from huiyin.records import StateRecord

R = TypeVar("R", bound=StateRecord)
T = TypeVar("T")
Json = dict[str, Any]

SWITCH_SECONDS = 60.0
"""How long a write waits for a switch to another archive to end."""
SEAL_POLL_SECONDS = 0.1
LOOK_EVERY_SECONDS = 1.0
"""How often writers look for the seal; the server's block stops them in between."""
NOTE = "seal"
LEAST_FREE = 0.15
"""Of a node's disk: below, the server moves parts away; below 5 % it takes no writes."""
GUARDED = (
    "put_posts", "put_packed", "delete_posts", "write_analyses", "mark_incidents", "create",
    "replace", "record_failure", "clear_failures", "remove_posts",
)  # fmt: skip
"""Writes that a sealed archive refuses."""


def guarded(method: Callable[..., T]) -> Callable[..., T]:
    """The method, waiting while a switch is under way and refused after it."""

    @functools.wraps(method)
    def call(self: Keep, *args: Any, **named: Any) -> T:
        return self.past_seal(lambda: method(self, *args, **named))

    return call


class Keep:
    """`track_changes`, `changed_*`, `seal`, `sealed`, `health`; the rest is in restoring.py."""

    _es: Elastic
    _bulk: Bulk
    _editor: Editor
    _schema: Schema
    _purge: Purge
    _looked_at: float = float("-inf")
    _lifted: bool = False

    # ---- what changed

    def track_changes(self, on: bool) -> None:
        """The server numbers every write anyway."""

    def changed_posts(self, position: str, *, limit: int) -> Changed[WholePost]:
        hits, reached, left = self._changed(self._es.posts, position, limit)
        items = tuple(
            WholePost(to_post(one["_source"]), counted_at(one["_source"])) for one in hits
        )
        return Changed(items, reached, left)

    def changed_records(self, kind: type[R], position: str, *, limit: int) -> Changed[Stored[R]]:
        hits, reached, left = self._changed(self._es.name(kind.kind), position, limit)
        return Changed(tuple(stored_record(kind, one) for one in hits), reached, left)

    def _changed(self, alias: str, position: str, limit: int) -> tuple[list[Json], str, int]:
        """(documents, position, left). A position: by index (its unique number) how far it has

        come, and until where searches see every write.
        """
        known: dict[str, list[int]] = {}
        if position not in ("", NOW):
            known = json.loads(position).get("indices", {})
        ends = self._ends(alias)
        at = {number: known.get(number, [-1, -1]) for number in ends}
        if position == NOW:
            at = {number: [last, last] for number, (_, last, _) in ends.items()}
        elif all(reached >= until for reached, until in at.values()):
            self._es.refresh(alias)  # what stood at the checkpoint before this can be found now
            at = {number: [at[number][0], last] for number, (_, last, _) in ends.items()}
        hits: list[Json] = []
        for number, (index, _, _) in sorted(ends.items(), key=lambda one: one[1][0]):
            if position == NOW or len(hits) >= limit:
                break
            hits += self._page(index, at[number], limit - len(hits))
        left = sum(max(0, ends[number][2] - at[number][0]) for number in ends)
        return hits, json.dumps({"indices": at}), 0 if position == NOW else left

    def _page(self, index: str, place: list[int], limit: int) -> list[Json]:
        """The next writes of one index; moves its place on."""
        reached, until = place
        if reached >= until:
            return []
        body = {
            "query": {"range": {"_seq_no": {"gt": reached, "lte": until}}},
            "sort": [{"_seq_no": "asc"}], "size": limit, "seq_no_primary_term": True,
            "track_total_hits": False,
        }  # fmt: skip
        hits: list[Json] = self._es.search(index, body)["hits"]["hits"]
        place[0] = hits[-1]["sort"][0] if len(hits) == limit else until
        return hits

    def _ends(self, alias: str) -> dict[str, tuple[str, int, int]]:
        """Unique number of each index -> (name, global checkpoint, last write)."""
        found = self._es.request(
            "GET", f"/{alias}/_stats",
            params={
                "level": "shards",
                "filter_path": "indices.*.uuid,indices.*.shards.*.routing.primary,"
                "indices.*.shards.*.seq_no",
            },
            missing={},
        )  # fmt: skip
        ends = {}
        for index, one in found.get("indices", {}).items():
            for shard in one.get("shards", {}).get("0", []):
                if shard["routing"]["primary"]:
                    numbers = shard["seq_no"]
                    ends[one["uuid"]] = (
                        index, int(numbers["global_checkpoint"]), int(numbers["max_seq_no"])
                    )  # fmt: skip
            if one["uuid"] not in ends:
                raise ArchiveAway(f"索引 {index} 现在读不全", "等集群恢复后再运行一次")
        return ends

    # ---- closing

    def seal(self, seal: Seal | None) -> None:
        self._lifted = False
        path = f"/{self._es.name('notes')}/_doc/{NOTE}"
        if seal is None:
            self._lift()
            self._es.request("DELETE", path, missing=None)
            return
        said = {"state": seal.state, "to": seal.to, "at": seal.at.isoformat()}
        body = {"id": NOTE, "value": json.dumps(said)}
        make_index(self._es, self._es.name("notes"))
        self._es.request("PUT", path, body=body)
        for name, template in self._schema.wanted.indices.items():
            closed = copy.deepcopy(template)
            settings = closed["template"].setdefault("settings", {}).setdefault("index", {})
            settings["blocks"] = {"write": True}
            self._es.request("PUT", f"/_index_template/{name}", body=closed)
        done: set[str] = set()
        while left := self._indices() - done:  # one that was made meanwhile is seen next
            for index in sorted(left):
                self._es.request("PUT", f"/{index}/_block/write")
            done |= left

    def sealed(self) -> Seal | None:
        found = self._es.request("GET", f"/{self._es.name('notes')}/_doc/{NOTE}", missing=None)
        if not found:
            return None
        value = json.loads(found["_source"]["value"])
        return Seal(value["state"], value["to"], datetime.fromisoformat(value["at"]))

    def past_seal(self, act: Callable[[], T]) -> T:
        """Do a write; wait while a switch is under way, raise `ArchiveMoved` after it."""
        end = time.monotonic() + SWITCH_SECONDS
        found = None
        if time.monotonic() - self._looked_at >= LOOK_EVERY_SECONDS:
            found = self.sealed()
        while True:
            if found is None:
                self._looked_at = time.monotonic()
                try:
                    return act()
                except ArchiveAway:
                    found = self.sealed()
                    if found is None:
                        raise
            self._looked_at = float("-inf")
            if found.state == "moved":
                raise ArchiveMoved(found.to)
            if time.monotonic() >= end:
                raise ArchiveBusy(
                    "档案正在切换，一分钟还没有换完",
                    "等切换完成；切换中断了的话，再运行 huiyin archive switch，或加 --cancel 取消",
                )
            time.sleep(SEAL_POLL_SECONDS)
            found = self.sealed()

    def look_for_seal(self) -> None:
        """Called where the server's block stops a write: no need to try on for long."""
        if self.sealed() is not None:
            raise ArchiveAway("档案正在切换", "请稍后再试")

    def _open_to_restore(self) -> None:
        """Take the server's block from an archive that has moved; the note still stops others."""
        if self._lifted:
            return
        found = self.sealed()
        if found is not None and found.state == "moved":
            self._lift()
        self._lifted = True

    def _lift(self) -> None:
        self._schema.install()
        for index in sorted(self._indices()):
            self._es.request("PUT", f"/{index}/_settings", body={"index.blocks.write": None})

    def _indices(self) -> set[str]:
        found = self._es.request(
            "GET", f"/{self._es.prefix}-*/_alias", params={"expand_wildcards": "all"}, missing={}
        )
        return {index for index in found if self._schema.template_of(index) is not None}

    # ---- how it is

    def health(self) -> Health:
        place = f"{','.join(self._es.hosts)}/{self._es.prefix}"
        try:
            return Health("Elasticsearch", place, self._bytes(), tuple(self._facts()))
        except (ArchiveAway, SchemaError) as error:
            fact = Fact("集群", "bad", error.message, error.mend)
            return Health("Elasticsearch", place, 0, (fact,))

    def _bytes(self) -> int:
        found = self._es.request(
            "GET", f"/{self._es.prefix}-*/_stats/store",
            params={"filter_path": "_all.total.store.size_in_bytes"}, missing={},
        )  # fmt: skip
        return int(found.get("_all", {}).get("total", {}).get("store", {}).get("size_in_bytes", 0))

    def _facts(self) -> Iterator[Fact]:
        ours = ",".join(sorted(self._indices())) or f"{self._es.prefix}-*"
        found = self._es.request("GET", f"/_cluster/health/{ours}")
        nodes, status = found["number_of_nodes"], found["status"]
        lost = found["unassigned_shards"]
        if status == "green":
            yield Fact("集群", "ok", f"{nodes} 个节点，全部正常")
        elif status == "yellow":
            yield Fact(
                "集群", "note", f"{nodes} 个节点，{lost} 份副本没有地方放：再坏一个节点可能丢数据",
                "把停下的节点启动起来，或再加一个节点",
            )  # fmt: skip
        else:
            yield Fact(
                "集群", "bad", f"{nodes} 个节点，有 {lost} 个分片读不到：检索不全，有的写不进",
                "把停下的节点启动起来；找不回来就从备份恢复",
            )  # fmt: skip
        stats = self._es.request(
            "GET", "/_nodes/stats/fs", params={"filter_path": "nodes.*.name,nodes.*.fs.total"}
        )
        for node in stats["nodes"].values():
            disk = node["fs"]["total"]
            free, total = disk["available_in_bytes"], disk["total_in_bytes"]
            low = free < LEAST_FREE * total
            yield Fact(
                f"节点 {node['name']} 的磁盘", "bad" if low else "ok",
                f"还剩 {shown_size(free)}，共 {shown_size(total)}",
                "清出空间或加节点：剩 5% 以下集群会拒绝写入" if low else "",
            )  # fmt: skip
