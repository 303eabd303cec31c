"""Three real nodes lose one, its head, and their majority: nothing lost, readers get an answer.

Starting and killing takes minutes: `make test-long`. With HUIYIN_WRITE_RESULTS=1 the figures go to
benchmarks/results/cluster.json.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from archive import Archive, SearchRequest, open_archive
from archive.spool import spooled, waiting_in
from huiyin.errors import ArchiveAway
from tests.archive.test_spool import until
from tests.contracts.builders import ALL, at, counts, post
from tests.elasticsearch import ask, dev_server, free_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

SEED = 20261122
BATCH = 200
PAUSE_SECONDS = 0.3
"""Of each writer: into the spool alone 20,000 posts/s would go, which take long to be handed on."""
RESULTS = Path("benchmarks/results/cluster.json")


class Cluster:
    """Three nodes, n1 to n3."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.down: set[int] = set()

    @property
    def url(self) -> str:
        return ",".join(f"http://127.0.0.1:{self.port + n}" for n in range(3))

    def ask(self, path: str) -> Any:
        """Asked of a node that runs."""
        alive = next(n for n in (1, 2, 3) if n not in self.down)
        return ask(f"http://127.0.0.1:{self.port + alive - 1}", "GET", path)

    def kill(self, node: int) -> None:
        dev_server("stop", "--port", str(self.port), "--node", str(node), "--kill")
        self.down.add(node)

    def start(self) -> None:
        """Start what does not run; returns when the cluster is green."""
        dev_server("start", "--nodes", "3", "--port", str(self.port))
        self.down.clear()

    def head(self) -> int:
        return int(self.ask("/_cat/master?format=json")[0]["node"][1:])

    def holder_of_posts(self) -> int:
        """Node of the first copy of the posts."""
        shards = self.ask("/_cat/shards/huiyin-posts-*?format=json&h=prirep,node,state")
        return next(int(one["node"][1:]) for one in shards if one["prirep"] == "p")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(free_port())
    dev_server("start", "--nodes", "3", "--port", str(made.port), "--fresh")
    yield made
    dev_server("stop", "--port", str(made.port), "--remove")


@pytest.fixture(scope="module")
def figures() -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {}
    yield found
    if os.environ.get("HUIYIN_WRITE_RESULTS") == "1":
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        told = {
            "commit": commit, "date": datetime.now(UTC).date().isoformat(), "seed": SEED,
            "machine": f"{os.cpu_count()} processors, three nodes of 512 MB on one host", **found,
        }  # fmt: skip
        RESULTS.write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n")


@pytest.fixture
def archive(cluster: Cluster, tmp_path: Path) -> Iterator[Archive]:
    made = spooled(open_archive(cluster.url), tmp_path / "spool", limit_bytes=256 << 20)
    yield made
    made.close()


class Load:
    """Two writers and a reader until told to stop; remembers what was accepted and answered."""

    def __init__(self, archive: Archive, first: int) -> None:
        self.archive = archive
        self.first = first
        self.accepted: set[int] = set()
        self.waited = 0
        self.lost = 0
        self.answers: list[float] = []
        self.refused: list[str] = []
        self.slowest_write = 0.0
        self.faults: list[Exception] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guard, args=(self._write, first)),
            threading.Thread(target=self._guard, args=(self._write, first + 5_000_000)),
            threading.Thread(target=self._guard, args=(self._read, 0)),
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _guard(self, work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except Exception as error:  # noqa: BLE001 - told by the test
            self.faults.append(error)

    def _write(self, number: int) -> None:
        chance = random.Random(SEED + number)
        known = [number]
        while not self._stop.is_set():
            new = [post(n, f"第{n}条停水") for n in range(number, number + BATCH)]
            again = [post(n, f"第{n}条停水", metrics=counts(1, likes=1), read_at=at(1))
                     for n in chance.sample(known, min(20, len(known)))]  # fmt: skip
            began = time.monotonic()
            done = self.archive.put_posts(new if len(known) == 1 else [*new, *again])
            self.slowest_write = max(self.slowest_write, time.monotonic() - began)
            self.waited += done.waiting
            self.accepted.update(range(number, number + BATCH))
            known += range(number, number + BATCH)
            number += BATCH
            time.sleep(PAUSE_SECONDS)

    def _read(self, _: int) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                result = self.archive.search(SearchRequest("停水", limit=20, facets=("kind",)), ALL)
                assert len(result.hits) <= result.total
            except ArchiveAway as error:
                self.refused.append(str(error))
            self.answers.append(time.monotonic() - began)
            time.sleep(0.05)

    def arrived(self) -> None:
        """Wait until the spool is empty; counts what was accepted and is not there: nothing."""
        until(lambda: waiting_in(self.archive) is None, 300)
        ids = sorted(self.accepted)
        for start in range(0, len(ids), 1000):
            wanted = {f"weibo:{n}" for n in ids[start : start + 1000]}
            self.lost += len(wanted - set(self.archive.get_posts(sorted(wanted), ALL)))
        assert self.lost == 0

    def figures(self) -> dict[str, Any]:
        answers = sorted(self.answers)
        return {
            "posts_accepted": len(self.accepted), "posts_waited_in_spool": self.waited,
            "posts_lost": self.lost, "searches": len(answers),
            "searches_refused": len(self.refused),
            "search_seconds_median": round(answers[len(answers) // 2], 3),
            "search_seconds_longest": round(answers[-1], 2),
            "write_seconds_longest": round(self.slowest_write, 2),
        }  # fmt: skip


def seed_posts(archive: Archive) -> None:
    archive.put_posts([post(n, f"第{n}条停水") for n in range(1000)])
    time.sleep(1.5)


def test_the_node_with_the_posts_is_killed(
    cluster: Cluster, archive: Archive, figures: dict[str, Any]
) -> None:
    seed_posts(archive)
    until(lambda: cluster.ask("/_cluster/health")["status"] == "green", 60)
    with Load(archive, 1_000_000) as load:
        time.sleep(4)
        cluster.kill(cluster.holder_of_posts())
        time.sleep(15)
    load.arrived()
    assert load.faults == []
    assert load.refused == []
    figures["node_with_posts_killed"] = load.figures()
    cluster.start()


def test_the_head_of_the_cluster_is_killed(
    cluster: Cluster, archive: Archive, figures: dict[str, Any]
) -> None:
    seed_posts(archive)
    with Load(archive, 20_000_000) as load:
        time.sleep(4)
        cluster.kill(cluster.head())
        time.sleep(15)
    load.arrived()
    assert load.faults == []
    assert load.refused == []
    figures["head_killed"] = load.figures()
    cluster.start()


def test_the_majority_is_lost_and_comes_back(
    cluster: Cluster, archive: Archive, figures: dict[str, Any]
) -> None:
    """Two of three: nobody may write; posts wait in the spool until the nodes are back."""
    seed_posts(archive)
    with Load(archive, 40_000_000) as load:
        time.sleep(4)
        cluster.kill(1)
        cluster.kill(2)
        until(lambda: waiting_in(archive) is not None, 120)
        time.sleep(5)
        cluster.start()
        time.sleep(10)
    load.arrived()
    assert load.faults == []
    assert load.waited > 0
    figures["majority_killed"] = load.figures()
    total = archive.counts()["posts"]
    ids = {one.id for one in archive.iter_posts(ALL)}
    assert len(ids) == total
