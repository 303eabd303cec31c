"""Keeps and finds everything: one interface (`base.py`), one contract, engines beside it."""

from __future__ import annotations

from typing import cast

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
from archive.hybrid import hybrid
from archive.options import ArchiveOptions, is_servers
from archive.tokens import traditional_letters

__all__ = [
    "FACETS", "TIMEZONE", "Archive", "ArchiveOptions", "Failure", "Filters", "Hit", "Packer",
    "PutReport", "SearchRequest", "SearchResult", "Slice", "Stored", "hybrid", "is_servers",
    "open_archive", "traditional_letters",
]  # fmt: skip


def open_archive(url: str, options: ArchiveOptions | None = None) -> Archive:
    """Open or make the archive that `url` names.

    `sqlite:////absolute/path` or a relative one; or the servers of an Elasticsearch cluster,
    `https://es1:9200,https://es2:9200`, with a path after a host for another prefix. `options` say
    how to sign in there; SQLite needs none.

    Raises `ArchiveError` when it cannot be opened, `SchemaError` when another version wrote it.
    """
    from pathlib import Path

    from huiyin.errors import ArchiveError

    if is_servers(url):
        from archive.elastic import ElasticArchive

        return cast(Archive, ElasticArchive(url, options))
    if not url.startswith("sqlite:///") or len(url) == len("sqlite:///"):
        raise ArchiveError(
            f"不认识的档案地址 {url}", "应写成 sqlite:///文件路径，或 https://主机:9200"
        )
    from archive.sqlite import SqliteArchive

    return SqliteArchive(Path(url.removeprefix("sqlite:///")))
