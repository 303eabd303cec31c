"""The archive's interface: what every engine must do. The contract suite is tests/contracts.

One store for posts (with one owner a field) and for state records (optimistic writes). Every
question and act takes a `Scope`; a record outside it does not exist for the asker. An archive may
be used from many threads (one connection a thread) and many processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from archive.keeping.base import Keeping
from huiyin.records import Analysis, AuthorKind, Kind, Post, Scope, StateRecord

R = TypeVar("R", bound=StateRecord)

TIMEZONE = "Asia/Shanghai"
Packer = Callable[[Sequence[Post]], bytes]
FACETS = (
    "platform", "kind", "author_kind", "office", "region", "category", "sentiment", "emotion",
    "intent", "incident",
)  # fmt: skip


@dataclass(frozen=True)
class Stored(Generic[R]):
    """A state record and the version it was read at."""

    record: R
    version: int


@dataclass(frozen=True)
class PutReport:
    """What became of a list of posts."""

    new: int = 0
    updated: int = 0
    """Text, counts or deletion changed."""
    unchanged: int = 0
    waiting: int = 0
    """Safe on this host's disk until the archive is there again; what they bring is not known."""
    rejected: int = 0
    """The server refuses them as they are; kept apart and listed by `failures` (stage `put`)."""

    def __add__(self, other: PutReport) -> PutReport:
        return PutReport(
            self.new + other.new, self.updated + other.updated, self.unchanged + other.unchanged,
            self.waiting + other.waiting, self.rejected + other.rejected,
        )  # fmt: skip


@dataclass(frozen=True)
class Waiting:
    """Writes that wait on this host's disk because the archive's server is away."""

    posts: int
    """Posts to be stored."""
    others: int
    """Deletions, analyses and marks, counted by posts."""
    since: datetime
    """When the oldest was accepted."""
    bytes: int
    limit_bytes: int
    aside: int
    """Writes that the archive refused; kept, no longer tried."""
    reason: str
    """Why it could not be handed on when last tried."""


@dataclass(frozen=True)
class Slice:
    """Part `number` of `of` of a queue, by a hash of the post id that is stable across hosts."""

    number: int = 0
    of: int = 1


@dataclass(frozen=True)
class Failure:
    """A post that a stage could not do."""

    stage: str
    post_id: str
    attempts: int
    reason: str
    at: datetime
    final: bool
    """True after three attempts: it is no longer pending."""


@dataclass(frozen=True)
class Filters:
    """All given ones must hold; a tuple means "one of these"; empty means no restriction."""

    since: datetime | None = None
    """created_at >= since"""
    until: datetime | None = None
    """created_at < until"""
    platforms: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    author_kinds: tuple[AuthorKind, ...] = ()
    offices: tuple[str, ...] = ()
    region: str | None = None
    """adcode; matches everything under it (trailing zeros are the level)"""
    category: tuple[str, ...] = ()
    """Path prefix."""
    sentiments: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    intents: tuple[str, ...] = ()
    incident: str | None = None
    root: str | None = None
    min_needs_answer: float | None = None


@dataclass(frozen=True)
class SearchRequest:
    """`query` in Lucene syntax: words, "phrases", AND OR NOT, field:value, ranges, parentheses.

    Words beside each other must all be found. A Chinese word is found as it stands (a phrase), a
    single character too; other words are found whole, `word*` by their beginning. `field:*` = has a
    value. Dates are in Asia/Shanghai and may be a year, month, day, minute or second. A region
    takes in everything under it; a category is found by any part of its path.

    Fields: text (default), title, id, platform, kind, author_kind, office, mentions, region,
    category, sentiment, emotion, intent, incident, created_at, reposts, comments, likes, urgency;
    `has:reply` = an official account has answered it.

    Width, case, traditional or simplified characters and variants of emoji make no difference.
    """

    query: str = ""
    filters: Filters = field(default_factory=Filters)
    newest_first: bool = True
    """False = by relevance (BM25)."""
    limit: int = 20
    after: str | None = None
    """`next_cursor` of the page before."""
    facets: tuple[str, ...] = ()
    """Names from `FACETS`."""
    timeline: str | None = None
    """hour, day, week or month, in Asia/Shanghai"""


@dataclass(frozen=True)
class Hit:
    post: Post
    score: float = 0.0
    highlights: tuple[tuple[int, int], ...] = ()
    """[start, end) positions in `post.text` that match."""


@dataclass(frozen=True)
class SearchResult:
    hits: tuple[Hit, ...]
    total: int
    """Exact number of matches inside the scope."""
    facets: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    """Value and count, most frequent first, at most 100 a facet."""
    timeline: tuple[tuple[datetime, int], ...] = ()
    """(start of the bucket, count), empty buckets between the first and last included"""
    next_cursor: str | None = None
    authors: int = 0
    """Different known authors of the matches; exact up to `EXACT_AUTHORS`."""
    authors_estimated: bool = False
    """True: `authors` is an estimate, to be shown with 约."""


class Archive(Keeping, Protocol):
    """What every engine does. Raises only `huiyin.errors.ArchiveError` and `QueryError`.

    What moves, closes and looks after an archive stands in archive/keeping/base.py.
    """

    # ---- posts: written by their owners

    def put_posts(self, posts: Sequence[Post]) -> PutReport:
        """Crawler: store new posts; refresh text (by read_at) and counts (by metrics.read_at).

        Idempotent. On disk when it returns. `created_at`, `collected_at`, `analysis` and `incident`
        of a known post stay; `offices` and `mentions` are united; a deleted post stays deleted.
        A post with `deleted_at` set deletes. Ignores `analysis` and `incident` of the input.
        The outcome does not depend on the order of readings: of two at the same moment the longer
        text and the larger count stay, and a count that was not said (None) never replaces one
        that was. Written in slices, so that other writers get in between; a kill in the middle
        leaves whole posts, and putting the same list again completes it.
        """

    def packer(self) -> Packer:
        """A function from posts to bytes for `put_packed`, which can be sent to another process.

        It does what of `put_posts` needs no archive, so that a reader of files shares the work.
        """

    def put_packed(self, packed: bytes) -> PutReport:
        """`put_posts` of what this archive's own packer made."""

    def delete_posts(self, ids: Sequence[str], at: datetime) -> int:
        """Honour a deletion: text, title, media, analysis are erased, a tombstone stays.

        Returns how many were not deleted before; unknown ids are skipped. The words leave the
        search index at once and its file with the next purge (at most ten minutes of deletions
        later, or with `check`).
        """

    def write_analyses(self, analyses: Sequence[tuple[str, Analysis]]) -> int:
        """nlp: store analyses of (post id, analysis); deleted or unknown posts are skipped.

        An analysis of an older text than the stored one is stored only if the post has none.
        Returns how many were stored.
        """

    def mark_incidents(
        self, marks: Mapping[str, str], *, was: Mapping[str, Sequence[str]] | None = None
    ) -> int:
        """incidents: set post id -> incident id ("" = alone); may be repeated.

        A post that is in an incident is taken into another only if `was` names the one that it is
        in, and is never alone again: so a writer that was held up undoes nothing newer. Returns how
        many changed; unknown ids are skipped.
        """

    # ---- posts: read

    def get_posts(self, ids: Sequence[str], scope: Scope) -> dict[str, Post]:
        """The known ones by id (real-time: sees every acknowledged write)."""

    def iter_posts(
        self, scope: Scope, filters: Filters | None = None, *, page: int = 1000
    ) -> Iterator[Post]:
        """All that match in (created_at, id) order, each once; reads page by key, no long lock.

        Tombstones of deleted posts are among them (`deleted_at` is set, the text empty).
        """

    def search(self, request: SearchRequest, scope: Scope) -> SearchResult:
        """Posts that match query and filters; `QueryError` names the place of wrong syntax.

        Deleted posts never match. Pages newest first have no repeats and no holes whoever writes;
        pages by relevance keep the order of the first page within one process.
        """

    def similar(
        self, vector: bytes, model: str, scope: Scope, *,
        filters: Filters | None = None, limit: int = 10,
    ) -> list[Hit]:  # fmt: skip
        """Posts with the nearest vectors of `model` (cosine in `Hit.score`, highest first)."""

    def like(
        self, text: str, scope: Scope, *, filters: Filters | None = None, limit: int = 10
    ) -> list[Hit]:
        """Posts that share words with `text`, the most telling first (BM25 in `Hit.score`).

        No word must be found; for questions of whole sentences, and half of `archive.hybrid`.
        """

    def thread(self, root: str, scope: Scope, *, limit: int = 500) -> list[Post]:
        """The post `root` and what has it as root or parent, in (created_at, id) order."""

    # ---- stages

    def pending_analysis(self, model: str, *, limit: int, part: Slice = Slice()) -> list[Post]:
        """Lane one: never analysed, newest first; only the room left is filled from lane two:

        analysed by another model, or on another text. Deleted and failed posts are left out.
        """

    def pending_incidents(self, *, before: datetime, limit: int) -> list[Post]:
        """Analysed posts without incident mark and collected before `before`,

        in (created_at, id) order, oldest first, vector included.
        """

    def pending_counts(self, model: str) -> Mapping[str, int]:
        """`analysis` (lane one), `reanalysis` (lane two), `incidents`, `failed`."""

    def record_failure(self, stage: str, post_id: str, reason: str, at: datetime) -> int:
        """Count one more failed attempt of a stage on a post; returns the attempts so far."""

    def failures(self, *, limit: int = 100) -> list[Failure]:
        """Latest first."""

    def clear_failures(self, stage: str) -> int:
        """Make failed posts pending again (`doctor --retry-failed`)."""

    # ---- state records

    def create(self, record: R) -> Stored[R]:
        """Store a new record; `Conflict` when the id exists. On disk when it returns."""

    def replace(self, stored: Stored[R], record: R) -> Stored[R]:
        """Write if nobody wrote since `stored` was read, else `Conflict`."""

    def change(
        self, kind: type[R], record_id: str, scope: Scope, edit: Callable[[R], R]
    ) -> Stored[R]:
        """Read, edit, replace, again on `Conflict` (up to 20 times); `edit` may raise to refuse.

        Returning the same record writes nothing. `NotFound` when it is not in scope.
        """

    def get(self, kind: type[R], record_id: str, scope: Scope) -> Stored[R] | None:
        """By id, real-time."""

    def records(
        self, kind: type[R], scope: Scope, *, state: str | None = None, ref: str | None = None,
        limit: int = 1000, after: str = "", newest_first: bool = False,
    ) -> list[Stored[R]]:  # fmt: skip
        """Records in id order (or by last write, newest first); `after` = last id seen."""

    # ---- the whole

    def counts(self) -> Mapping[str, int]:
        """Posts and state records by kind."""

    def check(self) -> list[str]:
        """Problems found by the engine's own integrity check, empty = sound (for `doctor`).

        Purges what deletions left in the search index first.
        """

    def close(self) -> None:
        """Close this thread's and all other connections of this object."""
