"""What a visit leaves in its source's record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from crawler.visits import Visit, after_visit, memory_of
from huiyin.errors import CollectError, LayoutChanged, SourceBlocked
from huiyin.records import Source

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


def visit(source: Source, *, fresh: int = 0, error: CollectError | None = None) -> Visit:
    one = Visit(source, NOW, memory_of(source), answer_seconds=source.answer_seconds)
    one.fresh, one.error = fresh, error
    return one


def test_a_silent_source_and_a_slow_one_are_not_ok() -> None:
    source = Source(id="source:a", spider="feed", account="weibo:101")
    at = NOW - timedelta(days=5)
    source = after_visit(source, visit(source, fresh=500), at)
    assert source.state == "ok" and source.hours == ()  # what lay there says nothing of an hour
    while at < NOW:
        at += timedelta(hours=1)
        source = after_visit(source, visit(source, fresh=5), at)
        assert source.state == "ok"
    for _ in range(6):
        at += timedelta(hours=1)
        source = after_visit(source, visit(source), at)
    assert source.state == "silent" and source.state_since and source.state_since < at
    (gap,) = source.gaps
    assert gap.ends_at is None and gap.state == "silent"
    source = after_visit(source, visit(source, fresh=40), at + timedelta(hours=1))
    slow = visit(source)
    for _ in range(20):
        slow.answered(15.0)
    source = after_visit(source, slow, at + timedelta(hours=20))
    assert source.state == "slow" and source.gaps[-1].ends_at


def test_a_gap_stays_open_until_a_good_visit_and_the_memory_is_kept() -> None:
    source = Source(id="source:a", spider="feed", account="weibo:101", cursor='{"etag": "1"}')
    for minutes, error in enumerate((LayoutChanged("改版"), SourceBlocked("挡住"))):
        failed = visit(source, error=error)
        failed.memory["etag"] = "2"
        source = after_visit(source, failed, NOW + timedelta(minutes=minutes))
    assert source.state == "blocked" and memory_of(source) == {"etag": "1"}
    (gap,) = source.gaps
    assert gap.ends_at is None and gap.state == "layout" and source.last_ok_at is None
    good = visit(source)
    good.memory = {"etag": "3"}
    source = after_visit(source, good, NOW + timedelta(hours=1))
    assert source.state == "ok" and source.gaps[0].ends_at and memory_of(source) == {"etag": "3"}
