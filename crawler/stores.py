"""Where spiders put what they read: the archive, or bundles on a host that has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from archive.base import Archive, PutReport
from crawler.sources import EVERYTHING, known_sources
from huiyin.records import Post, Source


class Store(Protocol):
    """All that the spiders of feeds and pages want from the place where posts go."""

    def sources(self) -> list[Source]:
        """All sources, as they are now."""

    def known(self, ids: Sequence[str]) -> set[str]:
        """Which of these posts are stored."""

    def put(self, posts: Sequence[Post]) -> PutReport:
        """Store posts; on disk when it returns. Raises `ArchiveError`."""

    def change(self, source: str, edit: Callable[[Source], Source]) -> Source:
        """Change a source. Raises `ArchiveError`."""


class ArchiveStore:
    """The archive itself."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def sources(self) -> list[Source]:
        return known_sources(self._archive, None)

    def known(self, ids: Sequence[str]) -> set[str]:
        return set(self._archive.get_posts(ids, EVERYTHING)) if ids else set()

    def put(self, posts: Sequence[Post]) -> PutReport:
        return self._archive.put_posts(posts)

    def change(self, source: str, edit: Callable[[Source], Source]) -> Source:
        return self._archive.change(Source, source, EVERYTHING, edit).record
