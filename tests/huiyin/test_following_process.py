"""A search that follows an incident, as an office has it: `huiyin crawl` and `huiyin watch` run,
the platform is asked for the incident's words, until a person says that it is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive import Archive, open_archive
from crawler.temporary import source_id
from huiyin.records import Actor, Incident, Post, Quota, Role, Scope, Source
from huiyin.settings import IncidentSettings
from nlp.incidents import IncidentDesk
from tests.crawler.test_platform import Reader
from tests.incidents.helpers import BURST_MAIN, START, post, store
from tests.platforms.weibo import Platform, number_at, running

ALL = Scope.everything()
WANG = Actor("wang", "王值班", frozenset({Role.ON_CALL}), ALL)
FOUND = "中山路口水管爆了，我家在三楼也没水了"
ELSEWHERE = "今天天气真好，公园里花都开了"


class Office:
    def __init__(self, home: Path, platform: Platform) -> None:
        self.home = home
        self.env = {**os.environ, "HUIYIN_HOME": str(home), "COLUMNS": "250"}
        (home / "huiyin.toml").write_text(
            f'[office]\nid = "weibo:101"\n[incidents]\nsearch = true\n'
            f'[weibo]\nurl = "{platform.url}"\ncommercial_url = "{platform.url}"\n'
            '[weibo.tokens]\n"101" = "token-1"\n', encoding="utf-8",
        )  # fmt: skip

    def run(self, *arguments: str) -> str:
        done = subprocess.run([sys.executable, "-m", "huiyin", *arguments], env=self.env,
                              capture_output=True, text=True, check=False, timeout=400)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def part(self, name: str, end: int = signal.SIGTERM) -> Iterator[subprocess.Popen[bytes]]:
        with (self.home / f"{name}.out").open("ab") as out:
            child = subprocess.Popen([sys.executable, "-m", "huiyin", name], env=self.env,
                                     stdout=out, stderr=out)  # fmt: skip
        try:
            yield child
        except AssertionError as error:
            error.add_note((self.home / f"{name}.out").read_text()[-2000:])
            raise
        finally:
            child.send_signal(end)
            try:
                child.wait(60)
            finally:
                child.kill()


def until(holds: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.2)


@pytest.fixture
def platform() -> Iterator[Platform]:
    with running(Platform(matches=True)) as one:
        yield one


def say(platform: Platform, texts: dict[str, int]) -> list[int]:
    """Posts that the platform's search holds, some minutes old."""
    now, made = datetime.now(UTC), []
    for n, (text, minutes) in enumerate(texts.items()):
        number = number_at(now - timedelta(minutes=minutes), n + 1)
        platform.edited[number] = text
        made.append(number)
    platform.lists["search"] = sorted([*platform.lists.get("search", []), *made])
    return made


def asked(platform: Platform) -> list[str]:
    return [query["q"] for path, query in platform.asked if path.endswith("limited.json")]


def burst(archive: Archive) -> list[Post]:
    """Five people speak of one thing, read as mentions of the office's account."""
    start = datetime.now(UTC) - timedelta(minutes=20)
    posts = [post(f"w{n}", text, n, offices=("weibo:101",)) for n, text in enumerate(BURST_MAIN)]
    moved = [one.model_copy(update={key: getattr(one, key) - START + start
                                    for key in ("created_at", "collected_at", "read_at")})
             for one in posts]  # fmt: skip
    store(archive, moved)
    return moved


@pytest.mark.timeout(1200)
def test_an_incident_is_searched_for_until_somebody_says_that_it_is_none(
    tmp_path: Path, platform: Platform
) -> None:
    wanted, other = say(platform, {FOUND: 30, ELSEWHERE: 31})
    office = Office(tmp_path, platform)
    office.run("init")
    office.run("source", "add", "weibo_search", "uid=101", "q=云州", "--every", "60")
    archive = open_archive(f"sqlite:///{tmp_path / 'var/huiyin.db'}")

    def temporary() -> Source | None:
        found = archive.records(Source, ALL, state="temporary")
        assert len(found) <= 1
        return found[0].record if found else None

    def stored() -> set[str]:
        return {one.id for one in archive.iter_posts(ALL)}

    with office.part("crawl"):
        until(lambda: "云州" in asked(platform))  # the standing one is read
        burst(archive)
        with office.part("watch", signal.SIGKILL):
            until(lambda: temporary() is not None)
        one = temporary()
        assert one is not None and one.parameters["q"] == "中山路口 水管爆"
        until(lambda: f"weibo:{wanted}" in stored())
        assert f"weibo:{other}" not in stored()
        until(lambda: (here := temporary()) is not None and here.state == "ok")
        shown = office.run("source", "list")
        assert "临时" in shown and "中山路口" in shown
    asked_before = len(asked(platform))
    with office.part("crawl", signal.SIGKILL):  # all were killed: it goes on, and stays one
        until(lambda: len(asked(platform)) > asked_before)
        with office.part("watch"):
            (incident,) = [one.record for one in archive.records(Incident, ALL)]
            desk = IncidentDesk(archive, settings=IncidentSettings(),
                                clock=lambda: datetime.now(UTC))  # fmt: skip
            desk.dismiss(incident.id, WANG, "演练")
            until(lambda: temporary() is None)
            ended = archive.get(Source, source_id(incident.id), ALL)
            assert ended is not None and ended.record.ended == "dismissed"
            assert ended.record.covered_since is not None and not ended.record.paused
            desk.confirm(incident.id, WANG, "问过了，是真的")
            until(lambda: (here := temporary()) is not None and here.state == "ok"
                  and all(gap.caught_up_at for gap in here.gaps))  # fmt: skip
    archive.close()
    assert set(asked(platform)) == {"云州", "中山路口 水管爆"}


@pytest.mark.parametrize(("into_the_hour", "state"), [(1, "quota"), (3540, "ok")])
def test_the_crawl_leaves_standing_sources_their_calls(
    tmp_path: Path, platform: Platform, into_the_hour: int, state: str
) -> None:
    """100 calls an hour: at its beginning all are the standing one's; at its end most lapsed."""
    say(platform, {FOUND: 30})
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    platform.clock = lambda: hour + timedelta(seconds=into_the_hour)
    platform.limit, platform.window_seconds = 100, 3600
    said = {"spider": "weibo_search", "account": "weibo:101", "offices": ["weibo:101"]}
    standing = {**said, "id": "source:s", "parameters": {"uid": "101", "q": "云州"}}
    temporary = {**said, "id": "source:incident:x", "incident": "incident:x",
                 "parameters": {"uid": "101", "q": "中山路口 水管爆"}}  # fmt: skip
    Reader(tmp_path, platform).run(endpoints=[], sources=[temporary, standing])
    archive = open_archive(f"sqlite:///{tmp_path / 'a.db'}")
    found = {one.record.id: one.record for one in archive.records(Source, ALL)}
    quota = archive.get(Quota, "quota:weibo:commercial", ALL)
    archive.close()
    assert found["source:s"].state == "ok" and found["source:incident:x"].state == state
    assert quota is not None and quota.record.used < 10, "nobody is told that all are spent"
    assert ("中山路口 水管爆" in asked(platform)) is (state == "ok") and "云州" in asked(platform)
    if state == "quota":
        assert "留给常设来源" in found["source:incident:x"].reason
        assert found["source:incident:x"].gaps[-1].ends_at is None  # not looked: told, not hidden
