"""Which posts speak of the same happening: online, one pass, memory bounded by window and count.

A post joins the group that it is most like, when

    likeness = 0.7 similarity with the group's nearest post + 0.3 mean similarity with its latest

(`likeness.py` says what a similarity is) reaches `THRESHOLD`, or that mean alone, of three posts or
more, `WHOLE_THRESHOLD`; else it stands alone and may become the first of a group. The mean over the
group keeps one post that lies between two matters from chaining them. Eyewitnesses of one disaster
share few words, so posts gain `SHARED` that carry one key: the same danger at the same place, or
grave content that names the same official account. It fades with the time between them.
This is first-story detection by nearest neighbour (Allan et al. 1998; on posts: Mazoyer et al.
2020, twembeddings). What each part earns stands in docs/incidents.md.

Everything here is a function of the posts that are kept and of the order in which they were added,
so that a detector can be rebuilt exactly from committed batches after a kill.
"""

from __future__ import annotations

import heapq
import math
import sys
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nlp.incidents.index import RING, Index, Query
from nlp.incidents.items import Ages, Item, Kept, Nearest
from nlp.incidents.likeness import Likeness
from nlp.incidents.names import named_groups
from nlp.incidents.packing import Floats, Ids, pressed, term_ids
from nlp.incidents.terms import without_tags
from nlp.incidents.thresholds import (
    APART,
    LATER,
    NAMED,
    NEAREST_SHARE,
    SHARED,
    THRESHOLD,
    WHOLE_THRESHOLD,
    WORDS_SHARE,
)

WHOLE_FROM = 3
"""Posts of a group from which its mean similarity alone may be enough."""
LATEST = 12
"""Posts of a group whose mean similarity counts beside the nearest one's."""
WEIGHED = 4
"""Groups that are looked at as a whole for one post."""
KEY_READ = 48
EXACT = (16, 48)
"""Fewest and most candidates that are compared: the fewer posts are kept, the more are looked at,
because among few the right one shares less."""
EXACT_OF = 240_000
"""Candidates times posts kept, between the two."""
QUERY_TERMS = 24
"""Rarest terms of a post by which `EXACT[0]` candidates are looked for; of more, as many more."""
MAX_KEPT = 1_000_000
CROWD = 100_000
CROWDED = 14 * 24 * 3600.0
"""While more than `CROWD` posts are kept, those older than so many seconds go before the window
ends: a start reads back what is kept, and must take minutes."""


_NOBODY = Nearest(-1.0, None)


class Grouper:
    """Assigns each post to a group; a group's id is the id of its first post."""

    def __init__(
        self,
        window_seconds: float,
        *,
        threshold: float = THRESHOLD,
        words_share: float = WORDS_SHARE,
        nearest_share: float = NEAREST_SHARE,
        shared: float = SHARED,
        apart: float = APART,
        later: float = LATER,
        whole: float = WHOLE_THRESHOLD,
        named: float = NAMED,
        max_kept: int = MAX_KEPT,
    ) -> None:
        """The numbers are given for ablations and tuning only."""
        self.window = window_seconds
        self.max_kept = max_kept
        self.threshold = threshold
        self._nearest_share, self._whole, self._named = nearest_share, whole, named
        self.watermark = -math.inf
        self.index = Index()
        self._likeness = Likeness(words_share, shared, apart, later)
        self._by_id: dict[str, int] = {}
        self._roots: dict[str, list[int]] = {}
        self._keys: dict[str, list[int]] = {}
        self._groups: dict[str, list[int]] = {}
        """Rows of each group, but for a post that is alone in the group that bears its id: most."""
        self._ages = Ages(self.index.time)

    def __len__(self) -> int:
        return len(self.index)

    def __contains__(self, post_id: str) -> bool:
        return post_id in self._by_id

    @property
    def hourly(self) -> float:
        """Posts an hour of the whole stream, over the time that the kept ones span."""
        if not self._ages:
            return 0.0
        return len(self.index) / max(1.0, (self.watermark - self._ages.oldest()) / 3600)

    def group_of(self, post_id: str) -> str | None:
        """Group of a kept post."""
        row = self._by_id.get(post_id)
        return None if row is None else self.index.kept(row).group

    def is_open(self, group: str) -> bool:
        """True while a post of the group is kept, so that others can still join it."""
        return bool(self.rows(group))

    def rows(self, group: str) -> list[int]:
        """Kept rows of a group in the order of their arrival."""
        rows = self._groups.get(group)
        if rows is not None:
            return rows
        row = self._by_id.get(group)
        return [] if row is None or self.index.kept(row).group != group else [row]

    def worded(self, group: str) -> list[int]:
        """Kept rows of a group that have words to compare; long threads by their latest alone."""
        rows = self.rows(group)[-16 * LATEST :]
        return [row for row in rows if self.index.has_terms(row)]

    def independent(self, group: str) -> list[int]:
        """The worded rows that do not lie in the group because their thread's first post does."""
        return [row for row in self.worded(group) if not self._follows(row, group)]

    def followers(self, rows: Sequence[int], group: str) -> list[int]:
        """Rows of the group that lie in it because the posts of `rows` do: replies and reposts."""
        roots = set(self.ids(rows))
        return [row for row in self.rows(group) if self.index.kept(row).root in roots]

    def _follows(self, row: int, group: str) -> bool:
        root = self.index.kept(row).root
        found = self._by_id.get(root) if root is not None else None
        return found is not None and self.index.kept(found).group == group

    def post(self, post_id: str) -> Kept:
        """What is known of a kept post. Raises KeyError."""
        return self.index.kept(self._by_id[post_id])

    def posts(self, rows: Sequence[int]) -> list[Kept]:
        """What is known of the posts of kept rows."""
        return [self.index.kept(row) for row in rows]

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Post ids of kept rows."""
        return [kept.id for kept in self.posts(rows)]

    def add(self, item: Item) -> tuple[str, Nearest]:
        """Assign `item` and keep it; returns its group and what was near."""
        packed = self._packed(item)
        item.pressed = pressed(item.vector) if len(packed) else None
        chosen, nearest = self._choose(item, packed)
        group = chosen or item.id
        self._keep(item, group, packed)
        return group, nearest

    def restore(self, item: Item, group: str) -> None:
        """Keep `item` in a group that was decided before (from a committed batch)."""
        packed = self._packed(item)
        item.pressed = pressed(item.vector) if len(packed) else None
        # of a group that is read back each post brings a text of its own
        self._keep(item, sys.intern(group), packed)

    def move(self, rows: Sequence[int], group: str) -> None:
        """Put kept rows into another group."""
        for row in list(rows):
            kept = self.index.kept(row)
            self._leave(row, kept)
            kept.group = group
            self._enter(row, kept)

    def expire(self, now: float) -> list[tuple[str, str]]:
        """Forget posts older than the window before `now`; returns (post id, group) of them."""
        self.watermark = max(self.watermark, now)
        gone = []
        while self._ages and self._is_over(self.watermark - self._ages.oldest()):
            row = self._ages.pop()
            gone.append(self._drop(row))
        return gone

    def _is_over(self, age: float) -> bool:
        """Whether the oldest post, of this age in seconds, is to be forgotten."""
        kept = len(self.index)
        return age > self.window or kept > self.max_kept or (kept > CROWD and age > CROWDED)

    # ---- choosing

    def _choose(self, item: Item, packed: Ids) -> tuple[str | None, Nearest]:
        root_group, root_official = self._root_group(item)
        if item.root is not None and not item.by_words:
            return root_group, _NOBODY
        if root_group is not None and not root_official:
            return root_group, _NOBODY
        nearest = self.nearest(packed, item)
        if nearest.group is not None and nearest.similarity >= self.threshold:
            return nearest.group, nearest
        if root_group is None and nearest.group is not None:
            return self._by_name(packed, item, nearest)
        return root_group, nearest

    def _by_name(self, packed: Ids, item: Item, nearest: Nearest) -> tuple[str | None, Nearest]:
        """The group that a name in the post stands for, where the post is nearly like enough."""
        holders = [
            [self.index.kept(row).group for row in self._near_in_time(np.array(rows), item.time)]
            for rows in self.index.holders(packed)
        ]
        query, likely = self.index.query(packed, item.pressed, item.model), dict[str, float]()
        for group in named_groups(holders, lambda group: len(self.rows(group)), RING):
            if some := self.worded(group)[-LATEST:]:
                similar = self._similar(query, item, some)
                mean = sum(similar) / len(similar)
                likely[group] = self._whole_likeness(max(similar), mean, len(some))
        if not likely:
            return None, nearest
        group = self._ranked(likely)[0]
        if likely[group] + self._named < self.threshold:
            return None, nearest
        if nearest.group == group:
            return group, nearest
        return group, Nearest(likely[group], group, nearest.similarity, nearest.group)

    def is_named(self, group: str) -> bool:
        """Whether its latest posts share a name."""
        rows = self.worded(group)[-LATEST:]
        return bool(rows) and self.index.share_a_name(rows)

    def _root_group(self, item: Item) -> tuple[str | None, bool]:
        """(group of the item's thread, whether an official account began the thread)."""
        if item.root is None:
            rows = self._roots.get(item.id)  # its replies came first
            return (self.index.kept(rows[0]).group, False) if rows else (None, False)
        row = self._by_id.get(item.root)
        if row is not None:
            return self.index.kept(row).group, self.index.kept(row).official
        rows = self._roots.get(item.root)
        return (self.index.kept(rows[0]).group, False) if rows else (None, False)

    def nearest(self, packed: Ids, item: Item) -> Nearest:
        """The nearest kept post's group, and the nearest of any other group."""
        if not len(packed):
            return _NOBODY
        query = self.index.query(packed, item.pressed, item.model)
        exact = max(EXACT[0], min(EXACT[1], EXACT_OF // max(1, len(self.index))))
        terms = QUERY_TERMS * exact // EXACT[0]
        rows = self._near_in_time(self.index.candidates(query, terms, 2 * exact), item.time)
        rows = rows[:exact]
        if item.keys:
            rows = list(dict.fromkeys([*rows, *self._key_rows(item)]))
        if not rows:
            return _NOBODY
        known = dict(zip(rows, self._similar(query, item, rows), strict=True))
        best: dict[str, float] = {}
        for row, value in known.items():
            group = self.index.kept(row).group
            if value > best.get(group, -1.0):
                best[group] = value
        self._as_a_whole(query, item, best, known)
        ranked = self._ranked(best)
        if len(ranked) == 1:
            return Nearest(best[ranked[0]], ranked[0])
        return Nearest(best[ranked[0]], ranked[0], best[ranked[1]], ranked[1])

    def _ranked(self, best: dict[str, float]) -> list[str]:
        """Groups by their similarity, the older first where it is the same."""
        return sorted(best, key=lambda group: (-best[group], self.rows(group)[0]))

    def _similar(self, query: Query, item: Item, rows: Sequence[int]) -> list[float]:
        similar = self._likeness.of(self.index, [query], [item], self.index.rows(rows))
        found: list[float] = similar[0].tolist()
        return found

    def _as_a_whole(
        self, query: Query, item: Item, best: dict[str, float], known: dict[int, float]
    ) -> None:
        """Weigh in how like the post is to the latest of each group that it might join.

        `known`: similarities that were reckoned before, by row.
        """
        likely = {
            group: value for group, value in best.items()
            if value >= self._whole and len(self.rows(group)) > 1
        }  # fmt: skip
        latest = {group: self.worded(group)[-LATEST:] for group in self._ranked(likely)[:WEIGHED]}
        missing = [row for some in latest.values() for row in some if row not in known]
        if missing:
            known = known | dict(zip(missing, self._similar(query, item, missing), strict=True))
        for group, some in latest.items():
            mean = sum(known[row] for row in some) / len(some)
            best[group] = self._whole_likeness(best[group], mean, len(some))

    def _whole_likeness(self, nearest: float, mean: float, posts: int) -> float:
        """Likeness with a group, of the similarity with its nearest post and with its latest."""
        whole = self._nearest_share * nearest + (1 - self._nearest_share) * mean
        if posts >= WHOLE_FROM:
            whole = max(whole, mean + self.threshold - self._whole)
        return round(whole, 6)

    def _near_in_time(self, rows: npt.NDArray[np.int64], time: float) -> list[int]:
        if not len(rows):
            return []
        found: list[int] = rows[np.abs(self.index.times(rows) - time) <= self.window].tolist()
        return found

    def _key_rows(self, item: Item) -> list[int]:
        """The latest kept posts that carry one of the item's keys."""
        rows = {
            row
            for key in item.keys
            for row in self._keys.get(key.name, [])[-KEY_READ:]
            if self.index.has_terms(row) and abs(self.index.time(row) - item.time) <= 4 * key.fades
        }
        return heapq.nlargest(KEY_READ, rows)

    def similarities(self, ours: Sequence[int], theirs: Sequence[int]) -> Floats:
        """How alike kept rows are, shape (ours, theirs)."""
        one, other = self.index.rows(ours), self.index.rows(theirs)
        items = [
            Item(kept.id, time, "", keys=kept.keys, places=kept.places)
            for kept, time in zip(self.posts(ours), one.times.tolist(), strict=True)
        ]
        return self._likeness.of(self.index, self.index.queries(one), items, other)

    # ---- keeping

    def _packed(self, item: Item) -> Ids:
        if item.root is not None and not item.by_words:
            return np.zeros(0, dtype=np.int64)
        return term_ids(without_tags(item.text))

    def _keep(self, item: Item, group: str, packed: Ids) -> None:
        root = None if item.root is None else sys.intern(item.root)  # one text for a whole thread
        kept = Kept(
            item.id, group, root, item.official, item.keys, item.places,
            item.author, item.voice,
        )  # fmt: skip
        row = self.index.add(item.time, packed, item.pressed, item.model, kept)
        self._by_id[item.id] = row
        self._ages.add(item.time, row)
        if root is not None:
            self._roots.setdefault(root, []).append(row)
        for key in item.keys:
            self._keys.setdefault(key.name, []).append(row)
        self._enter(row, kept)

    def _enter(self, row: int, kept: Kept) -> None:
        rows = self._groups.get(kept.group)
        if rows is not None:
            rows.insert(bisect_left(rows, row), row)
        elif others := [other for other in self.rows(kept.group) if other != row]:
            self._groups[kept.group] = sorted((*others, row))
        elif kept.group != kept.id:
            self._groups[kept.group] = [row]

    def _leave(self, row: int, kept: Kept) -> None:
        if kept.group in self._groups:
            _remove(self._groups, kept.group, row)

    def _drop(self, row: int) -> tuple[str, str]:
        kept = self.index.kept(row)
        self.index.drop(row)
        self._by_id.pop(kept.id, None)
        if kept.root is not None:
            _remove(self._roots, kept.root, row)
        for key in kept.keys:
            _remove(self._keys, key.name, row)
        self._leave(row, kept)
        return kept.id, kept.group


def _remove(lists: dict[str, list[int]], name: str, row: int) -> None:
    rows = lists[name]
    del rows[bisect_left(rows, row)]
    if not rows:
        del lists[name]
