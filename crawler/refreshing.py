"""Which stored posts are counted again, and when: a falling schedule, spent by value.

All that it needs lies in the archive (when a post was made, when its counts were read last), so a
kill loses nothing. A post is due when a step of its age has passed since it was read; one that goes
on growing is due between the steps too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from archive.base import Archive, Filters
from crawler.rounds import Reading, number_or_zero
from crawler.weibo_api import BATCH_PATH, COMMERCIAL_BATCH_PATH, ENDPOINTS
from huiyin.records import Kind, Post, Scope, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.build import Builder

COUNTS = "counts"
"""Name of the list (`weibo_api.ENDPOINTS`) that these readings belong to."""
STEPS = tuple(timedelta(minutes=one) for one in (10, 60, 6 * 60, 24 * 60, 3 * 24 * 60, 7 * 24 * 60))
"""Ages at which a post is counted again."""
LATE = timedelta(days=1)
"""So much later the last step may still be done; what is older is left as it was read."""
HOT = 20.0
"""So many new reposts, comments and likes to be expected make a post due between the steps."""
SHORTEST = timedelta(minutes=10)
"""Between two readings of the same post."""
A_CALL = 100
"""Posts that statuses/count takes (open.weibo.com wiki, C/2/statuses/count/biz)."""
A_BATCH = 50
"""Posts or comments that the show_batch endpoints take."""
_LOOK_ALL_EVERY = timedelta(hours=1)
_OVERLAP = timedelta(minutes=30)
"""Posts may be stored so long after they were made without a whole look seeing them first."""
_ALL = Scope.everything()
_KINDS = (Kind.POST, Kind.REPOST, Kind.NOTICE, Kind.COMMENT)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Counted:
    """What matters of a post here."""

    id: str
    created_at: datetime
    read_at: datetime
    """When its counts were read last; its text, where it has none."""
    reactions: int
    comment: bool

    @classmethod
    def of(cls, post: Post) -> Counted:
        """The post as it is stored."""
        counts = post.metrics
        said = (counts.reposts, counts.comments, counts.likes) if counts else ()
        return cls(
            post.id, post.created_at, counts.read_at if counts else post.read_at,
            sum(one or 0 for one in said), post.kind is Kind.COMMENT,
        )  # fmt: skip

    @property
    def number(self) -> str:
        """On its platform."""
        return self.id.partition(":")[2]

    def expected(self, now: datetime) -> float:
        """New reactions since it was read: they come evenly in the logarithm of its age, so in a

        short time as many as it has, times that time, by its age.
        """
        age = max(now - self.created_at, SHORTEST)
        return (self.reactions + 1) * ((now - self.read_at) / age)

    def is_due(self, now: datetime) -> bool:
        """A step has passed since it was read, or it grows and was not read just now."""
        age = now - self.created_at
        if age > STEPS[-1] + LATE or now - self.read_at < SHORTEST:
            return False
        if any(step <= age and self.read_at < self.created_at + step for step in STEPS):
            return True
        return self.expected(now) >= HOT


def most_valuable(posts: Iterable[Counted], now: datetime, count: int) -> list[Counted]:
    """Those that are due, the most new reactions first; of equals the newest."""
    due = [one for one in posts if one.is_due(now)]
    due.sort(key=lambda one: (-one.expected(now), -one.created_at.timestamp(), one.id))
    return due[:count]


class Watched:
    """Posts of one account that may become due. Used from one thread at a time."""

    def __init__(self, archive: Archive, source: Source) -> None:
        self._archive, self._office = archive, source.account
        self._posts: dict[str, Counted] = {}
        self._asked: dict[str, datetime] = {}
        self._looked = self._looked_at_all = _NEVER

    def pick(self, now: datetime, calls: Sequence[tuple[bool, int]]) -> list[Counted]:
        """The most valuable call: `calls` = (of comments?, how many it takes) each."""
        self._look(now)
        best: list[Counted] = []
        for comments, count in calls:
            some = (one for one in self._posts.values() if one.comment == comments)
            found = most_valuable(some, now, count)
            if _worth(found, now) > _worth(best, now):
                best = found
        return self._as_stored(best, now)

    def left(self, now: datetime, but: Iterable[Counted]) -> bool:
        """True when others than these are due now."""
        done = {one.id for one in but}
        return any(one.is_due(now) for one in self._posts.values() if one.id not in done)

    def was_asked(self, posts: Iterable[Counted], now: datetime) -> None:
        """They are not asked for again at once, whatever the platform answered."""
        for one in posts:
            self._asked[one.id] = now
            if one.id in self._posts:
                self._posts[one.id] = replace(one, read_at=now)

    def _known(self, post: Post) -> Counted:
        found = Counted.of(post)
        return replace(found, read_at=max(found.read_at, self._asked.get(post.id, _NEVER)))

    def _as_stored(self, picked: list[Counted], now: datetime) -> list[Counted]:
        """Without those that a list brought in the meantime, or that are gone."""
        stored = self._archive.get_posts([one.id for one in picked], _ALL)
        found = []
        for one in picked:
            post = stored.get(one.id)
            if post is None or post.deleted_at is not None:
                self._posts.pop(one.id, None)
                continue
            self._posts[one.id] = known = self._known(post)
            if known.is_due(now):
                found.append(known)
        return found

    def _look(self, now: datetime) -> None:
        oldest = now - STEPS[-1] - LATE
        since = self._looked - _OVERLAP if self._looked > _NEVER else oldest
        if now - self._looked_at_all >= _LOOK_ALL_EVERY:
            self._posts, self._looked_at_all, since = {}, now, oldest
            self._asked = {post: at for post, at in self._asked.items() if at > oldest}
        self._looked = now
        filters = Filters(since=max(since, oldest), kinds=_KINDS, offices=(self._office,),
                          platforms=("weibo",))  # fmt: skip
        for post in self._archive.iter_posts(_ALL, filters):
            if post.deleted_at is None and post.id.partition(":")[2].isdigit():
                self._posts.setdefault(post.id, self._known(post))


def _worth(posts: Iterable[Counted], now: datetime) -> float:
    return sum(one.expected(now) for one in posts)


@dataclass(eq=False)
class Recount(Reading):
    """One call for the counts of stored posts, and what follows from its answer."""

    wanted: tuple[Counted, ...] = ()
    more: bool = False
    """Others are due at once."""

    @property
    def query(self) -> str:
        """Name of the list."""
        return COUNTS

    @property
    def of_comments(self) -> bool:
        """All are comments, or none is."""
        return bool(self.wanted) and self.wanted[0].comment

    @property
    def at_once(self) -> bool:
        """Read on at once."""
        return self.more

    def posts(self, item: Any, build: Builder) -> Iterator[Post]:
        """The posts of one object."""
        from crawler.payloads import posts_of

        return posts_of(item, build)


@dataclass(frozen=True)
class Told:
    """What an answer says of the posts that were asked for."""

    counts: Mapping[str, Mapping[str, int | None]]
    """Post id -> reposts, comments, likes."""
    objects: tuple[Mapping[str, Any], ...]
    """Whole posts."""
    absent: tuple[Counted, ...]
    """Not among them; or said to have nothing where they had much, which the gone have too."""


def calls_of(source: Source) -> tuple[tuple[bool, int], ...]:
    """(of comments?, how many posts) of the calls that this source can make."""
    return ((False, A_BATCH if _is_commercial(source) else A_CALL), (True, A_BATCH))


def batch_path(source: Source) -> str:
    """Where comments are asked for by number."""
    return COMMERCIAL_BATCH_PATH if _is_commercial(source) else BATCH_PATH


def call_of(one: Recount) -> tuple[str, dict[str, str]]:
    """Path and query. The commercial host gives whole posts, so that edits are seen too."""
    numbers = ",".join(post.number for post in one.wanted)
    if one.of_comments:
        return batch_path(one.source), {"cids": numbers}
    query = {"ids": numbers} | ({"isGetLongText": "1"} if _is_commercial(one.source) else {})
    return ENDPOINTS[COUNTS].path_for(one.source), query


def _is_commercial(source: Source) -> bool:
    return source.parameters.get("host") == "commercial"


def read_counts(answer: Any, one: Recount) -> Told:
    """What an answer tells: rows of counts, or whole posts in a list or under `statuses`."""
    rows = answer.get("statuses") if isinstance(answer, Mapping) else answer
    wanted = {post.number: post for post in one.wanted}
    counts: dict[str, Mapping[str, int | None]] = {}
    objects: dict[str, Mapping[str, Any]] = {}
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, Mapping):
            continue
        if "text" in row:
            objects[str(number_or_zero(row))] = row
        elif (found := count_of(row)) is not None and found[0] in wanted:
            post, said = wanted[found[0]], found[1]
            if any(said.values()) or not post.reactions:
                counts[post.id] = said
    absent = tuple(post for number, post in wanted.items()
                   if post.id not in counts and number not in objects)  # fmt: skip
    return Told(counts, tuple(objects.values()), absent)


def count_of(row: Any) -> tuple[str, dict[str, int | None]] | None:
    """Number and counts of a row of statuses/count; None when it is none.

    The open host says `attitudes` and numbers, the commercial one `likes` and strings.
    """
    try:
        number = str(int(row["id"]))
        likes = row.get("attitudes", row.get("likes"))
        told = {"reposts": row.get("reposts"), "comments": row.get("comments"), "likes": likes}
        return number, {name: None if one is None else int(one) for name, one in told.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
