"""CSV of weibo-search (github.com/dataabc/weibo-search): posts found by keyword."""

from __future__ import annotations

from collections.abc import Iterator

from crawler.build import Builder
from crawler.importers.base import Head, Row, cell, pieces
from crawler.payloads import PLATFORM, post_url
from crawler.values import parse_count, weibo_number
from huiyin.records import AuthorKind, Kind, Post

# What the tool writes from the badge beside a name; a blue V may be a government, a medium or a
# firm, which the file does not tell apart.
_BADGES = {
    "蓝V": AuthorKind.ORGANISATION, "黄V": AuthorKind.VERIFIED, "红V": AuthorKind.VERIFIED,
    "金V": AuthorKind.VERIFIED,
}  # fmt: skip


class WeiboSearch:
    """`id,bid,user_id,用户昵称,微博正文,...`; originals of reposts are rows of their own."""

    name = "weibo-search"
    title = "weibo-search 的 CSV"
    columns = (
        "id", "bid", "user_id", "用户昵称", "微博正文", "头条文章url", "发布位置", "艾特用户",
        "话题",
        "转发数", "评论数", "点赞数", "发布时间", "发布工具", "微博图片url", "微博视频url",
        "retweet_id", "ip", "user_authentication", "会员类型", "会员等级",
    )  # fmt: skip

    def recognise(self, head: Head) -> bool:
        return head.shape == "table" and head.has("id", "user_id", "微博正文", "发布时间")

    def posts(self, row: Row, build: Builder) -> Iterator[Post]:
        number = weibo_number(cell(row, "id", "bid"))
        original = cell(row, "retweet_id")
        root = f"{PLATFORM}:{weibo_number(original)}" if original else None
        text = cell(row, "微博正文")
        pictures, videos = len(pieces(cell(row, "微博图片url"))), bool(cell(row, "微博视频url"))
        if not text and not pictures and not videos:
            raise ValueError("没有正文")
        yield build.post(
            platform=PLATFORM,
            native=number,
            kind=Kind.REPOST if root else Kind.POST,
            text=text,
            url=post_url(number),
            created_at=build.time(row.get("发布时间"), number),
            uid=cell(row, "user_id") or None,
            name=cell(row, "用户昵称") or None,
            author=_BADGES.get(cell(row, "user_authentication"), AuthorKind.ORDINARY),
            region=cell(row, "ip").removeprefix("发布于").strip(),
            named=pieces(cell(row, "艾特用户")),
            parent=root,
            root=root,
            reposts=parse_count(row.get("转发数")),
            comments=parse_count(row.get("评论数")),
            likes=parse_count(row.get("点赞数")),
            pictures=pictures,
            videos=int(videos),
        )
