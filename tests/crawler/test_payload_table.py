"""The table of fields is true: what it says is kept changes the post, what it says is not does not.

`test_tending.py` compares it with every path of the recorded payloads.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from crawler.build import Builder
from crawler.payload_table import KEPT, NOT_KEPT, POSTED, PUSHED, fate, paths_of, unknown_paths
from crawler.payloads import posts_of
from huiyin.records import Post

USER = {"id": 5550001, "idstr": "5550001", "screen_name": "某报", "verified": True,
        "verified_type": 3}  # fmt: skip
STATUS: dict[str, Any] = {
    "id": 4607741009594608, "created_at": "Tue Feb 23 12:28:47 +0800 2021", "text": "停水了",
    "user": USER,
}  # fmt: skip
COMMENT = {**STATUS, "id": 4607741009594999, "text": "真的", "status": STATUS}
MESSAGE = {"id": 12, "created_at": "Tue Feb 23 12:28:47 +0800 2021", "text": "在吗",
           "recipient_id": 999}  # fmt: skip
OTHER = "4607741009594700"
TRIES: dict[str, tuple[dict[str, Any], Any]] = {
    "id": (STATUS, int(OTHER)), "idstr": (STATUS, OTHER), "mid": (STATUS, OTHER),
    "bid": ({**STATUS, "id": "", "bid": "K3fnuEfZK"}, "K3fnuEfZL"),
    "text": (STATUS, "别的话"), "longText": (STATUS, {"longTextContent": "很长的话"}),
    "longTextContent": (STATUS, "很长的话"),
    "created_at": ({**STATUS, "id": 11}, "Wed Feb 24 12:28:47 +0800 2021"),
    "deleted": (STATUS, "1"), "pid": ({**STATUS, "retweeted_status": {**STATUS, "id": 22}}, OTHER),
    "pidstr": ({**STATUS, "retweeted_status": {**STATUS, "id": 22}}, OTHER),
    "in_reply_to_status_id": (STATUS, OTHER), "rootid": (COMMENT, OTHER),
    "rootidstr": (COMMENT, OTHER), "reply_comment": (COMMENT, {**COMMENT, "id": int(OTHER)}),
    "status": (COMMENT, {**STATUS, "id": int(OTHER)}),
    "retweeted_status": (STATUS, {**STATUS, "id": int(OTHER)}),
    "reposts_count": (STATUS, 7), "comments_count": (STATUS, 7), "attitudes_count": (STATUS, 7),
    "like_count": (COMMENT, 7), "like_counts": (COMMENT, 7),
    "pic_urls": (STATUS, [{"thumbnail_pic": "http://a"}]), "pic_ids": (STATUS, ["a"]),
    "pics": (STATUS, [{"pid": "a"}]), "pic_num": (STATUS, 2), "pic": (COMMENT, {"pid": "a"}),
    "thumbnail_pic": (STATUS, "http://a"), "page_info.type": (STATUS, "video"),
    "region_name": (STATUS, "发布于 河南"), "source": (COMMENT, "来自河南"),
    "user.id": ({**STATUS, "user": {**USER, "idstr": ""}}, 5550002),
    "user.idstr": (STATUS, "5550002"), "user.screen_name": (STATUS, "某台"),
    "user.name": ({**STATUS, "user": {**USER, "screen_name": ""}}, "某台"),
    "user.location": (STATUS, "河南 郑州"), "user.verified": (STATUS, False),
    "user.verified_type": (STATUS, 1),
    "sender": (MESSAGE, {"id": 1, "idstr": "1"}), "sender_id": (MESSAGE, 5),
    "sender_screen_name": ({**MESSAGE, "sender": {"verified": True, "verified_type": 3}}, "某报"),
    "recipient": ({**MESSAGE, "recipient_id": None, "sender_id": 4}, {"id": 102}),
    "recipient_id": (MESSAGE, 102),
    "edit_at": ({**STATUS, "edit_count": 1}, "Wed Feb 24 12:28:47 +0800 2021"),
}  # fmt: skip
"""Path -> an object, and a value that its named field must show."""


def with_value(item: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(item)
    inner = made
    *above, last = path.split(".")
    for name in above:
        inner = inner.setdefault(name, {})
        if not isinstance(inner, dict):
            return item
    inner[last] = value
    return made


def first(item: Any, build: Builder) -> Post:
    return next(iter(posts_of(item, build)))


def field(post: Post, name: str) -> Any:
    value: Any = post
    for one in name.split("."):
        value = getattr(value, one) if value is not None else None
    return value


def fields() -> list[str]:
    return [path for path, said in KEPT.items() if not said.startswith("(")]


@pytest.mark.parametrize("path", fields())
def test_what_is_kept_fills_the_field_that_is_named(path: str, build: Builder) -> None:
    item, value = TRIES[path]
    name = KEPT[path].partition(" ")[0]
    before, after = first(item, build), first(with_value(item, path, value), build)
    assert field(before, name) != field(after, name), (path, name)


def test_what_is_not_kept_reaches_no_post(build: Builder) -> None:
    for place, path in enumerate(NOT_KEPT):
        mark = f"planted{place:04}"
        # some fields below these are kept, the others are not
        place_of = f"{path}.gender" if path in ("user", "page_info") else path
        for item in (STATUS, COMMENT):
            for value in (mark, [mark], {"a": mark}, [{"id": mark, "screen_name": mark}]):
                try:
                    made = list(posts_of(with_value(item, place_of, value), build))
                except ValueError:
                    continue  # a page or card of another form is no post at all
                assert all(mark not in one.model_dump_json() for one in made), (path, value)


def test_unknown_fields_change_nothing_and_are_counted(build: Builder) -> None:
    strange = {**STATUS, "brand_new": {"a": [1, {"b": "13812345678"}]},
               "user": {**USER, "brand_new": 1}}  # fmt: skip
    assert first(strange, build) == first(STATUS, build)
    assert list(unknown_paths(strange)) == ["brand_new"]
    assert fate("user.brand_new") is not None  # about a person: never kept, whatever it is


def test_missing_fields_are_none_and_never_zero(build: Builder) -> None:
    one = first({"id": STATUS["id"], "text": "停水了", "created_at": STATUS["created_at"]}, build)
    assert one.metrics is None and one.author.key is None and one.author.region is None
    assert one.parent is one.root is one.deleted_at is None and one.media == ()
    some = first({**STATUS, "comments_count": 0}, build)
    assert some.metrics is not None
    assert (some.metrics.comments, some.metrics.likes, some.metrics.reposts) == (0, None, None)


def test_recorded_posts_without_any_one_field(build: Builder, real_data: Path) -> None:
    """Each field of each recorded post left out or null: read all the same, or told in Chinese."""
    file = real_data / "payloads" / "official_timeline_0.json"
    told = json.loads(file.read_text(encoding="utf-8"))["statuses"][:12]
    tried = 0
    for item in told:
        whole = {one.id for one in posts_of(item, build)}
        for name in item:
            for changed in ({k: v for k, v in item.items() if k != name}, {**item, name: None}):
                tried += 1
                try:
                    made = {one.id for one in posts_of(changed, build)}
                except ValueError as error:
                    assert not str(error).isascii(), (name, error)
                    continue
                assert made <= whole, name
    assert tried > 500


def test_envelopes_of_push_and_callback() -> None:
    assert {"id", "text.type", "text.event", "match_info"} <= set(PUSHED)
    assert {"type", "receiver_id", "sender_id", "created_at", "text", "data"} == set(POSTED)
    rows = [*PUSHED.values(), *POSTED.values()]
    assert all(said.startswith(("Post.", "not kept: ", "(")) for said in rows)
    assert sorted(paths_of({"a": {"b": 1}})) == ["a.b"]
