"""The incident detector: holds posts back a second, orders them, commits batches, writes marks.

Exactly once: step n is the record `batch:<jurisdiction>:<n>`, and its `create` succeeds once; of
two detectors at most one counts a step, the other reads the archive again. Marks and incidents
follow from committed batches, so writing them twice changes nothing. A detector commits step n+1
only when everything that follows from step n is written; one that starts (or lost a race) writes
what follows from the last step again. The lease only saves work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from archive.base import Archive, Filters
from huiyin.clock import Clock, monotonic
from huiyin.errors import Conflict
from huiyin.records import Batch, Incident, IncidentState, Level, Post, Scope
from huiyin.settings import IncidentSettings
from nlp.incidents.base import DetectorReport
from nlp.incidents.board import Board, Step
from nlp.incidents.gathering import Gathering
from nlp.incidents.record import build, state_of
from nlp.leases import Slices

HOLD = timedelta(seconds=1)
"""Posts wait this long, so that those of the same moment are ordered before they count."""
AGE_EVERY = timedelta(seconds=60)
STAGE = "incidents"
_ALL = Scope.everything()
_OPEN = (IncidentState.EMERGING, IncidentState.ACTIVE, IncidentState.EASING)
_CHUNK = 500
_LEVELS = tuple(Level)


class Detector:
    """Groups what is pending. Call `run_once` again and again; not for several threads at once."""

    def __init__(
        self,
        archive: Archive,
        *,
        jurisdiction: str = "default",
        settings: IncidentSettings,
        clock: Clock,
        limit: int = 500,
        event_time: bool = False,
        lease: bool = True,
        owner: str | None = None,
        monotonic: Callable[[], float] = monotonic,
    ) -> None:
        """`event_time`: incidents open and alert `HOLD` after their post was collected (replay);

        else when the step that noticed is committed. `limit`: posts a step. `lease=False`: nobody
        else works on this archive.
        """
        self._archive = archive
        self._jurisdiction = jurisdiction
        self._settings = settings
        self._clock = clock
        self._limit = limit
        self._event_time = event_time
        self._window = timedelta(hours=settings.window_hours)
        self._lease = (
            Slices(archive, STAGE, of=1, owner=owner, monotonic=monotonic) if lease else None
        )
        self._board = Board(self._window.total_seconds())
        self._opened: dict[str, datetime] = {}
        self._alerted: dict[str, datetime] = {}
        self._n = 0
        self._loaded = False
        self._aged: datetime | None = None

    # ---- the step

    def run_once(self) -> DetectorReport:
        """Commit and write at most one step. Raises `ArchiveError`; calling again continues."""
        if self._lease is not None and self._lease.hold() is None:
            self._loaded = False
            return DetectorReport(held=False)
        try:
            return self._step()
        except BaseException:
            self._loaded = False  # the board may be ahead of the archive: read it again
            raise

    def close(self) -> None:
        """Give the lease back."""
        if self._lease is not None:
            self._lease.release()

    def _step(self) -> DetectorReport:
        if not self._loaded:
            self._load()
        now = self._clock()
        pending = self._archive.pending_incidents(before=now - HOLD, limit=self._limit)
        known = {post.id: self._mark_of(post.id) for post in pending if post.id in self._board}
        if known:  # counted before, its mark was lost or is not visible yet
            self._archive.mark_incidents(known)
        fresh = [post for post in pending if post.id not in known]
        fresh.sort(key=lambda post: (post.created_at, post.id))
        if not fresh:
            self._age(now)
            return DetectorReport(posts=len(known))
        effects = _Effects()
        members: list[tuple[str, str]] = []
        for post in fresh:
            step = self._board.decide(post)
            members.append((post.id, step.group if step.joined else ""))
            if self._note(effects, post, step, now):
                break  # tell at once; the rest is the next step
        if self._event_time:
            done = {post_id for post_id, _ in members}
            now = max(post.collected_at for post in fresh if post.id in done) + HOLD
        batch = Batch(
            id=self._batch_id(self._n + 1),
            jurisdiction=self._jurisdiction,
            n=self._n + 1,
            committed_at=now,
            members=tuple(members),
            opened=tuple(effects.opened),
        )
        try:
            self._archive.create(batch)
        except Conflict:  # another detector counted this step
            self._loaded = False
            return DetectorReport()
        self._n += 1
        self._apply(effects, now)
        self._age(now)
        return DetectorReport(
            posts=len(members),
            batch=self._n,
            opened=tuple(effects.opened),
            alerted=tuple(effects.alerted.items()),
        )

    def _note(self, effects: _Effects, post: Post, step: Step, committed: datetime) -> bool:
        """Gather what follows from one post; True when its incident has just to be alerted."""
        group = step.group
        at = post.collected_at + HOLD if self._event_time else committed
        effects.marks[post.id] = group if step.is_open else ""
        if step.opened:
            effects.opened[group] = None
            self._opened[group] = at
            for earlier in step.earlier:
                effects.marks[earlier] = group
        if not step.is_open:
            return False
        effects.touched[group] = step.gathering
        if group in self._alerted or at - post.created_at > self._window:
            return False  # old news wakes nobody
        if not self._rule_holds(step.gathering):
            return False
        self._alerted[group] = at
        effects.alerted[group] = at
        return True

    def _rule_holds(self, gathering: Gathering) -> bool:
        if len(gathering.authors) < self._settings.min_authors:
            return False
        voices = len(gathering.voices)
        if voices > 100 and voices % (voices // 50):
            return False  # a long chatter need not be judged at each post
        return gathering.burst().holds(self._settings.min_authors, self._settings.min_score)

    # ---- writing what follows from a step

    def _apply(self, effects: _Effects, now: datetime) -> None:
        self._archive.mark_incidents(effects.marks)
        for group, gathering in effects.touched.items():
            self._write(group, gathering, now)
        for group in self._board.closed:
            self._opened.pop(group, None)
            self._alerted.pop(group, None)
        self._board.closed.clear()

    def _write(self, group: str, gathering: Gathering, now: datetime) -> None:
        fresh = build(
            group,
            gathering,
            jurisdiction=self._jurisdiction,
            opened_at=self._opened[group],
            alerted_at=self._alerted.get(group),
            burst=gathering.burst(),
            window=self._window,
            now=now,
        )
        if self._archive.get(Incident, group, _ALL) is None:
            try:
                self._archive.create(fresh)
                return
            except Conflict:  # written meanwhile by a detector that was thought dead
                pass
        self._archive.change(Incident, group, _ALL, lambda old: _refresh(old, fresh))

    def _age(self, now: datetime) -> None:
        """Incidents that went quiet become easing, then closed."""
        if self._aged is not None and timedelta(0) <= now - self._aged < AGE_EVERY:
            return
        self._aged = now
        for state in _OPEN:
            after = ""
            while page := self._archive.records(
                Incident, _ALL, state=state, limit=_CHUNK, after=after
            ):
                after = page[-1].record.id
                for stored in page:
                    if self._state(stored.record, now) is not stored.record.state:
                        self._archive.change(
                            Incident, stored.record.id, _ALL, lambda old: self._aged_one(old, now)
                        )

    def _state(self, incident: Incident, now: datetime) -> IncidentState:
        return state_of(
            incident.last_post_at,
            incident.alerted_at,
            incident.authors,
            self._window,
            now,
        )

    def _aged_one(self, old: Incident, now: datetime) -> Incident:
        if old.state not in _OPEN:
            return old
        return old.model_copy(update={"state": self._state(old, now)})

    # ---- starting

    def _load(self) -> None:
        """Rebuild the board from committed steps; write again what follows from the last one."""
        self._board = Board(self._window.total_seconds())
        self._opened, self._alerted = {}, {}
        batches = self._recent_batches()
        self._n = batches[-1].n if batches else 0
        self._loaded = True
        if not batches:
            return
        last = batches.pop()
        for batch in batches:
            self._follow(batch)
        self._restore_incidents(last)
        effects = self._follow(last)
        self._apply(effects, last.committed_at)

    def _follow(self, batch: Batch) -> _Effects:
        effects = _Effects()
        posts = self._posts(post_id for post_id, _ in batch.members)
        for post_id, group in batch.members:
            post = posts.get(post_id)
            if post is not None:
                step = self._board.follow(post, group)
                self._note(effects, post, step, batch.committed_at)
        return effects

    def _restore_incidents(self, last: Batch) -> None:
        """Give open incidents their whole membership back, as it was before the last step."""
        tail = {post_id for post_id, _ in last.members}
        for group in list(self._board.gatherings):
            stored = self._archive.get(Incident, group, _ALL)
            if stored is None or group in last.opened:
                continue
            posts = self._archive.iter_posts(_ALL, Filters(incident=group))
            self._board.refill(group, [post for post in posts if post.id not in tail])
            self._opened[group] = stored.record.opened_at
            self._alerted.pop(group, None)
            if stored.record.alerted_at is not None:
                self._alerted[group] = stored.record.alerted_at

    def _recent_batches(self) -> list[Batch]:
        """The last step and all before it that may hold posts of the window, oldest first."""
        newest = self._archive.records(
            Batch, _ALL, ref=self._jurisdiction, newest_first=True, limit=20
        )
        n = max((stored.record.n for stored in newest), default=0)
        while self._archive.get(Batch, self._batch_id(n + 1), _ALL) is not None:
            n += 1
        batches: list[Batch] = []
        latest: datetime | None = None
        for number in range(n, 0, -1):
            stored = self._archive.get(Batch, self._batch_id(number), _ALL)
            if stored is None:
                break  # older steps were removed by retention
            batch = stored.record
            if latest is not None and batch.committed_at < latest - self._window:
                break
            batches.append(batch)
            if number < n and batch.members:
                [post_id] = [batch.members[-1][0]]
                post = self._posts([post_id]).get(post_id)
                if post is not None and (latest is None or post.created_at > latest):
                    latest = post.created_at
        return batches[::-1]

    def _posts(self, ids: Iterable[str]) -> dict[str, Post]:
        wanted: Sequence[str] = list(ids)
        found: dict[str, Post] = {}
        for start in range(0, len(wanted), _CHUNK):
            found.update(self._archive.get_posts(wanted[start : start + _CHUNK], _ALL))
        return found

    def _mark_of(self, post_id: str) -> str:
        group = self._board.group_of(post_id)
        return group if group in self._board.opened else ""

    def _batch_id(self, n: int) -> str:
        return f"batch:{self._jurisdiction}:{n}"


class _Effects:
    """What follows from a step."""

    def __init__(self) -> None:
        self.marks: dict[str, str] = {}
        self.touched: dict[str, Gathering] = {}
        self.opened: dict[str, None] = {}
        self.alerted: dict[str, datetime] = {}


_PERSONS = ("level", "acts", "merged_into", "deadlines")


def _refresh(old: Incident, fresh: Incident) -> Incident:
    """The newer reading, with what people set; the level rises only; never an older reading."""
    if old.posts > fresh.posts:
        return old
    kept = {name: getattr(old, name) for name in _PERSONS}
    level = min(
        (one for one in (old.suspected_level, fresh.suspected_level) if one is not None),
        key=_LEVELS.index,
        default=None,
    )
    update = {**kept, "suspected_level": level, "opened_at": old.opened_at}
    if level is not fresh.suspected_level:
        update["level_reasons"] = old.level_reasons
    if old.alerted_at is not None:
        update["alerted_at"] = old.alerted_at
    if old.state is IncidentState.MERGED:
        update["state"] = old.state
    return fresh.model_copy(update=update)
