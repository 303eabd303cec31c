"""Saved answers of Weibo's official interface and of m.weibo.cn, one page or post an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crawler.build import Builder
from crawler.importers.base import Head, Row
from crawler.payloads import LISTS, posts_of
from huiyin.records import Post


class OfficialJson:
    """A page (`statuses`, `comments`, ...), a bare list (show_batch), or one post in full."""

    name = "weibo-api"
    title = "微博官方接口的 JSON"
    columns = (*LISTS, "created_at", "idstr", "mid", "text", "user")

    def recognise(self, head: Head) -> bool:
        row = head.first
        if head.shape != "objects":
            return False
        if any(isinstance(row.get(name), list) for name in LISTS) and "text" not in row:
            return True
        if isinstance(row.get("detail"), Mapping) or isinstance(row.get("mblog"), Mapping):
            return True
        data = row.get("data")
        if "ok" in row and isinstance(data, Mapping | list) and data:
            return True
        if isinstance(row.get("text"), Mapping):
            return True
        return "text" in row and (
            isinstance(row.get("user"), Mapping)
            or "idstr" in row
            or "mid" in row
            or "recipient_id" in row
        )

    def posts(self, row: Row, build: Builder) -> Iterator[Post]:
        return posts_of(row, build)
