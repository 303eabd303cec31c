"""The category of a post as a reviewer sets it; each setting teaches the next fitting."""

from __future__ import annotations

import streamlit as st

from huiyin.errors import NotFound
from huiyin.records import PERSON, Post, Role
from nlp.categories import choices
from nlp.categories.paths import Path, joined
from ui import lookup
from ui.markup import div, show
from ui.parts import person_name
from ui.session import Visit, act
from ui.when import when
from ui.words import t


def category_form(visit: Visit, post: Post) -> None:
    """For reviewers: set the category of an analysed post, or confirm what the machine said."""
    if post.analysis is None or post.deleted_at is not None:
        return
    stored = visit.app.corrections.of(post.id, visit.scope)
    if stored is not None and stored.record.acts:
        last = stored.record.acts[-1]
        who = person_name(last.actor, lookup.staff_names(visit))
        was = joined(stored.record.was)
        show(div(f"类别由 {who} 于 {when(last.at, visit.now)} 改定；机器原判：{was}",
                 cls="hy-muted"))  # fmt: skip
    if not visit.may(Role.REVIEWER):
        return
    version = stored.version if stored else 0
    known = choices(visit.app.category_versions)
    now_path = post.analysis.category.path
    options = known if now_path in known else [now_path, *known]
    key = f"category-{post.id}-{version}"

    def save(now: Visit) -> None:
        chosen = st.session_state.get(key)
        if not isinstance(chosen, tuple):
            raise NotFound("没有选类别", "请选一个类别")
        now.app.corrections.correct(post.id, chosen, now.actor, version, known=known)

    title = "改类别" if post.analysis.category.by == PERSON else "类别不对？改正，或确认它是对的"
    with st.expander(t(title)), st.form(f"category-{post.id}", border=False):
        st.selectbox(t("类别"), options, index=options.index(now_path), key=key,
                     format_func=_shown)  # fmt: skip
        show(div("改正和确认都会用来改进分类；只记下类别和帖子编号。", cls="hy-muted"))
        st.form_submit_button(t("保存类别"), on_click=act, args=(save, "类别已改定"))


def _shown(path: Path) -> str:
    return joined(path) if path else "无（不属于任何一类）"
