"""Text of PDF and docx files from strangers, read in a process of its own that cannot run away.

`python -m crawler.attachments pdf|docx < FILE` prints the text. The parent sets limits of memory
and processor time and gives up after `LONGEST` seconds.
"""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import suppress

from crawler.bombs import check_zip
from crawler.page_text import tidy
from huiyin.errors import CollectError

LARGEST = 20 << 20
"""Bytes of a file."""
LONGEST = 40
"""Seconds."""
_MEMORY = 1 << 30
_MOST_TEXT = 200_000
_MOST_PAGES = 300


def kind_of(data: bytes) -> str:
    """`pdf`, `docx` or "" by the first bytes, whatever the name says."""
    if data[:1024].lstrip().startswith(b"%PDF"):
        return "pdf"
    return "docx" if data.startswith(b"PK\x03\x04") and b"word/" in data else ""


def attachment_text(data: bytes) -> str:
    """The text of a PDF or docx file. Raises `CollectError` that says why there is none."""
    kind = kind_of(data)
    if not kind:
        raise CollectError("不是 PDF 或 docx 文件")
    if len(data) > LARGEST:
        raise CollectError("文件太大")
    if kind == "docx":
        check_zip(data)
    try:
        done = subprocess.run(  # its own interpreter, nothing of ours but this module
            [sys.executable, "-m", "crawler.attachments", kind],
            input=data, capture_output=True, timeout=LONGEST, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CollectError("文件太复杂，读了太久") from error
    if done.returncode != 0:
        raise CollectError("文件已损坏、加密或太复杂")
    text = tidy(done.stdout.decode("utf-8", "replace"))
    if not text:
        raise CollectError("文件里没有文字（可能是扫描件）")
    return text


def _limit() -> None:
    with suppress(ImportError, ValueError, OSError):  # no such limits on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (LONGEST // 2, LONGEST // 2))


def _pdf(data: bytes) -> str:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(data))
    pages = reader.pages[:_MOST_PAGES]
    return "\n".join(page.extract_text() or "" for page in pages)


def _docx(data: bytes) -> str:
    from docx import Document
    from docx.table import Table

    lines: list[str] = []
    for block in Document(io.BytesIO(data)).iter_inner_content():
        if isinstance(block, Table):
            lines += [" | ".join(cell.text for cell in row.cells) for row in block.rows]
        else:
            lines.append(block.text)
    return "\n".join(lines)


def main() -> None:
    """Read the file on standard input; exit code 1 when it cannot be read."""
    _limit()
    data = sys.stdin.buffer.read(LARGEST + 1)
    text = _pdf(data) if sys.argv[1] == "pdf" else _docx(data)
    sys.stdout.buffer.write(text[:_MOST_TEXT].encode("utf-8", "replace"))


if __name__ == "__main__":
    main()
