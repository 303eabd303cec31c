"""A disaster that strikes whole cities: told by two voices, never by one, nor by mere talk."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from archive import Archive, open_archive
from huiyin.records import AuthorKind, Place, Post, Scope
from huiyin.settings import IncidentSettings
from nlp.incidents import HOLD, Detector
from nlp.incidents.burst import GRAVE, Voice, assess, least_voices
from tests.incidents.helpers import START, analysis, post
from tests.incidents.streams import incidents

ALL = Scope.everything()
NOW = START + timedelta(hours=3)
CITY = Place(adcode="330100", name="杭州市", text="杭州")
CALLS = (
    "#暴雨互助# 杭州地铁口被淹了，水已经齐腰深，有人被困在里面",
    "感谢冒雨救援的消防员，你们辛苦了，杭州挺住，洪水无情人有情",
)
TALK = ("杭州今天真热，公园里的荷花开了", "杭州加油，球赛赢了，太好看了，谢谢教练")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return open_archive(f"sqlite:///{tmp_path}/a.db")


def play(archive: Archive, posts: list[Post], **settings: object) -> None:
    archive.put_posts(posts)
    archive.write_analyses([
        (one.id, analysis(None, one.text).model_copy(update={"places": (CITY,)})) for one in posts
    ])  # fmt: skip
    detector = Detector(
        archive, settings=IncidentSettings(**settings), clock=lambda: NOW, lease=False,  # type: ignore[arg-type]
        event_time=True,
    )  # fmt: skip
    while detector.run_once().posts:
        pass


def test_the_second_voice_tells_praise_of_rescuers_included(archive: Archive) -> None:
    play(archive, [post(f"f{n}", text, n) for n, text in enumerate(CALLS)])
    [found] = incidents(archive)
    assert found.alerted_at == START + timedelta(minutes=1) + HOLD
    assert "6 小时内 2 名独立发布者说到同一地（3301）的洪涝" in found.level_reasons


@pytest.mark.parametrize("author_kind", [AuthorKind.ORDINARY, AuthorKind.GOVERNMENT])
def test_one_voice_is_not_enough_nor_copies_of_it(
    archive: Archive, author_kind: AuthorKind
) -> None:
    posts = [post(f"f{n}", CALLS[0], n) for n in range(4)]
    office = post("g", CALLS[1], 9, author_kind=author_kind)
    play(archive, [*posts, *([office] if author_kind is AuthorKind.GOVERNMENT else [])])
    assert [one.alerted_at for one in incidents(archive)] == [None]


def test_talk_about_the_city_tells_nobody(archive: Archive) -> None:
    play(archive, [post(f"f{n}", text, n) for n, text in enumerate(TALK * 3)])
    assert not [one for one in incidents(archive) if one.alerted_at]


def test_an_office_that_wants_more_voices_needs_one_fewer_here(archive: Archive) -> None:
    play(archive, [post(f"f{n}", text, n) for n, text in enumerate(CALLS)], min_authors=5)
    assert [one.alerted_at for one in incidents(archive)] == [None]
    assert [least_voices(n) for n in (1, 2, 3, 5)] == [1, 2, 2, 4]


def test_praise_weighs_only_where_the_disaster_is_attested() -> None:
    def voice(hour: float, weight: float, struck: str) -> Voice:
        return Voice(hour * 3600, weight, "险情", 0.005, frozenset({struck}), 1.0)

    together = assess([voice(0, 1.0, "洪涝@3301"), voice(1, 0.3, "洪涝@3301")])
    assert (together.attested, together.severity) == (2, 1.0)
    elsewhere = assess([voice(0, 1.0, "洪涝@3301"), voice(1, 0.3, "洪涝@4401")])
    assert (elsewhere.attested, elsewhere.severity) == (0, 0.65)
    later = assess([voice(0, 0.1, "洪涝@3301"), voice(7, 0.1, "洪涝@3301")])
    assert later.attested == 0 and later.severity < GRAVE
