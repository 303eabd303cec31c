"""Opening any file: compression by its first bytes, encoding, CSV, XLSX or JSON by its content."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from crawler.bombs import RATIO
from crawler.importers.base import BadRow, Head, Item
from crawler.importers.pages import web_page
from crawler.importers.tables import read_table, read_workbook, table_head
from huiyin.errors import FileFormatError

_CHUNK = 1 << 20
_LONGEST_DOCUMENT = 256 << 20
"""Characters of one JSON value; a list is read element by element, so only one must fit."""
_BOMB = 4 << 30
"""Bytes that a compressed file may unpack to whatever its size; beyond, `RATIO` times its size."""
BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What reading a damaged compressed file raises."""


@dataclass
class Opened:
    """A file whose beginning was looked at. `items` may be called once."""

    path: Path
    head: Head
    items: Iterator[Item | BadRow]
    raw: IO[bytes]
    size: int

    @property
    def share(self) -> float:
        """Read part of the file, 0..1."""
        return min(1.0, self.raw.tell() / self.size) if self.size else 1.0

    def close(self) -> None:
        """Close the file; may be called twice."""
        self.raw.close()


def open_file(path: Path) -> Opened:
    """Look at the file's beginning. Raises `FileFormatError` that says what to do."""
    try:
        raw = path.open("rb")
        size = path.stat().st_size
    except OSError as error:
        what = f"打不开：{error.strerror}"
        raise FileFormatError(what, "检查路径和权限", file=str(path)) from error
    try:
        return _look(path, raw, size)
    except BaseException:
        raw.close()
        raise


def _look(path: Path, raw: IO[bytes], size: int) -> Opened:
    stream = _decompressed(raw)
    start = stream.peek(_CHUNK)[:_CHUNK]
    if not start and stream.raw.error is not None:
        raise FileFormatError("压缩文件已损坏", "重新导出或重新拷贝", file=str(path))
    if not start.strip(b"\xef\xbb\xbf \t\r\n\0"):
        raise FileFormatError("文件是空的", "重新导出", file=str(path))
    if start.startswith(b"PK\x03\x04"):
        head, items = read_workbook(stream, str(path))
        return Opened(path, head, items, raw, size)
    if start.startswith((b"\xd0\xcf\x11\xe0", b"%PDF", b"\x7fELF", b"SQLite format 3")):
        raise FileFormatError(
            "不支持这种文件（旧版 Excel、PDF 或数据库）", "另存为 xlsx 或 CSV", file=str(path)
        )
    text = _text(stream, start, path)
    beginning = text.buffered(4096).lstrip("\ufeff \t\r\n")
    if beginning.startswith("<"):
        raise web_page(text.buffered(_CHUNK), path)
    if beginning.startswith(("{", "[")):
        head, items = _objects(text, path)
    else:
        head, items = read_table(text, *table_head(text.buffered(_CHUNK), str(path)))
    return Opened(path, head, items, raw, size)


def is_compressed(path: Path) -> bool:
    """True for gzip, xz, bzip2 and zip (Excel) files."""
    with path.open("rb") as raw:
        magic = raw.read(6)
    return magic.startswith((b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh", b"PK"))


class _Source(io.RawIOBase):
    """A stream that ends where it is damaged; `error` says so after the last good byte."""

    def __init__(self, stream: Any, most: int | None = None) -> None:
        super().__init__()
        self._stream = stream
        self._most = most
        self._given = 0
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        size = 0
        while size < len(view) and self.error is None:
            try:
                data = self._stream.read1(len(view) - size)
            except BROKEN as error:
                self.error = error
                break
            if not data:
                break
            view[size : size + len(data)] = data
            size += len(data)
        self._given += size
        if self._most is not None and self._given > self._most:
            self.error = OSError("unpacks to too much")
        return size


class _Stream(io.BufferedReader):
    raw: _Source


def _decompressed(raw: IO[bytes]) -> _Stream:
    magic = raw.read(6)
    raw.seek(0)
    stream: Any = raw
    if magic.startswith(b"\x1f\x8b"):
        stream = gzip.GzipFile(fileobj=raw)
    elif magic.startswith(b"\xfd7zXZ\x00"):
        stream = lzma.LZMAFile(raw)  # noqa: SIM115 - closed with `raw`
    elif magic.startswith(b"BZh"):
        stream = bz2.BZ2File(raw)
    most = None if stream is raw else max(_BOMB, RATIO * Path(raw.name).stat().st_size)
    # A small buffer would make peek show too little to know the encoding by.
    return _Stream(_Source(stream, most), _CHUNK)


# ---------------------------------------------------------------- encodings


class Text:
    """Decoded text that can be looked at before it is read. Undecodable bytes become surrogates."""

    def __init__(self, stream: _Stream, encoding: str) -> None:
        self._stream = stream
        errors = "surrogateescape" if encoding in ("utf-8", "gb18030") else "replace"
        self._decode = codecs.getincrementaldecoder(encoding)(errors).decode
        self._ahead = ""
        self._ended = False

    def buffered(self, size: int) -> str:
        """At least `size` characters from here (less at the end), without using them up."""
        with contextlib.suppress(*BROKEN):  # told when that place is read
            while len(self._ahead) < size and self._more():
                pass
        return self._ahead

    def _more(self) -> bool:
        if self._ended:
            return False
        data = self._stream.read1(_CHUNK)
        if not data and self._stream.raw.error is not None:
            raise self._stream.raw.error
        self._ended = not data
        text = self._decode(data, final=not data)
        self._ahead += text
        return bool(data)

    def chunk(self) -> str:
        """The next piece of text, "" at the end."""
        while not self._ahead and self._more():
            pass
        text, self._ahead = self._ahead, ""
        return text

    def lines(self) -> Iterator[str]:
        """Lines with their ends; a lone CR ends a line only where the file has no LF at all.

        Not `str.splitlines`: it also cuts at U+2028, U+0085 and form feeds inside posts.
        """
        start = self.buffered(_CHUNK)
        end = "\r" if "\r" in start and "\n" not in start else "\n"
        rest: list[str] = []
        while chunk := self.chunk():
            first, found, after = chunk.partition(end)
            if not found:
                rest.append(chunk)
                continue
            yield "".join(rest) + first + "\n"
            parts = after.split(end)
            rest = [parts.pop()]
            for part in parts:
                yield part + "\n"
        if last := "".join(rest):
            yield last


def _text(stream: _Stream, start: bytes, path: Path) -> Text:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Text(stream, "utf-16")
    if start.startswith(codecs.BOM_UTF8):
        stream.read(3)
        return Text(stream, "utf-8")
    nulls = start[:2000].count(0)
    if nulls > len(start[:2000]) // 5:
        little = start[1:200:2].count(0) > start[:200:2].count(0)
        return Text(stream, "utf-16-le" if little else "utf-16-be")
    return Text(stream, _encoding(start, path))


def _encoding(start: bytes, path: Path) -> str:
    for data in (start, *_later(path, start)):
        if data.isascii():
            continue
        try:
            codecs.getincrementaldecoder("utf-8")().decode(data)
            return "utf-8"
        except UnicodeDecodeError as error:
            # One broken character inside UTF-8 is no reason to read all of it as GB18030.
            good = len(data[: error.start].decode("utf-8").encode("ascii", "ignore"))
            return "utf-8" if error.start - good > 300 else "gb18030"
    return "utf-8"


def _later(path: Path, start: bytes) -> Iterator[bytes]:
    """Further pieces of a file whose first megabyte is plain ASCII."""
    if not start.isascii() or len(start) < _CHUNK:
        return
    with path.open("rb") as raw, _decompressed(raw) as stream:
        while data := stream.read(_CHUNK):
            if not data.isascii():
                first = next(place for place, byte in enumerate(data) if byte > 127)
                yield data[first:] + stream.read(4096)
                return


# ---------------------------------------------------------------- JSON


def _objects(text: Text, path: Path) -> tuple[Head, Iterator[Item | BadRow]]:
    items = _parsed(text)
    first: list[Item | BadRow] = []
    for item in items:
        first.append(item)
        if isinstance(item, Item):
            return Head("objects", tuple(item.row), item.row), _chain(first, items)
        if len(first) >= 1000:
            break
    raise FileFormatError(
        "看着像 JSON，但没有一个完整的对象", "重新导出（文件可能没写完）", file=str(path)
    )


def _chain(first: list[Item | BadRow], rest: Iterator[Item | BadRow]) -> Iterator[Item | BadRow]:
    yield from first
    yield from rest


def _parsed(text: Text) -> Iterator[Item | BadRow]:
    beginning = text.buffered(_CHUNK).lstrip("\ufeff \t\r\n")
    if beginning.startswith("["):
        return _list_items(text)
    line, found, _ = beginning.partition("\n")
    if found and _is_object(line):
        return _line_items(text.lines())
    if not found and len(beginning) >= _CHUNK:  # one very long first line: lines if it ends early
        return _line_items(text.lines())
    return _document(text)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _line_items(lines: Iterable[str]) -> Iterator[Item | BadRow]:
    loads = json.loads
    for number, line in enumerate(lines, 1):
        try:
            row = loads(line)
        except (ValueError, RecursionError):
            if line.strip("\ufeff\0 \t\r\n,"):
                yield from _repaired(number, line)
            continue
        yield _checked(number, row, line)


def _repaired(number: int, line: str) -> Iterator[Item | BadRow]:
    """A line with NUL bytes, a BOM or a comma at its end is still read."""
    cleaned = line.replace("\0", "").strip("\ufeff \t\r\n,")
    try:
        yield _checked(number, json.loads(cleaned, strict=False), cleaned)
    except (ValueError, RecursionError):
        yield BadRow(number, "这一行不是完整的 JSON")


def _checked(number: int, row: Any, line: str) -> Item | BadRow:
    if not isinstance(row, dict):
        return BadRow(number, "这一行不是 JSON 对象")
    if _undecodable(line):
        return BadRow(number, "有无法解码的字节")
    return Item(number, row)


_ESCAPED = re.compile("[\udc80-\udcff]")


def _undecodable(line: str) -> bool:
    return not line.isascii() and _ESCAPED.search(line) is not None


def _list_items(text: Text) -> Iterator[Item | BadRow]:
    """Elements of one JSON list, read piece by piece, so that a large one needs little memory."""
    decoder = json.JSONDecoder(strict=False)
    buffer = text.chunk().lstrip("\ufeff \t\r\n")[1:]
    number = 0
    while True:
        buffer = buffer.lstrip(" \t\r\n,")
        if buffer.startswith("]"):
            return
        try:
            row, end = decoder.raw_decode(buffer) if buffer else (None, 0)
        except (ValueError, RecursionError):
            end = 0
        if end and end < len(buffer):
            number += 1
            yield _checked(number, row, buffer[:end])
            buffer = buffer[end:]
            continue
        # Reading as much again as there is keeps the number of attempts small for long values.
        more, wanted = [], max(len(buffer), 1)
        while wanted > 0 and (piece := text.chunk()):
            more.append(piece)
            wanted -= len(piece)
        if not more or len(buffer) > _LONGEST_DOCUMENT:
            if buffer.strip(" \t\r\n\0"):
                yield BadRow(number + 1, "列表没有写完，后面的内容读不出来")
            return
        buffer += "".join(more)


def _document(text: Text) -> Iterator[Item | BadRow]:
    pieces, size = [], 0
    while size <= _LONGEST_DOCUMENT and (piece := text.chunk()):
        pieces.append(piece)
        size += len(piece)
    whole = "".join(pieces).strip("\ufeff\0 \t\r\n")
    try:
        yield _checked(1, json.loads(whole, strict=False), whole)
    except (ValueError, RecursionError):
        # Several objects, one after another, over lines of their own.
        yield from _sequence(whole)


def _sequence(whole: str) -> Iterator[Item | BadRow]:
    decoder = json.JSONDecoder(strict=False)
    place = 0
    while place < len(whole):
        line = whole.count("\n", 0, place) + 1
        try:
            row, place = decoder.raw_decode(whole, place)
        except (ValueError, RecursionError):
            yield BadRow(line, "这里的 JSON 不完整")
            return
        yield _checked(line, row, "")
        while place < len(whole) and whole[place] in " \t\r\n,":
            place += 1
