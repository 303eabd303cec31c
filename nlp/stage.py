"""The analysis stage: takes posts from the archive's queue, writes their analyses.

The queue has two lanes (the archive keeps them): posts never analysed, newest first; then those
analysed by an older model or on an older text. Doing a post twice changes nothing.
"""

import time
from collections.abc import Callable, Sequence
from threading import Event

import structlog

from archive.base import Archive
from huiyin.clock import Clock, system_clock
from huiyin.errors import HuiyinError
from huiyin.records import Account, Analysis, Post, Scope
from nlp.base import Text, Understanding
from nlp.categories.corrections import Corrections
from nlp.leases import Slices

STAGE = "analysis"
_REGIONS_SECONDS = 60.0
_TURN_SECONDS = 10.0
_ALL = Scope.everything()
_FAULTS = (HuiyinError, RuntimeError, ValueError, TypeError, LookupError, ArithmeticError)
"""What reading a text may raise; the archive's errors are never among what is caught here."""

log = structlog.get_logger(__name__)


class AnalysisStage:
    """What `huiyin work` runs. One per process; not for use from several threads."""

    def __init__(
        self,
        archive: Archive,
        understanding: Understanding,
        *,
        clock: Clock = system_clock,
        region: str | None = None,
        batch: int = 64,
        slices: int = 1,
        owner: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`region`: adcode where a post's offices name none. `batch`: posts taken at a time.

        `slices`: parts of the queue that workers share; all workers must use the same number.
        """
        self._archive, self._understanding, self._clock = archive, understanding, clock
        self._region, self._batch, self._monotonic = region, batch, monotonic
        self._slices = Slices(archive, STAGE, of=slices, owner=owner, monotonic=monotonic)
        self._corrections = Corrections(archive, clock)
        self._several = slices > 1
        self._turn_began = monotonic()
        self._regions: dict[str, str] = {}
        self._regions_at: float | None = None

    def run_once(self) -> int:
        """Analyse one batch; returns the posts done or failed, 0 when there is nothing for us.

        Raises `ArchiveError` only: what a text does to the model is recorded with the post, which
        is left aside for good after three failures.
        """
        part = self._slices.hold()
        if part is None:
            return 0
        posts = self._archive.pending_analysis(
            self._understanding.model, limit=self._batch, part=part
        )
        if posts:
            known = {post.id: post for post in posts}
            pairs = [(known[post], found) for post, found in self._analyses(posts)]
            self._archive.write_analyses(self._corrections.kept(pairs))
        if self._several and (not posts or self._monotonic() - self._turn_began > _TURN_SECONDS):
            self._slices.release()
            self._turn_began = self._monotonic()
        return len(posts)

    def run(self, stop: Event, *, idle_seconds: float = 0.5) -> int:
        """Call `run_once` until `stop` is set, resting when idle; returns the posts done."""
        done = 0
        while not stop.is_set():
            step = self.run_once()
            done += step
            if not step:
                stop.wait(idle_seconds)
        self.close()
        return done

    def close(self) -> None:
        """Give the held slice back, so that another worker need not wait."""
        self._slices.release()

    def _analyses(self, posts: Sequence[Post]) -> list[tuple[str, Analysis]]:
        """Analyse all at once; if that fails, one by one, so that one post stops no other."""
        texts = [self._text(post) for post in posts]
        try:
            found = self._understanding.analyse(texts)
            return [(post.id, one) for post, one in zip(posts, found, strict=True)]
        except _FAULTS as error:
            log.warning("batch failed, trying one by one", posts=len(posts), error=str(error))
        kept: list[tuple[str, Analysis]] = []
        for post, text in zip(posts, texts, strict=True):
            try:
                kept.append((post.id, self._understanding.analyse([text])[0]))
            except _FAULTS as error:
                reason = f"{type(error).__name__}: {error}"[:500]
                attempts = self._archive.record_failure(STAGE, post.id, reason, self._clock())
                log.warning("post failed", post=post.id, attempts=attempts, error=reason)
        return kept

    def _text(self, post: Post) -> Text:
        return Text(text=post.text, title=post.title, region=self._region_of(post))

    def _region_of(self, post: Post) -> str | None:
        """Region of the first of the post's offices that has one."""
        now = self._monotonic()
        if self._regions_at is None or now - self._regions_at > _REGIONS_SECONDS:
            accounts = self._archive.records(Account, _ALL, limit=10_000)
            self._regions = {one.record.id: one.record.region or "" for one in accounts}
            self._regions_at = now
        own = (self._regions.get(office) for office in post.offices)
        return next((region for region in own if region), self._region)
