"""Which posts speak of the same happening: online, one pass, memory bounded by a time window.

A post joins the group of its nearest neighbour in the window when

    similarity = half tf-idf cosine over character bigrams + half cosine of the sentence vectors

reaches `THRESHOLD`; else it stands alone and may become the first of a group. Eyewitnesses of one
accident share few words, so two posts with grave content that name the same official account gain
`GRAVE_BONUS`, which fades with the time between them. This is first-story detection by nearest
neighbour (Allan et al. 1998; on posts: Mazoyer et al. 2020, twembeddings).
The weights and thresholds were chosen on the development streams, see docs/incidents.md.

Everything here is a function of the posts that are kept (inside the window) in the order in which
they were added, so that a detector can be rebuilt exactly from committed batches after a kill.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlp.incidents.terms import tags, terms, without_tags

Vector = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

THRESHOLD = 0.40
WORDS_SHARE = 0.5
UNKNOWN_COSINE = 0.55
"""Stands in for the vector cosine where one side has no vector of the same model."""
TAG_THRESHOLD = 0.30
"""Similarity that is enough inside a group whose own topic tag the post carries."""
TAG_MIN_POSTS = 4
TAG_SHARE = 0.5
GRAVE_BONUS = 0.2
GRAVE_FADES = 3600.0
"""Seconds after which the bonus has fallen to 1/e; after four times that it is not looked for."""
GRAVE_READ = 48
QUERY_TERMS = 32
POSTING_READ = 48
EXACT = 32
MAX_TERMS = 160
MAX_KEPT = 100_000
_ROOM = 1 << 14


@dataclass(slots=True)
class Item:
    """A post as grouping sees it. `time` in seconds since the epoch."""

    id: str
    time: float
    text: str
    """From `terms.plain`."""
    vector: Vector | None = None
    model: str = ""
    root: str | None = None
    """Thread or repost chain that it belongs to; None for an original post."""
    by_words: bool = True
    """False: a repost, which goes with its root whatever it says."""
    official: bool = False
    grave: tuple[str, ...] = ()
    """Official accounts that it names, when its content is grave; else empty."""


@dataclass(slots=True)
class _Words:
    """Term numbers and damped counts (1 + ln count), both of shape (distinct terms,)."""

    ids: npt.NDArray[np.int64]
    counts: Floats


_NO_WORDS = _Words(np.zeros(0, dtype=np.int64), np.zeros(0))
_LOG_UNSEEN = math.log(1.5)


@dataclass(slots=True)
class _Kept:
    item: Item
    group: str
    words: _Words
    tags: tuple[str, ...]


class _Nearest(NamedTuple):
    similarity: float
    group: str | None


class Grouper:
    """Assigns each post to a group; a group's id is the id of its first post."""

    def __init__(
        self,
        window_seconds: float,
        *,
        threshold: float = THRESHOLD,
        words_share: float = WORDS_SHARE,
        tag_threshold: float = TAG_THRESHOLD,
        max_kept: int = MAX_KEPT,
    ) -> None:
        self.window = window_seconds
        self.max_kept = max_kept
        self._threshold, self._tag_threshold = threshold, tag_threshold
        self._words_share = words_share
        self.watermark = -math.inf
        self._kept: dict[int, _Kept] = {}
        self._by_id: dict[str, int] = {}
        self._vocabulary: dict[str, int] = {}
        self._names: list[str] = [""] * _ROOM
        self._postings: list[list[int]] = [[] for _ in range(_ROOM)]
        self._log_seen: Floats = np.zeros(_ROOM)
        self._query: Floats = np.zeros(_ROOM)
        self._free = list(range(_ROOM - 1, -1, -1))
        self._roots: dict[str, list[int]] = {}
        self._tags: dict[str, dict[str, int]] = {}
        self._grave: dict[str, list[int]] = {}
        self._sizes: dict[str, int] = {}
        self._ages: list[tuple[float, int]] = []
        self._next = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, post_id: str) -> bool:
        return post_id in self._by_id

    def group_of(self, post_id: str) -> str | None:
        """Group of a kept post."""
        row = self._by_id.get(post_id)
        return None if row is None else self._kept[row].group

    def is_open(self, group: str) -> bool:
        """True while a post of the group is kept, so that others can still join it."""
        return group in self._sizes

    def add(self, item: Item) -> str:
        """Assign `item` and keep it; returns its group."""
        words = self._words(item)
        marks = tags(item.text)
        group = self._choose(item, words, marks) or item.id
        self._keep(item, group, words, marks)
        return group

    def restore(self, item: Item, group: str) -> None:
        """Keep `item` in a group that was decided before (from a committed batch)."""
        self._keep(item, group, self._words(item), tags(item.text))

    def expire(self, now: float) -> list[tuple[str, str]]:
        """Forget posts older than the window before `now`; returns (post id, group) of them."""
        self.watermark = max(self.watermark, now)
        gone = []
        limit = self.watermark - self.window
        while self._ages and (self._ages[0][0] < limit or len(self._kept) > self.max_kept):
            row = heapq.heappop(self._ages)[1]
            gone.append(self._drop(row))
        return gone

    # ---- choosing

    def _choose(self, item: Item, words: _Words, marks: tuple[str, ...]) -> str | None:
        root_group, root_official = self._root_group(item)
        if item.root is not None and not item.by_words:
            return root_group
        if root_group is not None and not root_official:
            return root_group
        nearest = self._nearest(words, item)
        if nearest.group is not None and nearest.similarity >= self._threshold:
            return nearest.group
        if root_group is not None:
            return root_group
        return self._by_tag(words, item, marks)

    def _root_group(self, item: Item) -> tuple[str | None, bool]:
        """(group of the item's thread, whether an official account began the thread)."""
        if item.root is None:
            rows = self._roots.get(item.id)  # its replies came first
            return (self._kept[rows[0]].group, False) if rows else (None, False)
        row = self._by_id.get(item.root)
        if row is not None:
            return self._kept[row].group, self._kept[row].item.official
        rows = self._roots.get(item.root)
        return (self._kept[rows[0]].group, False) if rows else (None, False)

    def _nearest(self, words: _Words, item: Item, *, only: str | None = None) -> _Nearest:
        if not len(words.ids):
            return _Nearest(-1.0, None)
        total = math.log(len(self._kept) + 2) + 1.0
        weights = words.counts * (total - self._log_seen[words.ids])
        rows = self._candidates(words, weights, item.time, only)
        if only is None:
            rows = list(dict.fromkeys([*rows, *self._grave_rows(item)]))
        if not rows:
            return _Nearest(-1.0, None)
        kept = [self._kept[row] for row in rows]
        similar = self._words_share * self._cosines(words, weights, total, kept)
        similar += (1 - self._words_share) * _meanings(item, kept)
        similar += _grave_bonus(item, kept)
        best = min(
            range(len(rows)), key=lambda place: (-round(float(similar[place]), 6), rows[place])
        )
        return _Nearest(round(float(similar[best]), 6), kept[best].group)

    def _candidates(
        self, words: _Words, weights: Floats, time: float, only: str | None
    ) -> list[int]:
        """Rows that share the rarest terms, those that share most first."""
        order = np.argsort(-weights, kind="stable")[:QUERY_TERMS]
        gains: dict[int, float] = {}
        for term, weight in zip(words.ids[order].tolist(), weights[order].tolist(), strict=True):
            gain = weight * weight
            for row in self._postings[term][-POSTING_READ:]:
                gains[row] = gains.get(row, 0.0) + gain
        found = [
            row
            for row in gains
            if abs(self._kept[row].item.time - time) <= self.window
            and (only is None or self._kept[row].group == only)
        ]
        return heapq.nlargest(EXACT, found, key=lambda row: (round(gains[row], 6), row))

    def _grave_rows(self, item: Item) -> list[int]:
        """The latest kept posts with grave content that name one of the item's accounts."""
        latest = 4 * GRAVE_FADES
        rows = {
            row
            for account in item.grave
            for row in self._grave.get(account, [])[-GRAVE_READ:]
            if len(self._kept[row].words.ids)
            and abs(self._kept[row].item.time - item.time) <= latest
        }
        return heapq.nlargest(GRAVE_READ, rows)

    def _cosines(
        self, words: _Words, weights: Floats, total: float, kept: Sequence[_Kept]
    ) -> Floats:
        """Tf-idf cosine with each of `kept`, shape (len(kept),)."""
        ids = np.concatenate([one.words.ids for one in kept])
        theirs = np.concatenate([one.words.counts for one in kept])
        theirs = theirs * (total - self._log_seen[ids])
        starts = np.cumsum([0] + [len(one.words.ids) for one in kept[:-1]])
        self._query[words.ids] = weights
        dots = np.add.reduceat(theirs * self._query[ids], starts)
        self._query[words.ids] = 0.0
        squares = np.add.reduceat(theirs * theirs, starts) * float(weights @ weights)
        return np.asarray(dots / np.sqrt(np.maximum(squares, 1e-12)), dtype=np.float64)

    def _by_tag(self, words: _Words, item: Item, marks: tuple[str, ...]) -> str | None:
        """A tag that belongs to one group (not to everything) lowers the bar for that group."""
        for mark in marks:
            groups = self._tags.get(mark)
            if not groups:
                continue
            group, count = max(groups.items(), key=lambda pair: (pair[1], pair[0]))
            if count < TAG_MIN_POSTS or count < TAG_SHARE * sum(groups.values()):
                continue
            if self._nearest(words, item, only=group).similarity >= self._tag_threshold:
                return group
        return None

    # ---- keeping

    def _words(self, item: Item) -> _Words:
        found = list(terms(without_tags(item.text)).items())[:MAX_TERMS]
        ids = np.fromiter((self._term_id(term) for term, _ in found), np.int64, len(found))
        counts = np.array([1.0 + math.log(count) for _, count in found], dtype=np.float64)
        return _Words(ids, counts)

    def _term_id(self, term: str) -> int:
        known = self._vocabulary.get(term)
        if known is not None:
            return known
        if not self._free:
            size = len(self._log_seen)
            self._free.extend(range(2 * size - 1, size - 1, -1))
            self._log_seen = np.concatenate([self._log_seen, np.zeros(size)])
            self._query = np.zeros(2 * size)
            self._names.extend([""] * size)
            self._postings.extend([] for _ in range(size))
        number = self._free.pop()
        self._vocabulary[term] = number
        self._names[number] = term
        self._log_seen[number] = _LOG_UNSEEN
        return number

    def _keep(self, item: Item, group: str, words: _Words, marks: tuple[str, ...]) -> None:
        row = self._next
        self._next += 1
        if item.root is not None and not item.by_words:
            self._forget_unused(words)
            words = _NO_WORDS
        self._kept[row] = _Kept(item, group, words, marks)
        self._by_id[item.id] = row
        self._sizes[group] = self._sizes.get(group, 0) + 1
        heapq.heappush(self._ages, (item.time, row))
        for term in words.ids.tolist():
            self._postings[term].append(row)
            self._log_seen[term] = math.log(len(self._postings[term]) + 1.5)
        if item.root is not None:
            self._roots.setdefault(item.root, []).append(row)
        for mark in marks:
            counts = self._tags.setdefault(mark, {})
            counts[group] = counts.get(group, 0) + 1
        for account in item.grave:
            self._grave.setdefault(account, []).append(row)

    def _drop(self, row: int) -> tuple[str, str]:
        kept = self._kept.pop(row)
        self._by_id.pop(kept.item.id, None)
        for term in kept.words.ids.tolist():
            posting = self._postings[term]
            del posting[bisect_left(posting, row)]
            self._log_seen[term] = math.log(len(posting) + 1.5)
        self._forget_unused(kept.words)
        if kept.item.root is not None:
            rows = self._roots[kept.item.root]
            del rows[bisect_left(rows, row)]
            if not rows:
                del self._roots[kept.item.root]
        for mark in kept.tags:
            counts = self._tags[mark]
            _count_down(counts, kept.group)
            if not counts:
                del self._tags[mark]
        for account in kept.item.grave:
            rows = self._grave[account]
            del rows[bisect_left(rows, row)]
            if not rows:
                del self._grave[account]
        _count_down(self._sizes, kept.group)
        return kept.item.id, kept.group

    def _forget_unused(self, words: _Words) -> None:
        for term in words.ids.tolist():
            if not self._postings[term]:
                del self._vocabulary[self._names[term]]
                self._free.append(term)


def _meanings(item: Item, kept: Sequence[_Kept]) -> Floats:
    """Cosine of the sentence vectors, shape (len(kept),)."""
    values = [
        float(item.vector @ one.item.vector)
        if item.vector is not None and one.item.vector is not None and item.model == one.item.model
        else UNKNOWN_COSINE
        for one in kept
    ]
    return np.array(values, dtype=np.float64)


def _grave_bonus(item: Item, kept: Sequence[_Kept]) -> Floats:
    """What two grave posts to one account gain for being near in time, shape (len(kept),)."""
    named = set(item.grave)
    values = [
        GRAVE_BONUS * math.exp(-abs(one.item.time - item.time) / GRAVE_FADES)
        if not named.isdisjoint(one.item.grave)
        else 0.0
        for one in kept
    ]
    return np.array(values, dtype=np.float64)


def _count_down(counts: dict[str, int], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
