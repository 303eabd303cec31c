"""What people do with incidents: confirm, dismiss, name, set levels, move posts, merge, split.

Each act lies in the incident's own chain. Acts that change membership are committed as a step of
their own (`Batch` without new posts), as the detector's are, so that they are followed exactly once
by every detector; what follows from them is written at once, for the page that reads back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from archive.base import Archive, Filters, Stored
from huiyin.clock import Clock
from huiyin.errors import Conflict, InputError, NotFound
from huiyin.records import (
    Actor,
    Batch,
    Incident,
    IncidentState,
    Level,
    Post,
    Role,
    Scope,
    append_act,
)
from huiyin.settings import IncidentSettings
from nlp.incidents.gathering import Gathering, member
from nlp.incidents.learning import CONFIRMED, DISMISSED, kind_of, peak_of
from nlp.incidents.levels import read_levels
from nlp.incidents.record import KEPT, TITLE_CHARS, build
from nlp.incidents.writing import QUIET

JUDGES = (Role.ON_CALL, Role.REVIEWER)
"""Who may confirm, dismiss and set levels."""
SORTERS = (Role.ON_CALL, Role.REVIEWER, Role.DRAFTER)
"""Who may name, move, merge, split."""
FIRST_WORD, PRESS, ANSWER = timedelta(hours=5), timedelta(hours=24), timedelta(hours=48)
"""国办发〔2016〕61号 and 80号: 特别重大、重大 5 h and 24 h; anything else 48 h; natural time."""
GRAVE = (Level.EXTRAORDINARY, Level.MAJOR)
FIELDS = {"level": "突发事件等级", "warning": "预警", "opinion_level": "舆情等级"}
EVENT_LEVELS = tuple(level.removeprefix("疑似") for level in Level)
VALUES: Mapping[str, tuple[str, ...]] = {
    "level": EVENT_LEVELS,
    "warning": ("红色预警", "橙色预警", "黄色预警", "蓝色预警"),
    "opinion_level": EVENT_LEVELS,
}
_ALL = Scope.everything()
_TRIES = 20


class _Done(NamedTuple):
    """A step of a person."""

    at: datetime
    step: int
    """Its number; 0 = none was committed."""


@dataclass(frozen=True)
class _Group:
    """An incident and all its posts."""

    incident: Incident
    posts: tuple[Post, ...]


class IncidentDesk:
    """The acts. All raise `NotAllowed` without the role, `NotFound` outside the actor's scope."""

    def __init__(
        self,
        archive: Archive,
        *,
        settings: IncidentSettings,
        clock: Clock,
        jurisdiction: str = "default",
    ) -> None:
        self._archive, self._clock, self._jurisdiction = archive, clock, jurisdiction
        self._window = timedelta(hours=settings.window_hours)
        self._levels = Path(settings.levels) if settings.levels else None

    # ---- what it is

    def confirm(self, incident_id: str, actor: Actor, why: str = "") -> Stored[Incident]:
        """It is real: the statutory clocks start now."""
        now = self._judged(actor)

        def edit(old: Incident) -> Incident:
            again = old.verdict == CONFIRMED and old.verdict_at is not None
            start = old.verdict_at if again and old.verdict_at else now  # clocks start once
            return old.model_copy(
                update={"verdict": CONFIRMED, "verdict_at": start, **self._taught(old),
                        "deadlines": deadlines_of(old, start)}
            )  # fmt: skip

        return self._change(incident_id, actor, "confirm", why, edit)

    def dismiss(self, incident_id: str, actor: Actor, why: str) -> Stored[Incident]:
        """It is nothing to be called for; the reason is kept, the clocks end."""
        now = self._judged(actor)
        _needed(why, "没有说明原因", "写一句为什么不算事件")

        def edit(old: Incident) -> Incident:
            return old.model_copy(
                update={"verdict": DISMISSED, "verdict_at": now, **self._taught(old),
                        "deadlines": {}}
            )  # fmt: skip

        return self._change(incident_id, actor, "dismiss", why, edit)

    def set_level(
        self, incident_id: str, field: str, value: str | None, source: str, actor: Actor
    ) -> Stored[Incident]:
        """Set one of the three fields (`FIELDS`) from an official source; None takes it back."""
        self._judged(actor)
        if field not in FIELDS or (value is not None and value not in VALUES[field]):
            raise InputError(
                f"{FIELDS.get(field, field)}不能设为“{value}”",
                f"可用：{'、'.join(VALUES.get(field, tuple(FIELDS)))}",
            )
        _needed(source, f"设{FIELDS[field]}要写明出处", "写上哪个部门、哪份通报")

        def edit(old: Incident) -> Incident:
            new = old.model_copy(update={field: value})
            if field == "level" and old.verdict == CONFIRMED and old.verdict_at is not None:
                new = new.model_copy(update={"deadlines": deadlines_of(new, old.verdict_at)})
            return new

        said = f"{FIELDS[field]}：{value or '取消'}；出处：{source.strip()}"
        return self._change(incident_id, actor, "set-level", said, edit)

    def lower(
        self, incident_id: str, level: Level | None, why: str, actor: Actor
    ) -> Stored[Incident]:
        """Lower the machine's suspected level; it rises again only above the one it had."""
        self._judged(actor)
        _needed(why, "降级要说明原因", "写一句依据")
        order = tuple(Level)

        def edit(old: Incident) -> Incident:
            had = old.suspected_level
            if had is None or (level is not None and order.index(level) <= order.index(had)):
                raise InputError("只能往低里改", "等级由系统自动上调")
            highest = min((one for one in (had, old.lowered_from) if one), key=order.index)
            return old.model_copy(update={"suspected_level": level, "lowered_from": highest})

        return self._change(
            incident_id, actor, "lower", f"{level or '不定级'}；{why.strip()}", edit
        )

    def rename(self, incident_id: str, title: str, actor: Actor) -> Stored[Incident]:
        """Give it a title of one's own; the machine then leaves it alone."""
        actor.require(*SORTERS)
        title = " ".join(title.split())
        _needed(title, "名称是空的", "写一句话，说清何处何事")
        if len(title) > 2 * TITLE_CHARS:
            raise InputError("名称太长", f"不超过 {2 * TITLE_CHARS} 个字")

        def edit(old: Incident) -> Incident:
            return old.model_copy(update={"title": title, "title_by": actor.id})

        return self._change(incident_id, actor, "rename", "", edit, {"title": _digest(title)})

    # ---- what belongs to it

    def merge(self, ends: str, goes_on: str, actor: Actor, why: str = "") -> Stored[Incident]:
        """Two are one: `ends` says where it went on and keeps its posts' marks and its history."""
        actor.require(*SORTERS)
        if ends == goes_on:
            raise InputError("不能并入自己", "选另一个事件")
        one, other = self._open_one(ends, actor), self._open_one(goes_on, actor)
        first, second = self._group(one), self._group(other)
        done = self._commit(merged=((ends, goes_on),), live=(first, second))
        self._change(ends, actor, "merge-into", _with(why, goes_on), lambda old: old.model_copy(
            update={"state": IncidentState.MERGED, "merged_into": goes_on}))  # fmt: skip
        alerted = [at for at in (one.alerted_at, other.alerted_at) if at is not None]
        return self._rebuilt(
            goes_on, (*second.posts, *first.posts), actor, "merge", _with(why, ends), done,
            {"alerted_at": min(alerted)} if alerted else {},
        )  # fmt: skip

    def split(
        self, incident_id: str, posts: Sequence[str], actor: Actor, title: str = "", why: str = ""
    ) -> Stored[Incident]:
        """Take posts out into a new incident, which is returned."""
        return self._take(incident_id, None, posts, actor, why, title)

    def move(
        self, incident_id: str, target: str, posts: Sequence[str], actor: Actor, why: str = ""
    ) -> Stored[Incident]:
        """Move posts into another incident, which is returned."""
        if target == incident_id:
            raise InputError("这些帖子已在这个事件里", "选另一个事件")
        return self._take(incident_id, target, posts, actor, why, "")

    def _take(
        self, incident_id: str, target: str | None, posts: Sequence[str], actor: Actor, why: str,
        title: str,
    ) -> Stored[Incident]:  # fmt: skip
        actor.require(*SORTERS)
        before = self._group(self._open_one(incident_id, actor))
        wanted = set(self._archive.get_posts(tuple(dict.fromkeys(posts)), actor.scope))
        moved = tuple(post for post in before.posts if post.id in wanted)
        if not moved or len(moved) != len(set(posts)):
            raise NotFound("有帖子不在这个事件里", "刷新页面再选")
        rest = tuple(post for post in before.posts if post.id not in wanted)
        if not rest:
            raise InputError("不能把帖子全部移走", "要么合并两个事件，要么把它标为不算事件")
        after = target or f"incident:{moved[0].id}~{len(before.incident.acts)}"
        there = self._group(self._open_one(after, actor)) if target else None
        groups = (before, *([there] if there else []))
        done = self._commit(
            moved=tuple((post.id, incident_id, after) for post in moved), live=groups
        )
        self._archive.mark_incidents(
            {post.id: after for post in moved},
            was={post.id: (post.incident or "",) for post in moved},
        )
        ids = "、".join(post.id for post in moved[:20]) + ("……" if len(moved) > 20 else "")
        self._rebuilt(incident_id, rest, actor, "move-out", _with(why, f"{after}：{ids}"), done)
        said = _with(why, f"{incident_id}：{ids}")
        if there is not None:
            return self._rebuilt(after, (*there.posts, *moved), actor, "move-in", said, done)
        made = self._built(after, moved, before.incident, done, opened_at=done.at, alerted_at=None)
        acts = append_act((), at=done.at, actor=actor.id, what="split", why=said)
        update: dict[str, object] = {"acts": acts}
        if title.strip():
            update |= {"title": " ".join(title.split())[: 2 * TITLE_CHARS], "title_by": actor.id}
        try:
            return self._archive.create(made.model_copy(update=update))
        except Conflict:  # the detector followed the step already
            return self._change(after, actor, "split", said, lambda old: old.model_copy(
                update={k: v for k, v in update.items() if k != "acts"}))  # fmt: skip

    # ---- helpers

    def _judged(self, actor: Actor) -> datetime:
        actor.require(*JUDGES)
        return self._clock()

    def _change(
        self, incident_id: str, actor: Actor, what: str, why: str,
        edit: Callable[[Incident], Incident], digests: Mapping[str, str] | None = None,
    ) -> Stored[Incident]:  # fmt: skip
        now = self._clock()

        def change(old: Incident) -> Incident:
            acts = append_act(
                old.acts, at=now, actor=actor.id, what=what, why=why.strip(), digests=digests
            )
            return edit(old).model_copy(update={"acts": acts})

        return self._archive.change(Incident, incident_id, actor.scope, change)

    def _open_one(self, incident_id: str, actor: Actor) -> Incident:
        stored = self._archive.get(Incident, incident_id, actor.scope)
        if stored is None:
            raise NotFound("找不到这个事件", "它不存在，或不在您负责的账号范围内")
        if stored.record.state is IncidentState.MERGED:
            raise InputError("这个事件已经并入另一个", "打开它并入的那个事件再操作")
        return stored.record

    def _group(self, incident: Incident) -> _Group:
        """All posts of an incident, those of incidents merged into it included."""
        names, done = [incident.id], 0
        merged = self._archive.records(Incident, _ALL, state=IncidentState.MERGED, limit=10_000)
        while done < len(names):
            names += [one.record.id for one in merged if one.record.merged_into == names[done]]
            done += 1
        posts = [
            post
            for name in names
            for post in self._archive.iter_posts(_ALL, Filters(incident=name))
        ]
        return _Group(incident, tuple(posts))

    def _taught(self, incident: Incident) -> dict[str, object]:
        gathering = _gathered(self._group(incident).posts)
        return {
            "verdict_kind": kind_of(gathering.evidence),
            "verdict_peak": peak_of(gathering) if gathering.posts else 0.0,
        }

    def _commit(
        self,
        *,
        live: Sequence[_Group],
        merged: tuple[tuple[str, str], ...] = (),
        moved: tuple[tuple[str, str, str], ...] = (),
    ) -> _Done:
        """Commit the step; nothing is committed for incidents that left the detector's window."""
        now = self._clock()
        edge = now - self._window
        if any(not any(post.created_at >= edge for post in one.posts) for one in live):
            return _Done(now, 0)
        newest = self._archive.records(
            Batch, _ALL, ref=self._jurisdiction, newest_first=True, limit=20
        )
        n = max((stored.record.n for stored in newest), default=0)
        for _ in range(_TRIES):
            n += 1
            try:
                self._archive.create(
                    Batch(
                        id=f"batch:{self._jurisdiction}:{n}", jurisdiction=self._jurisdiction, n=n,
                        committed_at=now, members=(), merged=merged, moved=moved,
                    )
                )  # fmt: skip
                return _Done(now, n)
            except Conflict:
                continue
        raise Conflict("归并没有写入：系统正忙", "稍后再试")

    def _rebuilt(
        self, incident_id: str, posts: Sequence[Post], actor: Actor, what: str, why: str,
        done: _Done, more: Mapping[str, object] | None = None,
    ) -> Stored[Incident]:  # fmt: skip
        def edit(old: Incident) -> Incident:
            fresh = self._built(
                incident_id, posts, old, done, opened_at=old.opened_at, alerted_at=old.alerted_at
            )
            kept = {name: getattr(old, name) for name in KEPT} | {"title": fresh.title}
            if old.title_by:
                kept["title"] = old.title
            return fresh.model_copy(update={**kept, **(more or {})})

        return self._change(incident_id, actor, what, why, edit)

    def _built(
        self, incident_id: str, posts: Sequence[Post], old: Incident, done: _Done, *,
        opened_at: datetime, alerted_at: datetime | None,
    ) -> Incident:  # fmt: skip
        gathering = _gathered(posts)
        made = build(
            incident_id, gathering, jurisdiction=old.jurisdiction, opened_at=opened_at,
            alerted_at=alerted_at, burst=gathering.burst(), window=QUIET, now=done.at,
            levels=read_levels(self._levels),
        )  # fmt: skip
        return made.model_copy(update={"step": max(old.step, done.step)})


def deadlines_of(incident: Incident, start: datetime) -> dict[str, datetime]:
    """The statutory clocks from a confirmation on, by the person's level or the machine's."""
    level = f"疑似{incident.level}" if incident.level else incident.suspected_level
    if level in GRAVE:
        return {"first_word": start + FIRST_WORD, "press": start + PRESS}
    return {"answer": start + ANSWER}


def _gathered(posts: Sequence[Post]) -> Gathering:
    ordered = sorted(posts, key=lambda post: (post.created_at, post.id))
    return Gathering(member(post) for post in ordered)


def _with(why: str, what: str) -> str:
    return f"{why.strip()}（{what}）" if why.strip() else what


def _needed(text: str, what: str, mend: str) -> None:
    if not text.strip():
        raise InputError(what, mend)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
