"""Indices are written anew behind their aliases while others write and read."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from archive import Archive, Filters, open_archive
from archive.spool import spooled, waiting_in
from huiyin.errors import ArchiveAway, ArchiveError, Conflict
from huiyin.records import Lease
from tests.archive.reindexer import upgrade
from tests.archive.test_spool import until
from tests.contracts.builders import ALL, START, analysis, at, counts, post, stored
from tests.elasticsearch import ask

BASE = 4000
WRITES_A_SECOND = 500
BATCH = 25


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers take to the spool after a second, so that it is used."""
    for module in ("connection", "bulk", "editing"):
        monkeypatch.setattr(f"archive.elastic.{module}.BUSY_SECONDS", 1.0)
    monkeypatch.setattr("archive.spool.drain.LONGEST_PAUSE_SECONDS", 0.5)


@pytest.fixture
def url(elasticsearch: str, elastic_prefix: str) -> str:
    return f"{elasticsearch}/{elastic_prefix}"


@pytest.fixture
def archive(url: str, tmp_path: Path) -> Iterator[Archive]:
    made = spooled(open_archive(url), tmp_path / "spool", limit_bytes=64 << 20)
    yield made
    made.close()


def indices(server: str, prefix: str) -> set[str]:
    found = ask(server, "GET", f"/_cat/indices/{prefix}-*?format=json&h=index")
    return {one["index"].removeprefix(f"{prefix}-") for one in found}


class Writer(threading.Thread):
    """New posts, and ever newer counts of known ones, at a fixed pace; notes what was accepted."""

    def __init__(self, archive: Archive, number: int) -> None:
        super().__init__()
        self.archive = archive
        self.first = (number + 1) * 1_000_000
        self.mine = range(number, BASE, 2)
        self.accepted: dict[str, int] = {}
        """Post id -> likes of the last accepted reading."""
        self.stop = threading.Event()
        self.batches = 0
        self.waited = 0
        self.fault: Exception | None = None

    def run(self) -> None:
        chance = random.Random(self.first)
        started = time.monotonic()
        try:
            while not self.stop.is_set():
                new = [
                    post(self.first + self.batches * BATCH + n, metrics=counts(0, likes=0))
                    for n in range(BATCH - 5)
                ]
                reading = self.batches + 1
                again = [
                    post(n, f"第{n}条第{reading}次", read_at=at(reading),
                         metrics=counts(reading, likes=reading))
                    for n in chance.sample(self.mine, 5)
                ]  # fmt: skip
                done = self.archive.put_posts([*new, *again])
                self.waited += done.waiting
                for one in (*new, *again):
                    assert one.metrics is not None and one.metrics.likes is not None
                    self.accepted[one.id] = one.metrics.likes
                self.batches += 1
                due = started + self.batches * BATCH / (WRITES_A_SECOND / 2)
                time.sleep(max(0.0, due - time.monotonic()))
        except Exception as error:  # noqa: BLE001 - told by the test
            self.fault = error


class Reader(threading.Thread):
    """Reads all base posts again and again; each must be there once, never older than before."""

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self.archive = archive
        self.stop = threading.Event()
        self.passes = 0
        self.longest = 0.0
        self.faults: list[str] = []

    def run(self) -> None:
        seen: dict[str, int] = {}
        until_base = Filters(until=START + timedelta(seconds=BASE))
        while not self.stop.is_set():
            began = time.monotonic()
            ids: list[str] = []
            try:
                for one in self.archive.iter_posts(ALL, until_base, page=500):
                    likes = 0 if one.metrics is None else one.metrics.likes or 0
                    if likes < seen.get(one.id, 0):
                        self.faults.append(f"{one.id} older: {likes} < {seen[one.id]}")
                    seen[one.id] = likes
                    ids.append(one.id)
            except Exception as error:  # noqa: BLE001 - told by the test
                self.faults.append(f"{type(error).__name__}: {error}")
            if sorted(ids) != sorted(f"weibo:{n}" for n in range(BASE)):
                self.faults.append(f"{len(ids)} ids, {len(set(ids))} different")
            self.passes += 1
            self.longest = max(self.longest, time.monotonic() - began)


def test_nothing_is_lost_or_older_while_others_write_and_read(
    elasticsearch: str, elastic_prefix: str, url: str, archive: Archive
) -> None:
    archive.put_posts([post(n, metrics=counts(0, likes=0)) for n in range(BASE)])
    archive.write_analyses([(f"weibo:{n}", analysis(f"第{n}条")) for n in range(300)])
    stale = archive.create(Lease(id="lease:a", owner="me", beat=1))
    for n in range(20):
        archive.create(Lease(id=f"lease:{n:02d}", owner="me", beat=1))
    archive.change(Lease, "lease:05", ALL, lambda one: one.model_copy(update={"beat": 2}))
    order = [one.record.id for one in archive.records(Lease, ALL, newest_first=True)]
    time.sleep(1.5)
    writers = [Writer(archive, n) for n in range(2)]
    reader = Reader(archive)
    slow = archive.iter_posts(ALL, Filters(until=START + timedelta(seconds=BASE)), page=500)
    begun = [next(slow) for _ in range(600)]
    for thread in (*writers, reader):
        thread.start()
    time.sleep(2)
    made: list[str] = []
    worker = threading.Thread(target=lambda: made.extend(upgrade(url)))
    began = time.monotonic()
    worker.start()
    until(
        lambda: (
            "posts-2026-000002" in str(ask(elasticsearch, "GET", f"/_alias/{elastic_prefix}-posts"))
        ),
        60,
    )
    moved = time.monotonic() - began
    begun += slow  # begun on the old index, ended after the move
    worker.join()
    took = time.monotonic() - began
    time.sleep(2)
    for thread in (*writers, reader):
        thread.stop.set()
        thread.join()
    until(lambda: waiting_in(archive) is None, 60)
    written = sum(one.batches for one in writers) * BATCH
    print(
        f"{written} writes, {sum(one.waited for one in writers)} waited; {reader.passes} passes of"
        f" {BASE} posts, longest {reader.longest:.1f} s; moved after {moved:.1f} s, old index"
        f" removed after {took:.1f} s"
    )
    assert [one.fault for one in writers] == [None, None]
    assert reader.faults == []
    assert [one.id for one in begun] == [f"weibo:{n}" for n in range(BASE)]
    assert set(made) == {f"{elastic_prefix}-{one}-000002" for one in ("posts-2026", "lease")}
    assert indices(elasticsearch, elastic_prefix) == {"posts-2026-000002", "lease-000002"}
    accepted = writers[0].accepted | writers[1].accepted
    found = {}
    ids = list(accepted)
    for start in range(0, len(ids), 1000):
        found |= archive.get_posts(ids[start : start + 1000], ALL)
    assert set(found) == set(accepted)
    older = [one for one in found.values() if one.metrics and one.metrics.likes != accepted[one.id]]
    assert older == []
    assert stored(archive, "weibo:299").analysis == analysis("第299条")
    assert sum(one.waited for one in writers) > 0  # the spool was used
    assert [one.record.id for one in archive.records(Lease, ALL, newest_first=True)] == order
    with pytest.raises(Conflict):  # read before the move: begun again, never written over
        archive.replace(stale, stale.record.model_copy(update={"beat": 9}))
    archive.change(Lease, "lease:a", ALL, lambda one: one.model_copy(update={"beat": 2}))
    assert upgrade(url) == []  # a second time changes nothing
    assert indices(elasticsearch, elastic_prefix) == {"posts-2026-000002", "lease-000002"}


def test_killed_in_the_middle_and_run_again(
    elasticsearch: str, elastic_prefix: str, url: str, archive: Archive
) -> None:
    archive.put_posts([post(n, metrics=counts(0, likes=n)) for n in range(BASE)])
    archive.create(Lease(id="lease:a", owner="me", beat=1))
    for seconds in (0.3, 0.8, 1.2, 1.6):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.archive.reindexer", url],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip
        assert child.stdout is not None
        assert "began" in child.stdout.readline()
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=30)
        archive.put_posts([post(BASE + int(seconds * 10))])
        with_base = archive.get_posts(["weibo:0", f"weibo:{BASE - 1}"], ALL)
        assert len(with_base) == 2
    upgrade(url)
    until(lambda: waiting_in(archive) is None, 60)
    assert indices(elasticsearch, elastic_prefix) == {"posts-2026-000002", "lease-000002"}
    time.sleep(1.5)
    found = {one.id: one for one in archive.iter_posts(ALL)}
    assert len(found) == BASE + 4
    assert all(found[f"weibo:{n}"].metrics == counts(0, likes=n) for n in range(BASE))
    assert archive.get(Lease, "lease:a", ALL) is not None


def test_what_does_not_fit_leaves_all_as_it_was(
    elasticsearch: str, elastic_prefix: str, url: str, archive: Archive
) -> None:
    archive.put_posts([post(n) for n in range(10)])
    before = indices(elasticsearch, elastic_prefix)
    with pytest.raises(ArchiveError, match="不合新的结构") as refused:
        upgrade(url, platform="long")
    assert not isinstance(refused.value, ArchiveAway)
    assert indices(elasticsearch, elastic_prefix) == before
    assert archive.put_posts([post(1, "新文", read_at=at(9))]).updated == 1
    assert upgrade(url) == [f"{elastic_prefix}-posts-2026-000002"]
    assert archive.put_posts([post(1, "再新", read_at=at(19))]).updated == 1


def test_the_old_index_stays_for_a_long_reader(
    elasticsearch: str, elastic_prefix: str, url: str, archive: Archive
) -> None:
    archive.put_posts([post(n) for n in range(30)])
    time.sleep(1.5)
    reading = archive.iter_posts(ALL, page=10)
    begun = [next(reading).id]
    assert upgrade(url, readers_seconds=0.5) == [f"{elastic_prefix}-posts-2026-000002"]
    both = {"posts-2026-000001", "posts-2026-000002"}
    assert indices(elasticsearch, elastic_prefix) == both
    assert [*begun, *(one.id for one in reading)] == [f"weibo:{n}" for n in range(30)]
    assert upgrade(url) == []  # takes away what was left
    assert indices(elasticsearch, elastic_prefix) == {"posts-2026-000002"}
