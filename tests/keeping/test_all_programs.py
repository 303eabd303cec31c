"""Every long-running program across a switch to a server and back: each goes on within a minute.

Real processes of the command line on a seeded city, the console in a real browser. It takes
minutes: `make test-long`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive import Archive, open_archive
from archive.keeping.base import is_apart
from crawler import load_accounts
from crawler.sample_platform import start_server
from huiyin.records import Setting, Source
from samples import cities
from tests.contracts.builders import ALL, stored
from tests.contracts.builders import post as plain_post
from tests.keeping.test_programs import huiyin
from tests.ui.console_driver import ConsoleDriver, chromium_browser, free_port, wait_until_up
from tests.ui.seed import PASSWORD, seed_home

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

CITY = next(iter(cities().values()))
PROGRAMS = ("crawl", "work", "watch", "console")
MOST_SECONDS = 60.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    seed_home(folder, datetime.now(UTC))
    with start_server(CITY, now=datetime.now(UTC), live_seconds=600) as platform:
        tokens = "\n".join(
            f'"{one.uid}" = "sample-{one.uid}"' for one in load_accounts(CITY / "accounts.json")
        )
        with (folder / "huiyin.toml").open("a") as settings:
            settings.write(
                f'[weibo]\nurl = "{platform.url}"\nevery_seconds = 2.0\n[weibo.tokens]\n{tokens}\n'
            )
        assert huiyin(folder, "init").returncode == 0
        loaded = huiyin(folder, "account", "load", str(CITY / "accounts.json"))
        assert loaded.returncode == 0, loaded.stderr
        yield folder


class Programs:
    """The four programs, each with a log of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Programs:
        for name in PROGRAMS:
            more = ["--port", str(self.port)] if name == "console" else []
            with self.log(name).open("wb") as log:
                self.running[name] = subprocess.Popen(
                    [sys.executable, "-m", "huiyin", name, *more], stdout=log, stderr=log,
                    env={**os.environ, "HUIYIN_HOME": str(self.home)},
                )  # fmt: skip
        wait_until_up(self.url, self.running["console"], self.log("console"))
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.running.values():
            one.terminate()
        for one in self.running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.wait(20)
            one.kill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self, name: str) -> Path:
        return self.home / f"{name}.txt"

    def alive(self) -> None:
        for name, one in self.running.items():
            said = self.log(name).read_text(errors="replace")[-3000:]
            assert one.poll() is None, f"{name} ended: {said}"


def seconds_until(holds: Callable[[], bool], programs: Programs, since: float, what: str) -> float:
    while not holds():
        programs.alive()
        assert time.monotonic() - since < MOST_SECONDS, what
        time.sleep(0.3)
    return time.monotonic() - since


def read_since(archive: Archive, moment: datetime) -> bool:
    """True when `crawl` has read a source since then, as the archive knows it."""
    sources = [one.record for one in archive.records(Source, ALL)]
    return any(one.last_ok_at is not None and one.last_ok_at > moment for one in sources)


def look_at_all(
    programs: Programs, archive: Archive, since: float, number: int
) -> dict[str, float]:
    """Seconds from the switch until each program works in `archive`."""
    moment = datetime.now(UTC)
    archive.put_posts([
        plain_post(number, "我们小区又停水了，请尽快处理", created_at=moment, collected_at=moment,
                   read_at=moment, offices=("weibo:1001",))
    ])  # fmt: skip
    post_id = f"weibo:{number}"
    return {
        "work": seconds_until(
            lambda: stored(archive, post_id).analysis is not None, programs, since, "work"
        ),
        "watch": seconds_until(
            lambda: stored(archive, post_id).incident is not None, programs, since, "watch"
        ),
        "crawl": seconds_until(lambda: read_since(archive, moment), programs, since, "crawl"),
    }


def everything(archive: Archive) -> object:
    """What nobody may change any more; without the records about the archive itself."""
    settings = [one for one in archive.records(Setting, ALL) if not is_apart(one.record)]
    return {one.id: one for one in archive.iter_posts(ALL)}, settings


def switched(home: Path, *more: str) -> float:
    done = huiyin(home, "archive", "switch", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic()


def test_each_program_goes_on_in_the_new_archive_and_back(
    home: Path, elasticsearch: str, elastic_prefix: str, chromium: str, tmp_path: Path
) -> None:
    server_url = f"{elasticsearch}/{elastic_prefix}"
    file = open_archive(f"sqlite:///{home / 'var/huiyin.db'}")
    with Programs(home) as programs, chromium_browser(chromium) as browser:
        began = time.monotonic() + 120  # the model is loaded for the first time
        print("before", look_at_all(programs, file, began, 1_000_001))
        tab = ConsoleDriver(browser, programs.url, tmp_path)
        tab.open()
        tab.sign_in("lin", PASSWORD)
        copied = huiyin(home, "archive", "copy", "--to", server_url, "--json")
        assert copied.returncode == 0, copied.stdout + copied.stderr

        since = switched(home)
        server = open_archive(server_url)
        print("switched", look_at_all(programs, server, since, 1_000_002))
        left = everything(file)
        signs_in_again(tab)
        tab.sign_out()
        assert everything(file) == left  # nobody writes here any more

        since = switched(home, "--back")
        print("back", look_at_all(programs, file, since, 1_000_003))
        tab.open()
        tab.sign_in("lin", PASSWORD)
        programs.alive()
        ids = set(server.get_posts(["weibo:1000002", "weibo:1000003"], ALL))
        assert ids == {"weibo:1000002"}
        assert stored(file, "weibo:1000002").analysis is not None
    server.close()
    assert file.check() == []


def signs_in_again(tab: ConsoleDriver) -> None:
    """What a tab shows is of the old archive: its next act says so and asks for the password."""
    tab.page.get_by_test_id("stSidebarNavLink").nth(1).click()
    tab.page.get_by_text("档案刚刚换了地方").wait_for()
    tab.sign_in("lin", PASSWORD)
