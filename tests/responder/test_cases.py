from __future__ import annotations

from datetime import timedelta

import pytest

from huiyin.errors import Conflict, InputError, NotAllowed, NotFound
from huiyin.records import Case, CaseState, Draft, Kind, Post, Scope, first_broken_act
from responder import CaseOpener, open_cases
from responder.cases import answering_account, case_id, due_at, duplicate_of
from tests.responder.conftest import CITY, NOW, OTHER, WATER, Office, a_post, analysed

ALL = Scope.everything()


def put(office: Office, post: Post, intent: str = "投诉", **more: object) -> Post:
    office.archive.put_posts([post])
    office.archive.write_analyses([analysed(post, intent, **more)])  # type: ignore[arg-type]
    return office.archive.get_posts([post.id], ALL)[post.id]


def test_an_appeal_opens_one_case(office: Office) -> None:
    opener = CaseOpener(office.archive, office.clock)
    assert opener.run_once().opened == (case_id(office.post.id),)
    assert opener.run_once().opened == ()
    assert open_cases(office.archive, office.clock).opened == ()
    case = office.archive.get(Case, case_id(office.post.id), ALL).record
    assert (case.account, case.intent, case.state) == (WATER, "咨询", CaseState.OPEN)
    assert case.offices == office.post.offices
    assert first_broken_act(case.acts) is None


@pytest.mark.parametrize(
    ("intent", "needs"), [("表扬", 0.9), ("其他", 0.9), ("投诉", 0.49), ("咨询", 0.0)]
)
def test_what_wants_no_answer_opens_none(office: Office, intent: str, needs: float) -> None:
    put(office, a_post("1", "今天天气不错"), intent, needs=needs)
    assert case_id("weibo:1") not in open_cases(office.archive, office.clock).opened


def test_official_posts_and_old_ones_open_none(office: Office) -> None:
    put(office, a_post("1", "转发通知", official=True, name="城市发布"))
    put(office, a_post("2", "通知", kind=Kind.NOTICE, official=True, name="城市发布"))
    put(office, a_post("3", "三年前停水", days=1000))
    put(office, a_post("4", "没有提到谁", offices=()))
    report = open_cases(office.archive, office.clock)
    assert report.opened == (case_id(office.post.id),)
    assert report.skipped == {"official": 5, "no_account": 1}  # three notices are there anyway


@pytest.mark.parametrize(
    ("text", "urgency", "kind", "hours"),
    [
        ("有人困在水里快救命", 0.95, "urgent", 2),
        ("家里停水两天了", 0.2, "utilities", 24),
        ("公园的长椅坏了", 0.2, "other", 48),
    ],
)
def test_due_by_the_table(office: Office, text: str, urgency: float, kind: str, hours: int) -> None:
    post = put(office, a_post("1", text), urgency=urgency)
    assert due_at(post) == (kind, post.created_at + timedelta(hours=hours))


def test_the_account_whose_duty_it_is_answers(office: Office) -> None:
    assert answering_account(office.archive, a_post("1", "停水", mentions=(CITY, WATER))) == WATER
    assert answering_account(office.archive, a_post("1", "你好", mentions=(CITY, WATER))) == CITY
    assert answering_account(office.archive, a_post("1", "你好")) == WATER


def test_a_repeated_text_is_noted_and_not_answered_blindly(office: Office) -> None:
    open_cases(office.archive, office.clock)
    twin = put(office, a_post("101", office.post.text), "咨询", duplicate_of=office.post.id)
    open_cases(office.archive, office.clock)
    case = office.archive.get(Case, case_id(twin.id), ALL).record
    assert duplicate_of(case) == case_id(office.post.id)
    draft = office.desk.draft_for(twin.id, office.writer).record
    assert case_id(office.post.id) in draft.style_notes[0]
    view = next(one for one in office.desk.inbox(ALL) if one.case.record.id == case.id)
    assert view.duplicate_of == case_id(office.post.id)


def test_a_case_left_behind_by_a_kill_is_brought_along(office: Office) -> None:
    stored = office.desk.draft_for(office.post.id, office.writer)
    stored = office.desk._review.submit(stored.record.id, office.writer, stored.version)  # killed
    case = case_id(office.post.id)
    assert office.archive.get(Case, case, ALL).record.state is CaseState.DRAFTED
    assert open_cases(office.archive, office.clock).mended == (case,)
    assert office.archive.get(Case, case, ALL).record.state is CaseState.IN_REVIEW
    assert open_cases(office.archive, office.clock).mended == ()


def test_the_inbox_shows_the_nearest_deadline_first(office: Office) -> None:
    put(office, a_post("1", "有人困在水里快救命", days=0), urgency=0.95)
    put(office, a_post("2", "长椅坏了", days=5))
    open_cases(office.archive, office.clock)
    views = office.desk.inbox(Scope.of(WATER))
    assert [one.case.record.post for one in views] == ["weibo:2", "weibo:1", office.post.id]
    assert [one.overdue for one in views] == [True, False, False]
    assert office.desk.inbox(Scope.of(OTHER)) == []


def test_closing_and_handing_over_say_why(office: Office) -> None:
    open_cases(office.archive, office.clock)
    view = office.desk.case(case_id(office.post.id), office.writer.scope)
    with pytest.raises(InputError):
        office.desk.close(view.case.record.id, office.writer, view.case.version, " ")
    moved = office.desk.hand_over(
        view.case.record.id, office.writer, view.case.version, CITY, "全市的事"
    )
    assert moved.record.account == CITY
    with pytest.raises(Conflict):
        office.desk.close(moved.record.id, office.writer, view.case.version, "重复")
    closed = office.desk.close(moved.record.id, office.writer, moved.version, "已电话答复")
    assert closed.record.state is CaseState.CLOSED
    assert [act.what for act in closed.record.acts] == ["open", "hand-over", "close"]
    assert first_broken_act(closed.record.acts) is None
    with pytest.raises(NotAllowed):
        office.desk.draft_for(closed.record.id, office.writer)


def test_an_unknown_post_is_not_found(office: Office) -> None:
    with pytest.raises(NotFound):
        office.desk.draft_for("weibo:404", office.writer)
    assert office.archive.records(Draft, ALL) == []


def test_a_post_that_asked_for_nothing_may_still_be_answered(office: Office) -> None:
    post = put(office, a_post("1", "停水通知看到了", days=400), "其他", needs=0.1)
    draft = office.desk.draft_for(post.id, office.writer).record
    assert draft.case == case_id(post.id)
    assert office.archive.get(Case, draft.case, ALL).record.acts[0].actor == "li"
    assert office.archive.get(Case, draft.case, ALL).record.due_at < NOW
