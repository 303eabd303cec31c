"""What becomes of each field that Weibo sends: a `Post` field, or why it is not kept.

Paths are those of the objects' keys; lists are left out, and an object of the same form inside
another (the original in a repost, the post of a comment) is read by the same table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

KEPT: Mapping[str, str] = {
    "id": "id", "idstr": "id", "mid": "id", "bid": "id",
    "text": "text", "longText": "text", "longTextContent": "text",
    "created_at": "created_at",
    "deleted": "deleted_at", "edit_at": "edited_at",
    "pid": "parent", "pidstr": "parent", "in_reply_to_status_id": "parent", "rootid": "parent",
    "rootidstr": "parent", "reply_comment": "parent", "status": "root", "retweeted_status": "root",
    "comments": "(posts of their own)", "statuses": "(posts of their own)",
    "reposts": "(posts of their own)", "root_comments": "(posts of their own)",
    "direct_messages": "(posts of their own)", "messages": "(posts of their own)",
    "detail": "(posts of their own)", "mblog": "(posts of their own)",
    "reposts_count": "metrics.reposts", "comments_count": "metrics.comments",
    "attitudes_count": "metrics.likes", "like_count": "metrics.likes",
    "like_counts": "metrics.likes",
    "pic_urls": "media", "pic_ids": "media", "pics": "media", "pic_num": "media", "pic": "media",
    "thumbnail_pic": "media", "page_info.type": "media",
    "region_name": "author.region", "source": "author.region (of comments; of posts it is the "
    "program that wrote them)",
    "user.id": "author.key", "user.idstr": "author.key", "user.screen_name": "author.name",
    "user.name": "author.name", "user.location": "author.region",
    "user.verified": "author.kind", "user.verified_type": "author.kind",
    "sender": "author.key", "sender_id": "author.key", "sender_screen_name": "author.name",
    "recipient": "offices", "recipient_id": "offices",
    "next_cursor": "(paging)", "total_number": "(paging)",
}  # fmt: skip
"""Path -> the field of `Post` that it fills. A name is kept of organisations only."""

_PERSON = "about a person: the archive is about events"
_LINK = "a link to a picture or video carries its author's number, and nobody has looked at it"
_LOOKS = "how the platform's own page shows it"
_ASKER = "about whoever asks, not about the post"
_TWICE = "said by another field"
_SALES = "advertising and payments"
_STATE = "the platform's own workings"

NOT_KEPT: Mapping[str, str] = {
    "user": _PERSON, "geo": _PERSON, "in_reply_to_user_id": _PERSON,
    "in_reply_to_screen_name": _PERSON, "more_info_users": _PERSON, "comment_badge": _PERSON,
    "reply_original_text": "the words of another post, which is stored by itself",
    "annotations": _STATE, "extend_info": _STATE, "userType": _PERSON,
    "bmiddle_pic": _LINK, "original_pic": _LINK, "page_info": _LINK, "url_objects": _LINK,
    "pic_video": _LINK, "live_photo": _LINK, "gif_ids": _LINK,
    "textLength": _TWICE, "truncated": "always false; isLongText tells", "raw_text": _TWICE,
    "isLongText": "tells that the text is to be asked for whole",
    "edit_count": "edit_at says when, a newer text what",
    "can_edit": _ASKER, "favorited": _ASKER, "liked": _ASKER, "disable_reply": _ASKER,
    "show_additional_indication": _LOOKS, "source_allowclick": _LOOKS, "source_type": _STATE,
    "biz_feature": _STATE, "biz_ids": _STATE, "mlevel": _STATE, "mlevelSource": _STATE,
    "visible": "what is shown to us is public", "darwin_tags": _STATE, "hot_weibo_tags": _STATE,
    "text_tag_tips": _LOOKS, "positive_recom_flag": _STATE, "is_show_bulletin": _LOOKS,
    "hasActionTypeCard": _LOOKS, "category": "the platform's guess; ours is made from the text",
    "picStatus": _LOOKS, "pic_types": _LOOKS, "pic_focus_point": _LOOKS, "pic_flag": _LOOKS,
    "falls_pic_focus_point": _LOOKS, "pic_rectangle_object": _LOOKS, "yellow_pic": _STATE,
    "is_paid": _SALES, "mblog_vip_type": _SALES, "reward_exhibition_type": _SALES,
    "reward_scheme": _SALES, "advertises": _SALES, "ad": _SALES, "cardid": _LOOKS,
    "pending_approval_count": _ASKER, "hide_flag": _STATE, "mblogtype": _STATE,
    "more_info_type": _STATE, "content_auth": _STATE, "alchemy_params": _STATE,
    "comment_manage_info": _STATE, "number_display_strategy": _LOOKS, "rid": _STATE,
    "page_type": _STATE, "expire_time": _STATE, "appid": _STATE, "topic_id": _STATE,
    "sync_mblog": _STATE, "is_imported_topic": _STATE, "buttons": _LOOKS, "status_title": _LOOKS,
    "scheme": _LOOKS, "tipScheme": _LOOKS, "ok": _STATE, "floor_number": _LOOKS,
    "readtimetype": _STATE, "gid": _STATE, "shouldShowColon": _LOOKS, "reply_like": _LOOKS,
    "isLikedByMblogAuthor": _LOOKS, "repost_type": _STATE, "version": _STATE, "safe_tags": _STATE,
    "fid": _STATE, "hasvisible": _STATE, "previous_cursor": "paging goes one way",
    "interval": _STATE, "uve_blank": _STATE, "since_id": _STATE, "max_id": _STATE,
    "has_unread": _ASKER, "request": _STATE, "marks": _STATE, "hasimage": _LOOKS,
    "total": _TWICE, "status_id": _TWICE, "attitudes_status": _ASKER, "isAd": _SALES,
}  # fmt: skip
"""Path -> why it is not kept. A path stands for all that lies under it."""

PUSHED: Mapping[str, str] = {
    "id": "(place in the stream)", "text": "(posts of their own)", "text.type": "Post.kind",
    "text.event": "(only `add` is documented; others are skipped)",
    "match_info": "not kept: which word of the subscription it was; lists are tried on the text",
}  # fmt: skip
"""What stands around a post in the push stream (crawler/spiders/weibo_push.py)."""
POSTED: Mapping[str, str] = {
    "type": "Post.media", "receiver_id": "Post.offices", "sender_id": "Post.author.key",
    "created_at": "Post.created_at", "text": "Post.text",
    "data": f"not kept: {_LINK}; a position tells where a person is",
}  # fmt: skip
"""Fields of a private message that the platform posts (crawler/callback.py)."""

_NESTED = frozenset({
    "retweeted_status", "status", "reply_comment", "comments", "statuses", "reposts", "detail",
    "mblog", "root_comments", "direct_messages", "messages",
})  # fmt: skip


def paths_of(item: Any, before: str = "") -> Iterator[str]:
    """The paths of all values of an object; nested posts begin anew."""
    if isinstance(item, list):
        for one in item:
            yield from paths_of(one, before)
    elif isinstance(item, Mapping):
        for name, value in item.items():
            path = f"{before}.{name}" if before else str(name)
            if name in _NESTED and isinstance(value, Mapping | list):
                yield path
                yield from paths_of(value)
            elif isinstance(value, Mapping) or (isinstance(value, list) and value):
                yield from paths_of(value, path) if _has_objects(value) else (path,)
            else:
                yield path


def _has_objects(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value)
    return any(isinstance(one, Mapping) for one in value)


@cache
def fate(path: str) -> str | None:
    """What becomes of a path: "Post.<field>", or "not kept: why"; None where no table names it."""
    name = path
    while name:
        if name in KEPT:
            return f"Post.{KEPT[name]}"
        if name in NOT_KEPT:
            return f"not kept: {NOT_KEPT[name]}"
        name = name.rpartition(".")[0]
    return None


def unknown_paths(item: Any) -> Iterator[str]:
    """The first names of paths that no table knows (names of fields only, never a value)."""
    for path in paths_of(item):
        if fate(path) is None:
            yield path.partition(".")[0][:40]
