"""今天: what waits for the person who signed in, and the way to it."""

from __future__ import annotations

import streamlit as st

from crawler.health import is_site, standing
from crawler.managing import name_of as source_name
from huiyin.records import (
    Alert,
    AlertState,
    Case,
    CaseState,
    Draft,
    DraftState,
    Incident,
    Role,
    Source,
)
from ui import lookup, words
from ui.account_alert import account_alert
from ui.markup import Child, div, show
from ui.parts import badge, empty, head, heading, note, row, stats
from ui.session import Visit
from ui.shell import page_file, room
from ui.when import due, when
from ui.words import name_of, t

WAITING = (CaseState.OPEN, CaseState.DRAFTED, CaseState.IN_REVIEW, CaseState.APPROVED)
MOST = 6


def render(visit: Visit) -> None:
    """Open alerts first, then what this person's role does next."""
    head("今天", f"{visit.actor.name}，这里是等您处理的事")
    alerts = _open_alerts(visit)
    cases = [one for state in WAITING for one in _cases(visit, state)]
    late = [one for one in cases if one.due_at <= visit.now]
    drafts = {state: _drafts(visit, state) for state in DraftState}
    show(stats([(str(len(alerts)), "待确认的预警"), (str(len(cases)), "未办结的诉求"),
                (str(len(late)), "已超时"), (str(len(drafts[DraftState.SUBMITTED])), "待审核"),
                (str(len(drafts[DraftState.APPROVED])), "待发出")]))  # fmt: skip
    _blind(visit)
    _alerts(visit, alerts)
    if visit.may(Role.DRAFTER):
        _returned(visit, drafts[DraftState.RETURNED])
        _due(visit, [one for one in cases if one.state in (CaseState.OPEN, CaseState.DRAFTED)])
    if visit.may(Role.REVIEWER):
        others = [one for one in drafts[DraftState.SUBMITTED] if one.submitted_by != visit.actor.id]
        _list(visit, "等您审核", "review", others)
    if visit.may(Role.DRAFTER, Role.REVIEWER):
        _list(visit, "已通过，等着发出", "review", drafts[DraftState.APPROVED])
    if not alerts and not cases:
        empty("今天没有等着处理的事", "到“事件”看苗头，到“检索”查存档，到“来源”看哪里没读到。")


def _open_alerts(visit: Visit) -> list[Alert]:
    states = (AlertState.SENT, AlertState.FAILED, AlertState.PENDING)
    archive = visit.app.archive
    return [
        one.record
        for state in states
        for one in archive.records(Alert, visit.scope, state=state.value, newest_first=True)
    ]


def _cases(visit: Visit, state: CaseState) -> list[Case]:
    found = visit.app.archive.records(Case, visit.scope, state=state.value, limit=5000)
    return [one.record for one in found]


def _drafts(visit: Visit, state: DraftState) -> list[Draft]:
    if state is DraftState.PUBLISHED:
        return []
    found = visit.app.archive.records(Draft, visit.scope, state=state.value, limit=1000)
    return [one.record for one in found]


def _blind(visit: Visit) -> None:
    """A source that cannot be read now belongs on the first page, not only on its own."""
    every = lookup.sources(visit)
    bad = [one for one in every if one.state not in ("ok", "new") and not one.incident]
    if bad:
        names = lookup.account_names(visit)
        which = "、".join(
            f"{_whose(names, one)}{source_name(one, short=True)}（{_state(one)}）"
            for one in bad[:5]
        )
        show(note("warn", f"有 {len(bad)} 个来源现在读不到：{which}。没看到不等于没有人说。"))


def _whose(names: dict[str, str], source: Source) -> str:
    return f"{names[source.account]} " if source.account in names else ""


def _state(source: Source) -> str:
    state = standing(source) if is_site(source) else None
    return state.title if state else name_of(words.SOURCE_STATE, source.state)


def _alerts(visit: Visit, alerts: list[Alert]) -> None:
    if not alerts:
        return
    heading("待确认的预警")
    for alert in alerts[:MOST]:
        if not alert.incident:
            account_alert(visit, alert)
            continue
        incident = visit.app.archive.get(Incident, alert.incident, visit.scope)
        title = incident.record.title if incident else alert.title
        _line(
            [div(title, cls="hy-title"),
             div(f"{name_of(words.ALERT_STATE, alert.state.value)} · "
                 f"{when(alert.created_at, visit.now)}", cls="hy-muted")],
            "incidents", alert.incident, f"alert-{alert.id}",
        )  # fmt: skip


def _returned(visit: Visit, drafts: list[Draft]) -> None:
    mine = [one for one in drafts if visit.actor.id in (one.submitted_by, one.written_by)]
    _list(visit, "退回给您的草稿", "drafts", mine)


def _due(visit: Visit, cases: list[Case]) -> None:
    if not cases:
        return
    heading("快到期的诉求")
    first = sorted(cases, key=lambda one: (one.due_at, -one.urgency))[:MOST]
    posts = lookup.posts_by_id(visit, [one.post for one in first])
    for case in first:
        post = posts.get(case.post)
        text = post.text[:80] if post and post.deleted_at is None else "原帖已不在平台上"
        colour = "red" if case.due_at <= visit.now else "blue"
        _line([row(badge(due(case.due_at, visit.now), colour)), div(text, cls="hy-text")],
              "cases", case.id, f"case-{case.id}")  # fmt: skip


def _list(visit: Visit, title: str, page: str, drafts: list[Draft]) -> None:
    if not drafts:
        return
    heading(title)
    for draft in drafts[:MOST]:
        _line([div(draft.text[:120], cls="hy-text"),
               div(when(draft.created_at, visit.now), cls="hy-muted")],
              page, draft.id, f"{page}-{draft.id}")  # fmt: skip


def _line(content: Child, page: str, record_id: str, key: str) -> None:
    with st.container(key=f"row-{key}"):
        text, action = st.columns([6, 1], vertical_alignment="center")
        with text:
            show(div(content, cls="hy-card"))
        with action:
            if st.button(t("查看"), key=f"go-{key}", width="stretch"):
                st.switch_page(page_file(page), query_params={"id": record_id})


if __name__ == "__main__":
    room(render)
