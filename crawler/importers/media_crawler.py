"""Files of MediaCrawler (github.com/NanmiCoder/MediaCrawler): seven platforms, JSONL, JSON or CSV.

Column names from the tool's `store/<platform>/__init__.py` and `model/`; until July 2026 rows held
`user_id`, `nickname`, `ip_location`, since then `creator_hash`. Counts are often strings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from crawler.build import Builder
from crawler.importers.base import Head, Row, cell, pieces
from crawler.payloads import post_url
from crawler.values import parse_count, plain_text, weibo_number
from huiyin.records import Kind, Post


@dataclass(frozen=True)
class _Form:
    """Which columns of one platform's contents or comments mean what."""

    platform: str
    needs: tuple[str, ...]
    """Columns that tell this form from the others."""
    id: str
    time: tuple[str, ...]
    text: tuple[str, ...]
    comment: bool = False
    under: str = ""
    """Column with the content that a comment stands under."""
    title: str = ""
    reposts: str = ""
    comments: str = ""
    likes: str = ""
    pictures: tuple[str, ...] = ()
    video: str = ""
    never: tuple[str, ...] = ()
    """Columns that a file of this form does not have."""


_FORMS = (
    _Form("weibo", ("comment_id", "note_id", "comment_like_count"), "comment_id",
          ("create_time", "create_date_time"), ("content",), True, "note_id",
          comments="sub_comment_count", likes="comment_like_count"),
    _Form("weibo", ("note_id", "content", "shared_count"), "note_id",
          ("create_time", "create_date_time"), ("content",),
          reposts="shared_count", comments="comments_count", likes="liked_count"),
    _Form("douyin", ("comment_id", "aweme_id"), "comment_id", ("create_time",), ("content",),
          True, "aweme_id", comments="sub_comment_count", likes="like_count",
          pictures=("pictures",)),
    _Form("douyin", ("aweme_id", "aweme_type"), "aweme_id", ("create_time",), ("desc", "title"),
          title="title", reposts="share_count", comments="comment_count", likes="liked_count",
          pictures=("note_download_url",), video="video_download_url"),
    _Form("tieba", ("comment_id", "tieba_name"), "comment_id", ("publish_time",), ("content",),
          True, "note_id", comments="sub_comment_count"),
    _Form("tieba", ("note_id", "tieba_name"), "note_id", ("publish_time",), ("desc", "title"),
          title="title", comments="total_replay_num"),
    _Form("zhihu", ("comment_id", "content_id"), "comment_id", ("publish_time",), ("content",),
          True, "content_id", comments="sub_comment_count", likes="like_count"),
    _Form("zhihu", ("content_id", "voteup_count"), "content_id", ("created_time",),
          ("content_text", "desc", "title"), title="title", comments="comment_count",
          likes="voteup_count"),
    _Form("bilibili", ("comment_id", "video_id", "parent_comment_id"), "comment_id",
          ("create_time",), ("content",), True, "video_id", comments="sub_comment_count",
          likes="like_count"),
    _Form("kuaishou", ("comment_id", "video_id"), "comment_id", ("create_time",), ("content",),
          True, "video_id", comments="sub_comment_count", never=("parent_comment_id",)),
    _Form("bilibili", ("video_id", "video_danmaku"), "video_id", ("create_time",),
          ("desc", "title"), title="title", reposts="video_share_count",
          comments="video_comment", likes="liked_count", video="video_url"),
    _Form("kuaishou", ("video_id", "viewd_count"), "video_id", ("create_time",),
          ("desc", "title"), title="title", likes="liked_count", video="video_url"),
    _Form("xiaohongshu", ("comment_id", "note_id", "content"), "comment_id", ("create_time",),
          ("content",), True, "note_id", comments="sub_comment_count", likes="like_count",
          pictures=("pictures",)),
    _Form("xiaohongshu", ("note_id", "desc", "time"), "note_id", ("time",), ("desc", "title"),
          title="title", reposts="share_count", comments="comment_count", likes="liked_count",
          pictures=("image_list",), video="video_url"),
)  # fmt: skip

_PERSONS = (("user_id", "fans", "follows"), ("up_id", "fan_id"), ("user_id", "total_fans"))


def form_of(head: Head) -> _Form | None:
    """The platform and kind whose columns these are."""
    for form in _FORMS:
        if head.has(*form.needs) and not any(name in head.columns for name in form.never):
            return form
    return None


def is_about_persons(head: Head) -> bool:
    """True for the tool's files about users; they hold no posts and are not taken in."""
    return any(head.has(*names) for names in _PERSONS)


class MediaCrawler:
    """Contents and comments of Weibo, Douyin, Kuaishou, Xiaohongshu, Bilibili, Tieba, Zhihu."""

    name = "MediaCrawler"
    title = "MediaCrawler 的 JSONL、JSON 或 CSV"
    columns = (
        "note_id", "content", "create_time", "create_date_time", "liked_count", "comments_count",
        "shared_count", "last_modify_ts", "note_url", "creator_hash", "nickname", "source_keyword",
        "comment_id", "aweme_id", "video_id", "content_id",
    )  # fmt: skip

    def __init__(self) -> None:
        self._form: _Form | None = None

    def recognise(self, head: Head) -> bool:
        self._form = form_of(head)
        return self._form is not None

    def posts(self, row: Row, build: Builder) -> Iterator[Post]:
        form = self._form
        # A JSON file may mix forms (old and new rows appended); the columns of each row decide.
        if form is None or form.id not in row:
            form = form_of(Head("objects", tuple(row), row))
        if form is None:
            raise ValueError("这一行的列名不认识")
        yield _post(form, row, build)


def _post(form: _Form, row: Row, build: Builder) -> Post:
    number = _number(form, cell(row, form.id), row, form.comment)
    text = plain_text(cell(row, *form.text))
    title = cell(row, form.title) if form.title else ""
    pictures = sum(len(pieces(cell(row, name))) for name in form.pictures)
    videos = int(bool(form.video and cell(row, form.video)))
    if not text and not title and not pictures and not videos:
        raise ValueError("没有正文")
    under = _number(form, cell(row, form.under), row, False) if form.comment else ""
    root = f"{form.platform}:{under}" if under else None
    uid, hashed = cell(row, "user_id"), cell(row, "creator_hash")
    return build.post(
        platform=form.platform,
        native=number,
        kind=Kind.COMMENT if form.comment else Kind.POST,
        text=text,
        title=title if title and title != text else None,
        url=_url(form.platform, under or number, row),
        created_at=_time(form, row, number, build),
        uid=uid or None,
        tool_key=hashed or None,
        name=cell(row, "nickname", "user_nickname") or None,
        region=cell(row, "ip_location").removeprefix("发布于").removeprefix("来自")
        .removeprefix("IP属地：").strip(),
        parent=_parent(form, row, number) or root,
        root=root,
        reposts=parse_count(row.get(form.reposts)),
        comments=parse_count(row.get(form.comments)),
        likes=parse_count(row.get(form.likes)),
        pictures=pictures,
        videos=videos,
        read_at=build.read_at(row.get("last_modify_ts")),
        query=cell(row, "source_keyword"),
    )  # fmt: skip


def _number(form: _Form, number: str, row: Row, comment: bool) -> str:
    """The native part of an id; comments and posts of most platforms are numbered apart."""
    if form.platform == "weibo":
        return weibo_number(number)
    if not number:
        raise ValueError("没有编号")
    if comment:
        return f"c{number}"
    kind = cell(row, "content_type") if form.platform == "zhihu" else ""
    return f"{kind}-{number}" if kind else number


def _parent(form: _Form, row: Row, number: str) -> str | None:
    """The comment that a comment answers; Weibo gives a first comment its own number there."""
    told = cell(row, "parent_comment_id", "parment_comment_id")
    if not form.comment or told in ("", "0", "None", "nan"):
        return None
    parent = _number(form, told, row, True)
    return f"{form.platform}:{parent}" if parent != number else None


def _time(form: _Form, row: Row, number: str, build: Builder) -> datetime:
    if form.platform == "weibo":
        return build.time(cell(row, *form.time), number)
    return build.time(cell(row, *form.time))


def _url(platform: str, number: str, row: Row) -> str | None:
    """Link to the content without author number or access token."""
    if platform == "weibo":
        return post_url(number)
    if platform == "zhihu":
        kind, _, bare = number.rpartition("-")
        if kind == "answer" and (question := cell(row, "question_id")):
            return f"https://www.zhihu.com/question/{question}/answer/{bare}"
        return _ZHIHU.get(kind, "") + bare if kind in _ZHIHU else None
    return _PAGES[platform] + number


_PAGES = {
    "douyin": "https://www.douyin.com/video/", "kuaishou": "https://www.kuaishou.com/short-video/",
    "xiaohongshu": "https://www.xiaohongshu.com/explore/",
    "bilibili": "https://www.bilibili.com/video/av", "tieba": "https://tieba.baidu.com/p/",
}  # fmt: skip
_ZHIHU = {
    "answer": "https://www.zhihu.com/answer/", "article": "https://zhuanlan.zhihu.com/p/",
    "zvideo": "https://www.zhihu.com/zvideo/",
}  # fmt: skip
