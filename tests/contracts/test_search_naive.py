"""Search against a naive reading of generated queries and posts, on every engine."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archive import Archive, Filters, SearchRequest
from huiyin.records import Kind, Post
from tests.contracts.builders import ALL, at, counts, post

SHANGHAI = ZoneInfo("Asia/Shanghai")
LETTERS = "郑州暴雨甲乙"
SAMPLE_TEXTS = st.text(st.sampled_from(LETTERS + "ab ，"), max_size=12)
HAN = st.text(st.sampled_from(LETTERS), min_size=1, max_size=4)
LATIN = st.text(st.sampled_from("ab"), min_size=1, max_size=3)

Holds = Callable[[Post], bool]
Naive = tuple[str, Holds]


def leaf_queries() -> st.SearchStrategy[Naive]:
    """(query, predicate) of single conditions."""
    return st.one_of(
        HAN.map(lambda w: (w, lambda p: w in p.text)),
        HAN.map(lambda w: (f'"{w}"', lambda p: w in p.text)),
        HAN.map(lambda w: (f"title:{w}", lambda p: w in (p.title or ""))),
        LATIN.map(lambda w: (w.upper(), lambda p: w in re.findall("[a-z]+", p.text))),
        LATIN.map(
            lambda w: (
                f"{w}*",
                lambda p: any(x.startswith(w) for x in re.findall("[a-z]+", p.text)),
            )
        ),
        st.integers(0, 9).map(lambda n: (f"likes:[{n} TO *]", lambda p: _likes(p) >= n)),
        st.integers(0, 9).map(lambda n: (f"likes:{{* TO {n}}}", lambda p: _likes(p) < n)),
        st.sampled_from("ABC").map(lambda o: (f"office:{o}", lambda p: o in p.offices)),
        st.sampled_from(["post", "comment"]).map(lambda k: (f"kind:{k}", lambda p: p.kind == k)),
        st.integers(0, 20).map(
            lambda n: (f'created_at:>="{_local(n)}"', lambda p: p.created_at >= at(n))
        ),
        st.integers(0, 20).map(
            lambda n: (f'created_at:[* TO "{_local(n)}"]', lambda p: p.created_at < at(n + 1))
        ),
    )


def _likes(one: Post) -> float:
    """Not a number, which no comparison holds for, when nothing is known."""
    return math.nan if one.metrics is None or one.metrics.likes is None else one.metrics.likes


def _local(second: int) -> str:
    return at(second).astimezone(SHANGHAI).strftime("%Y-%m-%dT%H:%M:%S")


def grown(children: st.SearchStrategy[Naive]) -> st.SearchStrategy[Naive]:
    pairs = st.tuples(children, children)
    return st.one_of(
        pairs.map(lambda x: (f"({x[0][0]} AND {x[1][0]})", _both(x[0][1], x[1][1]))),
        pairs.map(lambda x: (f"({x[0][0]} {x[1][0]})", _both(x[0][1], x[1][1]))),
        pairs.map(lambda x: (f"({x[0][0]} OR {x[1][0]})", _either(x[0][1], x[1][1]))),
        children.map(lambda x: (f"(NOT {x[0]})", _neither(x[1]))),
    )


def _both(a: Holds, b: Holds) -> Holds:
    return lambda p: a(p) and b(p)


def _either(a: Holds, b: Holds) -> Holds:
    return lambda p: a(p) or b(p)


def _neither(a: Holds) -> Holds:
    return lambda p: not a(p)


posts_strategy = st.lists(
    st.tuples(
        SAMPLE_TEXTS, st.one_of(st.none(), SAMPLE_TEXTS), st.one_of(st.none(), st.integers(0, 9)),
        st.sets(st.sampled_from("ABC"), min_size=1), st.sampled_from([Kind.POST, Kind.COMMENT]),
        st.integers(0, 20),
    ),
    min_size=1, max_size=15,
)  # fmt: skip
_rounds = itertools.count()


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=posts_strategy,
    queries=st.lists(st.recursive(leaf_queries(), grown, max_leaves=6), min_size=5, max_size=12),
)
def test_results_equal_a_naive_reading(
    archive: Archive, rows: list[tuple[Any, ...]], queries: list[Naive]
) -> None:
    """Each round has its own region, so that rounds do not see each other's posts."""
    number = next(_rounds)
    region = f"{100000 + number}"
    posts = [
        post(
            number * 100 + n,
            text or "x",
            id=f"p{number}:{n}",
            title=title,
            kind=kind,
            metrics=None if likes is None else counts(0, likes=likes),
            offices=tuple(sorted(offices)),
            created_at=at(second),
            region=region,
        )
        for n, (text, title, likes, offices, kind, second) in enumerate(rows)
    ]
    archive.put_posts(posts)
    for query, holds in queries:
        request = SearchRequest(query, filters=Filters(region=region), limit=100)
        result = archive.search(request, ALL)
        expected = {one.id for one in posts if holds(one)}
        assert {hit.post.id for hit in result.hits} == expected, query
        assert result.total == len(expected)
