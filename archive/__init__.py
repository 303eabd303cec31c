"""Keeps and finds everything: one interface (`base.py`), one contract, engines beside it."""

from __future__ import annotations

from archive.base import (
    FACETS,
    TIMEZONE,
    Archive,
    Failure,
    Filters,
    Hit,
    Packer,
    PutReport,
    SearchRequest,
    SearchResult,
    Slice,
    Stored,
)

__all__ = [
    "FACETS", "TIMEZONE", "Archive", "Failure", "Filters", "Hit", "Packer", "PutReport",
    "SearchRequest", "SearchResult", "Slice", "Stored", "open_archive",
]  # fmt: skip


def open_archive(url: str) -> Archive:
    """Open or make the archive that `url` names: `sqlite:////absolute/path` or a relative one.

    Raises `ArchiveError` when it cannot be opened, `SchemaError` when a newer program wrote it.
    """
    from pathlib import Path

    from huiyin.errors import ArchiveError

    if not url.startswith("sqlite:///") or len(url) == len("sqlite:///"):
        raise ArchiveError(f"不认识的档案地址 {url}", "应写成 sqlite:///文件路径")
    from archive.sqlite import SqliteArchive

    return SqliteArchive(Path(url.removeprefix("sqlite:///")))
