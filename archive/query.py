"""The query language: Lucene's syntax (read by luqum) as a small tree that each engine translates.

    Node
    ├── Everything
    ├── Words       text or title contains these, adjacent and in this order
    ├── Equals      a field has this value (region: lies in it; category: contains this part)
    ├── Prefix      a field's value begins so
    ├── Range       a number or a time between two ends
    ├── Exists      a field has a value
    ├── Replied     an official account has answered the post
    ├── Ids         one of these posts (never written; an engine may put it for Replied)
    ├── And, Or     of several
    └── Not

Words that stand beside each other without operator must all be found (AND).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from archive.base import TIMEZONE
from archive.tokens import index_tokens, pieces
from huiyin.errors import QueryError

TEXT_FIELDS = ("text", "title")
VALUE_FIELDS = (
    "id", "platform", "kind", "author_kind", "office", "mentions", "region", "category",
    "sentiment", "emotion", "intent", "incident",
)  # fmt: skip
NUMBER_FIELDS = ("reposts", "comments", "likes", "urgency")
TIME_FIELDS = ("created_at",)
FIELDS = (*TEXT_FIELDS, *VALUE_FIELDS, *NUMBER_FIELDS, *TIME_FIELDS, "has")
HAS = ("reply",)
"""What `has:` can ask for."""
LONGEST_QUERY = 4000
"""Characters; longer ones are refused before they are read."""
DEEPEST_QUERY = 100
"""Levels of parentheses and operators."""

MOST_LIKE_TOKENS = 200
"""Of a text that others are compared with."""

_ZONE = ZoneInfo(TIMEZONE)


@dataclass(frozen=True)
class Everything:
    """Matches every post."""


@dataclass(frozen=True)
class Words:
    """`field` (text or title) contains `words` (see archive/tokens.py)."""

    field: str
    words: str
    prefix: bool = False
    """The last word may go on."""


@dataclass(frozen=True)
class Equals:
    field: str
    value: str


@dataclass(frozen=True)
class Prefix:
    field: str
    value: str


@dataclass(frozen=True)
class Range:
    """None = open end. Times are aware; `created_at` given by the day means the whole day."""

    field: str
    low: float | datetime | None
    high: float | datetime | None
    include_low: bool = True
    include_high: bool = True


@dataclass(frozen=True)
class Exists:
    field: str


@dataclass(frozen=True)
class Replied:
    """A stored post by a government author has this one as its parent.

    `offices`: the scope in which the answer must lie; None = everywhere.
    """

    offices: frozenset[str] | None = None


@dataclass(frozen=True)
class Ids:
    """One of these posts."""

    ids: frozenset[str]


@dataclass(frozen=True)
class And:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    part: Node


Node = Everything | Words | Equals | Prefix | Range | Exists | Replied | Ids | And | Or | Not


def parse(query: str) -> Node:
    """Read a query; raises `QueryError` with the place of wrong syntax or of an unknown field."""
    if not query.strip():
        return Everything()
    if len(query) > LONGEST_QUERY:
        raise QueryError(
            f"检索式太长（最多 {LONGEST_QUERY} 字）", query[:60] + "…", 0, "请缩短检索式"
        )
    from archive.lucene import translate

    return translate(query)


def words_of(node: Node) -> list[Words]:
    """The words that a match may show: all that are not under a Not."""
    if isinstance(node, Words):
        return [node]
    if isinstance(node, And | Or):
        return [words for part in node.parts for words in words_of(part)]
    return []


def resolved(node: Node, replied: Callable[[], Node]) -> Node:
    """The tree with what `replied` gives in the place of every `Replied`."""
    if isinstance(node, Replied):
        return replied()
    if isinstance(node, Not):
        return Not(resolved(node.part, replied))
    if isinstance(node, And | Or):
        return type(node)(tuple(resolved(part, replied) for part in node.parts))
    return node


def times(text: str) -> tuple[datetime, datetime] | None:
    """[start, end) of what `text` names: a year, month, day, minute or second in Asia/Shanghai.

    None when it names no time. `now` and date arithmetic are not read.
    """
    digits = text.split("-")
    try:
        if all(part.isdigit() for part in digits) and len(digits[0]) == 4 and len(digits) <= 3:
            return _days(*(int(part) for part in digits))
        at = datetime.fromisoformat(text.replace(" ", "T"))
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=_ZONE)
    clock = text.replace(" ", "T").partition("T")[2].rstrip("Z")
    seconds = clock.partition("+")[0].count(":") == 2
    if "." in clock:
        return at, at + timedelta(microseconds=1)
    return at, at + (timedelta(seconds=1) if seconds else timedelta(minutes=1))


def _days(year: int, month: int | None = None, day: int | None = None) -> tuple[datetime, datetime]:
    start = date(year, month or 1, day or 1)
    if day is not None:
        end = start + timedelta(days=1)
    elif month is not None:
        end = (start + timedelta(days=31)).replace(day=1)
    else:
        end = date(year + 1, 1, 1)
    return datetime.combine(start, time(), _ZONE), datetime.combine(end, time(), _ZONE)


def like_tokens(text: str) -> list[str]:
    """The different tokens that a text like `text` shares with it; the first ones of a long one."""
    return list(dict.fromkeys(index_tokens(text).split()))[:MOST_LIKE_TOKENS]


def findable(words: str) -> bool:
    """False when there is no letter, digit or character to look for."""
    return bool(pieces(words))
