"""The telephone number that somebody left with a case: its handler may look, with a reason.

The number is drawn in the run that opened it and nowhere kept: not in the page's state, not in a
message for the next run. The next click takes it off the screen.
"""

from __future__ import annotations

import streamlit as st

from huiyin.errors import HuiyinError
from huiyin.records import Case, CaseState, Contact, Role
from ui import lookup
from ui.markup import div, show, span, tag
from ui.parts import acts_list, heading, note, person_name
from ui.session import Visit
from ui.words import t

LONGEST = 200


def contact_part(visit: Visit, case: Case) -> bool:
    """What there is and who looked; True when it was opened now, which may change the case."""
    heading("联系方式")
    kept = visit.app.contacts.about(case.post, visit.scope)
    if kept is None:
        show(div("来件人没有留电话。要联系：在平台上回复或私信，请对方到公众留言表单留电话，"
                 "那里封存；电话里说的，用“添加”页记下并封存号码。", cls="hy-muted"))  # fmt: skip
        return False
    if kept.state != "sealed":
        show(div("电话已经销毁（办结或到期后不再保留）。", cls="hy-muted"))
        opened = False
    else:
        opened = _sealed(visit, case)
    _looks(visit, case)
    return opened


def _sealed(visit: Visit, case: Case) -> bool:
    if reason := _why_not(visit, case):
        show(div(reason, cls="hy-muted"))
        return False
    taking = "" if case.handler else "现在还没有经办人，看了就由您经办。"
    show(div(f"来件人留了电话，封存着。只有经办人能看，每看一次记一笔。{taking}", cls="hy-small"))
    with st.form(f"contact-{case.id}", clear_on_submit=True, border=False):
        why = st.text_input(t("为什么要看"), max_chars=LONGEST, placeholder="例如：回电核实地址")
        sent = st.form_submit_button(t("看电话"))
    if not sent:
        return False
    try:
        number = visit.app.contacts.open(case.id, visit.actor, why, visit.app.clock())
    except HuiyinError as error:
        show(note("bad", str(error)))
        return False
    show(note("good", div("电话：", tag("b", number)),
              div("只显示这一次，再点哪里都会收起。请不要抄进办件或草稿。")))  # fmt: skip
    return True


def _why_not(visit: Visit, case: Case) -> str:
    """Why no form is worth showing; the room behind it decides again."""
    if case.state is CaseState.CLOSED:
        return "已办结：电话不再给看，随办结销毁。"
    if not visit.may(Role.DRAFTER, Role.REVIEWER):
        return "来件人留了电话，封存着：由经办的拟稿员或审核员看。"
    if case.handler and case.handler != visit.actor.id:
        who = person_name(case.handler, lookup.staff_names(visit))
        return f"来件人留了电话，封存着：只有经办人能看，请{who}看，或先转给您。"
    return ""


def _looks(visit: Visit, case: Case) -> None:
    """Who looked, when and why; read again, so that a look of this very run is among them."""
    kept: Contact | None = visit.app.contacts.about(case.post, visit.scope)
    if kept is None or len(kept.acts) < 2:
        return
    names = lookup.staff_names(visit)
    show(div(span("谁看过：", cls="hy-muted"), acts_list(kept.acts, names, visit.now),
             cls="hy-card"))  # fmt: skip
