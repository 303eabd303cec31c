"""事件: what is happening, how sure we are, and who was told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import streamlit as st

from archive.base import Filters, SearchRequest
from huiyin.records import Alert, AlertState, Gap, Incident, IncidentState, Post, Role
from nlp.incidents import Story, tell
from ui import charts, incident_acts, incident_story, lookup, pictures, source_parts, words
from ui.markup import Child, Markup, div, show, span, tag
from ui.parts import (
    LEVELS,
    acts_list,
    badge,
    cards,
    empty,
    head,
    heading,
    level_badge,
    note,
    post_card,
    post_link,
    row,
    stats,
)
from ui.session import Visit, act
from ui.shell import room
from ui.style import BLUE
from ui.when import due, span_words, stamp, when
from ui.words import name_of, t

ALERTED, EVERY = "已预警的事件", "全部事件"
MAX_CURVE_POSTS = 20_000
RECENT = timedelta(days=2)


def render(visit: Visit) -> None:
    """The list, or the incident that the address names."""
    wanted = lookup.chosen()
    if wanted:
        _detail(visit, wanted)
    else:
        _list(visit)


def _rank(incident: Incident) -> tuple[bool, int, float]:
    level = LEVELS.index(incident.suspected_level) if incident.suspected_level else len(LEVELS)
    return (incident.alerted_at is None, level, -incident.score.get("total", 0.0))


def _list(visit: Visit) -> None:
    head("事件", "按“已预警、疑似等级、得分”排列；等级都是机器的怀疑，由人确认")
    stored = visit.app.archive.records(Incident, visit.scope, limit=1000, newest_first=True)
    every = [one.record for one in stored if one.record.state is not IncidentState.MERGED]
    alerted = [one for one in every if one.alerted_at is not None]
    if not every:
        empty("还没有事件", "读到的帖子经过分析后，相近的会归成事件。若一直为空，请看“来源”页"
              "是否在正常读取、“系统”页是否有积压。")  # fmt: skip
        return
    counted = {ALERTED: len(alerted), EVERY: len(every)}
    mode = st.segmented_control(
        "范围", [ALERTED, EVERY], default=ALERTED if alerted else EVERY, key="incident-mode",
        format_func=lambda one: f"{t(one)} {counted[one]}", label_visibility="collapsed",
    )  # fmt: skip
    shown = sorted(alerted if mode == ALERTED else every, key=_rank)
    if not shown:
        empty("还没有达到预警条件的事件", "点上面的“全部事件”看苗头。")
        return
    names = lookup.account_names(visit)
    gaps = lookup.blind(visit)
    many = int(st.session_state.get("incident-many", lookup.PAGE))
    for incident in shown[:many]:
        _card(visit, incident, names, gaps)
    if len(shown) > many and st.button(f"再看 {min(lookup.PAGE, len(shown) - many)} 个"):
        st.session_state["incident-many"] = many + lookup.PAGE
        st.rerun()


def _card(visit: Visit, incident: Incident, names: dict[str, str], gaps: list[Gap]) -> None:
    hours = visit.app.archive.search(lookup.incident_request(incident), visit.scope).timeline
    rank = _rank(incident)[1]  # 0 the highest level
    accounts = "、".join(names.get(one, one) for one in incident.accounts[:4])
    facts = [
        f"{incident.posts} 条帖子",
        f"{incident.authors} 位独立作者",
        f"首帖 {when(incident.first_post_at, visit.now)}",
        f"最近 {when(incident.last_post_at, visit.now)}",
    ]
    if incident.reading_delay_seconds is not None:
        facts.append(f"发帖后约 {span_words(incident.reading_delay_seconds)}读到")
    with st.container(key=f"incident-{incident.id}"):
        text, action = st.columns([6, 1], vertical_alignment="center")
        with text:
            show(
                div(
                    row(_alert_badge(incident, visit), level_badge(incident.suspected_level),
                        badge(name_of(words.INCIDENT_STATE, incident.state.value))),
                    div(incident.title, cls="hy-title"),
                    div(" · ".join(facts), cls="hy-muted"),
                    div(f"涉及账号：{accounts}", cls="hy-small") if accounts else None,
                    charts.spark(hours, gaps) if len(hours) > 1 else None,
                    cls=f"hy-card level l{rank}",
                )
            )  # fmt: skip
        with action:
            if st.button(t("查看"), key=f"open-{incident.id}", width="stretch"):
                lookup.choose(incident.id)


def _alert_badge(incident: Incident, visit: Visit) -> Markup:
    if incident.alerted_at is None:
        return badge("未预警")
    return badge(f"已预警 {stamp(incident.alerted_at, visit.now)}", "solid")


def _detail(visit: Visit, incident_id: str) -> None:
    stored = visit.app.archive.get(Incident, incident_id, visit.scope)
    lookup.back()
    if stored is None:
        empty("找不到这个事件", "它不存在，或不在您负责的账号范围内。")
        return
    incident = stored.record
    head(incident.title, name_of(words.INCIDENT_STATE, incident.state.value))
    if incident.merged_into:
        show(note("info", "这个事件已经并入另一个事件。"))
    _alerts(visit, incident)
    posts, whole = lookup.members(visit, incident, MAX_CURVE_POSTS)
    story = tell(incident, posts, visit.now)
    left, right = st.columns([5, 3])
    with left:
        incident_story.news(visit, story)
        _curve(visit, incident, posts, whole)
        incident_story.mood(visit, story, lookup.blind(visit, incident.id))
        _summary(visit, incident)
        incident_story.claims(visit, incident)
    with right:
        incident_story.levels(visit, incident)
        incident_acts.forms(visit, incident, posts)
        _facts(visit, incident, story)
    _posts(visit, incident)  # last, so that a phone shows what can be done before the long list


def _alerts(visit: Visit, incident: Incident) -> None:
    stored = visit.app.archive.records(Alert, visit.scope, ref=incident.id)
    names = lookup.staff_names(visit)
    if not stored:
        show(note("info", "这个事件没有发出过预警：还没有达到预警条件。"))
    for one in stored:
        alert = one.record
        known = alert.state is AlertState.ACKNOWLEDGED
        told = [_delivery(visit, names.get(d.recipient, d.recipient), d.channel, d.state, d.sent_at)
                for d in alert.deliveries]  # fmt: skip
        answer: Child = None
        if alert.acknowledged_by and alert.acknowledged_at:
            who = names.get(alert.acknowledged_by, alert.acknowledged_by)
            answer = div(f"{who} 于 {when(alert.acknowledged_at, visit.now)} 确认收到")
        show(
            note(
                "good" if known else "bad",
                row(tag("b", f"预警：{name_of(words.ALERT_STATE, alert.state.value)}"),
                    span(f"{when(alert.created_at, visit.now)} · 编号 {alert.id}", cls="hy-muted")),
                div(f"为什么叫您：{'；'.join(alert.reasons)}") if alert.reasons else None,
                told or div("还没有通知到任何人", cls="hy-muted"),
                answer,
            )
        )  # fmt: skip
        _acknowledge(visit, alert, known)


def _acknowledge(visit: Visit, alert: Alert, known: bool) -> None:
    if known:
        return
    if not visit.may(Role.ON_CALL):
        show(div("由值班员确认收到。", cls="hy-muted"))
        return

    def acknowledge(now: Visit) -> None:
        now.app.alerter.acknowledge(alert.id, now.actor)

    st.button(t("确认收到"), key=f"ack-{alert.id}", type="primary",
              on_click=act, args=(acknowledge, "已记下您确认收到这条预警"))  # fmt: skip


def _delivery(visit: Visit, who: str, channel: str, state: str, sent: datetime | None) -> Markup:
    at = f"（{stamp(sent, visit.now)}）" if sent is not None else ""
    return div(f"通知 {who}：经 {channel}，{name_of(words.DELIVERY_STATE, state)}{at}")


def _curve(visit: Visit, incident: Incident, posts: Sequence[Post], whole: bool) -> None:
    if not whole:
        show(note("info", f"帖子超过 {MAX_CURVE_POSTS} 条，这一页只用其中这些。"))
    times = [post.created_at for post in posts]
    marks = [charts.Mark("首帖", incident.first_post_at), charts.Mark("发现", incident.opened_at,
             BLUE)]  # fmt: skip
    if incident.alerted_at is not None:
        marks.append(charts.Mark("预警", incident.alerted_at, "#b3261e"))
    gaps = lookup.blind(visit, incident.id)
    edges = [mark.at for mark in marks]
    if incident.state is not IncidentState.CLOSED and visit.now - incident.last_post_at < RECENT:
        edges.append(visit.now)  # what could not be seen after the last post belongs to the curve
    data = charts.curve([*times, *edges]) if times else charts.curve([])
    # The marks stretch the axis but are no posts: count the posts alone.
    counted = charts.recount(data, times)
    heading("发帖曲线")
    charts.timeline(counted, marks=marks, gaps=gaps, key="incident-curve")


def _summary(visit: Visit, incident: Incident) -> None:
    heading("概要（句句来自帖子，点编号看出处）")
    if not incident.summary:
        show(div("还没有概要。", cls="hy-muted"))
        return
    numbers: dict[str, int] = {}
    for sentence in incident.summary:
        for post_id in sentence.posts:
            numbers.setdefault(post_id, len(numbers) + 1)
    posts = lookup.posts_by_id(visit, numbers)
    lines = [
        div(sentence.text, " ", [post_link(posts.get(one), numbers[one]) for one in sentence.posts],
            cls="hy-line")
        for sentence in incident.summary
    ]  # fmt: skip
    show(div(lines, cls="hy-card"))


def _posts(visit: Visit, incident: Incident) -> None:
    found = lookup.posts_by_id(visit, incident.key_posts)
    key_posts = [found[one] for one in incident.key_posts if one in found]
    if key_posts:
        heading("关键帖子")
        seen = pictures.of_posts(visit, key_posts)
        show(cards([
            post_card(post, visit.now, number=n, pictures=pictures.shown(post, seen.get(post.id)))
            for n, post in enumerate(key_posts, 1)
        ]))  # fmt: skip
    heading("全部帖子（新的在前）")
    turned = lookup.cursors("incident-posts", incident.id)
    result = visit.app.archive.search(
        SearchRequest(filters=Filters(incident=incident.id), limit=10,
                      after=turned[-1] if turned else None), visit.scope,
    )  # fmt: skip
    posts: list[Post] = [hit.post for hit in result.hits]
    show(cards([post_card(post, visit.now) for post in posts]))
    if not posts:
        show(div("没有您可见的帖子。", cls="hy-muted"))
    if turned or result.next_cursor:
        lookup.pager("incident-posts", result.next_cursor, incident.id)


def _facts(visit: Visit, incident: Incident, story: Story) -> None:
    now = visit.now
    delay = incident.reading_delay_seconds
    show(
        stats(
            [
                (str(incident.posts), "帖子"),
                (str(incident.authors), "独立作者"),
                (span_words(delay) if delay is not None else "—", "发帖后多久读到（中位）"),
                (f"{incident.score.get('total', 0.0):.1f}", "突增得分"),
            ]
        )
    )
    names = lookup.account_names(visit)
    terms = "，".join(f"{name_of(words.SCORE, k)} {v:.2f}" for k, v in incident.score.items())
    lines = [
        f"首帖 {when(incident.first_post_at, now)}",
        f"发现 {when(incident.opened_at, now)}",
        f"预警 {when(incident.alerted_at, now)}" if incident.alerted_at else "未预警",
        f"最近一帖 {when(incident.last_post_at, now)}",
        incident_story.first_answer(visit, incident, story),
        "地点：" + ("、".join(f"{p.name}（“{p.text}”）" for p in incident.places) or "未认出"),
        "账号：" + ("、".join(names.get(one, one) for one in incident.accounts) or "未涉及"),
        f"得分构成：{terms}" if terms else "",
    ]
    lines += [f"{name_of(words.DEADLINE, k)}：{stamp(v, now)}，{due(v, now)}"
              for k, v in incident.deadlines.items()]  # fmt: skip
    show(div([div(line) for line in lines if line], cls="hy-card"))
    show(incident_story.departments(lookup.accounts(visit), incident))
    if (search := lookup.temporary_source(visit, incident.id)) is not None:
        heading("临时搜索")
        show(div(source_parts.temporary(visit, search), cls="hy-card"))
    incident_story.moments(visit, story)
    if incident.acts:
        heading("经过")
        show(div(acts_list(incident.acts, lookup.staff_names(visit), now), cls="hy-card"))


if __name__ == "__main__":
    room(render)
