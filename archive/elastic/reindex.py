"""Writes indices anew behind their aliases when their mapping has changed; nobody is stopped.

For each index: no more writes to the old one (writers see that it is blocked and their posts wait
in the spool), a copy into the next generation, the aliases moved in one step, the old one removed
when the last long reading of it has ended. Readers see one of the two, never both, never neither.

Where it has come lies in the cluster alone (the block, the names, the aliases), so that a run that
was killed is completed by the next one, from any host.

What was read from the old index is never written to the new one: changes name the index that they
were read from (editing.py, states.py), so they are refused and begun again.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from archive.elastic.connection import Elastic
from archive.elastic.templates import KINDS, MARK, Schema, next_generation
from huiyin.errors import ArchiveAway, ArchiveError

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]
"""Called with the name of an index, documents copied, and documents in all."""

POLL_SECONDS = 0.5
RESULT_LOOKS = 20
"""How often the result of a finished copying is looked for."""
READERS_SECONDS = 600.0
"""How long the old index is kept for readers that began on it; a later `init` removes it then."""

log = structlog.get_logger("archive.reindex")


class Reindex:
    """The upgrade of one archive's indices to this program's templates."""

    def __init__(
        self,
        es: Elastic,
        schema: Schema,
        *,
        progress: Progress | None = None,
        readers_seconds: float = READERS_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._es = es
        self._schema = schema
        self._progress = progress or (lambda _index, _done, _of: None)
        self._readers_seconds = readers_seconds
        self._sleep = sleep
        self._monotonic = monotonic

    def run(self) -> list[str]:
        """Install the templates and write anew what is outdated; returns the new indices' names.

        Nothing is done when all is as wanted. Raises `ArchiveError` when a document does not fit
        the new mapping (all is as before then), `ArchiveAway` when the cluster went away in the
        middle (run again).
        """
        old = [one.name for one in self._schema.outdated()]
        for index in old:  # first of all: nobody writes by the new templates into an old index
            self._block(index)
        self._schema.install()
        made = [self._write_anew(index) for index in old]
        self._remove_left_over()
        return made

    # ---- what there is

    def _aliases(self, index: str) -> dict[str, Json]:
        """Alias -> its options."""
        found = self._es.request("GET", f"/{index}/_alias", missing={})
        aliases: dict[str, Json] = found.get(index, {}).get("aliases", {})
        return aliases

    def _remove_left_over(self) -> None:
        """Take out older generations, each when nobody reads it any more."""
        end = self._monotonic() + self._readers_seconds
        for index in self._schema.left_over():
            while self._read(index) and self._monotonic() < end:
                self._sleep(POLL_SECONDS)
            if self._read(index):
                log.warning("old index is still read, kept for the next init", index=index)
                continue
            self._es.request("DELETE", f"/{index}", missing=None)

    def _read(self, index: str) -> bool:
        """True while a search, or a long reading, of the index is under way."""
        found = self._es.request(
            "GET", f"/{index}/_stats/search",
            params={"filter_path": "_all.total.search.open_contexts"}, missing={},
        )  # fmt: skip
        total = found.get("_all", {}).get("total", {})
        return bool(total.get("search", {}).get("open_contexts", 0))

    # ---- the steps, each of which may be done again

    def _write_anew(self, old: str) -> str:
        new = next_generation(old)
        self._make(old, new)
        try:
            self._copy(old, new)
            self._compare(old, new)
        except ArchiveAway:
            raise
        except ArchiveError:
            self._es.request("DELETE", f"/{new}", missing=None)
            self._unblock(old)
            raise
        self._move_aliases(old, new)
        log.info("index written anew", old=old, new=new)
        return new

    def _block(self, index: str) -> None:
        """No more writes; those under way are done when it returns."""
        self._es.request("PUT", f"/{index}/_block/write")

    def _unblock(self, index: str) -> None:
        self._es.request("PUT", f"/{index}/_settings", body={"index.blocks.write": None})

    def _make(self, old: str, new: str) -> None:
        """Make the new index, or take over the one that an earlier run left."""
        template = self._schema.template_of(old)
        wanted = self._schema.wanted.digest(template or "")
        found = self._es.request("GET", f"/{new}/_mapping", missing={})
        if found:
            mark = found[new]["mappings"].get("_meta", {}).get(MARK, {})
            if mark.get("digest") != wanted:  # begun by another version of this program
                self._es.request("DELETE", f"/{new}", missing=None)
                found = {}
        if not found:
            self._es.request("PUT", f"/{new}")

    def _copy(self, old: str, new: str) -> None:
        """Copy what is not there yet; a copying that still runs for a killed `init` is awaited."""
        for task in self._running(old, new):
            self._await(task, old)
        self._es.refresh(old)  # what was written in the last second is copied too
        source: Json = {"index": old}
        if self._is_state(old):
            source["sort"] = [{"_seq_no": "asc"}]  # "last written first" stays so
        body = {
            "conflicts": "proceed", "source": source, "dest": {"index": new, "op_type": "create"},
        }  # fmt: skip
        while True:
            with warnings.catch_warnings():  # servers 8.x sort all the same
                warnings.filterwarnings("ignore", message="The sort option in reindex")
                started = self._es.request(
                    "POST", "/_reindex", params={"wait_for_completion": "false"}, body=body
                )
            if self._await(started["task"], old):
                return
            log.warning("copying was lost with its node, begun again", index=old)

    def _is_state(self, index: str) -> bool:
        return index.rpartition("-")[0].removeprefix(f"{self._es.prefix}-") in KINDS

    def _running(self, old: str, new: str) -> list[str]:
        """Copyings from `old` to `new` that run in the cluster."""
        found = self._es.request(
            "GET", "/_tasks",
            params={
                "actions": "indices:data/write/reindex", "detailed": "true", "group_by": "none",
            },
        )  # fmt: skip
        return [
            f"{one['node']}:{one['id']}" for one in found.get("tasks", [])
            if f"[{old}]" in one.get("description", "") and f"[{new}]" in one["description"]
        ]  # fmt: skip

    def _await(self, task: str, old: str) -> bool:
        """Wait for a copying; False when nothing is known of it. Raises `ArchiveError`."""
        looks_for_result = RESULT_LOOKS
        while looks_for_result:
            found = self._es.request("GET", f"/_tasks/{task}", missing={})
            if not found:
                return False
            status = found["task"]["status"]
            done = status["created"] + status["version_conflicts"]
            self._progress(old, done, status["total"])
            if "response" in found or "error" in found:
                break
            if found["completed"]:  # what came of it is written down a moment later
                looks_for_result -= 1
            self._sleep(POLL_SECONDS)
        failures = found.get("response", {}).get("failures") or []
        error = found.get("error")
        if failures or error:
            raise _not_copied(old, failures[0] if failures else error, len(failures))
        return True

    def _compare(self, old: str, new: str) -> None:
        """Raises `ArchiveError` unless both hold the same number of documents."""
        self._es.refresh(old)
        self._es.refresh(new)
        was, came = self._es.count(old), self._es.count(new)
        if was != came:
            raise ArchiveError(
                f"索引 {old} 有 {was} 条，重写后有 {came} 条，没有换用新的",
                "请把此信息交给管理员；档案仍照旧可用",
            )

    def _move_aliases(self, old: str, new: str) -> None:
        """From one moment to the next; readers and writers go by aliases only."""
        actions: list[Json] = []
        for alias, options in self._aliases(old).items():
            actions.append({"add": {"index": new, "alias": alias, **options}})
            actions.append({"remove": {"index": old, "alias": alias, "must_exist": True}})
        self._es.request("POST", "/_aliases", body={"actions": actions})


def _not_copied(old: str, failure: Mapping[str, Any], more: int) -> ArchiveError:
    cause = failure.get("cause") or failure
    reason = cause.get("reason") or cause.get("type")
    inner = (cause.get("caused_by") or {}).get("reason")
    told = f"{failure.get('id', '')} {reason}{f'：{inner}' if inner else ''}".strip()
    return ArchiveError(
        f"索引 {old} 有 {max(more, 1)} 条以上不合新的结构，没有换用新的：{told}",
        "请把此信息交给管理员；档案仍照旧可用",
    )
