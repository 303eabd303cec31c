"""Which index of posts an id belongs to: by a time that is fixed at first sight."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from huiyin.records import Post

Granularity = Literal["year", "month"]

# as crawler/values.py reads them: seconds since this moment stand above the lowest 22 bits
_EPOCH_OF_IDS = 515_483_463
_FIRST = 10**15
_LAST = 10**17
_LIKELY_YEARS = range(2009, 2100)


@lru_cache(maxsize=32_768)  # a bulk write asks four times for each id
def fixed_month(post_id: str) -> str | None:
    """The month of the time that an id encodes, as `month` gives it; None when it encodes none."""
    at = fixed_time(post_id)
    return None if at is None else month(at)


def fixed_time(post_id: str) -> datetime | None:
    """The time that an id encodes; None when it encodes none, so that the id must be looked up."""
    platform, _, number = post_id.partition(":")
    if platform != "weibo" or not (number.isascii() and number.isdigit()) or number[0] == "0":
        return None
    value = int(number)
    if not _FIRST <= value < _LAST:
        return None
    at = datetime.fromtimestamp((value >> 22) + _EPOCH_OF_IDS, UTC)
    return at if at.year in _LIKELY_YEARS else None


def place_of(post: Post) -> str:
    """The month that decides where a new post lies, `2026-07` in UTC."""
    return fixed_month(post.id) or month(post.created_at)


def month(at: datetime) -> str:
    """`2026-07` in UTC."""
    utc = at.astimezone(UTC)
    return f"{utc.year:04d}-{utc.month:02d}"


def suffix(place: str, granularity: Granularity) -> str:
    """The part of an index's name that a month gives: `2026` or `2026-07`."""
    return place if granularity == "month" else place[:4]
