"""A real Elasticsearch goes away and comes back: what was accepted arrives, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive import Archive, PutReport, SearchRequest, open_archive
from archive.base import Waiting
from archive.spool import spooled, waiting_in
from huiyin.errors import ArchiveAway
from huiyin.records import Lease
from tests.archive.proxy import Proxy, proxied
from tests.archive.test_spool import numbers, until
from tests.contracts.builders import ALL, analysis, at, post, stored

STEP = 20


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test need not wait as long as the application does."""
    monkeypatch.setattr("archive.elastic.connection.AWAY_SECONDS", 1.0)
    monkeypatch.setattr("archive.spool.drain.LONGEST_PAUSE_SECONDS", 0.5)
    for module in ("connection", "bulk", "editing"):
        monkeypatch.setattr(f"archive.elastic.{module}.BUSY_SECONDS", 2.0)


@pytest.fixture
def proxy(elasticsearch: str) -> Iterator[Proxy]:
    with proxied(elasticsearch) as made:
        yield made


@pytest.fixture
def url(proxy: Proxy, elastic_prefix: str) -> str:
    return f"http://127.0.0.1:{proxy.port}/{elastic_prefix}"


def opened(url: str, folder: Path) -> Archive:
    return spooled(open_archive(url), folder / "spool", limit_bytes=64 << 20)


def told(archive: Archive) -> Waiting:
    waiting = waiting_in(archive)
    assert waiting is not None
    return waiting


def seen(archive: Archive) -> int:
    """Posts that searches find once the server has refreshed, which takes it a second."""
    time.sleep(1.5)
    return archive.counts()["posts"]


@pytest.mark.parametrize("fault", ["cut", "503"])
def test_writes_wait_and_arrive(proxy: Proxy, url: str, tmp_path: Path, fault: str) -> None:
    archive = opened(url, tmp_path)
    archive.put_posts([post(n, f"第{n}条") for n in range(1, 4)])
    lease = archive.create(Lease(id="lease:a", owner="me", beat=1))
    proxy.fault = fault
    posts = [post(n, f"第{n}条，之后") for n in range(10, 1210)]
    assert archive.put_posts(posts) == PutReport(waiting=1200)
    archive.write_analyses([("weibo:1", analysis("第1条")), ("weibo:10", analysis("第10条，之后"))])
    archive.mark_incidents({"weibo:2": "i"})
    archive.delete_posts(["weibo:3", "weibo:11"], at(50))
    assert (told(archive).posts, told(archive).others) == (1200, 5)
    with pytest.raises(ArchiveAway, match="这次操作没有得到档案的确认"):
        archive.replace(lease, lease.record.model_copy(update={"beat": 2}))
    with pytest.raises(ArchiveAway):
        archive.search(SearchRequest("之后"), ALL)
    proxy.fault = ""
    until(lambda: waiting_in(archive) is None, 60)
    assert seen(archive) == 1203
    assert stored(archive, "weibo:10").analysis == analysis("第10条，之后")
    assert stored(archive, "weibo:1").analysis == analysis("第1条")
    assert stored(archive, "weibo:2").incident == "i"
    assert [stored(archive, f"weibo:{n}").text for n in (3, 11)] == ["", ""]
    assert archive.get(Lease, "lease:a", ALL) == lease
    archive.close()


def test_an_answer_that_is_lost(proxy: Proxy, url: str, tmp_path: Path) -> None:
    """The server did it, we did not hear so: it waits, is done again, and is there once."""
    archive = opened(url, tmp_path)
    archive.put_posts([post(0)])
    proxy.fault = "late"
    assert archive.put_posts([post(n) for n in range(1, 51)]) == PutReport(waiting=50)
    proxy.fault = ""
    until(lambda: waiting_in(archive) is None, 60)
    assert seen(archive) == 51
    assert sorted(int(one.id[6:]) for one in archive.iter_posts(ALL)) == list(range(51))
    archive.close()


def test_a_start_while_it_is_away(proxy: Proxy, url: str, tmp_path: Path) -> None:
    proxy.fault = "cut"
    archive = opened(url, tmp_path)
    assert archive.put_posts([post(n) for n in range(5)]) == PutReport(waiting=5)
    archive.close()
    again = opened(url, tmp_path)
    proxy.fault = ""
    until(lambda: waiting_in(again) is None, 60)
    assert seen(again) == 5
    again.close()


def test_the_writer_is_killed_while_it_comes_and_goes(
    proxy: Proxy, url: str, tmp_path: Path
) -> None:
    opened(url, tmp_path).close()
    acknowledged: set[int] = set()
    for turn in range(3):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.archive.writer", url, str(tmp_path),
             str(turn * 1_000_000)],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip
        assert child.stdout is not None
        acknowledged |= numbers(iter(child.stdout.readline, ""), most=1)
        proxy.fault = "cut"
        time.sleep(2.5)
        proxy.fault = ("", "cut", "")[turn]
        time.sleep(0.7)
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate(timeout=30)
        acknowledged |= numbers(rest.splitlines())
        proxy.fault = ""
    archive = opened(url, tmp_path)
    until(lambda: waiting_in(archive) is None, 60)
    seen(archive)
    ids = [one.id for one in archive.iter_posts(ALL)]
    assert len(ids) == len(set(ids))
    assert {f"weibo:{n + k}" for n in acknowledged for k in range(STEP)} <= set(ids)
    archive.close()
