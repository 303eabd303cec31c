"""Bundles: signed, numbered, taken in order, once each; a missing one is a visible gap."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive.base import Archive
from crawler import AccountBook, Identity
from crawler.build import Builder
from crawler.folder import REPORT, Inbox
from crawler.outbox import Outbox, public_key, station_key
from crawler.stations import Stations
from huiyin.errors import FileFormatError
from huiyin.records import Post, Scope, Source

START = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
EVERYTHING = Scope.everything()
OUTSIDE = Identity(b"the secret outside".ljust(32, b"."))


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=40)
        return self.now


def post(number: int, text: str = "停水") -> Post:
    build = Builder(identity=OUTSIDE, accounts=AccountBook(), office="weibo:101", spider="feed",
                    at=START, now=START, always=True)  # fmt: skip
    return build.post(platform="web", native=f"f{number}", text=f"{text}{number}", created_at=START,
                      uid=str(number % 3 + 100))  # fmt: skip


def outbox(folder: Path) -> Outbox:
    source = Source(id="source:a", spider="feed", account="weibo:101",
                    parameters={"url": "http://a.example/?token=secret"})  # fmt: skip
    return Outbox(folder / "out", "north", station_key(folder / "keys"), author_mark="outside",
                  sources=[source], clock=Clock())  # fmt: skip


@pytest.fixture
def stations(tmp_path: Path, archive: Archive, book: AccountBook, identity: Identity) -> Stations:
    keys = {"north": public_key(station_key(tmp_path / "keys"))}
    return Stations(archive, identity, lambda: book, "weibo:101", Clock(), keys, "inside")


def stored(archive: Archive) -> dict[str, Post]:
    return {one.id: one for one in archive.iter_posts(EVERYTHING)}


def source_of(archive: Archive, source_id: str) -> Source:
    found = archive.get(Source, source_id, EVERYTHING)
    assert found is not None
    return found.record


def bundles(box: Outbox, count: int) -> list[Path]:
    made = []
    for number in range(count):
        box.put([post(number * 2), post(number * 2 + 1)])
        box.change("source:a", lambda one: one.model_copy(update={"last_ok_at": box._clock()}))
        file = box.close_bundle()
        assert file is not None
        made.append(file)
    return made


def test_in_order_once_each(tmp_path: Path, archive: Archive, stations: Stations) -> None:
    files = bundles(outbox(tmp_path), 4)
    assert [one.name for one in files] == [f"north-{n:06d}.hyb" for n in range(1, 5)]
    assert stations.take(files[0]) and stations.take(files[0])  # a second time changes nothing
    assert len(stored(archive)) == 2
    assert stations.take(files[2]) is None and stations.take(files[3]) is None
    waiting = source_of(archive, "source:station-north")
    (gap,) = waiting.gaps
    assert waiting.state == "failing" and gap.ends_at is None and "第 2 号" in gap.reason
    for file in files[1:]:
        assert stations.take(file)
    assert len(stored(archive)) == 8
    after = source_of(archive, "source:station-north")
    assert after.state == "ok" and after.gaps[0].caught_up_at == after.gaps[0].ends_at is not None
    told = source_of(archive, "source:a@north")
    assert told.last_ok_at and "secret" not in told.model_dump_json()
    keys = {one.author.key for one in stored(archive).values()}
    assert len(keys) == 3 and OUTSIDE.author_key("web", "100") not in keys


def test_a_bundle_that_never_comes_can_be_given_up(
    tmp_path: Path, archive: Archive, stations: Stations
) -> None:
    files = bundles(outbox(tmp_path), 3)
    stations.take(files[0])
    assert stations.take(files[2]) is None
    with pytest.raises(FileFormatError):
        stations.skip("north", 3)
    stations.skip("north", 2)
    assert stations.take(files[2]) and len(stored(archive)) == 4
    (gap,) = source_of(archive, "source:station-north").gaps
    assert gap.ends_at is not None and gap.caught_up_at is None  # what was lost stays visible


def test_whatever_was_changed_is_refused(
    tmp_path: Path, archive: Archive, stations: Stations
) -> None:
    (file,) = bundles(outbox(tmp_path), 1)
    data = file.read_bytes()
    head, sign, body = data.split(b"\n", 2)
    wrong = [
        data[:-1], data[:200], b"", body, data[:-9] + b"x" + data[-8:],
        b"\n".join([head.replace(b'"number": 1', b'"number": 2'), sign, body]),
        b"\n".join([head.replace(b"north", b"south"), sign, body]),
        b"\n".join([head, base64.b64encode(b"\0" * 64), body]),
    ]  # fmt: skip
    wrong += [data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
              for place in range(0, len(data), 37)]  # fmt: skip
    for number, changed in enumerate(wrong):
        (tmp_path / f"w{number}.hyb").write_bytes(changed)
        with pytest.raises(FileFormatError):
            stations.take(tmp_path / f"w{number}.hyb")
    assert not stored(archive)
    other = tmp_path / "other"
    (forged,) = bundles(outbox(other), 1)  # signed with another key
    with pytest.raises(FileFormatError, match="签名"):
        stations.take(forged)
    assert stations.take(file)


def test_a_station_that_began_anew_is_not_mistaken(tmp_path: Path, stations: Stations) -> None:
    first = bundles(outbox(tmp_path), 2)
    stations.take(first[0])
    again = tmp_path / "again"
    (again / "keys").mkdir(parents=True)
    (again / "keys/station.key").write_bytes((tmp_path / "keys/station.key").read_bytes())
    box = outbox(again)
    box.put([post(77)])
    with pytest.raises(FileFormatError, match="内容却不同"):
        stations.take(box.close_bundle() or Path())
    box.put([post(78)])
    with pytest.raises(FileFormatError, match="接不上"):
        stations.take(box.close_bundle() or Path())


def test_through_the_folder(
    tmp_path: Path, archive: Archive, book: AccountBook, identity: Identity, stations: Stations
) -> None:
    clock = Clock()
    box = Inbox(tmp_path / "in", archive, identity, lambda: book, "weibo:101", clock,
                bundle=stations.take)  # fmt: skip
    (tmp_path / "in").mkdir()
    files = bundles(outbox(tmp_path), 3)
    for file in (files[0], files[2]):
        (tmp_path / "in" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "in/bad.hyb").write_bytes(files[1].read_bytes()[:-3])
    box.run_once()
    box.run_once()
    assert len(stored(archive)) == 2 and (tmp_path / f"in/bad.hyb{REPORT}").exists()
    (tmp_path / "in" / files[1].name).write_bytes(files[1].read_bytes())
    for _ in range(3):
        box.run_once()
    assert len(stored(archive)) == 6
    assert not list((tmp_path / "in").glob("north*"))


WRITER = """
import sys, itertools
from pathlib import Path
from tests.crawler.test_two_networks import outbox, post
box = outbox(Path(sys.argv[1]))
first = int(sys.argv[2])
for n in itertools.count(first):
    box.put([post(n)])
    print(n, flush=True)
    if n % 3 == 0:
        box.close_bundle()
"""


def test_killed_at_any_time(
    tmp_path: Path, archive: Archive, stations: Stations, capfd: pytest.CaptureFixture[str]
) -> None:
    """What was acknowledged is in a bundle; the numbers have no hole."""
    first, said = 0, 0
    for turn in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(first)], text=True,
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."},
        )  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.01 + 0.017 * turn)
        child.send_signal(signal.SIGKILL)
        said = max([first, *(int(line) for line in child.stdout.read().split())])
        child.wait()
        first = said + 1
    box = outbox(tmp_path)
    box.put([post(first)])
    box.close_bundle()
    for file in sorted((tmp_path / "out").glob("*.hyb")):
        report = stations.take(file)
        assert report is not None and not report.skipped, file
    numbers = {int(one.partition(":f")[2]) for one in stored(archive)}
    assert numbers >= set(range(said + 1))


def test_masked_again_inside(tmp_path: Path, archive: Archive, stations: Stations) -> None:
    """A station that does not mask is not trusted."""
    box = outbox(tmp_path)
    bad = post(1).model_copy(update={"text": "找 @张小明 13812345678"})
    box.put([bad])
    stations.take(box.close_bundle() or Path())
    assert stored(archive)["web:f1"].text == "找 @某用户 【电话】"
