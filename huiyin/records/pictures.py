"""Pictures that were fetched, and the text in them."""

from __future__ import annotations

from typing import ClassVar

from huiyin.records.base import Record, StateRecord, UtcDatetime

PICTURE_TEXT = "\n\n【图中文字】\n"
"""Between what a post says and what its pictures say, in `Post.text`."""


def split_picture_text(text: str) -> tuple[str, str]:
    """What a post says, and what its pictures say ("" = nothing was read)."""
    said, mark, pictured = text.partition(PICTURE_TEXT)
    return said, pictured if mark else ""


def with_picture_text(text: str, pictured: str) -> str:
    """The text of a post with what its pictures say."""
    said, _ = split_picture_text(text)
    return f"{said}{PICTURE_TEXT}{pictured}" if pictured else said


class PictureFile(Record):
    sha256: str
    """Of the file, which was drawn anew: WebP, without EXIF."""
    width: int
    height: int
    bytes: int
    was_read: bool = False
    """Its text was looked for (there may be none)."""


class Picture(StateRecord):
    """The pictures of one post. id = `picture:<post id>`; files lie in the folder of pictures."""

    kind: ClassVar[str] = "picture"
    post: str
    state: str = "stored"
    """stored, failed (none could be had), gone (deleted with the post, or too old)"""
    files: tuple[PictureFile, ...] = ()
    refused: tuple[str, ...] = ()
    """Why each of the others is not here."""
    fetched_at: UtcDatetime

    @property
    def ref(self) -> str:
        return self.post
