"""The writes that can wait: how each lies in the spool, and how it is done in the end.

Only these five: doing one twice changes nothing, and what they leave does not depend on who else
wrote in between (see `archive.base.Archive`). An act of a person is none of them.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json

from archive.base import Archive
from archive.spool.store import Entry
from huiyin.errors import ArchiveError
from huiyin.records import Analysis, Post

POSTS_AN_ENTRY = 500
_COUNT_BYTES = 4
_POSTS = TypeAdapter(tuple[Post, ...])


class CountingPacker:
    """The engine's packer, with the number of posts in front; can be sent to another process."""

    def __init__(self, inner: Callable[[Sequence[Post]], bytes]) -> None:
        self._inner = inner

    def __call__(self, posts: Sequence[Post]) -> bytes:
        return len(posts).to_bytes(_COUNT_BYTES) + self._inner(posts)


def unpacked(packed: bytes) -> tuple[int, bytes]:
    """(number of posts, what the engine's packer made)."""
    return int.from_bytes(packed[:_COUNT_BYTES]), packed[_COUNT_BYTES:]


def put_entries(posts: Sequence[Post]) -> Iterator[Entry]:
    """`put_posts`; without the fields that it ignores."""
    for start in range(0, len(posts), POSTS_AN_ENTRY):
        part = tuple(posts[start : start + POSTS_AN_ENTRY])
        body = _POSTS.dump_json(part, exclude={"__all__": {"analysis", "incident"}})
        yield _entry("put", len(part), body)


def packed_entry(packed: bytes) -> Entry:
    """`put_packed`, as `CountingPacker` made it."""
    count, body = unpacked(packed)
    return _entry("packed", count, body)


def delete_entry(ids: Sequence[str], at: datetime) -> Entry:
    """`delete_posts`."""
    return _entry("delete", len(ids), _json({"ids": list(ids), "at": at.isoformat()}))


def analyses_entry(analyses: Sequence[tuple[str, Analysis]]) -> Entry:
    """`write_analyses`; vectors in base64."""
    rows = [
        [post_id, one.model_dump(mode="json", exclude={"vector"}),
         base64.b64encode(one.vector).decode()]
        for post_id, one in analyses
    ]  # fmt: skip
    return _entry("analyses", len(rows), _json(rows))


def marks_entry(marks: Mapping[str, str], was: Mapping[str, Sequence[str]] | None) -> Entry:
    """`mark_incidents`."""
    left = {post_id: list(from_) for post_id, from_ in (was or {}).items()}
    return _entry("marks", len(marks), _json({"marks": dict(marks), "was": left}))


def do(archive: Archive, entries: Sequence[Entry]) -> None:
    """Do the writes of entries of one act, in order.

    Raises what the archive raises; `ArchiveError` when an entry cannot be read.
    """
    try:
        _DO[entries[0].act](archive, [zlib.decompress(one.body) for one in entries])
    except (zlib.error, ValueError, KeyError, TypeError, EOFError) as error:
        # another version's, or damaged: it must not end the thread that hands on the others
        raise ArchiveError(
            f"暂存的一条读不出：{type(error).__name__} {error}", "请把此信息交给管理员"
        ) from error


def _put(archive: Archive, bodies: list[bytes]) -> None:
    archive.put_posts([post for body in bodies for post in _POSTS.validate_json(body)])


def _put_packed(archive: Archive, bodies: list[bytes]) -> None:
    for body in bodies:
        archive.put_packed(body)


def _delete(archive: Archive, bodies: list[bytes]) -> None:
    for body in bodies:
        got = from_json(body)
        archive.delete_posts(got["ids"], datetime.fromisoformat(got["at"]))


def _analyses(archive: Archive, bodies: list[bytes]) -> None:
    for body in bodies:
        archive.write_analyses(
            [
                (post_id, Analysis.model_validate({**one, "vector": base64.b64decode(vector)}))
                for post_id, one, vector in from_json(body)
            ]
        )


def _marks(archive: Archive, bodies: list[bytes]) -> None:
    for body in bodies:
        got = from_json(body)
        archive.mark_incidents(got["marks"], was=got["was"])


_DO: Mapping[str, Callable[[Archive, list[bytes]], None]] = {
    "put": _put, "packed": _put_packed, "delete": _delete, "analyses": _analyses, "marks": _marks,
}  # fmt: skip


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _entry(act: str, posts: int, body: bytes) -> Entry:
    return Entry(act, posts, zlib.compress(body, 1))
