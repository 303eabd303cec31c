"""Two groups that prove to be one, one that proves to be two, flaring up again, danger at once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from archive import Archive, open_archive
from huiyin.records import Batch, Incident, IncidentState, Post, Scope, Urgency
from huiyin.settings import IncidentSettings
from nlp.danger import REASON
from nlp.incidents import HOLD, Detector
from tests.incidents.helpers import BURST_MAIN, CHATTER, START, analysis, post, store
from tests.incidents.streams import dump, incidents, marks

ALL = Scope.everything()
WEEK = START + timedelta(days=7)
NORTH = (
    "北门菜市场冷库冒白烟，闻着刺鼻，摊贩都往外跑",
    "北门菜市场冷库那边刺鼻的白烟，摊贩跑出来了",
    "刺鼻白烟，北门菜市场冷库，摊贩都跑到外面",
)
SOUTH = (
    "滨河大道公交站有人晕倒，嗓子疼得说不出话",
    "滨河大道公交站好几个人晕倒，嗓子疼，说不出话",
    "嗓子疼说不出话，滨河大道公交站有人晕倒了",
)
BRIDGES = (
    "北门菜市场冷库冒白烟刺鼻，摊贩都往外跑，滨河大道公交站有人晕倒，嗓子疼得说不出话",
    "冷库白烟刺鼻飘到滨河大道公交站，有人晕倒嗓子疼说不出话，北门菜市场摊贩都往外跑",
    "滨河大道公交站有人晕倒嗓子疼说不出话，就是北门菜市场冷库刺鼻白烟，摊贩都往外跑",
    "北门菜市场冷库刺鼻白烟，摊贩往外跑，滨河大道公交站晕倒的人嗓子疼得说不出话",
)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return open_archive(f"sqlite:///{tmp_path}/a.db")


def detector(archive: Archive, now: object = WEEK, **options: object) -> Detector:
    options = {"settings": IncidentSettings(), "lease": False, "event_time": True, **options}
    return Detector(archive, clock=lambda: now, **options)  # type: ignore[arg-type]


def drain(one: Detector) -> None:
    while one.run_once().posts:
        pass


def two_that_are_one() -> list[Post]:
    first = [post(f"n{n}", text, n) for n, text in enumerate(NORTH)]
    second = [post(f"s{n}", text, 5 + n) for n, text in enumerate(SOUTH)]
    bridges = [post(f"b{n}", text, 10 + n) for n, text in enumerate(BRIDGES)]
    return [*first, *second, *bridges]


def test_two_incidents_that_prove_to_be_one_are_merged(archive: Archive) -> None:
    posts = two_that_are_one()
    store(archive, posts[:6])
    drain(detector(archive))
    assert {one.id for one in incidents(archive)} == {"incident:t:n0", "incident:t:s0"}
    before = marks(archive)
    store(archive, posts[6:])
    drain(detector(archive))
    found = {one.id: one for one in incidents(archive)}
    ended, stays = found["incident:t:s0"], found["incident:t:n0"]
    assert (ended.state, ended.merged_into) == (IncidentState.MERGED, stays.id)
    assert stays.merged_into is None
    assert stays.posts == len(posts), "what the other held counts here now"
    after = marks(archive)
    assert {name: after[name] for name in before} == before, "no post is rewritten"
    assert all(after[f"t:b{n}"] in {stays.id, ended.id} for n in range(4))
    assert after["t:b3"] == stays.id


def test_merging_is_the_same_after_every_restart(archive: Archive, tmp_path: Path) -> None:
    store(archive, two_that_are_one())
    drain(detector(archive, limit=2))
    other = open_archive(f"sqlite:///{tmp_path}/b.db")
    store(other, two_that_are_one())
    while detector(other, limit=2).run_once().posts:
        pass
    assert dump(archive) == dump(other)


def test_an_incident_flares_up_again(archive: Archive) -> None:
    def at(days: float) -> IncidentState:
        detector(archive, START + timedelta(days=days), event_time=False).run_once()
        return archive.get(Incident, "incident:t:w0", ALL).record.state  # type: ignore[union-attr]

    store(archive, [post(f"w{n}", text, 4.0 * n) for n, text in enumerate(BURST_MAIN)])
    assert at(0.1) is IncidentState.ACTIVE
    assert at(5) is IncidentState.CLOSED
    late = [post(f"x{n}", f"{text}，又来了", 60 * 24 * 6 + n) for n, text in
            enumerate(BURST_MAIN[:3])]  # fmt: skip
    store(archive, late)
    assert at(6.1) is IncidentState.ACTIVE
    assert {marks(archive)[one.id] for one in late} == {"incident:t:w0"}


def calls_for_help(name: str, text: str, minutes: float) -> Post:
    return post(name, text, minutes)


def store_urgent(archive: Archive, posts: list[Post]) -> None:
    archive.put_posts(posts)
    urgent = Urgency(score=0.9, reasons=(REASON,))
    archive.write_analyses(
        [(one.id, analysis(None, one.text).model_copy(update={"urgency": urgent}))
         for one in posts]
    )  # fmt: skip


CALL = "我家三楼起火了，浓烟很大，老人孩子被困在里面出不来，快来救人，花园小区5号楼"


def test_one_post_is_enough_where_a_life_is_at_stake(archive: Archive) -> None:
    store(archive, [post(f"c{n}", text, n) for n, text in enumerate(CHATTER)])
    store_urgent(archive, [post("call", CALL, 3)])
    drain(detector(archive))
    [found] = incidents(archive)
    assert found.alerted_at == START + timedelta(minutes=3) + HOLD
    assert found.danger
    assert "一条信息即告警" in found.level_reasons[0]
    assert marks(archive)["t:call"] == found.id
    store_urgent(archive, [post("again", CALL + "，求求你们", 5)])
    drain(detector(archive))
    [found] = incidents(archive)
    assert (found.posts, found.alerted_at) == (2, START + timedelta(minutes=3) + HOLD)
    assert found.danger, "a later step and a new detector keep it"


def test_the_alarm_can_be_turned_off(archive: Archive) -> None:
    store_urgent(archive, [post("call", CALL, 3)])
    drain(detector(archive, settings=IncidentSettings(danger_alarm=False)))
    assert incidents(archive) == []


def test_what_was_decided_lies_in_the_steps(archive: Archive) -> None:
    store(archive, two_that_are_one())
    drain(detector(archive))
    steps = [stored.record for stored in archive.records(Batch, ALL)]
    assert [one.merged for one in steps if one.merged] == [(("incident:t:s0", "incident:t:n0"),)]
