"""What the programs keep for themselves: sources, gaps, quotas, leases, batches, settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from huiyin.records.base import Act, Record, StateRecord, UtcDatetime


class Gap(Record):
    """A time that a source did not cover, with the reason; never shown as "nothing there"."""

    starts_at: UtcDatetime
    ends_at: UtcDatetime | None = None
    """None = still open"""
    reason: str
    state: str = "failing"
    """Why: a state of `Source`, or cut_off (the platform showed no more)."""
    missed: int | None = None
    """About so many posts were there and not read; None = not known."""
    caught_up_at: UtcDatetime | None = None
    """Since then everything of this time is stored."""


class Source(StateRecord):
    """Spider + parameters + schedule + account it serves, and how far it has come."""

    kind: ClassVar[str] = "source"
    spider: str
    parameters: Mapping[str, str] = {}
    account: str
    every_seconds: float = 60.0
    cursor: str = ""
    """Newest native id below which everything is stored."""
    ahead: tuple[tuple[int, int], ...] = ()
    """Ranges above the cursor that are stored (first, last), lowest first."""
    state: str = "new"
    """new, ok, login_expired, quota, refused, blocked, layout, slow, silent, failing"""
    state_since: UtcDatetime | None = None
    reason: str = ""
    paused: bool = False
    """A person stopped it; its time counts as a gap."""
    tried_at: UtcDatetime | None = None
    last_ok_at: UtcDatetime | None = None
    covered_since: UtcDatetime | None = None
    gaps: tuple[Gap, ...] = ()
    hours: tuple[tuple[int, int], ...] = ()
    """New posts in each hour (hours since 1970, posts) of the last week, for `silent`."""
    answer_seconds: float | None = None
    """How long an answer takes, smoothed."""
    unknown_fields: tuple[tuple[str, int], ...] = ()
    """Fields of its answers that no table names, with how often they were seen."""
    acts: tuple[Act, ...] = ()
    """Who added, stopped and resumed it."""
    incident: str = ""
    """Of a temporary one: the incident whose words it looks for; it ends with it."""
    why: str = ""
    """Of a temporary one: why it looks for these words."""
    ended_at: UtcDatetime | None = None
    """Of a temporary one: since then nobody reads it; what it covered stays."""
    ended: str = ""
    """Why it ended: see crawler/temporary.py."""

    @property
    def resting(self) -> bool:
        """Not read now: a person stopped it, or what it was for is over."""
        return self.paused or self.ended_at is not None

    @property
    def state_name(self) -> str:
        """`temporary`, `ended`, or how it is: so that those that ended need not be read again."""
        if self.incident:
            return "ended" if self.ended_at is not None else "temporary"
        return self.state

    @property
    def ref(self) -> str:
        return self.incident


class Look(StateRecord):
    """A person asked what a source would bring: one page is read, nothing of it is stored as posts.

    id = `look:<source id>`; the crawl process answers, and empties the answer after a while.
    """

    kind: ClassVar[str] = "look"
    source: str
    asked_by: str
    asked_at: UtcDatetime
    state: str = "waiting"
    """waiting, reading, done, failed, old (the answer was removed)"""
    answered_at: UtcDatetime | None = None
    posts: tuple[Mapping[str, str], ...] = ()
    """What would be stored, masked: id, kind, created_at (ISO 8601), title, text."""
    bad: int = 0
    """Items that were not understood."""
    unknown_fields: tuple[str, ...] = ()
    total: int | None = None
    """How many the platform says there are."""
    problem: str = ""
    mend: str = ""

    @property
    def ref(self) -> str:
        return self.source


class Quota(StateRecord):
    """What a platform allows one account in a window of time, and how much is spent."""

    kind: ClassVar[str] = "quota"
    limit: int
    window_seconds: int
    used: int = 0
    resets_at: UtcDatetime
    told_at: UtcDatetime | None = None
    """When the platform itself said the limit; None = it comes from the settings."""


class Lease(StateRecord):
    """Who works on what right now; only saves work, never decides what counts."""

    kind: ClassVar[str] = "lease"
    owner: str
    beat: int = 0
    """Raised by the holder; a watcher that sees the same version for 20 s takes over."""


class Batch(StateRecord):
    """One committed step of the incident detector; `create` of a number succeeds once.

    id = `batch:<jurisdiction>:<n>`
    """

    kind: ClassVar[str] = "batch"
    jurisdiction: str
    n: int
    committed_at: UtcDatetime
    members: tuple[tuple[str, str], ...]
    """(post id, incident id or "" for alone), in (created_at, id) order"""
    opened: tuple[str, ...] = ()
    """Incidents that begin in this batch."""
    merged: tuple[tuple[str, str], ...] = ()
    """(group that ends, group that goes on) after the last post of the batch."""
    moved: tuple[tuple[str, str, str], ...] = ()
    """(post id, from, to) when a group proved to be two after the last post of the batch."""

    @property
    def ref(self) -> str:
        return self.jurisdiction


class Baseline(StateRecord):
    """What is normal at an account, about a category, in a city: the most spoken-of matter's
    authors in each hour and on each day of the last weeks. The larger of two readings counts.

    id = `baseline:<jurisdiction>:<digest of account, category, region>`
    """

    kind: ClassVar[str] = "baseline"
    jurisdiction: str
    account: str = ""
    category: str = ""
    region: str = ""
    """4 digits of an adcode."""
    since: int = 0
    """First hour of the stream, in hours since 1970 of Asia/Shanghai, as all hours here."""
    hours: Mapping[int, int] = {}
    """Hour -> authors; hours with one author at most are left out."""
    days: Mapping[int, int] = {}
    """Day (hour // 24) -> authors."""

    @property
    def ref(self) -> str:
        return self.jurisdiction


class Setting(StateRecord):
    """A small value that a part keeps in the archive (who changed it lies in `acts`)."""

    kind: ClassVar[str] = "setting"
    value: str
    acts: tuple[Act, ...] = ()
