"""Who is at the screen. The actor of every act comes from here, never from a form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

import streamlit as st

from huiyin.app import App, open_app
from huiyin.errors import Conflict, HuiyinError, SignInError
from huiyin.people import Session
from huiyin.records import Actor, Role, Scope
from huiyin.settings import load_settings
from ui.kept import KEEPER, PATH, cookie_name

_SESSION = "huiyin.session"
_ARCHIVE = "huiyin.archive"
_FLASH = "huiyin.flash"
_ENDED = "huiyin.ended"
_FRESH = "huiyin.fresh"


@dataclass(frozen=True)
class Visit:
    """One run of a page: the wiring, who looks, and the time that the page shows."""

    app: App
    actor: Actor
    now: datetime

    @property
    def scope(self) -> Scope:
        """What this person may see."""
        return self.actor.scope

    def may(self, *roles: Role) -> bool:
        """Whether a button is worth showing; the room behind it decides again."""
        return not self.actor.roles.isdisjoint(roles)


@st.cache_resource(show_spinner=False)
def _opened(home: str) -> App:
    """One `App` for the server process; the archive keeps one connection a thread."""
    return open_app(load_settings(Path(home) if home else None), drains=False)


def the_app() -> App:
    """The wiring of this server process, read from `HUIYIN_HOME` (or the current folder)."""
    import os

    home = os.environ.get("HUIYIN_HOME", "")
    app = _opened(home)
    if app.moved():
        _opened.clear()
        app = _opened(home)
    return app


def current(app: App) -> Session | None:
    """The session of this browser tab; None when nobody signed in or it has ended.

    A tab without one (new, or loaded again) takes that of its browser.
    """
    session = cast("Session | None", st.session_state.get(_SESSION))
    if session is None:
        session = KEEPER.find(_cookie(), app.clock())
        if session is None:
            return None
        st.session_state[_SESSION] = session
    if KEEPER.is_over(session):
        end("已在另一个网页退出登录")
        return None
    if st.session_state.setdefault(_ARCHIVE, app.archive_url) != app.archive_url:
        # versions on the screen are of the old archive and mean nothing in the new one
        end("档案刚刚换了地方，请重新登录")
        return None
    try:
        session.actor(app.clock())
    except SignInError as error:
        end(str(error))
        return None
    if not app.people.still_active(session):
        end("密码已更改或账号已停用，请重新登录")
        return None
    return session


def begin(session: Session) -> None:
    """Keep the session of somebody who has just signed in or changed the password."""
    st.session_state[_SESSION] = session
    st.session_state.pop(_ENDED, None)
    KEEPER.renew(session)
    st.session_state[_FRESH] = True


def keep_over_reload(session: Session, now: datetime) -> None:
    """After a sign-in: let the browser fetch its cookie. Nothing in a test without a browser."""
    place = st.empty()  # always there: what follows keeps its place, and open boxes stay open
    if st.session_state.pop(_FRESH, False) and len(st.context.cookies):
        ticket = KEEPER.offer(session, now)
        place.html(f'<img class="hy-said" alt="" src="{PATH}/{ticket}">')


def sign_out() -> None:
    """End the session in every tab of this browser."""
    session = cast("Session | None", st.session_state.get(_SESSION))
    if session is not None:
        KEEPER.end(session)
    end("已退出登录")


def _cookie() -> str:
    port = st.get_option("server.port")
    return str(st.context.cookies.get(cookie_name(port), ""))


def end(reason: str = "") -> None:
    """Forget the session and everything the tab held; `reason` is shown at the sign-in."""
    st.session_state.clear()
    if reason:
        st.session_state[_ENDED] = reason


def why_ended() -> str:
    """Why the last session of this tab ended, empty when it did not."""
    return str(st.session_state.get(_ENDED, ""))


def flash(kind: str, text: str) -> None:
    """Show `text` (good, warn, bad) at the top of the next run of the page."""
    st.session_state[_FLASH] = (kind, text)


def take_flash() -> tuple[str, str] | None:
    """The message of the act before, once."""
    return cast("tuple[str, str] | None", st.session_state.pop(_FLASH, None))


def act(do: Callable[[Visit], None], done: str) -> None:
    """Callback of a button: run a person's act, then the page reads the record again by id.

    Callbacks run before the page is drawn anew, with what was bound when the person saw it: an act
    names the version that was on the screen. The actor is whoever is signed in now.
    """
    app = the_app()
    now = app.clock()
    try:
        session = current(app)
        if session is None:
            return
        do(Visit(app, session.actor(now), now))
    except Conflict:
        flash("warn", "别人刚刚改过这条记录，没有写入。下面是最新内容，请看过再操作。")
    except HuiyinError as error:
        flash("bad", str(error))
    else:
        flash("good", done)
