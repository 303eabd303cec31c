"""Retention: takes out posts that are too old, and keeps what is still being dealt with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from archive.base import Archive, Filters
from archive.keeping.copying import MOVING, Progress, noted, silent
from huiyin.errors import ArchiveError
from huiyin.records import (
    Case,
    CaseState,
    Draft,
    Incident,
    IncidentState,
    Kind,
    Post,
    Scope,
    StateRecord,
)

R = TypeVar("R", bound=StateRecord)
ALL = Scope.everything()
AT_ONCE = 500
CLOSED = (IncidentState.CLOSED, IncidentState.MERGED)


@dataclass
class Expired:
    """What retention did, or would do."""

    before: datetime
    removed: int = 0
    letters: int = 0
    """Posts that a server refused, and refused before `before`."""
    kept: Counter[str] = field(default_factory=Counter)
    """Number of old posts that stay, by reason: notice, incident, case, deleted."""


def expire(
    archive: Archive, before: datetime, *, dry_run: bool = False, progress: Progress = silent
) -> Expired:
    """Remove posts created before `before` with their words, vectors and failures.

    Posts that a server refused go too, by the time when it did. Kept are official notices, posts
    of incidents that are not closed, posts of cases that are not closed (with what they answer),
    and tombstones, which hold no words and keep a deletion from coming back with an old file. State
    records are kept. Raises `ArchiveError` while the archive is being moved: the copy would not
    learn of removals.
    """
    if noted(archive, MOVING) is not None:
        raise ArchiveError(
            "档案正在搬迁，或刚切换还能退回，现在不能清理",
            "搬完后运行 huiyin archive copy --stop，再清理",
        )
    done = Expired(before)
    incidents, posts = _open_incidents(archive), _needed_posts(archive)
    doomed: list[str] = []
    for number, post in enumerate(archive.iter_posts(ALL, Filters(until=before)), 1):
        why = _why_kept(post, incidents, posts)
        if why:
            done.kept[why] += 1
        else:
            doomed.append(post.id)
        if len(doomed) >= AT_ONCE:
            done.removed += _remove(archive, doomed, dry_run)
            doomed = []
        if number % AT_ONCE == 0:
            progress(number, None)
    done.removed += _remove(archive, doomed, dry_run)
    # their own time may be what is wrong with them
    letters = [one.post.id for one in archive.dead_letters() if one.at < before]
    done.letters = len(letters) if dry_run else archive.remove_dead_letters(letters)
    return done


def _remove(archive: Archive, ids: list[str], dry_run: bool) -> int:
    return len(ids) if dry_run else archive.remove_posts(ids)


def _why_kept(post: Post, incidents: frozenset[str], posts: frozenset[str]) -> str:
    """Reason to keep an old post, empty when there is none."""
    if post.kind is Kind.NOTICE:
        return "notice"
    if post.deleted_at is not None:
        return "deleted"
    if post.incident and post.incident in incidents:
        return "incident"
    return "case" if post.id in posts else ""


def _open_incidents(archive: Archive) -> frozenset[str]:
    """Incidents that are not closed, and those that were merged into them."""
    into: dict[str, str] = {}
    opened = set()
    for record in _every(archive, Incident):
        if record.merged_into:
            into[record.id] = record.merged_into
        elif record.state not in CLOSED:
            opened.add(record.id)
    for name in into:
        last, steps = name, 0
        while last in into and steps <= len(into):
            last, steps = into[last], steps + 1
        if last in opened:
            opened.add(name)
    return frozenset(opened)


def _needed_posts(archive: Archive) -> frozenset[str]:
    """Posts of open cases with what they answer, and key posts of open incidents."""
    needed: set[str] = set()
    cases = set()
    for case in _every(archive, Case):
        if case.state is not CaseState.CLOSED:
            needed.add(case.post)
            cases.add(case.id)
    for draft in _every(archive, Draft):
        if draft.case in cases:
            needed.add(draft.target)
            needed.update(source for one in draft.sentences for source in one.sources)
    for incident in _every(archive, Incident):
        if incident.state not in CLOSED:
            needed.update(incident.key_posts)
    for post in archive.get_posts(sorted(needed), ALL).values():
        needed.update(one for one in (post.parent, post.root) if one)
    return frozenset(needed)


def _every(archive: Archive, kind: type[R]) -> Iterator[R]:
    after = ""
    while page := archive.records(kind, ALL, after=after):
        yield from (one.record for one in page)
        after = page[-1].record.id
