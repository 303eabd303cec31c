"""What a visit leaves in its source's record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from crawler.visits import Visit, after_visit, memory_of
from huiyin.errors import CollectError, LayoutChanged, SourceBlocked
from huiyin.records import Gap, Source

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
    first, second = source.gaps
    assert first.state == "layout" and first.ends_at == second.starts_at and first.reason == "改版"
    assert second.state == "blocked" and second.ends_at is None and source.last_ok_at is None
    good = visit(source)
    good.memory = {"etag": "3"}
    source = after_visit(source, good, NOW + timedelta(hours=1))
    assert source.state == "ok" and source.gaps[0].ends_at and memory_of(source) == {"etag": "3"}


def test_a_gap_is_caught_up_only_when_everything_of_its_time_was_read() -> None:
    source = Source(id="source:a", spider="feed", account="weibo:101")
    source = after_visit(source, visit(source), NOW)
    hour = timedelta(hours=1)

    def good(overlaps: bool, unread: Gap | None = None, **memory: object) -> None:
        nonlocal source, now
        one = visit(source)
        one.overlaps, one.unread, one.memory = overlaps, unread, memory
        now += hour
        source = after_visit(source, one, now)

    now = NOW + hour
    source = after_visit(source, visit(source, error=CollectError("连不上")), now)
    good(False)
    assert source.gaps[0].ends_at == now and source.gaps[0].caught_up_at is None
    cut = Gap(starts_at=NOW, ends_at=now, state="cut_off", reason="超出")
    lost = Gap(starts_at=NOW, ends_at=now, reason="2 个页面没有读到", missed=2)
    good(True, cut)
    good(True, lost, missing={"7": ["", 1]})
    assert not any(gap.caught_up_at for gap in source.gaps)
    good(True, missing={"7": ["", 2]})
    # what was met later came after the gap: it proves nothing about it
    assert not any(gap.caught_up_at for gap in source.gaps)
    good(True, missing={})
    assert [gap.caught_up_at for gap in source.gaps] == [None, None, now]
    assert source.gaps[0].ends_at == NOW + 2 * hour
    source = after_visit(source, visit(source, error=CollectError("连不上")), now + hour)
    source = after_visit(source, visit(source, error=SourceBlocked("挡住")), now + 2 * hour)
    now += 2 * hour
    good(True)
    assert [gap.caught_up_at for gap in source.gaps][-2:] == [now, now]


def test_a_first_reading_catches_up_what_it_reaches_back_over() -> None:
    for back, caught_up in ((1, True), (-1, False)):
        source = Source(id="source:a", spider="feed", account="weibo:101")
        source = after_visit(source, visit(source, error=CollectError("连不上")), NOW)
        one = visit(source)
        one.saw(NOW - timedelta(minutes=back))
        source = after_visit(source, one, NOW + timedelta(hours=1))
        assert (source.gaps[0].caught_up_at is not None) is caught_up


def test_gaps_that_were_not_caught_up_are_merged_not_dropped() -> None:
    source = Source(id="source:a", spider="feed", account="weibo:101")
    for minute in range(500):
        error = SourceBlocked("挡住") if minute % 2 else LayoutChanged("改版")
        now = NOW + timedelta(minutes=minute)
        source = after_visit(source, visit(source, error=error), now)
    assert len(source.gaps) == 200 and source.gaps[0].starts_at == NOW
