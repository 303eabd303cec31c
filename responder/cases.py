"""From posts that want an answer to cases: one case a post, opened once, due by a small table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from archive.base import Archive, Filters, Stored
from huiyin.clock import Clock, system_clock
from huiyin.errors import Conflict
from huiyin.records import (
    Account,
    Actor,
    AuthorKind,
    Case,
    CaseState,
    Draft,
    DraftState,
    Kind,
    Post,
    Scope,
    append_act,
    text_sha,
)  # fmt: skip

ALL = Scope.everything()
SYSTEM = Actor.system("cases")
INTENTS = ("求助", "投诉", "举报", "咨询", "建议")
THRESHOLD = 0.5
MOST_AGE = timedelta(days=90)
"""Older posts (imported history) open no case by themselves; a person may still draft for them."""
FULL_SCAN = timedelta(minutes=5)
URGENT = 0.8
"""`urgency.score` from which danger to life or property is assumed."""
DUE = {
    "urgent": timedelta(hours=2),
    "utilities": timedelta(hours=24),
    "other": timedelta(hours=48),
}
"""Natural time, weekends and nights included. 48 h: 国办发〔2016〕61号 (any 政务舆情 is answered);

2 h danger to life or property and 24 h water, power, gas, heat: Beijing's practice for 12345,
stricter local limits that an office replaces by its own.
"""
_UTILITIES = re.compile(
    r"停水|断水|没水|停电|断电|没电|停气|断气|燃气|停暖|没暖气|暖气不热|供暖|供热|漏水|爆管|水管破"
)


@dataclass(frozen=True)
class CaseReport:
    """What one run did; `skipped` counts by named reason."""

    opened: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    """Cases whose state was brought in line with their draft after a kill between two writes."""
    skipped: Mapping[str, int] = field(default_factory=dict)


class CaseOpener:
    """Call `run_once` every few seconds; opening twice changes nothing."""

    def __init__(
        self, archive: Archive, clock: Clock = system_clock, *, threshold: float = THRESHOLD
    ) -> None:
        self._archive = archive
        self._clock = clock
        self._threshold = threshold
        self._known: set[str] = set()
        self._scanned: datetime | None = None

    def run_once(self) -> CaseReport:
        """Open what is new: every five minutes among all of `MOST_AGE`, else of two days."""
        now = self._clock()
        whole = self._scanned is None or now - self._scanned >= FULL_SCAN
        if whole:
            self._scanned = now
        filters = Filters(
            since=now - (MOST_AGE if whole else timedelta(days=2)), intents=INTENTS,
            min_needs_answer=self._threshold,
        )  # fmt: skip
        opened = []
        skipped: Counter[str] = Counter()
        for post in self._archive.iter_posts(ALL, filters):
            if post.id in self._known:
                continue
            why_not = self._why_not(post)
            if why_not:
                skipped[why_not] += 1
            elif open_case(self._archive, post, SYSTEM, now)[1]:
                opened.append(case_id(post.id))
            self._known.add(post.id)
        return CaseReport(tuple(opened), tuple(self._mend()), dict(skipped))

    def _why_not(self, post: Post) -> str:
        if post.kind is Kind.NOTICE or post.author.kind is AuthorKind.GOVERNMENT:
            return "official"
        if post.deleted_at is not None:
            return "deleted"
        return "" if post.offices else "no_account"

    def _mend(self) -> list[str]:
        """A kill between writing a draft and its case leaves the case behind: bring it along."""
        mended = []
        for state in DraftState:
            for draft in self._archive.records(
                Draft, ALL, state=state, limit=200, newest_first=True
            ):
                if follow(self._archive, draft.record, self._clock()):
                    mended.append(draft.record.case)
        return mended


def open_cases(
    archive: Archive, clock: Clock = system_clock, *, threshold: float = THRESHOLD
) -> CaseReport:
    """One whole pass of `CaseOpener`, for callers that keep nothing between passes."""
    return CaseOpener(archive, clock, threshold=threshold).run_once()


def case_id(post: str) -> str:
    """The one case of a post."""
    return f"case:{post}"


def open_case(
    archive: Archive, post: Post, actor: Actor, now: datetime
) -> tuple[Stored[Case], bool]:
    """The post's case, and whether it was opened just now."""
    known = archive.get(Case, case_id(post.id), ALL)
    if known is not None:
        return known, False
    account = answering_account(archive, post)
    intent = post.analysis.intent.label if post.analysis else ""
    kind, due = due_at(post)
    acts = append_act(
        (), at=now, actor=actor.id, what="open", why=kind,
        digests={"post": text_sha(post.title, post.text)},
    )  # fmt: skip
    original = _original(archive, post)
    if original:
        acts = append_act(acts, at=now, actor=SYSTEM.id, what="duplicate", why=original)
    case = Case(
        id=case_id(post.id), offices=post.offices, post=post.id, account=account, intent=intent,
        category=post.analysis.category.path if post.analysis else (),
        urgency=post.analysis.urgency.score if post.analysis else 0.0,
        opened_at=now, due_at=due, incident=post.incident or None, acts=acts,
    )  # fmt: skip
    try:
        return archive.create(case), True
    except Conflict:  # another worker opened it between the look and the write
        stored = archive.get(Case, case.id, ALL)
        if stored is None:
            raise
        return stored, False


def answering_account(archive: Archive, post: Post) -> str:
    """Which official account answers: of those mentioned the one whose duties the words name most;

    then the first mentioned; then the office that the post belongs to. Empty when there is none.
    """
    mentioned = [archive.get(Account, mention, ALL) for mention in post.mentions]
    accounts = [stored.record for stored in mentioned if stored is not None]
    if accounts:
        text = f"{post.title or ''}{post.text}"
        return max(accounts, key=lambda one: sum(duty in text for duty in one.duties)).id
    return (post.mentions or post.offices or ("",))[0]


def due_at(post: Post) -> tuple[str, datetime]:
    """Name of the limit and when it ends, counted from the post's publication."""
    text = f"{post.title or ''}{post.text}"
    if post.analysis is not None and post.analysis.urgency.score >= URGENT:
        kind = "urgent"
    else:
        kind = "utilities" if _UTILITIES.search(text) else "other"
    return kind, post.created_at + DUE[kind]


def duplicate_of(case: Case) -> str:
    """Id of an earlier case with the same words; empty when it is the first."""
    found = [act.why for act in case.acts if act.what == "duplicate"]
    return found[-1] if found else ""


FOLLOWS = {
    DraftState.DRAFT: CaseState.DRAFTED,
    DraftState.RETURNED: CaseState.DRAFTED,
    DraftState.SUBMITTED: CaseState.IN_REVIEW,
    DraftState.APPROVED: CaseState.APPROVED,
    DraftState.PUBLISHED: CaseState.PUBLISHED,
}
"""A case's state follows its draft's; only closing is the case's own."""


def follow(archive: Archive, draft: Draft, now: datetime) -> bool:
    """Bring the case in line with its draft; True when it was behind. Closed stays closed."""
    stored = archive.get(Case, draft.case, ALL)
    wanted = FOLLOWS[draft.state]
    if stored is None or stored.record.state in {wanted, CaseState.CLOSED}:
        return False

    def edit(case: Case) -> Case:
        if case.state in {wanted, CaseState.CLOSED}:
            return case
        actor = draft.acts[-1].actor if draft.acts else SYSTEM.id
        acts = append_act(case.acts, at=now, actor=actor, what="state", why=wanted)
        handler = actor if not actor.startswith("system:") else case.handler
        return case.model_copy(update={"state": wanted, "acts": acts, "handler": handler})

    archive.change(Case, draft.case, ALL, edit)
    return True


def _original(archive: Archive, post: Post) -> str:
    """Case of the earlier post with the same words, if there is one."""
    original = post.analysis.duplicate_of if post.analysis else None
    if not original or original == post.id:
        return ""
    stored = archive.get(Case, case_id(original), ALL)
    return stored.record.id if stored else ""


def by_urgency(cases: Sequence[Stored[Case]]) -> list[Stored[Case]]:
    """Nearest deadline first, more urgent first among equals."""
    return sorted(cases, key=lambda one: (one.record.due_at, -one.record.urgency, one.record.id))
