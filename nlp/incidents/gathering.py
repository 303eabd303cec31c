"""What a group adds up to: independent voices, spread, evidence.

A `Gathering` is a function of the set of its members, whatever their order, so that it can be
rebuilt from the archive. Authors count, not posts: posts of one author and near copies of one text
are one voice, reposts are spread and no voice.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from huiyin.records import AuthorKind, Kind, Place, Post
from nlp.incidents.burst import GRAVE, Burst, Normal, Voice, assess
from nlp.incidents.hazards import hazard_keys
from nlp.incidents.severity import Content, judge
from nlp.incidents.terms import (
    SKETCH,
    SKETCH_SAME,
    has_terms,
    near_copies,
    own_words,
    plain,
    sketch,
)

EVIDENCE = 200
"""Posts kept for title, summary and claims: originals, then the gravest, then the earliest."""
RAW_CHARS = 600
OWN_CHARS = 8
"""A comment with fewer characters of its own is no voice (转发微博, 太可怕了)."""
REPLY_FACTOR = 0.5
WANTS_ANSWER = 0.5
"""Who replies under a post mostly talks about it; a reply that wants an answer counts in full."""
MIN_SPREAD = 20
"""So many reposting authors open an incident without a second voice."""
FOUND_BY = SKETCH - SKETCH_SAME + 1
"""Of so many parts of a sketch a near copy has at least one."""
Sketch = tuple[int, ...]
OFFICIAL = (AuthorKind.GOVERNMENT, AuthorKind.MEDIA)


@dataclass(frozen=True, slots=True)
class Member:
    """One post of a group, as far as it is needed later."""

    id: str
    time: float
    delay: float
    """Seconds from posting to our reading it."""
    author: str
    """Key, or the post's id when nobody knows who wrote it."""
    author_kind: AuthorKind
    voice: bool
    original: bool
    """False for comments and reposts."""
    copy_key: tuple[int, ...]
    """Sketch of a voice's text."""
    content: Content
    title: str | None
    text: str
    places: tuple[Place, ...]
    accounts: tuple[str, ...]
    struck: tuple[str, ...] = ()
    """Disasters that strike whole cities which it speaks of, each at a place: 洪涝@4101."""
    category: str = ""
    """First of the category's path."""

    @property
    def order(self) -> tuple[bool, float, float, str]:
        """Originals first, then the gravest, then the earliest."""
        return (not self.original, -self.content.weight, self.time, self.id)

    @property
    def official(self) -> bool:
        return self.author_kind in OFFICIAL


def by_words(post: Post) -> bool:
    """False for posts that go with their root whatever they say: reposts and short replies."""
    if post.root is None or post.root == post.id:
        return True
    return post.kind is not Kind.REPOST and _says_something(post.text)


@lru_cache(maxsize=64)
def _says_something(text: str) -> bool:
    return has_terms(own_words(text), OWN_CHARS)


def speaks(post: Post) -> bool:
    """False for the office's own posts: they are no witnesses."""
    return post.author.kind is not AuthorKind.GOVERNMENT


def member(post: Post) -> Member:
    """Read one post."""
    text = post.text[:RAW_CHARS]
    whole = plain(post.title, post.text)
    content = judge(f"{post.title or ''} {own_words(post.text)}", post.analysis)
    original = post.root is None or post.root == post.id
    voice = by_words(post) and speaks(post)
    in_full = original or (post.analysis and post.analysis.needs_answer >= WANTS_ANSWER)
    content = _one_of_a_kind(content, 1.0 if in_full else REPLY_FACTOR)
    return Member(
        id=post.id,
        time=post.created_at.timestamp(),
        delay=(post.collected_at - post.created_at).total_seconds(),
        author=post.author.key or post.id,
        author_kind=post.author.kind,
        voice=voice,
        original=original,
        copy_key=sketch(whole) if voice else (),
        content=content,
        title=post.title,
        text=text,
        places=post.analysis.places if post.analysis else (),
        accounts=_accounts(post.offices, post.mentions),
        struck=_struck(whole, content, post),
        category=next(iter(post.analysis.category.path), "") if post.analysis else "",
    )


@lru_cache(maxsize=4096)
def _one_of_a_kind(content: Content, factor: float) -> Content:
    """Equal contents are one object: most posts say nothing grave, in the same way."""
    if factor == 1.0:
        return content
    return replace(content, weight=round(content.weight * factor, 4))


@lru_cache(maxsize=4096)
def _accounts(offices: tuple[str, ...], mentions: tuple[str, ...]) -> tuple[str, ...]:
    """Official accounts of a post, each once; one object for all posts that name the same."""
    return tuple(dict.fromkeys((*offices, *mentions)))


def _struck(text: str, content: Content, post: Post) -> tuple[str, ...]:
    if content.bare < GRAVE:
        return ()
    keys = hazard_keys(text, post.analysis.places if post.analysis else ())
    return tuple(key.name for key in keys if key.wide)


@dataclass(slots=True)
class _Voices:
    """Union-find over authors (str) and texts (sketches): connected ones are one voice."""

    parent: dict[object, object] = field(default_factory=dict)
    sketches: dict[int, Sketch | list[Sketch]] = field(default_factory=dict)
    """Of each text the parts by which it is found: most parts are of one text."""

    def find(self, node: object) -> object:
        parent = self.parent
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def join(self, one: object, other: object) -> None:
        self.parent[self.find(one)] = self.find(other)

    def text(self, key: tuple[int, ...]) -> object:
        """Node of a text; near copies of earlier texts are joined to it."""
        if key in self.parent:
            return key
        self.find(key)
        near: set[Sketch] = set()
        for part in key:
            known = self.sketches.get(part)
            if known is not None:
                near.update(known if isinstance(known, list) else (known,))
        for other in near:
            if near_copies(key, other):
                self.join(key, other)
        for part in key[:FOUND_BY]:
            known = self.sketches.get(part)
            if known is None:
                self.sketches[part] = key
            elif isinstance(known, list):
                known.append(key)
            else:
                self.sketches[part] = [known, key]
        return key


class Gathering:
    """Members of one group and what follows from them."""

    def __init__(self, members: Iterable[Member] = ()) -> None:
        self.posts = 0
        self.first = float("inf")
        self.last = float("-inf")
        self.evidence: list[Member] = []
        self.voices: list[Member] = []
        self.authors: set[str] = set()
        self._members: list[Member] = []
        self._nodes = _Voices()
        for one in members:
            self.add(one)

    def add(self, one: Member) -> None:
        """Take in one more post (each only once)."""
        self.posts += 1
        self._members.append(one)
        self.first = min(self.first, one.time)
        self.last = max(self.last, one.time)
        if not self.evidence or one.order > self.evidence[-1].order:  # as most do
            self.evidence.append(one)
        else:
            insort(self.evidence, one, key=lambda kept: kept.order)
        del self.evidence[EVIDENCE:]
        if not one.voice:
            return
        self.voices.append(one)
        self.authors.add(one.author)
        if one.copy_key:
            self._nodes.join(one.author, self._nodes.text(one.copy_key))
        else:
            self._nodes.find(one.author)

    def members(self) -> list[Member]:
        """All members in the order in which they came."""
        return self._members

    def independent(self) -> dict[object, list[Member]]:
        """Posts of each independent voice, in time order."""
        found: dict[object, list[Member]] = {}
        for one in sorted(self.voices, key=lambda kept: (kept.time, kept.id)):
            found.setdefault(self._nodes.find(one.author), []).append(one)
        return found

    def burst(self, stream_hourly: float | None = None, normal: Normal | None = None) -> Burst:
        """The burst score now; see `burst.assess`."""
        voices = [voice_of(posts) for posts in self.independent().values()]
        return assess(voices, stream_hourly, normal)


def voice_of(posts: list[Member]) -> Voice:
    """What the posts of one independent voice, in time order, come to."""
    gravest = max(posts, key=lambda one: (one.content.weight, -one.time))
    kind = gravest.content.kind
    struck = frozenset(key for one in posts for key in one.struck)
    bare = max(one.content.bare for one in posts) if struck else 0.0
    return Voice(posts[0].time, gravest.content.weight, kind.name, kind.hourly, struck, bare)
