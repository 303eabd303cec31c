"""One incident that proves to be two is parted by the system; posts come late, in any order."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from archive import Archive, open_archive
from huiyin.records import Batch, Incident, Kind, Post, Scope
from tests.incidents.helpers import BURST_MAIN, post, store
from tests.incidents.streams import dump, incidents, marks
from tests.incidents.test_joining import BRIDGES, NORTH, SOUTH, WEEK, detector, drain

ALL = Scope.everything()
MORE_NORTH = (*NORTH, "北门菜市场冷库还在冒白烟，刺鼻得很，摊贩不敢回去")
MORE_SOUTH = (*SOUTH, "滨河大道公交站晕倒的人嗓子疼，还是说不出话")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return open_archive(f"sqlite:///{tmp_path}/a.db")


def one_that_is_two() -> list[Post]:
    """Four posts of one matter, one that speaks of two, four of the other."""
    north = [post(f"n{n}", text, n) for n, text in enumerate(MORE_NORTH)]
    bridge = post("b", BRIDGES[0], 5)
    south = [post(f"s{n}", text, 6 + n) for n, text in enumerate(MORE_SOUTH)]
    return [*north, bridge, *south]


def test_one_incident_that_proves_to_be_two_is_parted(archive: Archive) -> None:
    posts = one_that_is_two()
    store(archive, posts[:7])
    drain(detector(archive))
    assert {one.id for one in incidents(archive)} == {"incident:t:n0"}, "the bridge chains them"
    store(archive, posts[7:])
    drain(detector(archive))
    found = {one.id: one for one in incidents(archive)}
    after = marks(archive)
    north = {after[f"t:n{n}"] for n in range(4)}
    south = {after[f"t:s{n}"] for n in range(4)}
    assert north == {"incident:t:n0"}
    assert len(south) == 1 and not south & north, "what came after the parting goes there too"
    [new] = south
    assert sum(one.posts for one in found.values()) == len(posts), "each post counts once"
    assert found[str(new)].posts == sum(mark == new for mark in after.values())
    moved = [one for stored in archive.records(Batch, ALL) for one in stored.record.moved]
    assert {to for _, _, to in moved} == {new}, "it lies in the step"
    assert {before for _, before, _ in moved} == {"incident:t:n0"}


def test_parting_is_the_same_after_every_restart(archive: Archive, tmp_path: Path) -> None:
    store(archive, one_that_is_two())
    drain(detector(archive, limit=2))
    other = open_archive(f"sqlite:///{tmp_path}/b.db")
    store(other, one_that_is_two())
    while detector(other, limit=2).run_once().posts:
        pass
    assert len(incidents(archive)) == 2
    assert dump(archive) == dump(other)


def test_replies_go_with_the_post_that_leaves(archive: Archive) -> None:
    def reply(name: str, root: str, minute: float) -> Post:
        text = f"看到了，大家都离远一点吧，注意安全{name}"
        return post(name, text, minute, kind=Kind.COMMENT, root=root)

    posts = one_that_is_two()
    north = [reply(f"rn{n}", "n0", 4.1 + n / 10) for n in range(3)]
    south = [reply(f"rs{n}", "s0", 6.1 + n / 10) for n in range(4)]
    store(archive, sorted([*posts, *north, *south], key=lambda one: one.created_at))
    drain(detector(archive))
    after = marks(archive)
    assert {after[f"t:s{n}"] for n in range(4)} == {after[one.id] for one in south}
    assert {after[f"t:n{n}"] for n in range(4)} == {after[one.id] for one in north}
    assert after["t:s0"] != after["t:n0"]


def test_one_matter_is_not_parted(archive: Archive) -> None:
    texts = [f"{text}，{word}" for word in ("快来人", "太吓人了") for text in BURST_MAIN[:8]]
    store(archive, [post(f"w{n}", text, n) for n, text in enumerate(texts)])
    drain(detector(archive))
    assert not any(stored.record.moved for stored in archive.records(Batch, ALL))


def test_the_first_post_may_come_last(archive: Archive) -> None:
    first, *rest = [post(f"w{n}", text, 2 * n) for n, text in enumerate(BURST_MAIN[:5])]
    store(archive, rest)
    one = detector(archive, event_time=False)
    drain(one)
    [before] = incidents(archive)
    store(archive, [first])
    drain(one)
    [after] = incidents(archive)
    assert after.id == before.id, "its name stays"
    assert after.posts == before.posts + 1
    assert after.first_post_at == first.created_at < before.first_post_at


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_arrival_changes_no_membership(archive: Archive, seed: int) -> None:
    fire = [post(f"f{n}", text, 3 * n) for n, text in enumerate(BURST_MAIN[:6])]
    smoke = [post(f"n{n}", text, 60 * 30 + n) for n, text in enumerate(MORE_NORTH)]
    posts = [*fire, *smoke]
    random.Random(seed).shuffle(posts)
    one = detector(archive, WEEK + timedelta(days=1), event_time=False)
    for late in posts:
        store(archive, [late])
        drain(one)
    found = marks(archive)
    parts = [{found[late.id] for late in part} for part in (fire, smoke)]
    assert [len(part) for part in parts] == [1, 1] and parts[0] != parts[1]
    assert {one.posts for one in incidents(archive)} == {len(fire), len(smoke)}
    assert all(archive.get(Incident, str(mark), ALL) for part in parts for mark in part)
