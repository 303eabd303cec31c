"""The detector counts each post once, alerts by the third witness and stays quiet otherwise."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from archive import Archive, open_archive
from huiyin.records import AuthorKind, IncidentState, Kind, Post, Scope
from huiyin.settings import IncidentSettings
from nlp.incidents import HOLD, Detector
from tests.incidents.helpers import BURST_MAIN, CHATTER, START, post, store
from tests.incidents.streams import dump, incidents, marks, stream

ALL = Scope.everything()
NOW = START + timedelta(hours=3)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return open_archive(f"sqlite:///{tmp_path}/a.db")


def detector(archive: Archive, now: datetime = NOW, **options: object) -> Detector:
    options = {"settings": IncidentSettings(), "lease": False, **options}
    return Detector(archive, clock=lambda: now, **options)  # type: ignore[arg-type]


def drain(one: Detector) -> int:
    done = 0
    while report := one.run_once():
        if not report.posts:
            return done
        done += report.posts
    return done


def burst_main(**options: object) -> list[Post]:
    return [post(f"w{n}", text, 4.0 * n, **options) for n, text in enumerate(BURST_MAIN)]  # type: ignore[arg-type]


def test_alert_by_the_third_independent_witness(archive: Archive) -> None:
    noise = [post(f"c{n}", text, 1.5 * n) for n, text in enumerate(CHATTER)]
    store(archive, burst_main() + noise)
    drain(detector(archive, event_time=True))
    [found] = incidents(archive)
    assert found.posts == 5
    assert found.authors == 5
    assert found.first_post_at == START
    assert found.opened_at == START + timedelta(minutes=4) + HOLD
    assert found.alerted_at == START + timedelta(minutes=8) + HOLD
    assert found.suspected_level is not None
    assert "中山路口" in found.title
    assert all(sentence.posts for sentence in found.summary)
    assert found.offices == ("office:a",)
    in_it = {name for name, mark in marks(archive).items() if mark == found.id}
    assert in_it == {f"t:w{n}" for n in range(5)}
    assert all(mark == "" for name, mark in marks(archive).items() if name not in in_it)


def test_one_author_with_many_posts_alerts_nobody(archive: Archive) -> None:
    store(archive, burst_main(author="same"))
    drain(detector(archive))
    assert incidents(archive) == []


def test_copies_of_one_text_are_one_voice(archive: Archive) -> None:
    store(archive, [post(f"k{n}", BURST_MAIN[0], float(n)) for n in range(30)])
    drain(detector(archive))
    [found] = incidents(archive)
    assert (found.posts, found.authors, found.alerted_at) == (30, 1, None)


def test_reposts_join_their_root_and_are_no_witnesses(archive: Archive) -> None:
    store(archive, [post("r", BURST_MAIN[0])])
    chain = [
        post(f"x{n}", "转发微博" if n % 2 else f"太可怕了{n}", n, kind=Kind.REPOST, root="r")
        for n in range(1, 60)
    ]
    store(archive, chain)
    drain(detector(archive))
    [found] = incidents(archive)
    assert (found.posts, found.authors, found.alerted_at) == (60, 1, None)


@pytest.mark.parametrize(
    "texts",
    [
        [f"转发抽奖，关注我抽三位朋友送电影票，第{n}天，真开心" for n in range(40)],
        [f"感谢人民医院急诊科的医生，谢谢你们，点赞{'！' * (n % 5)}辛苦了{n}" for n in range(40)],
        [f"哥哥新歌首播太好听了，一起打call应援，第{n}遍循环" for n in range(40)],
    ],
)  # fmt: skip
def test_chatter_praise_and_lottery_alert_nobody(archive: Archive, texts: list[str]) -> None:
    store(archive, [post(f"n{n}", text, n) for n, text in enumerate(texts)])
    drain(detector(archive))
    assert [one for one in incidents(archive) if one.alerted_at] == []


def test_old_news_wakes_nobody(archive: Archive) -> None:
    store(archive, burst_main())
    drain(detector(archive, START + timedelta(days=30)))
    [found] = incidents(archive)
    assert found.alerted_at is None
    assert found.state is IncidentState.CLOSED


def test_posts_are_held_back_a_second(archive: Archive) -> None:
    store(archive, [post("w0", BURST_MAIN[0])])
    assert detector(archive, START + HOLD).run_once().posts == 0
    assert detector(archive, START + HOLD + timedelta(microseconds=1)).run_once().posts == 1


def test_late_and_out_of_order_posts_join(archive: Archive) -> None:
    posts = burst_main()
    for one in (posts[3], posts[0], posts[4], posts[1], posts[2]):
        store(archive, [one])
        drain(detector(archive))
    [found] = incidents(archive)
    assert found.posts == 5
    assert found.first_post_at == START
    assert found.alerted_at is not None


def test_an_incident_eases_and_closes(archive: Archive) -> None:
    store(archive, burst_main())
    drain(detector(archive))
    assert incidents(archive)[0].state is IncidentState.ACTIVE
    detector(archive, NOW + timedelta(hours=8)).run_once()
    assert incidents(archive)[0].state is IncidentState.EASING
    detector(archive, NOW + timedelta(hours=60)).run_once()
    assert incidents(archive)[0].state is IncidentState.CLOSED


def test_official_denial_makes_it_disputed_never_a_rumour(archive: Archive) -> None:
    words = (
        "听说第三小学食堂有12名学生中毒住院，太吓人了",
        "第三小学食堂出事了，12名孩子中毒送医，家长都在门口",
        "我家孩子在第三小学，食堂吃完吐了，老师说有12名学生中毒",
    )
    posts = [post(f"p{n}", text, n) for n, text in enumerate(words)]
    denial = post(
        "o", "关于第三小学食堂学生中毒的说法不实，12名学生为普通感冒", 30,
        author_kind=AuthorKind.GOVERNMENT,
    )  # fmt: skip
    store(archive, [*posts, denial])
    drain(detector(archive))
    [found] = incidents(archive)
    assert found.authors == 3, "the office's own word is no witness"
    assert found.claims
    assert {claim.standing for claim in found.claims} <= {"有争议", "有依据"}
    assert any("t:o" in claim.posts_against for claim in found.claims)


@pytest.mark.parametrize("every", [1, 3])
def test_a_detector_that_starts_anew_continues_the_same(tmp_path: Path, every: int) -> None:
    now = START + timedelta(days=6, hours=1)
    dumps = []
    for restart in (False, True):
        archive = open_archive(f"sqlite:///{tmp_path}/{every}-{restart}.db")
        store(archive, stream())
        one = detector(archive, now, limit=16)
        step = 0
        while one.run_once().posts:
            step += 1
            if restart and step % every == 0:
                one = detector(archive, now, limit=16)
        dumps.append(dump(archive))
    assert dumps[0] == dumps[1]
    assert len({mark for mark in dumps[0][0].values() if mark}) >= 2  # type: ignore[attr-defined]


def test_of_two_detectors_at_most_one_counts(archive: Archive, tmp_path: Path) -> None:
    store(archive, stream(120))
    now = START + timedelta(days=6, hours=1)
    one, other = (detector(archive, now, limit=8) for _ in range(2))
    idle = 0
    while idle < 4:
        idle = 0 if one.run_once().posts + other.run_once().posts else idle + 1
    alone = open_archive(f"sqlite:///{tmp_path}/alone.db")
    store(alone, stream(120))
    drain(detector(alone, now, limit=8))
    assert dump(archive) == dump(alone)


def test_lease_is_taken_over_after_twenty_seconds(archive: Archive) -> None:
    store(archive, burst_main())
    seconds = [0.0]
    ours, theirs = (
        detector(archive, lease=True, owner=name, monotonic=lambda: seconds[0])
        for name in ("elsewhere:1:x", "elsewhere:2:y")
    )
    assert ours.run_once().held
    assert not theirs.run_once().held
    seconds[0] = 19.0
    assert not theirs.run_once().held
    seconds[0] = 40.0
    assert theirs.run_once().held
    assert not ours.run_once().held
