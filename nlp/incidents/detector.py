"""The incident detector: holds posts back a second, orders them, commits batches, writes marks.

Exactly once: step n is the record `batch:<jurisdiction>:<n>`, and its `create` succeeds once; of
two detectors at most one counts a step, the other reads the archive again. Marks and incidents
follow from committed batches, so writing them twice changes nothing, and an older step never undoes
a newer one (`writing.py`). A detector commits step n+1 only when everything that follows from step
n is written; one that starts (or lost a race) writes what follows from the last step again. The
lease only saves work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from archive.base import Archive, Filters
from huiyin.clock import Clock, monotonic
from huiyin.errors import Conflict
from huiyin.records import Batch, Incident, Kind, Post
from huiyin.settings import IncidentSettings
from nlp.danger import REASON, danger
from nlp.incidents.base import DetectorReport
from nlp.incidents.board import Board, Step
from nlp.incidents.effects import Effects, Memory
from nlp.incidents.gathering import OFFICIAL, Gathering
from nlp.incidents.judging import Judging
from nlp.incidents.learning import Learned
from nlp.incidents.steps import ALL, Steps
from nlp.incidents.terms import own_words
from nlp.incidents.writing import QUIET, Writer
from nlp.leases import Slices

HOLD = timedelta(seconds=1)
"""Posts wait this long, so that those of the same moment are ordered before they count."""
STAGE = "incidents"


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
        learned: Learned | None = None,
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
        self._steps = Steps(archive, jurisdiction, self._window)
        self._board = Board(self._window.total_seconds(), self._look_up)
        self._judging = Judging(archive, settings, learned, jurisdiction)
        self._writer = Writer(archive, self._steps, self._judging, jurisdiction=jurisdiction)
        self._memory = Memory()
        self._n = 0
        self._loaded = False

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
        fresh, known = self._pending(now)
        if not fresh:
            self._writer.age(now)
            return DetectorReport(posts=known)
        effects = Effects()
        members = self._decide(fresh, effects, now)
        if self._event_time:
            done = {post_id for post_id, _ in members}
            now = max(post.collected_at for post in fresh if post.id in done) + HOLD
        try:
            self._archive.create(self._batch(members, effects, now))
        except Conflict:  # another detector counted this step
            self._loaded = False
            return DetectorReport()
        self._n += 1
        self._writer.apply(effects, self._board, self._memory, now, self._n)
        self._writer.age(now)
        return DetectorReport(
            posts=len(members),
            batch=self._n,
            opened=tuple(effects.opened),
            alerted=tuple(effects.alerted.items()),
        )

    def _pending(self, now: datetime) -> tuple[list[Post], int]:
        """Posts that count now in their order; and how many were counted before.

        Of those the mark was lost, or is not visible yet.
        """
        pending = self._archive.pending_incidents(before=now - HOLD, limit=self._limit)
        known = {post.id: self._mark_of(post.id) for post in pending if post.id in self._board}
        if known:
            self._archive.mark_incidents(known)
        fresh = [post for post in pending if post.id not in known]
        return sorted(fresh, key=lambda post: (post.created_at, post.id)), len(known)

    def _decide(
        self, fresh: Sequence[Post], effects: Effects, now: datetime
    ) -> list[tuple[str, str]]:
        """Take posts in until one has to be told at once; (post, group or "" for its own)."""
        members: list[tuple[str, str]] = []
        for post in fresh:
            step = self._board.decide(post)
            self._judging.note(post)
            members.append((post.id, step.group if step.joined else ""))
            at = post.collected_at + HOLD if self._event_time else now
            told = self._note(effects, post, step, at)
            if step.merge:
                told |= self._merge(effects, *step.merge, at, post.created_at)
            elif step.divide:
                self._divide(effects, step.divide, at)
            if told or step.merge or step.divide:
                break  # tell at once; the rest is the next step
        return members

    def _batch(self, members: Sequence[tuple[str, str]], effects: Effects, now: datetime) -> Batch:
        return Batch(
            id=self._steps.id_of(self._n + 1),
            jurisdiction=self._jurisdiction,
            n=self._n + 1,
            committed_at=now,
            members=tuple(members),
            opened=tuple(effects.opened),
            merged=tuple(effects.merged),
            moved=effects.moved,
        )

    # ---- what follows from a post

    def _note(self, effects: Effects, post: Post, step: Step, at: datetime) -> bool:
        """Gather what follows from one post; True when its incident has just to be alerted."""
        group = step.group
        effects.marks[post.id] = group if step.is_open else ""
        if step.opened:
            self._open(effects, group, at)
            for earlier in step.earlier:
                effects.marks[earlier] = group
        urgent = self._settings.danger_alarm and is_alarm(post)
        if urgent and step.gathering is None:
            self._open(effects, group, at)
            effects.marks.update(dict.fromkeys(self._board.open_now(group), group))
        gathering = self._board.gatherings.get(group)
        self._judging.learn(post, group, gathering, opened=group in effects.opened)
        if gathering is None:
            return False
        effects.touched[group] = gathering
        if urgent and group not in self._memory.alerted and at - post.created_at <= QUIET:
            self._memory.danger[group] = danger(own_words(post.text)).reasons
            self._memory.alerted[group] = effects.alerted[group] = at
            return True
        return self._tell(effects, group, gathering, at, post.created_at)

    def _open(self, effects: Effects, group: str, at: datetime) -> None:
        effects.opened[group] = None
        self._memory.opened[group] = at

    def _tell(
        self, effects: Effects, group: str, gathering: Gathering, at: datetime, created: datetime
    ) -> bool:
        """True when the incident has just to be alerted."""
        if group in self._memory.alerted or at - created > QUIET:
            return False  # old news wakes nobody
        hourly = self._board.grouper.hourly
        if not self._judging.alerts(gathering, hourly, lambda: self._board.is_named(group)):
            return False
        self._memory.alerted[group] = effects.alerted[group] = at
        return True

    def _merge(
        self, effects: Effects, ends: str, goes_on: str, at: datetime, created: datetime
    ) -> bool:
        """Two groups are one from now on; True when it has just to be alerted."""
        effects.merged.append((ends, goes_on))
        was_open = goes_on in self._board.gatherings
        effects.marks.update(dict.fromkeys(self._board.merge(ends, goes_on), goes_on))
        gathering = self._board.gatherings.get(goes_on)
        if gathering is None:
            return False
        if not was_open:
            self._open(effects, goes_on, at)
        if self._memory.merge(ends, goes_on):
            effects.end(ends, goes_on)
        effects.touched[goes_on] = gathering
        return self._tell(effects, goes_on, gathering, at, created)

    def _divide(
        self, effects: Effects, moved: tuple[tuple[str, str, str], ...], at: datetime
    ) -> None:
        """One incident is two from now on; the new one has not been told yet."""
        self._board.divide(moved)
        effects.moved = moved
        effects.marks.update({post_id: to for post_id, _, to in moved})
        _, before, after = moved[0]
        if after not in self._memory.opened:
            self._open(effects, after, at)
        for group in (before, after):
            if group in self._board.gatherings:
                effects.touched[group] = self._board.gatherings[group]

    # ---- starting

    def _load(self) -> None:
        """Rebuild the board from committed steps; write again what follows from the last one."""
        self._board = Board(self._window.total_seconds(), self._look_up)
        self._memory = Memory()
        self._judging.start()
        batches = self._steps.recent()
        self._n = batches[-1].n if batches else 0
        self._loaded = True
        if not batches:
            return
        last = batches.pop()
        for batch in batches:
            self._follow(batch)
        self._restore_incidents(last)
        effects = self._follow(last)
        self._writer.apply(effects, self._board, self._memory, last.committed_at, last.n)

    def _follow(self, batch: Batch) -> Effects:
        effects = Effects()
        posts = self._steps.posts(post_id for post_id, _ in batch.members)
        created = at = batch.committed_at
        for post_id, group in batch.members:
            post = posts.get(post_id)
            if post is not None:
                step = self._board.follow(post, group)
                created = post.created_at
                at = post.collected_at + HOLD if self._event_time else batch.committed_at
                self._note(effects, post, step, at)
        for ends, goes_on in batch.merged:
            self._merge(effects, ends, goes_on, at, created)
        if batch.moved:
            self._divide(effects, batch.moved, at)
        if not batch.members:  # a person's act
            self._board.arranged(one for pair in batch.merged for one in pair)
            self._board.arranged(one for _, *pair in batch.moved for one in pair)
        return effects

    def _restore_incidents(self, last: Batch) -> None:
        """Give open incidents their whole membership back, as it was before the last step."""
        tail = {post_id for post_id, _ in last.members}
        undone = {post_id: before for post_id, before, _ in last.moved}
        ended = self._steps.ended(but=last.merged)
        for group in list(self._board.gatherings):
            stored = self._archive.get(Incident, group, ALL)
            if stored is None or group in last.opened:
                continue
            ids: list[Post] = []
            for name in (group, *ended.get(group, ())):
                ids += self._archive.iter_posts(ALL, Filters(incident=name))
            ids += self._steps.posts(
                post_id for post_id, before in undone.items() if before == group
            ).values()
            gone = tail | {post_id for post_id, _, to in last.moved if to == group}
            self._board.refill(group, [post for post in ids if post.id not in gone])
            self._recall(group, stored.record)

    def _recall(self, group: str, incident: Incident) -> None:
        self._memory.opened[group] = incident.opened_at
        self._memory.alerted.pop(group, None)
        if incident.alerted_at is not None:
            self._memory.alerted[group] = incident.alerted_at
        if incident.danger:
            self._memory.danger[group] = incident.danger

    def _look_up(self, ids: Sequence[str]) -> Iterable[Post]:
        return self._steps.posts(ids).values()

    def _mark_of(self, post_id: str) -> str:
        group = self._board.group_of(post_id)
        return group if group in self._board.gatherings else ""


def is_alarm(post: Post) -> bool:
    """True when a post by itself says that a life is at stake now; officials only report."""
    if post.analysis is None or post.kind is Kind.REPOST or post.author.kind in OFFICIAL:
        return False
    return REASON in post.analysis.urgency.reasons
