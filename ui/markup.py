"""HTML that cannot carry anybody else's HTML: every string is escaped, only `Markup` is not.

`Markup` comes from `tag` and `join` alone, so a post's text can reach the page only as text. The
browser's sanitizer (DOMPurify in `st.html`) is the second lock, not the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from urllib.parse import urlsplit

import streamlit as st

PLATFORM_HOSTS: dict[str, tuple[str, ...]] = {
    "weibo": ("weibo.com", "weibo.cn"),
    "douyin": ("douyin.com", "iesdouyin.com"),
    "kuaishou": ("kuaishou.com", "chenzhongtech.com"),
    "xiaohongshu": ("xiaohongshu.com", "xhslink.com"),
    "bilibili": ("bilibili.com", "b23.tv"),
    "tieba": ("tieba.baidu.com",),
    "zhihu": ("zhihu.com",),
}
"""Hosts (and their subdomains) that a post of a platform may link to."""
LOOPBACK = ("127.0.0.1", "localhost")
"""The sample platform of `huiyin demo`."""
_VOID = frozenset({"br", "hr"})


class Markup(str):
    """HTML made by this module; never built from a stranger's string."""

    __slots__ = ()


Child = str | Markup | None | Iterable["Child"]


def join(children: Child) -> Markup:
    """Escape strings, keep `Markup`, flatten lists, drop None."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(escape(children))
    return Markup("".join(join(child) for child in children))


def tag(
    name: str, *children: Child, cls: str = "", title: str = "", style: str = "", label: str = ""
) -> Markup:
    """`<name class=... title=... style=...>children</name>`; `style` is ours, never input.

    `label`: what a picture made of elements says, for those who hear the page.
    """
    parts = [name]
    if label:
        parts.append(f'role="img" aria-label="{escape(label, quote=True)}"')
    for key, value in (("class", cls), ("title", title), ("style", style)):
        if value:
            parts.append(f'{key}="{escape(value, quote=True)}"')
    opening = f"<{' '.join(parts)}>"
    if name in _VOID:
        return Markup(opening)
    return Markup(f"{opening}{join(children)}</{name}>")


def div(
    *children: Child, cls: str = "", title: str = "", style: str = "", label: str = ""
) -> Markup:
    """A block."""
    return tag("div", *children, cls=cls, title=title, style=style, label=label)


def span(*children: Child, cls: str = "", title: str = "", style: str = "") -> Markup:
    """A run of text."""
    return tag("span", *children, cls=cls, title=title, style=style)


def picture(path: str, width: int, height: int, about: str) -> Markup:
    """A picture from our own server; `path` begins with a single slash, so it leads nowhere else.

    Raises `ValueError` for another address.
    """
    if not path.startswith("/") or path.startswith(("//", "/\\")):
        raise ValueError("not of this server")
    src, alt = escape(path, quote=True), escape(about, quote=True)
    return Markup(f'<img src="{src}" width="{width}" height="{height}" alt="{alt}" loading="lazy">')


def platform_url(url: str | None, platform: str) -> str | None:
    """`url` when it is http(s), carries no login and leads to the platform it claims, else None."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or parts.username is not None or not host:
        return None
    known = PLATFORM_HOSTS.get(platform, ())
    ours = host in LOOPBACK or any(host == one or host.endswith(f".{one}") for one in known)
    return url if ours else None


def link(text: str, url: str | None, platform: str, *, cls: str = "hy-link") -> Markup:
    """A link to the platform in a new tab; plain text when the address is not the platform's."""
    good = platform_url(url, platform)
    if good is None:
        return span(text, cls="hy-nolink")
    href = escape(good, quote=True)
    return Markup(
        f'<a class="{cls}" href="{href}" target="_blank" rel="noopener noreferrer nofollow">'
        f"{escape(text)}</a>"
    )


def marked(text: str, spans: Iterable[tuple[int, int]], *, cls: str = "hy-hit") -> Markup:
    """`text` with the [start, end) ranges marked; ranges that overlap or lie outside are cut."""
    pieces: list[Child] = []
    at = 0
    for first, last in sorted(spans):
        start, end = max(first, at), min(last, len(text))
        if start < end:
            pieces += [text[at:start], tag("mark", text[start:end], cls=cls)]
            at = end
    pieces.append(text[at:])
    return join(pieces)


def show(*children: Child) -> None:
    """Put it on the page."""
    body = join(list(children))
    if body:
        st.html(body)


def plain(text: str) -> str:
    """`text` for a widget's label, where Streamlit reads markdown: every sign escaped."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-.!|~$:^" else c for c in text)
