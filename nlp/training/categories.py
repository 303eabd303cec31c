"""Fit an office's own categories: from a CSV file, or anew with reviewers' corrections."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path as File
from typing import Protocol

from huiyin.errors import FileFormatError, InputError
from huiyin.vectors import Matrix, unpack
from nlp.base import Understanding
from nlp.batch import BadLine
from nlp.categories import default
from nlp.categories import paths as writing
from nlp.categories.classifier import Classifier
from nlp.categories.deciding import Categories
from nlp.categories.fitting import LevelScore, cross_validate
from nlp.categories.paths import Path, joined
from nlp.categories.versions import Versions
from nlp.text import join

Progress = Callable[[int, int | None], None]

FEW = 8
"""Rows below which a class is named in the report as thin."""
CHUNK = 256
MOST_LINES = 300
"""Lines in one cell beyond which a quotation mark was probably left open."""
LONGEST_CELL = 1_000_000
_TEXTS = ("text", "文本", "正文", "内容", "诉求内容", "来电内容", "工单内容")
_TITLES = ("title", "标题", "诉求标题", "工单标题")
_CATEGORIES = (
    "category",
    "category path",
    "类别",
    "类别路径",
    "分类",
    "分类路径",
    "类目",
    "诉求类别",
)
_LEVEL = re.compile(r"(?:([一二三四五六])级|(?:level|category)[ _]?(\d))", re.IGNORECASE)
_CHINESE = "一二三四五六"


class Categorising(Understanding, Protocol):
    """A model with the categories that are in use."""

    @property
    def categories(self) -> Categories:
        """The tree in use, and whose vectors it reads."""


@dataclass(frozen=True)
class Row:
    """A labelled text."""

    text: str
    path: Path


@dataclass
class Table:
    """What was read of a file: good rows, and each bad one with its place and mend."""

    file: str
    sha: str
    rows: list[Row] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    read: int = 0
    doubled: int = 0
    """Rows whose text and category stand in an earlier row too; left out."""


@dataclass(frozen=True)
class Report:
    """What fitting gave."""

    version: str
    rows: int
    levels: tuple[LevelScore, ...]
    thin: tuple[tuple[Path, int], ...]
    """Classes with fewer than eight rows."""
    paths: int
    """Classes of the lowest level."""

    def as_json(self) -> dict[str, object]:
        return {
            "version": self.version,
            "rows": self.rows,
            "classes": self.paths,
            "levels": [one.as_json() for one in self.levels],
            "thin": [{"path": joined(path), "rows": rows} for path, rows in self.thin],
        }


def read_table(file: File) -> Table:
    """Read labelled rows from CSV: a text column, a category path (or a column a level), a title?.

    UTF-8 (with or without mark), UTF-16 with mark or GB 18030; commas, tabs or semicolons. Raises
    InputError when the file cannot be read or has no such columns, FileFormatError when it is no
    text; a bad row is listed in the result and the others go through.
    """
    content = _content(file)
    body = _decoded(content, file)
    table = Table(str(file), hashlib.sha256(content).hexdigest()[:16])
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=_delimiter(body))
    lines = _lines(reader, table)
    _, header = next(lines, (1, []))
    text_at, title_at, category_at = _columns([one.strip().lower() for one in header], file)
    cells = [(line, row) for line, row in lines if any(cell.strip() for cell in row)]
    separator = writing.separator_of(
        row[category_at[0]]
        for _, row in cells
        if len(category_at) == 1 and category_at[0] < len(row)
    )
    seen: set[Row] = set()
    for line, row in cells:
        table.read += 1
        found = _row(row, text_at, title_at, category_at, separator, header)
        if isinstance(found, tuple):
            table.bad.append(BadLine(str(file), line, *found))
        elif found in seen:
            table.doubled += 1
        else:
            seen.add(found)
            table.rows.append(found)
    return table


def _content(file: File) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise InputError("没有这个文件", "检查文件名和路径", file=str(file)) from error
    except OSError as error:
        raise InputError(f"无法读取：{error.strerror}", "检查文件权限", file=str(file)) from error


def _decoded(content: bytes, file: File) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: tuple[str, ...] = ("utf-16",)
    elif content.startswith(b"PK\x03\x04"):
        raise FileFormatError("这是 Excel 文件，不是 CSV", "在 Excel 中另存为 CSV", file=str(file))
    else:
        encodings = ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            body = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in body:
            return body
    raise FileFormatError("文字编码认不出来", "另存为 UTF-8 的 CSV", file=str(file))


def _delimiter(body: str) -> str:
    header = body.split("\n", 1)[0]
    return max(",\t;", key=header.count)


def _lines(reader: Iterator[list[str]], table: Table) -> Iterator[tuple[int, list[str]]]:
    """(line that the row begins on, cells); what the CSV reader refuses is listed as bad."""
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            table.read += 1
            table.bad.append(
                BadLine(table.file, line, f"不是完整的 CSV（{error}）", "检查引号是否成对")
            )
            line = _line_after(reader, line)
            continue
        yield line, row
        line = _line_after(reader, line)


def _line_after(reader: Iterator[list[str]], line: int) -> int:
    return int(getattr(reader, "line_num", line)) + 1


def _columns(names: Sequence[str], file: File) -> tuple[int, int | None, list[int]]:
    """Places of text, title and category columns. Raises InputError naming what is missing."""
    levels = sorted((_level(name), at) for at, name in enumerate(names) if _level(name))
    text = next((names.index(one) for one in _TEXTS if one in names), None)
    title = next((names.index(one) for one in _TITLES if one in names), None)
    category = next((names.index(one) for one in _CATEGORIES if one in names), None)
    missing = "text（文本）" if text is None else ""
    if category is None and not levels:
        missing += ("、" if missing else "") + "category（类别路径）"
    if text is None or missing:
        raise InputError(
            f"第一行缺少列 {missing}", "第一行写 text,category，类别写成 城建/道路/路灯",
            file=str(file), line=1,
        )  # fmt: skip
    return text, title, [category] if category is not None else [at for _, at in levels]


def _level(name: str) -> int:
    found = _LEVEL.match(name)
    if found is None:
        return 0
    return _CHINESE.index(found[1]) + 1 if found[1] else int(found[2])


def _row(
    row: Sequence[str],
    text_at: int,
    title_at: int | None,
    category_at: Sequence[int],
    separator: str,
    header: Sequence[str],
) -> Row | tuple[str, str]:
    """The row, or what is wrong with it and the mend."""
    if len(row) <= max(text_at, *category_at):
        return f"只有 {len(row)} 列，表头有 {len(header)} 列", "补齐这一行，或给含逗号的内容加引号"
    text = row[text_at].strip()
    if text.count("\n") > MOST_LINES:
        return f"列 {header[text_at]} 有几百行，多半是引号不成对", "检查这一行起的引号"
    if not text:
        return f"列 {header[text_at]} 是空的", "填上正文，或删去这一行"
    try:
        if len(category_at) == 1:
            path = writing.parse(row[category_at[0]], separator)
        else:
            path = _of_levels([row[at].strip() for at in category_at])
    except ValueError as error:
        names = "、".join(header[at] for at in category_at)
        return f"列 {names}：{error}", "写成 城建/道路/路灯；不属于任何一类写 无"
    title = row[title_at].strip() if title_at is not None and title_at < len(row) else ""
    return Row(join(title or None, text), path)


def _of_levels(cells: Sequence[str]) -> Path:
    while cells and not cells[-1]:
        cells = cells[:-1]
    if not cells or not all(cells):
        raise ValueError("类别为空" if not cells else "类别中间有一级是空的")
    return writing.parse("/".join(cell.replace("/", "／") for cell in cells))


def embed(understanding: Understanding, texts: Sequence[str], progress: Progress) -> Matrix:
    """Vectors (n, dims) of joined texts, in order; rows without a vector are all zero."""
    found: list[bytes] = []
    for start in range(0, len(texts), CHUNK):
        found += understanding.embed(texts[start : start + CHUNK])
        progress(min(start + CHUNK, len(texts)), len(texts))
    width = max(map(len, found), default=0)
    return unpack([one or bytes(width) for one in found])


def fit_rows(
    rows: Sequence[Row],
    vectors: Matrix,
    space: str,
    said: Mapping[str, object],
    progress: Progress | None = None,
) -> tuple[Classifier, Report]:
    """Fit and cross-validate. Raises InputError for fewer than two classes."""
    paths = [row.path for row in rows]
    sizes = Counter(paths)
    if len(sizes) < 2:
        raise InputError(
            f"只有 {len(sizes)} 个类别，分不出类", "至少要两个类别，每类最好有 8 条以上"
        )
    classifier, levels, _ = cross_validate(vectors, paths, space, progress)
    about = {
        **said,
        "rows": len(rows),
        "levels": [one.as_json() for one in levels],
    }
    thin = tuple(sorted((path, count) for path, count in sizes.items() if count < FEW))
    return replace(classifier, about=about), Report("", len(rows), tuple(levels), thin, len(sizes))


def train_from_table(
    table: Table,
    understanding: Categorising,
    versions: Versions,
    at: datetime,
    progress: Progress,
) -> Report:
    """Fit the office's own tree to a file's rows, keep it as a new version and switch it on.

    Raises InputError when there is too little to fit, or the folder cannot be written.
    """
    texts = [row.text for row in table.rows]
    vectors = embed(understanding, texts, progress)
    said = {
        "from": File(table.file).name,
        "from_sha": table.sha,
        "model": understanding.model,
        "made_at": at.isoformat(timespec="seconds"),
    }
    classifier, report = fit_rows(table.rows, vectors, understanding.categories.space, said)
    name = versions.add(classifier, vectors, [row.path for row in table.rows])
    versions.switch_on(name, "train", at)
    return replace(report, version=name)


def ship(understanding: Categorising, file: File = default.SHIPPED) -> Classifier:
    """Fit the default tree to the loaded model and write what the wheel carries."""
    built = default.build(understanding.categories.space, understanding.embed)
    default.save(built, file)
    return built
