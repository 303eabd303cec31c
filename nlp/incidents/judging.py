"""What an office brings to judging its incidents: its levels, what was debunked, what it taught."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from archive.base import Archive
from huiyin.records import Post
from huiyin.settings import IncidentSettings
from nlp.incidents.baselines import Baselines
from nlp.incidents.burst import Burst, least_voices
from nlp.incidents.debunks import Debunks
from nlp.incidents.gathering import Gathering
from nlp.incidents.learning import Learned, holds, learned_from
from nlp.incidents.levels import Levels, read_levels


class Judging:
    """Held by a detector; `start` whenever that reads the archive anew."""

    def __init__(
        self,
        archive: Archive,
        settings: IncidentSettings,
        learned: Learned | None = None,
        jurisdiction: str = "default",
    ) -> None:
        """`learned`: None = from the verdicts in the archive itself.

        Raises `InputError` when the office's table of levels is wrong.
        """
        self._archive = archive
        self.levels: Levels = read_levels(Path(settings.levels) if settings.levels else None)
        self._debunks: Debunks | None = None
        self._given = learned
        self._learned = learned or Learned()
        self._settings, self._jurisdiction = settings, jurisdiction
        self.baselines = Baselines(jurisdiction)

    def start(self) -> None:
        """Forget what was read: another detector may have gone on meanwhile."""
        self._debunks = None
        self.baselines = Baselines(self._jurisdiction)
        self.baselines.load(self._archive)
        self.refresh()

    def refresh(self) -> None:
        """Read what people said of incidents since. Raises `ArchiveError`."""
        if self._given is None:
            self._learned = learned_from(self._archive)

    def burst(self, gathering: Gathering, stream_hourly: float) -> Burst:
        """The burst score against what is normal for this office, as far as it is known."""
        usual = self.baselines.usual(gathering)
        return gathering.burst(stream_hourly, usual.expected if usual is not None else None)

    def alerts(
        self, gathering: Gathering, stream_hourly: float, is_named: Callable[[], bool]
    ) -> bool:
        """Whether the burst rule holds, with the bar that the office taught for this kind.

        `is_named`: whether its posts share a name; asked where it took weeks.
        """
        least, score = self._settings.min_authors, self._settings.min_score
        if len(gathering.authors) < least_voices(least):
            return False
        voices = len(gathering.voices)
        if voices > 100 and voices % (voices // 50):
            return False  # a long chatter need not be judged at each post
        burst = self.burst(gathering, stream_hourly)
        if not holds(gathering, burst, self._learned, least, score):
            return False
        return not burst.slow or is_named()

    def learn(self, post: Post, group: str, gathering: Gathering | None, *, opened: bool) -> None:
        """What is normal is learned from what joins incidents; of one just opened from it all."""
        self.baselines.saw(post.created_at.timestamp())
        if gathering is not None:
            members = gathering.members()
            self.baselines.note(group, members if opened else members[-1:])

    def note(self, post: Post) -> None:
        """A post that the detector takes in: an official denial is kept."""
        if self._debunks is not None:
            self._debunks.note(post)

    def find_debunk(self, text: str, before: float) -> str | None:
        """See `Debunks.find`; reads the archive at first use. Raises `ArchiveError`."""
        if self._debunks is None:
            self._debunks = Debunks.of(self._archive)
        return self._debunks.find(text, before)
