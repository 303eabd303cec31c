"""What becomes of a stored post when another reading of it arrives; the same on every engine.

The outcome does not depend on the order in which readings arrive:
- text, title, media and the other words of the post: the newest reading (`read_at`); of two at the
  same moment the longer text, then the one that sorts last.
- an edit: the latest time that the platform said, or that other words than the newest were read.
- each count: the newest reading that said it; None never replaces a number; of two at the same
  moment the larger.
- offices and mentions: all that any reading named.
- what was read in its pictures stays, whichever reading brought it.
- a deletion holds for ever.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from huiyin.records import Media, Metrics, Post, split_picture_text, with_picture_text

COUNTS = ("reposts", "comments", "likes")
CountedAt = tuple[datetime | None, datetime | None, datetime | None]
"""When reposts, comments and likes were read last; None = never said."""
NEVER: CountedAt = (None, None, None)


@dataclass(frozen=True)
class Merged:
    """A stored post after a reading."""

    post: Post
    counted_at: CountedAt
    changed: bool
    """Text, counts, deletion or another visible field changed."""
    reworded: bool
    """Text or title changed: what was understood of it is old, what failed may succeed."""


def merge(old: Post, counted_at: CountedAt, new: Post) -> Merged:
    """The stored post `old` after the reading `new`; fields of other owners stay."""
    if old.deleted_at is not None:
        return Merged(old, counted_at, changed=False, reworded=False)
    if new.deleted_at is not None:
        return Merged(erased(old, new.deleted_at), counted_at, changed=True, reworded=True)
    words = merge_words(old, new)
    metrics, read = merge_counts(old.metrics, counted_at, new.metrics)
    visible = words.model_copy(update={"read_at": old.read_at}) != old
    return Merged(
        words.model_copy(update={"metrics": metrics}),
        read,
        changed=visible or read != counted_at or _counts(metrics) != _counts(old.metrics),
        reworded=(words.text, words.title) != (old.text, old.title),
    )


def merge_words(old: Post, new: Post) -> Post:
    """`old` with everything but counts taken from the newer of the two readings."""
    update: dict[str, Any] = {
        "offices": _united(old.offices, new.offices),
        "mentions": _united(old.mentions, new.mentions),
    }
    newer = _rank(new) > _rank(old)
    edits = [at for at in (old.edited_at, new.edited_at) if at is not None]
    text, media = _with_pictures(old, new, newer=newer)
    if is_reworded(split_picture_text(old.text)[0], split_picture_text(new.text)[0]):
        edits.append((old if newer else new).read_at)
    if edits:
        update["edited_at"] = max(edits)
    update |= {"text": text, "media": media}
    if newer:
        update |= {"title": new.title, "kind": new.kind, "read_at": new.read_at}
    for name in ("url", "parent", "root", "region"):
        was, comes = getattr(old, name), getattr(new, name)
        if comes is not None and (newer or was is None):
            update[name] = comes
    if new.author.key is not None and (newer or old.author.key is None):
        update["author"] = new.author
    return old.model_copy(update=update)


def _with_pictures(old: Post, new: Post, *, newer: bool) -> tuple[str, tuple[Media, ...]]:
    """Text and media of the newer reading, with what was read in the pictures by whichever did."""
    first, second = (new, old) if newer else (old, new)
    said, pictured = split_picture_text(first.text)
    text = with_picture_text(said, pictured or split_picture_text(second.text)[1])
    media = first.media
    same = [one.kind for one in media] == [one.kind for one in second.media]
    if same and not any(one.was_read for one in media):
        media = second.media if any(one.was_read for one in second.media) else media
    return text, media


def merge_counts(
    old: Metrics | None, counted_at: CountedAt, new: Metrics | None
) -> tuple[Metrics | None, CountedAt]:
    """The counts after a reading, and when each was read last."""
    if new is None:
        return old, counted_at
    values: list[int | None] = []
    times: list[datetime | None] = []
    for name, was_at in zip(COUNTS, counted_at, strict=True):
        was = None if old is None else getattr(old, name)
        comes = getattr(new, name)
        takes = comes is not None and (
            was is None or was_at is None or (was_at, was) < (new.read_at, comes)
        )
        values.append(comes if takes else was)
        times.append(new.read_at if takes else was_at)
    read_at = new.read_at if old is None else max(old.read_at, new.read_at)
    counts = dict(zip(COUNTS, values, strict=True))
    return Metrics(**counts, read_at=read_at), (times[0], times[1], times[2])


def first_counted(metrics: Metrics | None) -> CountedAt:
    """When the counts of a post that is new were read."""
    if metrics is None:
        return NEVER
    read = [None if getattr(metrics, name) is None else metrics.read_at for name in COUNTS]
    return read[0], read[1], read[2]


def erased(post: Post, at: datetime) -> Post:
    """The tombstone of a post: what was said is gone, where and when it was said stays."""
    author = post.author.model_copy(update={"name": None})
    return post.model_copy(
        update={
            "text": "", "title": None, "media": (), "analysis": None, "deleted_at": at,
            "author": author,
        }
    )  # fmt: skip


def category_path(path: Sequence[str]) -> str:
    """`/main/sub/`: a part of the path is found with its slashes around it."""
    return f"/{'/'.join(path)}/" if path else ""


_RENDERED = re.compile(r"https?://[!-~]+|网页链接|全文|展开|收起|\[[^\[\]]{1,8}\]|@某用户")
_NOT_WORDS = re.compile(r"[\W_]+")
_CUT = 100
"""A reading that shows only the beginning shows at least so many characters."""


def is_reworded(one: str, other: str) -> bool:
    """True when two readings show other words, not only other links, emoji, spaces or a shorter

    beginning: tools render the same post in different ways, and lists cut long posts.
    """
    if one == other:
        return False
    words = (_NOT_WORDS.sub("", _RENDERED.sub("", text)) for text in (one, other))
    short, long = sorted(words, key=len)
    return bool(short) and short != long and not (len(short) >= _CUT and long.startswith(short))


def _counts(metrics: Metrics | None) -> tuple[int | None, ...]:
    return () if metrics is None else tuple(getattr(metrics, name) for name in COUNTS)


def _rank(post: Post) -> tuple[datetime, int, str, str]:
    said, _ = split_picture_text(post.text)
    return post.read_at, len(said), said, post.title or ""


def _united(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*old, *new)))
