"""拟稿: a draft beside what it rests on; whoever edits becomes the submitter."""

from __future__ import annotations

import streamlit as st

from archive.base import Stored
from huiyin.errors import InputError
from huiyin.records import Case, Draft, DraftState, Kind, Post, Role
from ui import lookup, reply
from ui.markup import div, show, tag
from ui.parts import cards, empty, head, heading, note, post_card, row
from ui.session import Visit, act
from ui.shell import page_file, room
from ui.when import stamp
from ui.words import t

GROUPS: dict[str, tuple[DraftState, ...]] = {
    "待修改提交": (DraftState.DRAFT, DraftState.RETURNED),
    "待审核": (DraftState.SUBMITTED,),
    "待发出": (DraftState.APPROVED,),
    "已发出": (DraftState.PUBLISHED,),
}
_FOUND = "found-evidence-"


def render(visit: Visit) -> None:
    """The drafts, or the one that the address names."""
    wanted = lookup.chosen()
    if wanted:
        _detail(visit, wanted)
    else:
        _list(visit)


def _list(visit: Visit) -> None:
    head("拟稿", "草稿的每句话都注明出处；没有依据的写成【待核实】，核实之前不能通过")
    group = st.segmented_control(
        t("状态"), list(GROUPS), default="待修改提交", key="draft-group",
        label_visibility="collapsed",
    )  # fmt: skip
    archive = visit.app.archive
    drafts = [
        one.record
        for state in GROUPS[group or "待修改提交"]
        for one in archive.records(
            Draft, visit.scope, state=state.value, limit=200, newest_first=True
        )
    ]
    if not drafts:
        empty("这里没有草稿", "到“诉求”页打开一件，点“生成草稿”。")
        return
    names = lookup.account_names(visit)
    for draft in drafts:
        case = archive.get(Case, draft.case, visit.scope)
        with st.container(key=f"row-{draft.id}"):
            text, action = st.columns([6, 1], vertical_alignment="center")
            with text:
                show(reply.draft_card(draft, case.record if case else None,
                                      names.get(draft.account, draft.account), visit))  # fmt: skip
            with action:
                if st.button(t("查看"), key=f"open-{draft.id}", width="stretch"):
                    lookup.choose(draft.id)


def _detail(visit: Visit, draft_id: str) -> None:
    stored = visit.app.archive.get(Draft, draft_id, visit.scope)
    lookup.back()
    if stored is None:
        empty("找不到这份草稿", "它不存在，或不在您负责的账号范围内。")
        return
    draft = stored.record
    case = visit.app.archive.get(Case, draft.case, visit.scope)
    head("拟稿", f"编号 {draft.id}")
    show(row(reply.state_badge(draft)))
    _returned(visit, draft)
    left, right = st.columns([5, 4])
    with left:
        reply.question(visit, draft, case.record if case else None)
        _text(visit, stored)
        if case is not None and st.button(t("看诉求"), key="case"):
            st.switch_page(page_file("cases"), query_params={"id": draft.case})
    with right:
        reply.evidence(visit, draft)
        reply.style_notes(draft)
        reply.history(visit, draft)


def _returned(visit: Visit, draft: Draft) -> None:
    if draft.state is not DraftState.RETURNED:
        return
    returned = [act for act in draft.acts if act.what == "return"]
    if returned:
        names = lookup.staff_names(visit)
        who = names.get(returned[-1].actor, returned[-1].actor)
        show(note("warn", tag("b", f"{who} 退回了这份草稿："), returned[-1].why))


def _text(visit: Visit, stored: Stored[Draft]) -> None:
    draft = stored.record
    heading("答复正文")
    if draft.state in (DraftState.APPROVED, DraftState.PUBLISHED):
        reply.approved_box(visit, stored)
        return
    reply.exact_text(draft)
    if draft.state is DraftState.SUBMITTED:
        show(note("info", "已提交，等另一位同事审核。要改动请先让审核员退回。"))
        return
    if not visit.may(Role.DRAFTER):
        show(div("由拟稿员修改和提交。", cls="hy-muted"))
        return
    _editor(visit, stored)


def _editor(visit: Visit, stored: Stored[Draft]) -> None:
    draft, version = stored.record, stored.version
    # The key carries the version: after anybody's change the box shows the new text.
    key = f"text-{draft.id}-{version}"

    def typed() -> str:
        return str(st.session_state.get(key, draft.text)).strip()

    cite_key = f"cite-{draft.id}-{version}"
    cited, offered = _notices(visit, draft)

    def save(now: Visit) -> None:
        cite = tuple(st.session_state.get(cite_key, cited))
        now.app.desk.edit(draft.id, typed(), now.actor, version, cite=cite)

    def submit(now: Visit) -> None:
        if typed() != draft.text.strip():
            raise InputError("有没保存的修改", "先保存，看过每句话的依据，再提交")
        now.app.desk.submit(draft.id, now.actor, version)

    with st.form(f"edit-{draft.id}", border=False):
        st.text_area(t("回复正文"), value=draft.text, key=key, height=170)
        if offered:
            st.multiselect(t("引用的官方发布"), list(offered), default=cited, key=cite_key,
                           format_func=lambda one: _notice_name(visit, offered[one]))  # fmt: skip
        left, right = st.columns(2)
        left.form_submit_button(
            t("保存修改"), width="stretch", on_click=act,
            args=(save, "已保存；改过的句子请看“逐句依据”"),
        )  # fmt: skip
        right.form_submit_button(
            t("提交审核"), width="stretch", type="primary", on_click=act,
            args=(submit, "已提交，等另一位同事审核"),
        )  # fmt: skip
    if st.button(t("查找更多依据"), key="evidence"):
        with st.spinner("正在查找……"):
            found = visit.app.desk.evidence(draft.case, visit.scope, limit=6)
        st.session_state[_FOUND + draft.id] = tuple(one.notice.id for one in found)
        st.rerun()
    more = [post for post_id, post in offered.items() if post_id not in cited]
    if more:
        heading("还可以引用的官方发布")
        show(cards([post_card(post, visit.now, with_analysis=False) for post in more]))
    unsupported = reply.open_facts(draft)
    if unsupported:
        show(note("warn", f"还有 {unsupported} 处【待核实】：可以提交请人看，但核实之前不能通过。"))


def _notices(visit: Visit, draft: Draft) -> tuple[list[str], dict[str, Post]]:
    """The notices cited now, and all that may be cited: these and the ones looked up."""
    sources = [one for sentence in draft.sentences for one in sentence.sources]
    looked_up = st.session_state.get(_FOUND + draft.id, ())
    posts = lookup.posts_by_id(visit, (*sources, *looked_up))
    offered = {one: posts[one] for one in posts if posts[one].kind is Kind.NOTICE}
    return [one for one in dict.fromkeys(sources) if one in offered], offered


def _notice_name(visit: Visit, notice: Post) -> str:
    """A notice in one line; options of a multiselect are shown as plain text."""
    who = notice.author.name or ""
    return f"{who} {stamp(notice.created_at, visit.now)} {notice.text[:24]}"


if __name__ == "__main__":
    room(render)
