from __future__ import annotations

from datetime import timedelta

import pytest

from alerts import Alerter
from alerts.rules import Why, decide
from archive.base import Archive
from huiyin.errors import ChannelError, NotAllowed, NotFound
from huiyin.records import (
    Actor,
    Alert,
    AlertState,
    Incident,
    IncidentState,
    Level,
    Place,
    Role,
    Scope,
    first_broken_act,
)  # fmt: skip
from huiyin.settings import AlertSettings
from tests.alerts.conftest import NOW, Box, Clock, incident, person, shift

ALL = Scope.everything()


def alerter(archive: Archive, clock: Clock, *boxes: Box, most: int = 8) -> Alerter:
    settings = AlertSettings(max_attempts=most)
    return Alerter(
        archive, boxes, settings=settings, clock=clock, link=lambda one: f"http://c/{one}"
    )


def alert(archive: Archive, name: str = "a") -> Alert:
    stored = archive.get(Alert, f"alert:incident:{name}", ALL)
    assert stored is not None
    return stored.record


def change(archive: Archive, name: str, **changes: object) -> None:
    archive.change(Incident, f"incident:{name}", ALL, lambda one: one.model_copy(update=changes))


def run(one: Alerter, clock: Clock, seconds: float = 3, times: int = 3) -> list[str]:
    sent: list[str] = []
    for _ in range(times):
        sent.extend(one.run_once().messages)
        clock.pass_(seconds)
    return sent


@pytest.fixture
def office(archive: Archive, clock: Clock, box: Box) -> Alerter:
    archive.create(person("zhou"))
    archive.create(shift("zhou"))
    return alerter(archive, clock, box)


def test_an_incident_is_told_once(
    office: Alerter, archive: Archive, clock: Clock, box: Box
) -> None:
    archive.create(incident())
    first = office.run_once()
    assert first.created == ("alert:incident:a",)
    assert run(office, clock, times=30) == ["alert:incident:a#1"]
    (message,) = box.messages
    assert message.recipient == "zhou"
    for words in (
        "alert:incident:a#1", "疑似一般", "3 名独立作者", "渡口区", "4 条帖文", "独立作者 3 人",
        "由人确认后才起算", "48 小时", "http://c/incident:a",
    ):  # fmt: skip
        assert words in message.text, words
    record = alert(archive)
    assert record.state is AlertState.SENT
    assert record.deliveries[0].sent_at is not None
    assert first_broken_act(record.acts) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"alerted_at": None}, Why.NO_BURST),
        ({"state": IncidentState.MERGED, "merged_into": "incident:b"}, Why.MERGED),
        ({"last_post_at": NOW - timedelta(hours=49)}, Why.STALE),
        ({}, Why.BURST),
    ],
)
def test_the_decision_names_its_reason(changes: dict[str, object], why: Why) -> None:
    decision = decide(incident(**changes), None, NOW)
    assert (decision.why, decision.tell) == (why, why is Why.BURST)


def test_no_burst_no_alert(office: Alerter, archive: Archive, clock: Clock, box: Box) -> None:
    archive.create(incident(alerted_at=None))
    report = office.run_once()
    assert report.decisions == {Why.NO_BURST: 1}
    assert run(office, clock) == []
    assert archive.records(Alert, ALL) == []


def test_what_comes_together_goes_in_one_message(
    office: Alerter, archive: Archive, clock: Clock, box: Box
) -> None:
    archive.create(incident("a"))
    office.run_once()
    clock.pass_(1)
    archive.create(incident("b", suspected_level=Level.MAJOR))
    run(office, clock)
    (message,) = box.messages
    assert message.alerts == ("alert:incident:b#1", "alert:incident:a#1")  # the graver one first
    assert message.title.startswith("【疑似重大】")
    assert "2 起" in message.title
    assert "5 小时" in message.text


def test_a_splinter_of_what_was_just_told_waits_for_more(
    office: Alerter, archive: Archive, clock: Clock, box: Box
) -> None:
    archive.create(incident("a"))
    run(office, clock)
    archive.create(incident("b"))
    run(office, clock, seconds=10)
    archive.create(incident("c"))
    assert len(box.messages) == 1
    run(office, clock, seconds=10, times=12)
    assert [set(one.alerts) for one in box.messages[1:]] in (
        [{"alert:incident:b#1", "alert:incident:c#1"}],
        [{"alert:incident:b#1"}, {"alert:incident:c#1"}],
    )
    elsewhere = Place(adcode="999202", name="青麓区", text="青麓")
    archive.create(incident("d", places=(elsewhere,)))
    before = len(box.messages)
    run(office, clock)
    assert len(box.messages) == before + 1


def test_a_graver_part_does_not_wait(
    office: Alerter, archive: Archive, clock: Clock, box: Box
) -> None:
    archive.create(incident("a"))
    run(office, clock)
    archive.create(incident("b", suspected_level=Level.LARGER))
    run(office, clock)
    assert len(box.messages) == 2


def test_a_rise_updates_the_same_alert_and_tells_once_more(
    office: Alerter, archive: Archive, clock: Clock, box: Box
) -> None:
    archive.create(incident())
    run(office, clock)
    change(archive, "a", suspected_level=Level.MAJOR, posts=40)
    assert run(office, clock, times=10) == ["alert:incident:a#2"]
    assert "级别上调" in box.messages[-1].text
    assert "40 条帖文" in box.messages[-1].text
    change(archive, "a", suspected_level=Level.ORDINARY)
    change(archive, "a", suspected_level=Level.MAJOR)
    assert run(office, clock, times=5) == []
    assert len(archive.records(Alert, ALL)) == 1


def test_a_rise_before_the_first_message_changes_only_its_words(
    office: Alerter, archive: Archive, clock: Clock, box: Box
) -> None:
    archive.create(incident())
    office.run_once()
    change(archive, "a", suspected_level=Level.LARGER)
    assert run(office, clock) == ["alert:incident:a#1"]
    assert "疑似较大" in box.messages[0].text


def test_a_rise_asks_for_a_new_acknowledgement(
    office: Alerter, archive: Archive, clock: Clock, box: Box
) -> None:
    archive.create(incident())
    run(office, clock)
    who = Actor("zhou", "周", frozenset({Role.ON_CALL}), ALL)
    assert office.acknowledge("alert:incident:a", who).record.acknowledged_by == "zhou"
    change(archive, "a", suspected_level=Level.EXTRAORDINARY)
    run(office, clock)
    assert alert(archive).acknowledged_by is None
    assert alert(archive).state is AlertState.SENT
    assert [act.what for act in alert(archive).acts] == ["create", "acknowledge", "raise"]


def test_failures_back_off_and_are_not_lost(
    office: Alerter, archive: Archive, clock: Clock, box: Box
) -> None:
    archive.create(incident())
    box.fail = ChannelError("接收方拒收：HTTP 503", retry=True)
    office.run_once()
    clock.pass_(3)
    waits = []
    for _ in range(4):
        report = office.run_once()
        assert len(report.failed) == 1
        assert report.waiting == 1
        pause = alert(archive).deliveries[0].next_at - clock()  # type: ignore[operator]
        waits.append(pause.total_seconds())
        clock.pass_(pause.total_seconds() - 0.5)
        assert office.run_once().failed == ()
        clock.pass_(0.5)
    assert waits == [2, 4, 8, 16]
    box.fail = None
    assert run(office, clock) == ["alert:incident:a#1"]
    assert alert(archive).deliveries[0].attempts == 5


def test_a_refusal_for_good_goes_to_the_next_person(
    office: Alerter, archive: Archive, clock: Clock, box: Box
) -> None:
    archive.create(person("wu"))
    archive.create(shift("wu", order=2))
    archive.create(incident())
    box.fail = ChannelError("接收方拒收：HTTP 404", retry=False)
    office.run_once()
    clock.pass_(3)
    office.run_once()
    assert alert(archive).deliveries[0].state == "dead"
    box.fail = None
    run(office, clock)
    assert [one.recipient for one in box.messages] == ["wu"]
    assert alert(archive).state is AlertState.SENT


def test_when_everybody_is_dead_it_says_failed(archive: Archive, clock: Clock, box: Box) -> None:
    archive.create(person("zhou"))
    archive.create(shift("zhou"))
    archive.create(incident())
    box.fail = ChannelError("不通", retry=True)
    one = alerter(archive, clock, box, most=2)
    run(one, clock, seconds=10, times=8)
    record = alert(archive)
    assert record.state is AlertState.FAILED
    assert "不通" in record.deliveries[0].error
    assert record.deliveries[0].attempts == 2


def test_nobody_on_call_tells_every_officer_and_warns(
    archive: Archive, clock: Clock, box: Box
) -> None:
    archive.create(person("zhou"))
    archive.create(person("wu"))
    archive.create(person("drafter", Role.DRAFTER))
    archive.create(person("gone", active=False))
    archive.create(person("foreign", offices=("weibo:9",)))
    archive.create(incident())
    run(alerter(archive, clock, box), clock)
    assert sorted(one.recipient for one in box.messages) == ["wu", "zhou"]
    assert "排班表上没有人" in box.messages[0].text


def test_with_nobody_at_all_it_waits_and_warns(archive: Archive, clock: Clock, box: Box) -> None:
    archive.create(incident())
    one = alerter(archive, clock, box)
    one.run_once()
    assert "没有可通知的值班员" in one.run_once().warnings[0]
    archive.create(person("zhou"))
    run(one, clock)
    assert [message.recipient for message in box.messages] == ["zhou"]


def test_a_merged_incident_is_not_told_beside_its_target(
    office: Alerter, archive: Archive, clock: Clock, box: Box
) -> None:
    archive.create(incident("a"))
    archive.create(incident("b"))
    office.run_once()
    change(archive, "b", state=IncidentState.MERGED, merged_into="incident:a")
    run(office, clock)
    assert [one.alerts for one in box.messages] == [("alert:incident:a#1",)]


def test_acknowledging_stops_what_is_not_sent_yet(
    office: Alerter, archive: Archive, clock: Clock, box: Box
) -> None:
    archive.create(incident())
    office.run_once()
    who = Actor("zhou", "周", frozenset({Role.ON_CALL}), Scope.of("weibo:1"))
    office.acknowledge("alert:incident:a", who)
    assert run(office, clock) == []
    assert alert(archive).acts[-1].actor == "zhou"


def test_only_an_officer_in_scope_acknowledges(
    office: Alerter, archive: Archive, clock: Clock
) -> None:
    archive.create(incident())
    office.run_once()
    with pytest.raises(NotAllowed):
        office.acknowledge("alert:incident:a", Actor("x", "x", frozenset({Role.DRAFTER}), ALL))
    with pytest.raises(NotFound):
        office.acknowledge(
            "alert:incident:a", Actor("x", "x", frozenset({Role.ON_CALL}), Scope.of("weibo:9"))
        )


def test_two_alerters_send_one_message(archive: Archive, clock: Clock, box: Box) -> None:
    archive.create(person("zhou"))
    archive.create(shift("zhou"))
    archive.create(incident())
    one, other = alerter(archive, clock, box), alerter(archive, clock, box)

    class Nosy(Box):
        def send(self, message):  # type: ignore[no-untyped-def]
            other.run_once()  # while one is in the middle of sending
            return box.send(message)

    one = alerter(archive, clock, Nosy())
    one.run_once()
    clock.pass_(3)
    one.run_once()
    assert len(box.messages) == 1


def test_words_of_posts_are_data(office: Alerter, archive: Archive, clock: Clock, box: Box) -> None:
    archive.create(incident(title="<script>alert(1)</script>\u202e\x00水管"))
    run(office, clock)
    for words in (box.messages[0].text, box.messages[0].title):
        assert "<" not in words
        assert "\u202e" not in words
        assert "\x00" not in words
