"""Rows of CSV files and Excel sheets by column name."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from crawler.bombs import check_zip
from crawler.importers.base import BadRow, Head, Item
from crawler.privacy import masked
from huiyin.errors import CollectError, FileFormatError

_LONGEST_FIELD = 64 << 20
_MOST_LINES = 2000
"""Lines of one record; more means a quote that was never closed."""
_ESCAPED = re.compile("[\udc80-\udcff]")


class _Lines(Protocol):
    def lines(self) -> Iterator[str]: ...


def table_head(beginning: str, file: str) -> tuple[Head, str]:
    """The header and the delimiter, from the first lines of a CSV file."""
    lines = beginning.lstrip("\ufeff").splitlines()
    first = next((line for line in lines if line.strip("\0 ,\t")), "")
    delimiter = max(",\t;|", key=first.count)
    if not first.count(delimiter):
        delimiter = ","
    cells = next(csv.reader([first], delimiter=delimiter), [])
    columns = tuple(_name(one) for one in cells)
    if len([one for one in columns if one]) < 2:
        raise FileFormatError(
            f"不认识的文件，首行是“{masked(first.strip()[:80])}”",
            "支持 CSV、XLSX、JSON、JSONL；表格的首行应为列名", file=file,
        )  # fmt: skip
    return Head("table", columns), delimiter


def _name(cell: Any) -> str:
    return str(cell if cell is not None else "").replace("\0", "").strip("\ufeff \t\r\n")


class _Feed:
    """Gives lines to the csv reader and can take the lines of a broken record back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self.record: list[str] = []
        self.number = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if len(self.record) > _MOST_LINES:
            raise csv.Error("quote never closed")
        line = self._again.popleft() if self._again else next(self._lines)
        self.number += 1
        self.record.append(line)
        return line

    def begin(self) -> int:
        """A record begins; returns its first line."""
        self.record = []
        return self.number + 1

    def give_back(self) -> None:
        """All lines of the record but the first are read again."""
        self.number -= len(self.record) - 1
        self._again.extendleft(reversed(self.record[1:]))


def read_table(text: _Lines, head: Head, delimiter: str) -> tuple[Head, Iterator[Item | BadRow]]:
    """Rows by column name. Repeated headers are left out; ragged rows are bad rows."""
    return head, _rows(_Feed(text.lines()), head.columns, delimiter)


def _rows(feed: _Feed, header: tuple[str, ...], delimiter: str) -> Iterator[Item | BadRow]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(feed, delimiter=delimiter)
    columns = header
    width = len(columns)
    while True:
        line = feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            feed.give_back()
            reader = csv.reader(feed, delimiter=delimiter)
            yield BadRow(line, "引号没有配对，或这一行过长")
            continue
        if len(cells) != width:
            if not any(cells):
                continue
            if len(feed.record) > 1 and _unclosed(feed, delimiter, width):
                feed.give_back()
                reader = csv.reader(feed, delimiter=delimiter)
                yield BadRow(line, "引号没有配对")
                continue
        if (again := _header_again(cells, columns)) is not None:
            columns, width = again, len(again)
            continue
        yield _item(line, cells, columns, feed)


def _unclosed(feed: _Feed, delimiter: str, width: int) -> bool:
    """True when a later line of the record would be a whole row on its own."""
    later = feed.record[1:200]
    return any(len(cells) == width for cells in csv.reader(later, delimiter=delimiter))


def _item(line: int, cells: list[str], columns: tuple[str, ...], feed: _Feed) -> Item | BadRow:
    width = len(columns)
    if len(cells) > width and not any(one.strip() for one in cells[width:]):
        cells = cells[:width]
    if len(cells) != width:
        return BadRow(line, f"有 {len(cells)} 列，表头是 {width} 列")
    for raw in feed.record:
        if not raw.isascii() and _ESCAPED.search(raw):
            return BadRow(line, "有无法解码的字节")
    return Item(line, dict(zip(columns, cells, strict=True)))


def _header_again(cells: list[str], columns: tuple[str, ...]) -> tuple[str, ...] | None:
    """The columns from here on, when this row is a header (tools write one on each run)."""
    if not cells or cells[0].strip("\ufeff \t") != columns[0]:
        return None
    names = tuple(_name(one) for one in cells)
    known = set(columns)
    return names if sum(one in known for one in names) * 2 > len(names) else None


# ---------------------------------------------------------------- Excel


def read_workbook(stream: io.BufferedReader, file: str) -> tuple[Head, Iterator[Item | BadRow]]:
    """Rows of the first sheet that has a header. Raises `FileFormatError` for other zip files."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    data = io.BytesIO(stream.read())
    try:
        check_zip(data.getbuffer())
    except CollectError as error:
        raise FileFormatError(error.message, error.mend, file=file) from error
    try:
        book = load_workbook(data, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise FileFormatError(
            "是压缩包，但不是完整的 Excel 文件", "解压后再导入，或另存为 xlsx", file=file
        ) from error
    for sheet in book.worksheets:
        rows = _sheet_rows(sheet)
        for line, cells in rows:
            names = tuple(_name(one) for one in cells)
            if len([one for one in names if one]) >= 2:
                return Head("table", names), _workbook_items(names, rows, line)
    raise FileFormatError("表格是空的", "重新导出", file=file)


def _sheet_rows(sheet: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    yield from enumerate(sheet.iter_rows(values_only=True), 1)


def _workbook_items(
    names: tuple[str, ...], rows: Iterator[tuple[int, tuple[Any, ...]]], _line: int
) -> Iterator[Item | BadRow]:
    for line, cells in rows:
        if all(one is None or one == "" for one in cells):
            continue
        if tuple(_name(one) for one in cells) == names:
            continue
        values = list(cells) + [None] * (len(names) - len(cells))
        yield Item(line, dict(zip(names, map(_plain, values[: len(names)]), strict=True)))


def _plain(value: Any) -> Any:
    # Excel keeps numbers as floats: 13 must not become "13.0" when it is a name or a text.
    return int(value) if isinstance(value, float) and value.is_integer() else value
