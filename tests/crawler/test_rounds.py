"""How far a round has come, and what stays visible when it did not come far enough."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler import rounds
from crawler.health import HEALTH, add_hour, lasting
from crawler.rounds import Round
from crawler.sources import after_failure, after_reading, after_success, kept
from crawler.values import weibo_id_time
from crawler.weibo_api import (
    ENDPOINTS,
    Page,
    TryAgain,
    api_error,
    id_of_time,
    read_page,
)
from huiyin.errors import (
    CollectError,
    LayoutChanged,
    LoginExpired,
    QuotaExceeded,
    SourceBlocked,
    SourceRefused,
)
from huiyin.records import Gap, Source

NOW = datetime(2026, 3, 5, 4, 20, tzinfo=UTC)
FIRST = id_of_time(NOW - timedelta(hours=2))


def source(cursor: int = 0, **more: Any) -> Source:
    return Source(id="s", spider="weibo_official", account="a", cursor=str(cursor or ""), **more)


class Platform:
    """Lists numbers as the interface does: newest first, since exclusive, max inclusive."""

    def __init__(self, numbers: list[int], gone: set[int], tells_cursor: bool) -> None:
        self.numbers = sorted(numbers, reverse=True)
        self.gone = gone
        self.tells_cursor = tells_cursor

    def page(self, query: dict[str, str]) -> Page:
        since, upto = int(query.get("since_id", 0)), int(query.get("max_id", 0))
        wanted = [one for one in self.numbers if one > since and (not upto or one <= upto)]
        count = int(query["count"])
        after = wanted[count : count + 1]
        items = tuple({"idstr": str(one)} for one in wanted[:count] if one not in self.gone)
        return Page(items, (after[0] if after else 0) if self.tells_cursor else None)


def go(one: Round, platform: Platform) -> Round:
    """Read to the end; every page counts as stored."""
    more = True
    while more:
        more, covers = one.take(platform.page(one.parameters()))
        one.page_stored(0, covers)
        assert one.pages <= rounds.MAX_PAGES
    return one


@given(
    st.sets(st.integers(FIRST, FIRST + 400), min_size=1, max_size=60), st.integers(2, 9),
    st.booleans(), st.booleans(), st.data(),
)  # fmt: skip
def test_everything_above_the_cursor_is_read(
    numbers: set[int], count: int, reread: bool, tells: bool, data: st.DataObject
) -> None:
    cursor = data.draw(st.sampled_from([0, *sorted(numbers)]))
    others = sorted(numbers - {cursor})
    gone = data.draw(st.sets(st.sampled_from(others))) if others and tells else set()
    endpoint = replace(ENDPOINTS["mentions"], count=count)
    one = Round(source(cursor), NOW, endpoint=endpoint, reread=reread)
    done = go(one, Platform(list(numbers), gone, tells))
    wanted = {one for one in numbers if one > cursor} - gone
    assert not done.truncated
    if not done.backlog:
        assert wanted <= done.seen
        reached, ahead = done.settled()
        assert not ahead and max(cursor, *done.seen, 0) <= reached <= max(numbers)
    assert done.newest == max(done.seen, default=0)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=80, unique=True), st.integers(1, 5),
       st.integers(2, 4), st.integers(0, 9), st.integers(0, 1 << 30))  # fmt: skip
def test_rounds_that_break_off_anywhere_leave_no_hole(
    numbers: list[int], count: int, limit: int, grow: int, seed: int
) -> None:
    """Each round may stop after any page; new posts come in between. In the end all were read."""
    endpoint = replace(ENDPOINTS["mentions"], count=count)
    platform, seen, chance = Platform(numbers, set(), True), set[int](), random.Random(seed)
    now = source()
    for turn in range(1000):
        one = Round(now, NOW, endpoint=endpoint, limit=limit)
        more, stop = True, False
        while more and not stop:
            more, covers = one.take(platform.page(one.parameters()))
            stop = chance.random() < 0.2
            if stop and chance.random() < 0.5:
                break  # killed before this page was stored
            one.page_stored(0, covers)
            seen = seen | one.seen
        cursor, ahead = one.settled()
        assert all(number in seen for number in platform.numbers if number <= cursor)
        assert all(a <= b for a, b in ahead) and not one.truncated
        now = now.model_copy(update={"cursor": str(cursor or ""), "ahead": ahead})
        if turn < grow:
            platform.numbers = [max(platform.numbers) + 2, *platform.numbers]
        elif not more and not stop and not one.backlog:
            break
    assert set(platform.numbers) <= seen and not now.ahead
    assert now.cursor == str(max(platform.numbers))


def test_a_page_limit_leaves_a_hole_that_the_next_rounds_fill() -> None:
    step = 60 << 22  # a post a minute
    numbers = [FIRST + n * step for n in range(100)]
    platform = Platform(numbers, set(), True)
    before = source(numbers[10], last_ok_at=NOW - timedelta(hours=1))
    endpoint = replace(ENDPOINTS["mentions"], count=5)
    one = go(Round(before, NOW, endpoint=endpoint, limit=3), platform)
    assert one.backlog and not one.truncated and len(one.seen) == 15
    after = after_reading(before, NOW, one)
    assert after.cursor == str(numbers[10]) and after.ahead[0][1] == numbers[99]
    (gap,) = after.gaps
    assert gap.state == "behind" and gap.starts_at == weibo_id_time(str(numbers[10]))
    later = go(Round(after, NOW, endpoint=endpoint, limit=50), platform)
    healed = after_reading(after, NOW, later)
    assert (healed.cursor, healed.ahead) == (str(numbers[99]), ())
    assert healed.gaps[0].caught_up_at == NOW and set(numbers[11:]) <= one.seen | later.seen


def test_a_quick_round_goes_on_beyond_its_pages() -> None:
    platform = Platform([FIRST + n for n in range(100)], set(), True)
    endpoint = replace(ENDPOINTS["mentions"], count=5)
    for seconds, pages in ((0.0, 3), (60.0, 20)):
        one = Round(source(), NOW, endpoint=endpoint, limit=3, least_seconds=seconds)
        assert go(one, platform).pages == pages and one.backlog == (pages == 3)


def test_what_the_platform_cuts_off_is_told_with_a_number() -> None:
    """Only the newest are shown: the last stored post does not come along, so some are missing."""
    step = 60 << 22
    numbers = [FIRST + n * step for n in range(100)]
    before = source(numbers[10], last_ok_at=NOW - timedelta(hours=1))
    endpoint = replace(ENDPOINTS["mentions"], count=5)
    one = go(Round(before, NOW, endpoint=endpoint), Platform(numbers[70:], set(), True))
    assert one.truncated and one.missed is not None and 55 <= one.missed <= 65
    after = after_reading(before, NOW, one)
    (gap,) = after.gaps
    assert gap.state == "cut_off" and gap.missed == one.missed and "约" in gap.reason
    assert gap.starts_at == weibo_id_time(str(numbers[10]))
    assert gap.ends_at == weibo_id_time(str(numbers[70]))
    assert after.cursor == str(numbers[99]) and after.state == "ok"
    assert after_reading(after, NOW, Round(after, NOW, endpoint=endpoint)).gaps == after.gaps


def test_the_newest_that_a_platform_shows_at_most() -> None:
    endpoint = replace(ENDPOINTS["messages"], count=50, cap=200)
    one = Round(source(1), NOW, endpoint=endpoint)
    assert go(one, Platform(list(range(10, 210)), set(), True)).truncated
    short = Platform([1, *range(2, 150)], set(), True)
    assert not go(Round(source(1), NOW, endpoint=endpoint), short).truncated


def test_an_empty_page_where_a_stored_post_should_stand_is_noticed() -> None:
    endpoint = ENDPOINTS["mentions"]
    assert go(Round(source(FIRST), NOW, endpoint=endpoint), Platform([], set(), True)).empty
    assert not go(Round(source(0), NOW, endpoint=endpoint), Platform([], set(), True)).empty
    assert not go(
        Round(source(FIRST), NOW, endpoint=endpoint), Platform([FIRST], set(), True)
    ).empty


def test_a_platform_that_repeats_itself_is_no_end() -> None:
    one = Round(source(FIRST), NOW, endpoint=ENDPOINTS["mentions"])
    page = Page(({"idstr": str(FIRST + 9)},), FIRST + 5)
    assert one.take(page)[0]
    assert not one.take(page)[0] and isinstance(one.error, LayoutChanged)


def test_failure_opens_one_gap_and_success_ends_it() -> None:
    before = source(5, last_ok_at=NOW - timedelta(hours=1))
    error = LoginExpired("授权已失效", "重新授权")
    failed = after_failure(after_failure(before, NOW, error), NOW, error)
    assert (failed.state, failed.cursor, len(failed.gaps)) == ("login_expired", "5", 1)
    assert failed.gaps[0].starts_at == before.last_ok_at and failed.gaps[0].ends_at is None
    healed = after_success(failed, NOW, oldest=NOW)
    assert (healed.state, healed.cursor, healed.gaps[0].ends_at) == ("ok", "5", NOW)
    assert healed.gaps[0].caught_up_at == NOW
    assert after_success(healed, NOW, oldest=NOW) is healed  # no write
    other = after_failure(failed, NOW, SourceBlocked("挡住了"))
    assert [gap.state for gap in other.gaps] == ["login_expired", "blocked"]
    assert other.gaps[0].ends_at == other.gaps[1].starts_at == NOW


def test_a_silence_is_one_gap_however_often_it_is_read() -> None:
    hours: tuple[tuple[int, int], ...] = ()
    for hour in range(6 * 24):
        hours = add_hour(hours, NOW - timedelta(days=6) + timedelta(hours=hour), 30)
    for hour in range(4):  # nobody writes, hour after hour
        hours = add_hour(hours, NOW + timedelta(hours=hour), 0)
    one = source(5, last_ok_at=NOW, hours=hours, state="ok")
    began = NOW + timedelta(hours=4)
    for minute in range(0, 90, 5):
        at = began + timedelta(minutes=minute)
        one = after_success(one, at, oldest=at)
        assert one.state == "silent" and one.state_since == began
        (gap,) = one.gaps
        assert (gap.state, gap.starts_at, gap.ends_at) == ("silent", NOW, None)
    assert lasting(one, began + timedelta(minutes=61)) is HEALTH["silent"]
    failed = after_failure(one, at, LoginExpired("授权已失效", "重新授权"))
    assert [(gap.state, gap.ends_at is None) for gap in failed.gaps] == [
        ("silent", False), ("login_expired", True),
    ]  # fmt: skip
    loud = one.model_copy(update={"hours": hours[:-4]})
    healed = after_success(loud, at + timedelta(minutes=5), oldest=at, fresh=3)
    assert healed.state == "ok" and healed.gaps[0].ends_at == at + timedelta(minutes=5)


def test_gaps_that_were_not_caught_up_are_never_dropped() -> None:
    def gap(hour: int, done: bool) -> Gap:
        start = NOW + timedelta(hours=hour)
        return Gap(starts_at=start, ends_at=start + timedelta(minutes=5), reason="x", missed=1,
                   caught_up_at=NOW if done else None)  # fmt: skip

    gaps = kept(tuple(gap(hour, hour % 2 == 0) for hour in range(600)))
    assert len(gaps) == 200 and all(one.caught_up_at is None for one in gaps)
    assert gaps[0].starts_at == NOW + timedelta(hours=1)
    assert sum(one.missed or 0 for one in gaps) == 300


@pytest.mark.parametrize(
    ("code", "kind"),
    [(21327, LoginExpired), ("21332", LoginExpired), ("10006", LoginExpired),
     (10023, QuotaExceeded), ("10022", QuotaExceeded), (10009, TryAgain), (10014, SourceRefused),
     (21335, SourceRefused), (20033, SourceBlocked), (20003, SourceRefused), ("x", TryAgain)],
)  # fmt: skip
def test_error_codes(code: object, kind: type[CollectError]) -> None:
    error = api_error(code, NOW)
    assert type(error) is kind and error.mend
    if isinstance(error, QuotaExceeded):
        assert error.until == datetime(2026, 3, 5, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [(b"<html>", 500, TryAgain), (b'{"statuses": [{"id"', 200, TryAgain), (b"", 200, TryAgain),
     (b"{}", 200, LayoutChanged), (b'{"data": {"list": []}}', 200, LayoutChanged),
     (b'{"statuses": [{"card": 1}]}', 200, LayoutChanged), (b"", 418, SourceBlocked),
     ("<html>请输入验证码</html>".encode(), 200, SourceBlocked), (b"", 302, SourceBlocked),
     (b"<html><p>hello</p></html>", 200, LayoutChanged), (b"<html><p>hel", 200, TryAgain),
     (b"null", 200, TryAgain), (b"<html>", 403, SourceRefused),
     (b"{}", 429, QuotaExceeded), (b'{"error_code": "21327"}', 200, LoginExpired)],
)  # fmt: skip
def test_answers_that_are_no_page(body: bytes, status: int, kind: type[CollectError]) -> None:
    with pytest.raises(kind):
        read_page(body, status, "statuses", NOW)


def test_an_answer_in_another_charset_than_it_says() -> None:
    text = '{"statuses": [{"idstr": "4607741009594608", "text": "路灯坏了三天没人修，请看看"}]}'
    page = read_page(text.encode("gb18030"), 200, "statuses", NOW)
    assert page.items[0]["text"] == "路灯坏了三天没人修，请看看"
    broken = text.encode()[:-20] + b"\xff" + text.encode()[-19:]
    with pytest.raises(TryAgain):
        read_page(broken, 200, "statuses", NOW)


def test_empty_pages() -> None:
    assert read_page(b"[]", 200, "statuses", NOW) == Page((), 0)
    assert read_page(b'{"statuses": [], "next_cursor": 0}', 200, "statuses", NOW) == Page((), 0)
    assert read_page(b'{"statuses": []}', 200, "statuses", NOW) == Page((), None)
