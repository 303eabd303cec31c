"""Groups the rows of `huiyin analyse`: the same grouping as the detector's, on a file of texts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from huiyin.records import Analysis, Origin, Post
from huiyin.settings import IncidentSettings
from nlp.incidents.board import Board
from nlp.incidents.gathering import Gathering
from nlp.incidents.record import title_of
from nlp.incidents.severity import suspect

Row = tuple[str, str, str | None, datetime | None, Analysis]
"""id, text, title, created_at (aware; None = unknown), its analysis with vector"""
_ORIGIN = Origin(spider="analyse")


@dataclass(frozen=True)
class GroupLine:
    """One group of at least two texts."""

    group: str
    """Id of its first text."""
    title: str
    posts: list[str]
    """Ids of its texts, in the order of the file."""
    authors: int
    """Independent voices: a text counts as its own author, near copies count once."""
    suspected_level: str | None
    burst: dict[str, float]
    """novelty, growth, authors, severity and their product `total`."""


def group_texts(rows: Iterable[Row], settings: IncidentSettings) -> list[GroupLine]:
    """Group analysed texts in the order given; the largest group first.

    Rows without a time are taken to belong to the moment of the row before. Memory grows with the
    ids, not with the texts (only those inside the window are kept).
    """
    board = Board(settings.window_hours * 3600)
    groups: dict[str, list[str]] = {}
    gatherings: dict[str, Gathering] = {}
    moment = datetime.fromtimestamp(0, UTC)
    for row_id, text, title, created_at, analysis in rows:
        moment = created_at or moment
        post = Post(
            id=row_id, text=text, title=title, created_at=moment, collected_at=moment,
            read_at=moment, source=_ORIGIN, analysis=analysis,
        )  # fmt: skip
        if post.id in board:
            continue
        step = board.decide(post)
        groups.setdefault(step.group, []).append(row_id)
        if step.joined:
            gatherings[step.group] = step.gathering
    lines = [_line(group, groups[group], one) for group, one in gatherings.items()]
    return sorted(lines, key=lambda line: (-len(line.posts), line.group))


def _line(group: str, posts: list[str], gathering: Gathering) -> GroupLine:
    burst = gathering.burst()
    level, _ = suspect(burst.severity, burst.voices, burst.kinds, gathering.figures())
    return GroupLine(
        group=posts[0],
        title=title_of(gathering),
        posts=posts,
        authors=burst.voices,
        suspected_level=level,
        burst=burst.terms(),
    )


def write_groups(lines: Iterable[GroupLine], file: Path) -> int:
    """Write one JSON line a group, whole or not at all; returns the groups written."""
    temporary = file.with_name(f".{file.name}.part")
    count = 0
    with temporary.open("w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(asdict(line), ensure_ascii=False) + "\n")
            count += 1
    temporary.replace(file)
    return count
