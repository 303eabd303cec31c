"""Pages and feeds as text: which characters the bytes mean, and what a reader would see."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from lxml import html  # type: ignore[import-untyped]
from lxml.etree import LxmlError  # type: ignore[import-untyped]

_DECLARED = re.compile(
    rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{2,30})|<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{2,30})""",
    re.IGNORECASE,
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{2,30})", re.IGNORECASE)
_ANYTHING = frozenset({"iso-8859-1", "latin1", "latin-1", "windows-1252", "us-ascii", "ascii"})
"""Said by servers that do not know; every byte is valid in them."""
_CHINESE_CODES = frozenset({"gb2312", "gbk", "gb18030", "x-gbk", "cp936", "gb_2312-80"})


def decode(body: bytes, content_type: str = "") -> str:
    """Text of a page. What its header or its first lines say about the charset is often wrong.

    Bytes that are valid UTF-8 are UTF-8: Chinese text in another code never is, by chance.
    """
    for mark, code in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
                       (codecs.BOM_UTF16_BE, "utf-16")):  # fmt: skip
        if body.startswith(mark):
            return body.decode(code, "replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(body[: error.start].translate(None, _ASCII)) > 60:
            return body.decode("utf-8", "replace")  # one broken character inside UTF-8
    for code in _said(body, content_type):
        try:
            return body.decode(code)
        except (UnicodeDecodeError, LookupError):
            continue
    return body.decode("gb18030", "replace")


_ASCII = bytes(range(128))


def _said(body: bytes, content_type: str) -> Iterator[str]:
    found = [one.lower() for one in _CHARSET.findall(content_type)]
    for pair in _DECLARED.findall(body[:4096]):
        found += [one.decode("ascii").lower() for one in pair if one]
    for code in found:
        if code in _CHINESE_CODES:
            yield "gb18030"
        elif code not in _ANYTHING:
            yield code
    yield "gb18030"
    yield "big5"


# ---------------------------------------------------------------- what a reader sees

_BLOCK = frozenset({
    "p", "div", "br", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article",
    "table", "tr", "dl", "dt", "dd", "blockquote", "pre", "hr", "figure", "header", "footer",
})  # fmt: skip
_HIDDEN = frozenset({"script", "style", "noscript", "template", "svg", "head", "iframe", "object"})
_BLANKS = re.compile(r"[ \t\u00a0\u3000\r\f\v]+")
_LINES = re.compile(r" ?\n[ \n]*")
_PERSON_PAGE = re.compile(
    r"(?:https?:)?//(?:www\.|m\.)?weibo\.(?:com|cn)/(?:u/|n/|profile/)?[^/?#]+/?(?:[?#].*)?\Z"
)


def html_text(source: str) -> str:
    """The visible text of a piece of HTML: blocks on lines of their own, table cells with bars."""
    if "<" not in source and "&" not in source:
        return tidy(source)
    try:
        root = html.fromstring(f"<div>{source}</div>", parser=html.HTMLParser(huge_tree=True))
    except (LxmlError, ValueError):
        return _without_tags(source)
    # A parser that meets too deep a nesting leaves the rest out without a word.
    return element_text(root) or _without_tags(source)


def _without_tags(source: str) -> str:
    bare = re.sub(r"(?is)<(script|style)\b.*?</\1\s*>", " ", source)
    return tidy(unescape(re.sub(r"<[^>]{0,2000}>", " ", bare)))


def element_text(root: Any) -> str:
    """The visible text of an element."""
    parts: list[str] = []
    # A stack instead of recursion: pages nest as deep as their writers like.
    todo: list[tuple[Any, bool]] = [(root, False)]
    while todo:
        element, leaving = todo.pop()
        tag = element.tag
        if leaving:
            _leave(element, tag, parts)
            if element is not root and element.tail:
                parts.append(element.tail)
            continue
        if not isinstance(tag, str) or tag in _HIDDEN:
            if element is not root and element.tail:
                parts.append(element.tail)
            continue
        if tag in _BLOCK:
            parts.append("\n")
        elif tag == "img" and element.get("alt", "").startswith("["):  # the name of an emoji
            parts.append(element.get("alt"))
        elif tag == "a" and _names_a_person(element):
            parts.append("@")
        if element.text:
            parts.append(" ".join(element.text.split("\n")) if tag != "pre" else element.text)
        todo.append((element, True))
        todo.extend((child, False) for child in reversed(element))
    return tidy("".join(parts))


def _leave(element: Any, tag: str, parts: list[str]) -> None:
    if tag in ("td", "th"):
        if element.getnext() is not None:
            parts.append(" | ")
    elif tag in _BLOCK:
        parts.append("\n")


def _names_a_person(link: Any) -> bool:
    """A link to somebody's page: its words are a name, which is hidden when it begins with @."""
    said = (link.text or "").lstrip()
    return bool(
        said and not said.startswith(("@", "＠")) and _PERSON_PAGE.match(link.get("href", ""))
    )


def tidy(text: str) -> str:
    """Text with single blanks and no empty lines."""
    return _LINES.sub("\n", _BLANKS.sub(" ", text.replace("\0", ""))).strip()


def pictures_in(source: str) -> int:
    """How many pictures a piece of HTML shows; emoji are none."""
    found = re.findall(r"<img\b[^>]{0,2000}>", source, re.IGNORECASE)
    return sum(1 for one in found if not re.search(r"alt=[\"']?\[", one))


# ---------------------------------------------------------------- addresses

_SECRET = re.compile(
    r"(?:access_?)?token|(?:api_?)?key|sign(?:ature)?|secret|session(?:id)?|jsessionid|sid|auth|"
    r"ticket|passw(?:or)?d|pwd|uid|user_?id|user|account|openid|mobile|phone|tel|id_?card|name|"
    r"email|mail|spm|from|share\w*",
    re.IGNORECASE,
)


def public_url(url: str) -> str:
    """An address as it may be kept: without what opens doors, and without what names a person."""
    try:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    query = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in query if not _SECRET.fullmatch(name)]
    path = re.sub(r";jsessionid=[^/?#]*", "", parts.path, flags=re.IGNORECASE)
    again = urlencode(kept) if len(kept) != len(query) else parts.query
    return urlunsplit((parts.scheme, f"{parts.hostname}{port}", path, again, ""))
