"""The frame around every page: settings of the page, sign-in, navigation, sign-out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from huiyin.app import App
from huiyin.errors import ArchiveError, HuiyinError
from huiyin.people import Session
from ui import session as sessions
from ui.markup import div, show, span, tag
from ui.parts import flashed, note
from ui.session import Visit
from ui.sign_in import change_password, sign_in
from ui.style import CSS
from ui.when import stamp, when
from ui.words import LANGUAGE, t

VIEWS = Path(__file__).with_name("views")
PAGES: tuple[tuple[str, str, str], ...] = (
    ("today", "今天", ":material/today:"),
    ("incidents", "事件", ":material/crisis_alert:"),
    ("cases", "诉求", ":material/inbox:"),
    ("drafts", "拟稿", ":material/edit_note:"),
    ("review", "审核", ":material/verified:"),
    ("add", "添加", ":material/add_comment:"),
    ("search", "检索", ":material/search:"),
    ("sources", "来源", ":material/rss_feed:"),
    ("system", "系统", ":material/monitor_heart:"),
)
"""(file and address, name, icon) in the order of the menu."""
HOME = "today"


def page_file(name: str) -> Path:
    """The script of a page, for `st.switch_page`."""
    return VIEWS / f"{name}.py"


def main() -> None:
    """Run the console once: sign-in until somebody is signed in, then the page asked for."""
    st.set_page_config(page_title="回音 Huiyin", page_icon="🔔", layout="wide")
    st.html(CSS)
    app = sessions.the_app()
    session, trouble = None, None
    try:
        session = sessions.current(app)
    except ArchiveError as error:  # nobody can be asked who this is
        trouble = error
    signed_in = session is not None and not session.person.must_change_password
    pages = [
        st.Page(page_file(name), title=t(title), icon=icon, url_path=name, default=name == HOME)
        for name, title, icon in PAGES
    ]
    # Every page is known before sign-in, so that a link from an alert still leads to its page.
    page = st.navigation(pages, position="sidebar" if signed_in else "hidden")
    waiting_note(app)
    if trouble is not None:
        show(note("bad", str(trouble)))
    elif session is None:
        sign_in(app)
    elif session.person.must_change_password:
        change_password(app, session, forced=True)
    else:
        _sidebar(session)
        sessions.keep_over_reload(session, app.clock())
        page.run()


def _sidebar(session: Session) -> None:
    person = session.person
    app = sessions.the_app()
    roles = "、".join(role.value for role in person.roles)
    with st.sidebar:
        show(
            div(
                div(app.settings.office.name), tag("b", person.name), span(f"　{roles}"),
                div(f"本次登录至 {stamp(session.expires_at, app.clock())}"),
                cls="hy-who",
            ),
        )  # fmt: skip
        if st.button(t("退出登录"), key="sign-out", width="stretch"):
            sessions.sign_out()
            st.rerun()
        with st.expander(t("修改密码")):
            change_password(app, session, forced=False)
        st.segmented_control(
            "Language", ["中文", "English"], default="中文", key=LANGUAGE,
            label_visibility="collapsed",
        )  # fmt: skip


def waiting_note(app: App) -> None:
    """A banner while posts wait on this host because the archive's servers are away."""
    waiting = app.waiting
    if waiting is None:
        return
    since = when(waiting.since, app.clock())
    show(note(
        "warn", f"档案服务器连不上：{waiting.posts:,} 条帖文存在本机，等着写入，自", since, "起。",
        "恢复后自动写入；在此之前检索和待办里看不到它们，也不能保存操作。",
        "请管理员运行 huiyin doctor。",
    ))  # fmt: skip


def room(render: Callable[[Visit], None]) -> None:
    """Run one page for the person who is signed in; a refusal is shown as what it is."""
    app = sessions.the_app()
    now = app.clock()
    try:
        session = sessions.current(app)
        if session is None:  # the page's file was run without the frame
            sign_in(app)
            return
        flashed(sessions.take_flash())
        render(Visit(app, session.actor(now), now))
    except HuiyinError as error:
        show(note("bad", str(error)))
