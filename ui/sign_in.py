"""Signing in, and replacing the one-time password."""

from __future__ import annotations

import streamlit as st

from huiyin.app import App
from huiyin.errors import HuiyinError
from huiyin.people import MIN_PASSWORD, Session
from ui import session as sessions
from ui.markup import div, show, span, tag
from ui.parts import note
from ui.words import t


def sign_in(app: App) -> None:
    """The sign-in form; on success the page asked for follows."""
    _, middle, _ = st.columns([1, 1.1, 1])
    with middle:
        show(div(tag("b", "回音"), span(f"{app.settings.office.name} · 听见、看见、答复"),
                 cls="hy-gate"))  # fmt: skip
        if reason := sessions.why_ended():
            show(note("info", reason))
        with st.form("sign-in"):
            name = st.text_input(t("登录名"), key="sign-in-name", autocomplete="username")
            password = st.text_input(
                t("密码"), type="password", key="sign-in-password", autocomplete="current-password"
            )
            sent = st.form_submit_button(t("登录"), type="primary", width="stretch")
        if sent:
            _try(app, name.strip(), password)
        show(div("第一次登录用管理员给的一次性密码，登录后会请您换成自己的。"
                 "没有账号请管理员运行 huiyin user add。", cls="hy-muted"))  # fmt: skip


def _try(app: App, name: str, password: str) -> None:
    if not name or not password:
        show(note("warn", "请填写登录名和密码"))
        return
    try:
        session = app.people.sign_in(name, password)
    except HuiyinError as error:
        show(note("bad", str(error)))
        return
    sessions.begin(session)
    st.rerun()


def change_password(app: App, session: Session, *, forced: bool) -> None:
    """The form for a new password; `forced` when the present one is the one-time password."""
    if forced:
        _, middle, _ = st.columns([1, 1.1, 1])
        with middle:
            show(div(tag("b", t("设置新密码")), span(session.person.name), cls="hy-head"))
            show(note("info", f"一次性密码只能用来换密码。新密码至少 {MIN_PASSWORD} 个字符。"))
            _password_form(app, session)
            if st.button(t("退出登录"), key="sign-out-early"):
                sessions.sign_out()
                st.rerun()
    else:
        _password_form(app, session)


def _password_form(app: App, session: Session) -> None:
    with st.form("change-password", border=False):
        old = st.text_input(t("当前密码"), type="password", key="password-old")
        new = st.text_input(
            t("新密码"), type="password", key="password-new", autocomplete="new-password"
        )
        again = st.text_input(
            t("再输一次新密码"), type="password", key="password-again", autocomplete="new-password"
        )
        sent = st.form_submit_button(t("修改密码"), type="primary", width="stretch")
    if not sent:
        return
    if new != again:
        show(note("warn", "两次输入的新密码不一样，请重新输入"))
        return
    try:
        changed = app.people.change_password(session, old, new)
    except HuiyinError as error:
        show(note("bad", str(error)))
        return
    sessions.begin(changed)
    sessions.flash("good", "密码已更改")
    st.rerun()
