"""Backups of a real Elasticsearch: snapshots, proof under writers, restore."""

from __future__ import annotations

import json
import threading
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive import open_archive
from archive.dump import dump
from archive.keeping.backup import Backups
from archive.keeping.snapshots import SnapshotKeeper
from huiyin.errors import ArchiveError
from tests.contracts.builders import post
from tests.keeping.test_moving import fill

NOW = datetime(2026, 3, 5, 4, tzinfo=UTC)


def server_folder(server: str, prefix: str) -> str:
    """A folder that the server may write snapshots to."""
    path = "/_nodes/settings?filter_path=nodes.*.settings.path.repo"
    with urllib.request.urlopen(server + path) as answer:
        [node] = json.load(answer)["nodes"].values()
    repo = node["settings"]["path"]["repo"]
    return f"{repo[0] if isinstance(repo, list) else repo}/{prefix}"


def test_snapshot_proof_and_restore(
    elasticsearch: str, elastic_prefix: str, tmp_path: Path
) -> None:
    url = f"{elasticsearch}/{elastic_prefix}"
    archive = open_archive(url)
    fill(archive, 120)
    keeper = SnapshotKeeper(url, None, server_folder(elasticsearch, elastic_prefix))
    kept = Backups(tmp_path, keeper, key_fingerprint="aaaa", program="test")
    stop, n = threading.Event(), [9000]

    def write() -> None:
        own = open_archive(url)
        while not stop.is_set():
            own.put_posts([post(n[0])])
            n[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = kept.make(NOW, prove=True)
    finally:
        stop.set()
        writer.join()
    assert made.proved_at == NOW and n[0] > 9000
    archive.put_posts([post(7777)])
    with pytest.raises(ArchiveError, match="已有内容"):
        kept.restore(made)
    before = made.counts["posts"]
    kept.restore(made, force=True)
    keeper._es.refresh(keeper._es.posts)
    ids = {json.loads(line)["id"] for line in dump(archive) if '"record":"post"' in line}
    assert "weibo:7777" not in ids and {f"weibo:{i}" for i in range(120)} <= ids
    assert before <= len(ids) <= 120 + n[0] - 9000
    archive.put_posts([post(8888)])
    keeper.remove(made)


def test_a_folder_that_no_server_allows(
    elasticsearch: str, elastic_prefix: str, tmp_path: Path
) -> None:
    keeper = SnapshotKeeper(f"{elasticsearch}/{elastic_prefix}", None, "/nowhere")
    with pytest.raises(ArchiveError, match=r"path\.repo"):
        Backups(tmp_path, keeper, key_fingerprint="a", program="t").make(NOW)
