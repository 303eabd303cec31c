"""Several processes at once, and processes that die in the middle."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from archive import Archive, SearchRequest
from archive.dump import dump
from huiyin.errors import NotFound
from huiyin.records import Lease, Post, text_sha
from tests.contracts.builders import ALL, MODEL, analysis, at, counts, post
from tests.contracts.engines import opened

SPAWN = multiprocessing.get_context("spawn")
POSTS = 10_000
STEP = 250


def first_text(n: int) -> str:
    return f"第{n}条原文停水"


def edited_text(n: int) -> str:
    return f"第{n}条改文来水"


def original(n: int) -> Post:
    return post(n, first_text(n), metrics=counts(0, likes=0, comments=0))


def edits(n: int) -> bool:
    return n % 3 == 0


def deletes(n: int) -> bool:
    return n % 7 == 0


def count_process(url: str) -> None:
    """Refreshes counts: each reading on top of the first text, newest reading first."""
    archive = opened(url)
    for reading in (2, 1):
        for start in range(0, POSTS, STEP):
            archive.put_posts([
                original(n).model_copy(update={"metrics": counts(reading, likes=reading * 100 + n)})
                for n in range(start, start + STEP)
            ])  # fmt: skip


def edit_process(url: str) -> None:
    archive = opened(url)
    for start in range(0, POSTS, STEP):
        numbers = [n for n in range(start, start + STEP) if edits(n)]
        archive.put_posts([post(n, edited_text(n), read_at=at(50)) for n in numbers])


def delete_process(url: str) -> None:
    archive = opened(url)
    for start in range(POSTS - STEP, -1, -STEP):
        ids = [f"weibo:{n}" for n in range(start, start + STEP) if deletes(n)]
        archive.delete_posts(ids, at(99))


def analyse_process(url: str, finish: bool = False) -> None:
    """Takes the queue as a worker does; ends when it stays empty."""
    archive = opened(url)
    empty = 0
    while empty < (1 if finish else 3):
        posts = archive.pending_analysis(MODEL, limit=500)
        empty = 0 if posts else empty + 1
        archive.write_analyses([(one.id, analysis(one.text, vector=vector_of(one)))
                                for one in posts])  # fmt: skip
        if not posts:
            time.sleep(0.05)


def vector_of(one: Post) -> list[float]:
    """A direction of its own for each post and text, spread evenly as sentence vectors are.

    (On a line of nearly equal vectors the neighbour graph of Elasticsearch, which is
    approximate, sometimes stops one short of the very nearest.)
    """
    n = int(one.id.split(":")[1])
    drawn = random.Random(2 * n + ("改文" in one.text))
    return [drawn.gauss(0.0, 1.0) for _ in range(16)]


def in_processes(url: str, *targets: Callable[[str], None]) -> None:
    processes = [SPAWN.Process(target=target, args=(url,)) for target in targets]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=200)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def test_four_processes_on_the_same_posts(url: str) -> None:
    archive = opened(url)
    archive.put_posts([original(n) for n in range(POSTS)])
    in_processes(url, count_process, edit_process, delete_process, analyse_process)
    analyse_process(url, finish=True)
    seen = 0
    for one in archive.iter_posts(ALL):
        n = int(one.id.split(":")[1])
        seen += 1
        assert one.metrics == counts(2, likes=200 + n, comments=0) or deletes(n)
        if deletes(n):
            assert (one.text, one.analysis, one.deleted_at) == ("", None, at(99))
            continue
        assert one.text == (edited_text(n) if edits(n) else first_text(n))
        assert one.analysis is not None
        assert one.analysis.text_sha == text_sha(None, one.text)
    assert seen == POSTS
    alive = [n for n in range(POSTS) if not deletes(n)]
    for words, expected in (
        ("改文来水", [n for n in alive if edits(n)]),
        ("原文停水", [n for n in alive if not edits(n)]),
    ):
        assert archive.search(SearchRequest(words), ALL).total == len(expected)
    for n in (3, 6, 300, 1, 100, 9_999):
        asked = archive.get_posts([f"weibo:{n}"], ALL)[f"weibo:{n}"]
        assert asked.analysis is not None
        [hit] = archive.similar(asked.analysis.vector, MODEL, ALL, limit=1)
        assert hit.score == pytest.approx(1.0, abs=2e-3)
        assert ("改文" in hit.post.text) == edits(n)
    assert archive.search(SearchRequest("id:weibo:7 OR id:weibo:21"), ALL).total == 0
    assert archive.check() == []
    archive.close()


def work_to_be_killed(url: str) -> None:
    """Everything a process writes, as one run that may be started again from its beginning."""
    archive = opened(url)
    for start in range(0, 1200, 400):
        archive.put_posts([original(n) for n in range(start, start + 400)])
    archive.put_posts([post(n, edited_text(n), read_at=at(50)) for n in range(0, 1200, 3)])
    while posts := archive.pending_analysis(MODEL, limit=200):
        archive.write_analyses([(one.id, analysis(one.text)) for one in posts])
    archive.mark_incidents({f"weibo:{n}": f"i{n % 5}" for n in range(0, 1200, 2)})
    archive.delete_posts([f"weibo:{n}" for n in range(0, 1200, 7)], at(99))
    for number in range(40):
        record = Lease(id=f"l{number}", owner="x", beat=number)
        if archive.get(Lease, record.id, ALL) is None:
            archive.create(record)
        archive.change(Lease, record.id, ALL, lambda one: one.model_copy(update={"beat": 7}))


def test_killed_at_any_moment_the_end_is_the_same(url: str, tmp_path: object) -> None:
    undisturbed = f"sqlite:///{tmp_path}/undisturbed.db"
    started = time.monotonic()
    in_processes(undisturbed, work_to_be_killed)
    whole = time.monotonic() - started
    seed = int(os.environ.get("HUIYIN_TEST_SEED", random.SystemRandom().randrange(10**6)))
    chance = random.Random(seed)
    killed = 0
    for _ in range(4):
        process = SPAWN.Process(target=work_to_be_killed, args=(url,))
        process.start()
        process.join(timeout=chance.uniform(0.3, 1.0) * whole)
        if process.exitcode is None:
            os.kill(process.pid or 0, signal.SIGKILL)
            killed += 1
        process.join()
    in_processes(url, work_to_be_killed)
    archive, other = opened(url), opened(undisturbed)
    assert killed, f"seed {seed}"
    assert list(dump(archive)) == list(dump(other)), f"seed {seed}"
    assert archive.check() == []
    archive.close()
    other.close()


def acknowledge(url: str, acknowledged: str) -> None:
    """Writes one post at a time and notes each after the archive said it is stored."""
    archive = opened(url)
    with open(acknowledged, "a", buffering=1) as notes:  # noqa: PTH123 - a line must leave at once
        for n in range(100_000):
            archive.put_posts([post(n)])
            archive.create(Lease(id=f"l{n}", owner="x"))
            notes.write(f"{n}\n")


def test_what_was_accepted_survives_a_kill(url: str, tmp_path: object) -> None:
    notes = f"{tmp_path}/acknowledged"
    process = SPAWN.Process(target=acknowledge, args=(url, notes))
    process.start()
    end = time.monotonic() + 60
    while time.monotonic() < end and not _lines(notes):
        time.sleep(0.05)
    time.sleep(1.0)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    archive = opened(url)
    numbers = _lines(notes)
    assert numbers
    assert len(archive.get_posts([f"weibo:{n}" for n in numbers], ALL)) == len(numbers)
    assert all(archive.get(Lease, f"l{n}", ALL) for n in numbers)
    assert archive.counts()["posts"] - len(numbers) in (0, 1)
    archive.close()


def _lines(file: str) -> list[str]:
    try:
        with open(file) as opened:  # noqa: PTH123
            return [line.strip() for line in opened if line.endswith("\n")]
    except FileNotFoundError:
        return []


def test_threads_have_their_own_connections(archive: Archive) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def write(thread: int) -> int:
        for n in range(20):
            archive.put_posts([post(thread * 100 + n)])
            archive.create(Lease(id=f"{thread}-{n}", owner="x"))
        with pytest.raises(NotFound):
            archive.change(Lease, "none", ALL, lambda one: one)
        return len(archive.get_posts([f"weibo:{thread * 100 + n}" for n in range(20)], ALL))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(write, range(6))) == [20] * 6
    assert archive.counts() == {"posts": 120, "lease": 120}
