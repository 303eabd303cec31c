"""审核: the second person; approves exactly the text on the page, or returns it with a reason."""

from __future__ import annotations

import streamlit as st

from archive.base import Stored
from huiyin.records import Case, Draft, DraftState, Role
from ui import lookup, reply
from ui.markup import div, show
from ui.parts import empty, head, heading, note, row
from ui.session import Visit, act
from ui.shell import room
from ui.words import t

GROUPS: dict[str, DraftState] = {
    "待审核": DraftState.SUBMITTED,
    "待发出": DraftState.APPROVED,
    "已发出": DraftState.PUBLISHED,
}


def render(visit: Visit) -> None:
    """What waits for review, or the draft that the address names."""
    wanted = lookup.chosen()
    if wanted:
        _detail(visit, wanted)
    else:
        _list(visit)


def _list(visit: Visit) -> None:
    head("审核", "每份答复由两个人负责：提交的人，和另一位审核的人")
    group = st.segmented_control(
        t("状态"), list(GROUPS), default="待审核", key="review-group", label_visibility="collapsed"
    )
    archive = visit.app.archive
    stored = archive.records(
        Draft, visit.scope, state=GROUPS[group or "待审核"].value, limit=200, newest_first=True
    )
    if not stored:
        empty("这里没有答复", "拟稿员提交之后会出现在“待审核”。")
        return
    names = lookup.account_names(visit)
    for one in stored:
        draft = one.record
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
        empty("找不到这份答复", "它不存在，或不在您负责的账号范围内。")
        return
    draft = stored.record
    case = visit.app.archive.get(Case, draft.case, visit.scope)
    head("审核", f"编号 {draft.id}")
    show(row(reply.state_badge(draft)))
    left, right = st.columns([5, 4])
    with left:
        reply.question(visit, draft, case.record if case else None)
        heading("答复正文（通过的就是这些字）")
        if draft.state in (DraftState.APPROVED, DraftState.PUBLISHED):
            reply.approved_box(visit, stored)
        else:
            reply.exact_text(draft)
            _decide(visit, stored)
    with right:
        reply.evidence(visit, draft)
        reply.style_notes(draft)
        reply.history(visit, draft)


def _decide(visit: Visit, stored: Stored[Draft]) -> None:
    draft = stored.record
    if draft.state is not DraftState.SUBMITTED:
        show(note("info", "还没有提交审核。"))
        return
    if not visit.may(Role.REVIEWER):
        show(div("由审核员通过或退回。", cls="hy-muted"))
        return
    if draft.submitted_by == visit.actor.id:
        show(note("warn", "这份答复是您提交的，不能由您自己审核。请另一位审核员来看；"
                          "每份答复须有两个人负责。"))  # fmt: skip
        return
    unsupported = reply.open_facts(draft)
    if unsupported:
        show(note("bad", f"有 {unsupported} 处【待核实】，不能通过。请退回并写明要核实什么。"))
    _verdict(stored, may_approve=not unsupported)


def _verdict(stored: Stored[Draft], *, may_approve: bool) -> None:
    draft_id, version = stored.record.id, stored.version
    key = f"return-reason-{draft_id}"

    def approve(now: Visit) -> None:
        now.app.desk.approve(draft_id, now.actor, version)

    def send_back(now: Visit) -> None:
        why = str(st.session_state.get(key, "")).strip()
        now.app.desk.return_(draft_id, now.actor, version, why)

    if may_approve:
        st.button(t("通过"), key="approve", type="primary", width="stretch", on_click=act,
                  args=(approve, "已通过。负责发布的同事现在可以取出原文"))  # fmt: skip
    with st.form("return", border=False):
        st.text_input(t("退回原因"), key=key, placeholder="写明要改哪里，拟稿员会看到")
        st.form_submit_button(t("退回"), width="stretch", on_click=act,
                              args=(send_back, "已退回给拟稿员"))  # fmt: skip


if __name__ == "__main__":
    room(render)
