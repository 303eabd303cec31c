from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.values import (
    bid_to_mid,
    mid_to_bid,
    parse_count,
    parse_time,
    plain_text,
    weibo_id_time,
    weibo_number,
)

AS_OF = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)  # 10:00 in China


@pytest.mark.parametrize(
    ("text", "expected", "exact"),
    [
        ("2021-07-20T17:50:15+08:00", "2021-07-20T09:50:15", True),
        ("2021-07-20 17:50:15", "2021-07-20T09:50:15", True),
        ("2021-07-20T17:50:15Z", "2021-07-20T17:50:15", True),
        ("2020/11/23 10:35", "2020-11-23T02:35:00", False),
        ("2020-1-2", "2020-01-01T16:00:00", False),
        ("2013年3月5日 8:01", "2013-03-05T00:01:00", False),
        ("Fri Jan 24 13:23:19 +0800 2020", "2020-01-24T05:23:19", True),
        (1700000000, "2023-11-14T22:13:20", True),
        ("1700000000", "2023-11-14T22:13:20", True),
        ("1700000000000", "2023-11-14T22:13:20", True),
        ("刚刚", "2026-01-01T02:00:00", False),
        ("5分钟前", "2026-01-01T01:55:00", False),
        ("3小时前 来自 iPhone", "2025-12-31T23:00:00", False),
        ("今天 08:01", "2026-01-01T00:01:00", False),
        ("昨天 23:59", "2025-12-31T15:59:00", False),
        ("12月31日 23:00", "2025-12-31T15:00:00", False),
        ("03-05 10:11", "2025-03-05T02:11:00", False),
    ],
)
def test_times(text: object, expected: str, exact: bool) -> None:
    assert parse_time(text, AS_OF) == (datetime.fromisoformat(expected).replace(tzinfo=UTC), exact)


@pytest.mark.parametrize("text", ["", "  ", None, "不知道", "2020-13-40 10:00", True, "5e400", -1])
def test_no_time(text: object) -> None:
    with pytest.raises(ValueError):
        parse_time(text, AS_OF)


def test_relative_times_need_the_time_of_export() -> None:
    with pytest.raises(ValueError, match="--as-of"):
        parse_time("5分钟前", None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1.2万", 12000), ("3", 3), (" 7\t", 7), ("1,234", 1234), ("100万+", 1_000_000),
     ("2亿", 2 * 10**8), ("3千", 3000),
     (5, 5), ("10w", 100_000), ("0", 0), ("", None), ("转发", None), (None, None), (-1, None),
     (float("nan"), None), (True, None), ("None", None), ("9" * 40, None)],
)  # fmt: skip
def test_counts(value: object, expected: int | None) -> None:
    assert parse_count(value) == expected


def test_known_pairs_of_number_and_letters() -> None:
    assert bid_to_mid("K3fnuEfZK") == "4607741009594608"
    assert mid_to_bid("5000000000000001") == "O00000001"


@given(st.integers(10**14, 10**17))
def test_number_and_letters_are_the_same(number: int) -> None:
    assert bid_to_mid(mid_to_bid(str(number))) == str(number)


@given(st.integers(0, 2**28), st.integers(0, 2**22 - 1))
def test_time_inside_a_number(seconds: int, rest: int) -> None:
    number = ((seconds + 800_000_000) << 22) + rest
    at = weibo_id_time(str(number))
    assert at == datetime.fromtimestamp(515_483_463 + 800_000_000 + seconds, UTC)


def test_numbers_that_are_none() -> None:
    assert weibo_number("4607741009594608\t") == "4607741009594608"
    assert weibo_number(" K3fnuEfZK ") == "4607741009594608"
    for wrong in ("", None, "id", "4.60774E+15", "无", "K3fnu EfZK", "zzzzzzzzzzzzzzzz"):
        with pytest.raises(ValueError):
            weibo_number(wrong)
    assert weibo_id_time("12345") is None


def test_text_of_mobile_pages() -> None:
    text = plain_text(
        "//<a href='/n/张三'>@张三</a>:好<br />下 &lt;3<span class=\"url-icon\">"
        '<img alt=[微笑] src="x" style="w" /></span> 1<2'
    )
    assert text == "//@张三:好\n下 <3[微笑] 1<2"


def test_real_numbers_hold_their_times(real_data) -> None:  # type: ignore[no-untyped-def]
    import json

    for file in sorted((real_data / "payloads").glob("official_timeline_*.json")):
        for status in json.loads(file.read_text(encoding="utf-8"))["statuses"]:
            told, _ = parse_time(status["created_at"], None)
            found = weibo_id_time(status["idstr"])
            assert found is not None and abs(found - told) <= timedelta(seconds=2)
