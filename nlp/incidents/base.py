"""What the incident detector and replay take and give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from archive.base import Archive
from huiyin.records import Post
from nlp.incidents.tuning import Tuning


class Prepare(Protocol):
    """Turns one row of a replayed file into a `Post`, masked and pseudonymised.

    The application passes the importer of our own JSONL form. Raises `InputError` with the reason
    when the row cannot be used.
    """

    def __call__(self, row: Mapping[str, Any], /) -> Post: ...


class AlertStep(Protocol):
    """What alerts do at a moment of the replay: turn alerted incidents into `Alert` records."""

    def __call__(self, archive: Archive, now: datetime, /) -> object: ...


OpenArchive = Callable[[str], Archive]
"""Opens (and makes) the archive at a URL."""
Progress = Callable[[int, int], None]
"""Called with (rows done, rows in all)."""


@dataclass(frozen=True)
class DetectorReport:
    """What one step of the detector did."""

    posts: int = 0
    """Posts that got a mark in this step; 0 = nothing was waiting, or somebody else holds it."""
    batch: int | None = None
    """Number of the committed batch."""
    opened: tuple[str, ...] = ()
    alerted: tuple[tuple[str, datetime], ...] = ()
    """(incident, alerted_at) whose burst rule first held in this step."""
    held: bool = True
    """False: another detector holds the lease."""


@dataclass(frozen=True)
class Rejected:
    """A row that could not be used."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class ReplayReport:
    """What a replay read and wrote."""

    read: int
    posts: int
    incidents: int
    alerted: int
    alerts: int
    rejected: tuple[Rejected, ...]
    files: tuple[Path, ...]
    tuning: Tuning | None = None
    """Which thresholds would give the wanted number of alerts; None = not asked."""
