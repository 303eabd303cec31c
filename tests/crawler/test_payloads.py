# ruff: noqa: E501 - objects as the platform sends them
from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crawler.build import Builder
from crawler.payloads import posts_of
from huiyin.records import AuthorKind, Kind, Post

USER = {"id": 555, "idstr": "555", "screen_name": "小王", "location": "河南 郑州", "verified": False,
        "verified_type": -1}  # fmt: skip
STATUS: dict[str, Any] = {
    "created_at": "Tue Feb 23 12:28:47 +0800 2021", "id": 4607741009594608, "idstr": "4607741009594608",
    "text": "停水了 @云渡水务 &lt;3\u200b", "user": USER, "reposts_count": 0, "comments_count": "2",
    "attitudes_count": "100万+", "pic_urls": [{"thumbnail_pic": "http://a"}], "isLongText": False,
}  # fmt: skip


def only(item: Any, build: Builder) -> Post:
    (post,) = posts_of(item, build)
    return post


def test_a_post(build: Builder) -> None:
    post = only(STATUS, build)
    assert post.id == "weibo:4607741009594608" and post.kind is Kind.POST
    assert post.text == "停水了 @云渡水务 <3" and post.mentions == ("weibo:102",)
    assert post.author.region == "河南 郑州" and post.author.name is None
    assert post.metrics is not None
    assert (post.metrics.reposts, post.metrics.comments, post.metrics.likes) == (0, 2, 1_000_000)
    assert post.media[0].was_read is False and post.media[0].url == post.url


def test_long_text_edited_and_truncated(build: Builder) -> None:
    long = {**STATUS, "isLongText": True, "longText": {"longTextContent": "很长的正文" * 50},
            "edit_count": 2, "edit_at": "Tue Feb 23 13:00:00 +0800 2021", "truncated": True}  # fmt: skip
    assert only(long, build).text == "很长的正文" * 50
    assert only({**STATUS, "text": "开头...全文", "isLongText": True}, build).text == "开头..."


def test_a_repost_and_its_deleted_original(build: Builder) -> None:
    gone = {"deleted": "1", "text": "抱歉，此微博已被作者删除。", "created_at": "", "id": 4607741009594000,
            "idstr": "4607741009594000", "mid": "4607741009594000"}  # fmt: skip
    repost, original = posts_of({**STATUS, "text": "转发微博", "retweeted_status": gone}, build)
    assert repost.kind is Kind.REPOST and repost.root == original.id == "weibo:4607741009594000"
    assert original.deleted_at is not None and original.text == ""
    assert original.created_at == datetime(2021, 2, 23, 4, 28, 47, tzinfo=UTC)


def test_verified_kinds(build: Builder) -> None:
    for verified, kind, expected in [
        (True, 1, AuthorKind.GOVERNMENT), (True, 3, AuthorKind.MEDIA), (True, 2, AuthorKind.ORGANISATION),
        (True, 7, AuthorKind.ORGANISATION), (True, 0, AuthorKind.VERIFIED),
        (True, 220, AuthorKind.ORDINARY), (False, 220, AuthorKind.ORDINARY),
        (False, -1, AuthorKind.ORDINARY), (None, None, AuthorKind.ORDINARY),
    ]:  # fmt: skip
        user = {**USER, "verified": verified, "verified_type": kind}
        post = only({**STATUS, "user": user}, build)
        assert post.author.kind is expected
        assert (post.author.name is None) == (
            expected in (AuthorKind.ORDINARY, AuthorKind.VERIFIED)
        )


def test_our_own_account_speaks_in_notices(build: Builder) -> None:
    post = only({**STATUS, "user": {"id": 101, "screen_name": "改了名"}}, build)
    assert post.kind is Kind.NOTICE and post.author.name == "云渡发布"
    impostor = only({**STATUS, "user": {"id": 999, "screen_name": "云渡发布"}}, build)
    assert impostor.kind is Kind.POST and impostor.author.kind is AuthorKind.ORDINARY


def test_a_comment_carries_its_post(build: Builder) -> None:
    comment = {
        "created_at": "Tue Feb 23 12:30:00 +0800 2021", "idstr": "4607741309594608", "text": "回复@小李:是的",
        "user": USER, "status": {**STATUS, "user": {"id": 101}}, "source": "来自河南",
        "reply_comment": {"idstr": "4607741209594608"}, "like_count": 3,
    }  # fmt: skip
    one, post = posts_of(comment, build)
    assert one.kind is Kind.COMMENT and one.text == "回复@某用户:是的"
    assert one.root == post.id and one.parent == "weibo:4607741209594608"
    assert one.offices == ("weibo:101",) and one.author.region == "河南"
    assert post.kind is Kind.NOTICE


def test_a_private_message(build: Builder) -> None:
    post = only({"id": 7, "idstr": "7", "created_at": "Tue Feb 23 12:30:00 +0800 2021", "text": "我叫停水",
                 "sender_id": 555, "recipient_id": 101, "sender": USER}, build)  # fmt: skip
    assert (post.id, post.kind, post.offices) == ("weibo:m7", Kind.MESSAGE, ("weibo:101",))
    assert post.author.key == only(STATUS, build).author.key


@pytest.mark.parametrize(
    "page",
    [
        {"statuses": []},
        {"comments": [], "next_cursor": 0},
        {"ok": 1, "data": {"cards": []}},
        {"reposts": []},
    ],
)
def test_empty_pages(build: Builder, page: Any) -> None:
    assert list(posts_of(page, build)) == []


@pytest.mark.parametrize(
    "item",
    [None, [], "x", {"text": "没有编号"}, {**STATUS, "created_at": "昨天", "idstr": "", "id": 12, "mid": ""},
     {"statuses": ["4607741009594608"]}, {**STATUS, "text": 5}],
)  # fmt: skip
def test_what_is_no_post_says_so_in_chinese(build: Builder, item: Any) -> None:
    with pytest.raises(ValueError, match=r"[\u4e00-\u9fff]"):
        list(posts_of(item, build))


def _count(item: Any) -> int:
    """Objects with a number of their own: posts, comments, reposts."""
    if isinstance(item, list):
        return sum(map(_count, item))
    if not isinstance(item, dict):
        return 0
    mine = "mid" in item and "text" in item
    return mine + sum(_count(item[name]) for name in
                      ("statuses", "detail", "comments", "reposts", "retweeted_status") if name in item)  # fmt: skip


def test_every_real_payload(build: Builder, real_data: Path) -> None:
    files = sorted((real_data / "payloads").rglob("*.json"))
    assert len(files) > 60
    for file in files:
        item = json.loads(file.read_text(encoding="utf-8"))
        posts = list(posts_of(item, build))
        assert len(posts) == _count(item), file.name
        for post in posts:
            assert Post.model_validate_json(post.model_dump_json()) == post
            assert "<a" not in post.text and "@网友" not in post.text and "&lt;" not in post.text
            assert (
                post.author.kind.value not in ("ordinary", "verified") or post.author.name is None
            )
