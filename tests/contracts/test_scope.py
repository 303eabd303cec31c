"""A record outside the asker's scope does not exist, whichever method is asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from archive import FACETS, Archive, SearchRequest
from archive.base import Archive as Contract
from huiyin.errors import NotFound
from huiyin.records import Lease, Scope
from tests.contracts.builders import MODEL, OFFICE, analysis, post

FOREIGN = Scope.of("weibo:9999")
NOBODY = Scope(frozenset())
NO_SCOPE_NEEDED = {
    # written and read by the system's own processes, which see everything
    "put_posts", "packer", "put_packed", "delete_posts", "write_analyses", "mark_incidents",
    "pending_analysis",
    "pending_incidents", "pending_counts", "record_failure", "failures", "clear_failures",
    "create", "counts", "check", "close",
    # the operator's own commands
    "track_changes", "changed_posts", "changed_records", "restore_posts", "restore_records",
    "restore_failures", "remove_posts", "dead_letters", "restore_dead_letters",
    "remove_dead_letters", "seal", "sealed", "health",
    # takes what `get`, `records` or `change` gave to somebody in scope
    "replace",
}  # fmt: skip


def _search(archive: Archive, scope: Scope) -> list[Any]:
    result = archive.search(SearchRequest(facets=FACETS, timeline="day"), scope)
    by_words = archive.search(SearchRequest("停水", newest_first=False), scope)
    listed = [*result.hits, *result.timeline, *by_words.hits]
    return [*listed, *(one for values in result.facets.values() for one in values)]


def _change(archive: Archive, scope: Scope) -> list[Any]:
    try:
        return [archive.change(Lease, "l", scope, lambda one: one)]
    except NotFound:
        return []


ASKING: dict[str, Callable[[Archive, Scope], list[Any]]] = {
    "get_posts": lambda a, s: list(a.get_posts(["weibo:1"], s).values()),
    "iter_posts": lambda a, s: list(a.iter_posts(s)),
    "search": _search,
    "similar": lambda a, s: list(a.similar(analysis("x").vector, MODEL, s)),
    "like": lambda a, s: list(a.like("小区停水了", s)),
    "thread": lambda a, s: list(a.thread("weibo:1", s)),
    "change": _change,
    "get": lambda a, s: [one for one in [a.get(Lease, "l", s)] if one],
    "records": lambda a, s: list(a.records(Lease, s)),
}


def methods() -> set[str]:
    named = inspect.getmembers(Contract, inspect.isfunction)
    return {name for name, _ in named if not name.startswith("_")}


def test_every_method_is_accounted_for() -> None:
    assert methods() == set(ASKING) | NO_SCOPE_NEEDED
    for name in methods():
        takes = "scope" in inspect.signature(getattr(Contract, name)).parameters
        assert takes == (name in ASKING), name


@pytest.mark.parametrize("name", sorted(ASKING))
@pytest.mark.parametrize("scope", [FOREIGN, NOBODY], ids=["foreign", "nobody"])
def test_a_foreign_scope_gets_nothing(archive: Archive, name: str, scope: Scope) -> None:
    archive.put_posts([post(1, "停水"), post(2, "停水", root="weibo:1")])
    archive.write_analyses([("weibo:1", analysis("停水"))])
    archive.mark_incidents({"weibo:1": "i"})
    archive.create(Lease(id="l", owner="x", offices=(OFFICE,)))
    assert ASKING[name](archive, scope) == []
    assert ASKING[name](archive, Scope.of(OFFICE, "weibo:9999")) != []
    assert ASKING[name](archive, Scope.everything()) != []
