"""`huiyin analyse`: a file of texts in, a file of analyses out, one line each, in order.

Streams: memory does not grow with the file. A line that cannot be used is reported with its place,
the reason and what to do; the others go through. The output appears under its name only when whole.
"""

import gzip
import json
import lzma
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from huiyin.errors import FileFormatError, InputError
from huiyin.records import Analysis
from nlp import languages
from nlp.base import Text, Understanding

Progress = Callable[[int, int | None], None]
Each = Callable[[Mapping[str, Any], Analysis], None]

CHUNK = 512
"""Rows analysed at a time: enough to sort by length, little enough to hold."""
_EXPLAINED = 32
"""Rows explained at a time: each is read again some forty times."""
LONGEST_LINE = 64 * 1024 * 1024
"""Bytes; a longer line is reported and skipped without being held in memory."""
MOST_BAD = 1000
"""Bad lines listed in the report; the rest are counted."""
MOST_IDS = 1_000_000
"""Ids remembered to notice repeats (about 60 MB at most)."""


@dataclass(frozen=True)
class BadLine:
    """A line that was left out, or (`skipped` False) taken with a remark. `line` is 1-based."""

    file: str
    line: int
    reason: str
    mend: str
    skipped: bool = True

    def __str__(self) -> str:
        return f"{self.file} 第 {self.line} 行：{self.reason}（{self.mend}）"


@dataclass
class BatchReport:
    """Counts of lines; blank lines are not counted. `bad` holds the first 1,000."""

    read: int = 0
    written: int = 0
    skipped: int = 0
    bad: list[BadLine] = field(default_factory=list)

    def add(self, bad: BadLine) -> None:
        """Count and, if there is room, list a bad line."""
        self.skipped += bad.skipped
        if len(self.bad) < MOST_BAD:
            self.bad.append(bad)


def analyse_file(
    source: Path,
    target: Path,
    understanding: Understanding,
    *,
    region: str | None = None,
    explained: bool = False,
    progress: Progress | None = None,
    each: Each | None = None,
) -> BatchReport:
    """Analyse JSONL rows `{id, text, title?, ...}` (.gz and .xz too) into JSONL at `target`.

    `explained`: each line also says which words spoke for each decision (`nlp.explain`).
    `progress(rows done, None)` is called after each chunk; `each(row, analysis)` for each row
    written. Raises InputError when the source cannot be opened or the target not be written, and
    FileFormatError when the source is broken as a whole; `target` is then as it was before.
    """
    if source.resolve() == target.resolve():
        raise InputError("输入与输出是同一个文件", "用 -o 指定另一个文件", file=str(target))
    report = BatchReport()
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with _open_write(target, part) as out:
            most = _EXPLAINED if explained else CHUNK
            for chunk in _chunks(read_rows(source, report), most):
                texts = [Text(row["text"], row.get("title"), region) for row in chunk]
                reasons = _explained(understanding, texts) if explained else [{}] * len(chunk)
                found = understanding.analyse(texts)
                for row, analysis, reason in zip(chunk, found, reasons, strict=True):
                    line = output_line(row["id"], analysis) | reason
                    out.write(json.dumps(line, ensure_ascii=False) + "\n")
                    report.written += 1
                    if each is not None:
                        each(row, analysis)
                if progress is not None:
                    progress(report.read, None)
            out.flush()
        part.replace(target)
    except OSError as error:
        raise InputError(
            f"无法写出：{error.strerror or error}",
            "检查文件夹是否存在、可写、有空间",
            file=str(target),
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return report


def output_line(identity: str, analysis: Analysis) -> dict[str, Any]:
    """One line of the output: the analysis without what only the archive needs.

    `language` stands there only when the text is not in plain simplified Chinese.
    """
    usual = analysis.language in (languages.SIMPLIFIED, None)
    return {
        "id": identity,
        "sentiment": analysis.sentiment.model_dump(),
        "emotion": analysis.emotion.model_dump(),
        "intent": analysis.intent.model_dump(),
        "category": {
            "path": list(analysis.category.path),
            "probabilities": dict(analysis.category.probabilities),
        },
        "needs_answer": analysis.needs_answer,
        "urgency": {
            "score": analysis.urgency.score,
            "reasons": list(analysis.urgency.reasons),
        },
        "places": [place.model_dump() for place in analysis.places],
        **({} if usual else {"language": analysis.language}),
    }


def _explained(understanding: Understanding, texts: list[Text]) -> list[dict[str, Any]]:
    """`{"explain": {task: [{word, start, end, weight}, ...]}}` for each text."""
    from nlp.explain import explain  # jieba: only when asked for

    return [
        {"explain": {task: [asdict(word) for word in found] for task, found in one.items()}}
        for one in explain(understanding, texts)
    ]


def read_rows(source: Path, report: BatchReport) -> Iterator[dict[str, Any]]:
    """Yield the good rows (`id` and `text` are strings, `title` a string or absent).

    Others are added to the report. Raises InputError and FileFormatError as `analyse_file`.
    """
    seen: set[int] = set()
    number = 0
    try:
        with _open_read(source) as file:
            while line := file.readline(LONGEST_LINE):
                number += 1
                too_long = len(line) >= LONGEST_LINE and not line.endswith(b"\n")
                if too_long:
                    _skip_rest(file)
                row = _row(None if too_long else line, number, source, report)
                if row is None:
                    continue
                _note_repeat(row["id"], seen, number, source, report)
                yield row
    except FileNotFoundError as error:
        raise InputError("没有这个文件", "检查文件名和路径", file=str(source)) from error
    except (EOFError, lzma.LZMAError, OSError) as error:
        if number == 0 and isinstance(error, OSError) and error.errno is not None:
            raise InputError(
                f"无法读取：{error.strerror}", "检查文件权限", file=str(source)
            ) from error
        raise FileFormatError(
            f"压缩文件不完整或已损坏：{error}",
            "重新下载或重新压缩",
            file=str(source),
            line=number + 1,
        ) from error


def _row(
    line: bytes | None, number: int, source: Path, report: BatchReport
) -> dict[str, Any] | None:
    """Parse one line; None when it is blank or bad (then it is in the report)."""
    if line is not None:
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not line.strip():
            return None
    report.read += 1
    fault = _parse(line)
    if isinstance(fault, dict):
        return fault
    report.add(BadLine(str(source), number, *fault))
    return None


def _parse(line: bytes | None) -> dict[str, Any] | tuple[str, str]:
    """The row of a line, or what is wrong with it and the mend."""
    if line is None:
        return f"一行超过 {LONGEST_LINE // 1024 // 1024} MB", "每行只放一条"
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return "不是 UTF-8 编码", "另存为 UTF-8"
    except (json.JSONDecodeError, RecursionError, ValueError) as error:
        return f"不是完整的 JSON（{error}）"[:200], "每行写一个 JSON 对象"
    if not isinstance(row, dict):
        return "不是 JSON 对象", '每行写成 {"id": ..., "text": ...}'
    identity, text, title = row.get("id"), row.get("text"), row.get("title")
    if isinstance(identity, bool) or not isinstance(identity, str | int) or identity == "":
        return "缺少 id，或 id 不是字符串", "给每条一个 id"
    if not isinstance(text, str) or not text.strip():
        return "缺少 text，或 text 为空", "给每条写上 text"
    if title is not None and not isinstance(title, str):
        return "title 不是字符串", "改为字符串或删去"
    row["id"], row["text"] = _encodable(str(identity)), _encodable(text)
    if title is not None:
        row["title"] = _encodable(title)
    return row


def _encodable(text: str) -> str:
    """Replace half surrogate pairs (`"\\ud83d"` alone in JSON), which no encoding can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _note_repeat(
    identity: str, seen: set[int], number: int, source: Path, report: BatchReport
) -> None:
    key = hash(identity)
    if key in seen:
        report.add(
            BadLine(
                str(source),
                number,
                f"id {identity[:60]} 重复",
                "两行都已分析；如不需要请删去",
                False,
            )
        )
    elif len(seen) < MOST_IDS:
        seen.add(key)


def _skip_rest(file: IO[bytes]) -> None:
    while (rest := file.readline(1024 * 1024)) and not rest.endswith(b"\n"):
        pass


def _chunks(rows: Iterator[dict[str, Any]], most: int) -> Iterator[list[dict[str, Any]]]:
    """Up to `most` rows, fewer when they are long: at most about 4 M characters at a time."""
    chunk: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += len(row["text"])
        if len(chunk) == most or size > 4_000_000:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _open_read(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return lzma.open(path, "rb") if path.suffix == ".xz" else path.open("rb")


def _open_write(target: Path, part: Path) -> IO[str]:
    """Open the part file; it is compressed if the target's name says so."""
    if target.suffix == ".gz":
        return gzip.open(part, "wt", encoding="utf-8")
    if target.suffix == ".xz":
        return lzma.open(part, "wt", encoding="utf-8")
    return part.open("w", encoding="utf-8")
