"""Runs the doors' spiders against one archive, each time in a new process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archive import open_archive
from huiyin.records import Post, Scope, Source

EVERYTHING = Scope.everything()
OFFICE = "weibo:101"


class Doors:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = ""

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'huiyin.db'}"

    def start(self, sources: Sequence[dict[str, Any]], **told: Any) -> subprocess.Popen[str]:
        job = self.folder / "job.json"
        job.write_text(json.dumps({"archive": self.url, "sources": list(sources), **told}))
        return subprocess.Popen(
            [sys.executable, "-m", "tests.crawler.door_child", str(job)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip

    def run(self, sources: Sequence[dict[str, Any]], **told: Any) -> None:
        child = self.start(sources, **told)
        self.output, _ = child.communicate(timeout=120)
        assert child.returncode == 0, self.output[-3000:]

    def posts(self) -> dict[str, Post]:
        archive = open_archive(self.url)
        found = {post.id: post for post in archive.iter_posts(EVERYTHING)}
        archive.close()
        return found

    def source(self, source_id: str) -> Source:
        archive = open_archive(self.url)
        found = archive.get(Source, source_id, EVERYTHING)
        archive.close()
        assert found is not None
        return found.record

    def change(self, source_id: str, **told: Any) -> None:
        archive = open_archive(self.url)
        archive.change(Source, source_id, EVERYTHING, lambda one: one.model_copy(update=told))
        archive.close()


def source(name: str, spider: str, **parameters: str) -> dict[str, Any]:
    return {
        "id": f"source:{name}", "spider": spider, "parameters": parameters, "account": OFFICE,
        "offices": [OFFICE], "every_seconds": 0.2,
    }  # fmt: skip
