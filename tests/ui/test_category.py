"""A reviewer corrects a category in the case view; others cannot, and nobody out of scope."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator

from huiyin.records import PERSON, Correction, Scope, first_broken_act
from huiyin.settings import load_settings
from tests.ui.conftest import Console, go, labels, page_html, press
from tests.ui.console_driver import ConsoleDriver, chromium_browser, served
from tests.ui.seed import CASE, PASSWORD

ALL = Scope.everything()
POST = "weibo:5001"
WATER_SUPPLY = ("城乡建设", "城市建设和市政管理", "自来水供应")


def correction(console: Console) -> Correction | None:
    stored = console.archive.get(Correction, f"correction:{POST}", ALL)
    return stored.record if stored else None


def test_reviewer_corrects_and_the_page_and_the_search_show_it(console: Console):
    at = console.sign_in("zhao", "cases", id=CASE)
    at.selectbox(key=f"category-{POST}-0").set_value(WATER_SUPPLY)
    press(at, "保存类别")
    assert "类别已改定" in page_html(at)
    assert "自来水供应（人工改定）" in page_html(at)
    kept = correction(console)
    assert kept is not None
    assert (kept.category, kept.was) == (WATER_SUPPLY, ("城乡建设",))
    assert [(one.actor, one.what) for one in kept.acts] == [("zhao", "correct-category")]
    assert first_broken_act(kept.acts) is None
    assert "停水" not in kept.model_dump_json(), "the correction keeps words of the post"
    post = console.archive.get_posts([POST], ALL)[POST]
    assert post.analysis.category.path == WATER_SUPPLY
    assert post.analysis.category.by == PERSON
    go(at, "search")
    at.text_input(key="search-query").set_value("category:自来水供应")
    press(at, "搜索")
    assert "共 1 条" in page_html(at)

    go(at, "cases", id=CASE)
    assert "类别由 赵审核" in page_html(at)
    at.selectbox(key=f"category-{POST}-1").set_value(())
    press(at, "保存类别")
    assert correction(console).category == ()
    assert "不属于任何一类（人工改定）" in page_html(at)
    assert len(correction(console).acts) == 2


def test_others_see_no_form_and_are_refused(console: Console):
    at = console.sign_in("lin", "cases", id=CASE)
    assert "保存类别" not in labels(at)
    foreign = console.sign_in("yuan", "cases", id=CASE)
    assert "保存类别" not in labels(foreign)
    assert correction(console) is None


def test_a_page_opened_before_somebody_elses_correction_is_refused(console: Console):
    first = console.sign_in("zhao", "cases", id=CASE)
    second = console.sign_in("chen", "cases", id=CASE)
    second.selectbox(key=f"category-{POST}-0").set_value(("政法",))
    press(second, "保存类别")
    first.selectbox(key=f"category-{POST}-0").set_value(WATER_SUPPLY)
    press(first, "保存类别")
    assert "别人刚刚改过" in page_html(first)
    assert correction(console).category == ("政法",)


def test_a_deleted_post_has_no_form(console: Console):
    at = console.sign_in("zhao", "cases", id=CASE)
    console.archive.delete_posts([POST], console.seeded.now)
    at.selectbox(key=f"category-{POST}-0").set_value(WATER_SUPPLY)
    press(at, "保存类别")
    assert correction(console) is None
    assert "保存类别" not in labels(at)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_browser(chromium) as opened:
        yield opened


@pytest.mark.timeout(600)
def opened(driver: ConsoleDriver, box: Locator) -> None:
    """Open the list; while the form unfolds a click may open and close it at once."""
    for _ in range(20):
        box.click()
        time.sleep(0.5)
        if driver.page.get_by_role("option").count():
            return
    raise AssertionError("the list stays closed")


def test_in_a_browser(browser: Browser, console: Console, tmp_path: Path):
    with served(load_settings(console.home), tmp_path / "console.log") as url:
        driver = ConsoleDriver(browser, url, tmp_path)
        driver.open("cases", id=CASE)
        driver.sign_in("zhao", PASSWORD)
        driver.page.get_by_text("类别不对？改正，或确认它是对的").click()
        box = driver.page.get_by_role("combobox", name="类别", exact=False).last
        opened(driver, box)
        box.fill("自来水供应")
        driver.page.get_by_role("option", name="自来水供应").first.click()
        driver.press("保存类别")
        driver.text("类别已改定").wait_for()
        assert driver.page.get_by_text("人工改定").first.is_visible()
        assert driver.sideways_scroll() == 0
    kept = correction(console)
    assert kept is not None and kept.category == WATER_SUPPLY
