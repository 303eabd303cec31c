"""The whole demo as a person sees it: one command, a phone, three people in a real browser."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from archive import open_archive
from huiyin.records import Alert, AlertState, Draft, DraftState, Scope
from tests.ui.console_driver import ConsoleDriver, chromium_browser

ALL = Scope.everything()
ROOT = Path(__file__).resolve().parents[1]
SHOTS = ROOT / "build" / "screenshots" / "demo"
REPLY = "您好，您说的情况我们记下了，谢谢您告诉我们。"


@dataclass
class Demo:
    """A running demo and what it printed."""

    process: subprocess.Popen[str]
    home: Path
    lines: list[str] = field(default_factory=list)

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def wait_for(self, pattern: str, seconds: float = 150) -> re.Match[str]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.said)
            if found:
                return found
            assert self.process.poll() is None, self.said + self.logs()
            time.sleep(0.2)
        raise AssertionError(f"{pattern} not seen:\n{self.said}\n{self.logs()}")

    def password(self, person: str) -> str:
        return self.wait_for(rf"登录名 {person}\s+一次性密码 (\S+)").group(1)

    def logs(self) -> str:
        return "\n".join(
            f"--- {file.name}\n{file.read_text(errors='replace')[-1500:]}"
            for file in sorted((self.home / "log").glob("*.log"))
        )

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(40)


@pytest.fixture(params=["sqlite", "elasticsearch"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the demo keeps its archive."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'demo.db'}"
    server = request.getfixturevalue("elasticsearch")
    return f"{server}/{request.getfixturevalue('elastic_prefix')}"


@contextmanager
def _demo(home: Path, *arguments: str) -> Iterator[Demo]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HUIYIN_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "huiyin", "demo", "--home", str(home), "--port", "0", *arguments],
        cwd=ROOT, env={**environment, "COLUMNS": "200", "NO_COLOR": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    demo = Demo(process, home)
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: demo.lines.extend(process.stdout or ()), daemon=True)
    reader.start()
    try:
        yield demo
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(5)


def _of_this_demo(home: Path) -> list[str]:
    found = []
    for one in psutil.process_iter(["pid", "cmdline"]):
        try:
            inside = str(home) in " ".join(one.cmdline()) or str(home) in one.environ().values()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if inside and one.pid != os.getpid() and one.status() != psutil.STATUS_ZOMBIE:
            found.append(" ".join(one.cmdline()))
    return found


@pytest.mark.timeout(600)
def test_one_command_runs_the_whole_path(chromium: str, tmp_path: Path, url: str) -> None:
    home = tmp_path / "demo"
    with _demo(home, "--archive", url) as demo:
        console = demo.wait_for(r"控制台\s+(http://127\.0\.0\.1:\d+)").group(1)
        ready = demo.wait_for(r"（(\d+) 秒就绪）").group(1)
        print(f"usable console after {ready} s")
        _a_phone_was_told(demo)
        with chromium_browser(chromium) as browser:
            _on_call(ConsoleDriver(browser, console, SHOTS), demo)
            title = _drafter(ConsoleDriver(browser, console, SHOTS), demo)
            _reviewer(ConsoleDriver(browser, console, SHOTS), demo, title)
            _small_screen(ConsoleDriver(browser, console, SHOTS, phone=True))
        posts = _archive_counts(url)
        assert demo.interrupt() == 0, demo.said
    assert _of_this_demo(home) == []
    _again_continues(home, url, posts)


def _archive_counts(url: str) -> int:
    archive = open_archive(url)
    try:
        alerts = [one.record for one in archive.records(Alert, ALL)]
        assert any(one.state is AlertState.ACKNOWLEDGED for one in alerts)
        published = archive.records(Draft, ALL, state=DraftState.PUBLISHED)
        assert len(published) == 1
        draft = published[0].record
        assert draft.text == REPLY
        assert (draft.submitted_by, draft.reviewed_by) == ("nigao", "shenhe")
        assert archive.failures() == []
        return archive.counts()["posts"]
    finally:
        archive.close()


def _a_phone_was_told(demo: Demo) -> None:
    """What arrived at the second process, not what the sender says."""
    messages = [json.loads(line) for line in (demo.home / "phone.jsonl").read_text().splitlines()]
    assert messages
    assert all(one["title"].startswith(("【疑似", "【险情】")) for one in messages)
    page = demo.wait_for(r"值班手机\s+(http://127\.0\.0\.1:\d+)").group(1)
    assert messages[0]["title"][:6] in httpx.get(page).text


def _first_time(tab: ConsoleDriver, demo: Demo, person: str) -> None:
    tab.open()
    password = demo.password(person)
    tab.sign_in(person, password)
    tab.change_password(password, f"a-new-password-of-{person}")


def _on_call(tab: ConsoleDriver, demo: Demo) -> None:
    _first_time(tab, demo, "zhiban")
    tab.open_page("事件")
    tab.shot("incidents")
    tab.page.get_by_role("button", name="查看").first.click()
    tab.page.get_by_role("button", name="返回列表").wait_for()
    tab.settle()
    tab.acknowledge()
    tab.shot("incident")
    tab.open_page("来源")
    tab.shot("sources")


def _drafter(tab: ConsoleDriver, demo: Demo) -> str:
    """Works on the most pressing appeal; returns words by which the reviewer finds it."""
    _first_time(tab, demo, "nigao")
    tab.open_page("诉求")
    tab.shot("inbox")
    tab.page.get_by_role("button", name="查看").first.click()
    tab.page.get_by_role("button", name="返回列表").wait_for()
    tab.settle()
    tab.shot("case")
    tab.draft()
    tab.shot("draft")
    assert not tab.page.get_by_test_id("stCode").count()
    tab.edit(REPLY)
    tab.submit()
    tab.open_page("检索")
    tab.search("地铁 AND NOT 抽奖")
    tab.shot("search")
    return REPLY[:10]


def _reviewer(tab: ConsoleDriver, demo: Demo, title: str) -> None:
    _first_time(tab, demo, "shenhe")
    tab.open_page("审核")
    tab.page.get_by_role("button", name="查看").first.click()
    tab.page.get_by_role("button", name="返回列表").wait_for()
    tab.settle()
    tab.text(title).wait_for()
    assert not tab.page.get_by_test_id("stCode").count(), "nothing to copy before approval"
    tab.shot("review")
    tab.approve()
    assert tab.publish() == REPLY
    tab.shot("published")


def _small_screen(tab: ConsoleDriver) -> None:
    tab.open()
    tab.sign_in("zhiban", "a-new-password-of-zhiban")
    tab.open_page("事件")
    assert tab.sideways_scroll() <= 0
    tab.shot("incidents")


def _again_continues(home: Path, url: str, posts: int) -> None:
    """A second run on the same folder: nothing twice, nothing lost, passwords stay."""
    with _demo(home, "--archive", url, "--until-ready") as demo:
        demo.wait_for("密码已改过")
        assert demo.process.wait(60) == 0
    archive = open_archive(url)
    try:
        assert archive.counts()["posts"] >= posts
        texts = [post.id for post in archive.iter_posts(ALL)]
        assert len(texts) == len(set(texts))
        assert len(archive.records(Draft, ALL, state=DraftState.PUBLISHED)) == 1
    finally:
        archive.close()
    assert _of_this_demo(home) == []
