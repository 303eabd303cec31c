"""What people do with an incident: confirm, dismiss, set levels, rename, merge, split, move."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from huiyin.errors import InputError
from huiyin.records import Incident, IncidentState, Level, Post
from nlp.incidents import FIELDS, JUDGES, SORTERS, VALUES
from ui.markup import div, show
from ui.parts import heading
from ui.session import Visit, act
from ui.words import t

NEW = ""
"""Target of a move that makes a new incident."""
CHARS = 28
MOST_POSTS = 200


def forms(visit: Visit, incident: Incident, posts: Sequence[Post]) -> None:
    """The forms that this person may use; the functions behind them decide again."""
    if incident.state is IncidentState.MERGED or not visit.may(*SORTERS):
        return
    heading("处理")
    if visit.may(*JUDGES):
        _verdict(incident)
        _levels(incident)
    _name(incident)
    _membership(visit, incident, posts)


def _value(key: str) -> str:
    return str(st.session_state.get(key) or "")


def _button(label: str, key: str, do: Callable[[Visit], None], done: str) -> None:
    st.button(t(label), key=key, on_click=act, args=(do, done), width="stretch")


def _verdict(incident: Incident) -> None:
    name, why = incident.id, f"why-{incident.id}"

    def confirm(now: Visit) -> None:
        now.app.incident_desk.confirm(name, now.actor, _value(why))

    def dismiss(now: Visit) -> None:
        now.app.incident_desk.dismiss(name, now.actor, _value(why))

    st.text_input(t("依据或原因"), key=why, placeholder="例如：已电话问过应急局值班室")
    left, right = st.columns(2)
    with left:
        _button("确认属实", f"confirm-{name}", confirm, "已确认属实，法定时限从现在起算")
    with right:
        _button("不算事件", f"dismiss-{name}", dismiss, "已记下不算事件；同类多了，以后会少打扰")


def _levels(incident: Incident) -> None:
    name = incident.id
    with st.expander(t("设等级、降等级")):
        field = st.selectbox(
            t("设哪一项"), list(FIELDS), format_func=lambda one: FIELDS[one], key=f"field-{name}"
        )
        value, source = f"value-{name}-{field}", f"source-{name}"
        st.selectbox(t("设为"), ["", *VALUES[field]], key=value,
                     format_func=lambda one: one or "不设")  # fmt: skip
        st.text_input(t("官方出处"), key=source, placeholder="哪个部门、哪份通报")

        def save(now: Visit) -> None:
            now.app.incident_desk.set_level(
                name, field, _value(value) or None, _value(source), now.actor
            )

        _button("保存等级", f"set-{name}", save, "已保存")
        if incident.suspected_level is None:
            return
        order = list(Level)
        lower = order[order.index(incident.suspected_level) + 1 :]
        to, because = f"lower-{name}", f"lower-why-{name}"
        st.selectbox(t("把怀疑等级降为"), ["", *(one.value for one in lower)], key=to,
                     format_func=lambda one: one or "不定级")  # fmt: skip
        st.text_input(t("降级依据"), key=because)

        def lowered(now: Visit) -> None:
            level = Level(_value(to)) if _value(to) else None
            now.app.incident_desk.lower(name, level, _value(because), now.actor)

        _button("降级", f"do-lower-{name}", lowered, "已降级；出现更重的证据时系统仍会上调")


def _name(incident: Incident) -> None:
    key = f"title-{incident.id}"

    def rename(now: Visit) -> None:
        now.app.incident_desk.rename(incident.id, _value(key), now.actor)

    with st.expander(t("改名")):
        st.text_input(t("新名称"), key=key, value=incident.title)
        _button("保存名称", f"rename-{incident.id}", rename, "已改名")


def _membership(visit: Visit, incident: Incident, posts: Sequence[Post]) -> None:
    name = incident.id
    others = {
        one.record.id: one.record.title
        for one in visit.app.archive.records(Incident, visit.scope, limit=200, newest_first=True)
        if one.record.id != name and one.record.state is not IncidentState.MERGED
    }
    into, chosen, target, why = (f"{part}-{name}" for part in ("into", "posts", "target", "reason"))

    def merge(now: Visit) -> None:
        if not _value(into):
            raise InputError("没有选事件", "选要并入的事件")
        now.app.incident_desk.merge(name, _value(into), now.actor, _value(why))

    def move(now: Visit) -> None:
        ids = [str(one) for one in st.session_state.get(chosen) or ()]
        if not ids:
            raise InputError("没有选帖子", "选要移走的帖子")
        desk = now.app.incident_desk
        if _value(target):
            desk.move(name, _value(target), ids, now.actor, _value(why))
        else:
            desk.split(name, ids, now.actor, why=_value(why))

    with st.expander(t("合并、拆分、移动帖子")):
        st.text_input(t("为什么"), key=why)
        st.selectbox(t("整个并入"), ["", *others], key=into,
                     format_func=lambda one: others.get(one, "（选一个事件）"))  # fmt: skip
        _button("并入", f"merge-{name}", merge, "已并入，预警和以后的帖子都跟过去")
        texts = {one.id: " ".join(one.text.split())[:CHARS] for one in posts[:MOST_POSTS]}
        st.multiselect(t("要移走的帖子"), list(texts), key=chosen,
                       format_func=lambda one: texts.get(one, one))  # fmt: skip
        st.selectbox(t("移到"), [NEW, *others], key=target,
                     format_func=lambda one: others.get(one, "（拆成新事件）"))  # fmt: skip
        _button("移动", f"move-{name}", move, "已移动")
        show(div("历史都留着；以后像它们的帖子也归到新的地方。", cls="hy-muted"))
