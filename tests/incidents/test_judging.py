"""Burst terms, severity, suspected level, independent voices."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from huiyin.records import AuthorKind, Kind, Level
from nlp.incidents.burst import Voice, assess, log10_tail
from nlp.incidents.figures import read_number
from nlp.incidents.gathering import Gathering, member
from nlp.incidents.severity import Figure, find_figures, judge, suspect
from nlp.incidents.terms import near_copies, plain, sketch, tags
from tests.incidents.helpers import BURST_MAIN, CHATTER, analysed, analysis, post

HOUR = 3600.0


@settings(deadline=None)
@given(st.integers(0, 200), st.floats(0.001, 100))
def test_tail_is_the_poisson_tail(seen: int, expected: float) -> None:
    probability = stats.poisson.sf(seen - 1, expected)
    found = log10_tail(seen, expected)
    if probability > 1e-200:
        assert found == pytest.approx(math.log10(probability), rel=1e-6, abs=1e-9)
    else:
        assert found < -190


def voices(hours: list[float], weight: float = 1.0, hourly: float = 0.005) -> list[Voice]:
    return [Voice(hour * HOUR, weight, "险情", hourly) for hour in hours]


def test_each_term_raises_the_score() -> None:
    base = assess(voices([0, 1, 2], weight=0.5)).total
    assert assess(voices([0, 1, 2, 2.5, 2.7], weight=0.5)).total > base, "authors"
    assert assess(voices([0, 1, 2], weight=0.8)).total > base, "severity"
    assert assess(voices([0, 20, 40], weight=0.5)).total < base, "growth"
    assert assess(voices([0, 100, 200, 300], weight=0.5)).total < base, "novelty"


def test_what_is_always_talked_about_needs_more() -> None:
    steady = [float(hour) for hour in range(0, 400, 2)]
    assert assess(voices(steady, 0.35, 0.05)).total < 1
    assert assess(voices([*steady, *(400 + n / 60 for n in range(30))], 0.35, 0.05)).growth == 2


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("十二", 12),
        ("两", 2),
        ("三百", 300),
        ("一千二百", 1200),
        ("27", 27),
        ("二十", 20),
        ("多", 0),
    ],
)
def test_numbers(words: str, number: int) -> None:
    assert read_number(words) == number


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("事故已致12人死亡，30多人受伤", [("死亡", 12), ("受伤", 30)]),
        ("三名工人被困井下", [("被困", 3)]),
        ("死亡人数上升", []),
        ("楼里还困着二十人", [("被困", 20)]),
        ("新增确诊3例", [("确诊", 3)]),
    ],
)
def test_figures(text: str, found: list[tuple[str, int]]) -> None:
    assert sorted(find_figures(text)) == sorted(found)


@pytest.mark.parametrize("text", BURST_MAIN[:3])
def test_grave_words_weigh(text: str) -> None:
    assert judge(text, analysis(None, text)).weight >= 0.5


@pytest.mark.parametrize("text", CHATTER)
def test_chatter_does_not_weigh(text: str) -> None:
    assert judge(text, analysis(None, text)).weight <= 0.3


def figure(name: str, number: int, said_by: int, official: bool = False) -> Figure:
    return Figure(name, number, ("t:1", "t:2"), said_by, official, witnesses=said_by)


@pytest.mark.parametrize(
    ("one", "level"),
    [
        (figure("死亡", 30, 2), Level.EXTRAORDINARY),
        (figure("死亡", 29, 2), Level.MAJOR),
        (figure("死亡", 3, 0, official=True), Level.LARGER),
        (figure("死亡", 2, 2), Level.ORDINARY),
        (figure("受伤", 100, 2), Level.EXTRAORDINARY),
        (figure("受伤", 9, 2), Level.ORDINARY),
        (figure("死亡", 30, 1), Level.ORDINARY),
    ],
)
def test_levels_are_those_of_the_rule(one: Figure, level: Level) -> None:
    found, reasons = suspect(1.0, 5, ("险情",), [one])
    assert found is level
    assert any("t:1" in reason and str(one.number) in reason for reason in reasons)


def test_no_level_for_talk() -> None:
    assert suspect(0.08, 50, ("一般议论",), [])[0] is None


def test_authors_count_not_posts_and_copies_once() -> None:
    posts = [
        post("1", BURST_MAIN[0], 0, author="x"),
        post("2", BURST_MAIN[1], 1, author="x"),
        post("3", BURST_MAIN[0] + "！", 2, author="y"),
        post("4", BURST_MAIN[2], 3),
        post("5", "转发微博", 4, kind=Kind.REPOST, root="1"),
        post("6", "水管爆裂正在抢修，请大家绕行", 5, author_kind=AuthorKind.GOVERNMENT),
    ]
    read = [member(analysed(one)) for one in posts]
    orders = [read, read[::-1], random.Random(3).sample(read, len(read))]
    for order in orders:
        assert Gathering(order).burst().voices == 2
    assert len({Gathering(order).burst() for order in orders}) == 1
    assert len({tuple(one.id for one in Gathering(order).evidence) for order in orders}) == 1


def test_short_alike_texts_are_independent() -> None:
    alike = [member(analysed(post(f"{n}", "地震了！！！", n))) for n in range(5)]
    assert Gathering(alike).burst().voices == 5


def test_text_is_cleaned_and_copies_found() -> None:
    assert plain("标题", "  正文@某用户 http://t.cn/abc [泪]//@别人:转发") == "标题 正文"
    assert tags("#郑州暴雨#求助#郑州暴雨#") == ("郑州暴雨",)
    one, other = sketch(BURST_MAIN[0]), sketch(BURST_MAIN[0] + "啊")
    assert near_copies(one, other)
    assert not near_copies(one, sketch(BURST_MAIN[1]))
