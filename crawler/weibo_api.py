"""What the official Weibo interface is asked, and what its answers mean.

Endpoints and error codes: open.weibo.com wiki (statuses, comments, direct_messages, Error_code).
since_id is exclusive, max_id inclusive; items are left out after a page was counted, so a short
page is no proof of the end; error_code is a number or a string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import from_json

from crawler.payloads import number_of
from huiyin.errors import (
    CollectError,
    LayoutChanged,
    LoginExpired,
    QuotaExceeded,
    SourceBlocked,
    SourceRefused,
)
from huiyin.records import Source


@dataclass(frozen=True)
class Endpoint:
    """One list of the interface, in its forms on the open and on the commercial host."""

    name: str
    path: str
    """On the open host (or, for what only the commercial one has, there)."""
    key: str
    """Name of the list in the answer."""
    count: int
    """Items asked for on a page."""
    title: str
    """In Chinese, for reasons that people read."""
    cap: int = 0
    """The platform shows at most so many of the newest; 0 = not known."""
    commercial: str = ""
    """On the commercial host, for the token's own account."""
    other: str = ""
    """On the commercial host, for the account `of`."""
    paging: str = "max_id"
    """max_id, or page (numbers of pages, no cursors)."""
    weight: float = 1.0
    """Share of a small quota: what people ask of us comes first."""
    usual: bool = True
    """Made for every account that has a token."""
    other_count: int = 0
    """Items on a page of the `other` form, where it is less."""

    def path_for(self, source: Source) -> str:
        """The path that this source is read from."""
        if source.parameters.get("of"):
            return self.other or self.path
        if source.parameters.get("host") == "commercial":
            return self.commercial or self.path
        return self.path

    def count_for(self, source: Source) -> int:
        """Items to ask for on a page of this source."""
        if source.parameters.get("of") and self.other_count:
            return min(self.count, self.other_count)
        return self.count


ENDPOINTS = {
    one.name: one
    for one in (
        Endpoint(
            "mentions", "/2/statuses/mentions.json", "statuses", 200, "@我的微博",
            commercial="/2/statuses/mentions/biz.json", other="/2/statuses/mentions/other.json",
            weight=4.0,
        ),
        Endpoint(
            "comments_to_me", "/2/comments/to_me.json", "comments", 200, "收到的评论",
            commercial="/2/comments/to_me/biz.json", weight=4.0,
        ),
        Endpoint(
            "comments_mentions", "/2/comments/mentions.json", "comments", 200, "@我的评论",
            commercial="/2/comments/mentions/biz.json", other="/2/comments/mentions/other.json",
            weight=2.0,
        ),
        Endpoint(
            "timeline", "/2/statuses/user_timeline.json", "statuses", 100, "本账号的微博",
            other="/2/statuses/user_timeline/other.json", other_count=25,
        ),
        Endpoint(
            "messages", "/2/direct_messages.json", "direct_messages", 200, "收到的私信", 200,
            weight=3.0,
        ),
        Endpoint(
            "counts", "/2/statuses/count.json", "statuses", 100, "数字复查",
            commercial="/2/statuses/show_batch/biz.json",
        ),
        Endpoint(
            "comments_show", "/2/comments/show.json", "comments", 200, "本账号微博下的评论",
            usual=False,
        ),
        Endpoint(
            "topic", "/2/search/topics.json", "statuses", 50, "话题", paging="page", usual=False,
        ),
    )
}  # fmt: skip
PAGE_CUT_OFF = 50
"""Lists read by page number end there, whatever lies behind."""
SHOW_PATH = "/2/statuses/show.json"
GONE_CODES = frozenset({20101, 20112, 20201})
"""The post was deleted; its author hides it; the comment was deleted."""

_AGAIN = frozenset({10001, 10002, 10003, 10009, 10010, 10011})
_LOGIN = frozenset({
    10006, 10032, 21301, 21302, 21314, 21315, 21316, 21317, 21318, 21319, 21325, 21327, 21330,
    21332,
})  # fmt: skip
_QUOTA = frozenset({10022, 10023, 10024})
_BLOCKED = frozenset({20015, 20022, 20031, 20033})
_BLOCKED_STATUS = frozenset({414, 418, 432})
RATE_PATH = "/2/account/rate_limit_status.json"
TOKEN_PATH = "/oauth2/get_token_info"  # noqa: S105 - an address
BATCH_PATH = "/2/comments/show_batch.json"
COMMERCIAL_BATCH_PATH = "/2/comments/show_batch/biz.json"


class TryAgain(CollectError):
    """The platform is busy or its answer broke off; asking again may help."""


@dataclass(frozen=True)
class Page:
    """One page of a list."""

    items: tuple[Mapping[str, Any], ...]
    next_cursor: int | None
    """max_id of the next page, 0 = the end, None = the answer does not say."""
    total: int | None = None
    """How many the platform says there are."""


def read_page(body: bytes, status: int, key: str, now: datetime) -> Page:
    """Read an answer. Raises `CollectError`: `TryAgain`, `LoginExpired`, `QuotaExceeded`,

    `SourceRefused`, `SourceBlocked`, `LayoutChanged`. An account with nothing at all answers with
    an empty list.
    """
    answer = read_answer(body, status, now)
    if isinstance(answer, list):
        return Page(_readable(answer), 0)
    return page_of(answer, key)


def page_of(answer: Mapping[str, Any], key: str) -> Page:
    """A page from the JSON of an answer. Raises `LayoutChanged`."""
    items = answer.get(key)
    if not isinstance(items, list):
        raise LayoutChanged(f"回答的格式变了：里面没有 {key}", "请把日志报告给开发者，等新版本")
    cursor, total = answer.get("next_cursor"), answer.get("total_number")
    return Page(
        _readable(items),
        int(cursor) if isinstance(cursor, int | str) and str(cursor).isdigit() else None,
        total if isinstance(total, int) and total >= 0 else None,
    )


def _readable(items: list[Any]) -> tuple[Mapping[str, Any], ...]:
    """The objects of a list. A list of which nothing can be read has changed its form."""
    found = tuple(one for one in items if isinstance(one, Mapping))
    if items and not any(_numbered(one) for one in found):
        raise LayoutChanged("回答的格式变了：帖子没有编号", "请把日志报告给开发者，等新版本")
    return found


def _numbered(item: Mapping[str, Any]) -> bool:
    try:
        return bool(number_of(item))
    except ValueError:
        return False


def read_answer(body: bytes, status: int, now: datetime) -> Any:
    """The JSON of an answer; errors are judged by the body first, then by the HTTP status."""
    try:
        answer = _json(body)
    except ValueError as error:
        if status < 400 and (told := _wrong_charset(body)) is not None:
            answer = told
        else:
            raise _by_status(status, body) from error
    if isinstance(answer, Mapping) and (code := answer.get("error_code")) not in (None, "", 0):
        raise api_error(code, now)
    if status >= 400 or not isinstance(answer, Mapping | list):
        raise _by_status(status, body)
    return answer


def _json(body: bytes) -> Any:
    """A body's JSON by the fast reader; where that is too strict (half emoji), by Python's own."""
    try:
        return from_json(body)
    except ValueError:
        return json.loads(body)


def _wrong_charset(body: bytes) -> Any:
    """A whole answer in GB18030, whatever its header says; None when it is none."""
    as_utf8 = body.decode("utf-8", "replace")
    strange = sum(not one.isascii() for one in as_utf8)
    if as_utf8.count("\ufffd") < strange / 4:  # UTF-8 with a broken byte: not to be guessed
        return None
    try:
        return json.loads(body.decode("gb18030"))
    except ValueError:
        return None


def error_code(body: bytes) -> int:
    """The error code of an answer, 0 when there is none."""
    try:
        answer = json.loads(body)
        return int(answer.get("error_code") or 0) if isinstance(answer, Mapping) else 0
    except ValueError:
        return 0


def is_no_answer(answer: Any, key: str, asked: Sequence[int]) -> bool:
    """Does an answer about stored items, asked for by number after a list came empty, show that

    the platform answers nothing? `asked`: first the one that the list should hold. A post is told
    or refused with a code; a batch of comments leaves out the deleted, so others prove it good.
    """
    if key != "comments":
        return True  # it exists, or the answer holds no post
    rows = answer.get("comments") if isinstance(answer, Mapping) else answer
    found: set[int] = set()
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and _numbered(row):
            found.add(item_number(row))
    return asked[0] in found or (len(asked) > 1 and found.isdisjoint(asked))


_ROBOT = re.compile("验证码|异常访问|访问过于频繁|passport|geetest|captcha|security", re.I)


def _by_status(status: int, body: bytes) -> CollectError:
    if status == 429:
        return QuotaExceeded("平台说访问过于频繁（HTTP 429）", "过些时候会自动再读")
    if status in _BLOCKED_STATUS:
        return SourceBlocked(f"平台把我们当作机器人挡住了（HTTP {status}）", _UNBLOCK)
    if status in (401, 403):
        return SourceRefused(f"平台拒绝访问（HTTP {status}）", "检查网络出口和接口权限")
    if status >= 500:
        return TryAgain(f"平台暂时出错（HTTP {status}）", "会自动再读")
    page = body[:20_000].decode("utf-8", "replace")
    if status in (301, 302, 303, 307) or (page.lstrip()[:1] == "<" and _ROBOT.search(page)):
        return SourceBlocked("平台给的是登录或验证页，不是数据", _UNBLOCK)
    if page.lstrip()[:1] == "<" and page.rstrip()[-7:].lower() == "</html>":
        return LayoutChanged("回答的格式变了：是网页，不是数据", "核对接口地址；请报告给开发者")
    return TryAgain(f"平台的回答不完整（HTTP {status}）", "会自动再读")


_UNBLOCK = "请在平台控制台查看应用和网络出口是否受限，联系平台解除；在此之前会放慢"


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
            f"授权已失效（代码 {number}）", "请该账号的保管人重新授权：huiyin source login"
        )
    if number in _BLOCKED:
        return SourceBlocked(f"平台标记了账号、出口或应用（代码 {number}）", _UNBLOCK)
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
