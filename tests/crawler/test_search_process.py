"""The commercial search as an operator uses it: `huiyin source add`, `huiyin crawl`, processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive import open_archive
from crawler.crawl import scrapy_settings
from crawler.guard import Guard
from huiyin.errors import SourceRefused
from huiyin.records import Scope, Source
from tests.crawler.test_platform import Reader
from tests.platforms.sites import Site
from tests.platforms.sites import running as site_running
from tests.platforms.weibo import Platform, number_at, running

ALL = Scope.everything()


class Office:
    """An office's folder, and its `huiyin` as processes."""

    def __init__(self, folder: Path, platform: Platform) -> None:
        self.folder = folder
        self.env = {**os.environ, "HUIYIN_HOME": str(folder)}
        (folder / "huiyin.toml").write_text(
            f'[weibo]\nurl = "{platform.url}"\ncommercial_url = "{platform.url}"\n'
            '[weibo.tokens]\n"101" = "token-1"\n', encoding="utf-8",
        )  # fmt: skip

    def run(self, *arguments: str) -> str:
        done = subprocess.run([sys.executable, "-m", "huiyin", *arguments], env=self.env,
                              capture_output=True, text=True, check=False, timeout=400)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def crawl(self) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / "crawl.out").open("ab") as out:
            child = subprocess.Popen([sys.executable, "-m", "huiyin", "crawl"], env=self.env,
                                     stdout=out, stderr=out)  # fmt: skip
        try:
            yield child
        except AssertionError as error:
            error.add_note((self.folder / "crawl.out").read_text()[-3000:])
            raise
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(60)
            finally:
                child.kill()

    def numbers(self) -> set[int]:
        archive = open_archive(f"sqlite:///{self.folder / 'var/huiyin.db'}")
        found = {int(one.id.partition(":")[2]) for one in archive.iter_posts(ALL)}
        archive.close()
        return found

    def source(self, source_id: str) -> Source:
        archive = open_archive(f"sqlite:///{self.folder / 'var/huiyin.db'}")
        stored = archive.get(Source, source_id, ALL)
        archive.close()
        assert stored is not None
        return stored.record


def until(holds: Callable[[], bool], child: subprocess.Popen[bytes], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert child.poll() is None, "it ended"
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.2)


@pytest.fixture
def platform() -> Iterator[Platform]:
    with running(Platform()) as one:
        yield one


def busy_day(now: datetime) -> tuple[set[int], set[int], datetime]:
    """Posts of a day, those that no question brings, and the hour they were made in.

    One hour of one province holds 2,900; the platform gives 2,500, the newest.
    """
    hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=4)
    crowd = {number_at(hour + timedelta(seconds=n * 3600 / 2900), n * 4) for n in range(2900)}
    rest = {number_at(hour + timedelta(seconds=n * 6), n * 4 + 1 + n % 3) for n in range(600)}
    quiet = {number_at(now - timedelta(minutes=20 + n * 10), n * 4 + 1) for n in range(100)}
    edges = {number_at(hour + timedelta(hours=n, seconds=last), 4 * (n + 20) + 1)
             for n in range(-12, 3) for last in (-1, 0)}  # fmt: skip
    return crowd | rest | quiet | edges, set(sorted(crowd)[:400]), hour


@pytest.mark.timeout(1800)
def test_a_search_is_split_survives_a_kill_and_tells_what_it_missed(
    tmp_path: Path, platform: Platform
) -> None:
    posts, hidden, hour = busy_day(datetime.now(UTC))
    platform.lists["search"] = sorted(posts)
    platform.fault_rate, platform.delay = 0.05, 0.02
    office = Office(tmp_path, platform)
    office.run("init")
    added = json.loads(office.run("source", "add", "weibo_search", "uid=101", "q=停水",
                                  "provinces=11 31 41 44", "--every", "2", "--json"))  # fmt: skip
    with office.crawl() as child:
        until(lambda: len(office.numbers()) > 900, child)
        child.kill()
        child.wait()
    before, asked = office.numbers(), len(platform.asked)
    assert len(before) < len(posts - hidden)
    with office.crawl() as child:
        try:
            until(lambda: office.numbers() >= posts - hidden, child)
        except AssertionError as error:
            error.add_note(f"missing {len(posts - hidden - office.numbers())}")
            raise
        until(lambda: any(gap.state == "cut_off" for gap in office.source(added["id"]).gaps), child)
        seen = len(platform.asked)
        until(lambda: len(platform.asked) > seen + 3, child)  # and it goes on
    assert office.numbers() == posts - hidden  # all, none that was not shown; an id is a post
    one = office.source(added["id"])
    (gap,) = [gap for gap in one.gaps if gap.state == "cut_off"]
    assert gap.missed == 400 and (gap.starts_at, gap.ends_at) == (hour, hour + timedelta(hours=1))
    assert one.state == "ok" and not one.ahead
    searched = [query for path, query in platform.asked if path.endswith("limited.json")]
    assert any("province" in query for query in searched)
    shown = json.loads(office.run("source", "coverage", added["id"], "--json"))
    assert any(part["missed"] == 400 and part["state"] == "cut_off" for part in shown)
    assert b"token-1" not in (tmp_path / "crawl.out").read_bytes()
    # hours that were whole before the kill are not asked for again
    hours = [query["starttime"] for query in searched if "province" not in query]
    again = [query.get("starttime") for _, query in platform.asked[asked:]]
    assert len(set(hours) - set(again)) >= 3


# ---------------------------------------------------------------- what may not be asked


def test_only_the_hosts_that_the_operator_wrote() -> None:
    told = scrapy_settings("http://127.0.0.1:81", "https://c.api.weibo.com")
    guard = Guard(told["HUIYIN_ALLOWED_HOSTS"])
    guard.check_url("http://127.0.0.1:81/2/statuses/mentions.json")
    for url in ("http://127.0.0.1:82/", "http://10.0.0.1/", "http://169.254.169.254/", "file:///a",
                "http://[::1]:81/"):  # fmt: skip
        with pytest.raises(SourceRefused):
            guard.check_url(url)
    assert told["DOWNLOAD_VERIFY_CERTIFICATES"] and not told["REDIRECT_ENABLED"]
    assert told["DOWNLOAD_MAXSIZE"] == 16 << 20 and told["DOWNLOAD_TIMEOUT"] == 30
    assert told["DOWNLOADER_MIDDLEWARES"] == {"crawler.guard.GuardMiddleware": 50}
    assert all(told["DOWNLOAD_HANDLERS"][one] is None for one in ("file", "ftp", "s3", "data"))


@pytest.mark.parametrize("bad", ["redirect", "size"])
def test_a_platform_that_leads_inside_or_never_ends(
    tmp_path: Path, platform: Platform, bad: str
) -> None:
    """Both spiders, processes of their own; what a redirect names is never asked."""
    search = {"id": "source:s", "spider": "weibo_search", "account": "weibo:101",
              "parameters": {"q": "停水", "uid": "101"}}  # fmt: skip
    with site_running(Site()) as inside:
        if bad == "redirect":
            platform.redirect = f"http://127.0.0.1:{inside.port}/latest/meta-data?a=1"
        else:
            platform.padding = 17 << 20
        reader = Reader(tmp_path, platform)
        reader.run(endpoints=["mentions"], sources=[search])
        assert not inside.asked
    archive = open_archive(reader.url)
    for name in ("source:weibo:101:mentions", "source:s"):
        stored = archive.get(Source, name, ALL)
        assert stored is not None and stored.record.state not in ("ok", "new")
        assert stored.record.gaps and stored.record.gaps[0].ends_at is None
    archive.close()


def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    """A host that only says that it is the platform gets no token."""
    import ssl
    import threading

    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    raw, _ = server.accept()
                    with context.wrap_socket(raw, server_side=True) as talk:
                        heard.append(talk.recv(4096))
                except OSError:
                    if server.fileno() < 0:
                        return

        threading.Thread(target=serve, daemon=True).start()
        platform = Platform(port=server.getsockname()[1])
        reader = Reader(tmp_path, platform)
        reader.platform = type("Secure", (), {"url": f"https://127.0.0.1:{platform.port}"})()
        reader.run(endpoints=["mentions"])
    assert not any(b"token" in one for one in heard)
    assert reader.source().state not in ("ok", "new") and reader.posts() == {}
