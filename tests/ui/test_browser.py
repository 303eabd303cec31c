"""The console in a real browser: three people in turn, every page, at desktop and phone width."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser

from archive import open_archive
from archive.base import Archive
from huiyin.records import Alert, AlertState, Draft, DraftState, Scope
from huiyin.settings import load_settings
from responder import Desk
from tests.ui.console_driver import ConsoleDriver, chromium_browser, served
from tests.ui.seed import ALERT, CASE, EVIL, INCIDENT, PASSWORD, seed_home

ALL = Scope.everything()
DRAFT = f"draft:{CASE}"
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
TITLES = {
    "today": "今天", "incidents": "事件", "cases": "诉求", "drafts": "拟稿", "review": "审核",
    "search": "检索", "sources": "来源", "system": "系统",
}  # fmt: skip
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_browser(chromium) as opened:
        yield opened


@pytest.fixture
def home(tmp_path: Path, chromium: str) -> Path:
    folder = tmp_path / "home"
    seed_home(folder, datetime.now(UTC))
    # A stranger's package where the console is started must not be taken for ours.
    (folder / "responder.py").write_text("raise SystemExit('not ours')")
    return folder


@pytest.fixture
def archive(home: Path) -> Iterator[Archive]:
    opened = open_archive(f"sqlite:///{home / 'var' / 'huiyin.db'}")
    yield opened
    opened.close()


@pytest.fixture
def url(home: Path, tmp_path: Path) -> Iterator[str]:
    with served(load_settings(home), tmp_path / "console.log") as address:
        yield address


def drafted(archive: Archive) -> None:
    """What `huiyin work` does beside the console: a draft from the notices."""
    from huiyin.records import Actor

    Desk(archive).draft_for(CASE, Actor.system("work"))


def test_three_people_in_turn(browser: Browser, url: str, archive: Archive):
    drafted(archive)
    officer = ConsoleDriver(browser, url, SHOTS)
    listens_on_loopback_only(url)
    officer.open("incidents", id=INCIDENT)
    officer.shot("sign-in")
    officer.sign_in("wang", PASSWORD)
    officer.shot("incident-alerted")
    officer.acknowledge()
    assert archive.get(Alert, ALERT, ALL).record.state is AlertState.ACKNOWLEDGED
    officer.shot("incident-acknowledged")
    officer.sign_out()
    assert officer.page.get_by_text("经三路").count() == 0

    drafter = ConsoleDriver(browser, url, SHOTS)
    drafter.open()
    drafter.sign_in("lin", PASSWORD)
    drafter.shot("today-drafter")
    drafter.open_page("诉求")
    drafter.open_row("经三路停水")
    drafter.shot("case")
    drafter.draft()
    text = archive.get(Draft, DRAFT, ALL).record.text
    drafter.edit(text + "已赔偿居民35万元。")
    drafter.shot("draft-unsupported")
    drafter.edit(text + "谢谢您的提醒。")
    drafter.shot("draft")
    assert drafter.page.get_by_test_id("stCode").count() == 0
    drafter.submit()

    reviewer = ConsoleDriver(browser, url, SHOTS)
    reviewer.open()
    reviewer.sign_in("zhao", PASSWORD)
    reviewer.open_page("审核")
    reviewer.open_row("谢谢您的提醒")
    reviewer.shot("review")
    assert reviewer.page.get_by_test_id("stCode").count() == 0
    assert reviewer.page.get_by_test_id("stCodeCopyButton").count() == 0
    reviewer.approve()
    reviewer.shot("approved")
    assert reviewer.publish() == text + "谢谢您的提醒。"
    reviewer.shot("published")
    record = archive.get(Draft, DRAFT, ALL).record
    assert record.state is DraftState.PUBLISHED
    assert (record.submitted_by, record.reviewed_by) == ("lin", "zhao")
    for driver in (officer, drafter, reviewer):
        nothing_left_the_machine(driver)


def listens_on_loopback_only(url: str) -> None:
    port = int(url.rpartition(":")[2])
    found = {
        one.laddr.ip
        for process in psutil.Process().children(recursive=True)
        for one in process.net_connections(kind="tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr.port == port
    }
    assert found == {"127.0.0.1"}


def nothing_left_the_machine(driver: ConsoleDriver) -> None:
    foreign = [one for one in driver.requests if not one.startswith((driver.url, "data:", "blob:"))]
    assert foreign == []
    assert driver.dialogs == []


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_every_page_fits_and_keeps_hostile_text_inert(
    browser: Browser, url: str, archive: Archive, phone: bool
):
    drafted(archive)
    driver = ConsoleDriver(browser, url, SHOTS, phone=phone)
    driver.open()
    driver.sign_in("lin", PASSWORD)
    for name, title in TITLES.items():
        driver.open_page(title)
        assert driver.sideways_scroll() == 0, name
        driver.shot(name)
    for page, row, name in (("事件", "经三路", "incident"), ("诉求", "28路公交", "case-hostile"),
                            ("拟稿", "我们看到了", "draft-open")):  # fmt: skip
        driver.open_page(page)
        driver.open_row(row)
        assert driver.sideways_scroll() == 0, name
        driver.shot(name)
    driver.open_page("检索")
    driver.search("28路公交 AND 怎么")
    shown = driver.page.locator(".hy-text").filter(has_text="上班等了半小时").first
    assert EVIL in shown.inner_text()
    driver.search("停水 AND (")
    driver.text("检索式写错了").wait_for()
    driver.shot("search-wrong")
    assert driver.page.evaluate("window.hacked") is None
    assert driver.page.locator(".hy-text img, .hy-text script, .hy-text .katex").count() == 0
    nothing_left_the_machine(driver)
