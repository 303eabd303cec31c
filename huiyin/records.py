"""The records that all parts exchange; all of them lie in the archive.

Frozen pydantic models. Times are aware and UTC inside (shown in Asia/Shanghai). A post's fields
have one owner each: the crawler (text, counts, deletion), nlp (`analysis`), incidents (`incident`);
an owner writes only its own fields. State records (`StateRecord`) change as "write if nobody wrote
since I read".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from huiyin.errors import NotAllowed


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


UtcDatetime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
EVERYTHING = "*"
PERSON = "person"
"""`Category.by` where a reviewer set the category."""


class Record(BaseModel):
    """Base of all records: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Scope:
    """The offices (official account ids) that the asker may see; None means all of them."""

    offices: frozenset[str] | None

    @classmethod
    def everything(cls) -> Scope:
        """For the system's own processes and for people whose offices are `("*",)`."""
        return cls(None)

    @classmethod
    def of(cls, *offices: str) -> Scope:
        """The given offices; `"*"` among them means everything."""
        return cls(None if EVERYTHING in offices else frozenset(offices))

    def allows(self, offices: tuple[str, ...]) -> bool:
        """True when the asker may see a record that belongs to `offices`."""
        return self.offices is None or not self.offices.isdisjoint(offices)


# ---------------------------------------------------------------- posts


class Kind(StrEnum):
    """What a post is on its platform."""

    POST = "post"
    COMMENT = "comment"
    REPOST = "repost"
    MESSAGE = "message"
    NOTICE = "notice"  # an official account's own post: evidence for replies


class AuthorKind(StrEnum):
    """Who speaks, as the platform verified it."""

    GOVERNMENT = "government"
    MEDIA = "media"
    ORGANISATION = "organisation"
    VERIFIED = "verified"
    ORDINARY = "ordinary"


class Author(Record):
    key: str | None = None
    """Keyed hash of platform and account number; None when the source did not say who wrote."""
    kind: AuthorKind = AuthorKind.ORDINARY
    region: str | None = None
    """As the platform shows it (IP territory or profile), in words."""
    name: str | None = None
    """Only for government, media and organisations; never for persons."""


class Metrics(Record):
    """Counts as the platform said them; None = it did not say (never 0)."""

    reposts: int | None = None
    comments: int | None = None
    likes: int | None = None
    read_at: UtcDatetime


class Media(Record):
    kind: str
    """picture or video"""
    url: str
    was_read: bool = False
    """False = nobody and no model has looked at its content; shown as such."""


class Origin(Record):
    """Which spider or importer brought the post, for which query, in which run."""

    spider: str
    query: str = ""
    run: str = ""


class Labelled(Record):
    label: str
    probabilities: Mapping[str, float]


class Category(Record):
    path: tuple[str, ...]
    """Main class first; empty = it belongs to none."""
    probabilities: Mapping[str, float]
    """Of the main classes (they add up to 1), and of each deeper level of the path, by the path

    so far: `城建/道路`.
    """
    by: str = ""
    """Version of the categories that decided, or `PERSON`."""


class Urgency(Record):
    score: float
    """0..1"""
    reasons: tuple[str, ...] = ()


class Place(Record):
    adcode: str
    name: str
    text: str
    """The words that gave it."""


class Analysis(Record):
    """What nlp understood of one text; owned by nlp."""

    model: str
    text_sha: str
    """`text_sha(title, text)` of the text that was read."""
    sentiment: Labelled
    emotion: Labelled
    intent: Labelled
    category: Category
    needs_answer: float
    """Probability that the post wants an answer from the office."""
    urgency: Urgency
    places: tuple[Place, ...] = ()
    vector: bytes = Field(default=b"", repr=False)
    """Unit sentence vector, little-endian float16; compared only with vectors of the same model."""
    language: str | None = None
    """Of the text, as in BCP 47: zh-Hans, zh-Hant, en, bo, ug, ...; None = nothing tells it."""
    duplicate_of: str | None = None
    """Id of an earlier post with the same words, None if this is the first."""


def text_sha(title: str | None, text: str) -> str:
    """First 16 hex digits of SHA-256 over title and text; says whether an analysis is current."""
    return hashlib.sha256(f"{title or ''}\n{text}".encode()).hexdigest()[:16]


class Post(Record):
    """One thing that somebody said, or an official account's own post."""

    id: str
    """`platform:native_id`"""
    kind: Kind = Kind.POST
    text: str
    """Masked: ordinary people's @names, phone and ID numbers are never stored."""
    title: str | None = None
    url: str | None = None
    """In the form without the author's number."""
    created_at: UtcDatetime
    """Never changes after first sight: it decides where the post lies."""
    collected_at: UtcDatetime
    """First sight."""
    read_at: UtcDatetime
    """When this text was read; an older reading never replaces a newer one."""
    author: Author = Author()
    offices: tuple[str, ...] = ()
    """Official account ids that the post belongs to: all it mentions, and the one served."""
    mentions: tuple[str, ...] = ()
    parent: str | None = None
    """Post id that this one answers or reposts."""
    root: str | None = None
    """Post id at the start of the thread or repost chain."""
    metrics: Metrics | None = None
    region: str | None = None
    """adcode"""
    media: tuple[Media, ...] = ()
    source: Origin
    deleted_at: UtcDatetime | None = None
    """The platform no longer shows it; text, title and analysis are erased and stay so."""
    analysis: Analysis | None = None
    """Owned by nlp."""
    incident: str | None = None
    """Owned by incidents: None = not looked at yet, "" = stays alone, else an incident id."""

    @property
    def platform(self) -> str:
        """Part of the id before the colon."""
        return self.id.partition(":")[0]


# ---------------------------------------------------------------- state records


class StateRecord(Record):
    """A record that changes; the archive keeps a version beside it."""

    kind: ClassVar[str]
    id: str
    offices: tuple[str, ...] = ()
    """Who may see it; empty = only the system and people who see everything."""

    @property
    def state_name(self) -> str:
        """Indexed by the archive: `records(..., state=...)`. Empty when it has no states."""
        return str(getattr(self, "state", ""))

    @property
    def ref(self) -> str:
        """Indexed by the archive: id of the record this one belongs to, or empty."""
        return ""


class Act(Record):
    """One act of a person (or of the system), a link of the hash chain inside its record."""

    at: UtcDatetime
    actor: str
    """Person id, or `system:<part>`."""
    what: str
    why: str = ""
    digests: Mapping[str, str] = {}
    """Name -> SHA-256 of a text acted on; digests, not texts, so that erasure breaks nothing."""
    previous: str = ""
    """Digest of the act before; empty for the first."""
    digest: str = ""


def append_act(
    acts: tuple[Act, ...],
    *,
    at: datetime,
    actor: str,
    what: str,
    why: str = "",
    digests: Mapping[str, str] | None = None,
) -> tuple[Act, ...]:
    """Return `acts` with one more link at its end, chained to the one before."""
    previous = acts[-1].digest if acts else ""
    act = Act(at=at, actor=actor, what=what, why=why, digests=digests or {}, previous=previous)
    return (*acts, act.model_copy(update={"digest": act_digest(act)}))


def act_digest(act: Act) -> str:
    """SHA-256 over everything in the act but its own digest."""
    body = act.model_dump_json(exclude={"digest"})
    return hashlib.sha256(body.encode()).hexdigest()


def first_broken_act(acts: tuple[Act, ...]) -> int | None:
    """0-based position of the first act whose digest or link is wrong; None when all hold."""
    previous = ""
    for position, act in enumerate(acts):
        if act.previous != previous or act.digest != act_digest(act):
            return position
        previous = act.digest
    return None


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


class CaseState(StrEnum):
    OPEN = "open"
    DRAFTED = "drafted"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    PUBLISHED = "published"
    CLOSED = "closed"


class Case(StateRecord):
    """One appeal that wants an answer, from opening to publication or hand-over."""

    kind: ClassVar[str] = "case"
    post: str
    account: str
    """Official account that answers."""
    state: CaseState = CaseState.OPEN
    intent: str = ""
    category: tuple[str, ...] = ()
    urgency: float = 0.0
    opened_at: UtcDatetime
    due_at: UtcDatetime
    handler: str | None = None
    incident: str | None = None
    closed_reason: str = ""
    acts: tuple[Act, ...] = ()

    @property
    def ref(self) -> str:
        return self.post


class Correction(StateRecord):
    """What a reviewer said a post's category is: an example for the next fitting.

    Keeps no words: they are read from the post, so that a deletion reaches the example too.
    """

    kind: ClassVar[str] = "correction"
    post: str
    category: tuple[str, ...]
    was: tuple[str, ...] = ()
    """What the machine had said."""
    was_by: str = ""
    """Which version had said it."""
    acts: tuple[Act, ...] = ()

    @property
    def ref(self) -> str:
        return self.post


class DraftSentence(Record):
    text: str
    sources: tuple[str, ...] = ()
    """Post ids of the evidence."""
    quote: str = ""
    """The words of the evidence that it rests on."""
    supported: bool = False
    """False = a fact without source: shown as 【待核实】 and blocks approval."""


class DraftState(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    APPROVED = "approved"
    PUBLISHED = "published"


class Draft(StateRecord):
    """A reply being written. Approval names the SHA-256 of text, target and account."""

    kind: ClassVar[str] = "draft"
    case: str
    target: str
    """Post id that is answered."""
    account: str
    state: DraftState = DraftState.DRAFT
    text: str
    sentences: tuple[DraftSentence, ...] = ()
    style_notes: tuple[str, ...] = ()
    written_by: str
    """`system:drafter` or the person who last edited."""
    submitted_by: str | None = None
    reviewed_by: str | None = None
    approved_digest: str | None = None
    created_at: UtcDatetime
    published_at: UtcDatetime | None = None
    acts: tuple[Act, ...] = ()

    @property
    def ref(self) -> str:
        return self.case


class Account(StateRecord):
    """An official account of the matrix. Its `offices` are itself and the accounts above it."""

    kind: ClassVar[str] = "account"
    platform: str = "weibo"
    uid: str
    name: str
    level: int
    """1 city, 2 district or bureau, 3 street or hall, 4 community or station"""
    parent: str | None = None
    unit: str = ""
    duties: tuple[str, ...] = ()
    """Words that name what it answers for."""
    region: str | None = None

    @property
    def ref(self) -> str:
        return self.parent or ""


class Role(StrEnum):
    DRAFTER = "拟稿员"
    REVIEWER = "审核员"
    ON_CALL = "值班员"
    RESEARCHER = "研究员"
    OPERATOR = "管理员"


@dataclass(frozen=True)
class Actor:
    """Who acts: made from a signed-in session or a system process, never from a form."""

    id: str
    name: str
    roles: frozenset[Role]
    scope: Scope

    @classmethod
    def system(cls, part: str) -> Actor:
        """A process of ours; it has no roles, so it can neither submit nor approve."""
        return cls(f"system:{part}", part, frozenset(), Scope.everything())

    def require(self, *roles: Role) -> None:
        """Raise `NotAllowed` unless the actor has one of the roles."""
        if self.roles.isdisjoint(roles):
            wanted = "、".join(roles)
            raise NotAllowed(
                f"{self.name}没有这项权限", f"请由{wanted}操作，或请管理员授权", reason="role"
            )


class Person(StateRecord):
    """Somebody who may sign in. `offices` says what they see; `("*",)` = everything."""

    kind: ClassVar[str] = "person"
    name: str
    roles: tuple[Role, ...]
    password_hash: str = Field(repr=False)
    """argon2id"""
    must_change_password: bool = False
    failed_sign_ins: int = 0
    locked_until: UtcDatetime | None = None
    active: bool = True
    acts: tuple[Act, ...] = ()


class Shift(StateRecord):
    """One turn of the rota: who is called between two times."""

    kind: ClassVar[str] = "shift"
    person: str
    starts_at: UtcDatetime
    ends_at: UtcDatetime
    order: int = 1
    """1 = called first"""
    channels: tuple[str, ...] = ("log",)


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


class Setting(StateRecord):
    """A small value that a part keeps in the archive (who changed it lies in `acts`)."""

    kind: ClassVar[str] = "setting"
    value: str
    acts: tuple[Act, ...] = ()


STATE_RECORDS: tuple[type[StateRecord], ...] = (
    Incident, Alert, Case, Draft, Account, Person, Shift, Source, Lease, Batch, Setting,
    Correction, Quota,
)  # fmt: skip
