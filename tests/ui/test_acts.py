"""Each page performs its act, and the archive holds the new record."""

from __future__ import annotations

import re

from huiyin.people import People
from huiyin.records import (
    Alert,
    AlertState,
    Case,
    CaseState,
    Draft,
    DraftState,
    Person,
    Scope,
    first_broken_act,
)
from tests.ui.conftest import Console, fill_sign_in, go, labels, page_html, press
from tests.ui.seed import ALERT, CASE, CASE_LATE, INCIDENT, PASSWORD

ALL = Scope.everything()
DRAFT = f"draft:{CASE}"


def record(console: Console, kind, record_id):
    stored = console.archive.get(kind, record_id, ALL)
    assert stored is not None, f"no {kind.__name__} {record_id}"
    return stored.record


def test_wrong_password_says_what_to_do_and_counts(console: Console):
    at = fill_sign_in(console.open(), "lin", "wrong-password")
    assert "登录名或密码不对" in page_html(at)
    assert "忘记密码请管理员重置" in page_html(at)
    assert record(console, Person, "lin").failed_sign_ins == 1
    assert "退出登录" not in labels(at)


def test_sign_in_opens_what_waits_and_sign_out_ends_it(console: Console):
    at = console.sign_in("lin")
    assert "林拟稿" in page_html(at)
    assert record(console, Person, "lin").failed_sign_ins == 0
    at = press(at, "退出登录")
    assert "已退出登录" in page_html(at)
    assert "经三路" not in page_html(at)
    go(at, "incidents", id=INCIDENT)
    assert "经三路" not in page_html(at), "a page showed content without a session"


def test_a_link_from_an_alert_leads_to_its_page_after_sign_in(console: Console):
    at = console.open("incidents", id=INCIDENT)
    assert "经三路" not in page_html(at)
    at = fill_sign_in(at, "wang", PASSWORD)
    assert "怀疑等级" in page_html(at)


def test_one_time_password_must_be_replaced_first(console: Console):
    once = console.seeded.one_time["xin"]
    at = fill_sign_in(console.open(), "xin", once)
    assert "一次性密码只能用来换密码" in page_html(at)
    go(at, "incidents", id=INCIDENT)
    assert "经三路" not in page_html(at), "a page was shown before the password was replaced"
    at.text_input(key="password-old").set_value(once)
    at.text_input(key="password-new").set_value("short")
    at.text_input(key="password-again").set_value("short")
    press(at, "修改密码")
    assert "新密码太短" in page_html(at)
    at.text_input(key="password-new").set_value("Changcheng-2026")
    at.text_input(key="password-again").set_value("Changcheng-2027")
    press(at, "修改密码")
    assert "不一样" in page_html(at)
    at.text_input(key="password-again").set_value("Changcheng-2026")
    press(at, "修改密码")
    assert "密码已更改" in page_html(at)
    person = record(console, Person, "xin")
    assert not person.must_change_password
    assert person.acts[-1].what == "change-password"
    assert person.acts[-1].actor == "xin"
    People(console.archive, lambda: console.seeded.now).sign_in("xin", "Changcheng-2026")


def test_on_call_officer_acknowledges_the_alert(console: Console):
    at = console.sign_in("wang", "incidents", id=INCIDENT)
    assert "已送达，待确认" in page_html(at)
    press(at, "确认收到")
    alert = record(console, Alert, ALERT)
    assert alert.state is AlertState.ACKNOWLEDGED
    assert alert.acknowledged_by == "wang"
    assert alert.acts[-1].actor == "wang"
    assert first_broken_act(alert.acts) is None
    assert "王值班 于" in page_html(at)
    assert "确认收到" not in labels(at)


def test_others_see_the_alert_but_cannot_acknowledge(console: Console):
    at = console.sign_in("lin", "incidents", id=INCIDENT)
    assert "由值班员确认收到" in page_html(at)
    assert "确认收到" not in labels(at)


def test_reply_from_case_to_publication_by_two_people(console: Console):
    at = console.sign_in("lin", "cases", id=CASE)
    press(at, "生成草稿")
    draft = record(console, Draft, DRAFT)
    assert draft.state is DraftState.DRAFT
    assert any("weibo:3000" in sentence.sources for sentence in draft.sentences)
    assert record(console, Case, CASE).state is CaseState.DRAFTED

    go(at, "drafts", id=DRAFT)
    version = console.archive.get(Draft, DRAFT, ALL).version
    added = draft.text + "谢谢您的提醒。"
    at.text_area(key=f"text-{DRAFT}-{version}").set_value(added)
    press(at, "保存修改")
    edited = record(console, Draft, DRAFT)
    assert edited.text == added
    assert edited.written_by == "lin"
    assert "谢谢您的提醒。" in page_html(at), "the page does not read its own write"
    press(at, "提交审核")
    assert record(console, Draft, DRAFT).state is DraftState.SUBMITTED

    other = console.sign_in("zhao", "review", id=DRAFT)
    press(other, "通过")
    approved = record(console, Draft, DRAFT)
    assert approved.state is DraftState.APPROVED
    assert (approved.submitted_by, approved.reviewed_by) == ("lin", "zhao")
    assert not other.code, "the text may be copied before its publication is recorded"
    press(other, "取出原文去发布")
    published = record(console, Draft, DRAFT)
    assert published.state is DraftState.PUBLISHED
    assert published.published_at is not None
    assert [one.value for one in other.code] == [published.text]
    assert record(console, Case, CASE).state is CaseState.PUBLISHED
    assert first_broken_act(published.acts) is None

    go(at, "review", id=DRAFT)
    assert not at.code, "only who took the text out may copy it, or it goes out twice"


def test_return_needs_a_reason_that_the_drafter_sees(console: Console):
    at = console.sign_in("lin", "cases", id=CASE)
    press(at, "生成草稿")
    go(at, "drafts", id=DRAFT)
    press(at, "提交审核")
    other = console.sign_in("zhao", "review", id=DRAFT)
    press(other, "退回")
    assert "退回要说明原因" in page_html(other)
    assert record(console, Draft, DRAFT).state is DraftState.SUBMITTED
    other.text_input(key=f"return-reason-{DRAFT}").set_value("请写明恢复供水的时间")
    press(other, "退回")
    draft = record(console, Draft, DRAFT)
    assert draft.state is DraftState.RETURNED
    assert draft.acts[-1].why == "请写明恢复供水的时间"
    go(at, "drafts", id=DRAFT)
    assert "赵审核 退回了这份草稿" in page_html(at)
    assert "请写明恢复供水的时间" in page_html(at)


def test_close_with_a_reason(console: Console):
    at = console.sign_in("lin", "cases", id=CASE_LATE)
    press(at, "办结")
    assert "没有说明原因" in page_html(at)
    at.text_input(key=f"close-reason-{CASE_LATE}").set_value("已电话告知本人")
    press(at, "办结")
    case = record(console, Case, CASE_LATE)
    assert case.state is CaseState.CLOSED
    assert case.closed_reason == "已电话告知本人"
    assert case.acts[-1].actor == "lin"


def test_hand_over_to_another_account(console: Console):
    at = console.sign_in("lin", "cases", id=CASE_LATE)
    at.selectbox(key=f"hand-to-{CASE_LATE}").set_value("weibo:1002")
    at.text_input(key=f"hand-why-{CASE_LATE}").set_value("属于供水职责")
    press(at, "转交")
    assert record(console, Case, CASE_LATE).account == "weibo:1002"


def test_search_finds_filters_and_turns_pages(console: Console):
    at = console.sign_in("lin", "search")
    at.text_input(key="search-query").set_value("停水")
    press(at, "搜索")
    assert "weibo" not in page_html(at).split("共 ")[0]
    assert '<mark class="hy-hit">停水</mark>' in page_html(at)
    at.multiselect(key="search-kinds").set_value(["notice"])
    press(at, "搜索")
    assert "共 2 条" in page_html(at)
    at.multiselect(key="search-kinds").set_value([])
    at.text_input(key="search-query").set_value("")
    press(at, "搜索")
    first = page_html(at)
    press(at, "下一页")
    second = page_html(at)
    assert "第 2 页" in second
    links = [set(re.findall(r'href="([^"]+)"', part)) for part in (first, second)]
    assert links[0]
    assert links[0].isdisjoint(links[1])
    press(at, "上一页")
    assert "第 1 页" in page_html(at)


def test_search_by_meaning_takes_a_sentence(console: Console):
    at = console.sign_in("lin", "search")
    at.default_timeout = 200  # the model is loaded at the first such question
    at.text_input(key="search-query").set_value("家里好几天没有水（怎么办")
    at.selectbox(key="search-order").set_value("meaning")
    press(at, "搜索")
    shown = page_html(at)
    assert "意思最接近的" in shown
    assert "停水" in shown


def test_a_wrong_query_points_at_the_character(console: Console):
    at = console.sign_in("lin", "search")
    at.text_input(key="search-query").set_value("停水 AND (小区")
    press(at, "搜索")
    html = page_html(at)
    assert "检索式写错了" in html
    assert "hy-open" in html
    assert "个字符处" in html


def test_nothing_found_is_not_nothing_there(console: Console):
    at = console.sign_in("lin", "search")
    at.text_input(key="search-query").set_value("火星移民")
    press(at, "搜索")
    assert "没有找到" in page_html(at)
    assert "没找到不等于没有人说" in page_html(at)


def test_sources_name_the_gaps(console: Console):
    html = page_html(console.sign_in("lin", "sources"))
    assert "授权已过期" in html
    assert "没有看到" in html
    assert "登录已过期" in html
    assert "收到的评论" in html


def test_system_shows_pending_and_failures(console: Console):
    for _ in range(3):
        console.archive.record_failure("analysis", "weibo:4000", "文字过长", console.seeded.now)
    html = page_html(console.sign_in("lin", "system"))
    assert "文字过长" in html
    assert "不再试" in html
    assert "等待分析" in html


def test_english_labels(console: Console):
    at = console.sign_in("lin")
    at.button_group(key="huiyin.language").set_value("English")
    at.run()
    assert "Sign out" in labels(at)


def test_a_list_opens_its_record_and_comes_back(console: Console):
    at = console.sign_in("lin", "cases")
    at.button(key=f"open-{CASE}").click().run()
    assert not at.exception
    assert "经三路停水什么时候能恢复" in page_html(at)
    assert "同问，我们楼也停了" in page_html(at)
    press(at, "← 返回列表")
    assert f"open-{CASE}" in [one.key for one in at.button]
