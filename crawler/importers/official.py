"""Saved answers of Weibo's official interface and of m.weibo.cn, one page or post an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crawler.build import Builder
from crawler.importers.base import Head, Row
from crawler.payloads import LISTS, comment_posts, number_of, posts_of, status_posts
from huiyin.records import Post

_UNDER = "\0under"
"""The post that a comment or a repost of a detail page stands under."""


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

    def members(self, row: Row) -> Iterator[tuple[str, Row]]:
        """The posts of a page, each as a page of one; a single post is itself."""
        return _members(row)

    def posts(self, row: Row, build: Builder) -> Iterator[Post]:
        if _UNDER not in row:
            return posts_of(row, build)
        under = row[_UNDER]
        if "comment" in row:
            return comment_posts(row["comment"], build, under=under)
        return status_posts(row["repost"], build, original=number_of(under))


def _members(row: Row) -> Iterator[tuple[str, Row]]:
    if isinstance(row.get("detail"), dict):
        yield from _of_detail(row)
        return
    whole = "text" in row or isinstance(row.get("mblog"), dict)
    lists = [] if whole else [name for name in LISTS if isinstance(row.get(name), list)]
    for name in lists:
        for place, member in enumerate(row[name], 1):
            yield f"{name} 第 {place} 条：", {name: [member]}
    if lists:
        return
    data = row.get("data")
    if whole or not isinstance(data, dict | list):
        yield "", row
    elif isinstance(data, list):
        yield from _of_list(data)
    elif isinstance(data.get("cards"), list):
        yield from _of_cards(data["cards"])
    elif isinstance(data.get("data"), list):
        yield from _of_list(data["data"])
    else:
        yield from _members(data)


def _of_list(members: list[Any]) -> Iterator[tuple[str, Row]]:
    for place, member in enumerate(members, 1):
        yield f"data 第 {place} 条：", {"data": [member]}


def _of_cards(cards: list[Any]) -> Iterator[tuple[str, Row]]:
    """Cards that hold posts; the rest of a page are headings and advertisements."""
    for place, card in enumerate(cards, 1):
        group = card.get("card_group") if isinstance(card, dict) else None
        for one in (card, *(group if isinstance(group, list) else ())):
            if not isinstance(one, dict) or isinstance(one.get("mblog"), dict):
                held = {"mblog": one["mblog"]} if isinstance(one, dict) else one
                yield f"cards 第 {place} 条：", {"data": {"cards": [held]}}


def _of_detail(row: Row) -> Iterator[tuple[str, Row]]:
    """A post in full, then what stands under it."""
    yield "", {"detail": row["detail"]}
    for name, one in (("comments", "comment"), ("reposts", "repost")):
        listed = row.get(name)
        for place, member in enumerate(listed if isinstance(listed, list) else (), 1):
            yield f"{name} 第 {place} 条：", {_UNDER: row["detail"], one: member}
