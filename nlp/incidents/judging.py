"""What an office brings to judging its incidents: its levels, what was debunked, what it taught."""

from __future__ import annotations

from pathlib import Path

from archive.base import Archive
from huiyin.records import Post
from huiyin.settings import IncidentSettings
from nlp.incidents.burst import Burst
from nlp.incidents.debunks import Debunks
from nlp.incidents.gathering import Gathering
from nlp.incidents.learning import Learned, holds, learned_from
from nlp.incidents.levels import Levels, read_levels


class Judging:
    """Held by a detector; `start` whenever that reads the archive anew."""

    def __init__(
        self, archive: Archive, settings: IncidentSettings, learned: Learned | None = None
    ) -> None:
        """`learned`: None = from the verdicts in the archive itself.

        Raises `InputError` when the office's table of levels is wrong.
        """
        self._archive = archive
        self.levels: Levels = read_levels(Path(settings.levels) if settings.levels else None)
        self._debunks: Debunks | None = None
        self._given = learned
        self._learned = learned or Learned()

    def start(self) -> None:
        """Forget what was read: another detector may have gone on meanwhile."""
        self._debunks = None
        self.refresh()

    def refresh(self) -> None:
        """Read what people said of incidents since. Raises `ArchiveError`."""
        if self._given is None:
            self._learned = learned_from(self._archive)

    def alerts(
        self, gathering: Gathering, burst: Burst, min_authors: int, min_score: float
    ) -> bool:
        """Whether the burst rule holds, with the bar that the office taught for this kind."""
        return holds(gathering, burst, self._learned, min_authors, min_score)

    def note(self, post: Post) -> None:
        """A post that the detector takes in: an official denial is kept."""
        if self._debunks is not None:
            self._debunks.note(post)

    def find_debunk(self, text: str, before: float) -> str | None:
        """See `Debunks.find`; reads the archive at first use. Raises `ArchiveError`."""
        if self._debunks is None:
            self._debunks = Debunks.of(self._archive)
        return self._debunks.find(text, before)
