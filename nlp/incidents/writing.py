"""Writes what follows from committed steps, fenced: an older step never undoes a newer one.

A detector may be stopped at any moment, another take its lease over, and the first go on where it
was. So each write says from which step it comes: an incident keeps the number of its step and
refuses a smaller one; a post's mark goes from none to alone to an incident, and from one incident
to another only where the step says from which; age makes an incident easing and closed, never
younger.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from archive.base import Archive
from huiyin.errors import Conflict
from huiyin.records import Incident, IncidentState, Level
from nlp.danger import REASON
from nlp.incidents.board import Board
from nlp.incidents.effects import Effects, Memory
from nlp.incidents.gathering import Gathering
from nlp.incidents.judging import Judging
from nlp.incidents.record import build, kept_by_people, state_of
from nlp.incidents.steps import ALL, CHUNK, Steps

QUIET = timedelta(hours=48)
"""An incident without a post for so long is closed (a new one opens it again); news that is older
when it is read alerts nobody."""
AGE_EVERY = timedelta(seconds=60)
_AGES = {
    IncidentState.EMERGING: 0, IncidentState.ACTIVE: 0, IncidentState.EASING: 1,
    IncidentState.CLOSED: 2,
}  # fmt: skip
_OPEN = (IncidentState.EMERGING, IncidentState.ACTIVE, IncidentState.EASING)
_LEVELS = tuple(Level)


class Writer:
    """Held by a detector."""

    def __init__(
        self, archive: Archive, steps: Steps, judging: Judging, *, jurisdiction: str
    ) -> None:
        self._archive, self._steps, self._judging = archive, steps, judging
        self._jurisdiction = jurisdiction
        self._aged: datetime | None = None

    def apply(
        self, effects: Effects, board: Board, memory: Memory, now: datetime, step: int
    ) -> None:
        """Write marks and incidents of a committed step. Raises `ArchiveError`."""
        self._archive.mark_incidents(effects.marks, was=self._left(effects))
        for group, gathering in effects.touched.items():
            self._write(self._built(group, gathering, board, memory, now, step))
        for ends, goes_on in effects.ended.items():
            self._end(ends, goes_on)
        self._judging.baselines.save(self._archive)
        for group in board.closed:
            memory.forget(group)
        board.closed.clear()

    def _left(self, effects: Effects) -> dict[str, tuple[str, ...]]:
        """Post -> incidents that this step may take it from."""
        if not effects.moved:
            return {}
        ended = self._steps.ended()
        return {post_id: (before, *ended.get(before, ())) for post_id, before, _ in effects.moved}

    def _end(self, ends: str, goes_on: str) -> None:
        """An incident that was merged keeps its posts' marks and says where it went on."""
        if self._archive.get(Incident, ends, ALL) is not None:
            update = {"state": IncidentState.MERGED, "merged_into": goes_on}
            self._archive.change(Incident, ends, ALL, lambda old: old.model_copy(update=update))

    def _built(
        self, group: str, gathering: Gathering, board: Board, memory: Memory, now: datetime,
        step: int,
    ) -> Incident:  # fmt: skip
        fresh = build(
            group,
            gathering,
            jurisdiction=self._jurisdiction,
            opened_at=memory.opened[group],
            alerted_at=memory.alerted.get(group),
            burst=self._judging.burst(gathering, board.grouper.hourly),
            window=QUIET,
            now=now,
            levels=self._judging.levels,
            find_debunk=self._judging.find_debunk,
        )
        update: dict[str, object] = {"step": step}
        if group in memory.danger:
            reasons = memory.danger[group]
            told = f"险情：{'、'.join(reasons) or REASON}，一条信息即告警"
            update["danger"] = reasons or (REASON,)
            update["level_reasons"] = (told, *fresh.level_reasons)
        return fresh.model_copy(update=update)

    def _write(self, fresh: Incident) -> None:
        if self._archive.get(Incident, fresh.id, ALL) is None:
            try:
                self._archive.create(fresh)
                return
            except Conflict:  # written meanwhile by a detector that was thought dead
                pass
        self._archive.change(Incident, fresh.id, ALL, lambda old: refreshed(old, fresh))

    def age(self, now: datetime) -> None:
        """Incidents that went quiet become easing, then closed; read what people said since."""
        if self._aged is not None and timedelta(0) <= now - self._aged < AGE_EVERY:
            return
        self._aged = now
        self._judging.refresh()
        for state in _OPEN:
            after = ""
            while page := self._archive.records(
                Incident, ALL, state=state, limit=CHUNK, after=after
            ):
                after = page[-1].record.id
                for stored in page:
                    if aged(stored.record, now) is not stored.record:
                        self._archive.change(
                            Incident, stored.record.id, ALL, lambda old: aged(old, now)
                        )


def aged(old: Incident, now: datetime) -> Incident:
    """Quieter, if it is time; a clock that is behind makes nothing younger."""
    if old.state not in _AGES:
        return old
    state = state_of(old.last_post_at, old.alerted_at, old.authors, QUIET, now)
    if state is old.state or _AGES[state] < _AGES[old.state]:
        return old
    return old.model_copy(update={"state": state})


def refreshed(old: Incident, fresh: Incident) -> Incident:
    """The newer reading, with what people set; the level rises only; never an older step."""
    if old.step > fresh.step:
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
