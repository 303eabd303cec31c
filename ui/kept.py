"""A sign-in outlives a reload: the browser keeps a random number, this process keeps the session.

Streamlit draws over a WebSocket, which cannot set a cookie. So the page that follows a sign-in
holds a picture whose address names a ticket; fetching it, once and within a minute, sets the
cookie. The ticket is no key: it is worth nothing after its use, and a request that another site
caused is refused, so that nobody can be signed in as somebody else without knowing.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from huiyin.clock import system_clock
from huiyin.errors import SignInError
from huiyin.people import Session

PATH = "/signed-in"
TICKET_LASTS = timedelta(minutes=1)
MOST = 10_000
"""Sessions and tickets; more than any office has people."""


@dataclass(frozen=True)
class _Ticket:
    session: Session
    until: datetime


class Keeper:
    """Sessions by the hash of what their browser keeps. In memory: a restart signs everybody out.

    Used from the threads of all pages and from the server's loop.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._tickets: dict[str, _Ticket] = {}
        self._sessions: dict[str, Session] = {}
        self._over: dict[str, datetime] = {}

    def offer(self, session: Session, now: datetime) -> str:
        """A ticket that the browser of this session may turn into its cookie, once."""
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            self._forget(now)
            self._tickets[_digest(ticket)] = _Ticket(session, now + TICKET_LASTS)
        return ticket

    def take(self, ticket: str, now: datetime) -> tuple[str, Session] | None:
        """The value of the cookie and its session; None for a used, old or invented ticket."""
        with self._lock:
            found = self._tickets.pop(_digest(ticket), None)
            if found is None or now >= found.until or found.session.token in self._over:
                return None
            value = secrets.token_urlsafe(32)
            self._sessions[_digest(value)] = found.session
            return value, found.session

    def find(self, value: str, now: datetime) -> Session | None:
        """The session of a cookie, None when there is none or it has ended."""
        with self._lock:
            session = self._sessions.get(_digest(value)) if value else None
        if session is None:
            return None
        try:
            session.actor(now)
        except SignInError:
            return None
        return session

    def renew(self, session: Session) -> None:
        """The same sign-in with a changed person (a new password)."""
        with self._lock:
            for key, known in self._sessions.items():
                if known.token == session.token:
                    self._sessions[key] = session

    def end(self, session: Session) -> None:
        """Sign out: in every tab of the browser, and for good."""
        with self._lock:
            self._over[session.token] = session.expires_at
            mine = [key for key, one in self._sessions.items() if one.token == session.token]
            for key in mine:
                del self._sessions[key]

    def is_over(self, session: Session) -> bool:
        """True when somebody signed this session out, maybe in another tab."""
        with self._lock:
            return session.token in self._over

    def _forget(self, now: datetime) -> None:
        self._tickets = {k: one for k, one in self._tickets.items() if now < one.until}
        self._sessions = {k: one for k, one in self._sessions.items() if now < one.expires_at}
        self._over = {token: until for token, until in self._over.items() if now < until}
        for table in (self._tickets, self._sessions):
            while len(table) >= MOST:
                table.pop(next(iter(table)))


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


KEEPER = Keeper()
"""Of this process: the pages and the server's own routes both use it."""


def cookie_name(port: int | str) -> str:
    """Cookies know no ports, so that two consoles on one host need two names."""
    return f"huiyin_{port}"


def is_ours(request: Request) -> bool:
    """True when our own page caused the request, as far as browsers say."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    # browsers leave it out on plain http to another host
    return urlsplit(request.headers.get("referer", "")).netloc == request.headers.get("host")


async def keep(request: Request) -> Response:
    """Turn a ticket into the cookie."""
    from streamlit import config

    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    now = system_clock()
    taken = KEEPER.take(request.path_params["ticket"], now) if is_ours(request) else None
    if taken is None:
        return Response(status_code=403, headers=headers)
    value, session = taken
    answer = Response(status_code=204, headers=headers)
    answer.set_cookie(
        cookie_name(config.get_option("server.port")), value, httponly=True, samesite="strict",
        secure=request.url.scheme == "https", path="/",
        max_age=max(0, int((session.expires_at - now).total_seconds())),
    )  # fmt: skip
    return answer


ROUTES = (Route(f"{PATH}/{{ticket}}", keep),)
