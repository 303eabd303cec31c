"""诉求: the appeals that wait for an answer, the most urgent first."""

from __future__ import annotations

import streamlit as st

from archive.base import Stored
from huiyin.errors import NotFound
from huiyin.records import Case, CaseState, Draft, DraftState, Post, Role
from ui import lookup, pictures, words
from ui.category import category_form
from ui.contact import contact_part
from ui.markup import Markup, div, show, span, tag
from ui.parts import acts_list, badge, cards, empty, head, heading, note, post_card, row
from ui.reply import draft_card
from ui.session import Visit, act
from ui.shell import page_file, room
from ui.when import due, when
from ui.words import name_of, t

GROUPS: dict[str, tuple[CaseState, ...]] = {
    "待拟稿": (CaseState.OPEN, CaseState.DRAFTED),
    "审核中": (CaseState.IN_REVIEW,),
    "待发出": (CaseState.APPROVED,),
    "已办结": (CaseState.PUBLISHED, CaseState.CLOSED),
}
DONE = (CaseState.PUBLISHED, CaseState.CLOSED)
BY_DUE, BY_URGENCY = "期限近的在前", "最急的在前"


def render(visit: Visit) -> None:
    """The inbox, or the case that the address names."""
    wanted = lookup.chosen()
    if wanted:
        _detail(visit, wanted)
    else:
        _inbox(visit)


def _cases(visit: Visit, states: tuple[CaseState, ...]) -> list[Case]:
    archive = visit.app.archive
    return [
        one.record
        for state in states
        for one in archive.records(
            Case, visit.scope, state=state.value, limit=5000, newest_first=state in DONE
        )
    ]


def _inbox(visit: Visit) -> None:
    head("诉求", "需要答复的帖子；一般 48 小时内答复，日清日结")
    group = st.segmented_control(
        t("状态"), list(GROUPS), default="待拟稿", key="case-group", label_visibility="collapsed"
    )
    cases = _filtered(visit, _cases(visit, GROUPS[group or "待拟稿"]))
    if not cases:
        empty(
            "这里没有诉求",
            "新的诉求由系统从需要答复的帖子立案。若本该有：请看“系统”页有没有积压，"
            "“来源”页有没有没看到的时间。",
        )
        return
    many = int(st.session_state.get("case-many", lookup.PAGE))
    posts = lookup.posts_by_id(visit, [one.post for one in cases[:many]])
    names = lookup.account_names(visit)
    for case in cases[:many]:
        with st.container(key=f"row-{case.id}"):
            text, action = st.columns([6, 1], vertical_alignment="center")
            with text:
                show(_card(visit, case, posts.get(case.post), names))
            with action:
                if st.button(t("查看"), key=f"open-{case.id}", width="stretch"):
                    lookup.choose(case.id)
    if len(cases) > many and st.button(f"再看 {min(lookup.PAGE, len(cases) - many)} 件"):
        st.session_state["case-many"] = many + lookup.PAGE
        st.rerun()


def _filtered(visit: Visit, cases: list[Case]) -> list[Case]:
    names = lookup.account_names(visit)
    with st.container(key="case-filters"):
        one, two, three, four = st.columns([2, 2, 2, 1.4], vertical_alignment="bottom")
        with one:
            accounts = {c.account: names.get(c.account, c.account) for c in cases}
            account = lookup.pick("答复账号", accounts, key="case-account")
        with two:
            intent = lookup.pick(t("诉求类型"), {c.intent: c.intent for c in cases if c.intent},
                                 key="case-intent")  # fmt: skip
        order = three.selectbox(t("排序"), [BY_DUE, BY_URGENCY], key="case-order", format_func=t)
        late = four.checkbox(t("只看超时"), key="case-late")
    kept = [
        c
        for c in cases
        if (not account or c.account == account)
        and (not intent or c.intent == intent)
        and (not late or c.due_at <= visit.now)
    ]
    if order == BY_URGENCY:
        return sorted(kept, key=lambda c: (-c.urgency, c.due_at))
    return sorted(kept, key=lambda c: (c.due_at, -c.urgency))


def _badges(visit: Visit, case: Case, names: dict[str, str], post: Post | None) -> Markup:
    category = post.analysis.category.path if post and post.analysis else case.category
    late = case.due_at <= visit.now and case.state not in DONE
    return row(
        badge(due(case.due_at, visit.now), "red" if late else "blue")
        if case.state not in DONE
        else None,
        badge(name_of(words.CASE_STATE, case.state.value)),
        badge(f"紧急 {case.urgency:.0%}", "red") if case.urgency >= 0.5 else None,
        badge(case.intent) if case.intent else None,
        badge(" / ".join(category)) if category else None,
        span(names.get(case.account, case.account), cls="hy-small"),
    )


def _card(visit: Visit, case: Case, post: Post | None, names: dict[str, str]) -> Markup:
    if post is None or post.deleted_at is not None:
        text = "原帖已不在平台上，正文已清除。"
    else:
        text = post.text if len(post.text) <= 140 else post.text[:140] + "…"
    at = when(post.created_at, visit.now) if post else when(case.opened_at, visit.now)
    return div(
        _badges(visit, case, names, post),
        div(text, cls="hy-text"),
        div(f"发帖 {at}", cls="hy-muted"),
        cls="hy-card",
    )


def _detail(visit: Visit, case_id: str) -> None:
    lookup.back()
    try:
        view = visit.app.desk.case(case_id, visit.scope)
    except NotFound:
        empty("找不到这件诉求", "它不存在，或不在您负责的账号范围内。")
        return
    case = view.case.record
    names = lookup.account_names(visit)
    head("诉求", f"编号 {case.id}")
    show(_badges(visit, case, names, view.post))
    if view.duplicate_of:
        show(note("warn", f"与 {view.duplicate_of} 内容相同，请合并办理，避免重复答复。"))
    left, right = st.columns([5, 3])
    with left:
        _conversation(visit, case)
    with right:
        _answer(visit, case, view.draft, names)
        stored = view.case
        if contact_part(visit, case):  # who looks first becomes the handler
            stored = visit.app.desk.case(case_id, visit.scope).case
            case = stored.record
        _other_ways(visit, stored, names)
        heading("经过")
        show(div(acts_list(case.acts, lookup.staff_names(visit), visit.now), cls="hy-card"))


def _conversation(visit: Visit, case: Case) -> None:
    post = lookup.posts_by_id(visit, [case.post]).get(case.post)
    heading("原帖（下面的标签是机器判断）")
    if post is None:
        show(note("warn", "原帖不在您可见的范围内，或已不在存档里。"))
        return
    seen = pictures.of_posts(visit, [post])
    show(post_card(post, visit.now, pictures=pictures.shown(post, seen.get(post.id))))
    category_form(visit, post)
    thread = [
        one
        for one in visit.app.archive.thread(post.root or post.id, visit.scope, limit=100)
        if one.id != post.id
    ]
    if thread:
        heading(f"同一话题下的 {len(thread)} 条")
        show(cards([post_card(one, visit.now, with_analysis=False) for one in thread]))


def _answer(visit: Visit, case: Case, stored: Stored[Draft] | None, names: dict[str, str]) -> None:
    heading("答复")
    by = when(case.due_at, visit.now)
    show(div(f"由“{names.get(case.account, case.account)}”在 ", tag("b", by), " 前答复",
             cls="hy-small"))  # fmt: skip
    if stored is not None:
        draft = stored.record
        show(draft_card(draft, None, names.get(draft.account, draft.account), visit))
        page, label = ("drafts", "去拟稿")
        if draft.state in (DraftState.SUBMITTED, DraftState.APPROVED, DraftState.PUBLISHED):
            page, label = ("review", "去审核")
        if st.button(t(label), key="go-draft", type="primary"):
            st.switch_page(page_file(page), query_params={"id": draft.id})
        return
    if case.state in DONE:
        return
    show(div("还没有草稿。系统按官方发布过的内容起草，每句话注明出处，不会自动发出。",
             cls="hy-muted"))  # fmt: skip

    def draft_it(now: Visit) -> None:
        with st.spinner("正在找依据、起草……"):
            now.app.desk.draft_for(case.id, now.actor)

    if visit.may(Role.DRAFTER):
        st.button(t("生成草稿"), key="draft", type="primary",
                  on_click=act, args=(draft_it, "已生成草稿，请核对每句话的依据"))  # fmt: skip


def _other_ways(visit: Visit, stored: Stored[Case], names: dict[str, str]) -> None:
    case = stored.record
    if case.state is CaseState.CLOSED:
        show(note("good", f"已办结：{case.closed_reason}"))
    if case.state in DONE or not visit.may(Role.DRAFTER, Role.REVIEWER):
        return
    _hand_over(stored, {one: name for one, name in names.items() if one != case.account})
    key = f"close-reason-{case.id}"

    def close(now: Visit) -> None:
        now.app.desk.close(case.id, now.actor, stored.version, _typed(key))

    with st.expander("不在这里答复，直接办结"), st.form("close", border=False):
        st.text_input(t("办结原因"), key=key, placeholder="例如：已电话告知本人，不需公开答复")
        st.form_submit_button(t("办结"), on_click=act, args=(close, "已办结"))


def _hand_over(stored: Stored[Case], others: dict[str, str]) -> None:
    case = stored.record
    if case.state is not CaseState.OPEN or not others:
        return
    to_key, why_key = f"hand-to-{case.id}", f"hand-why-{case.id}"

    def hand_over(now: Visit) -> None:
        to = _typed(to_key)
        now.app.desk.hand_over(case.id, now.actor, stored.version, to, _typed(why_key))

    with st.expander("转给别的官方账号答复"), st.form("hand-over", border=False):
        st.selectbox("转给", list(others), key=to_key, format_func=others.__getitem__)
        st.text_input("转交原因", key=why_key, placeholder="例如：属于供水职责")
        st.form_submit_button(t("转交"), on_click=act, args=(hand_over, "已转交"))


def _typed(key: str) -> str:
    return str(st.session_state.get(key, "")).strip()


if __name__ == "__main__":
    room(render)
