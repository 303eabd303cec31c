"""Groups the rows of `huiyin analyse`: the same grouping as the detector's, on a file of texts."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from huiyin.records import Analysis, Origin, Post
from huiyin.settings import IncidentSettings
from nlp.incidents.board import Board
from nlp.incidents.claims import said_by
from nlp.incidents.gathering import Gathering, member
from nlp.incidents.record import title_of
from nlp.incidents.severity import suspect

_ORIGIN = Origin(spider="analyse")


@dataclass(frozen=True)
class GroupLine:
    """One group of at least two texts."""

    group: str
    """Id of its first text."""
    title: str
    posts: list[str]
    """Ids of its texts, in the order of their times."""
    authors: int
    """Independent voices: a text counts as its own author, near copies count once."""
    suspected_level: str | None
    burst: dict[str, float]
    """novelty, growth, authors, severity and their product `total`."""


class TextGrouper:
    """Takes analysed texts one by one and groups them in the order of their times.

    They wait in a temporary file, so that memory grows with the ids and not with the texts. A text
    without a time is taken to belong to the moment of the one before.
    """

    def __init__(self, settings: IncidentSettings) -> None:
        self._settings = settings
        self._waiting = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `lines`)
        self._order: list[tuple[datetime, int]] = []
        self._moment = datetime.fromtimestamp(0, UTC)
        self._places: dict[str, int] = {}

    def add(
        self,
        row_id: str,
        text: str,
        title: str | None,
        created_at: datetime | None,
        analysis: Analysis,
    ) -> None:
        """Take one text; `created_at` aware or None, `analysis` with its vector."""
        self._moment = at = created_at or self._moment
        post = Post(
            id=row_id, text=text, title=title, created_at=at, collected_at=at, read_at=at,
            source=_ORIGIN, analysis=analysis,
        )  # fmt: skip
        self._order.append((at, self._waiting.tell()))
        pickle.dump(post, self._waiting)

    def lines(self) -> list[GroupLine]:
        """The groups of at least two texts, the largest first. Can be asked once."""
        board = Board(self._settings.window_hours * 3600, self._look_up)
        groups: dict[str, list[str]] = {}
        gatherings: dict[str, Gathering] = {}
        for _at, offset in sorted(self._order):
            post = self._read(offset)
            if post.id in board:
                continue
            self._places[post.id] = offset
            step = board.decide(post)
            groups.setdefault(step.group, []).append(post.id)
            touched = [step.group]
            if step.merge:
                ends, goes_on = step.merge
                board.merge(ends, goes_on)
                groups.setdefault(goes_on, []).extend(groups.pop(ends, []))
                gatherings.pop(ends, None)
                touched = [goes_on]
            elif step.divide:
                board.divide(step.divide)
                _, before, after = step.divide[0]
                moved = {post_id for post_id, _, _ in step.divide}
                groups[after] = [one for one in groups[before] if one in moved]
                groups[before] = [one for one in groups[before] if one not in moved]
                touched = [before, after]
            for group in touched:
                if group in board.gatherings:
                    gatherings[group] = board.gatherings[group]
                elif len(groups[group]) > 1:
                    gatherings[group] = Gathering(map(member, self._look_up(groups[group])))
        self._waiting.close()
        lines = [_line(group, groups[group], one) for group, one in gatherings.items()]
        return sorted(lines, key=lambda line: (-len(line.posts), line.group))

    def _read(self, offset: int) -> Post:
        self._waiting.seek(offset)
        post: Post = pickle.load(self._waiting)  # noqa: S301  (our own file, made above)
        return post

    def _look_up(self, ids: Sequence[str]) -> list[Post]:
        return [self._read(self._places[post_id]) for post_id in ids]


def _line(group: str, posts: list[str], gathering: Gathering) -> GroupLine:
    burst = gathering.burst()
    level, _ = suspect(burst.severity, burst.voices, burst.kinds, said_by(gathering))
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
