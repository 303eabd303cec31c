"""The archive is away while the spider reads: what it read waits; full, cursors stand still."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive.spool import waiting_in
from archive.spool.store import Entry, Spool
from crawler.sample_platform import SamplePlatform, start_server
from huiyin.errors import ArchiveFull
from huiyin.records import Scope, Source
from tests.archive.faulty import open_faulty

CITY = Path("samples/yundu")
UIDS = "9900000101"
EVERYTHING = Scope.everything()


@pytest.fixture(scope="module")
def platform() -> Iterator[SamplePlatform]:
    with start_server(CITY, now=datetime.now(UTC).replace(microsecond=0)) as running:
        yield running


def start(
    folder: Path, platform: SamplePlatform, seconds: float, **more: str
) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "tests.crawler.faulty_child", str(folder), platform.url,
        str(CITY / "accounts.json"), UIDS, "forever", str(seconds),
    ]  # fmt: skip
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), **more},
    )  # fmt: skip


def ended(child: subprocess.Popen[str]) -> str:
    output, _ = child.communicate(timeout=120)
    assert child.returncode == 0, output[-3000:]
    return output


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.1)


def ids(folder: Path) -> set[str]:
    archive, _ = open_faulty(folder)
    until(lambda: waiting_in(archive) is None)
    found = {one.id for one in archive.iter_posts(EVERYTHING)}
    archive.close()
    return found


def sources(folder: Path) -> dict[str, Source]:
    archive, engine = open_faulty(folder)
    found = {one.record.id: one.record for one in engine.inner.records(Source, EVERYTHING)}
    archive.close()
    return found


@pytest.fixture(scope="module")
def undisturbed(platform: SamplePlatform, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    ended(start(folder, platform, 10))
    return ids(folder)


def test_away_in_the_middle_and_back(
    platform: SamplePlatform, tmp_path: Path, undisturbed: set[str]
) -> None:
    assert len(undisturbed) > 20
    calls = sum(platform.calls.values())
    child = start(tmp_path, platform, 20)
    until(lambda: sum(platform.calls.values()) > calls)  # it knows its sources by now
    (tmp_path / "away").touch()
    spool = Spool(tmp_path / "spool", limit_bytes=64 << 20)
    until(spool.waits)
    held = spool.waiting()
    assert held is not None
    (tmp_path / "away").unlink()
    until(lambda: not spool.waits())  # by the crawl itself, while it runs
    spool.close()
    assert child.poll() is None
    ended(child)
    assert ids(tmp_path) == undisturbed
    assert {one.state for one in sources(tmp_path).values()} == {"ok"}
    assert any(one.cursor for one in sources(tmp_path).values())


def test_full_cursors_stand_still_and_nothing_is_missing_afterwards(
    platform: SamplePlatform, tmp_path: Path, undisturbed: set[str]
) -> None:
    limit = 256 << 10
    spool = Spool(tmp_path / "spool", limit_bytes=limit)
    with pytest.raises(ArchiveFull):
        while True:
            spool.add([Entry("marks", 1, os.urandom(500))], datetime.now(UTC))
    with pytest.raises(ArchiveFull):
        while True:  # to the last page
            spool.add([Entry("marks", 1, b"")], datetime.now(UTC))
    (tmp_path / "moving").touch()
    output = ended(start(tmp_path, platform, 10, HUIYIN_TEST_SPOOL_BYTES=str(limit)))
    assert "也满了" in output
    after = sources(tmp_path)
    refused = [one for one in after.values() if one.state == "failing"]
    assert refused
    assert not any(one.cursor for one in refused)
    assert all("也满了" in one.reason and one.gaps[-1].ends_at is None for one in refused)
    (tmp_path / "moving").unlink()
    while entries := spool.head():  # what filled it was ours
        spool.remove(entries)
    spool.close()
    ended(start(tmp_path, platform, 10))
    assert ids(tmp_path) == undisturbed
    assert all(one.gaps[-1].ends_at for one in sources(tmp_path).values() if one.gaps)
