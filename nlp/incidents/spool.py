"""Rows of a stream on disk, in the order in which they will be replayed: flat memory."""

from __future__ import annotations

import gzip
import json
import lzma
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from huiyin.errors import FileFormatError, InputError
from huiyin.records import Post
from nlp.incidents.base import Prepare, Rejected

STEP_POSTS = 256
"""A step of the replay holds at most so many posts."""


def open_lines(file: Path) -> BinaryIO:
    """Lines of a .jsonl, .jsonl.gz or .jsonl.xz file. Raises `FileFormatError`."""
    try:
        if file.suffix == ".gz":
            return cast(BinaryIO, gzip.open(file, "rb"))
        if file.suffix == ".xz":
            return cast(BinaryIO, lzma.open(file, "rb"))
        return file.open("rb")
    except OSError as error:
        raise FileFormatError("文件打不开", f"检查路径和权限（{error}）", file=str(file)) from error


class Spool:
    """All usable posts of a file, sorted; a temporary SQLite file in `folder`."""

    def __init__(self, folder: Path, *, as_collected: bool) -> None:
        self._connection = sqlite3.connect(folder / "spool.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=OFF")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute(
            "CREATE TABLE rows (id TEXT PRIMARY KEY, row_id TEXT, arrived INT, t INT, post TEXT)"
        )
        self._as_collected = as_collected
        self.read = 0
        self.rejected: list[Rejected] = []

    def __len__(self) -> int:
        [count] = self._connection.execute("SELECT count(*) FROM rows").fetchone()
        return int(count)

    def fill(self, file: Path, prepare: Prepare) -> None:
        """Read a file; rows that cannot be used go to `rejected` with line and reason."""
        self._connection.execute("BEGIN")
        with open_lines(file) as lines:
            try:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        self._take(file, number, line, prepare)
            except (OSError, EOFError, lzma.LZMAError) as error:
                reason = f"文件在此处损坏，后面的没有读到：{error}"
                self.rejected.append(Rejected(str(file), number + 1, reason))
        self._connection.execute("COMMIT")

    def _take(self, file: Path, number: int, line: bytes, prepare: Prepare) -> None:
        self.read += 1
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except ValueError:
            self._reject(file, number, "不是一行 UTF-8 编码的 JSON")
            return
        if not isinstance(row, dict):
            self._reject(file, number, "这一行不是 JSON 对象")
            return
        try:
            post = prepare(row)
        except InputError as error:
            self._reject(file, number, error.message)
            return
        arrived = post.collected_at if self._as_collected else post.created_at
        update = {"collected_at": arrived, "read_at": arrived}
        values = (
            post.id,
            str(row.get("id", post.id)),
            _micros(arrived),
            _micros(post.created_at),
            post.model_copy(update=update).model_dump_json(),
        )
        done = self._connection.execute("INSERT OR IGNORE INTO rows VALUES (?,?,?,?,?)", values)
        if not done.rowcount:
            self._reject(file, number, f"编号重复：{row.get('id', post.id)}")

    def _reject(self, file: Path, number: int, reason: str) -> None:
        self.rejected.append(Rejected(str(file), number, reason))

    def steps(self) -> Iterator[list[Post]]:
        """Posts of one step after the other.

        In event time a step is cut anywhere: the detector's outcome does not depend on it. In
        arrival order (`as_collected`) a step is what arrived within one second, as the detector
        would have seen it.
        """
        order = "arrived, t, id" if self._as_collected else "t, id"
        step: list[Post] = []
        for (text,) in self._connection.execute(f"SELECT post FROM rows ORDER BY {order}"):  # noqa: S608 (two fixed orders)
            post = Post.model_validate_json(text)
            if step and self._ends(step, post):
                yield step
                step = []
            step.append(post)
        if step:
            yield step

    def _ends(self, step: list[Post], post: Post) -> bool:
        if self._as_collected:
            return int(step[0].collected_at.timestamp()) != int(post.collected_at.timestamp())
        return len(step) >= STEP_POSTS

    def row_ids(self) -> dict[str, str]:
        """Post id -> id as the file has it."""
        return dict(self._connection.execute("SELECT id, row_id FROM rows"))

    def close(self) -> None:
        """Give the file up."""
        self._connection.close()


def _micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def to_json(value: dict[str, Any]) -> str:
    """One line of JSON, Chinese readable."""
    return json.dumps(value, ensure_ascii=False)
