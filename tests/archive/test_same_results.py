"""The same question has the same answer on both engines: posts, totals, facets, timeline.

20,000 posts (real texts where HUIYIN_REAL_DATA is, else the sample city's) and 300 questions made
from their own words: written as they stand, in another variant, negated, nested, and ones that no
post answers. What an answer should be is told by tests/contracts/test_search.py; here the engines
are held against each other at size.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from archive import FACETS, Archive, Filters, SearchRequest, SearchResult
from archive.tokens import RUN, TRADITIONAL
from huiyin.records import Author, AuthorKind, Kind, Post, Scope
from tests.archive.texts import texts
from tests.contracts.builders import ALL, START, analysis, at, counts, post
from tests.contracts.engines import opened

POSTS = 20_000
ANALYSED = 5_000
QUERIES = 300
LISTED = 1_500
"""Of a larger result the first page is compared; totals, facets and timeline always."""
UNITS = ("hour", "day", "week", "month")
REGIONS = ("410000", "410100", "410102", "410105", "420100", "110000", "110105", None)
PATHS = (
    ("城乡建设", "供水"),
    ("城乡建设", "道路", "积水"),
    ("卫生计生", "供水"),
    ("环境保护",),
    (),
)
OFFICES = tuple(f"weibo:{n}" for n in range(1000, 1150))
"""More than a facet shows."""


@dataclass(repr=False)
class Pair:
    sqlite: Archive
    elastic: Archive
    asked: st.SearchStrategy[str]
    filters: st.SearchStrategy[Filters]
    totals: Counter[str]

    def both(self, request: SearchRequest, scope: Scope) -> tuple[SearchResult, SearchResult]:
        return self.sqlite.search(request, scope), self.elastic.search(request, scope)


def make_posts(lines: list[str]) -> list[Post]:
    chance = random.Random(11)
    out = []
    for n, text in enumerate(lines):
        answers = n > 50 and chance.random() < 0.2
        kind = chance.choice(list(AuthorKind))
        known = kind is not AuthorKind.ORDINARY or chance.random() < 0.9
        out.append(
            post(
                n, text or "空",
                id=f"{chance.choice(('weibo', 'douyin', 'board'))}:{n}",
                title=chance.choice(lines)[:30] if chance.random() < 0.2 else None,
                kind=chance.choice(list(Kind)),
                author=Author(kind=kind, key=f"a{chance.randrange(4000)}" if known else None),
                offices=tuple(sorted(set(chance.choices(OFFICES, k=chance.choice((1, 1, 2)))))),
                mentions=(chance.choice(OFFICES),) if chance.random() < 0.3 else (),
                region=chance.choice(REGIONS),
                created_at=START + timedelta(
                    seconds=chance.randrange(90 * 86400), microseconds=n % 7,
                    days=-365 if chance.random() < 0.3 else 0,  # two indices on Elasticsearch
                ),
                parent=out[chance.randrange(len(out))].id if answers else None,
                metrics=counts(0, likes=chance.choice((None, 0, 1, 7, 250)), reposts=n % 5)
                if chance.random() < 0.8 else None,
            )
        )  # fmt: skip
    return out


def fill(archive: Archive, posts: list[Post]) -> None:
    chance = random.Random(12)
    for start in range(0, len(posts), 5000):
        archive.put_posts(posts[start : start + 5000])
    archive.write_analyses([
        (one.id, analysis(
            one.text, title=one.title, path=chance.choice(PATHS), vector=None,
            sentiment=chance.choice(("positive", "neutral", "negative")),
            needs_answer=chance.random(),
        ))
        for one in posts[:ANALYSED]
    ])  # fmt: skip
    archive.mark_incidents({
        one.id: chance.choice(("", *(f"inc-{n}" for n in range(130)))) for one in posts[:3000]
    })  # fmt: skip
    archive.delete_posts([one.id for one in posts[::97]], at(10**7))


# ---------------------------------------------------------------- questions


def variants() -> dict[str, str]:
    """A traditional form of each simplified character."""
    lines = TRADITIONAL.read_text(encoding="utf-8").splitlines()
    return {one[0]: one[2] for one in lines if not one.startswith("#")}


def another_form(word: str, chance: random.Random, traditional: dict[str, str]) -> str:
    """The same word as another keyboard would write it."""
    match chance.randrange(5):
        case 0:
            return "".join(traditional.get(char, char) for char in word)
        case 1:
            return "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in word)
        case 2:
            return word.upper()
        case 3:
            return "".join(f"{c}\ufe0f" if ord(c) > 0x2600 and not c.isalnum() else c for c in word)
        case _:
            return "\u200b".join(word)


def word_pool(lines: list[str]) -> list[str]:
    """Words, phrases and beginnings out of the texts, as they would be typed."""
    chance, traditional = random.Random(13), variants()
    run, word = re.compile(rf"[{RUN}]+"), re.compile(rf"[^\W_{RUN}]+")
    out = []
    for text in chance.sample(lines, 1500):
        runs, words = run.findall(text), word.findall(text)
        for found in chance.sample(runs, min(2, len(runs))):
            start = chance.randrange(len(found))
            out.append(found[start : start + chance.choice((1, 1, 2, 2, 3, 4))])
        for found in words[:1]:
            out.append(f"{found[: chance.randint(1, 6)].lower()}*")
            out.append(found if found not in {"AND", "OR", "NOT", "TO"} else found.lower())
        place = chance.randrange(max(1, len(text) - 12))
        phrase = re.sub(r'["\\]', " ", text[place : place + chance.randint(2, 12)])
        if run.search(phrase) or word.search(phrase):
            out.append(f'"{phrase}"')
        if len(text) > 3:  # hardly anywhere: characters of two places beside each other
            out.append(f'"{text[0]}{text[-2]}{text[1]}"')
    usable = [one for one in out if run.search(one) or word.search(one)]
    return usable + [another_form(one, chance, traditional) for one in usable if "*" not in one]


def query_strategy(pool: list[str], posts: list[Post]) -> st.SearchStrategy[str]:
    days = st.integers(0, 92).map(lambda n: (START + timedelta(days=n)).strftime("%Y-%m-%d"))
    numbers = st.sampled_from(["0", "1", "7", "6.5", "250", "-3", "1e30"])
    words = st.sampled_from(pool)
    signs = st.sampled_from([">", ">=", "<", "<="])
    leaf = st.one_of(
        words, words, words,
        words.map(lambda word: f"title:{word}"),
        st.sampled_from(OFFICES).map(lambda one: f'office:"{one}"'),
        st.sampled_from(OFFICES).map(lambda one: f"mentions:weibo\\:{one[6:8]}*"),
        st.sampled_from([one for one in REGIONS if one]).map(lambda one: f"region:{one}"),
        st.sampled_from(
            ["供水", "城乡建设", '"城乡建设/道路"', "道路", "没有", "城*", "路*", "积*"]
        ).map(lambda one: f"category:{one}"),
        st.sampled_from(["sentiment:negative", "sentiment:*", "emotion:angry", "intent:投诉",
                         "incident:*", "incident:inc-7", "incident:inc-1*", "title:*", "likes:*",
                         "author_kind:media", "kind:comment", "platform:dou*", "has:reply",
                         "mentions:*", "region:*", "category:*"]),
        st.sampled_from(posts).map(lambda one: f'id:"{one.id}"'),
        st.tuples(st.sampled_from(["likes", "reposts", "urgency"]), numbers, numbers).map(
            lambda x: f"{x[0]}:[{x[1]} TO {x[2]}}}"),
        # the grammar takes a sign before a number only inside brackets
        st.tuples(signs, numbers).map(lambda x: f"likes:{x[0]}{x[1].lstrip('-')}"),
        st.tuples(days, days).map(lambda x: f"created_at:[{min(x)} TO {max(x)}]"),
        st.tuples(signs, days).map(lambda x: f"created_at:{x[0]}{x[1]}"),
        st.sampled_from(["[* TO 3000]", "<1950", "[1900 TO 2300}", "2025", ">2025-06"]).map(
            lambda one: f"created_at:{one}"),
    )  # fmt: skip
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(" AND ".join).map("({})".format),
            st.tuples(inner, inner).map(" OR ".join).map("({})".format),
            st.tuples(inner, inner).map(" ".join).map("({})".format),
            inner.map("(NOT {})".format),
        ),
        max_leaves=5,
    )


def filter_strategy() -> st.SearchStrategy[Filters]:
    days = st.one_of(st.none(), st.integers(0, 92).map(lambda n: START + timedelta(days=n)))
    few: Any = st.booleans()
    return st.one_of(
        st.just(Filters()), st.just(Filters()),
        st.builds(
            Filters, since=days, until=days,
            kinds=few.map(lambda yes: (Kind.POST, Kind.COMMENT) if yes else ()),
            author_kinds=few.map(lambda yes: tuple(AuthorKind)[1::3] if yes else ()),
            region=st.sampled_from([*REGIONS, None, None]),
            offices=st.sampled_from([(), (), OFFICES[:20]]),
            category=st.sampled_from([(), (), ("城乡建设",), ("供水",), ("城乡建设", "道路")]),
            sentiments=st.sampled_from([(), (), ("negative",)]),
            min_needs_answer=st.sampled_from([None, None, None, 0.5]),
        ),
    )  # fmt: skip


# ---------------------------------------------------------------- the comparison


@pytest.fixture(scope="module")
def pair(elasticsearch: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    from tests.elasticsearch import remove

    prefix = "test-same-results"
    remove(elasticsearch, prefix)
    lines = texts(POSTS)
    posts = make_posts(lines)
    file = tmp_path_factory.mktemp("same") / "a.db"
    both = [opened(f"sqlite:///{file}"), opened(f"{elasticsearch}/{prefix}")]
    for archive in both:
        fill(archive, posts)
    asked = query_strategy(word_pool(lines), posts)
    yield Pair(both[0], both[1], asked, filter_strategy(), Counter())
    for archive in both:
        archive.close()
    remove(elasticsearch, prefix)


def listed(archive: Archive, request: SearchRequest, scope: Scope) -> list[str]:
    """All ids of a small result, the first of a large one; newest first, page by page."""
    out: list[str] = []
    after: str | None = None
    for _ in range(-(-LISTED // 700)):
        page = archive.search(
            SearchRequest(request.query, request.filters, limit=700, after=after), scope
        )
        out += [hit.post.id for hit in page.hits]
        after = page.next_cursor
        if after is None:
            break
    return out


@pytest.mark.timeout(1800)
@settings(
    max_examples=QUERIES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_the_same_answers(pair: Pair, data: st.DataObject) -> None:
    query = data.draw(pair.asked, label="query")
    filters = data.draw(pair.filters, label="filters")
    unit = data.draw(st.sampled_from(UNITS), label="unit")
    scope = data.draw(st.sampled_from([ALL, ALL, Scope.of(*OFFICES[:5])]), label="scope")
    request = SearchRequest(query, filters, limit=20, facets=FACETS, timeline=unit)
    one, other = pair.both(request, scope)
    assert one.total == other.total
    assert [hit.post for hit in one.hits] == [hit.post for hit in other.hits]
    assert [hit.highlights for hit in one.hits] == [hit.highlights for hit in other.hits]
    assert one.timeline == other.timeline
    for name in FACETS:
        assert one.facets[name] == other.facets[name], name
    if not other.authors_estimated:
        assert one.authors == other.authors
    else:
        assert abs(one.authors - other.authors) < 0.05 * one.authors
    if one.total > len(one.hits):
        assert listed(pair.sqlite, request, scope) == listed(pair.elastic, request, scope)
    found = "none" if not one.total else "some" if one.total < POSTS // 2 else "most"
    pair.totals[found] += 1


def test_the_questions_were_no_empty_ones(pair: Pair) -> None:
    """Runs after the comparison: many questions found something, and many nothing."""
    if sum(pair.totals.values()) < QUERIES // 2:
        pytest.skip("the comparison was not run")
    print(dict(pair.totals))
    assert min(pair.totals["none"], pair.totals["most"]) >= 10
    assert pair.totals["some"] >= QUERIES // 4


def test_the_same_first_by_relevance(pair: Pair) -> None:
    """BM25 with the same words and parameters: the order of the first ten is nearly the same."""
    shared = total = 0
    for query in ("武汉 医院", "老师 学生", "暴雨 OR 积水", "政府 部门", "小区 停水 OR 停电"):
        request = SearchRequest(query, newest_first=False, limit=10)
        one, other = ({hit.post.id for hit in result.hits} for result in pair.both(request, ALL))
        shared, total = shared + len(one & other), total + max(len(one), len(other))
    print(f"{shared} of {total} among the first ten on both")
    assert shared >= 0.7 * total


def test_facets_are_exact_where_a_part_does_not_report_all(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archive.elastic import searching

    request = SearchRequest(facets=FACETS, timeline="hour", limit=0)
    monkeypatch.setattr(searching, "SEEN_VALUES", 100)
    monkeypatch.setattr(searching, "BUCKETS_A_REQUEST", 60)
    one, other = pair.both(request, ALL)
    assert (one.facets, one.timeline) == (other.facets, other.timeline)


def test_pages_of_one_result_are_the_same(pair: Pair) -> None:
    request = SearchRequest("的")
    assert listed(pair.sqlite, request, ALL) == listed(pair.elastic, request, ALL)
    assert len(set(itertools.islice(listed(pair.elastic, request, ALL), LISTED))) >= 700
