"""The detector's memory: open groups and what they add up to. Pure; no clock.

A `Board` is fed posts one by one, in the order of the committed batches, either to decide
(`decide`) or to follow what a committed batch decided (`follow`); both leave it in the same state.
Of a group that is no incident it keeps ids only and looks its posts up when it opens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from huiyin.records import Analysis, Post
from huiyin.vectors import unpack
from nlp.incidents.dividing import alike, parts
from nlp.incidents.gathering import MIN_SPREAD, OFFICIAL, Gathering, by_words, member, speaks
from nlp.incidents.grouping import Grouper
from nlp.incidents.hazards import hazard_keys, stems
from nlp.incidents.items import Item, Kept, Key, Nearest
from nlp.incidents.severity import judge
from nlp.incidents.terms import plain

PREFIX = "incident:"
GRAVE = 0.5
"""Weight of content (severity.judge) from which a post counts as grave for grouping."""
DIVIDE_AT = frozenset(2**power for power in range(3, 12))
"""Numbers of kept posts at which a group is looked at, whether it is two."""

LookUp = Callable[[Sequence[str]], Iterable[Post]]
"""Posts by id, in any order; those that are gone are left out."""


def item(post: Post) -> Item:
    """A post as grouping sees it."""
    analysis = post.analysis
    text = plain(post.title, post.text)
    words = by_words(post)
    vector = None
    if words and analysis is not None and analysis.vector:  # what goes with its root needs none
        vector = unpack([analysis.vector])[0]
    return Item(
        id=post.id,
        time=post.created_at.timestamp(),
        text=text,
        vector=vector,
        model=analysis.model if analysis is not None else "",
        root=post.root if post.root != post.id else None,
        by_words=words,
        official=post.author.kind in OFFICIAL,
        author=post.author.key or post.id,
        voice=words and speaks(post),
        keys=_keys(post, text, analysis) if words else (),
        places=stems(f"{post.title or ''} {post.text}", analysis.places if analysis else ()),
    )


def _keys(post: Post, text: str, analysis: Analysis | None) -> tuple[Key, ...]:
    keys = hazard_keys(text, analysis.places if analysis else (), named=bool(post.mentions))
    if post.mentions and judge(post.text, analysis).weight >= GRAVE:
        keys += tuple(Key(f"@{account}") for account in post.mentions)
    return keys


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one post."""

    post: str
    group: str
    """Incident id of its group, whether that is open yet or not."""
    gathering: Gathering | None
    """What the group adds up to with this post; None while it is no incident."""
    joined: bool
    is_open: bool
    opened: bool
    """True when the group became an incident by this post."""
    earlier: tuple[str, ...] = ()
    """Posts that were alone until the group opened by this one."""
    merge: tuple[str, str] | None = None
    """(group that ends, group that goes on): the post proved two to be one. Call `Board.merge`."""
    divide: tuple[tuple[str, str, str], ...] = ()
    """(post, from, to): the group proved to be two. Call `Board.divide`."""


class _Alone:
    """A group of several posts that is no incident yet."""

    __slots__ = ("posts",)

    def __init__(self) -> None:
        self.posts: list[Kept] = []

    def add(self, who: Kept) -> None:
        self.posts.append(who)

    @property
    def opens(self) -> bool:
        authors = {who.author for who in self.posts if who.voice}
        spreaders = {who.author for who in self.posts if not who.voice}
        return len(authors) >= 2 or len(spreaders) >= MIN_SPREAD


class Board:
    """Open groups and their gatherings."""

    def __init__(self, window_seconds: float, look_up: LookUp) -> None:
        self.grouper = Grouper(window_seconds)
        self._look_up = look_up
        self.gatherings: dict[str, Gathering] = {}
        """Of open groups."""
        self._alone: dict[str, _Alone] = {}
        """Groups of several posts that are no incident. (A group of one is the grouper's alone.)"""
        self._by_hand: set[str] = set()
        self._parted: set[frozenset[str]] = set()
        """Pairs of which one left the other: they are not put together again."""
        self._joined: set[str] = set()
        """Groups that took another in: they are not parted again. So nothing goes to and fro."""
        self.closed: list[str] = []
        """Groups that left the window since somebody emptied this list."""

    def __contains__(self, post_id: str) -> bool:
        return post_id in self.grouper

    @property
    def opened(self) -> Iterable[str]:
        """Incident ids of open groups."""
        return self.gatherings.keys()

    def decide(self, post: Post) -> Step:
        """Find the post's group and take it in; says when two groups are one, or one is two."""
        one = item(post)
        name, nearest = self.grouper.add(one)
        step = self._take(post, one, PREFIX + name)
        merge = self._merging(name, nearest)
        divide = () if merge else self._dividing(name)
        return replace(step, merge=merge, divide=divide) if merge or divide else step

    def follow(self, post: Post, group: str) -> Step:
        """Take the post into the group that a committed batch names ("" = its own)."""
        one = item(post)
        name = (group or PREFIX + post.id).removeprefix(PREFIX)
        self.grouper.restore(one, name)
        return self._take(post, one, PREFIX + name)

    def group_of(self, post_id: str) -> str:
        """Incident id of the group of a kept post, whether open yet or not."""
        return PREFIX + (self.grouper.group_of(post_id) or post_id)

    def refill(self, group: str, posts: Iterable[Post]) -> None:
        """Give an incident all its members back, those that left the window included."""
        self._alone.pop(group, None)
        self.gatherings[group] = Gathering(member(post) for post in posts)

    def open_now(self, group: str) -> tuple[str, ...]:
        """Make an incident of a group whatever its size; returns its posts."""
        return self._open(group)

    def is_named(self, group: str) -> bool:
        """Whether the latest posts of a group share a name (`names`)."""
        return self.grouper.is_named(group.removeprefix(PREFIX))

    # ---- merging and dividing

    def merge(self, ends: str, goes_on: str) -> tuple[str, ...]:
        """Make one group of two; returns posts that were alone until now.

        Of an incident and a group that is none the incident goes on.
        """
        self._joined.add(goes_on)
        into = goes_on.removeprefix(PREFIX)
        waiting = [*self._waiting(goes_on), *self._waiting(ends)]
        self.grouper.move(self.grouper.rows(ends.removeprefix(PREFIX)), into)
        gone, stays = self.gatherings.pop(ends, None), self.gatherings.get(goes_on)
        if gone is not None and stays is not None:
            self.gatherings[goes_on] = Gathering([*stays.members(), *gone.members()])
            return ()
        if stays is not None:
            ids = [who.id for who in waiting]
            for post in self._posts(ids):
                stays.add(member(post))
            return tuple(ids)
        alone = self._alone[goes_on] = _Alone()
        for who in waiting:
            alone.add(who)
        return self._open(goes_on) if alone.opens else ()

    def arranged(self, groups: Iterable[str]) -> None:
        """A person merged, split or filled these: they are not merged or divided any more."""
        self._by_hand.update(groups)

    def divide(self, moved: Sequence[tuple[str, str, str]]) -> None:
        """Take posts of an incident into a new one."""
        before, after = moved[0][1], moved[0][2]
        self._parted.add(frozenset((before, after)))
        ids = {post_id for post_id, _, _ in moved}
        rows = [row for row in self.grouper.rows(before.removeprefix(PREFIX))
                if self.grouper.ids([row])[0] in ids]  # fmt: skip
        self.grouper.move(rows, after.removeprefix(PREFIX))
        if before not in self.gatherings:
            return
        members = self.gatherings[before].members()
        self.gatherings[before] = Gathering(one for one in members if one.id not in ids)
        there = self.gatherings.get(after)  # a person may move posts into another incident
        self.gatherings[after] = Gathering(
            [*(there.members() if there else ()), *(one for one in members if one.id in ids)]
        )

    def _merging(self, name: str, nearest: Nearest) -> tuple[str, str] | None:
        """The group that ends and the one that goes on, if the post proved two to be one."""
        other = nearest.other
        if other is None or name != nearest.group or nearest.second < self.grouper.threshold:
            return None
        if {PREFIX + name, PREFIX + other} & self._by_hand:
            return None  # the machine undoes nothing that a person arranged
        if frozenset((PREFIX + name, PREFIX + other)) in self._parted:
            return None
        if not alike(self.grouper, name, other):
            return None
        pair = sorted((PREFIX + name, PREFIX + other), key=self._seniority)
        return pair[1], pair[0]

    def _seniority(self, group: str) -> tuple[bool, float, str]:
        gathering = self.gatherings.get(group)
        if gathering is not None:
            return (False, gathering.first, group)
        rows = self.grouper.rows(group.removeprefix(PREFIX))
        return (True, min(map(self.grouper.index.time, rows)), group)

    def _dividing(self, name: str) -> tuple[tuple[str, str, str], ...]:
        group = PREFIX + name
        if group in self._by_hand or group in self._joined:
            return ()
        if group not in self.gatherings or len(self.grouper.rows(name)) not in DIVIDE_AT:
            return ()
        part = parts(self.grouper, name)
        if not part:
            return ()
        ids = self.grouper.ids(part)
        known = {one.id: one for one in self.gatherings[group].members()}
        authors = {known[post_id].author for post_id in ids if known[post_id].voice}
        if len(authors) < 2:
            return ()
        return tuple((post_id, group, PREFIX + ids[0]) for post_id in ids)

    # ---- taking in

    def _take(self, post: Post, one: Item, group: str) -> Step:
        opened = False
        earlier: tuple[str, ...] = ()
        gathering = self.gatherings.get(group)
        name = group.removeprefix(PREFIX)
        joined = gathering is not None or len(self.grouper.rows(name)) > 1
        if gathering is not None:
            gathering.add(member(post))
        else:
            opened = self._wait(post.id, group)
            if opened:
                earlier = tuple(other for other in self._open(group, post) if other != post.id)
                gathering = self.gatherings[group]
        self._expire(one.time)
        return Step(post.id, group, gathering, joined, gathering is not None, opened, earlier)

    def _wait(self, post_id: str, group: str) -> bool:
        """Count a kept post of a group that is no incident; True when it becomes one."""
        alone = self._alone.get(group)
        if alone is not None:
            alone.add(self.grouper.post(post_id))
            return alone.opens
        posts = self.grouper.posts(self.grouper.rows(group.removeprefix(PREFIX)))
        if len(posts) == 1:
            return False
        alone = self._alone[group] = _Alone()
        for one in posts:
            alone.add(one)
        return alone.opens

    def _waiting(self, group: str) -> list[Kept]:
        """Posts of a group that is no incident; what they add up to is forgotten here."""
        alone = self._alone.pop(group, None)
        if alone is not None:
            return alone.posts
        if group in self.gatherings:
            return []
        return self.grouper.posts(self.grouper.rows(group.removeprefix(PREFIX)))

    def _open(self, group: str, latest: Post | None = None) -> tuple[str, ...]:
        ids = [who.id for who in self._waiting(group)]
        wanted = [post_id for post_id in ids if latest is None or post_id != latest.id]
        posts = [*self._posts(wanted), *([latest] if latest is not None else [])]
        self.gatherings[group] = Gathering(member(post) for post in posts)
        return tuple(ids)

    def _posts(self, ids: Sequence[str]) -> list[Post]:
        found = {post.id: post for post in self._look_up(ids)}
        return [found[post_id] for post_id in ids if post_id in found]

    def _expire(self, now: float) -> None:
        touched: dict[str, set[str]] = {}
        for post_id, name in self.grouper.expire(now):
            touched.setdefault(PREFIX + name, set()).add(post_id)
        for group, gone in touched.items():
            if not self.grouper.is_open(group.removeprefix(PREFIX)):
                self._alone.pop(group, None)
                self.gatherings.pop(group, None)
                self.closed.append(group)
            elif group in self._alone:
                left = _Alone()
                for who in self._alone[group].posts:
                    if who.id not in gone:
                        left.add(who)
                self._alone[group] = left
