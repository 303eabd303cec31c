"""Batches of posts from a file, read here or, when it is large, in a process of its own.

Reading holds Python's lock nearly all the time, and the archive's writer needs it a hundred times a
batch: in two threads they took as long as one after the other (docs/decisions/crawler-importing).
A process reads ahead while this one writes; the pipe between them holds less than two batches.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, cast

from archive.base import Packer
from crawler import pipes
from crawler.accounts import AccountBook
from crawler.build import Builder
from crawler.importers.base import BadRow, Importer, read_rows
from crawler.importers.files import BROKEN, Opened, is_compressed, open_file
from crawler.importers.formats import recognise_file
from crawler.importers.mapped import Mapped, load_mapping
from crawler.privacy import Identity
from huiyin.errors import HuiyinError
from huiyin.records import Account, Post

BATCH = 2000
_LARGE = 4 << 20
_LARGE_COMPRESSED = 1 << 20
"""Bytes from which a process pays: it takes 0.4 s to start and saves 23 us a post."""


@dataclass(frozen=True)
class Task:
    """All that reading one file needs."""

    path: Path
    secret: bytes = field(repr=False)
    accounts: tuple[Account, ...] = field(repr=False)
    office: str
    at: datetime
    now: datetime
    as_of: datetime | None
    mapping: Path | None
    pack: Packer = field(repr=False)
    """The archive's own: the process that reads also prepares."""


@dataclass
class Batch:
    """Some rows of a file: their posts, and those that could not be read."""

    packed: bytes
    """The posts, as the archive's packer made them."""
    bad: list[BadRow] = field(default_factory=list)
    rows: int = 0
    share: float = 0.0
    """Part of the file that has been read, 0..1."""


def batches(task: Task) -> Iterator[Batch]:
    """The file's batches, in order; a large file is read ahead of the caller."""
    limit = _LARGE_COMPRESSED if is_compressed(task.path) else _LARGE
    if task.path.stat().st_size < limit or (os.cpu_count() or 1) < 2:
        return read(task)
    return _read_ahead(task)


def read(task: Task) -> Iterator[Batch]:
    """Read in this process."""
    with closing(open_file(task.path)) as opened:
        importer = recognise_file(
            opened, Mapped(load_mapping(task.mapping)) if task.mapping else None
        )
        build = Builder(
            identity=Identity(task.secret), accounts=AccountBook(task.accounts), office=task.office,
            spider=f"import:{importer.name}", at=task.at, now=task.now, as_of=task.as_of,
        )  # fmt: skip
        yield from _grouped(_guarded(opened, importer, build), opened, task.pack)


def _guarded(opened: Opened, importer: Importer, build: Builder) -> Iterator[list[Post] | BadRow]:
    """The rows; a compressed file that is cut off ends with a bad row, what came before stays."""
    rows = read_rows(importer, opened.items, build)
    while True:
        try:
            yield next(rows)
        except StopIteration:
            return
        except BROKEN:
            yield BadRow(0, "压缩文件从这里起已损坏，后面的内容读不出来")
            return


def _grouped(rows: Iterable[list[Post] | BadRow], opened: Opened, pack: Packer) -> Iterator[Batch]:
    posts: list[Post] = []
    bad: list[BadRow] = []
    read = 0
    for row in rows:
        read += 1
        if isinstance(row, BadRow):
            bad.append(row)
        else:
            posts += row
        if read >= BATCH or len(posts) >= BATCH:
            yield Batch(pack(posts), bad, read, opened.share)
            posts, bad, read = [], [], 0
    yield Batch(pack(posts), bad, read, 1.0)


# ---------------------------------------------------------------- the process


def _read_ahead(task: Task) -> Iterator[Batch]:
    child = pipes.start("crawler.importers.reading")
    try:
        stdin, stdout = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
        with stdin:
            pipes.send(stdin, task)
        with stdout:
            yield from _received(stdout, task.path)
    finally:
        child.kill()
        child.wait()


def _received(stream: IO[bytes], path: Path) -> Iterator[Batch]:
    while True:
        try:
            batch: Batch | None = pipes.receive(stream)
        except EOFError as error:
            raise HuiyinError(
                f"读 {path.name} 的进程中途退出", "看内存是否用尽，再导一次即可补齐"
            ) from error
        if batch is None:
            return
        yield batch


def main() -> None:
    """The child: a `Task` on standard input, batches on standard output, None at the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    task: Task = pipes.receive(sys.stdin.buffer)
    out = sys.stdout.buffer
    try:
        with pipes.fewer_collections():
            for batch in read(task):
                pipes.send(out, batch)
            pipes.send(out, None)
    except BrokenPipeError:  # the parent has gone
        os._exit(1)
