"""Are two groups one, or is one group two? Judged by how alike their latest posts are on average.

A single post may lie between two matters, so it never decides alone: what it brings together is
merged only when the groups as a whole are alike, and a chain that grew over such posts is cut where
its parts as a whole are not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from nlp.incidents.grouping import Grouper
from nlp.incidents.packing import Floats
from nlp.incidents.thresholds import (
    BRIDGES,
    DIVIDE_BELOW,
    DIVIDE_GAIN,
    MERGE_FROM,
    NEAREST_SHARE,
)

LATEST = 12
"""Posts of each group that are compared to merge."""
LOOKED_AT = 40
"""Posts of a group that are compared to divide it."""
LEAST = 3
"""Posts of the smaller part."""


def alike(grouper: Grouper, one: str, other: str) -> bool:
    """True when the latest posts of two groups are alike on average."""
    ours, theirs = grouper.worded(one)[-LATEST:], grouper.worded(other)[-LATEST:]
    if not ours or not theirs:
        return False
    similar = grouper.similarities(ours, theirs)
    if float(similar.mean()) >= MERGE_FROM:
        return True
    if min(len(ours), len(theirs)) < 2:
        return False
    likeness = np.concatenate([_likeness(similar), _likeness(similar.T)])
    return float((likeness >= MERGE_FROM).mean()) >= BRIDGES


def _likeness(similar: Floats) -> Floats:
    """Of each row's post with the other group, much as the grouper reckons it; by the two nearest,

    because one post that speaks of both would lift them all.
    """
    near = np.sort(similar, axis=1)[:, -2:].mean(axis=1)
    return np.asarray(NEAREST_SHARE * near + (1 - NEAREST_SHARE) * similar.mean(axis=1))


def parts(grouper: Grouper, group: str) -> list[int]:
    """Kept rows that should leave the group, the part that began later; [] = it is one matter.

    Threads are not parted: replies and reposts go with the post that they belong to.
    """
    rows = grouper.independent(group)[-LOOKED_AT:]
    if len(rows) < 2 * LEAST:
        return []
    similar = grouper.similarities(rows, rows)
    similar = (similar + similar.T) / 2
    distance = np.clip(1.5 - similar, 0.0, None)
    np.fill_diagonal(distance, 0.0)
    labels = fcluster(linkage(squareform(distance, checks=False), "average"), 2, "maxclust")
    later = labels != labels[0]
    if min(int(later.sum()), int((~later).sum())) < LEAST:
        return []
    between = float(np.median(similar[np.ix_(later, ~later)]))
    within = min(_within(similar, later), _within(similar, ~later))
    if between >= DIVIDE_BELOW or within < between + DIVIDE_GAIN:
        return []
    leaving = [row for row, leaves in zip(rows, later.tolist(), strict=True) if leaves]
    return sorted({*leaving, *grouper.followers(leaving, group)})


def _within(similar: Floats, chosen: Sequence[bool]) -> float:
    part = similar[np.ix_(chosen, chosen)]
    size = len(part)
    return float((part.sum() - np.trace(part)) / (size * (size - 1)))
