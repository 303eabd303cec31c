"""A warning about an account or a source: no incident stands behind it, so it is shown whole."""

from __future__ import annotations

import streamlit as st

from crawler.own_posts import RULE, explain
from huiyin.records import Alert, Role
from ui import words
from ui.markup import div, show
from ui.session import Visit, act
from ui.when import when
from ui.words import name_of, t

OFFICE = (Role.DRAFTER, Role.REVIEWER, Role.ON_CALL, Role.OPERATOR)


def account_alert(visit: Visit, alert: Alert) -> None:
    """What it says; an own post that nobody approved asks for a word, the others to be taken."""
    with st.container(key=f"row-{alert.id}"):
        state = name_of(words.ALERT_STATE, alert.state.value)
        show(div(div(alert.title, cls="hy-title"), div(alert.text, cls="hy-text"),
                 div(f"{state} · {when(alert.created_at, visit.now)}", cls="hy-muted"),
                 cls="hy-card"))  # fmt: skip
        if alert.rule == RULE and visit.may(*OFFICE):
            _explain(alert)
        elif visit.may(Role.ON_CALL):
            _acknowledge(alert)


def _explain(alert: Alert) -> None:
    key = f"why-{alert.id}"

    def said(now: Visit) -> None:
        why = str(st.session_state.get(key, ""))
        explain(now.app.archive, alert.id, now.actor, why, now.now)

    with st.form(f"explain-{alert.id}", border=False):
        st.text_input(t("这条内容是谁、为什么发的"), key=key, max_chars=500)
        st.form_submit_button(t("记下说明"), on_click=act,
                              args=(said, "已记下您的说明，这条提醒不再显示"))  # fmt: skip


def _acknowledge(alert: Alert) -> None:
    def taken(now: Visit) -> None:
        now.app.alerter.acknowledge(alert.id, now.actor)

    st.button(t("确认收到"), key=f"ack-{alert.id}", on_click=act,
              args=(taken, "已记下您确认收到这条预警"))  # fmt: skip
