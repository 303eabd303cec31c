"""Looks into an archive on servers for the tests beside it."""

from __future__ import annotations

from datetime import datetime

from archive.elastic import ElasticArchive
from huiyin.records import Post
from tests.contracts.builders import ALL


def seen(archive: ElasticArchive) -> list[Post]:
    """All posts, once searches see them."""
    archive._es.refresh(archive._es.posts)
    return list(archive.iter_posts(ALL))


def indices(archive: ElasticArchive) -> list[str]:
    prefix = f"{archive._es.posts}-"
    return sorted(alias.removeprefix(prefix) for alias in archive._editor.aliases())


def mid(when: datetime, n: int = 0) -> str:
    """An id as the platform makes it at a time."""
    return f"weibo:{(int(when.timestamp()) - 515_483_463) << 22 | n}"
