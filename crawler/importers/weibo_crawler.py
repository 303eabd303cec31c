"""CSV of weibo-crawler (github.com/dataabc/weibo-crawler): one user's posts, and comments."""

from __future__ import annotations

from collections.abc import Iterator

from crawler.build import Builder
from crawler.importers.base import Head, Row, cell, pieces
from crawler.payloads import PLATFORM, post_url
from crawler.values import parse_count, plain_text, weibo_number
from huiyin.records import Kind, Post

_SOURCE = "源微博"


class WeiboCrawlerPosts:
    """Posts; unless the tool was told "original only", the original of a repost in the same row.

    Numbers carry a trailing tab. The file does not say whose posts they are.
    """

    name = "weibo-crawler"
    title = "weibo-crawler 的微博 CSV"
    columns = (
        "id", "bid", "正文", "头条文章url", "原始图片url", "视频url", "Live Photo视频url", "位置",
        "日期", "工具", "点赞数", "评论数", "转发数", "话题", "@用户", "完整日期",
        "是否编辑过", "编辑次数", "是否原创", "源用户id", "源用户昵称",
    )  # fmt: skip

    def recognise(self, head: Head) -> bool:
        return head.shape == "table" and head.has("id", "正文", "点赞数") and (
            head.has("bid") or head.has("日期")
        )  # fmt: skip

    def posts(self, row: Row, build: Builder) -> Iterator[Post]:
        original = cell(row, f"{_SOURCE}id", f"{_SOURCE}bid")
        number = weibo_number(original) if original not in ("", "0") else None
        yield _post(row, "", build, number)
        if number is not None and (cell(row, f"{_SOURCE}正文") or cell(row, "源用户id")):
            yield _post(row, _SOURCE, build, None)


def _post(row: Row, prefix: str, build: Builder, original: str | None) -> Post:
    number = weibo_number(cell(row, f"{prefix}id", f"{prefix}bid"))
    text = cell(row, f"{prefix}正文")
    pictures = len(pieces(cell(row, f"{prefix}原始图片url")))
    videos = int(bool(cell(row, f"{prefix}视频url")))
    if not text and not pictures and not videos and original is None:
        raise ValueError("没有正文")
    root = f"{PLATFORM}:{original}" if original else None
    when = cell(row, f"{prefix}完整日期", f"{prefix}日期")
    return build.post(
        platform=PLATFORM,
        native=number,
        kind=Kind.REPOST if root else Kind.POST,
        text=plain_text(text),
        url=post_url(number),
        created_at=build.time(when, number),
        uid=cell(row, "源用户id") or None if prefix else cell(row, "用户id", "user_id") or None,
        name=cell(row, "源用户昵称") or None if prefix else cell(row, "用户昵称") or None,
        named=pieces(cell(row, f"{prefix}@用户")),
        parent=root,
        root=root,
        reposts=parse_count(row.get(f"{prefix}转发数")),
        comments=parse_count(row.get(f"{prefix}评论数")),
        likes=parse_count(row.get(f"{prefix}点赞数")),
        pictures=pictures,
        videos=videos,
    )


class WeiboCrawlerComments:
    """`id,weibo_id,created_at,user_screen_name,text,pic_url,like_count`"""

    name = "weibo-crawler-comments"
    title = "weibo-crawler 的评论 CSV"
    columns = (
        "id", "weibo_id", "created_at", "user_screen_name", "text", "pic_url", "like_count",
    )  # fmt: skip

    def recognise(self, head: Head) -> bool:
        return head.shape == "table" and head.has("id", "weibo_id", "user_screen_name", "text")

    def posts(self, row: Row, build: Builder) -> Iterator[Post]:
        number = weibo_number(cell(row, "id"))
        post = weibo_number(cell(row, "weibo_id"))
        text, picture = cell(row, "text"), cell(row, "pic_url")
        if not text and not picture:
            raise ValueError("没有正文")
        yield build.post(
            platform=PLATFORM,
            native=number,
            kind=Kind.COMMENT,
            text=plain_text(text),
            url=post_url(post),
            created_at=build.time(row.get("created_at"), number),
            name=cell(row, "user_screen_name") or None,
            parent=f"{PLATFORM}:{post}",
            root=f"{PLATFORM}:{post}",
            likes=parse_count(row.get("like_count")),
            pictures=1 if picture else 0,
        )
