"""What the official Weibo interface is asked, and what its answers mean.

Endpoints and error codes: open.weibo.com wiki (statuses, comments, direct_messages, Error_code).
since_id is exclusive, max_id inclusive; items are left out after a page was counted, so a short
page is no proof of the end; error_code is a number or a string.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crawler.payloads import number_of
from huiyin.errors import CollectError, LoginExpired, QuotaExceeded, SourceRefused


@dataclass(frozen=True)
class Endpoint:
    """One list of the interface."""

    name: str
    path: str
    key: str
    """Name of the list in the answer."""
    count: int
    """Items asked for on a page."""
    title: str
    """In Chinese, for reasons that people read."""
    cap: int = 0
    """The platform shows at most so many of the newest; 0 = not known."""


ENDPOINTS = {
    one.name: one
    for one in (
        Endpoint("mentions", "/2/statuses/mentions.json", "statuses", 200, "@我的微博"),
        Endpoint("comments_to_me", "/2/comments/to_me.json", "comments", 200, "收到的评论"),
        Endpoint("comments_mentions", "/2/comments/mentions.json", "comments", 200, "@我的评论"),
        Endpoint("timeline", "/2/statuses/user_timeline.json", "statuses", 100, "本账号的微博"),
        Endpoint("messages", "/2/direct_messages.json", "direct_messages", 200, "收到的私信", 200),
    )
}
SHOW_PATH = "/2/statuses/show.json"
GONE_CODES = frozenset({20101, 20112})
"""statuses/show: the post was deleted; its author hides it."""

_AGAIN = frozenset({10001, 10002, 10003, 10009, 10010, 10011})
_LOGIN = frozenset({
    10006, 10032, 21301, 21302, 21314, 21315, 21316, 21317, 21318, 21319, 21325, 21327, 21330,
    21332,
})  # fmt: skip
_QUOTA = frozenset({10022, 10023, 10024})


class TryAgain(CollectError):
    """The platform is busy or its answer broke off; asking again may help."""


@dataclass(frozen=True)
class Page:
    """One page of a list."""

    items: tuple[Mapping[str, Any], ...]
    next_cursor: int | None
    """max_id of the next page, 0 = the end, None = the answer does not say."""


def read_page(body: bytes, status: int, key: str, now: datetime) -> Page:
    """Read an answer. Raises `CollectError`: `TryAgain`, `LoginExpired`, `QuotaExceeded`,

    `SourceRefused`. An account with nothing at all answers with an empty list.
    """
    answer = read_answer(body, status, now)
    if isinstance(answer, list):
        return Page(tuple(one for one in answer if isinstance(one, Mapping)), 0)
    items = answer.get(key)
    if not isinstance(items, list):
        raise TryAgain(f"回答里没有 {key}", "若一直如此，请报告给开发者")
    cursor = answer.get("next_cursor")
    return Page(
        tuple(one for one in items if isinstance(one, Mapping)),
        int(cursor) if isinstance(cursor, int | str) and str(cursor).isdigit() else None,
    )


def read_answer(body: bytes, status: int, now: datetime) -> Any:
    """The JSON of an answer; errors are judged by the body first, then by the HTTP status."""
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise _by_status(status) from error
    if isinstance(answer, Mapping) and (code := answer.get("error_code")) not in (None, "", 0):
        raise api_error(code, now)
    if status >= 400 or not isinstance(answer, Mapping | list):
        raise _by_status(status)
    return answer


def error_code(body: bytes) -> int:
    """The error code of an answer, 0 when there is none."""
    try:
        answer = json.loads(body)
        return int(answer.get("error_code") or 0) if isinstance(answer, Mapping) else 0
    except ValueError:
        return 0


def _by_status(status: int) -> CollectError:
    if status == 429:
        return QuotaExceeded("平台说访问过于频繁（HTTP 429）", "过些时候会自动再读")
    if status in (401, 403):
        return SourceRefused(f"平台拒绝访问（HTTP {status}）", "检查网络出口和接口权限")
    if status >= 500:
        return TryAgain(f"平台暂时出错（HTTP {status}）", "会自动再读")
    return TryAgain(f"平台的回答不完整（HTTP {status}）", "会自动再读")


def api_error(code: Any, now: datetime) -> CollectError:
    """Our error for the platform's code (a number or a string)."""
    try:
        number = int(code)
    except (TypeError, ValueError):
        return TryAgain("平台的报错没有代码", "会自动再读")
    if number in _AGAIN:
        return TryAgain(f"平台繁忙（代码 {number}）", "会自动再读")
    if number in _LOGIN:
        return LoginExpired(
            f"授权已失效（代码 {number}）", "请该账号重新授权，把新的令牌写入 weibo.tokens"
        )
    if number in _QUOTA:
        hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return QuotaExceeded(
            f"接口次数已用完（代码 {number}）", "到下一个小时自动再读；长期不够请申请更高权限",
            until=hour,
        )  # fmt: skip
    return SourceRefused(f"平台拒绝这个请求（代码 {number}）", "检查应用的接口权限和账号设置")


def item_number(item: Mapping[str, Any]) -> int:
    """The number of an item in a list. Raises `ValueError`."""
    return int(number_of(item))


def id_of_time(at: datetime) -> int:
    """The smallest number that a post made at this time can have (inverse of the id's time)."""
    return max(0, int(at.timestamp()) - 515_483_463) << 22
