"""Backups of a SQLite archive: its online backup interface, packed into one file."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from archive.base import Archive
from archive.keeping.backup import Made, Manifest
from archive.keeping.comparing import content
from archive.keeping.copying import MOVING, Progress, note, noted
from archive.sqlite import SqliteArchive
from archive.sqlite.connection import errors
from huiyin.errors import ArchiveError

PAGES = 2048
"""Copied at a time, 8 MB; between two of them Ctrl-C is heard."""
CHUNK = 1 << 20
LEVEL = 1
"""gzip: most of the gain, at about 100 MB/s."""
_COUNTS = (
    "SELECT 'posts', count(*) FROM posts UNION ALL SELECT kind, count(*) FROM records GROUP BY kind"
)


class SqliteKeeper:
    """Backs up one file into a folder."""

    engine = "sqlite"

    def __init__(self, file: Path, folder: Path, *, compress: bool = True) -> None:
        self._file = file
        self._folder = folder
        self._compress = compress

    def make(self, name: str, *, with_content: bool, progress: Progress) -> Made:
        if not self._file.exists():
            raise ArchiveError(f"档案 {self._file} 不存在", "检查设置 archive.url")
        self._require_room()
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".making-") as place:
            copy = Path(place) / "copy.db"
            counts = self._copy(copy, progress)
            found = None
            if with_content:
                found = {kind: list(value) for kind, value in _content(copy).items()}
            packed = Path(place) / f"{name}.db{'.gz' if self._compress else ''}"
            digest = _pack(copy, packed, self._compress)
            target = self._folder / packed.name
            packed.replace(target)
        return Made(target.name, target.stat().st_size, digest, counts, found)

    def _copy(self, copy: Path, progress: Progress) -> dict[str, int]:
        """Copy the file as it is at this moment; the writers go on."""
        with (
            errors(),
            closing(sqlite3.connect(self._file, isolation_level=None, timeout=30)) as source,
            closing(sqlite3.connect(copy, isolation_level=None)) as target,
        ):
            # a read transaction holds the moment: without it each write would start the copy over
            source.execute("BEGIN")
            counts = dict(source.execute(_COUNTS).fetchall())
            source.backup(
                target, pages=PAGES,
                progress=lambda _, left, total: progress(total - left, total),
            )  # fmt: skip
            source.execute("COMMIT")
            target.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        return counts

    def _require_room(self) -> None:
        log = self._file.with_name(self._file.name + "-wal")
        need = sum(one.stat().st_size for one in (self._file, log) if one.exists())
        need = round(need * (1.6 if self._compress else 1.1))
        free = shutil.disk_usage(self._folder).free
        if free < need:
            raise ArchiveError(
                f"{self._folder} 只剩 {free / 1024**3:.1f} GB，备份约需 {need / 1024**3:.1f} GB",
                "清出空间，或把 backup.folder 改到更大的盘",
            )

    @contextmanager
    def scratch(self, manifest: Manifest) -> Iterator[Archive]:
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".proving-") as place:
            file = Path(place) / "restored.db"
            self._unpack(manifest, file)
            archive = SqliteArchive(file)
            try:
                yield archive
            finally:
                archive.close()

    def same(self, made: Made, restored: Archive) -> list[str]:
        problems = restored.check()
        counts = {kind: number for kind, number in restored.counts().items() if number}
        if counts != {kind: number for kind, number in made.counts.items() if number}:
            problems.append(f"条数 {counts}，原来 {dict(made.counts)}")
        if made.content is not None:
            found = {kind: list(value) for kind, value in content(restored).items()}
            problems += [f"{kind} 的校验和不同" for kind in found
                         if found[kind] != list(made.content[kind])]  # fmt: skip
        return problems

    def restore(self, manifest: Manifest, *, force: bool) -> str:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        if self._file.exists() and not force:
            raise ArchiveError(
                f"{self._file} 已有档案", "确定要换掉它，请加 --force；原来的会改名留下"
            )
        part = self._file.with_name(self._file.name + ".restoring")
        part.unlink(missing_ok=True)
        try:
            self._unpack(manifest, part)
            archive = SqliteArchive(part)
            try:
                problems = archive.check()
                archive.seal(None)
                # what it noted about copies is about the archive that it was
                archive.track_changes(False)
                if noted(archive, MOVING) is not None:
                    note(archive, MOVING, None)
            finally:
                archive.close()
            if problems:
                raise ArchiveError(f"备份里的档案有毛病：{problems[0]}", "换更早的一份备份")
            _alone(part)
            kept = self._set_aside() if self._file.exists() else ""
            part.replace(self._file)
            _sync_folder(self._file.parent)
        finally:
            part.unlink(missing_ok=True)
        return kept

    def _set_aside(self) -> str:
        """Rename the archive in place; refuse while a program has it open."""
        try:
            _alone(self._file)
        except ArchiveError as error:
            raise ArchiveError(
                "还有程序在用这个档案", "先停下 huiyin run 等全部进程，再恢复"
            ) from error
        kept = self._file.with_name(f"{self._file.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        self._file.rename(kept)
        return str(kept)

    def remove(self, manifest: Manifest) -> None:
        (self._folder / manifest.file).unlink(missing_ok=True)

    def _unpack(self, manifest: Manifest, target: Path) -> None:
        """Check the checksum while unpacking. Raises `ArchiveError` for a broken backup."""
        file = self._folder / manifest.file
        try:
            if _digest(file) != manifest.sha256:
                raise ArchiveError(f"备份 {file.name} 的校验和不对", "这一份已损坏，换另一份备份")
            with file.open("rb") as raw, target.open("wb") as out:
                packed = gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else raw
                shutil.copyfileobj(packed, out, CHUNK)
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            raise ArchiveError(f"读不出备份 {file}：{error}", "检查磁盘，或换另一份备份") from error


def _content(file: Path) -> dict[str, tuple[int, str]]:
    archive = SqliteArchive(file)
    try:
        return content(archive)
    finally:
        archive.close()
        _alone(file)


def _alone(file: Path) -> None:
    """Put the log into the file and drop it; fails while anybody else has the file open."""
    with errors(), closing(sqlite3.connect(file, isolation_level=None, timeout=1)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _pack(source: Path, target: Path, compress: bool) -> str:
    """Write `source` into `target`; returns the SHA-256 of what was written."""
    try:
        with source.open("rb") as raw, target.open("wb") as out:
            if compress:
                with gzip.GzipFile("", "wb", LEVEL, out, mtime=0) as packed:
                    shutil.copyfileobj(raw, packed, CHUNK)
            else:
                shutil.copyfileobj(raw, out, CHUNK)
            out.flush()
            os.fsync(out.fileno())
        return _digest(target)
    except OSError as error:
        raise ArchiveError(f"写不下备份：{error}", "检查 backup.folder 的空间和权限") from error


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
