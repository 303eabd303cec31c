"""Posts from the JSON of Weibo's official interface (v2) and of m.weibo.cn pages.

Object forms: open.weibo.com wiki (statuses, comments, messages) and real answers of 2016-2020.
What is special: a deleted original inside a repost has `deleted` and no user; a long text stands in
`longText`; `pics` is a list or an object; deleted posts have an empty time; a comment carries the
post it stands under.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from crawler.build import Builder, author_kind
from crawler.pictures import links
from crawler.values import mid_to_bid, parse_count, plain_text, weibo_number
from huiyin.records import Kind, Post

Json = Mapping[str, Any]
LISTS = ("statuses", "comments", "reposts", "root_comments", "direct_messages", "messages")
PLATFORM = "weibo"
_CUT_MARK = re.compile(r"[.…\s]*(?:全文|展开)?[.…\s\u200b]*\Z")
"""How a list ends a text that it cuts."""
_OTHER_FORMS = frozenset({
    *LISTS, "detail", "mblog", "data", "recipient_id", "sender_id", "sender", "status", "rootid",
    "rootidstr", "floor_number", "reply_comment",
})  # fmt: skip
"""An object with a text and none of these is a post."""


def post_url(number: str) -> str:
    """Link to a post without its author's number."""
    return f"https://m.weibo.cn/status/{mid_to_bid(number) if len(number) > 14 else number}"


def is_deleted(status: Json) -> bool:
    """True for a post that the platform no longer shows: flagged, or no user and no time."""
    if str(status.get("deleted", "")).lower() in ("1", "true"):
        return True
    return not status.get("user") and not status.get("created_at")


def number_of(item: Json) -> str:
    """The number of a post or comment; text forms first, because JavaScript cuts long numbers.

    Raises `ValueError`.
    """
    for name in ("idstr", "mid", "id", "bid"):
        if item.get(name) not in (None, "", 0):
            return weibo_number(item[name])
    return weibo_number(None)


def posts_of(item: Any, build: Builder) -> Iterator[Post]:
    """Posts of one object: a page, a post, a comment, a private message or a saved detail page.

    Raises `ValueError` with a sentence in Chinese for what cannot be read.
    """
    if not isinstance(item, dict):
        raise ValueError("不是帖子对象")
    if isinstance(item.get("text"), str) and item.keys().isdisjoint(_OTHER_FORMS):
        yield from status_posts(item, build)  # what nearly all are
        return
    if isinstance(item.get("detail"), dict):
        yield from _detail(item, build)
        return
    if isinstance(item.get("mblog"), dict):
        yield from status_posts(item["mblog"], build)
        return
    pushed = item.get("text")
    if isinstance(pushed, dict):  # a record of the commercial push stream
        kind = pushed.get("type")
        yield from posts_of(pushed.get(kind) if isinstance(kind, str) else None, build)
        return
    lists = [(name, item[name]) for name in LISTS if isinstance(item.get(name), list)]
    if lists and "text" not in item:
        for name, members in lists:
            for member in members:
                yield from _member(name, member, build)
    elif isinstance(item.get("data"), dict | list):
        yield from _mobile(item["data"], build)
    elif is_message(item):
        yield message_post(item, build)
    elif is_comment(item):
        yield from comment_posts(item, build)
    else:
        yield from status_posts(item, build)


def is_comment(item: Json) -> bool:
    """Comments carry their post, or belong to a tree of comments."""
    if isinstance(item.get("status"), dict):
        return True
    return any(name in item for name in ("rootid", "rootidstr", "floor_number", "reply_comment"))


def is_message(item: Json) -> bool:
    """Private messages have a sender and a recipient."""
    return "recipient_id" in item or "sender_id" in item or {"sender", "recipient"} <= item.keys()


def _member(name: str, member: Any, build: Builder) -> Iterator[Post]:
    if isinstance(member, str | int):
        raise ValueError("这一页只有编号，没有正文（trim 或 ids 接口）")
    if not isinstance(member, dict):
        raise ValueError("不是帖子对象")
    if name in ("comments", "root_comments"):
        yield from comment_posts(member, build)
    elif name in ("direct_messages", "messages"):
        yield message_post(member, build)
    else:
        yield from status_posts(member, build)


def _mobile(data: Any, build: Builder) -> Iterator[Post]:
    if isinstance(data, list):
        for member in data:
            yield from posts_of(member, build)
        return
    if isinstance(data.get("cards"), list):
        for card in data["cards"]:
            for one in (card, *(card.get("card_group") or ())):
                if isinstance(one.get("mblog"), dict):
                    yield from status_posts(one["mblog"], build)
    elif isinstance(data.get("data"), list):
        for member in data["data"]:
            yield from posts_of(member, build)
    else:
        yield from posts_of(data, build)


def _detail(item: Json, build: Builder) -> Iterator[Post]:
    detail = item["detail"]
    yield from status_posts(detail, build)
    number = number_of(detail)
    for comment in item.get("comments") or ():
        yield from comment_posts(comment, build, under=detail)
    for repost in item.get("reposts") or ():
        yield from status_posts(repost, build, original=number)


# ---------------------------------------------------------------- posts


def status_posts(status: Json, build: Builder, original: str | None = None) -> Iterator[Post]:
    """The post, then the original if it is a repost (`original`: its number where only that is

    known). A deleted post becomes a deletion record.
    """
    number = number_of(status)
    if is_deleted(status):
        yield _deletion(number, status, build)
        return
    inner = status.get("retweeted_status")
    root = number_of(inner) if isinstance(inner, dict) else original
    parent = status.get("pidstr") or status.get("pid") if root else None
    parent = parent or root or status.get("in_reply_to_status_id")
    if links.wanted():
        links.note(f"{PLATFORM}:{number}", picture_links(status), build.now)
    yield build.post(
        platform=PLATFORM,
        native=number,
        kind=Kind.REPOST if root else Kind.POST,
        text=_full_text(status),
        url=post_url(number),
        created_at=build.time(status.get("created_at"), number),
        parent=f"{PLATFORM}:{weibo_number(parent)}" if parent else None,
        root=f"{PLATFORM}:{root}" if root else None,
        reposts=parse_count(status.get("reposts_count")),
        comments=parse_count(status.get("comments_count")),
        likes=parse_count(status.get("attitudes_count")),
        pictures=_pictures(status),
        videos=1 if _page_type(status) == "video" else 0,
        edited_at=_edited_at(status, build),
        **_author(status, "region_name"),
    )
    if isinstance(inner, dict):
        yield from status_posts(inner, build)


def _edited_at(status: Json, build: Builder) -> datetime | None:
    """When its author changed a post, where the platform says so."""
    try:
        return build.time(status["edit_at"]) if status.get("edit_at") else None
    except ValueError:
        return None


def is_cut_short(item: Json) -> bool:
    """True for a post whose list shows only the beginning of its text."""
    return bool(item.get("isLongText")) and not (
        item.get("longText") or item.get("longTextContent")
    )


def with_whole(shown: Post, stored: Post) -> Post:
    """What a list shows of a post, with its stored text where the list shows only its beginning."""
    beginning = _CUT_MARK.sub("", shown.text)
    if len(stored.text) <= len(beginning) or not stored.text.startswith(beginning):
        return shown
    whole = {"text": stored.text, "title": stored.title, "read_at": stored.read_at}
    return shown.model_copy(update=whole)


def _deletion(number: str, status: Json, build: Builder) -> Post:
    return build.post(
        platform=PLATFORM, native=number, text="", url=post_url(number),
        created_at=build.time(status.get("created_at"), number), deleted_at=build.at,
    )  # fmt: skip


def _full_text(status: Json) -> str:
    long = status.get("longText")
    text = long.get("longTextContent") if isinstance(long, dict) else None
    text = text or status.get("longTextContent") or status.get("text") or ""
    if not isinstance(text, str):
        raise ValueError("正文不是文字")
    plain = plain_text(text)
    return plain.removesuffix("全文") if plain.endswith("...全文") else plain


def _pictures(status: Json) -> int:
    for name in ("pic_urls", "pic_ids", "pics"):
        if status.get(name):
            return len(status[name])
    count = status.get("pic_num")
    return count if isinstance(count, int) else int(bool(status.get("thumbnail_pic")))


def picture_links(status: Json) -> tuple[str, ...]:
    """Addresses of a post's pictures in the large form; they carry its author's number."""
    found: list[str] = []
    pics = status.get("pics")
    for one in pics if isinstance(pics, list) else ():
        if isinstance(one, dict):
            large = one.get("large")
            found.append(str((large if isinstance(large, dict) else one).get("url") or ""))
    shown = status.get("pic_urls")
    for one in shown if not found and isinstance(shown, list) else ():
        if isinstance(one, dict):
            found.append(str(one.get("thumbnail_pic") or "").replace("/thumbnail/", "/large/"))
    if not found:
        found.append(str(status.get("original_pic") or ""))
    return tuple(dict.fromkeys(one for one in found if one.startswith(("http://", "https://"))))


def _page_type(status: Json) -> str:
    page = status.get("page_info")
    return str(page.get("type", "")) if isinstance(page, dict) else ""


def _author(item: Json, region_field: str, user_field: str = "user") -> dict[str, Any]:
    user = item.get(user_field)
    region = str(item.get(region_field) or "")
    region = region.removeprefix("发布于").removeprefix("来自").strip()
    if region.startswith("<"):  # the older form: a link to the author's client, not a place
        region = ""
    if isinstance(user, int | str):  # trim_user=1 leaves only the number
        return {"uid": str(user), "region": region}
    if not isinstance(user, dict):
        return {"region": region}
    uid = user.get("idstr") or user.get("id")
    place = str(user.get("location") or "")
    return {
        "uid": str(uid) if uid else None,
        "name": user.get("screen_name") or user.get("name"),
        "author": author_kind(user.get("verified"), user.get("verified_type")),
        "region": region or (place if place != "其他" else ""),
    }


# ---------------------------------------------------------------- comments, messages


def comment_posts(comment: Json, build: Builder, under: Json | None = None) -> Iterator[Post]:
    """The comment, the post it carries, and the answers nested in it.

    `under`: the post it stands under, where the comment does not carry it.
    """
    number = number_of(comment)
    carried = comment.get("status")
    status = carried if isinstance(carried, dict) else under
    root = number_of(status) if status else None
    if not comment.get("created_at") and not comment.get("user"):
        yield _deletion(number, comment, build)
        return
    parent = _answered(comment, number) or root
    yield build.post(
        platform=PLATFORM,
        native=number,
        kind=Kind.COMMENT,
        text=_full_text(comment),
        url=post_url(root) if root else None,
        created_at=build.time(comment.get("created_at"), number),
        parent=f"{PLATFORM}:{parent}" if parent else None,
        root=f"{PLATFORM}:{root}" if root else None,
        comments=parse_count(comment.get("total_number")),
        likes=parse_count(comment.get("like_count", comment.get("like_counts"))),
        pictures=1 if comment.get("pic") else 0,
        belongs=_belongs(status, build),
        **_author(comment, "source"),
    )
    if isinstance(carried, dict):
        yield from status_posts(carried, build)
    answers = comment.get("comments")
    for answer in answers if isinstance(answers, list) else ():
        yield from comment_posts(answer, build, under=status)


def _answered(comment: Json, number: str) -> str | None:
    """Number of the comment that this one answers."""
    answered = comment.get("reply_comment")
    if isinstance(answered, dict):
        return number_of(answered)
    root = comment.get("rootidstr") or comment.get("rootid")
    if root and str(root) not in (number, "0"):
        return weibo_number(root)
    return None


def _belongs(status: Json | None, build: Builder) -> tuple[str, ...]:
    """The official account under whose post a comment stands."""
    user = status.get("user") if status else None
    if not isinstance(user, dict):
        return ()
    uid = user.get("idstr") or user.get("id")
    account = build.accounts.find(PLATFORM, str(uid) if uid else None, user.get("screen_name"))
    return (account.id,) if account else ()


def message_post(message: Json, build: Builder) -> Post:
    """A private message to an official account; it belongs to its recipient."""
    number = number_of(message)
    recipient = message.get("recipient")
    to = message.get("recipient_id")
    if not to and isinstance(recipient, dict):
        to = recipient.get("idstr") or recipient.get("id")
    account = build.accounts.find(PLATFORM, str(to) if to else None, None)
    who = _author(message, "region_name", "sender")
    if not who.get("uid") and message.get("sender_id"):
        who["uid"] = str(message["sender_id"])
    if not who.get("name"):
        who["name"] = message.get("sender_screen_name")
    return build.post(
        platform=PLATFORM,
        native=f"m{number}",  # messages are numbered apart from posts
        kind=Kind.MESSAGE,
        text=_full_text(message),
        created_at=build.time(message.get("created_at")),
        belongs=(account.id,) if account else (),
        **who,
    )
