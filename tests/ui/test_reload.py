"""A reload keeps the sign-in; signing out, expiry and a lost account end it everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page
from starlette.applications import Starlette
from starlette.testclient import TestClient

from archive import open_archive
from huiyin.people import People, Session
from huiyin.records import Person, Role
from huiyin.settings import load_settings
from tests.ui.console_driver import ConsoleDriver, chromium_browser, served
from tests.ui.seed import PASSWORD, seed_home
from ui.kept import KEEPER, PATH, ROUTES, Keeper, cookie_name

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"


def session(hours: float = 8.0, now: datetime = NOW) -> Session:
    person = Person(id="lin", name="林", roles=(Role.DRAFTER,), offices=("*",), password_hash="x")
    return Session(person, now + timedelta(hours=hours))


def test_a_ticket_is_good_once_and_for_a_minute() -> None:
    keeper, one = Keeper(), session()
    ticket = keeper.offer(one, NOW)
    assert keeper.find(ticket, NOW) is None  # no key by itself
    taken = keeper.take(ticket, NOW)
    assert taken is not None and keeper.find(taken[0], NOW) is one
    assert keeper.take(ticket, NOW) is None
    assert keeper.take(keeper.offer(one, NOW), NOW + timedelta(minutes=1)) is None
    assert keeper.take("invented", NOW) is None
    assert taken[0] not in repr(vars(keeper)) and ticket not in repr(vars(keeper))


def test_it_ends_with_its_time_and_with_a_sign_out_and_a_password_renews_it() -> None:
    keeper, one = Keeper(), session()
    taken = keeper.take(keeper.offer(one, NOW), NOW)
    assert taken is not None
    assert keeper.find(taken[0], NOW + timedelta(hours=8)) is None
    changed = Session(one.person.model_copy(update={"password_hash": "y"}), one.expires_at,
                      one.token)  # fmt: skip
    keeper.renew(changed)
    assert keeper.find(taken[0], NOW) is changed
    late = keeper.offer(changed, NOW)
    keeper.end(one)
    assert keeper.find(taken[0], NOW) is None and keeper.is_over(changed)
    assert keeper.take(late, NOW) is None


@pytest.mark.parametrize(
    ("headers", "good"),
    [({"sec-fetch-site": "same-origin"}, True), ({"sec-fetch-site": "cross-site"}, False),
     ({"sec-fetch-site": "same-site"}, False), ({"sec-fetch-site": "none"}, False),
     ({"referer": "http://testserver/today"}, True), ({"referer": "http://evil.example/"}, False),
     ({}, False)],
)  # fmt: skip
def test_only_our_own_page_can_sign_a_browser_in(headers: dict[str, str], good: bool) -> None:
    now = datetime.now(UTC)
    client = TestClient(Starlette(routes=list(ROUTES)))
    answer = client.get(f"{PATH}/{KEEPER.offer(session(now=now), now)}", headers=headers)
    assert answer.status_code == (204 if good else 403)
    said = answer.headers.get("set-cookie", "").lower()
    if good:
        assert "httponly" in said and "samesite=strict" in said and "max-age=287" in said
        assert answer.headers["cache-control"] == "no-store"
    else:
        assert not said


# ---------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_browser(chromium) as opened:
        yield opened


def is_signed_out(driver: ConsoleDriver, page: Page) -> None:
    page.get_by_label("登录名").wait_for()


@pytest.mark.timeout(900)
def test_a_reload_keeps_the_sign_in_until_it_ends(browser: Browser, tmp_path: Path) -> None:
    home = tmp_path / "home"
    seed_home(home, datetime.now(UTC))
    with served(load_settings(home), tmp_path / "console.log") as url:
        driver = ConsoleDriver(browser, url, SHOTS)
        driver.open("search")
        driver.sign_in("lin", PASSWORD)
        driver.page.locator(".hy-head", has_text="检索").first.wait_for()
        name = cookie_name(url.rpartition(":")[2])
        driver.page.wait_for_function("() => true")
        (kept,) = [one for one in driver.page.context.cookies() if one["name"] == name]
        assert kept["httpOnly"] and kept["sameSite"] == "Strict"
        assert name not in str(driver.page.evaluate("document.cookie"))
        driver.page.reload()
        driver.page.locator(".hy-head", has_text="检索").first.wait_for()
        driver.shot("after-reload")
        other = driver.page.context.new_page()
        other.goto(f"{url}/sources")
        other.locator(".hy-head", has_text="来源").first.wait_for()
        tickets = [one for one in driver.requests if PATH in one]
        assert len(tickets) == 1
        again = httpx.get(tickets[0], headers={"sec-fetch-site": "same-origin"})
        assert again.status_code == 403 and "set-cookie" not in again.headers
        stranger = browser.new_context().new_page()
        stranger.goto(f"{url}/search")
        is_signed_out(driver, stranger)

        driver.sign_out()
        driver.page.reload()
        is_signed_out(driver, driver.page)
        other.get_by_role("button", name="查看").first.click()
        other.get_by_label("登录名").wait_for()
        assert other.get_by_text("已在另一个网页退出登录").count()

        driver.sign_in("lin", PASSWORD)
        driver.page.reload()
        driver.page.locator(".hy-head", has_text="检索").first.wait_for()
        archive = open_archive(f"sqlite:///{home / 'var/huiyin.db'}")
        People(archive, lambda: datetime.now(UTC)).deactivate("lin", by="system:test")
        archive.close()
        driver.page.reload()
        is_signed_out(driver, driver.page)
        assert not [one for one in driver.requests if not one.startswith((url, "data:", "blob:"))]
