"""JSON lines in our own form: a post as the archive keeps it, or the short form of streams."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from crawler.build import NAMED, Builder, author_kind, clean
from crawler.importers.base import Head, Row, cell
from crawler.privacy import mask
from crawler.values import parse_count
from huiyin.records import Author, AuthorKind, Kind, Post

PLATFORM = "file"
"""Platform of ids that name none."""
_KINDS = {
    "post": Kind.POST, "posts": Kind.POST, "comment": Kind.COMMENT, "comments": Kind.COMMENT,
    "repost": Kind.REPOST, "reposts": Kind.REPOST, "message": Kind.MESSAGE,
    "messages": Kind.MESSAGE, "notice": Kind.NOTICE,
}  # fmt: skip


_KEY = re.compile(r"u[0-9a-f]{16}\Z")
_AUTHOR_KINDS = frozenset(AuthorKind)


class OwnJson:
    """`{id, text, title?, created_at, author?, root?, verified_type?}`; unknown names are ignored.

    A record of the archive (`source`, `collected_at`) keeps everything but analysis and incident.
    Texts are masked in any case. Ids without a platform become `file:<id>`.
    """

    name = "huiyin"
    title = "回音的 JSONL"
    columns = (
        "id", "text", "title", "created_at", "author", "root", "parent", "kind", "verified_type",
        "reposts", "comments", "likes",
    )  # fmt: skip

    def recognise(self, head: Head) -> bool:
        return "text" in head.columns and (
            head.has("created_at") or head.has("id") or head.has("read_at")
        )

    def posts(self, row: Row, build: Builder) -> Iterator[Post]:
        if isinstance(row.get("source"), Mapping) and "collected_at" in row:
            yield _dumped(row, build)
        else:
            yield _short(row, build)


def _dumped(row: Row, build: Builder) -> Post:
    fields = {name: row[name] for name in Post.model_fields if name in row}
    fields["analysis"] = fields["incident"] = None
    try:
        post = Post.model_validate(fields)
    except ValidationError as error:
        where = "、".join(str(one["loc"][0]) for one in error.errors()[:3] if one["loc"])
        raise ValueError(f"字段有误：{where}") from error
    return post.model_copy(
        update={
            "text": _hidden(post.text, build), "author": _hidden_author(post, build),
            "title": _hidden(post.title, build) if post.title else None,
            "url": _hidden(post.url, build) if post.url else None,
            "source": build.origin(post.source.query),
        }
    )  # fmt: skip


def _hidden(text: str, build: Builder) -> str:
    return mask(clean(text), build.accounts.by_name)[0]


def _hidden_author(post: Post, build: Builder) -> Author:
    """The author without a person's name; a key that is no keyed hash is made one."""
    author = post.author
    name = author.name if author.kind in NAMED else None
    key = author.key
    if key and not _KEY.match(key):
        key = build.identity.author_key(post.platform, key)
    return author.model_copy(update={"name": name, "key": key})


def _short(row: Row, build: Builder) -> Post:
    text = row.get("text")
    if not isinstance(text, str) or not (text.strip() or row.get("title")):
        raise ValueError("没有正文")
    under = cell(row, "root", "post")
    parent = cell(row, "parent") or under
    created_at = build.time(row.get("created_at"))
    account = build.accounts.by_name.get(cell(row, "account"))
    author, name = cell(row, "author", "uid", "user_id"), cell(row, "name", "user_name")
    if account and not under:  # a post of an official account
        name, author = cell(row, "account"), ""
    return build.post(
        platform=(ids := _split(cell(row, "id"), row, author, build))[0],
        native=ids[1],
        kind=_kind(row, parent),
        text=text,
        title=cell(row, "title") or None,
        created_at=created_at,
        uid=author or None,
        name=name or None,
        author=_author_kind(row),
        region=cell(row, "region", "location"),
        belongs=(account,) if account else (),
        parent=_reference(parent),
        root=_reference(under),
        reposts=parse_count(row.get("reposts")),
        comments=parse_count(row.get("comments")),
        likes=parse_count(row.get("likes")),
        read_at=build.read_at(row["read_at"]) if row.get("read_at") else None,
    )


def _kind(row: Row, parent: str) -> Kind:
    told = _KINDS.get(cell(row, "kind").lower())
    if told is not None:
        return told
    if "cascade" in row and "parent" in row:
        return Kind.REPOST
    return Kind.COMMENT if parent else Kind.POST


def _author_kind(row: Row) -> AuthorKind:
    told = cell(row, "author_kind")
    if told in _AUTHOR_KINDS:
        return AuthorKind(told)
    return author_kind(row.get("verified"), row.get("verified_type"))


def _split(text: str, row: Row, author: str, build: Builder) -> tuple[str, str]:
    """Platform and native part; without an id, a keyed hash of the row stands for it."""
    if not text:
        said = (cell(row, "post", "root"), cell(row, "created_at"), cell(row, "text"))
        whole = "\0".join((author, *said))
        return PLATFORM, "r" + build.identity.author_key("row", whole)[1:]
    platform, colon, native = text.partition(":")
    if colon and native and platform.isascii() and platform.replace("-", "").isalnum():
        return platform, native
    return PLATFORM, text


def _reference(text: str) -> str | None:
    if not text:
        return None
    return text if ":" in text else f"{PLATFORM}:{text}"
