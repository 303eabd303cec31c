"""Counts of posts by shared class across halls: what a parent office adds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from archive.base import Archive, Filters, SearchRequest
from huiyin.records import Account, Scope
from nlp.categories import default
from nlp.categories.mapping import Row, shared_of
from nlp.categories.paths import SEPARATOR, Path, prefixes

MOST = 100
"""Values that the archive gives of a facet: with as many there may be more."""


@dataclass
class Counts:
    """Posts by office and shared class. A class's figure holds what lies below it."""

    by_office: dict[str, Counter[Path]] = field(default_factory=dict)
    """Office -> shared path (every level) -> posts; () = without category."""
    unmapped: Counter[Path] = field(default_factory=Counter)
    """Own classes that no shared one stands for, with their posts."""
    posts: dict[str, int] = field(default_factory=dict)
    """Office -> posts."""
    total: Counter[Path] = field(default_factory=Counter)
    """As `by_office` over all of them, a post that belongs to two counted once."""


def count(
    archive: Archive,
    scope: Scope,
    offices: Sequence[str],
    rows: Iterable[Row],
    filters: Filters | None = None,
) -> Counts:
    """Count the posts of each office (and of all together) that match, in shared classes."""
    mapping = {row.own: row for row in rows}
    shared = {one for path in default.paths() for one in prefixes(path)}
    asked = filters or Filters()
    found = Counts()
    for office in offices:
        own, posts = own_counts(archive, scope, replace(asked, offices=(office,)), mapping)
        found.by_office[office], _ = in_shared(own, posts, mapping, shared)
        found.posts[office] = posts
    if offices:
        own, posts = own_counts(archive, scope, replace(asked, offices=tuple(offices)), mapping)
        found.total, found.unmapped = in_shared(own, posts, mapping, shared)
    return found


def in_shared(
    own: Mapping[Path, int], posts: int, mapping: Mapping[Path, Row], shared: set[Path]
) -> tuple[Counter[Path], Counter[Path]]:
    """(shared path of every level -> posts, unmapped own path -> posts) of own counts."""
    found: Counter[Path] = Counter()
    unmapped: Counter[Path] = Counter()
    for path, number in own.items():
        target = shared_of(path, mapping, shared)
        if target is None:
            unmapped[path] += number
            continue
        for one in prefixes(target) or [()]:
            found[one] += number
    found[()] += posts - sum(own.values())
    return found, unmapped


def own_counts(
    archive: Archive, scope: Scope, filters: Filters, known: Iterable[Path] = ()
) -> tuple[dict[Path, int], int]:
    """(own path -> posts filed under exactly it, all posts); posts without category are not in it.

    A facet has at most 100 values: where it is full, the main classes (of the shared
    tree, of `known` paths and of what was found) are asked one by one.
    """
    found, posts = _facet(archive, scope, filters)
    if len(found) < MOST:
        return found, posts
    for main in sorted({path[0] for path in (*found, *known, *default.paths()) if path}):
        found |= _below(archive, scope, filters, (main,))
    return found, posts


def _below(archive: Archive, scope: Scope, filters: Filters, path: Path) -> dict[Path, int]:
    found, _ = _facet(archive, scope, replace(filters, category=path))
    if len(found) >= MOST:
        for child in sorted({one[: len(path) + 1] for one in found if len(one) > len(path)}):
            found |= _below(archive, scope, filters, child)
    return found


def _facet(archive: Archive, scope: Scope, filters: Filters) -> tuple[dict[Path, int], int]:
    request = SearchRequest(filters=filters, limit=1, facets=("category",))
    result = archive.search(request, scope)
    values = result.facets.get("category", ())
    paths = {tuple(value.strip(SEPARATOR).split(SEPARATOR)): count for value, count in values}
    return {path: count for path, count in paths.items() if path != ("",)}, result.total


def halls_under(archive: Archive, scope: Scope, parent: str) -> list[str]:
    """An account and every account below it, by id; empty parent = every account."""
    accounts = {one.record.id: one.record for one in archive.records(Account, scope, limit=10_000)}
    if not parent:
        return sorted(accounts)
    found, wanted = {parent}, [parent]
    while wanted:
        above = wanted.pop()
        for one in accounts.values():
            if one.parent == above and one.id not in found:
                found.add(one.id)
                wanted.append(one.id)
    return sorted(found)
