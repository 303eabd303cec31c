"""Backups of an Elasticsearch archive: snapshots in a folder that all its servers see.

The folder must be allowed in `path.repo` of every node. A snapshot is one moment of each index;
the server takes up only what changed since the one before and checks its parts itself.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from archive.base import Archive
from archive.elastic import ElasticArchive
from archive.elastic.templates import generation
from archive.keeping.backup import Made, Manifest
from archive.keeping.comparing import LETTER, compare
from archive.keeping.copying import MOVING, Place, Progress, note, noted, place_now
from archive.options import ArchiveOptions
from huiyin.clock import system_clock
from huiyin.errors import ArchiveError
from huiyin.records import STATE_RECORDS

Json = dict[str, Any]
POLL_SECONDS = 0.5
LONGEST_PREFIX = 44
_TEMPLATES = (
    ("_index_template", "index_templates"), ("_component_template", "component_templates"),
)  # fmt: skip


class SnapshotKeeper:
    """Backs up the indices of one prefix into one repository of snapshots."""

    engine = "elasticsearch"

    def __init__(self, url: str, options: ArchiveOptions | None, server_folder: str) -> None:
        self._url = url
        self._options = options
        self._folder = server_folder
        self._archive = ElasticArchive(url, options)
        self._es = self._archive._es
        self._repository = f"{self._es.prefix}-backups"
        self._before: Place | None = None
        self._began = datetime.max.replace(tzinfo=UTC)

    def make(self, name: str, *, with_content: bool, progress: Progress) -> Made:
        if not self._folder:
            raise ArchiveError(
                "没有设置快照放在哪里",
                "设置 backup.server_folder：各台服务器都看得到、并写在它们 path.repo 里的文件夹",
            )
        self._register()
        self._before = place_now(self._archive, self._url) if with_content else None
        self._began = system_clock()
        counts = self._archive.counts()
        path = f"/_snapshot/{self._repository}/{name.lower()}"
        body = {"indices": ",".join(sorted(self._indices())), "include_global_state": False}
        self._es.request("PUT", path, body=body)
        while (one := self._state(path))["state"] == "IN_PROGRESS":
            time.sleep(POLL_SECONDS)
        if one["state"] != "SUCCESS":
            self._es.request("DELETE", path, missing=None)
            raise ArchiveError(f"快照没有做完整：{one['state']}", "运行 huiyin doctor，再备份一次")
        progress(1, 1)
        status = self._es.request("GET", f"{path}/_status")["snapshots"][0]
        size = int(status["stats"]["total"]["size_in_bytes"])
        return Made(name.lower(), size, "", counts)

    def _register(self) -> None:
        body = {"type": "fs", "settings": {"location": self._folder, "compress": True}}
        try:
            self._es.request("PUT", f"/_snapshot/{self._repository}", body=body)
        except ArchiveError as error:
            raise ArchiveError(
                f"服务器不能把快照放在 {self._folder}：{error.message}",
                "每台服务器的 path.repo 里写上这个文件夹并重启，且它们都能写",
            ) from error

    def _state(self, path: str) -> Json:
        found: Json = self._es.request("GET", path)["snapshots"][0]
        return found

    def _indices(self) -> set[str]:
        return self._archive._indices()

    @contextmanager
    def scratch(self, manifest: Manifest) -> Iterator[Archive]:
        # below our own prefix: an account that may reach nothing else can do this
        places = f"{self._es.prefix[:LONGEST_PREFIX]}-proof"
        self._clear(places)  # what a proof left that was killed
        prefix = f"{places}-{secrets.token_hex(4)}"
        self._bring(manifest, prefix)
        host = self._url.split(",")[0]
        scheme, _, rest = host.partition("://")
        archive = ElasticArchive(f"{scheme}://{rest.split('/')[0]}/{prefix}", self._options)
        try:
            yield archive
        finally:
            archive.close()
            self._clear(prefix)

    def _bring(self, manifest: Manifest, prefix: str) -> None:
        """Restore the indices under another prefix (or their own), with their aliases."""
        path = f"/_snapshot/{self._repository}/{manifest.file}"
        names: list[str] = self._state(path)["indices"]
        body = {
            "indices": ",".join(names), "include_global_state": False, "include_aliases": False,
            "rename_pattern": f"^{self._es.prefix}-(.+)$", "rename_replacement": f"{prefix}-$1",
        }  # fmt: skip
        self._es.request(
            "POST", f"{path}/_restore", params={"wait_for_completion": "false"}, body=body
        )
        actions: list[Json] = []
        for name in names:
            index = f"{prefix}-{name.removeprefix(f'{self._es.prefix}-')}"
            self._await(index)
            alias = index.removesuffix(f"-{generation(index):06d}")
            actions.append({"add": {"index": index, "alias": alias, "is_write_index": True}})
            if alias.startswith(f"{prefix}-posts-"):
                actions.append({"add": {"index": index, "alias": f"{prefix}-posts"}})
        self._es.request("POST", "/_aliases", body={"actions": actions})

    def _await(self, index: str) -> None:
        while True:
            found = self._es.request("GET", f"/_cluster/health/{index}", missing={})
            if found.get("status") in ("green", "yellow"):
                return
            time.sleep(POLL_SECONDS)

    def _clear(self, prefix: str) -> None:
        found = self._es.request("GET", f"/{prefix}-*/_alias", missing={})
        for index in found:
            self._es.request("DELETE", f"/{index}", missing=None)
        for kind, many in _TEMPLATES:
            known = self._es.request("GET", f"/{kind}/{prefix}-*", missing={}).get(many, [])
            for one in known:
                self._es.request("DELETE", f"/{kind}/{one['name']}", missing=None)

    def same(self, made: Made, restored: Archive) -> list[str]:
        """All that differs from the archive as it is must have been written since."""
        if self._before is None:
            return []
        rows = compare(self._archive, restored)
        written = {  # after it: writers go on meanwhile
            **self._written_since(self._before),
            LETTER: {one.post.id for one in self._archive.dead_letters() if one.at >= self._began},
        }
        return [
            f"{row.kind} {name} 不同"
            for row in rows
            for name in sorted(row.different - written.get(row.kind, set()))
        ]

    def _written_since(self, place: Place) -> Mapping[str, set[str]]:
        self._es.refresh(self._es.posts)
        return {
            "post": _ids(self._archive.changed_posts, place.posts, lambda one: one.post.id),
            **{
                kind.kind: _ids(
                    lambda at, *, limit, kind=kind: self._archive.changed_records(
                        kind, at, limit=limit
                    ),
                    place.records[kind.kind],
                    lambda one: one.record.id,
                )
                for kind in STATE_RECORDS
            },
        }

    def restore(self, manifest: Manifest, *, force: bool) -> str:
        if any(self._archive.counts().values()) and not force:
            raise ArchiveError(
                f"{self._url} 里已有内容",
                "先停下全部进程；确定要换掉它，请加 --force：现有内容不会留下",
            )
        self._register()
        self._state(f"/_snapshot/{self._repository}/{manifest.file}")  # it must be there
        for index in self._indices():
            self._es.request("DELETE", f"/{index}", missing=None)
        self._bring(manifest, self._es.prefix)
        self._archive.seal(None)
        if noted(self._archive, MOVING) is not None:
            note(self._archive, MOVING, None)
        problems = self._archive.check()
        if problems:
            raise ArchiveError(f"恢复出来的有毛病：{problems[0]}", "换更早的一份备份再恢复")
        return ""

    def remove(self, manifest: Manifest) -> None:
        path = f"/_snapshot/{self._repository}/{manifest.file}"
        self._es.request("DELETE", path, missing=None)


def _ids(ask: Callable[..., Any], position: str, name: Callable[[Any], str]) -> set[str]:
    found: set[str] = set()
    while True:
        page = ask(position, limit=1000)
        found.update(map(name, page.items))
        position = page.position
        if not page.left:
            return found
