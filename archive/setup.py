"""What `huiyin init` does to an archive: says what it would change, and changes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from archive.options import ArchiveOptions, is_servers

Progress = Callable[[str, int, int], None]
"""Called with the name of an index being written anew, documents done, and documents in all."""


def pending_changes(url: str, options: ArchiveOptions | None = None) -> list[str]:
    """What `apply_changes` would do, in words; empty = all is as this program wants it.

    Raises `ArchiveError` when the servers cannot be asked.
    """
    if is_servers(url):
        from archive.elastic.connection import Elastic
        from archive.elastic.templates import Schema

        es = Elastic(url, options)
        try:
            return [one.said for one in Schema(es).changes()]
        finally:
            es.close()
    return _pending_steps(Path(url.removeprefix("sqlite:///")))


def apply_changes(
    url: str, options: ArchiveOptions | None = None, progress: Progress | None = None
) -> None:
    """Bring the archive to what this program wants; once more changes nothing.

    Raises `ArchiveError`, `SchemaError` (a newer program wrote it).
    """
    if is_servers(url):
        from archive.elastic.connection import Elastic
        from archive.elastic.reindex import Reindex
        from archive.elastic.templates import Schema

        es = Elastic(url, options)
        try:
            Reindex(es, Schema(es), progress=progress).run()
        finally:
            es.close()
        return
    from archive import open_archive

    open_archive(url).close()


def _pending_steps(file: Path) -> list[str]:
    from archive.schema import STEPS

    if not file.exists():
        return [f"新建档案 {file}"]
    try:
        connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
        try:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error:
        return []  # opening it says what is wrong
    if version >= len(STEPS):
        return []
    return [f"把档案结构从第 {version} 版升到第 {len(STEPS)} 版"]
