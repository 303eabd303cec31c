"""Any table with a small mapping file: exports of 12345 hotlines, message boards, spreadsheets."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crawler.build import Builder
from crawler.importers.base import Head, Row, cell, pieces
from crawler.values import CHINA, parse_count
from huiyin.errors import FileFormatError, unreadable
from huiyin.records import Kind, Post

FIELDS = (
    "id", "text", "title", "created_at", "author", "region", "account", "mentions", "parent",
    "root", "url", "reposts", "comments", "likes", "read_at",
)  # fmt: skip
_MEND = "参照 docs/importing.md 的例子修改映射文件"


@dataclass(frozen=True)
class TableMapping:
    """What a mapping file says. `columns`: field -> columns of the table, joined by line breaks."""

    platform: str
    kind: Kind
    columns: Mapping[str, tuple[str, ...]]
    time_format: str = ""
    fixed: Mapping[str, str] = field(default_factory=dict)


def load_mapping(file: Path) -> TableMapping:
    """Read and check a mapping file. Raises `FileFormatError` that names what is wrong."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"映射文件读不出来：{unreadable(error)}", _MEND, file=str(file)
        ) from error
    platform, kind = str(table.get("platform", "file")), str(table.get("kind", "message"))
    columns = table.get("columns")
    unknown = set(table) - {"platform", "kind", "columns", "time_format"}
    if unknown:
        what = f"映射文件有不认识的名称 {'、'.join(sorted(unknown))}"
        raise FileFormatError(what, _MEND, file=str(file))
    if not platform.replace("-", "").replace("_", "").isalnum() or not platform.isascii():
        raise FileFormatError("platform 只能用字母、数字和连字符", _MEND, file=str(file))
    if kind not in set(Kind):
        raise FileFormatError(f"kind 应为 {'、'.join(Kind)} 之一", _MEND, file=str(file))
    if not isinstance(columns, dict) or not {"text", "created_at"} <= set(columns):
        raise FileFormatError("[columns] 里至少要有 text 和 created_at", _MEND, file=str(file))
    if strange := set(columns) - set(FIELDS):
        raise FileFormatError(
            f"[columns] 有不认识的字段 {'、'.join(sorted(strange))}，可用的是 {'、'.join(FIELDS)}",
            _MEND, file=str(file),
        )  # fmt: skip
    named = {name: _names(value, file) for name, value in columns.items()}
    return TableMapping(platform, Kind(kind), named, str(table.get("time_format", "")))


def _names(value: Any, file: Path) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(one, str) and one for one in names):
        raise FileFormatError("[columns] 的值应为列名，或列名的列表", _MEND, file=str(file))
    return tuple(names)


class Mapped:
    """A table (or JSON objects) whose columns the mapping file names."""

    name = "mapped"
    title = "按映射文件读取的表格"

    def __init__(self, mapping: TableMapping) -> None:
        self.mapping = mapping
        self.columns = tuple(name for names in mapping.columns.values() for name in names)

    def recognise(self, head: Head) -> bool:
        have = set(head.columns)
        return all(have & set(self.mapping.columns[one]) for one in ("text", "created_at"))

    def missing(self, head: Head) -> list[str]:
        """Columns that the mapping names and the file does not have."""
        return [name for name in self.columns if name not in head.columns]

    def posts(self, row: Row, build: Builder) -> Iterator[Post]:
        text = "\n".join(filter(None, (cell(row, name) for name in self._of("text"))))
        title = self._value(row, "title")
        if not text and not title:
            raise ValueError("没有正文")
        when = next((row[name] for name in self._of("created_at") if row.get(name)), None)
        created_at = build.time(self._time(when))
        author, parent, root = (self._value(row, one) for one in ("author", "parent", "root"))
        account = build.accounts.by_name.get(self._value(row, "account"))
        platform = self.mapping.platform
        yield build.post(
            platform=platform,
            native=self._value(row, "id") or _made_number(text, author, created_at, build),
            kind=self.mapping.kind,
            text=text,
            title=title or None,
            url=self._value(row, "url") or None,
            created_at=created_at,
            name=author or None,
            region=self._value(row, "region"),
            named=pieces(self._value(row, "mentions")),
            belongs=(account,) if account else (),
            parent=f"{platform}:{parent or root}" if parent or root else None,
            root=f"{platform}:{root}" if root else None,
            reposts=parse_count(self._value(row, "reposts")),
            comments=parse_count(self._value(row, "comments")),
            likes=parse_count(self._value(row, "likes")),
            read_at=build.read_at(self._value(row, "read_at")),
        )

    def _of(self, name: str) -> tuple[str, ...]:
        return self.mapping.columns.get(name, ())

    def _value(self, row: Row, name: str) -> str:
        return cell(row, *self._of(name))

    def _time(self, value: Any) -> Any:
        if not self.mapping.time_format or not isinstance(value, str):
            return value
        try:
            found = datetime.strptime(value.strip(), self.mapping.time_format)  # noqa: DTZ007
        except ValueError as error:
            raise ValueError("时间与映射文件的 time_format 不符") from error
        return (found if found.tzinfo else found.replace(tzinfo=CHINA)).astimezone(UTC)


def _made_number(text: str, author: str, created_at: datetime, build: Builder) -> str:
    """A stable number for rows without one: a keyed hash of what the row says."""
    whole = "\0".join((author, created_at.isoformat(), text))
    return "r" + build.identity.author_key("row", whole)[1:]
