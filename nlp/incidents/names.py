"""What a matter is called: a term that hardly anybody uses, and that one group's posts share.

A road, an estate, a firm: who writes of 金鹤路 in words of their own means the road works that the
others mean. Such a term is rare in general (the shipped table of `commonness`), a few kept posts
have it, and most of these lie in one group. On a quiet board, where three posts in weeks may alert,
those that share no name are mostly three of one kind: three villages with a bad road.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

RARE = 2.0
"""Weight in general from which a term may be a name."""
FROM, TO = 3, 60
"""Fewest and most kept posts that have it."""
MOSTLY = 0.6
"""Share of those posts that lie in the group that it names."""
OFTEN = 0.3
"""Share of the group's posts that have it, of as many as the index remembers of a term."""

SHARED_BY = 0.6
"""Share of a group's latest posts that must have a term for it to be the group's name."""


def named_groups(
    holders: Sequence[Sequence[str]], size: Callable[[str], int], remembered: int
) -> list[str]:
    """The groups that the terms name.

    `holders`: of each rare term the groups of the kept posts that have it, the earliest first;
    `size`: posts of a group; `remembered`: at most so many posts of a term are known.
    """
    named: dict[str, None] = {}
    for groups in holders:
        if len(groups) < FROM:
            continue
        [(group, count)] = Counter(groups).most_common(1)
        often = OFTEN * min(remembered, size(group))
        if count >= max(FROM, MOSTLY * len(groups), often):
            named[group] = None
    return list(named)
