"""The detector's memory: open groups and what they add up to. Pure; no archive, no clock.

A `Board` is fed posts one by one, in the order of the committed batches, either to decide
(`decide`) or to follow what a committed batch decided (`follow`); both leave it in the same state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from huiyin.records import Post
from huiyin.vectors import unpack
from nlp.incidents.gathering import OFFICIAL, Gathering, Member, by_words, member
from nlp.incidents.grouping import Grouper, Item
from nlp.incidents.severity import judge
from nlp.incidents.terms import plain

PREFIX = "incident:"
GRAVE = 0.5
"""Weight of content (severity.judge) from which a post counts as grave for grouping."""


def item(post: Post) -> Item:
    """A post as grouping sees it."""
    analysis = post.analysis
    vector = None
    if analysis is not None and analysis.vector:
        vector = np.asarray(unpack([analysis.vector])[0], dtype=np.float32)
    root = post.root if post.root != post.id else None
    return Item(
        id=post.id,
        time=post.created_at.timestamp(),
        text=plain(post.title, post.text),
        vector=vector,
        model=analysis.model if analysis is not None else "",
        root=root,
        by_words=by_words(post),
        official=post.author.kind in OFFICIAL,
        grave=post.mentions if judge(post.text, analysis).weight >= GRAVE else (),
    )


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one post."""

    post: str
    group: str
    """Incident id of its group, whether that is open yet or not."""
    gathering: Gathering
    """What the group adds up to with this post; stays valid when the group leaves the window."""
    joined: bool
    is_open: bool
    opened: bool
    """True when the group became an incident by this post."""
    earlier: tuple[str, ...]
    """Posts that were alone until the group opened by this one."""


class Board:
    """Open groups and their gatherings."""

    def __init__(self, window_seconds: float) -> None:
        self.grouper = Grouper(window_seconds)
        self.gatherings: dict[str, Gathering] = {}
        self.members: dict[str, list[Member]] = {}
        """Of groups that are no incident yet; forgotten as they leave the window."""
        self.opened: set[str] = set()
        self.closed: list[str] = []
        """Groups that left the window since somebody emptied this list."""

    def __contains__(self, post_id: str) -> bool:
        return post_id in self.grouper

    def decide(self, post: Post) -> Step:
        """Find the post's group and take it in."""
        one = item(post)
        group = PREFIX + self.grouper.add(one).removeprefix(PREFIX)
        return self._take(post, one, group)

    def follow(self, post: Post, group: str) -> Step:
        """Take the post into the group that a committed batch names ("" = its own)."""
        one = item(post)
        name = (group or PREFIX + post.id).removeprefix(PREFIX)
        self.grouper.restore(one, name)
        return self._take(post, one, PREFIX + name)

    def group_of(self, post_id: str) -> str:
        """Incident id of the group of a kept post, whether open yet or not."""
        return PREFIX + (self.grouper.group_of(post_id) or post_id)

    def refill(self, group: str, posts: Sequence[Post]) -> None:
        """Give an incident all its members back, those that left the window included."""
        self.opened.add(group)
        self.members.pop(group, None)
        self.gatherings[group] = Gathering(member(post) for post in posts)

    def _take(self, post: Post, one: Item, group: str) -> Step:
        read = member(post)
        known = group in self.gatherings
        gathering = self.gatherings.setdefault(group, Gathering())
        gathering.add(read)
        opened = False
        earlier: tuple[str, ...] = ()
        if group not in self.opened:
            members = self.members.setdefault(group, [])
            opened = gathering.opens
            if opened:
                self.opened.add(group)
                earlier = tuple(other.id for other in self.members.pop(group))
            else:
                members.append(read)
        is_open = group in self.opened
        self._expire(one.time)
        return Step(post.id, group, gathering, known, is_open, opened, earlier)

    def _expire(self, now: float) -> None:
        touched: dict[str, set[str]] = {}
        for post_id, name in self.grouper.expire(now):
            touched.setdefault(PREFIX + name, set()).add(post_id)
        for group, gone in touched.items():
            name = group.removeprefix(PREFIX)
            if not self.grouper.is_open(name):
                self.gatherings.pop(group, None)
                self.members.pop(group, None)
                self.opened.discard(group)
                self.closed.append(group)
            elif group not in self.opened:
                left = [one for one in self.members[group] if one.id not in gone]
                self.members[group] = left
                self.gatherings[group] = Gathering(left)
