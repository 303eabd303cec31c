"""Other thresholds: what they would have done, and which give a wanted number of alerts a day."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huiyin.records import AuthorKind, Claim, Incident, Post
from nlp.incidents.story import tell
from nlp.incidents.tuning import choose, follow, peak, told
from tests.incidents.helpers import BURST_MAIN, CHATTER, START, analysed, post
from tests.incidents.test_replay import run, stream

GOVERNMENT = AuthorKind.GOVERNMENT


def posts(count: int, gap: float = 4.0, start: float = 0.0) -> list[Post]:
    return [
        analysed(post(f"{start}-{n}", BURST_MAIN[n % 5] + f"，{n}号院", start + gap * n))
        for n in range(count)
    ]


def test_a_higher_threshold_tells_later_or_never() -> None:
    steps = follow(posts(9))
    first, later = told(steps, 2, 0.5), told(steps, 5, 0.5)
    assert first is not None
    assert later is not None
    assert first.posts < later.posts
    assert first.at < later.at
    assert told(steps, 2, 99.0) is None
    assert peak(steps, 2) == max(one.burst.total for one in steps if one.burst.holds(2, 0.0))
    assert follow([]) == ()


@given(st.lists(st.integers(2, 8), min_size=1, max_size=8), st.floats(0.1, 5))
def test_suggestions_keep_to_the_wanted_number(sizes: list[int], wanted: float) -> None:
    incidents = {
        f"i{n}": follow(posts(size, 1.0 + 7 * n, 9000.0 * n)) for n, size in enumerate(sizes)
    }
    found = choose(incidents, 2.0, wanted, authors=3, score=1.0)
    for one in found.choices:
        assert one.alerts <= int(wanted * 2.0 + 1e-9)
        hits = [told(steps, one.authors, one.score) is not None for steps in incidents.values()]
        assert one.alerts == sum(hits)
    if found.best is not None:
        assert found.best in found.choices


def test_the_report_shows_the_answer_and_other_thresholds(tmp_path: Path) -> None:
    report = run(stream(), tmp_path, tune=1.0)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for words in (
        "换个阈值会怎样", "（现在）", "官方发声", "没有读到", "按每天 1 次告警选阈值", "建议：",
    ):  # fmt: skip
        assert words in page, words
    assert report.tuning is not None
    assert report.tuning.now.alerts == report.alerted == 1
    assert report.tuning.best is not None
    assert report.tuning.best.alerts <= 1 * report.tuning.days
    assert run(stream(), tmp_path).tuning is None


def incident(members: list[Post]) -> Incident:
    return Incident(
        id="incident:t:1", title="爆管", first_post_at=members[0].created_at,
        last_post_at=members[-1].created_at, opened_at=members[1].created_at,
        alerted_at=members[2].created_at, claims=(Claim(text="x", standing="未证实"),),
    )  # fmt: skip


def test_a_story_is_as_seen_at_its_moment() -> None:
    members = [
        *posts(4, 30.0),
        analysed(post("m", "记者在中山路口，水管爆裂影响两千户", 95, author_kind=AuthorKind.MEDIA)),
        analysed(post("o", "中山路口爆管正在抢修，3人受伤送医，预计今晚恢复", 130,
                      author_kind=GOVERNMENT)),
        analysed(post("late", CHATTER[4], 131)),
    ]  # fmt: skip
    now = members[5].created_at
    story = tell(incident(members), members, now)
    assert story.moments[0].what == "首帖"
    assert any("首次官方发声" in one.what and one.post == "t:o" for one in story.moments)
    assert any("首次有人说：受伤 3 人" in one.what for one in story.moments)
    assert story.first_answer is not None
    assert story.first_answer.at == now
    assert story.news.posts == 3, "the hour before: one citizen, the media, the office"
    assert [one.what[:2] for one in story.news.official] == ["媒体", "政务"]
    assert sum(sum(mood.counts) for mood in story.moods) == 6, "a later post was counted"
    early = tell(incident(members), members, members[1].created_at)
    assert early.first_answer is None
    assert early.news.posts == 2
    assert tell(incident(members), [], START).moods == ()


@pytest.mark.parametrize("wrong", ["0", "-1"])
def test_the_wanted_number_must_be_positive(wrong: str, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from huiyin.cli import app

    result = CliRunner().invoke(app, ["replay", "x.jsonl", "-o", str(tmp_path), "--tune", wrong])
    assert result.exit_code == 2
