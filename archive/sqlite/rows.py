"""How a post lies in rows, and back."""

from __future__ import annotations

import marshal
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic_core import from_json

from archive.authors import author_number
from archive.merging import COUNTS, erased
from archive.sqlite.connection import Row
from archive.tokens import index_tokens
from huiyin.records import Analysis, Post, text_sha

LEAST_IN_ARRAYS = 200
"""Posts at once from which making their tokens in arrays pays for its tables."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

POST_COLUMNS = (
    "n", "id", "created_at", "collected_at", "read_at", "deleted_at", "slice", "platform", "kind",
    "author_kind", "region", "root", "parent", "metrics_at", "reposts", "reposts_at", "comments",
    "comments_at", "likes", "likes_at", "text_sha", "author",
)  # fmt: skip
CONTENT_COLUMNS = ("n", "text", "title", "rest")
_IN_COLUMNS = {
    "text", "title", "read_at", "metrics", "deleted_at", "analysis", "incident", "created_at",
    "collected_at",
}  # fmt: skip
"""Fields of a post that are columns, so not in `contents.rest`."""

READ = (
    "p.n, p.created_at, p.collected_at, p.read_at, p.deleted_at, p.metrics_at, p.reposts,"
    " p.comments, p.likes, p.incident, c.text, c.title, c.rest, c.analysis, v.vector"
)
FROM = "posts p JOIN contents c ON c.n = p.n LEFT JOIN vectors v ON v.n = p.n"
"""`SELECT {READ} FROM {FROM}` gives rows for `to_post`."""


def micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return round(at.timestamp() * 1_000_000)


def moment(at: int) -> datetime:
    """The aware UTC time of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=at)


def rest_json(post: Post) -> str:
    """The fields that are no columns, as JSON."""
    return post.model_dump_json(exclude=_IN_COLUMNS, exclude_defaults=True)


class Prepared(NamedTuple):
    """A post as plain values, worked out before the write lock is taken; `marshal` carries it."""

    id: str
    columns: Row
    """Values of `POST_COLUMNS` after `n`."""
    text: str
    title: str | None
    rest: str
    offices: tuple[str, ...]
    mentions: tuple[str, ...]
    deleted: bool

    def post(self) -> Post:
        """The post again."""
        got = dict(zip(POST_COLUMNS[1:], self.columns, strict=True))
        return to_post(
            (
                0, got["created_at"], got["collected_at"], got["read_at"], got["deleted_at"],
                got["metrics_at"], got["reposts"], got["comments"], got["likes"], None, self.text,
                self.title, self.rest, None, None,
            )
        )  # fmt: skip


def prepare(post: Post) -> Prepared:
    """All that can be known of a post's rows without the archive."""
    if post.deleted_at is not None:
        post = erased(post, post.deleted_at)
    return Prepared(
        post.id, _columns(post), post.text, post.title, rest_json(post), post.offices,
        post.mentions, post.deleted_at is not None,
    )  # fmt: skip


def words_of(one: Prepared) -> Row:
    """Tokens of text and title."""
    return index_tokens(one.text), index_tokens(one.title) if one.title else ""


def prepared(posts: Sequence[Post]) -> list[tuple[Prepared, Row]]:
    """Posts and their tokens, which are made in arrays where there are many."""
    rows = list(map(prepare, posts))
    if len(rows) < LEAST_IN_ARRAYS:
        return [(one, words_of(one)) for one in rows]
    from archive.many_tokens import index_tokens_of  # numpy: not for a light start

    texts = index_tokens_of([one.text for one in rows])
    titles = index_tokens_of([one.title or "" for one in rows])
    return list(zip(rows, zip(texts, titles, strict=True), strict=True))


def pack(posts: Sequence[Post]) -> bytes:
    """Posts prepared in another process, for `put_packed`."""
    return marshal.dumps([(tuple(one), words) for one, words in prepared(posts)])


def unpack(packed: bytes) -> Iterator[tuple[Prepared, Row]]:
    """The inverse of `pack`; `packed` comes from our own process."""
    return ((Prepared._make(one), words) for one, words in marshal.loads(packed))  # noqa: S302


def _columns(post: Post) -> Row:
    metrics, read = post.metrics, micros(post.read_at)
    at = None
    if metrics is not None:  # an import reads all at one moment
        at = read if metrics.read_at == post.read_at else micros(metrics.read_at)
    counts: list[int | None] = []
    for name in COUNTS:
        value = None if metrics is None else getattr(metrics, name)
        counts += (value, None if value is None else at)
    return (
        post.id, micros(post.created_at),
        read if post.collected_at == post.read_at else micros(post.collected_at), read,
        None if post.deleted_at is None else micros(post.deleted_at),
        zlib.crc32(post.id.encode()), post.platform, post.kind._value_, post.author.kind._value_,
        post.region, post.root, post.parent, at, *counts, text_sha(post.title, post.text),
        author_number(post.author.key),
    )  # fmt: skip


def to_post(row: Sequence[Any]) -> Post:
    """A row of `READ` as a post."""
    (
        _n, created_at, collected_at, read_at, deleted_at, metrics_at, reposts, comments, likes,
        incident, text, title, rest, analysis, vector,
    ) = row  # fmt: skip
    fields: dict[str, Any] = from_json(rest)
    fields.update(
        text=text, title=title, incident=incident, created_at=moment(created_at),
        collected_at=moment(collected_at), read_at=moment(read_at),
    )  # fmt: skip
    if deleted_at is not None:
        fields["deleted_at"] = moment(deleted_at)
    if metrics_at is not None:
        fields["metrics"] = {
            "reposts": reposts, "comments": comments, "likes": likes,
            "read_at": moment(metrics_at),
        }  # fmt: skip
    if analysis is not None:
        fields["analysis"] = {**from_json(analysis), "vector": vector or b""}
    return Post.model_validate(fields)


def analysis_json(analysis: Analysis) -> str:
    """Everything but the vector, which lies in its own table."""
    return analysis.model_dump_json(exclude={"vector"})
