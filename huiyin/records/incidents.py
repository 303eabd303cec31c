"""Incidents, what is claimed about them, and the alerts that tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from huiyin.records.base import Act, Record, StateRecord, UtcDatetime
from huiyin.records.posts import Place


class Level(StrEnum):
    """Suspected level of an incident, highest first (国务院令第493号 第3条 names the four)."""

    EXTRAORDINARY = "疑似特别重大"
    MAJOR = "疑似重大"
    LARGER = "疑似较大"
    ORDINARY = "疑似一般"


class IncidentState(StrEnum):
    EMERGING = "emerging"
    ACTIVE = "active"
    EASING = "easing"
    CLOSED = "closed"
    MERGED = "merged"


class Sentence(Record):
    """A sentence and the posts it was taken from."""

    text: str
    posts: tuple[str, ...]


class Claim(Record):
    """A checkable statement that posts make, judged by itself."""

    text: str
    standing: str
    """有依据, 未证实, 有争议 or 已辟谣"""
    posts_for: tuple[str, ...] = ()
    posts_against: tuple[str, ...] = ()
    about: str = ""
    """数字, 原因, 地点, 责任, or 经过 (what a denial denies as a whole)"""
    evidence: tuple[str, ...] = ()
    """Why it stands so, in words."""
    debunk: str | None = None
    """Official post of the archive that denied a like claim before."""
    risk: float | None = None
    """Rumour risk 0..1 of this claim; None where officials or media say it undisputed."""


class Incident(StateRecord):
    """A group of posts about one happening. Counts are derived from membership when written."""

    kind: ClassVar[str] = "incident"
    jurisdiction: str = "default"
    state: IncidentState = IncidentState.EMERGING
    title: str
    summary: tuple[Sentence, ...] = ()
    suspected_level: Level | None = None
    """The machine's guess; may rise by itself, only a person lowers it. None = too little known."""
    level_reasons: tuple[str, ...] = ()
    level: str | None = None
    """突发事件等级 (of what happened), set by a person from an official source."""
    warning: str | None = None
    """预警 (红 橙 黄 蓝, of what may come), set by a person from an official source."""
    opinion_level: str | None = None
    """舆情等级 (of the talk; each office has its own rule), set by a person."""
    lowered_from: Level | None = None
    """The suspected level that a person lowered: the machine raises it only above this one."""
    title_by: str = ""
    """Person who named it; empty = the title is taken from a post."""
    verdict: str = ""
    """confirmed or dismissed by a person; empty = nobody has said."""
    verdict_at: UtcDatetime | None = None
    """When the person said so; a confirmation starts the statutory clocks."""
    verdict_kind: str = ""
    """What kind of thing it was judged to be (`learning.kind_of`), for later thresholds."""
    verdict_peak: float = 0.0
    """Highest burst score that it reached, for later thresholds."""
    danger: tuple[str, ...] = ()
    """险情: kinds of danger for which one post was enough; empty = no such alarm."""
    score: Mapping[str, float] = {}
    """Each term of the burst score by name, and `total`."""
    key_posts: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    claims: tuple[Claim, ...] = ()
    accounts: tuple[str, ...] = ()
    """Official accounts concerned."""
    posts: int = 0
    authors: int = 0
    """Independent authors (near-duplicates and reposts of one root count once)."""
    first_post_at: UtcDatetime
    last_post_at: UtcDatetime
    opened_at: UtcDatetime
    alerted_at: UtcDatetime | None = None
    """When the burst rule first held; None = never."""
    reading_delay_seconds: float | None = None
    """Median of collected_at - created_at of its posts."""
    merged_into: str | None = None
    step: int = 0
    """Committed step (`Batch.n`) that it was last written from; a smaller one changes nothing."""
    deadlines: Mapping[str, UtcDatetime] = {}
    acts: tuple[Act, ...] = ()


class Delivery(Record):
    """One message to one recipient through one channel."""

    channel: str
    recipient: str
    """Person id."""
    state: str = "pending"
    """pending, sent, failed (a retry may help), dead (no retry helps)"""
    attempts: int = 0
    next_at: UtcDatetime | None = None
    sent_at: UtcDatetime | None = None
    error: str = ""


class AlertState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    ACKNOWLEDGED = "acknowledged"


class Alert(StateRecord):
    kind: ClassVar[str] = "alert"
    incident: str
    rule: str
    state: AlertState = AlertState.PENDING
    title: str
    text: str
    reasons: tuple[str, ...] = ()
    created_at: UtcDatetime
    deliveries: tuple[Delivery, ...] = ()
    acknowledged_by: str | None = None
    acknowledged_at: UtcDatetime | None = None
    acts: tuple[Act, ...] = ()

    @property
    def ref(self) -> str:
        return self.incident
