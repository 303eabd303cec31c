"""What is normal is learned: a weekly rush wakes nobody in its fifth week, a quiet hour does."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import pytest
from scipy import stats

from archive import Archive, open_archive
from huiyin.records import Baseline, Incident, Post, Scope
from huiyin.settings import IncidentSettings
from nlp.incidents import Detector
from nlp.incidents.baselines import DAYS, HOURS, LEAST_WEEKS, Baselines, hour_of
from nlp.incidents.burst import SIZE, Voice, assess, log10_scattered_tail
from nlp.incidents.gathering import Gathering, member
from tests.incidents.helpers import START, analysed, post, store

ALL = Scope.everything()
WEEK_MINUTES = 7 * 24 * 60.0
RUSH = 90.0
"""Minutes after START (08:00 UTC) at which the rush of each week begins."""
TOPICS = (
    "公交早班久等不来车", "地铁限流排长队进站", "学校旁边堵得走不动", "电梯故障停摆好几天",
    "大厅窗口办事太慢了", "菜场凌晨噪音扰民啊",
)  # fmt: skip
NAMES = (
    "的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能"
    "对小多然于心学么之都好看起发当没成只如事把还用第样道想作种开美总从无情己面最女但现前些所同日手又行"
    "意动方期它头经长儿回位分爱老因很给名法间斯知世什两次使身者被高已亲其进此话常与活正感见明问力理"
)
"""Common characters: two make what a person adds, no two people with the same two."""


def crowd(week: float, topic: str, start: float = RUSH, people: int = 12) -> list[Post]:
    """As many people within 40 minutes, each in few words of their own: no copies."""
    posts = []
    for n in range(people):
        number = TOPICS.index(topic) * 100 + n
        added = NAMES[number % len(NAMES)] + NAMES[(7 * number + 13) % len(NAMES)]
        text = f"{topic}{added}投诉"
        at = WEEK_MINUTES * week + start + 36.0 * n / people
        posts.append(post(f"{topic}-{n}", text, at, author=f"{topic}{n}"))
    return posts


def play(archive: Archive, posts: list[Post], restart: bool = False) -> None:
    store(archive, posts)
    now = START + timedelta(days=60)

    def made() -> Detector:
        return Detector(
            archive, settings=IncidentSettings(), clock=lambda: now, lease=False, event_time=True,
            limit=16,
        )  # fmt: skip

    one = made()
    while one.run_once().posts:
        if restart:
            one = made()


def told(archive: Archive) -> dict[str, Incident]:
    """Topic -> its incident, if one was told."""
    found = [stored.record for stored in archive.records(Incident, ALL)]
    return {
        topic: one for one in found if one.alerted_at
        for topic in TOPICS if topic in one.title
    }  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return open_archive(f"sqlite:///{tmp_path}/a.db")


def five_weeks(fifth: int = 12) -> list[Post]:
    before = [one for week in range(4) for one in crowd(week, TOPICS[week])]
    return [*before, *crowd(4, TOPICS[4], people=fifth)]


def test_a_weekly_rush_wakes_nobody_in_its_fifth_week(archive: Archive) -> None:
    quiet = crowd(4, TOPICS[5], start=RUSH + 2.5 * 24 * 60)
    play(archive, [*five_weeks(), *quiet])
    assert TOPICS[0] in told(archive), "a fresh office is told"
    assert TOPICS[4] not in told(archive), "the fifth Monday"
    assert TOPICS[5] in told(archive), "as many at an hour that is quiet"
    [fifth] = [
        stored.record for stored in archive.records(Incident, ALL)
        if TOPICS[4] in stored.record.title
    ]  # fmt: skip
    assert fifth.authors == 12
    assert any("同一账号、类别、地区、同一时段学得" in reason for reason in fifth.level_reasons)


def test_more_than_the_usual_rush_is_told(archive: Archive) -> None:
    play(archive, five_weeks(72))
    assert TOPICS[4] in told(archive)


def test_what_was_learned_lies_in_the_archive_and_survives(tmp_path: Path) -> None:
    kept = []
    for restart in (False, True):
        archive = open_archive(f"sqlite:///{tmp_path}/{restart}.db")
        play(archive, five_weeks(), restart)
        records = [stored.record for stored in archive.records(Baseline, ALL)]
        kept.append((records, {topic: one.model_dump() for topic, one in told(archive).items()}))
        assert TOPICS[4] not in told(archive)
    assert kept[0] == kept[1]
    [one] = kept[0][0]
    assert (one.account, one.category) == ("office:a", "城乡建设")
    monday = hour_of((START + timedelta(minutes=RUSH)).timestamp())
    assert [one.hours.get(monday + 168 * week, 0) > 1 for week in range(5)] == [True] * 5
    assert max(one.days.values()) == 12


def test_a_fresh_office_has_no_normal_yet() -> None:
    baselines = Baselines()
    gathering = Gathering(member(analysed(one)) for one in crowd(0, TOPICS[0]))
    baselines.saw(gathering.first)
    baselines.note("g", gathering.members())
    assert baselines.usual(gathering) is None
    later = Gathering(member(analysed(one)) for one in crowd(LEAST_WEEKS, TOPICS[1]))
    usual = baselines.usual(later)
    assert usual is not None
    assert usual.expected(later.last - 3600, later.last) == 0, "once is not normal"


def test_one_great_incident_is_not_normal_but_what_comes_most_weeks_is() -> None:
    baselines = Baselines()
    for week, people in enumerate((4, 12, 4, 4)):
        gathering = Gathering(
            member(analysed(one)) for one in crowd(week, TOPICS[week], RUSH, people)
        )
        baselines.saw(gathering.first)
        baselines.note(f"g{week}", gathering.members())
    now = Gathering(member(analysed(one)) for one in crowd(4, TOPICS[4], RUSH, 6))
    usual = baselines.usual(now)
    assert usual is not None
    for hours in (1, 6, 24):
        assert 3.5 <= usual.expected(now.last - 3600 * hours, now.last) <= 12
    assert usual.expected(now.last - 3600 * HOURS, now.last) <= 12, "a week"
    four = usual.expected(now.last - 4 * 3600 * HOURS, now.last)
    assert 12 <= four <= 4 * 12 and DAYS == 7


def test_tail_is_that_of_a_negative_binomial() -> None:
    for seen, mean in ((1, 0.5), (5, 12.0), (40, 12.0), (3, 0.01)):
        wanted = stats.nbinom.sf(seen - 1, SIZE, SIZE / (SIZE + mean))
        assert log10_scattered_tail(seen, mean) == pytest.approx(math.log10(wanted), rel=1e-6)
    assert log10_scattered_tail(0, 3.0) == 0


def test_history_only_makes_quieter() -> None:
    voices = [Voice(minute * 60.0, 0.6, "险情", 0.005) for minute in range(6)]
    alone = assess(voices)
    assert assess(voices, None, lambda begin, end: 0.0) == alone
    usual = assess(voices, None, lambda begin, end: 6.0 * (end - begin) / 3600)
    assert usual.learned and usual.growth < alone.growth
