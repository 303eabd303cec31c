"""What an archive holds and how it is, asked through the interface alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from archive.base import Archive, Failure, Filters, SearchRequest
from archive.keeping.base import Health
from huiyin.records import Kind, Scope

ALL = Scope.everything()
LISTED = 20


@dataclass(frozen=True)
class Status:
    """How an archive is."""

    health: Health
    counts: Mapping[str, int]
    """Posts (tombstones among them) and state records by kind."""
    months: tuple[tuple[datetime, Mapping[str, int]], ...]
    """Start of the month (Asia/Shanghai) and posts by kind, without deleted ones; newest first."""
    deleted: int
    pending: Mapping[str, int]
    failures: tuple[Failure, ...]
    """Posts given up by a stage or refused by the server; the latest ones."""


def status_of(archive: Archive) -> Status:
    """Ask for everything. Raises `ArchiveError`."""
    months: dict[datetime, dict[str, int]] = {}
    shown = 0
    for kind in Kind:
        asked = SearchRequest(filters=Filters(kinds=(kind,)), timeline="month", limit=1)
        found = archive.search(asked, ALL)
        shown += found.total
        for start, number in found.timeline:
            if number:
                months.setdefault(start, {})[kind.value] = number
    counts = archive.counts()
    failures = tuple(one for one in archive.failures(limit=1000) if one.final)
    return Status(
        archive.health(), counts, tuple(sorted(months.items(), reverse=True)),
        max(0, counts.get("posts", 0) - shown), archive.pending_counts(_model(archive)), failures,
    )  # fmt: skip


def _model(archive: Archive) -> str:
    """The model of the newest analysed posts; loading one to ask for its name takes seconds."""
    for hit in archive.search(SearchRequest("sentiment:*", limit=1), ALL).hits:
        if hit.post.analysis is not None:
            return hit.post.analysis.model
    return ""
