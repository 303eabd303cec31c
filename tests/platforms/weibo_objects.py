"""Objects of Weibo's interface for tests, their numbers and times; nothing from crawler/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

CHINA = timezone(timedelta(hours=8))
EPOCH = 515_483_463


def number_at(at: datetime, n: int = 0) -> int:
    """A post number of this time; the time can be read from it, as from real ones."""
    return (int(at.timestamp()) - EPOCH << 22) + n


def time_of(number: int) -> datetime:
    return datetime.fromtimestamp((number >> 22) + EPOCH, UTC)


def spread(posts: int, minutes: float, until: datetime | None = None) -> list[int]:
    """Numbers of posts spread evenly over the minutes before `until` (default: now)."""
    end = until or datetime.now(UTC)
    step = timedelta(minutes=minutes) / max(1, posts)
    return sorted({number_at(end - step * (n + 1), n) for n in range(posts)})


def error(status: int, code: int | str, words: str, path: str) -> tuple[int, bytes]:
    return status, json.dumps({"request": path, "error_code": code, "error": words}).encode()


STATUS: dict[str, Any] = {
    "created_at": "", "id": 0, "idstr": "", "mid": "",
    "text": "路灯坏了三天没人修 @云渡发布 请看看",
    "source": '<a href="http://weibo.com" rel="nofollow">微博</a>', "truncated": False,
    "isLongText": False, "reposts_count": 3, "comments_count": 2, "attitudes_count": 1,
    "pic_urls": [], "user": {
        "id": 5550001, "idstr": "5550001", "screen_name": "普通人甲乙丙", "name": "普通人甲乙丙",
        "location": "河南 郑州", "verified": False, "verified_type": -1, "followers_count": 12,
    },
}  # fmt: skip
COMMENTED = json.dumps(
    {**STATUS, "id": 4607741009594608, "idstr": "4607741009594608", "mid": "4607741009594608",
     "created_at": "Tue Feb 23 12:28:47 +0800 2021", "text": "今日停水通知"},
    ensure_ascii=False,
).encode()  # fmt: skip


def template(status: Mapping[str, Any]) -> tuple[bytes, ...]:
    """An object with holes for its number (`#`) and time (`@`); all else stays as it was sent."""
    same = {name: value for name, value in status.items() if name != "retweeted_status"}
    same |= {"id": "\0#I\0", "idstr": "\0#\0", "mid": "\0#\0", "created_at": "\0@\0"}
    text = json.dumps(same, ensure_ascii=False)
    text = text.replace('"\\u0000#I\\u0000"', "\x00#").replace("\\u0000#\\u0000", "\x00#")
    return tuple(part.encode() for part in text.replace("\\u0000@\\u0000", "\x00@").split("\x00"))


def recorded(folder: Path) -> list[tuple[bytes, ...]]:
    """Templates of all recorded posts in a folder of payloads."""
    found = []
    for file in sorted(folder.glob("official_*.json")):
        found += json.loads(file.read_text(encoding="utf-8"))["statuses"]
    return [template(one) for one in found]
