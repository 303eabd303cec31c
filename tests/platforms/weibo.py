"""Weibo's official interface for tests: its endpoint forms around payloads, good days and bad.

Imports nothing from crawler/. Forms: open.weibo.com wiki. Objects are real ones where a folder of
recorded payloads is given (only number and time are set anew), else made-up ones of that form.
As a process of its own: `python -m tests.platforms.weibo '{"posts": 1000}'` prints its port.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.platforms.weibo_http import running
from tests.platforms.weibo_objects import (
    CHINA,
    COMMENTED,
    EPOCH,
    STATUS,
    error,
    number_at,
    recorded,
    spread,
    template,
    time_of,
)

__all__ = ["STATUS", "Platform", "number_at", "running", "spread", "template"]

STATUS_LISTS = {
    "/2/statuses/mentions.json": "mentions",
    "/2/statuses/mentions/biz.json": "mentions",
    "/2/statuses/mentions/other.json": "mentions",
    "/2/statuses/user_timeline.json": "timeline",
    "/2/statuses/user_timeline/other.json": "timeline",
    "/2/search/topics.json": "topic",
}
COMMENT_LISTS = {
    "/2/comments/to_me.json": "comments_to_me",
    "/2/comments/to_me/biz.json": "comments_to_me",
    "/2/comments/mentions.json": "comments_mentions",
    "/2/comments/mentions/biz.json": "comments_mentions",
    "/2/comments/mentions/other.json": "comments_mentions",
}
FAULTS = ("http500", "http502", "busy", "truncated", "cut", "slow", "gb18030")


@dataclass
class Platform:
    """What the platform holds, how it behaves, what it was asked. May be changed while it runs."""

    lists: dict[str, list[int]] = field(default_factory=dict)
    """Numbers in ascending order: mentions, timeline, comments_to_me, comments_mentions, topic,
    search, comments:<post number>."""
    tokens: set[str] = field(default_factory=lambda: {"token-1"})
    templates: list[tuple[bytes, ...]] = field(default_factory=list)
    grow: int = 0
    """New posts on every list after each answer: what is read shifts."""
    repeat: int = 0
    """Objects of the page before that come again on the next one."""
    hidden: set[int] = field(default_factory=set)
    """Left out after the page was counted: short and even empty pages."""
    gone: set[int] = field(default_factory=set)
    """Deleted: left out, and 20101 when asked for."""
    long: set[int] = field(default_factory=set)
    """Shown cut short in lists."""
    keeps_whole: bool = False
    """Applications are not given whole texts: a long post is cut short wherever it is shown."""
    counts: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """Reposts, comments, likes; without it 3, 2, 1 (made-up objects)."""
    counts_gone: bool = False
    """statuses/count has rows of zeros for the gone."""
    edited: dict[int, str] = field(default_factory=dict)
    """Newer texts (made-up objects)."""
    cap: int = 0
    """Only so many of the newest are shown."""
    pages: int = 50
    """Lists read by page number end there."""
    most: int = 200
    fault_rate: float = 0.0
    faults: tuple[str, ...] = FAULTS
    redirect: str = ""
    """Where every answer sends the reader instead."""
    matches: bool = False
    """The search brings only posts that hold all words of `q`."""
    padding: int = 0
    """So many bytes of blanks before every answer."""
    mode: str = "good"
    """good, expired, empty_list, empty_object, layout, captcha, denied, http418, http429, ..."""
    expire_after: int = 0
    """Tokens die after so many calls."""
    limit: int = 0
    """Calls a token and window; 0 = none. Counted from the start of the window."""
    window_seconds: int = 86400
    tells_limit: bool = True
    recorded: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """(path, max_id or page, else "") -> an answer as it was recorded, given unchanged."""
    delay: float = 0.0
    hides_future: bool = False
    """A list made beforehand is shown as its times come."""
    regions: tuple[int, ...] = (11, 31, 41, 44)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    seed: int = 1
    calls: Counter[str] = field(default_factory=Counter)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    faulty: int = 0
    refused: int = 0
    """Calls beyond the limit."""
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.templates = self.templates or [template(STATUS)]
        self.used: Counter[tuple[str, int]] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, name: str, count: int = 1, at: datetime | None = None) -> list[int]:
        """Somebody posts on a list, now."""
        made = []
        with self.lock:
            numbers = self.lists.setdefault(name, [])
            for _ in range(count):
                number = number_at(at or self.clock(), self.random.randrange(1, 1 << 20))
                if at is None and numbers:
                    number = max(number, numbers[-1] + 1)
                insort(numbers, number)
                made.append(number)
        return made

    def everything(self) -> set[int]:
        """All numbers that a reader can get."""
        return {one for numbers in self.lists.values() for one in numbers} - self.gone - self.hidden

    # ------------------------------------------------------------ answers

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body."""
        token = query.get("access_token", "")
        if path == "/2/account/rate_limit_status.json":
            return self._limits(token)
        if not token:
            return error(400, 10006, "source paramter(appkey) is missing", path)
        dead = self.expire_after and sum(self.calls.values()) > self.expire_after
        if token not in self.tokens or self.mode == "expired" or dead:
            return error(403, 21327, "expired_token", path)
        if self.limit and not self._spend(token):
            self.refused += 1
            return error(403, "10023", "User requests out of rate limit!", path)
        if (bad := self._bad_day(path)) is not None:
            return bad
        place = (path, query.get("max_id") or query.get("page") or "")
        if place in self.recorded:
            return 200, self.recorded[place]
        if path == "/2/statuses/show.json" or path.startswith("/2/comments/show_batch"):
            return self._single(path, query)
        if path == "/2/statuses/count.json":
            return self._count(query)
        if path == "/2/statuses/show_batch/biz.json":
            return self._batch(query)
        if path == "/2/search/statuses/limited.json":
            return self._search(query)
        if path == "/2/comments/show.json":
            return self._list(f"comments:{query.get('id', '')}", "comments", query)
        if path in STATUS_LISTS:
            return self._list(STATUS_LISTS[path], "statuses", query)
        if path in COMMENT_LISTS:
            return self._list(COMMENT_LISTS[path], "comments", query)
        return error(404, 10020, "request api not found!", path)

    def _bad_day(self, path: str) -> tuple[int, bytes] | None:
        if self.mode == "empty_list":
            return 200, b"[]"
        if self.mode == "empty_object":
            key = "comments" if "comments" in path else "statuses"
            return 200, json.dumps({key: []}).encode()
        if self.mode == "layout":
            return 200, json.dumps({"data": {"list": [{"card": 1}]}, "ok": 1}).encode()
        if self.mode == "captcha":
            page = "<html><head><title>验证码</title></head><body>请输入验证码</body></html>"
            return 200, page.encode()
        if self.mode.startswith("http"):
            return int(self.mode[4:]), b"<html><body>I am not for robots</body></html>"
        if self.mode == "denied":
            return error(403, 10014, "Insufficient app permissions!", path)
        return None

    def _window(self) -> tuple[int, float]:
        now = self.clock().timestamp()
        return int(now // self.window_seconds), self.window_seconds - now % self.window_seconds

    def _spend(self, token: str) -> bool:
        window, _ = self._window()
        with self.lock:
            if self.used[token, window] >= self.limit:
                return False
            self.used[token, window] += 1
        return True

    def _limits(self, token: str) -> tuple[int, bytes]:
        if not self.limit or not self.tells_limit:
            return error(404, 10020, "request api not found!", "")
        window, left = self._window()
        unit = "DAYS" if self.window_seconds == 86400 else "HOURS"
        body = {
            "ip_limit": 1_000_000, "limit_time_unit": unit, "remaining_ip_hits": 1_000_000,
            "remaining_user_hits": self.limit - self.used[token, window],
            "user_limit": self.limit, "reset_time_in_seconds": int(left) + 1,
        }  # fmt: skip
        return 200, json.dumps(body).encode()

    def _list(self, name: str, key: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        with self.lock:
            numbers = self.lists.get(name, [])
            if not numbers:
                return 200, b"[]"
            if self.hides_future:
                numbers = numbers[: bisect_right(numbers, number_at(self.clock()))]
            shown = numbers[-self.cap :] if self.cap else numbers
            count = max(1, min(int(query.get("count", 20)), self.most))
            if "page" in query:
                page = int(query["page"])
                end = len(shown) - (page - 1) * count
                wanted = shown[max(0, end - count) : max(0, end)] if page <= self.pages else []
                cursor: int | None = None
            else:
                since, upto = int(query.get("since_id", 0)), int(query.get("max_id", 0))
                first = bisect_right(shown, since)
                last = bisect_right(shown, upto) if upto else len(shown)
                start = max(first, last - count)
                wanted = shown[start : min(last + (self.repeat if upto else 0), len(shown))]
                cursor = shown[start - 1] if start > first else 0
            under = int(name.partition(":")[2] or 0)
            body = self._body(key, list(reversed(wanted)), cursor, len(shown), under)
        if self.grow and name != "search":
            self.post(name, self.grow)
        return 200, body

    def _body(
        self, key: str, numbers: list[int], cursor: int | None, total: int, under: int = 0
    ) -> bytes:
        left_out = self.hidden | self.gone
        objects = b", ".join(
            self.render(one, key, under=under) for one in numbers if one not in left_out
        )
        more = "" if cursor is None else f'"previous_cursor": 0, "next_cursor": {cursor}, '
        head = f'{{"{key}": ['.encode()
        return head + objects + f'], {more}"hasvisible": false, "total_number": {total}}}'.encode()

    def _search(self, query: Mapping[str, str]) -> tuple[int, bytes]:
        start, stop = int(query.get("starttime", 0)), int(query.get("endtime", 1 << 33))
        count, page = min(int(query.get("count", 10)), 50), int(query.get("page", 1))
        numbers = self.lists.get("search", [])
        first = bisect_left(numbers, max(0, start - EPOCH) << 22)
        last = bisect_left(numbers, max(0, stop - EPOCH) << 22)
        found = numbers[first:last]
        if self.matches:
            words = [one.encode() for one in query.get("q", "").split()]
            found = [one for one in found
                     if all(word in self.render(one, "statuses") for word in words)]  # fmt: skip
        if "province" in query:
            found = [one for one in found if self.region(one) == int(query["province"])]
        end = len(found) - (page - 1) * count
        wanted = found[max(0, end - count) : max(0, end)] if page <= self.pages else []
        return 200, self._body("statuses", list(reversed(wanted)), None, len(found))

    def region(self, number: int) -> int:
        return self.regions[number % len(self.regions)]

    def _is_there(self, number: int) -> bool:
        known = any(_has(numbers, number) for numbers in self.lists.values())
        return known and number not in self.gone

    def _single(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        if "show_batch" in path:
            asked = [int(one) for one in query.get("cids", "").split(",") if one]
            assert len(asked) <= 50
            found = [self.render(one, "comments") for one in asked if self._is_there(one)]
            return 200, b"[" + b", ".join(found) + b"]"
        number = int(query.get("id") or 0)
        if not self._is_there(number):
            return error(400, 20101, "target weibo does not exist!", path)
        return 200, self.render(number, "statuses", whole=not self.keeps_whole)

    def _count(self, query: Mapping[str, str]) -> tuple[int, bytes]:
        """The gone are left out, or have nothing (`counts_gone`): the documents do not say."""
        rows = []
        asked = [int(one) for one in query.get("ids", "").split(",") if one]
        assert len(asked) <= 100
        for number in asked:
            there = self._is_there(number)
            if there or self.counts_gone:
                reposts, comments, likes = self.counts.get(number, (3, 2, 1)) if there else (0,) * 3
                rows.append({"id": number, "comments": comments, "reposts": reposts,
                             "attitudes": likes})  # fmt: skip
        return 200, json.dumps(rows).encode()

    def _batch(self, query: Mapping[str, str]) -> tuple[int, bytes]:
        """Whole posts on the commercial host; of the gone only number and notice."""
        rows = []
        asked = [int(one) for one in query.get("ids", "").split(",") if one]
        assert len(asked) <= 50
        for number in asked:
            if self._is_there(number):
                rows.append(self.render(number, "statuses", whole=True))
            else:
                notice = {"id": number, "text": "此微博已被原作者删除。", "created_at": ""}
                rows.append(json.dumps(notice, ensure_ascii=False).encode())
        return 200, b'{"statuses": [' + b", ".join(rows) + b"]}"

    def render(self, number: int, key: str, *, whole: bool = False, under: int = 0) -> bytes:
        """An object as the platform sends it; comments carry the post they stand `under`."""
        parts = self.templates[number % len(self.templates)]
        when = time_of(number).astimezone(CHINA).strftime("%a %b %d %H:%M:%S %z %Y")
        name = str(number).encode()
        body = parts[0]
        for part in parts[1:]:
            slot, rest = part[:1], part[1:]
            body += (name if slot == b"#" else when.encode()) + rest
        if counted := self.counts.get(number):
            fields = ("reposts", "comments", "attitudes")
            for one, old, new in zip(fields, (3, 2, 1), counted, strict=True):
                was, now = (f'"{one}_count": {value}'.encode() for value in (old, new))
                body = body.replace(was, now)
        if edited := self.edited.get(number):
            said = json.dumps(STATUS["text"], ensure_ascii=False).encode()
            body = body.replace(said, json.dumps(edited, ensure_ascii=False).encode())
        if number in self.long:
            cut = b'"isLongText": true, '
            text = "正文的后半段在这里。".encode()
            if whole:
                cut += b'"longText": {"longTextContent": "' + text + b'"}, '
            body = b"{" + cut + body[1:].replace(b'"isLongText": false, ', b"")
        if key == "comments" and b'"status"' not in body:
            status = self.render(under, "statuses") if under else COMMENTED
            body = body[:-1] + b', "status": ' + status + b"}"
        return body

    def disturb(self) -> str:
        """The fault of this answer, empty for none."""
        with self.lock:
            if self.random.random() >= self.fault_rate:
                return ""
            self.faulty += 1
            return self.random.choice(self.faults)


def _has(numbers: list[int], number: int) -> bool:
    place = bisect_left(numbers, number)
    return place < len(numbers) and numbers[place] == number


def main(said: str) -> None:
    """Serve until killed. Options: posts, minutes, payloads (folder), and fields of `Platform`."""
    options = json.loads(said)
    posts, minutes = options.pop("posts", 0), options.pop("minutes", 60 * 24)
    payloads, live = options.pop("payloads", ""), options.pop("live_every", 0.0)
    platform = Platform(templates=recorded(Path(payloads)) if payloads else [])
    for name, value in options.items():
        if name == "day":
            continue
        setattr(platform, name, tuple(value) if isinstance(value, list) else value)
    platform.lists["mentions"] = spread(posts, minutes)
    if day := options.pop("day", None):
        _play_a_day(platform, **day)
    with running(platform):
        print(platform.port, flush=True)
        while True:
            if live:
                time.sleep(live)
                platform.post("mentions")
            else:
                time.sleep(3600)


def _play_a_day(
    platform: Platform, start: str, origin: float, speed: float, lists: Mapping[str, int]
) -> None:
    """Lists of so many posts a day, most by day; the clock runs `speed` times as fast."""
    first = datetime.fromisoformat(start)
    platform.clock = lambda: first + timedelta(seconds=(time.time() - origin) * speed)
    platform.hides_future = True
    for name, count in lists.items():
        hours = platform.random.choices(range(24), [1] * 7 + [4] * 16 + [1], k=count)
        times = [first + timedelta(hours=one, seconds=platform.random.random() * 3600)
                 for one in hours]  # fmt: skip
        made = {number_at(at, n) for n, at in enumerate(times)}
        platform.lists[name] = sorted(made | {number_at(first - timedelta(hours=1))})


if __name__ == "__main__":
    main(sys.argv[1])
