"""What people do with incidents: kept in the chain, followed by the detector and by alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alerts import Alerter
from alerts.delivery import alert_id
from archive import Archive, open_archive
from huiyin.errors import InputError, NotAllowed, NotFound
from huiyin.records import (
    Actor,
    Alert,
    Batch,
    Incident,
    IncidentState,
    Level,
    Role,
    Scope,
    first_broken_act,
)
from huiyin.settings import AlertSettings, IncidentSettings
from nlp.incidents import Detector, IncidentDesk
from nlp.incidents.learning import LEAST, Learned, learn
from tests.incidents.helpers import BURST_MAIN, START, post, store

ALL = Scope.everything()
WANG = Actor("wang", "王值班", frozenset({Role.ON_CALL}), Scope.of("office:a"))
LIN = Actor("lin", "林研究", frozenset({Role.RESEARCHER}), Scope.of("office:a"))
OTHER = Actor("far", "远值班", frozenset({Role.ON_CALL}), Scope.of("office:z"))
FIRE = (
    "城南市场着火了，黑烟老高，消防车来了三辆",
    "城南市场起火，二楼浓烟，有人被困",
    "我家对面城南市场大火，火苗窜上来了",
)


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(START + timedelta(minutes=30))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_archive(f"sqlite:///{tmp_path / 'a.db'}")
    yield opened
    opened.close()


@pytest.fixture
def desk(archive: Archive, clock: Clock) -> IncidentDesk:
    store(archive, [post(f"w{n}", text, n) for n, text in enumerate(BURST_MAIN)])
    store(archive, [post(f"f{n}", text, 10 + n) for n, text in enumerate(FIRE)])
    drain(archive, clock)
    return IncidentDesk(archive, settings=IncidentSettings(), clock=clock)


def drain(archive: Archive, clock: Clock) -> None:
    found = Detector(archive, settings=IncidentSettings(), clock=clock, lease=False)
    while found.run_once().posts:
        pass


def one(archive: Archive, incident_id: str) -> Incident:
    stored = archive.get(Incident, incident_id, ALL)
    assert stored is not None
    return stored.record


def marks(archive: Archive) -> dict[str, str | None]:
    return {found.id: found.incident for found in archive.iter_posts(ALL)}


def water(archive: Archive) -> str:
    return marks(archive)["t:w1"] or ""


def fire(archive: Archive) -> str:
    return marks(archive)["t:f1"] or ""


def test_the_streams_are_two_incidents(archive: Archive, desk: IncidentDesk) -> None:
    assert water(archive)
    assert fire(archive)
    assert water(archive) != fire(archive)


def test_clocks_start_when_a_person_confirms_and_once(
    archive: Archive, desk: IncidentDesk, clock: Clock
) -> None:
    name = water(archive)
    assert not one(archive, name).deadlines
    made = desk.confirm(name, WANG).record
    assert made.deadlines == {"answer": clock.now + timedelta(hours=48)}
    first = clock.now
    desk.set_level(name, "level", "重大", "市应急局 9 时通报", WANG)
    assert one(archive, name).deadlines == {
        "first_word": first + timedelta(hours=5), "press": first + timedelta(hours=24),
    }  # fmt: skip
    clock.now += timedelta(hours=1)
    desk.confirm(name, WANG)
    assert one(archive, name).deadlines["first_word"] == first + timedelta(hours=5)
    acts = one(archive, name).acts
    assert [act.what for act in acts] == ["confirm", "set-level", "confirm"]
    assert "市应急局 9 时通报" in acts[1].why
    assert first_broken_act(acts) is None


def test_three_levels_stay_apart(archive: Archive, desk: IncidentDesk) -> None:
    name = water(archive)
    guess = one(archive, name).suspected_level
    desk.set_level(name, "warning", "红色预警", "市气象台", WANG)
    desk.set_level(name, "opinion_level", "较大", "网信办会商", WANG)
    found = one(archive, name)
    assert (found.level, found.warning, found.opinion_level) == (None, "红色预警", "较大")
    assert found.suspected_level is guess
    with pytest.raises(InputError, match="出处"):
        desk.set_level(name, "level", "重大", " ", WANG)
    with pytest.raises(InputError, match="红色预警"):
        desk.set_level(name, "warning", "重大", "市气象台", WANG)


def test_only_a_person_lowers_and_the_machine_raises_only_above(
    archive: Archive, desk: IncidentDesk, clock: Clock
) -> None:
    name = water(archive)
    assert one(archive, name).suspected_level is Level.ORDINARY
    desk.lower(name, None, "只是停水", WANG)
    clock.now += timedelta(minutes=5)
    store(archive, [post("w9", BURST_MAIN[0] + "，东门也停水了", 31)])
    drain(archive, clock)
    assert one(archive, name).posts == len(BURST_MAIN) + 1
    assert one(archive, name).suspected_level is None, "the machine undid what a person lowered"
    seen = (
        "中山路口水管爆了，路面塌下去，我亲眼看到抬出来，4人死亡",
        "我就在中山路口，主管爆管路塌了，4人死亡，救护车刚走",
    )
    store(archive, [post(f"x{n}", text, 33 + n) for n, text in enumerate(seen)])
    clock.now += timedelta(minutes=5)
    drain(archive, clock)
    assert one(archive, name).suspected_level is Level.LARGER
    with pytest.raises(InputError, match="往低里"):
        desk.lower(name, Level.MAJOR, "x", WANG)


def test_a_name_that_a_person_gave_stays(
    archive: Archive, desk: IncidentDesk, clock: Clock
) -> None:
    name = water(archive)
    desk.rename(name, "  中山路口爆管  ", WANG)
    clock.now += timedelta(minutes=5)
    store(archive, [post("w9", BURST_MAIN[0] + "，西门也停水了", 31)])
    drain(archive, clock)
    assert one(archive, name).title == "中山路口爆管"
    assert one(archive, name).posts == len(BURST_MAIN) + 1


def test_roles_and_scope(archive: Archive, desk: IncidentDesk) -> None:
    name, other = water(archive), fire(archive)
    before = one(archive, name)
    acts: tuple[Callable[[Actor], object], ...] = (
        lambda who: desk.confirm(name, who),
        lambda who: desk.dismiss(name, who, "闲聊"),
        lambda who: desk.rename(name, "别的", who),
        lambda who: desk.set_level(name, "level", "重大", "通报", who),
        lambda who: desk.lower(name, None, "x", who),
        lambda who: desk.merge(name, other, who),
        lambda who: desk.split(name, ["t:w0"], who),
        lambda who: desk.move(name, other, ["t:w0"], who),
    )
    for act in acts:
        with pytest.raises(NotAllowed):
            act(LIN)
        with pytest.raises(NotFound):
            act(OTHER)
    assert one(archive, name) == before


def test_merge_by_hand_is_followed(archive: Archive, desk: IncidentDesk, clock: Clock) -> None:
    ends, goes_on = fire(archive), water(archive)
    desk.rename(ends, "市场火情", WANG)
    merged = desk.merge(ends, goes_on, WANG, "其实是一件事").record
    assert merged.posts == len(BURST_MAIN) + len(FIRE)
    gone = one(archive, ends)
    assert (gone.state, gone.merged_into) == (IncidentState.MERGED, goes_on)
    assert [act.what for act in gone.acts] == ["rename", "merge-into"]
    assert marks(archive)["t:f0"] == ends, "a merge rewrites no post"
    clock.now += timedelta(minutes=5)
    store(archive, [post("f9", FIRE[1] + "，云梯车也到了", 31)])
    drain(archive, clock)
    assert marks(archive)["t:f9"] == goes_on, "what joins the ended one belongs to the other"
    assert one(archive, goes_on).posts == len(BURST_MAIN) + len(FIRE) + 1
    assert one(archive, ends).state is IncidentState.MERGED
    with pytest.raises(InputError, match="已经并入"):
        desk.merge(ends, goes_on, WANG)


def test_a_running_detector_loses_the_race_and_follows(
    archive: Archive, desk: IncidentDesk, clock: Clock
) -> None:
    running = Detector(archive, settings=IncidentSettings(), clock=clock, lease=False)
    running.run_once()  # it has read the archive, and knows nothing of what follows
    ends, goes_on = fire(archive), water(archive)
    desk.merge(ends, goes_on, WANG)
    clock.now += timedelta(minutes=5)
    store(archive, [post("f9", FIRE[1] + "，云梯车也到了", 31)])
    for _ in range(4):
        running.run_once()
    assert marks(archive)["t:f9"] == goes_on
    assert one(archive, goes_on).posts == len(BURST_MAIN) + len(FIRE) + 1
    assert one(archive, ends).state is IncidentState.MERGED
    numbers = sorted(stored.record.n for stored in archive.records(Batch, ALL))
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_alert_follows_a_merge(archive: Archive, desk: IncidentDesk, clock: Clock) -> None:
    alerter = Alerter(archive, [], settings=AlertSettings(), clock=clock)
    ends, goes_on = fire(archive), water(archive)
    desk.dismiss(goes_on, WANG, "已修好")
    alerter.run_once()
    [told] = archive.records(Alert, ALL)
    assert told.record.incident == ends
    desk.confirm(goes_on, WANG)
    desk.merge(ends, goes_on, WANG)
    alerter.run_once()
    [follows] = archive.records(Alert, ALL)  # a merge calls nobody again
    assert (follows.record.id, follows.record.incident) == (told.record.id, goes_on)
    assert follows.record.acts[-1].what == "follow"
    assert first_broken_act(follows.record.acts) is None


def test_split_and_move_by_hand_are_followed(
    archive: Archive, desk: IncidentDesk, clock: Clock
) -> None:
    name, other = water(archive), fire(archive)
    made = desk.split(name, ["t:w2", "t:w3"], WANG, "小区停水", "两件事").record
    assert (made.title, made.posts, made.alerted_at) == ("小区停水", 2, None)
    assert one(archive, name).posts == len(BURST_MAIN) - 2
    desk.move(name, other, ["t:w4"], WANG)
    assert one(archive, other).posts == len(FIRE) + 1
    assert one(archive, name).posts == len(BURST_MAIN) - 3
    expected = marks(archive)
    assert expected["t:w2"] == made.id
    assert expected["t:w4"] == other
    clock.now += timedelta(minutes=5)
    store(archive, [post("w8", BURST_MAIN[0] + "，南门", 31), post("w9", BURST_MAIN[3] + "吧", 32)])
    drain(archive, clock)
    after = marks(archive)
    assert {key: after[key] for key in expected} == expected
    assert after["t:w8"] == name
    assert after["t:w9"] == made.id, "posts like the moved ones go where those went"
    for incident_id in (name, other, made.id):
        held = sum(mark == incident_id for mark in after.values())
        assert one(archive, incident_id).posts == held
        assert first_broken_act(one(archive, incident_id).acts) is None
    with pytest.raises(InputError, match="全部移走"):
        desk.split(made.id, ["t:w2", "t:w3", "t:w9"], WANG)
    with pytest.raises(NotFound):
        desk.split(name, ["t:f0"], WANG)


def test_a_dismissed_incident_is_not_told(
    archive: Archive, desk: IncidentDesk, clock: Clock
) -> None:
    name = fire(archive)
    desk.dismiss(name, WANG, "演练")
    Alerter(archive, [], settings=AlertSettings(), clock=clock).run_once()
    assert archive.get(Alert, alert_id(name), ALL) is None
    assert archive.get(Alert, alert_id(water(archive)), ALL) is not None
    with pytest.raises(InputError, match="原因"):
        desk.dismiss(name, WANG, " ")


def verdict(kind: str, peak: float, said: str) -> Incident:
    return Incident(
        id=f"incident:{kind}{peak}{said}", title="x", first_post_at=START, last_post_at=START,
        opened_at=START, verdict=said, verdict_kind=kind, verdict_peak=peak,
    )  # fmt: skip


def test_dismissals_raise_the_bar_and_confirmed_ones_hold_it_down() -> None:
    few = [verdict("社会安全/打人", 1.5 + n / 10, "dismissed") for n in range(LEAST - 1)]
    assert learn(few) == Learned({})
    many = [verdict("社会安全/打人", 1.5 + n / 10, "dismissed") for n in range(10)]
    bar = learn(many).bar("社会安全/打人", 1.0)
    assert bar > 2.4
    assert learn(many).bar("险情/起火", 1.0) == 1.0
    held = learn([*many, verdict("社会安全/打人", 2.0, "confirmed")]).bar("社会安全/打人", 1.0)
    assert 1.0 <= held < 2.0
    assert learn([verdict("a", 99.0, "dismissed")] * 10).bar("a", 1.0) == 4.0
