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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

CHINA = timezone(timedelta(hours=8))
EPOCH = 515_483_463
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


def number_at(at: datetime, n: int = 0) -> int:
    """A post number of this time; the time can be read from it, as from real ones."""
    return (int(at.timestamp()) - EPOCH << 22) + n


def time_of(number: int) -> datetime:
    return datetime.fromtimestamp((number >> 22) + EPOCH, UTC)


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
    cap: int = 0
    """Only so many of the newest are shown."""
    pages: int = 50
    """Lists read by page number end there."""
    most: int = 200
    fault_rate: float = 0.0
    faults: tuple[str, ...] = FAULTS
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
        if path in ("/2/statuses/show.json", "/2/comments/show_batch.json"):
            return self._single(path, query)
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
        if "province" in query:
            found = [one for one in found if self.region(one) == int(query["province"])]
        end = len(found) - (page - 1) * count
        wanted = found[max(0, end - count) : max(0, end)] if page <= self.pages else []
        return 200, self._body("statuses", list(reversed(wanted)), None, len(found))

    def region(self, number: int) -> int:
        return self.regions[number % len(self.regions)]

    def _single(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        number = int(query.get("id") or query.get("cids") or 0)
        known = any(_has(numbers, number) for numbers in self.lists.values())
        batch = path.endswith("show_batch.json")
        if not known or number in self.gone:
            if batch:
                return 200, b"[]"
            return error(400, 20101, "target weibo does not exist!", path)
        body = self.render(number, "comments" if batch else "statuses", whole=True)
        return 200, b"[" + body + b"]" if batch else body

    def render(self, number: int, key: str, *, whole: bool = False, under: int = 0) -> bytes:
        """An object as the platform sends it; comments carry the post they stand `under`."""
        parts = self.templates[number % len(self.templates)]
        when = time_of(number).astimezone(CHINA).strftime("%a %b %d %H:%M:%S %z %Y")
        name = str(number).encode()
        body = parts[0]
        for part in parts[1:]:
            slot, rest = part[:1], part[1:]
            body += (name if slot == b"#" else when.encode()) + rest
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


# ---------------------------------------------------------------- over HTTP


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    timeout = 60
    platform: Platform

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        one, url = self.platform, urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if url.path == "/_posts":  # for tests in another process
            self._send(200, json.dumps(sorted(one.everything())).encode())
            return
        if url.path == "/_calls":
            self._send(200, json.dumps({"calls": one.calls, "refused": one.refused}).encode())
            return
        one.calls[url.path] += 1
        one.asked.append((url.path, {k: v for k, v in query.items() if k != "access_token"}))
        if one.delay:
            time.sleep(one.delay)
        fault = one.disturb()
        if fault in ("http500", "http502"):
            self._send(int(fault[4:]), b"<html><body>Bad Gateway</body></html>", "text/html")
            return
        if fault == "busy":
            self._send(*error(503, 10009, "Too many pending tasks, system is busy!", url.path))
            return
        status, body = one.answer(url.path, query)
        if fault == "gb18030":
            body = body.decode().encode("gb18030")
        if fault == "slow":
            time.sleep(0.3)
        if fault == "truncated":
            body = body[: len(body) * 2 // 3]
        self._send(status, body, cut=fault == "cut")

    def _send(
        self, status: int, body: bytes, type: str = "application/json;charset=UTF-8",
        cut: bool = False,
    ) -> None:  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that was killed is no news."""


@contextmanager
def running(platform: Platform, port: int = 0) -> Iterator[Platform]:
    """Serve on a free port of this machine."""
    server = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"platform": platform}))
    platform.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield platform
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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


def spread(posts: int, minutes: float, until: datetime | None = None) -> list[int]:
    """Numbers of posts spread evenly over the minutes before `until` (default: now)."""
    end = until or datetime.now(UTC)
    step = timedelta(minutes=minutes) / max(1, posts)
    return sorted({number_at(end - step * (n + 1), n) for n in range(posts)})


if __name__ == "__main__":
    main(sys.argv[1])
