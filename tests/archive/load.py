"""One archive under everything at once: an import, an analysis and people, each its own process.

Used by the test beside it and by benchmarks/archive.py.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from archive import Archive, SearchRequest, open_archive
from huiyin.errors import ArchiveError
from huiyin.records import Case
from tests.contracts.builders import ALL, MODEL, OFFICE, analysis, at, post

SPAWN = multiprocessing.get_context("spawn")
BATCH = 2000
PAUSE_BETWEEN_ACTS = 0.02


@dataclass(frozen=True)
class LoadReport:
    """Seconds of every small write, in no order; errors of any process; what the log grew to."""

    small_writes: list[float]
    errors: list[str]
    largest_log_bytes: int
    import_seconds: float

    @property
    def small_write_p95(self) -> float:
        return quantile(self.small_writes, 0.95)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def import_posts(url: str, posts: int, done: Event, out: Any) -> None:
    started = time.perf_counter()
    try:
        archive = open_archive(url)
        for start in range(0, posts, BATCH):
            numbers = range(start, min(start + BATCH, posts))
            archive.put_posts(
                [post(n, f"第{n}条：小区又停水了，请问什么时候恢复" * 2) for n in numbers]
            )
    except ArchiveError as error:
        out.put(("error", f"import: {error}"))
    finally:
        out.put(("import", time.perf_counter() - started))
        done.set()


def analyse(url: str, done: Event, out: Any) -> None:
    try:
        archive = open_archive(url)
        while not done.is_set():
            waiting = archive.pending_analysis(MODEL, limit=64)
            archive.write_analyses([(one.id, analysis(one.text)) for one in waiting])
            archive.mark_incidents({one.id: "" for one in waiting})
            time.sleep(0.005)
    except ArchiveError as error:
        out.put(("error", f"analysis: {error}"))
    out.put(("analysis", 0.0))


def person(url: str, number: int, acts: int, out: Any) -> None:
    """Opens a case and changes it, looks for it, again and again."""
    try:
        archive = open_archive(url)
        for act in range(acts):
            name = f"case:{number}:{act}"
            out.put(("small", _timed(lambda name=name: archive.create(_case(name)))))
            out.put(("small", _timed(lambda name=name: _take(archive, name, number))))
            archive.search(SearchRequest("停水", limit=5), ALL)
            time.sleep(PAUSE_BETWEEN_ACTS)
    except ArchiveError as error:
        out.put(("error", f"person {number}: {error}"))
    out.put(("person", 0.0))


def _case(name: str) -> Case:
    return Case(
        id=name, post="weibo:1", account=OFFICE, offices=(OFFICE,), opened_at=at(0), due_at=at(9)
    )


def _take(archive: Archive, name: str, number: int) -> None:
    archive.change(Case, name, ALL, lambda one: one.model_copy(update={"handler": f"p{number}"}))


def _timed(act: Any) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def run_load(url: str, *, posts: int, people: int, acts: int) -> LoadReport:
    """Run it and gather what the processes measured."""
    open_archive(url).close()
    out: Any = SPAWN.Queue()
    done = SPAWN.Event()
    jobs: list[tuple[Any, tuple[Any, ...]]] = [
        (import_posts, (url, posts, done, out)),
        (analyse, (url, done, out)),
        *((person, (url, number, acts, out)) for number in range(people)),
    ]
    processes = [SPAWN.Process(target=target, args=args) for target, args in jobs]
    for process in processes:
        process.start()
    log = Path(url.removeprefix("sqlite:///") + "-wal")
    small: list[float] = []
    errors: list[str] = []
    largest, ended, seconds = 0, 0, 0.0
    while ended < len(processes):
        what, value = out.get(timeout=240)
        largest = max(largest, log.stat().st_size if log.exists() else 0)
        if what == "small":
            small.append(value)
        elif what == "error":
            errors.append(value)
        else:
            ended += 1
            seconds = value if what == "import" else seconds
    for process in processes:
        process.join(timeout=30)
    return LoadReport(small, errors, largest, seconds)
