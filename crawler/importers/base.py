"""What every importer is, and what reading a file can say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from crawler.build import Builder
from crawler.privacy import masked
from huiyin.records import Post

Row = Mapping[str, Any]
REASONS_SHOWN = 100


@dataclass(frozen=True)
class Head:
    """What the beginning of a file shows."""

    shape: str
    """`table` (CSV, XLSX) or `objects` (JSON, one object a line or a list)"""
    columns: tuple[str, ...]
    """Header cells of a table, or the names in the first object."""
    first: Row = field(default_factory=dict)
    """The first object; empty for a table."""

    def has(self, *names: str) -> bool:
        """True when all the names are there."""
        return set(names) <= set(self.columns)


@dataclass(frozen=True)
class Item:
    """One row of a file: a table's row by column name, or a JSON object."""

    line: int
    """1-based line where it begins (in a JSON list: its position)."""
    row: Row


@dataclass(frozen=True)
class BadRow:
    """A row that could not be read. `reason` holds nothing of its content."""

    line: int
    reason: str


class Importer(Protocol):
    """One file format. Recognised by header or first object, never by file name."""

    @property
    def name(self) -> str:
        """Short name, kept in `Origin.spider` as `import:<name>`."""

    @property
    def title(self) -> str:
        """In Chinese, for messages."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names that are usual; the nearest formats are found by them."""

    def recognise(self, head: Head) -> bool:
        """True when a file that begins like this is of the format."""

    def posts(self, row: Row, build: Builder) -> Iterable[Post]:
        """The posts of one row. Raises `ValueError` (a Chinese sentence) when it cannot be read."""


@runtime_checkable
class Paged(Protocol):
    """An importer whose objects hold many posts: each is a row of its own."""

    def members(self, row: Row) -> Iterable[tuple[str, Row]]:
        """What stands in an object, each with its place in Chinese ("" = it is the whole)."""


@dataclass
class FileReport:
    """What became of one file; `huiyin import --json` prints `as_dict`."""

    file: str
    read: int = 0
    """Rows read, repeated headers not counted."""
    new: int = 0
    updated: int = 0
    skipped: int = 0
    """Rows that could not be read."""
    reasons: list[dict[str, Any]] = field(default_factory=list)
    """`{line, reason}` of the first 100 skipped rows."""

    def skip(self, bad: BadRow) -> None:
        """Count a bad row; the first 100 are listed."""
        self.skipped += 1
        if len(self.reasons) < REASONS_SHOWN:
            self.reasons.append({"line": bad.line, "reason": bad.reason})

    def refuse(self, posts: int) -> None:
        """Count posts that the archive keeps apart because its server refuses them."""
        self.skipped += posts
        if posts and len(self.reasons) < REASONS_SHOWN:
            reason = f"档案服务器不接受其中 {posts} 条，运行 huiyin doctor 看是哪些"
            self.reasons.append({"line": None, "reason": reason})

    def as_dict(self) -> dict[str, Any]:
        """`{file, read, new, updated, skipped, reasons}`"""
        return dict(vars(self))


_BETWEEN = re.compile(r"[,，;；\s]+")
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def read_rows(
    importer: Importer, items: Iterable[Item | BadRow], build: Builder
) -> Iterator[list[Post] | BadRow]:
    """The posts of each row, or why it could not be read; a bad row never stops the rest."""
    posts = importer.posts
    members = importer.members if isinstance(importer, Paged) else None
    for item in items:
        if isinstance(item, BadRow):
            yield item
            continue
        for place, row in members(item.row) if members else (("", item.row),):
            try:
                yield list(posts(row, build))
            except _UNREADABLE as error:
                yield BadRow(item.line, place + reason_of(error))


def reason_of(error: Exception) -> str:
    """The error's own sentence if it is one of ours; nothing of the row's content otherwise."""
    text = str(error)
    if isinstance(error, ValueError) and _CHINESE.search(text) and len(text) < 200:
        return masked(text)
    return "这一行的内容不合格式"


def cell(row: Row, *names: str) -> str:
    """The first of the named values that is not empty, as text without blanks around it."""
    for name in names:
        value = row.get(name)
        if value is not None and value != "":  # most cells of an export are empty
            text = value.strip() if isinstance(value, str) else str(value)
            if text:
                return text
    return ""


def pieces(value: str) -> list[str]:
    """Values in one cell, separated by commas, semicolons or blanks."""
    return [one for one in _BETWEEN.split(value) if one] if value else []
