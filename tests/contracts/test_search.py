"""Search gives exactly what the query says: no match missing, none too many."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from archive import FACETS, Archive, Filters, SearchRequest, hybrid
from huiyin.errors import ArchiveError, QueryError
from huiyin.records import Author, AuthorKind, Kind, Scope
from tests.contracts.builders import ALL, OFFICE, analysis, at, counts, post

SHANGHAI = ZoneInfo("Asia/Shanghai")
TEXTS = (
    "郑州暴雨，地铁5号线进水",
    "郑州，暴雨停了",
    "暴雨郑州",
    "今天天气很好 iPhone15 到货",
    "ＩＰＨＯＮＥ 手机",
    "happy app 郑 州",
    "京广隧道积水😷",
    "！！！",
)


def ids(archive: Archive, query: str, **fields: object) -> list[int]:
    request = SearchRequest(query, limit=100, **fields)  # type: ignore[arg-type]
    return sorted(int(hit.post.id.split(":")[1]) for hit in archive.search(request, ALL).hits)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("郑州暴雨", [0]),
        ('"郑州暴雨"', [0]),
        ("郑州 暴雨", [0, 1, 2]),
        ("郑州 AND NOT 暴雨", []),
        ("郑", [0, 1, 2, 5]),
        ("州", [0, 1, 2, 5]),
        ("雨", [0, 1, 2]),
        ("好", [3]),
        ("iphone", [4]),
        ("iPhone15", [3]),
        ("iphone*", [3, 4]),
        ("ｉｐｈｏｎｅ１５", [3]),
        ("app", [5]),
        ("5号线", [0]),
        ("号线", [0]),
        ('"郑 州"', [5]),
        ('"州 暴"', [1]),
        ("😷", [6]),
        ("积水 OR 天气", [3, 6]),
        ("(积水 OR 天气) AND 今天", [3]),
        ("NOT 郑州", [3, 4, 5, 6, 7]),
        ("-郑州 -iphone*", [5, 6, 7]),
        ("+郑州 -进水", [1, 2]),
        ("text:(隧道 OR 手机)", [4, 6]),
        ("", list(range(8))),
        ("*", list(range(8))),
        ("没有这个词", []),
        ("created_at:2026-03-01", list(range(8))),
        ("created_at:[2026-03-01T08:00:03 TO *]", [3, 4, 5, 6, 7]),
        ("created_at:{2026-03-01T08:00:03 TO 2026-03-01T08:00:05}", [4]),
        ("created_at:<2026-03-01", []),
        ("id:weibo\\:3 OR id:weibo:4", [3, 4]),
        ("id:weibo:*", list(range(8))),
    ],
)
def test_words(archive: Archive, query: str, expected: list[int]) -> None:
    archive.put_posts([post(n, text) for n, text in enumerate(TEXTS)])
    assert ids(archive, query) == expected
    assert archive.search(SearchRequest(query, limit=1), ALL).total == len(expected)
    assert ids(archive, query, newest_first=False) == expected


def test_fields_and_filters(archive: Archive) -> None:
    archive.put_posts([
        post(1, "停水", title="求助 停电", region="410102", metrics=counts(0, likes=10),
             author=Author(kind=AuthorKind.MEDIA), mentions=("weibo:7",)),
        post(2, "停水", kind=Kind.COMMENT, region="410300", metrics=counts(0, likes=0),
             root="weibo:1"),
        post(3, "停水", id="douyin:3", offices=("weibo:1000", "weibo:2000")),
    ])  # fmt: skip
    archive.write_analyses([
        ("weibo:1", analysis("停水", title="求助 停电", path=("城乡建设", "供水"))),
        ("weibo:2", analysis("停水", sentiment="positive", path=("环境保护",), needs_answer=0.1)),
    ])  # fmt: skip
    archive.mark_incidents({"weibo:1": "inc-1", "weibo:2": ""})
    for query, expected in (
        ("title:停电", [1]), ("title:求助停电", []), ('title:"求助 停电"', [1]), ("title:*", [1]),
        ("platform:douyin", [3]), ("kind:comment", [2]), ("author_kind:media", [1]),
        ("office:weibo\\:2000", [3]), ("mentions:weibo:7", [1]), ("region:410000", [1, 2]),
        ("region:410100", [1]), ("NOT region:410100", [2, 3]), ("category:供水", [1]),
        ("category:城乡建设", [1]), ('category:"城乡建设/供水"', [1]),
        ("NOT category:供水", [2, 3]),
        ("sentiment:(negative OR positive)", [1, 2]), ("NOT sentiment:negative", [2, 3]),
        ("intent:投诉", [1, 2]), ("emotion:angry AND likes:>5", [1]), ("incident:*", [1]),
        ("likes:[0 TO 10]", [1, 2]), ("likes:[0 TO 10}", [2]), ("NOT likes:[0 TO *]", [3]),
        ("likes:0", [2]), ("urgency:>=0.5", [1, 2]), ("likes:*", [1, 2]), ("incident:inc-1", [1]),
    ):  # fmt: skip
        assert ids(archive, query) == expected, query
    for filters, expected in (
        (Filters(since=at(2), until=at(3)), [2]), (Filters(platforms=("douyin", "x")), [3]),
        (Filters(kinds=(Kind.COMMENT,)), [2]), (Filters(author_kinds=(AuthorKind.MEDIA,)), [1]),
        (Filters(offices=("weibo:2000",)), [3]), (Filters(region="410000"), [1, 2]),
        (Filters(category=("城乡建设",)), [1]), (Filters(category=("供水",)), []),
        (Filters(sentiments=("positive",)), [2]), (Filters(emotions=("angry",)), [1, 2]),
        (Filters(intents=("表扬",)), []), (Filters(incident="inc-1"), [1]),
        (Filters(root="weibo:1"), [2]), (Filters(min_needs_answer=0.5), [1]),
    ):  # fmt: skip
        assert ids(archive, "停水", filters=filters) == expected, filters
        listed = sorted(int(one.id.split(":")[1]) for one in archive.iter_posts(ALL, filters))
        assert listed == expected, filters


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("台风", [0, 1]), ("颱風", [0, 1]), ("臺灣", [1]), ("ABC", [0]), ("ａｂｃ", [0]),
        ("❤", [2]),
        ("❤️", [2]), ("我❤你", [2]), ("👍", [2, 3]), ("👍🏿", [2, 3]),
        ("👩\u200d🚒", [3]), ("👩🚒", [3]),
        ("🚒", [3]), ("救命", [3]), ("москв*", [4]), ("Москва", [4]), ("москв", []), ("оδ*", []),
        ("οδοσ", [4]), ("ΟΔΟΣ", [4]), ("𠮷", [4]), ("5g网络iph*", [4]), ("5g网络iph", []),
        ("title:臺北", [4]), ('"的 iph*"', []), ("网", [4]), ("絡", [4]),
    ],
)  # fmt: skip
def test_variants_make_no_difference(archive: Archive, query: str, expected: list[int]) -> None:
    archive.put_posts([
        post(0, "颱風來了ＡＢＣ"), post(1, "台湾的台风"), post(2, "我❤️你👍🏽"),
        post(3, "👩🏽\u200d🚒救\u200b命👍"),
        post(4, "МОСКВА ΟΔΟΣ 𠮷野家 5G网络iPhone", title="台北"),
    ])  # fmt: skip
    assert ids(archive, query) == expected


def test_has_reply(archive: Archive) -> None:
    """An answer counts when the asker may see it, and only while it stands."""
    government = Author(kind=AuthorKind.GOVERNMENT, key="g")
    archive.put_posts([
        post(1), post(2), post(3), post(4),
        post(11, "已处理", parent="weibo:1", author=government),
        post(12, "同求", parent="weibo:2"),
        post(13, "已处理", parent="weibo:3", author=government),
        post(14, "已处理", parent="weibo:4", author=government, offices=("weibo:9",)),
    ])  # fmt: skip
    archive.delete_posts(["weibo:13"], at(1))
    assert ids(archive, "has:reply") == [1, 4]
    assert ids(archive, "kind:post AND NOT has:reply AND created_at:<2026-03-01T08:00:10") == [2, 3]
    scope = Scope.of(OFFICE)
    found = archive.search(SearchRequest("has:reply OR id:weibo:3"), scope).hits
    assert {hit.post.id for hit in found} == {"weibo:1", "weibo:3"}
    for wrong in ("has:*", "has:answer", "has:rep*"):
        with pytest.raises(QueryError):
            ids(archive, wrong)


def test_different_authors(archive: Archive) -> None:
    archive.put_posts([
        post(n, author=Author(key=f"a{n % 5}") if n % 6 else Author()) for n in range(60)
    ])  # fmt: skip
    result = archive.search(SearchRequest(limit=3), ALL)
    assert (result.total, result.authors, result.authors_estimated) == (60, 5, False)
    result = archive.search(SearchRequest("没有这个词"), ALL)
    assert (result.total, result.authors, result.authors_estimated) == (0, 0, False)


def test_many_authors_are_exact_or_said_to_be_estimated(archive: Archive) -> None:
    archive.put_posts([
        post(n, "甲" if n < 3000 else "乙", author=Author(key=f"a{n}")) for n in range(4000)
    ])  # fmt: skip
    result = archive.search(SearchRequest("甲", limit=1), ALL)
    assert (result.authors, result.authors_estimated) == (3000, False)
    result = archive.search(SearchRequest(limit=1), ALL)
    assert result.authors == 4000 or (result.authors_estimated and 3800 < result.authors < 4200)


def test_facets_are_exact(archive: Archive) -> None:
    archive.put_posts([post(n, "停水" if n % 3 else "停电") for n in range(1, 13)])
    archive.write_analyses([
        (f"weibo:{n}", analysis("停水" if n % 3 else "停电", path=("甲", "乙") if n < 5 else ()))
        for n in range(1, 9)
    ])  # fmt: skip
    result = archive.search(SearchRequest("停水", facets=FACETS), ALL)
    assert result.total == 8
    assert result.facets == {
        "platform": (("weibo", 8),), "kind": (("post", 8),), "author_kind": (("ordinary", 8),),
        "office": (("weibo:1000", 8),), "region": (), "category": (("甲/乙", 3),),
        "sentiment": (("negative", 6),), "emotion": (("angry", 6),), "intent": (("投诉", 6),),
        "incident": (),
    }  # fmt: skip


@pytest.mark.parametrize("unit", ["hour", "day", "week", "month"])
def test_the_timeline_is_in_local_time_without_holes(archive: Archive, unit: str) -> None:
    steps = (0, 3599, 3600, 8 * 3600, 16 * 3600 - 1, 16 * 3600, 86400 * 9, 86400 * 40, 86400 * 41)
    archive.put_posts([post(n, created_at=at(step)) for n, step in enumerate(steps)])
    timeline = archive.search(SearchRequest(timeline=unit), ALL).timeline
    expected: dict[datetime, int] = {}
    for step in steps:
        start = at(step).astimezone(SHANGHAI).replace(minute=0, second=0)
        start = start if unit == "hour" else start.replace(hour=0)
        start = start - timedelta(days=start.weekday()) if unit == "week" else start
        start = start.replace(day=1) if unit == "month" else start
        expected[start] = expected.get(start, 0) + 1
    assert {start: count for start, count in timeline if count} == expected
    assert (timeline[0][0], timeline[-1][0]) == (min(expected), max(expected))
    gaps = {later[0] - earlier[0] for earlier, later in itertools.pairwise(timeline)}
    assert len(gaps) == 1 or unit == "month"


def test_highlights(archive: Archive) -> None:
    archive.put_posts([post(1, "郑州暴雨，ABC郑州 abcd")])
    for query, expected in (
        ("郑州", ((0, 2), (8, 10))), ("郑州 暴雨", ((0, 4), (8, 10))), ("abc", ((5, 8),)),
        ("abc*", ((5, 8), (11, 15))), ("郑州 NOT 天气", ((0, 2), (8, 10))),
        ("created_at:2026", ()),
    ):  # fmt: skip
        [hit] = archive.search(SearchRequest(query), ALL).hits
        assert hit.highlights == expected, query


@pytest.mark.parametrize(
    ("query", "position"),
    [
        ("郑州 AND", 6), ("(郑州", 3), ("郑州)", 2), ('郑州 "暴雨', 3), ("无此字段:x", 0),
        ("郑州 AND bad:1", 7), ("likes:[x TO 3]", 7), ("郑?州", 0), ("a~2", 0), ("a && b", 2),
        ("created_at:昨天", 11), ("text:[a TO b]", 5), ("！！", 0), ("/a.*/", 0), ("AND", 0),
    ],
)  # fmt: skip
def test_wrong_queries_name_the_place(archive: Archive, query: str, position: int) -> None:
    with pytest.raises(QueryError) as caught:
        archive.search(SearchRequest(query), ALL)
    assert caught.value.position == position
    assert caught.value.mend


@pytest.mark.parametrize(
    "request_", [
        SearchRequest(facets=("nothing",)), SearchRequest(timeline="year"),
        SearchRequest(after="?"), SearchRequest("停水", after="x", newest_first=False),
        SearchRequest(limit=-1),
    ],
)  # fmt: skip
def test_wrong_requests(archive: Archive, request_: SearchRequest) -> None:
    with pytest.raises(ArchiveError):
        archive.search(request_, ALL)


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("query", ["", "停水", "停水 OR 停电"])
def test_pages_have_no_repeats_and_no_holes_while_others_write(
    archive: Archive, newest_first: bool, query: str
) -> None:
    """Several posts share a second, so the id must decide inside it."""
    texts = ["停水" * (n % 4 + 1) + "啊" * (n % 7) for n in range(400)]
    archive.put_posts([post(n, text, created_at=at(n // 40)) for n, text in enumerate(texts)])
    seen: list[str] = []
    after = None
    for number in itertools.count(1000):
        request = SearchRequest(query, limit=23, after=after, newest_first=newest_first)
        page = archive.search(request, ALL)
        seen += [hit.post.id for hit in page.hits]
        after = page.next_cursor
        if after is None:
            break
        archive.put_posts([post(number, "停水 停水 停电", created_at=at(number))])
    assert len(seen) == len(set(seen))
    assert set(seen) == {f"weibo:{n}" for n in range(400)}


def test_the_most_relevant_first(archive: Archive) -> None:
    archive.put_posts([
        post(1, "今天天气不错，随便说说，顺便提一句停水，别的没有什么了"), post(2, "停水停水停水"),
        post(3, "别的"),
    ])  # fmt: skip
    hits = archive.search(SearchRequest("停水", newest_first=False), ALL).hits
    assert [hit.post.id for hit in hits] == ["weibo:2", "weibo:1"]
    assert hits[0].score > hits[1].score


def test_texts_that_share_words(archive: Archive) -> None:
    """Any word may be missing; the most telling first; scope, filters and deletions hold."""
    archive.put_posts([
        post(1, "小区停水三天没人管，物业电话打不通"), post(2, "停水通知：明天检修"),
        post(3, "天气真好"), post(4, "小區停水三天了", offices=("weibo:9",)),
        post(5, "小区停水三天没人管", kind=Kind.COMMENT), post(6, "无关", title="小区停水三天"),
    ])  # fmt: skip
    archive.delete_posts(["weibo:5"], at(9))
    asked = "小区停水三天没人管怎么办"
    hits = archive.like(asked, ALL)
    assert {hit.post.id for hit in hits} == {"weibo:1", "weibo:2", "weibo:4", "weibo:6"}
    assert hits[0].post.id == "weibo:1"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(hit.score > 0 for hit in hits)
    assert [hit.post.id for hit in archive.like(asked, Scope.of("weibo:9"))] == ["weibo:4"]
    later = archive.like(asked, ALL, filters=Filters(since=at(2)), limit=2)
    assert {hit.post.id for hit in later} == {"weibo:4", "weibo:6"}
    for nothing in ("", "！！", "毫不相干"):
        assert archive.like(nothing, ALL) == []
    assert len(archive.like("停水，" * 2000, ALL)) == 4


def test_hybrid_search(archive: Archive) -> None:
    """Words and vector both count; a post that only one half finds is found."""
    archive.put_posts([
        post(1, "自来水断供七十二小时"), post(2, "停水三天没人管"), post(3, "停水通知"),
        post(4, "天气真好"), post(5, "停水三天没人管啊", offices=("weibo:9",)),
        *(post(n, "别的") for n in range(10, 40)),  # so that a word is not in most posts
    ])  # fmt: skip
    directions = {1: [1.0, 0.1, 0, 0], 2: [0.9, 0.3, 0, 0], 3: [0, 1.0, 0, 0], 4: [0, 0, 1.0, 0]}
    known = archive.get_posts([f"weibo:{n}" for n in directions], ALL)
    archive.write_analyses([
        (f"weibo:{n}", analysis(known[f"weibo:{n}"].text, vector=v))
        for n, v in directions.items()
    ])  # fmt: skip
    vector = analysis("x", vector=[1.0, 0.2, 0, 0]).vector
    hits = hybrid(archive, "停水三天", vector, "model-a", Scope.of(OFFICE), limit=3)
    assert [hit.post.id for hit in hits] == ["weibo:2", "weibo:1", "weibo:3"]
    assert all(0.0 <= hit.score <= 1.0 for hit in hits)
    assert hybrid(archive, "停水三天", vector, "model-a", Scope.of("nobody")) == []
    words_only = hybrid(archive, "停水三天", b"", "", ALL, limit=3)
    assert {hit.post.id for hit in words_only[:2]} == {"weibo:2", "weibo:5"}
    found = hybrid(archive, "！", vector, "model-a", ALL, filters=Filters(since=at(4)))
    assert [hit.post.id for hit in found] == ["weibo:4"]
