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
from huiyin.records import Batch, Incident, IncidentState, Kind, Level, Post, Scope
from huiyin.settings import IncidentSettings
from nlp.danger import REASON, danger
from nlp.incidents.base import DetectorReport
from nlp.incidents.board import Board, Step
from nlp.incidents.burst import least_voices
from nlp.incidents.gathering import OFFICIAL, Gathering
from nlp.incidents.judging import Judging
from nlp.incidents.learning import Learned
from nlp.incidents.record import build, kept_by_people, state_of
from nlp.incidents.terms import own_words
from nlp.leases import Slices

HOLD = timedelta(seconds=1)
"""Posts wait this long, so that those of the same moment are ordered before they count."""
QUIET = timedelta(hours=48)
"""An incident without a post for so long is closed (a new one opens it again); news that is older
when it is read alerts nobody."""
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
        self._board = Board(self._window.total_seconds(), self._look_up)
        self._judging = Judging(archive, settings, learned)
        self._opened: dict[str, datetime] = {}
        self._alerted: dict[str, datetime] = {}
        self._danger: dict[str, tuple[str, ...]] = {}
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
            merged=tuple(effects.merged),
            moved=effects.moved,
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

    def _note(self, effects: _Effects, post: Post, step: Step, at: datetime) -> bool:
        """Gather what follows from one post; True when its incident has just to be alerted."""
        group = step.group
        effects.marks[post.id] = group if step.is_open else ""
        if step.opened:
            effects.opened[group] = None
            self._opened[group] = at
            for earlier in step.earlier:
                effects.marks[earlier] = group
        urgent = self._settings.danger_alarm and is_alarm(post)
        if urgent and step.gathering is None:
            effects.opened[group] = None
            self._opened[group] = at
            effects.marks.update(dict.fromkeys(self._board.open_now(group), group))
        gathering = self._board.gatherings.get(group)
        if gathering is None:
            return False
        effects.touched[group] = gathering
        if urgent and group not in self._alerted and at - post.created_at <= QUIET:
            self._danger[group] = danger(own_words(post.text)).reasons
            self._alerted[group] = effects.alerted[group] = at
            return True
        return self._tell(effects, group, gathering, at, post.created_at)

    def _tell(
        self, effects: _Effects, group: str, gathering: Gathering, at: datetime, created: datetime
    ) -> bool:
        """True when the incident has just to be alerted."""
        if group in self._alerted or at - created > QUIET:
            return False  # old news wakes nobody
        if not self._rule_holds(gathering):
            return False
        self._alerted[group] = at
        effects.alerted[group] = at
        return True

    def _merge(
        self, effects: _Effects, ends: str, goes_on: str, at: datetime, created: datetime
    ) -> bool:
        """Two groups are one from now on; True when it has just to be alerted."""
        effects.merged.append((ends, goes_on))
        was_open = goes_on in self._board.gatherings
        effects.marks.update(dict.fromkeys(self._board.merge(ends, goes_on), goes_on))
        gathering = self._board.gatherings.get(goes_on)
        if gathering is None:
            return False
        if not was_open:
            effects.opened[goes_on] = None
            self._opened[goes_on] = at
        if self._opened.pop(ends, None) is not None:
            effects.end(ends, goes_on)
            if ends in self._danger:
                self._danger.setdefault(goes_on, self._danger.pop(ends))
            alerted = [self._alerted.pop(one) for one in (ends, goes_on) if one in self._alerted]
            if alerted:
                self._alerted[goes_on] = min(alerted)
        effects.touched[goes_on] = gathering
        return self._tell(effects, goes_on, gathering, at, created)

    def _divide(
        self, effects: _Effects, moved: tuple[tuple[str, str, str], ...], at: datetime
    ) -> None:
        """One incident is two from now on; the new one has not been told yet."""
        self._board.divide(moved)
        effects.moved = moved
        effects.marks.update({post_id: to for post_id, _, to in moved})
        _, before, after = moved[0]
        if after not in self._opened:
            effects.opened[after] = None
            self._opened[after] = at
        for group in (before, after):
            if group in self._board.gatherings:
                effects.touched[group] = self._board.gatherings[group]

    def _rule_holds(self, gathering: Gathering) -> bool:
        if len(gathering.authors) < least_voices(self._settings.min_authors):
            return False
        voices = len(gathering.voices)
        if voices > 100 and voices % (voices // 50):
            return False  # a long chatter need not be judged at each post
        settings = self._settings
        burst = gathering.burst(self._board.grouper.hourly)
        return self._judging.alerts(gathering, burst, settings.min_authors, settings.min_score)

    # ---- writing what follows from a step

    def _apply(self, effects: _Effects, now: datetime) -> None:
        self._archive.mark_incidents(effects.marks)
        for group, gathering in effects.touched.items():
            self._write(
                group, gathering, now, shrinks=any(group == one for _, one, _ in effects.moved)
            )
        for ends, goes_on in effects.ended.items():
            self._end(ends, goes_on)
        for group in self._board.closed:
            self._opened.pop(group, None)
            self._alerted.pop(group, None)
            self._danger.pop(group, None)
        self._board.closed.clear()

    def _end(self, ends: str, goes_on: str) -> None:
        """An incident that was merged keeps its posts' marks and says where it went on."""
        if self._archive.get(Incident, ends, _ALL) is not None:
            update = {"state": IncidentState.MERGED, "merged_into": goes_on}
            self._archive.change(Incident, ends, _ALL, lambda old: old.model_copy(update=update))

    def _write(
        self, group: str, gathering: Gathering, now: datetime, *, shrinks: bool = False
    ) -> None:
        fresh = build(
            group,
            gathering,
            jurisdiction=self._jurisdiction,
            opened_at=self._opened[group],
            alerted_at=self._alerted.get(group),
            burst=gathering.burst(self._board.grouper.hourly),
            window=QUIET,
            now=now,
            levels=self._judging.levels,
            find_debunk=self._judging.find_debunk,
        )
        if group in self._danger:
            reasons = self._danger[group]
            told = f"险情：{'、'.join(reasons) or REASON}，一条信息即告警"
            update = {"danger": reasons or (REASON,), "level_reasons": (told, *fresh.level_reasons)}
            fresh = fresh.model_copy(update=update)
        if self._archive.get(Incident, group, _ALL) is None:
            try:
                self._archive.create(fresh)
                return
            except Conflict:  # written meanwhile by a detector that was thought dead
                pass
        self._archive.change(Incident, group, _ALL, lambda old: _refresh(old, fresh, shrinks))

    def _age(self, now: datetime) -> None:
        """Incidents that went quiet become easing, then closed."""
        if self._aged is not None and timedelta(0) <= now - self._aged < AGE_EVERY:
            return
        self._aged = now
        self._judging.refresh()
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
            QUIET,
            now,
        )

    def _aged_one(self, old: Incident, now: datetime) -> Incident:
        if old.state not in _OPEN:
            return old
        return old.model_copy(update={"state": self._state(old, now)})

    # ---- starting

    def _load(self) -> None:
        """Rebuild the board from committed steps; write again what follows from the last one."""
        self._board = Board(self._window.total_seconds(), self._look_up)
        self._opened, self._alerted, self._danger = {}, {}, {}
        self._judging.start()
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
        ended = self._ended(but=last.merged)
        for group in list(self._board.gatherings):
            stored = self._archive.get(Incident, group, _ALL)
            if stored is None or group in last.opened:
                continue
            ids: list[Post] = []
            for name in (group, *ended.get(group, ())):
                ids += self._archive.iter_posts(_ALL, Filters(incident=name))
            ids += self._posts(
                post_id for post_id, before in undone.items() if before == group
            ).values()
            gone = tail | {post_id for post_id, _, to in last.moved if to == group}
            self._board.refill(group, [post for post in ids if post.id not in gone])
            self._opened[group] = stored.record.opened_at
            self._alerted.pop(group, None)
            if stored.record.alerted_at is not None:
                self._alerted[group] = stored.record.alerted_at
            if stored.record.danger:
                self._danger[group] = stored.record.danger

    def _ended(self, *, but: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
        """Incident -> those that were merged into it, at first or second hand; not by `but`."""
        into: dict[str, str] = {}
        after = ""
        while page := self._archive.records(
            Incident, _ALL, state=IncidentState.MERGED, limit=_CHUNK, after=after
        ):
            after = page[-1].record.id
            for stored in page:
                one = stored.record
                if one.merged_into is not None and (one.id, one.merged_into) not in but:
                    into[one.id] = one.merged_into
        found: dict[str, list[str]] = {}
        for ends, first in into.items():
            goes_on = first
            while goes_on in into:
                goes_on = into[goes_on]
            found.setdefault(goes_on, []).append(ends)
        return found

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

    def _look_up(self, ids: Sequence[str]) -> Iterable[Post]:
        return self._posts(ids).values()

    def _posts(self, ids: Iterable[str]) -> dict[str, Post]:
        wanted: Sequence[str] = list(ids)
        found: dict[str, Post] = {}
        for start in range(0, len(wanted), _CHUNK):
            found.update(self._archive.get_posts(wanted[start : start + _CHUNK], _ALL))
        return found

    def _mark_of(self, post_id: str) -> str:
        group = self._board.group_of(post_id)
        return group if group in self._board.gatherings else ""

    def _batch_id(self, n: int) -> str:
        return f"batch:{self._jurisdiction}:{n}"


def is_alarm(post: Post) -> bool:
    """True when a post by itself says that a life is at stake now; officials only report."""
    if post.analysis is None or post.kind is Kind.REPOST or post.author.kind in OFFICIAL:
        return False
    return REASON in post.analysis.urgency.reasons


class _Effects:
    """What follows from a step."""

    def __init__(self) -> None:
        self.marks: dict[str, str] = {}
        self.touched: dict[str, Gathering] = {}
        self.opened: dict[str, None] = {}
        self.alerted: dict[str, datetime] = {}
        self.merged: list[tuple[str, str]] = []
        self.moved: tuple[tuple[str, str, str], ...] = ()
        self.ended: dict[str, str] = {}

    def end(self, ends: str, goes_on: str) -> None:
        """An incident ends in another; one that began in this step was never there."""
        self.touched.pop(ends, None)
        self.alerted.pop(ends, None)
        if ends in self.opened:
            del self.opened[ends]
            self.marks = {
                post_id: goes_on if mark == ends else mark for post_id, mark in self.marks.items()
            }
        else:
            self.ended[ends] = goes_on


def _refresh(old: Incident, fresh: Incident, shrinks: bool) -> Incident:
    """The newer reading, with what people set; the level rises only; never an older reading."""
    if old.posts > fresh.posts and not shrinks:
        return old
    level = min(
        (one for one in (old.suspected_level, fresh.suspected_level) if one is not None),
        key=_LEVELS.index,
        default=None,
    )
    update: dict[str, object] = {"suspected_level": level, "opened_at": old.opened_at}
    if level is not fresh.suspected_level:
        update["level_reasons"] = old.level_reasons
    if old.danger:
        update["danger"] = old.danger
    if old.alerted_at is not None:
        update["alerted_at"] = old.alerted_at
    if old.state is IncidentState.MERGED:
        update["state"] = old.state
    return fresh.model_copy(update={**update, **kept_by_people(old, fresh)})
