"""The real spider against the sample platform over HTTP, with its faults."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive import open_archive
from crawler.sample_platform import SamplePlatform, start_server
from huiyin.records import Kind, Post, Scope, Source

CITY = Path("samples/yundu")
UIDS = "9900000101,9900000107,9900000108"
EVERYTHING = Scope.everything()


@pytest.fixture(scope="module")
def base() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def platform(base: datetime) -> Iterator[SamplePlatform]:
    with start_server(CITY, now=base) as running:
        yield running


class Crawl:
    """Crawls into one archive, each time in a new process."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "huiyin.db"
        self.output = ""

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}"

    def start(
        self, platform: str, mode: str = "once", *, seconds: float | None = None, uids: str = UIDS
    ) -> subprocess.Popen[str]:
        arguments = [self.url, platform, str(CITY / "accounts.json"), uids, mode]
        arguments += [str(seconds)] if seconds else []
        command = [sys.executable, "-m", "tests.crawler.child", *arguments]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip

    def run(self, platform: str, mode: str = "once", **options: object) -> None:
        child = self.start(platform, mode, **options)  # type: ignore[arg-type]
        self.output, _ = child.communicate(timeout=120)
        assert child.returncode == 0, self.output[-3000:]

    def posts(self) -> dict[str, Post]:
        archive = open_archive(self.url)
        found = {post.id: post for post in archive.iter_posts(EVERYTHING)}
        archive.close()
        return found

    def sources(self) -> dict[str, Source]:
        archive = open_archive(self.url)
        found = {one.record.id: one.record for one in archive.records(Source, EVERYTHING)}
        archive.close()
        return found

    def asked(self) -> dict[str, Source]:
        """Without the counting of stored posts, which asks nothing while there are none."""
        return {name: one for name, one in self.sources().items() if not name.endswith(":counts")}


@pytest.fixture
def crawl(tmp_path: Path) -> Crawl:
    return Crawl(tmp_path)


def essence(posts: dict[str, Post]) -> dict[str, tuple[object, ...]]:
    """All but the times of reading, which differ between two crawls."""
    return {
        key: (one.kind, one.text, one.created_at, one.author, one.offices, one.mentions, one.parent,
              one.root, one.deleted_at is None)
        for key, one in posts.items()
    }  # fmt: skip


def test_one_round_brings_all_kinds_and_a_second_one_nothing_new(
    platform: SamplePlatform, crawl: Crawl
) -> None:
    crawl.run(platform.url)
    first = crawl.posts()
    kinds = {post.kind for post in first.values()}
    assert kinds >= {Kind.POST, Kind.COMMENT, Kind.NOTICE, Kind.MESSAGE}
    for post in first.values():
        assert post.offices and post.source.spider == "weibo_official"
        assert post.author.name is None or post.author.kind.value != "ordinary"
    assert all(one.state == "ok" and not one.gaps for one in crawl.sources().values())
    assert "mentions.json" in crawl.output  # requests are logged,
    assert "sample-99" not in crawl.output  # but no token in any log line, debug included
    crawl.run(platform.url)
    assert essence(crawl.posts()) == essence(first)


def test_pages_run_down_to_the_cursor(
    platform: SamplePlatform, crawl: Crawl, monkeypatch: pytest.MonkeyPatch
) -> None:
    crawl.run(platform.url)
    everything = essence(crawl.posts())
    small = Crawl(crawl.file.parent / "small")
    small.file.parent.mkdir()
    monkeypatch.setenv("HUIYIN_TEST_COUNT", "7")
    calls = sum(platform.calls.values())
    small.run(platform.url)
    assert sum(platform.calls.values()) > 2 * calls
    assert essence(small.posts()) == everything


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_at_any_time_and_run_again(
    platform: SamplePlatform, crawl: Crawl, tmp_path: Path, seed: int
) -> None:
    calm = Crawl(tmp_path / "calm")
    calm.file.parent.mkdir()
    calm.run(platform.url)
    wait = random.Random(seed)
    for _ in range(2):
        child = crawl.start(platform.url, "forever")
        time.sleep(1.0 + wait.random() * 2)
        child.send_signal(signal.SIGKILL)
        child.communicate()
    crawl.run(platform.url)
    assert essence(crawl.posts()) == essence(calm.posts())


def test_sigterm_ends_it_cleanly(platform: SamplePlatform, crawl: Crawl) -> None:
    child = crawl.start(platform.url, "forever")
    end = time.monotonic() + 60
    while time.monotonic() < end and sum(platform.calls.values()) < 20:
        time.sleep(0.1)
    begin = time.monotonic()
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)
    assert child.returncode == 0 and time.monotonic() - begin < 20


def test_an_expired_token_is_a_visible_gap_until_it_is_renewed(
    platform: SamplePlatform, crawl: Crawl
) -> None:
    platform.faults.expired_tokens = frozenset({"sample-9900000107"})
    crawl.run(platform.url)
    for one in crawl.asked().values():
        expired = one.account == "weibo:9900000107"
        assert one.state == ("login_expired" if expired else "ok")
        assert (bool(one.gaps) == expired and one.last_ok_at is None) or not expired
    failed = crawl.sources()["source:weibo:9900000107:mentions"]
    assert failed.gaps[0].ends_at is None and "授权" in failed.reason and not failed.cursor
    platform.faults.expired_tokens = frozenset()
    crawl.run(platform.url)
    healed = crawl.sources()["source:weibo:9900000107:mentions"]
    assert healed.state == "ok" and healed.cursor and healed.reason == ""
    assert len(healed.gaps) == 1 and healed.gaps[0].ends_at is not None


def test_a_used_up_quota_waits_for_the_next_hour(platform: SamplePlatform, crawl: Crawl) -> None:
    platform.faults.calls_per_hour = 2
    crawl.run(platform.url, "forever", seconds=30.0, uids="9900000107")
    sources = crawl.sources()
    assert sorted(one.state for one in sources.values()) == ["ok"] * 3 + ["quota"] * 3
    assert sources["source:weibo:9900000107:counts"].state == "ok"  # nothing was to be counted
    assert sum(platform.calls.values()) < 10  # what the books refuse is not asked for
    for one in sources.values():
        assert (one.state == "quota") == (one.last_ok_at is None)
        assert one.state == "ok" or one.gaps[-1].ends_at is None


@pytest.mark.parametrize("fault", ["server_errors", "truncated"])
def test_a_few_bad_answers_are_asked_for_again(
    platform: SamplePlatform, crawl: Crawl, fault: str
) -> None:
    setattr(platform.faults, fault, 3)
    crawl.run(platform.url)
    assert {one.state for one in crawl.sources().values()} == {"ok"}


def test_a_platform_that_stays_broken_moves_no_cursor(
    platform: SamplePlatform, crawl: Crawl
) -> None:
    platform.faults.truncated = 10_000
    crawl.run(platform.url, uids="9900000107")
    for one in crawl.asked().values():
        assert (one.state, one.cursor) == ("failing", "") and one.gaps[0].ends_at is None
    assert crawl.posts() == {}


def test_nobody_there(crawl: Crawl) -> None:
    crawl.run("http://127.0.0.1:9", uids="9900000107")
    assert {one.state for one in crawl.asked().values()} == {"failing"}
    assert all("连不上" in one.reason for one in crawl.asked().values())


def test_slow_answers_are_waited_for(platform: SamplePlatform, crawl: Crawl) -> None:
    platform.faults.delay_seconds = 1.0
    crawl.run(platform.url, uids="9900000107")
    assert {one.state for one in crawl.sources().values()} == {"ok"}


def test_counts_edits_and_deletions_are_followed(crawl: Crawl, base: datetime) -> None:
    """The sample's day has posts that are edited or deleted after a while."""
    with start_server(CITY, now=base + timedelta(hours=5), clock=lambda: base) as early:
        crawl.run(early.url)
        before = crawl.posts()
    with start_server(
        CITY, now=base + timedelta(hours=5), clock=lambda: base + timedelta(hours=6)
    ) as late:
        crawl.run(late.url)
        after = crawl.posts()
    assert set(before) < set(after)
    known = [(before[key], after[key]) for key in before if after[key].deleted_at is None]
    assert any(old.metrics != new.metrics for old, new in known)
    with start_server(
        CITY, now=base + timedelta(hours=5), clock=lambda: base + timedelta(hours=6)
    ) as again:
        fresh = Crawl(crawl.file.parent / "fresh")
        fresh.file.parent.mkdir()
        fresh.run(again.url)
    assert {key for key, one in fresh.posts().items() if one.deleted_at is None} == {
        key for key, one in after.items() if one.deleted_at is None
    }
