"""CSV of weiboSpider (github.com/dataabc/weiboSpider): one user's posts, header on each run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from crawler.build import Builder
from crawler.importers.base import Head, Row, cell, pieces
from crawler.payloads import PLATFORM, post_url
from crawler.values import parse_count, weibo_number
from huiyin.records import Kind, Post

# The tool writes a repost as one text; the reposted user's name must not stay in it.
_REPOST = re.compile(
    r"\A转发理由[:：](?P<reason>.*?)\s*原始用户[:：](?P<user>.*?)\s*"
    r"转发内容[:：](?P<text>.*)\Z",
    re.DOTALL,
)
_USER = re.compile(r"(原始用户[:：]\s*)\S+")


class WeiboSpider:
    """`微博id,微博正文,...`; the id is the short one from the link. Times are to the minute."""

    name = "weiboSpider"
    title = "weiboSpider 的 CSV"
    columns = (
        "微博id", "微博正文", "头条文章url", "原始图片url", "被转发微博原始图片url",
        "是否为原创微博", "微博视频url", "发布位置", "发布时间", "发布工具", "点赞数",
        "转发数", "评论数",
    )  # fmt: skip

    def recognise(self, head: Head) -> bool:
        return head.shape == "table" and head.has("微博id", "微博正文", "发布时间")

    def posts(self, row: Row, build: Builder) -> Iterator[Post]:
        number = weibo_number(cell(row, "微博id"))
        text, repost = _repost_text(cell(row, "微博正文"))
        if cell(row, "是否为原创微博").lower() in ("false", "否", "0"):
            repost = True
        images = pieces(cell(row, "原始图片url")) + pieces(cell(row, "被转发微博原始图片url"))
        pictures = sum(one != "无" for one in images)
        videos = int(cell(row, "微博视频url") not in ("", "无"))
        if not text and not pictures and not videos:
            raise ValueError("没有正文")
        yield build.post(
            platform=PLATFORM,
            native=number,
            kind=Kind.REPOST if repost else Kind.POST,
            text=text,
            url=post_url(number),
            created_at=build.time(row.get("发布时间"), number),
            reposts=parse_count(row.get("转发数")),
            comments=parse_count(row.get("评论数")),
            likes=parse_count(row.get("点赞数")),
            pictures=pictures,
            videos=videos,
        )


def _repost_text(text: str) -> tuple[str, bool]:
    found = _REPOST.match(text)
    if found is None:
        return _USER.sub(r"\1@某用户", text), "原始用户" in text and "转发内容" in text
    return f"{found['reason']}//@{found['user'].strip() or '某用户'}:{found['text'].strip()}", True
