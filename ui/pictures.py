"""Pictures come from our own server, and only to who may see their post."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from crawler.pictures.store import PictureStore, picture_id
from huiyin.clock import system_clock
from huiyin.errors import HuiyinError
from huiyin.records import Picture, Post, split_picture_text
from ui.kept import KEEPER, cookie_name
from ui.markup import Child, Markup, div, picture
from ui.parts import badge
from ui.session import Visit, the_app

PATH = "/pictures"
_HEADERS = {
    "Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'", "Cross-Origin-Resource-Policy": "same-origin",
}  # fmt: skip


def of_posts(visit: Visit, posts: Iterable[Post]) -> dict[str, Picture]:
    """The pictures of those posts that have some here."""
    found = {}
    for post in posts:
        if post.deleted_at is None and any(one.kind == "picture" for one in post.media):
            stored = visit.app.archive.get(Picture, picture_id(post.id), visit.scope)
            if stored is not None and stored.record.files:
                found[post.id] = stored.record
    return found


def shown(post: Post, record: Picture | None) -> Markup:
    """The pictures of a post; what they say stands in its text. Nothing where there are none."""
    if record is None:
        return Markup("")
    _, said = split_picture_text(post.text)
    parts: list[Child] = [
        picture(f"{PATH}/{quote(post.id, safe=':')}/{one.sha256}", one.width, one.height,
                f"图片 {n}" + ("，图中文字见正文" if said else ""))
        for n, one in enumerate(record.files, 1)
    ]  # fmt: skip
    more = badge(f"另有 {len(record.refused)} 张没有取到", "amber") if record.refused else None
    return div(parts, more, cls="hy-pictures")


def serve(request: Request) -> Response:
    """One picture, to somebody who is signed in in this browser and may see the post."""
    nothing = Response(status_code=404, headers={"Cache-Control": "no-store"})
    cookie = request.cookies.get(cookie_name(st.get_option("server.port")), "")
    session = KEEPER.find(cookie, system_clock())
    if session is None:
        return nothing
    app = the_app()
    try:
        if not app.people.still_active(session):
            return nothing
        scope = session.actor(system_clock()).scope
        post = request.path_params["post"]
        stored = app.archive.get(Picture, picture_id(post), scope)
        known = stored.record.files if stored is not None else ()
        sha = request.path_params["sha"]
        if sha not in {one.sha256 for one in known}:
            return nothing
        file = PictureStore(app.settings.path(app.settings.pictures.folder)).path(sha)
    except HuiyinError:
        return nothing
    if not file.exists():
        return nothing
    return FileResponse(file, media_type="image/webp", headers=_HEADERS)


ROUTES = (Route(f"{PATH}/{{post}}/{{sha}}", serve),)
