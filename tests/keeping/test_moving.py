"""Copying, comparing and switching with real processes that write and die."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from archive import Archive, open_archive
from archive.dump import dump
from archive.keeping.base import APART
from archive.keeping.comparing import compare, settle
from archive.keeping.copying import Copier, only_one
from archive.keeping.switching import cancel, end_move, switch, target_of
from huiyin.errors import ArchiveBusy, ArchiveError, ArchiveMoved
from huiyin.records import Incident, Lease, Setting
from tests.contracts.builders import ALL, analysis, at, counts, post

SPAWN = multiprocessing.get_context("spawn")


ENGINES = (("sqlite", "sqlite"), ("sqlite", "elasticsearch"), ("elasticsearch", "sqlite"))
"""The way back to a file takes minutes more: `make test-long`."""


@pytest.fixture(
    params=[
        pytest.param(one, marks=pytest.mark.long if one[0] == "elasticsearch" else ())
        for one in ENGINES
    ],
    ids=[f"{one}-to-{other}" for one, other in ENGINES],
)
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """From where to where."""

    def url(engine: str, name: str) -> str:
        if engine == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        return "/".join(map(request.getfixturevalue, ("elasticsearch", "elastic_prefix")))

    old, new = request.param
    return url(old, "old"), url(new, "new")


def now() -> datetime:
    return datetime(2026, 3, 5, tzinfo=UTC)


def fill(archive: Archive, posts: int) -> None:
    """Posts of every kind of state, failures, records."""
    for start in range(0, posts, 500):
        numbers = range(start, min(start + 500, posts))
        archive.put_posts(
            [post(n, f"第{n}条停水", metrics=counts(n % 9, likes=n)) for n in numbers]
        )
        archive.put_posts([post(n, metrics=counts(50, comments=n)) for n in numbers if n % 4 == 0])
        archive.write_analyses(
            [(f"weibo:{n}", analysis(f"第{n}条停水", vector=[n + 1.0, 1.0, 0.0, 2.0]))
             for n in numbers if n % 2]
        )  # fmt: skip
        archive.mark_incidents({f"weibo:{n}": f"i{n % 7}" if n % 5 else "" for n in numbers})
        archive.delete_posts([f"weibo:{n}" for n in numbers if n % 11 == 0], at(99))
    for n in range(1, 40, 2):
        archive.record_failure("analysis", f"weibo:{n}", "坏", at(n))
    for n in range(30):
        archive.create(Lease(id=f"l{n}", owner="x"))
        archive.create(Incident(id=f"i{n}", title="停水", first_post_at=at(0), last_post_at=at(1),
                                opened_at=at(0)))  # fmt: skip
    archive.change(Lease, "l3", ALL, lambda one: one.model_copy(update={"beat": 9}))
    archive.create(Setting(id=f"{APART}own", value="stays here"))


def copier(urls: tuple[str, str], page: int = 200) -> Copier:
    source, target = map(open_archive, urls)
    return Copier(source, target, source_url=urls[0], target_url=urls[1], page=page)


def copied(urls: tuple[str, str], page: int = 200) -> Copier:
    made = copier(urls, page)
    made.begin()
    made.catch_up()
    settle(made, compare(made.source, made.target))
    return made


def test_everything_goes_in_its_order(urls: tuple[str, str]) -> None:
    fill(open_archive(urls[0]), 700)
    made = copied(urls)
    assert made.place.equal
    assert list(dump(made.source)) == list(dump(made.target))
    assert made.source.failures(limit=999) == made.target.failures(limit=999) != []
    for kind in (Lease, Incident):
        order = [
            [one.record.id for one in side.records(kind, ALL, newest_first=True)]
            for side in (made.source, made.target)
        ]
        assert order[0] == order[1]
    assert made.target.get(Setting, f"{APART}own", ALL) is None
    assert made.target.check() == []
    assert made.catch_up() == 0


def test_differences_are_named(urls: tuple[str, str]) -> None:
    fill(open_archive(urls[0]), 50)
    made = copied(urls)
    made.target.put_posts([post(9000)])
    made.target.remove_posts(["weibo:3"])
    made.target.mark_incidents({"weibo:5": "other"})
    made.target.create(Lease(id="more", owner="x"))
    rows = {row.kind: row for row in compare(made.source, made.target)}
    assert rows["post"].different == {"weibo:9000", "weibo:3", "weibo:5"}
    assert rows["post"].counts == [50, 50] and len(set(map(rows["post"].checksum, (0, 1)))) == 2
    assert rows["lease"].different == {"more"} and rows["lease"].counts == [30, 31]
    assert rows["incident"].equal and rows["incident"].sums[0] == rows["incident"].sums[1]


def test_only_an_empty_place_is_copied_into(urls: tuple[str, str]) -> None:
    open_archive(urls[1]).put_posts([post(1)])
    with pytest.raises(ArchiveError, match="不是空的"):
        copier(urls).begin()


def test_two_copies_at_once_are_refused(tmp_path: Path) -> None:
    with only_one(tmp_path / "lock"), pytest.raises(ArchiveBusy), only_one(tmp_path / "lock"):
        pass


# ---- killed in the middle


def copy_process(urls: tuple[str, str]) -> None:
    made = copier(urls, page=100)
    made.begin()
    made.catch_up()


def test_killed_again_and_again_the_copy_is_whole(urls: tuple[str, str]) -> None:
    fill(open_archive(urls[0]), 4000)
    dice = random.Random(7)
    kills = 0
    reached = [0]
    while kills < 6:
        process = SPAWN.Process(target=copy_process, args=(urls,))
        process.start()
        target = open_archive(urls[1])
        goal = reached[-1] + dice.randrange(200, 700)
        while process.is_alive() and target.counts()["posts"] < goal:
            time.sleep(0.002)
        if process.is_alive() and process.pid:
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        if process.exitcode != -signal.SIGKILL:
            break
        kills += 1
        reached.append(target.counts()["posts"])
    assert kills >= 1, "the copy was too quick to be killed"
    assert reached == sorted(reached), "each run goes on where the last one was"
    made = copied(urls)
    assert list(dump(made.source)) == list(dump(made.target))
    assert made.source.failures(limit=999) == made.target.failures(limit=999)
    assert made.place.equal and made.target.check() == []


# ---- writers at work


def write_process(url: str, other: str, first: int, out: Any, stop: Any) -> None:
    """About 100 posts a second, then their owners' fields; goes where the archive has moved."""
    archive = open_archive(url)
    acknowledged = longest = 0.0
    n = first
    while not stop.is_set():
        started = time.monotonic()
        try:
            archive.put_posts([post(n + i, f"第{n + i}条停水") for i in range(5)])
            archive.write_analyses([(f"weibo:{n}", analysis(f"第{n}条停水"))])
            archive.mark_incidents({f"weibo:{n + 1}": "i"})
            archive.delete_posts([f"weibo:{n + 2}"], at(1))
            archive.put_posts([post(n + 3, f"第{n + 3}条停水", metrics=counts(9, likes=n))])
            archive.create(Lease(id=f"l{n}", owner="x"))
            archive.change(
                Lease, f"l{first}", ALL, lambda one: one.model_copy(update={"beat": one.beat + 1})
            )
        except ArchiveMoved as error:
            assert error.to in (url, other)
            archive = open_archive(error.to)
            # as a program that starts anew does: the same step again
            if archive.get(Lease, f"l{n}", ALL) is None:
                continue
        longest = max(longest, time.monotonic() - started)
        acknowledged += 5
        n += 5
        time.sleep(0.05)
    out.put((first, n, longest))


def require_all(archive: Archive, first: int, end: int) -> None:
    posts = archive.get_posts([f"weibo:{n}" for n in range(first, end)], ALL)
    assert len(posts) == end - first
    for n in range(first, end, 5):
        assert posts[f"weibo:{n}"].analysis is not None
        assert posts[f"weibo:{n + 1}"].incident == "i"
        assert posts[f"weibo:{n + 2}"].deleted_at is not None
        metrics = posts[f"weibo:{n + 3}"].metrics
        assert metrics is not None and metrics.likes == n
        assert archive.get(Lease, f"l{n}", ALL) is not None


def test_switch_and_back_while_processes_write(urls: tuple[str, str], tmp_path: Path) -> None:
    fill(open_archive(urls[0]), 2000)
    out: Any = SPAWN.Queue()
    stop = SPAWN.Event()
    firsts = (10_000, 200_000)
    writers = [
        SPAWN.Process(target=write_process, args=(*urls, first, out, stop)) for first in firsts
    ]
    for one in writers:
        one.start()
    watched = open_archive(urls[0])
    while len(watched.get_posts([f"weibo:{first}" for first in firsts], ALL)) < len(firsts):
        time.sleep(0.1)  # a process takes its time to start
    lock = tmp_path / "lock"
    made = copier(urls)
    with only_one(lock):
        made.begin()
        made.catch_up()
        settle(made, compare(made.source, made.target, again=made.catch_up))
    assert made.place.equal
    time.sleep(1)
    done = switch(made, lock=lock, now=now)
    assert done.copied > 0 and done.closed_seconds < 60
    with pytest.raises(ArchiveMoved):
        made.source.put_posts([post(1)])
    before = made.source.counts()["posts"]
    while made.target.counts()["posts"] <= before:  # processes write into the new one
        time.sleep(0.2)
    assert target_of(made.target, back=True) == urls[0]
    back = Copier(made.target, made.source, source_url=urls[1], target_url=urls[0])
    done = switch(back, lock=lock, now=now)
    assert done.copied > 0 and done.closed_seconds < 60
    time.sleep(1)
    stop.set()
    reports = [out.get(timeout=60) for _ in writers]
    for one in writers:
        one.join(60)
    archive = open_archive(urls[0])
    for first, end, longest in reports:
        assert end - first > 100 and longest < 60
        require_all(archive, first, end)
    with pytest.raises(ArchiveMoved):
        back.source.put_posts([post(1)])
    assert archive.check() == []
    ids = [one.id for one in archive.iter_posts(ALL)]
    assert len(ids) == len(set(ids)) == 2000 + sum(end - first for first, end, _ in reports)


def test_switch_refuses_while_anything_is_left(urls: tuple[str, str], tmp_path: Path) -> None:
    fill(open_archive(urls[0]), 20)
    made = copier(urls)
    with pytest.raises(ArchiveError, match="没有搬迁"):
        target_of(made.source, back=False)
    with pytest.raises(ArchiveError, match="还没有搬完"):
        switch(made, lock=tmp_path / "lock", now=now)
    made.begin()
    with pytest.raises(ArchiveError, match="还没有搬完"):
        switch(made, lock=tmp_path / "lock", now=now)
    made.catch_up()
    with pytest.raises(ArchiveError, match="核对一致"):
        switch(made, lock=tmp_path / "lock", now=now)
    assert made.source.sealed() is None


def test_a_switch_that_cannot_be_done_leaves_the_old_one_open(
    urls: tuple[str, str], tmp_path: Path
) -> None:
    fill(open_archive(urls[0]), 20)
    made = copied(urls)
    made.target.remove_posts(["weibo:1"])
    with pytest.raises(ArchiveError, match="条数不同：posts 20 / 19"):
        switch(made, lock=tmp_path / "lock", now=now)
    assert made.source.sealed() is None and made.target.sealed() is None
    made.source.put_posts([post(500)])


def switch_process(urls: tuple[str, str], lock: Path, die_at: str) -> None:
    """A switch that is killed when it seals (`closing` or `moved`) or opens the target."""
    made = copier(urls)
    for archive in (made.source, made.target):
        seal = archive.seal

        def sealing(value: Any, seal: Any = seal) -> None:
            if die_at == ("open" if value is None else value.state):
                os.kill(os.getpid(), signal.SIGKILL)
            seal(value)

        archive.seal = sealing  # type: ignore[method-assign, assignment]
    switch(made, lock=lock, now=now)


@pytest.mark.parametrize("die_at", ["closing", "open", "moved"])
def test_a_killed_switch_is_finished_by_the_next(
    urls: tuple[str, str], tmp_path: Path, die_at: str
) -> None:
    fill(open_archive(urls[0]), 60)
    made = copied(urls)
    process = SPAWN.Process(target=switch_process, args=(urls, tmp_path / "lock", die_at))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    if die_at != "closing":
        assert made.source.sealed() is not None
        assert cancel(made.source) and not cancel(made.source)
    made.source.put_posts([post(700)])
    switch(copier(urls), lock=tmp_path / "lock", now=now)
    sealed = made.source.sealed()
    assert sealed is not None and (sealed.state, sealed.to) == ("moved", urls[1])
    assert "weibo:700" in made.target.get_posts(["weibo:700"], ALL)


def test_a_way_back_that_was_killed_before_its_last_step(
    urls: tuple[str, str], tmp_path: Path
) -> None:
    fill(open_archive(urls[0]), 60)
    switch(copied(urls), lock=tmp_path / "lock", now=now)
    other = (urls[1], urls[0])
    process = SPAWN.Process(target=switch_process, args=(other, tmp_path / "lock", "moved"))
    process.start()
    process.join()
    old, new = map(open_archive, urls)
    assert old.sealed() is None
    closed = new.sealed()
    assert closed is not None and closed.state == "closing"
    old.put_posts([post(800)])
    # the old one is open, so a program that starts takes it; the same command ends the way back
    made = Copier(old, new, source_url=urls[0], target_url=target_of(old, back=True))
    assert switch(made, lock=tmp_path / "lock", now=now).to == urls[0]
    moved = new.sealed()
    assert moved is not None and (moved.state, moved.to) == ("moved", urls[0])
    assert old.sealed() is None


def test_an_ended_move_begins_anew(urls: tuple[str, str]) -> None:
    fill(open_archive(urls[0]), 30)
    made = copied(urls)
    end_move(made.source)
    made.source.put_posts([post(600)])
    with pytest.raises(ArchiveError):
        target_of(made.source, back=False)
    again = copier(urls)
    again.begin()
    again.catch_up()
    again.target.counts()  # a server's searches see everything from here on
    assert list(dump(again.source)) == list(dump(again.target))
