"""While the archive is away, writes of posts wait on this host's disk and arrive by themselves."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from archive import Archive, PutReport
from archive.base import Waiting
from archive.dump import dump
from archive.spool import waiting_in
from archive.spool.entries import put_entries
from archive.spool.store import Entry, Spool
from huiyin import check
from huiyin.app import App, open_app
from huiyin.clock import system_clock
from huiyin.errors import ArchiveAway, ArchiveError, ArchiveFull
from huiyin.records import Lease
from huiyin.settings import load_settings
from tests.archive.faulty import STEP, Faulty, open_faulty, wrapper
from tests.contracts.builders import ALL, analysis, at, counts, post, stored
from ui import shell

Opened = tuple[Archive, Faulty]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    archive, engine = open_faulty(tmp_path)
    yield archive, engine
    archive.close()


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.02)


def drained(archive: Archive) -> bool:
    return waiting_in(archive) is None


def told(archive: Archive) -> Waiting:
    waiting = waiting_in(archive)
    assert waiting is not None
    return waiting


def test_nothing_waits_while_the_archive_is_there(opened: Opened) -> None:
    archive, engine = opened
    assert archive.put_posts([post(1)]) == PutReport(new=1)
    assert waiting_in(archive) is None
    assert engine.calls == ["put_posts"]
    assert not [one for one in threading.enumerate() if one.name == "spool-drain"]


def test_all_five_wait_and_arrive_in_order(opened: Opened) -> None:
    archive, engine = opened
    archive.put_posts([post(1, "旧文"), post(2, "二"), post(3, "三")])
    engine.away.touch()
    packed = archive.packer()([post(4, "四"), post(5, "五")])
    posts = [post(1, "新文", read_at=at(9), metrics=counts(9, likes=3)), post(6, "六")]
    assert archive.put_posts(posts) == PutReport(waiting=2)
    assert archive.put_packed(packed) == PutReport(waiting=2)
    assert archive.write_analyses([("weibo:1", analysis("新文")), ("weibo:4", analysis("四"))]) == 0
    assert archive.mark_incidents({"weibo:2": "i", "weibo:4": ""}) == 0
    assert archive.delete_posts(["weibo:3", "weibo:5"], at(50)) == 0
    assert archive.put_posts([post(5, "五", read_at=at(60))]) == PutReport(waiting=1)
    waiting = told(archive)
    assert (waiting.posts, waiting.others, waiting.aside) == (5, 6, 0)
    assert "不应答" in waiting.reason
    engine.away.unlink()
    until(lambda: drained(archive))
    assert engine.calls == [
        "put_posts", "put_posts", "put_packed", "write_analyses", "mark_incidents",
        "delete_posts", "put_posts",
    ]  # fmt: skip
    assert stored(archive, "weibo:1").text == "新文"
    assert stored(archive, "weibo:1").analysis == analysis("新文")
    assert stored(archive, "weibo:1").metrics == counts(9, likes=3)
    assert stored(archive, "weibo:2").incident == "i"
    assert [stored(archive, f"weibo:{n}").text for n in (3, 4, 5, 6)] == ["", "四", "", "六"]
    assert stored(archive, "weibo:4").analysis == analysis("四")
    until(lambda: not [one for one in threading.enumerate() if one.name == "spool-drain"])


def test_new_writes_go_behind_those_that_wait(opened: Opened) -> None:
    archive, engine = opened
    engine.away.touch()
    archive.put_posts([post(1)])
    wrapper(archive).drainer.stop()
    engine.away.unlink()
    assert archive.delete_posts(["weibo:1"], at(5)) == 0
    assert engine.calls == []
    assert told(archive).others == 1


def test_acts_and_questions_are_refused_in_words(opened: Opened) -> None:
    archive, engine = opened
    one = archive.create(Lease(id="lease:a", owner="me", beat=1))
    engine.away.touch()
    for act in (
        lambda: archive.create(Lease(id="lease:b", owner="me", beat=1)),
        lambda: archive.replace(one, one.record.model_copy(update={"beat": 2})),
        lambda: archive.change(Lease, "lease:a", ALL, lambda old: old),
    ):
        with pytest.raises(ArchiveAway, match="这次操作没有得到档案的确认") as refused:
            act()
        assert "再做一次" in refused.value.mend
    with pytest.raises(ArchiveAway, match="不应答"):
        archive.get_posts(["weibo:1"], ALL)
    assert waiting_in(archive) is None
    engine.away.unlink()
    assert archive.get(Lease, "lease:a", ALL) == one
    assert archive.get(Lease, "lease:b", ALL) is None


def test_full_takes_nothing_more_and_goes_on_when_drained(tmp_path: Path) -> None:
    archive, engine = open_faulty(tmp_path, limit_bytes=1 << 20)
    engine.away.touch()
    noise = random.Random(7)
    accepted = 0
    with pytest.raises(ArchiveFull, match="不再收新内容") as full:
        for n in range(10_000):
            archive.put_posts([post(n, noise.randbytes(2000).hex())])
            accepted += 1
    assert "archive.spool_mb" in full.value.mend
    assert 100 < accepted < 2000
    assert wrapper(archive).spool.file.stat().st_size <= 1 << 20
    assert told(archive).posts == accepted
    engine.away.unlink()
    until(lambda: drained(archive))
    assert archive.counts()["posts"] == accepted
    assert archive.put_posts([post(99_999)]) == PutReport(new=1)
    file = wrapper(archive).spool.file
    until(lambda: file.stat().st_size < 100_000)  # the room is given back
    archive.close()


def test_what_an_ended_process_left_is_handed_on_by_the_next(tmp_path: Path) -> None:
    archive, engine = open_faulty(tmp_path)
    engine.away.touch()
    archive.put_posts([post(n) for n in range(1200)])
    archive.close()
    engine.away.unlink()
    again, _ = open_faulty(tmp_path)
    until(lambda: drained(again))
    assert again.counts()["posts"] == 1200
    again.close()


def test_an_entry_that_is_refused_blocks_nobody_and_stays(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archive.spool.drain.LONGEST_PAUSE_SECONDS", 0.05)
    archive, engine = opened
    engine.away.touch()
    archive.put_posts([post(1)])
    spool = wrapper(archive).spool
    strange = [("delete", b"{}"), ("marks", b"no JSON"), ("analyses", b"[[1]]"), ("other", b"")]
    broken = [Entry(act, 1, zlib.compress(body)) for act, body in strange]
    spool.add([Entry("put", 1, b"torn"), *broken], at(0))
    archive.put_posts([post(2)])
    engine.away.unlink()
    until(lambda: not spool.waits())
    assert sorted(one.id for one in archive.iter_posts(ALL)) == ["weibo:1", "weibo:2"]
    waiting = told(archive)
    assert (waiting.posts, waiting.others, waiting.aside) == (1, 4, 5)
    assert "读不出" in waiting.reason
    assert spool.take_back() == 5
    assert spool.waits()


def test_what_comes_as_the_last_is_handed_on_does_not_stay(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread has seen the end and not ended yet, so whoever puts more in begins no other."""
    archive, engine = opened
    drainer, spool = wrapper(archive).drainer, wrapper(archive).spool
    drain, late = drainer.drain, [post(2)]

    def draining() -> bool:
        ended = drain()
        if ended and late:
            spool.add(put_entries([late.pop()]), at(0))
            drainer.wake()
        return ended

    monkeypatch.setattr(drainer, "drain", draining)
    engine.away.touch()
    archive.put_posts([post(1)])
    engine.away.unlink()
    until(lambda: not late and drained(archive))
    assert stored(archive, "weibo:2") == post(2)
    until(lambda: not [one for one in threading.enumerate() if one.name == "spool-drain"])


def numbers(lines: Iterable[str], *, most: int | None = None) -> set[int]:
    """Acknowledged numbers among what a child says; logs are between them, and cut into lines."""
    told = (line.split() for line in lines if line.startswith("acknowledged"))
    whole = (words[1] for words in told if len(words) == 2 and words[1].isdigit())
    return {int(number) for number in itertools.islice(whole, most)}


@pytest.mark.parametrize("seed", range(3))
def test_killed_while_spooling_and_while_draining(tmp_path: Path, seed: int) -> None:
    """Two writers are killed at any moment, again and again; all that was acknowledged arrives."""
    chance = random.Random(seed)
    flag = tmp_path / "away"
    flag.touch()
    acknowledged: set[int] = set()
    for turn in range(4):
        children = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.archive.faulty", str(tmp_path),
                 str(turn * 1_000_000 + one * 500_000)],
                stdout=subprocess.PIPE, text=True,
                env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            )
            for one in range(2)
        ]  # fmt: skip
        for child in children:
            assert child.stdout is not None
            acknowledged |= numbers(iter(child.stdout.readline, ""), most=1)
        if turn % 2:
            flag.unlink()  # they drain and write while they die
        time.sleep(chance.uniform(0.05, 0.6))
        for child in children:
            child.send_signal(signal.SIGKILL)
        for child in children:
            rest, _ = child.communicate(timeout=30)
            whole = rest[: rest.rfind("\n") + 1]  # it may have died in the middle of a line
            acknowledged |= numbers(whole.splitlines())
        flag.touch()
    flag.unlink()
    archive, _ = open_faulty(tmp_path)
    until(lambda: drained(archive), 60)
    ids = {one.id for one in archive.iter_posts(ALL)}
    lost = {f"weibo:{n + k}" for n in acknowledged for k in range(STEP)} - ids
    assert not lost
    assert len(ids) == len(list(dump(archive)))
    archive.close()


def test_a_torn_tail_is_cut_off(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit_bytes=1 << 24)
    spool.add([Entry("marks", 1, b"one")], at(0))
    spool.add([Entry("marks", 1, b"two")], at(1))
    torn = tmp_path / "torn"
    torn.mkdir()
    log = spool.file.with_name(spool.file.name + "-wal")
    (torn / spool.file.name).write_bytes(spool.file.read_bytes())
    (torn / log.name).write_bytes(log.read_bytes()[:-1000])
    spool.close()
    after = Spool(torn, limit_bytes=1 << 24)
    assert [one.body for one in after.head()] == [b"one"]
    after.add([Entry("marks", 1, b"three")], at(2))
    assert [one.body for one in after.head()] == [b"one", b"three"]
    after.close()


def test_it_reaches_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit_bytes=1 << 24)
    with spool._connected() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)
    spool.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="不能建立暂存文件夹"):
        Spool(tmp_path / "file" / "spool", limit_bytes=1)


def test_a_broken_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "waiting.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(ArchiveError) as broken:
        Spool(tmp_path, limit_bytes=1)
    assert isinstance(broken.value.__cause__, sqlite3.Error)


def test_doctor_and_console_say_what_waits(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, engine = opened
    app = App(load_settings(tmp_path), archive, system_clock)
    shown: list[str] = []
    monkeypatch.setattr(shell, "show", lambda markup: shown.append(str(markup)))
    assert list(check._spool(app)) == []
    shell.waiting_note(app)
    assert shown == []
    engine.away.touch()
    archive.put_posts([post(n) for n in range(1234)])
    archive.delete_posts(["weibo:1"], at(5))
    [finding] = check._spool(app)
    assert finding.state == "bad"
    assert "1234 条帖文和 1 项" in finding.found
    assert "不应答" in finding.found
    assert "自动写入" in finding.mend
    shell.waiting_note(app)
    assert "1,234 条帖文存在本机" in shown[0]
    engine.away.unlink()
    until(lambda: drained(archive))
    assert list(check._spool(app)) == []


def test_what_waited_for_a_server_arrives_in_the_file_that_took_its_place(tmp_path: Path) -> None:
    """A switch refuses while anything waits; what came in at that very moment is not forgotten."""
    settings = load_settings(tmp_path)
    folder = settings.path(settings.archive.spool)
    assert waiting_in(open_app(settings).archive) is None and not folder.exists()
    spool = Spool(folder, limit_bytes=1 << 20)
    spool.add(put_entries([post(1)]), at(0))
    spool.close()
    app = open_app(settings)
    until(lambda: drained(app.archive))
    assert stored(app.archive, "weibo:1") == post(1)
    app.archive.close()
