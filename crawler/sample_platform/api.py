"""The endpoints of the sample platform: parameters in, the platform's JSON or error out.

Speaks the read side of the official API: lists newest first, since_id exclusive, max_id inclusive,
pages counted before deleted posts are left out (so a page may be short), error_code sometimes a
number and sometimes a string, as the platform does. Nothing can be written.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from crawler.sample_platform.city import Json
from crawler.sample_platform.playback import Gone, Playback, Shown

TOKEN_PREFIX = "sample-"  # noqa: S105  a public form, nothing secret
MAX_COUNT = 200
MAX_MESSAGES = 200
TOKEN_LIFE = timedelta(days=30)


@dataclass
class Faults:
    """Switches for tests; may be changed while the server runs."""

    expired_tokens: frozenset[str] = frozenset()
    """Tokens that answer 21327; `*` stands for all."""
    calls_per_hour: int | None = None
    """Calls a token has in a clock hour before 10023; None = no limit."""
    delay_seconds: float = 0.0
    """Every answer waits this long."""
    server_errors: int = 0
    """The next so many answers are HTTP 500 with an HTML body."""
    truncated: int = 0
    """The next so many answers break off in the middle of the JSON."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take(self, name: str) -> bool:
        """Use up one of `server_errors` or `truncated`; False when none is left."""
        with self._lock:
            left: int = getattr(self, name)
            if left <= 0:
                return False
            setattr(self, name, left - 1)
            return True


class ApiError(Exception):
    """An answer in the platform's error form."""

    def __init__(self, status: int, code: int | str, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.code = code
        self.error = error

    def body(self, path: str) -> Json:
        """`{"request", "error_code", "error"}`"""
        return {"request": path, "error_code": self.code, "error": self.error}


@dataclass(frozen=True)
class Request:
    """One call, after its token was accepted."""

    uid: int
    token: str
    params: Mapping[str, str]
    now: datetime

    def number(self, name: str, default: int, *, low: int = 0, high: int | None = None) -> int:
        """An integer parameter. Raises 10017 when it is none or out of range."""
        text = self.params.get(name, "")
        try:
            value = int(text) if text else default
        except ValueError:
            raise _bad_parameter(name, text) from None
        if value < low or (high is not None and value > high):
            raise _bad_parameter(name, text)
        return value


def _bad_parameter(name: str, value: str) -> ApiError:
    return ApiError(400, 10017, f"parameter ({name})'s value invalid, got ({value})")


class Api:
    """Answers calls about one playback. Thread-safe."""

    def __init__(self, playback: Playback, faults: Faults, base: datetime) -> None:
        self._play = playback
        self._faults = faults
        self._base = base
        self._uids = {account.uid for account in playback.city.accounts}
        self._used: dict[tuple[str, datetime], int] = {}
        self._lock = threading.Lock()
        self._routes: dict[str, Callable[[Request], Any]] = {
            "/2/statuses/mentions.json": self._mentions,
            "/2/statuses/user_timeline.json": self._timeline,
            "/2/statuses/show.json": self._show,
            "/2/statuses/count.json": self._count,
            "/2/statuses/repost_timeline.json": self._reposts,
            "/2/comments/to_me.json": self._comments_to_me,
            "/2/comments/mentions.json": self._comment_mentions,
            "/2/comments/show.json": self._comments_of,
            "/2/direct_messages.json": self._messages,
            "/2/account/get_uid.json": lambda request: {"uid": request.uid},
            "/2/account/rate_limit_status.json": self._rate_limit,
            "/oauth2/get_token_info": self._token_info,
        }
        self._free = {"/2/account/rate_limit_status.json", "/oauth2/get_token_info"}

    def answer(self, method: str, path: str, params: Mapping[str, str], now: datetime) -> Any:
        """The JSON body of an answer. Raises `ApiError`."""
        route = self._routes.get(path)
        if route is None:
            raise ApiError(404, 10020, "request api not found!")
        if method != ("POST" if path.startswith("/oauth2/") else "GET"):
            raise ApiError(405, 10021, "HTTP method is not suported for this request!")
        token = params.get("access_token", "")
        uid = self._owner(token)
        if path not in self._free:
            self._spend(token, now)
        return route(Request(uid, token, params, now))

    # ------------------------------------------------------------ tokens and limits

    def _owner(self, token: str) -> int:
        if not token:
            raise ApiError(400, 10006, "Source paramter (appkey) is missing")
        if self._faults.expired_tokens & {token, "*"}:
            raise ApiError(403, 21327, "expired_token")
        uid = token.removeprefix(TOKEN_PREFIX)
        if uid == token or uid not in self._uids:
            raise ApiError(403, 21332, "invalid_access_token")
        return int(uid)

    def _spend(self, token: str, now: datetime) -> None:
        key = (token, _hour(now))
        with self._lock:
            used = self._used.get(key, 0)
            if self._faults.calls_per_hour is not None and used >= self._faults.calls_per_hour:
                raise ApiError(403, "10023", "User requests out of rate limit!")
            self._used[key] = used + 1

    def _rate_limit(self, request: Request) -> Json:
        limit = self._faults.calls_per_hour
        reset = _hour(request.now) + timedelta(hours=1)
        with self._lock:
            used = self._used.get((request.token, _hour(request.now)), 0)
        total = 150_000 if limit is None else limit
        return {
            "ip_limit": 1_000_000,
            "limit_time_unit": "HOURS",
            "remaining_ip_hits": 1_000_000,
            "remaining_user_hits": max(total - used, 0),
            "reset_time": reset.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
            "reset_time_in_seconds": int((reset - request.now).total_seconds()),
            "user_limit": total,
            "api_rate_limits": [],
        }

    def _token_info(self, request: Request) -> Json:
        left = self._base + TOKEN_LIFE - request.now
        return {
            "uid": request.uid,
            "appkey": "sample",
            "scope": "",
            "create_at": int(self._base.timestamp()),
            "expire_in": max(int(left.total_seconds()), 0),
        }

    # ------------------------------------------------------------ lists

    def _mentions(self, request: Request) -> Any:
        rows = self._play.mentions.get(request.uid, [])
        if request.number("filter_by_type", 0, high=1):
            rows = [one for one in rows if "retweeted_status" not in one.entry.raw]
        return self._page(request, "statuses", rows, default=20)

    def _timeline(self, request: Request) -> Any:
        name = {account.uid: account.name for account in self._play.city.accounts}
        own = str(request.uid)
        asked = request.params.get("uid", own)
        if asked != own or request.params.get("screen_name", name[own]) != name[own]:
            raise ApiError(403, 21335, "uid must be current user")
        return self._page(request, "statuses", self._play.timeline.get(request.uid, []), default=20)

    def _comments_to_me(self, request: Request) -> Any:
        rows = self._play.comments_to.get(request.uid, [])
        return self._page(request, "comments", rows, default=50)

    def _comment_mentions(self, request: Request) -> Any:
        rows = self._play.comment_mentions.get(request.uid, [])
        return self._page(request, "comments", rows, default=50)

    def _comments_of(self, request: Request) -> Any:
        post = self._post(request)
        rows = self._play.comments_of.get(post.entry.id, [])
        return self._page(request, "comments", rows, default=50)

    def _reposts(self, request: Request) -> Any:
        post = self._post(request)
        rows = self._play.reposts_of.get(post.entry.id, [])
        return self._page(request, "reposts", rows, default=20)

    def _messages(self, request: Request) -> Any:
        rows = self._play.messages.get(request.uid, [])
        newest = self._play.visible(rows, request.now)[:MAX_MESSAGES]
        return self._page(request, "direct_messages", newest, default=20)

    def _page(self, request: Request, key: str, rows: Iterable[Shown], *, default: int) -> Any:
        """One page of a list. An account with nothing at all gets `[]`, as the platform does."""
        everything = self._play.visible(rows, request.now)
        if not everything:
            return []
        since = request.number("since_id", 0)
        upto = request.number("max_id", 0)
        count = request.number("count", default, low=1, high=MAX_COUNT)
        start = (request.number("page", 1, low=1) - 1) * count
        wanted = [one for one in everything if one.id > since and (not upto or one.id <= upto)]
        if not wanted[start:]:
            return {key: []}
        after = wanted[start + count : start + count + 1]
        page = (one for one in wanted[start : start + count])
        shown = [self._shorten(one, request) for one in page
                 if not self._play.is_gone(one, request.now)]  # fmt: skip
        cursor = after[0].id if after else 0
        return {key: shown, "hasvisible": False, "previous_cursor": 0, "next_cursor": cursor,
                "total_number": len(everything), "interval": 0}  # fmt: skip

    # ------------------------------------------------------------ single posts

    def _show(self, request: Request) -> Json:
        return self._shorten(self._post(request), request)

    def _count(self, request: Request) -> Any:
        ids = [part for part in request.params.get("ids", "").split(",") if part]
        if not ids or len(ids) > 100 or not all(part.isdigit() for part in ids):
            raise _bad_parameter("ids", request.params.get("ids", ""))
        rows = []
        for part in ids:
            one = self._play.find(int(part), request.now)
            if one is None or self._play.is_gone(one, request.now):
                continue
            body = self._play.render(one, request.now)
            rows.append({"id": one.id, "comments": body.get("comments_count", 0),
                         "reposts": body.get("reposts_count", 0),
                         "attitudes": body.get("attitudes_count", 0)})  # fmt: skip
        return rows

    def _post(self, request: Request) -> Shown:
        one = self._play.find(request.number("id", 0), request.now)
        if one is None or one.entry.kind not in ("status", "notice"):
            raise ApiError(400, 20101, "target weibo does not exist!")
        try:
            self._play.render(one, request.now)
        except Gone as gone:
            if gone.hidden:
                raise ApiError(403, 20112, "Permission Denied!") from gone
            raise ApiError(400, 20101, "target weibo does not exist!") from gone
        return one

    def _shorten(self, one: Shown, request: Request) -> Json:
        """Render; the full text of a long post only comes with `isGetLongText=1`."""
        body = self._play.render(one, request.now)
        if request.params.get("isGetLongText") != "1":
            body.pop("longText", None)
        return body


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)
