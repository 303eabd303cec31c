"""How far a round has come, and what stays visible when it did not come far enough."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler import rounds
from crawler.rounds import Round
from crawler.sources import after_failure, after_success
from crawler.values import weibo_id_time
from crawler.weibo_api import (
    ENDPOINTS,
    Page,
    TryAgain,
    api_error,
    id_of_time,
    read_page,
)
from huiyin.errors import CollectError, LoginExpired, QuotaExceeded, SourceRefused
from huiyin.records import Source

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
    while one.take(platform.page(one.parameters())):
        assert one.pages <= rounds.MAX_PAGES
    return one


@given(
    st.sets(st.integers(FIRST, FIRST + 400), max_size=60),
    st.integers(0, 400),
    st.integers(2, 9),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_everything_above_the_cursor_is_read(
    numbers: set[int], at: int, count: int, reread: bool, tells: bool, data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(numbers)))) if numbers and tells else set()
    cursor = FIRST + at
    endpoint = replace(ENDPOINTS["mentions"], count=count)
    done = go(
        Round(source(cursor), endpoint, NOW, reread=reread), Platform(list(numbers), gone, tells)
    )
    wanted = {one for one in numbers if one > cursor} - gone
    if not done.truncated:
        assert wanted <= done.seen
    if len(numbers) / count < rounds.MAX_PAGES - 1:
        assert not done.truncated
    assert done.newest == max(done.seen, default=0)


def test_a_page_limit_before_the_cursor_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "MAX_PAGES", 3)
    step = 60 << 22  # a post a minute
    numbers = [FIRST + n * step for n in range(100)]
    one = Round(source(numbers[10], last_ok_at=NOW), replace(ENDPOINTS["mentions"], count=5), NOW)
    go(one, Platform(numbers, set(), True))
    assert one.truncated and len(one.seen) == 15
    after = after_success(
        one.source, NOW, newest=one.newest, oldest=one.oldest_time(), truncated=True
    )
    (gap,) = after.gaps
    assert gap.starts_at == weibo_id_time(str(numbers[10]))
    assert gap.ends_at == weibo_id_time(str(numbers[85]))
    assert after.cursor == str(numbers[99]) and after.state == "ok"


def test_the_newest_that_a_platform_shows_at_most() -> None:
    endpoint = replace(ENDPOINTS["messages"], count=50, cap=200)
    one = Round(source(1), endpoint, NOW)
    assert go(one, Platform(list(range(2, 202)), set(), True)).truncated
    assert not go(
        Round(source(1), endpoint, NOW), Platform(list(range(2, 150)), set(), True)
    ).truncated


def test_failure_opens_one_gap_and_success_ends_it() -> None:
    before = source(5, last_ok_at=NOW - timedelta(hours=1))
    error = LoginExpired("授权已失效", "重新授权")
    failed = after_failure(after_failure(before, NOW, error), NOW, error)
    assert (failed.state, failed.cursor, len(failed.gaps)) == ("login_expired", "5", 1)
    assert failed.gaps[0].starts_at == before.last_ok_at and failed.gaps[0].ends_at is None
    healed = after_success(failed, NOW, newest=9, oldest=NOW, truncated=False)
    assert (healed.state, healed.cursor, healed.gaps[0].ends_at) == ("ok", "9", NOW)
    assert after_success(healed, NOW, newest=0, oldest=NOW, truncated=False) is healed  # no write


@pytest.mark.parametrize(
    ("code", "kind"),
    [(21327, LoginExpired), ("21332", LoginExpired), ("10006", LoginExpired),
     (10023, QuotaExceeded), ("10022", QuotaExceeded), (10009, TryAgain), (10014, SourceRefused),
     (21335, SourceRefused), (20003, SourceRefused), ("x", TryAgain)],
)  # fmt: skip
def test_error_codes(code: object, kind: type[CollectError]) -> None:
    error = api_error(code, NOW)
    assert type(error) is kind and error.mend
    if isinstance(error, QuotaExceeded):
        assert error.until == datetime(2026, 3, 5, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [(b"<html>", 500, TryAgain), (b'{"statuses": [{"id"', 200, TryAgain), (b"", 200, TryAgain),
     (b"{}", 200, TryAgain), (b"null", 200, TryAgain), (b"<html>", 403, SourceRefused),
     (b"{}", 429, QuotaExceeded), (b'{"error_code": "21327"}', 200, LoginExpired)],
)  # fmt: skip
def test_answers_that_are_no_page(body: bytes, status: int, kind: type[CollectError]) -> None:
    with pytest.raises(kind):
        read_page(body, status, "statuses", NOW)


def test_empty_pages() -> None:
    assert read_page(b"[]", 200, "statuses", NOW) == Page((), 0)
    assert read_page(b'{"statuses": [], "next_cursor": 0}', 200, "statuses", NOW) == Page((), 0)
    assert read_page(b'{"statuses": []}', 200, "statuses", NOW) == Page((), None)
