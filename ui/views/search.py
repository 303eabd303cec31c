"""检索: the whole archive, by query, filters, counts and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

import streamlit as st

from archive import hybrid
from archive.base import Filters, SearchRequest, SearchResult
from huiyin.errors import QueryError
from huiyin.records import AuthorKind, Kind
from ui import charts, lookup, words
from ui.markup import div, show, span, tag
from ui.parts import bars, cards, empty, head, heading, note, post_card, row
from ui.session import Visit
from ui.shell import room
from ui.when import SHANGHAI
from ui.words import name_of, t

SHOWN_FACETS = ("platform", "kind", "author_kind", "category", "sentiment", "intent", "region")
NAMES: Mapping[str, dict[str, str]] = {
    "platform": words.PLATFORM, "kind": words.KIND, "author_kind": words.AUTHOR,
    "sentiment": words.SENTIMENT, "emotion": words.EMOTION,
}  # fmt: skip
COUNT_ALL = 50_000
"""Posts up to which an empty question is answered with counts of the whole archive."""
FEW_DAYS, MANY_DAYS = 4, 200
AUTO = "auto"
STEPS = {AUTO: "自动", "hour": "时", "day": "日", "week": "周", "month": "月"}
HELP = (
    "默认找正文：停水 停电（两个词都要有）；\"自来水管\"（原样短语）；停水 AND NOT 通知；"
    "sentiment:negative；intent:投诉；category:城乡建设；created_at:[2026-11-01 TO 2026-11-22]；"
    "likes:[100 TO *]；(停水 OR 停电) AND office:账号编号"
)  # fmt: skip


def render(visit: Visit) -> None:
    """Ask, then show what was found and how it spreads."""
    head("检索", "查全部存档：词、短语、AND OR NOT、字段、时间；只看得到您负责的账号")
    asked, by_meaning, page_of = _ask()
    if by_meaning and asked.query:
        _meaning(visit, asked)
        return
    turned = lookup.cursors("search-pages", page_of)
    request = SearchRequest(
        asked.query, asked.filters, asked.newest_first, lookup.PAGE,
        turned[-1] if turned else None, SHOWN_FACETS, asked.timeline or "day",
    )  # fmt: skip
    try:
        if not asked.query and asked.filters == Filters() and _large(visit):
            request = replace(request, facets=(), timeline=None)
        result = visit.app.archive.search(request, visit.scope)
    except QueryError as error:
        _wrong(error)
        return
    if not result.total:
        _nothing(visit, request)
        return
    over_time = result.timeline
    if result.facets and not asked.timeline:
        over_time = _fitting(visit, request, result)
    _found(visit, result, over_time, page_of, len(turned))


def _large(visit: Visit) -> bool:
    """Whether counting everything by facet and time takes seconds (5 s for 580,000 posts)."""
    return visit.app.archive.counts().get("posts", 0) > COUNT_ALL


def _fitting(
    visit: Visit, request: SearchRequest, result: SearchResult
) -> tuple[tuple[datetime, int], ...]:
    """The days, or hours when there are few of them, months when there are many."""
    days = len(result.timeline)
    if FEW_DAYS < days <= MANY_DAYS:
        return result.timeline
    step = "hour" if days <= FEW_DAYS else "month"
    again = SearchRequest(request.query, request.filters, limit=1, timeline=step)
    return visit.app.archive.search(again, visit.scope).timeline


def _meaning(visit: Visit, asked: SearchRequest) -> None:
    """The posts whose words and meaning are nearest to a sentence."""
    understanding = visit.app.understanding
    [vector] = understanding.embed([asked.query])
    hits = hybrid(
        visit.app.archive, asked.query, vector, understanding.model, visit.scope,
        filters=asked.filters, limit=lookup.PAGE,
    )  # fmt: skip
    if not hits:
        _nothing(visit, asked)
        return
    show(row(tag("b", f"意思最接近的 {len(hits)} 条"), span("词和语义一起排", cls="hy-muted")))
    show(cards([post_card(hit.post, visit.now, hit=hit) for hit in hits]))


def _ask() -> tuple[SearchRequest, bool, str]:
    with st.form("search", border=True):
        field, button = st.columns([6, 1], vertical_alignment="bottom")
        query = field.text_input(t("检索式"), key="search-query", placeholder="停水 AND 小区")
        button.form_submit_button(t("搜索"), type="primary", width="stretch")
        with st.expander(t("更多条件")):
            filters, order, step = _more()
        show(div(HELP, cls="hy-muted"))
    timeline = None if step == AUTO else step
    request = SearchRequest(query.strip(), filters, order == "new", timeline=timeline)
    return request, order == "meaning", repr((request.query, filters, order))


def _more() -> tuple[Filters, str, str]:
    one, two, three, four = st.columns(4)
    since = one.date_input(t("开始日期"), value=None, key="search-since", format="YYYY-MM-DD")
    until = two.date_input(t("结束日期"), value=None, key="search-until", format="YYYY-MM-DD")
    orders = {"new": t("按时间"), "best": t("按相关"), "meaning": t("按意思（写一句话）")}
    order = three.selectbox(
        t("排序"), list(orders), key="search-order", format_func=orders.__getitem__
    )
    step = four.selectbox(t("时间粒度"), list(STEPS), key="search-step",
                          format_func=lambda value: t(STEPS[value]))  # fmt: skip
    one, two, three, four = st.columns(4)
    kinds = one.multiselect(t("类型"), list(words.KIND), key="search-kinds",
                            format_func=words.KIND.__getitem__)  # fmt: skip
    authors = two.multiselect(t("作者"), list(words.AUTHOR), key="search-authors",
                              format_func=words.AUTHOR.__getitem__)  # fmt: skip
    feelings = three.multiselect(t("情感"), list(words.SENTIMENT), key="search-sentiments",
                                 format_func=words.SENTIMENT.__getitem__)  # fmt: skip
    intents = four.multiselect(
        t("诉求类型"),
        ["求助", "投诉", "举报", "咨询", "建议", "表扬", "其他"],
        key="search-intents",
    )
    filters = Filters(
        since=_midnight(since), until=_midnight(until, next_day=True),
        kinds=tuple(Kind(one) for one in kinds),
        author_kinds=tuple(AuthorKind(one) for one in authors),
        sentiments=tuple(feelings), intents=tuple(intents),
    )  # fmt: skip
    return filters, str(order), str(step)


def _midnight(day: Any, *, next_day: bool = False) -> datetime | None:
    if not isinstance(day, date):
        return None
    shifted = date.fromordinal(day.toordinal() + 1) if next_day else day
    return datetime.combine(shifted, time(), SHANGHAI)


def _wrong(error: QueryError) -> None:
    message = error.message.split("\n", 1)[0]
    at = min(error.position, len(error.query))
    show(
        note(
            "bad",
            tag("b", f"检索式写错了：{message}"),
            div(
                error.query[:at],
                tag("mark", error.query[at : at + 1] or "▲", cls="hy-open"),
                error.query[at + 1 :],
                cls="hy-pre",
            ),
            div(f"第 {at + 1} 个字符处。{error.mend}", cls="hy-small"),
        )
    )


def _nothing(visit: Visit, request: SearchRequest) -> None:
    if not request.query and request.filters == Filters():
        empty(
            "存档里还没有帖子",
            "启动采集（huiyin run），或用 huiyin import 导入其他工具导出的文件。",
        )
        return
    empty("没有找到", "换少一些的词，把 AND 改成 OR，放宽日期；也可能是那段时间没有读到来源。")
    gaps = lookup.blind(visit)
    since = request.filters.since or datetime(1970, 1, 3, tzinfo=SHANGHAI)
    until = min(request.filters.until or visit.now, visit.now)
    if charts.touching(gaps, since, until):
        show(note("warn", "在您查的时间里，有来源没有读到。没找到不等于没有人说。",
                  charts.legend(gaps, since, until)))  # fmt: skip


def _found(
    visit: Visit, result: SearchResult, over_time: tuple[tuple[datetime, int], ...],
    page_of: str, turned: int,
) -> None:  # fmt: skip
    gaps = lookup.blind(visit)
    about = "约 " if result.authors_estimated else ""
    authors = f"，{about}{result.authors:,} 位作者" if result.authors else ""
    show(
        row(
            tag("b", f"共 {result.total:,} 条{authors}"),
            span(f"第 {turned + 1} 页", cls="hy-muted"),
        )
    )
    if len(over_time) > 1:
        charts.timeline(charts.bucketed(over_time), gaps=gaps, height=170, key="search-time")
    if not result.facets:
        show(div("存档较大：写检索式或条件之后，才统计分类和时间分布。", cls="hy-muted"))
    left, right = st.columns([5, 2])
    with left:
        show(cards([post_card(hit.post, visit.now, hit=hit) for hit in result.hits]))
        if turned or result.next_cursor:
            lookup.pager("search-pages", result.next_cursor, page_of)
    with right:
        for facet in SHOWN_FACETS:
            values = result.facets.get(facet, ())
            if values:
                heading(words.FACET[facet])
                table = NAMES.get(facet, {})
                show(bars([(name_of(table, value), count) for value, count in values[:8]]))


if __name__ == "__main__":
    room(render)
