"""The console's promises, attacked: two people, no early copy, text is data, scope, session."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from huiyin.records import Alert, AlertState, Case, Draft, DraftState, Post, Scope
from responder import Desk
from tests.ui.conftest import Console, go, labels, page_html, press
from tests.ui.seed import ALERT, CASE, CASE_LATE, EVIL, INCIDENT
from ui.markup import join, link, marked, plain, platform_url, tag

ALL = Scope.everything()
DRAFT = f"draft:{CASE}"


def submitted_by(console: Console, name: str) -> AppTest:
    at = console.sign_in(name, "cases", id=CASE)
    press(at, "生成草稿")
    go(at, "drafts", id=DRAFT)
    press(at, "提交审核")
    assert console.archive.get(Draft, DRAFT, ALL).record.state is DraftState.SUBMITTED
    return at


def state(console: Console) -> DraftState:
    return console.archive.get(Draft, DRAFT, ALL).record.state


def test_submitter_cannot_approve_and_sees_why(console: Console):
    at = submitted_by(console, "chen")  # both roles
    go(at, "review", id=DRAFT)
    assert "不能由您自己审核" in page_html(at)
    assert "通过" not in labels(at)
    assert "退回" not in labels(at)
    assert state(console) is DraftState.SUBMITTED


def test_a_page_opened_before_the_other_became_submitter_is_refused(console: Console):
    """The reviewer's page is open; then the reviewer edits and submits; the old button is dead."""
    at = submitted_by(console, "lin")
    reviewer = console.sign_in("chen", "review", id=DRAFT)
    assert "通过" in labels(reviewer)
    desk = Desk(console.archive, clock=lambda: console.seeded.now)
    chen = console.sign_in("chen").session_state["huiyin.session"].actor(console.seeded.now)
    stored = console.archive.get(Draft, DRAFT, ALL)
    desk.edit(DRAFT, stored.record.text + "谢谢。", chen, stored.version)
    stored = console.archive.get(Draft, DRAFT, ALL)
    desk.submit(DRAFT, chen, stored.version)
    press(reviewer, "通过")
    assert state(console) is DraftState.SUBMITTED
    assert "别人刚刚改过" in page_html(reviewer)
    assert at is not reviewer


def test_approval_is_for_the_text_on_the_page(console: Console):
    submitted_by(console, "lin")
    reviewer = console.sign_in("zhao", "review", id=DRAFT)
    desk = Desk(console.archive, clock=lambda: console.seeded.now)
    lin = console.sign_in("lin").session_state["huiyin.session"].actor(console.seeded.now)
    stored = console.archive.get(Draft, DRAFT, ALL)
    desk.edit(DRAFT, stored.record.text + "谢谢。", lin, stored.version)
    stored = console.archive.get(Draft, DRAFT, ALL)
    desk.submit(DRAFT, lin, stored.version)
    press(reviewer, "通过")
    assert state(console) is DraftState.SUBMITTED


def test_no_copy_before_approval_on_any_page(console: Console):
    at = submitted_by(console, "lin")
    zhao = console.sign_in("zhao")
    for tab in (at, zhao):
        for page, record_id in (("cases", CASE), ("drafts", DRAFT), ("review", DRAFT),
                                ("today", ""), ("drafts", ""), ("review", "")):  # fmt: skip
            go(tab, page, id=record_id)
            assert not tab.code
            assert not tab.get("copy_button")
            assert not tab.get("download_button")
            assert not any("复制" in one or "取出" in one for one in labels(tab))


def test_unsupported_fact_blocks_approval(console: Console):
    at = console.sign_in("lin", "cases", id=CASE)
    press(at, "生成草稿")
    go(at, "drafts", id=DRAFT)
    stored = console.archive.get(Draft, DRAFT, ALL)
    key = f"text-{DRAFT}-{stored.version}"
    at.text_area(key=key).set_value(stored.record.text + "已赔偿居民35万元。")
    press(at, "保存修改")
    assert "【待核实】" in page_html(at)
    assert "hy-open" in page_html(at)
    press(at, "提交审核")
    reviewer = console.sign_in("zhao", "review", id=DRAFT)
    assert "待核实" in page_html(reviewer)
    assert "通过" not in labels(reviewer)


def test_unsaved_words_are_not_submitted(console: Console):
    at = console.sign_in("lin", "cases", id=CASE)
    press(at, "生成草稿")
    go(at, "drafts", id=DRAFT)
    version = console.archive.get(Draft, DRAFT, ALL).version
    at.text_area(key=f"text-{DRAFT}-{version}").set_value("别的话")
    press(at, "提交审核")
    assert state(console) is DraftState.DRAFT
    assert "有没保存的修改" in page_html(at)


PAGES = (("incidents", INCIDENT), ("incidents", ""), ("cases", CASE_LATE), ("cases", ""),
         ("search", ""), ("today", ""))  # fmt: skip


def test_text_of_posts_is_never_html_or_markdown(console: Console):
    at = console.sign_in("lin")
    seen = 0
    for page, record_id in PAGES:
        go(at, page, id=record_id)
        html = page_html(at)
        seen += "&lt;script&gt;" in html
        assert "<script" not in html
        assert "<img" not in html
        assert 'href="javascript' not in html
        assert 'href="https://evil' not in html
        for element in (*at.markdown, *at.caption, *at.error, *at.warning, *at.info, *at.latex):
            assert "hacked" not in element.value
        for widget in (*at.button, *at.expander):
            assert "hacked" not in widget.label
    assert seen >= 3, "the hostile post was not shown, so nothing was tested"


def test_foreign_scope_sees_and_does_nothing(console: Console):
    at = console.sign_in("yuan")
    for page, record_id in (*PAGES, ("sources", ""), ("drafts", ""), ("review", "")):
        go(at, page, id=record_id)
        html = page_html(at)
        assert "经三路" not in html
        assert "云州供水" not in html
        assert "确认收到" not in labels(at)
    assert console.archive.get(Alert, ALERT, ALL).record.state is AlertState.SENT


def test_an_expired_session_ends_in_the_middle(console: Console, monkeypatch: pytest.MonkeyPatch):
    at = console.sign_in("wang", "incidents", id=INCIDENT)
    from ui import session as sessions

    app = sessions.the_app()
    later = app.clock() + timedelta(hours=9)
    monkeypatch.setattr(app, "clock", lambda: later)
    press(at, "确认收到")
    assert "登录已过期" in page_html(at)
    assert "经三路" not in page_html(at)
    assert console.archive.get(Alert, ALERT, ALL).record.state is AlertState.SENT


def test_a_deactivated_person_can_do_no_more(console: Console):
    at = console.sign_in("wang", "incidents", id=INCIDENT)
    from huiyin.people import People

    People(console.archive, lambda: console.seeded.now).deactivate("wang", by="system:test")
    press(at, "确认收到")
    assert console.archive.get(Alert, ALERT, ALL).record.state is AlertState.SENT
    assert "经三路" not in page_html(at)


def test_deleted_post_is_said_and_its_words_are_gone(console: Console):
    console.archive.delete_posts(["weibo:5001"], console.seeded.now)
    at = console.sign_in("lin", "cases", id=CASE)
    assert "原帖在平台上已不可见" in page_html(at)
    assert "老人等着用水" not in page_html(at)
    press(at, "生成草稿")
    assert "原帖已经删除" in page_html(at)
    assert console.archive.get(Draft, DRAFT, ALL) is None
    assert console.archive.get(Case, CASE, ALL) is not None


@given(some.text())
def test_no_string_becomes_a_tag(text: str):
    made = tag("div", text, title=text)
    inner = made.removeprefix("<div").removesuffix("</div>")
    assert inner.count("<") == 0
    assert made.count('"') in (0, 2)
    assert "<" not in plain(text).replace("\\<", "")


@given(some.text(), some.lists(some.tuples(some.integers(-3, 60), some.integers(-3, 60))))
def test_marks_keep_every_character(text: str, spans: list[tuple[int, int]]):
    import re
    from html import unescape

    assert unescape(re.sub(r"<[^>]*>", "", marked(text, spans))) == unescape(join(text))


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://m.weibo.cn/status/1", True),
        ("http://weibo.com/1/abc", True),
        ("javascript:alert(1)", False),
        ("JAVASCRIPT://weibo.com/%0aalert(1)", False),
        ("data:text/html,x", False),
        ("https://weibo.com.evil.example/", False),
        ("https://evilweibo.com/", False),
        ("https://weibo.com@evil.example/", False),
        ("https://user@weibo.com/", False),
        ("//weibo.com/x", False),
        ("http://[bad", False),
        ("", False),
        (None, False),
    ],
)
def test_links_lead_to_the_platform_only(url: str | None, good: bool):
    assert (platform_url(url, "weibo") is not None) is good
    assert ("href" in link("原文", url, "weibo")) is good


def test_a_url_cannot_break_out_of_its_attribute():
    made = link("原文", 'https://weibo.com/"onmouseover="alert(1)', "weibo")
    assert 'onmouseover="' not in made


def test_the_hostile_text_survives_as_text(console: Console):
    found: dict[str, Post] = console.archive.get_posts(["weibo:4100"], ALL)
    assert found["weibo:4100"].text == EVIL
