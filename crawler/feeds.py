"""RSS, Atom and JSON Feed as items; nothing here touches the network or the archive.

RSS and Atom are read by feedparser; JSON Feed (jsonfeed.org, 1.0 and 1.1) is plain JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from crawler.bombs import check_xml
from crawler.page_text import decode, html_text, pictures_in
from crawler.values import CHINA, bid_to_mid, parse_time
from crawler.wrong_pages import wrong_page
from huiyin.errors import CollectError, LayoutChanged

_DECLARATION = re.compile(r"\A\s*<\?xml[^>]{0,300}\?>")
_ENDS = ("</rss>", "</feed>", "</rdf:rdf>", "</channel>")
_WEIBO_STATUS = re.compile(
    r"(?:https?:)?//(?:www\.|m\.)?weibo\.(?:com|cn)/(?:\d{5,}|status|detail)/([0-9A-Za-z]{6,20})"
)
_ODD = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
_NO_ZONE = re.compile(r"\d:\d\d(?::\d\d)?\s*\Z")


@dataclass(frozen=True)
class FeedItem:
    """One item as the feed gives it."""

    key: str
    """What makes it the same item the next time: id, else link, else its words."""
    title: str
    text: str
    link: str
    time: str
    """As written; empty when it has none."""
    author: str = ""
    pictures: int = 0
    videos: int = 0
    weibo: str = ""
    """Number of the Weibo post that it is."""


@dataclass(frozen=True)
class Feed:
    title: str
    items: tuple[FeedItem, ...]
    whole: bool = True
    """False: the answer breaks off; what came before is there."""
    bad: int = 0
    """Items that were not understood."""


def read_feed(body: bytes, content_type: str = "") -> Feed:
    """Items of a feed. Raises `CollectError`; `LayoutChanged` for what is no feed at all."""
    text = decode(body, content_type).lstrip("\ufeff \t\r\n")
    if not text:
        raise CollectError("订阅源的回答是空的", "会自动再读")
    if text.startswith("{"):
        return _json_feed(text)
    beginning = text[:2000].lower()
    if "<html" in beginning or "<!doctype html" in beginning:
        raise wrong_page(text) or LayoutChanged(
            "这个网址给的是网页，不是订阅源", "检查订阅源的网址是否换了"
        )
    check_xml(text)
    return _xml_feed(text)


# ---------------------------------------------------------------- RSS and Atom


def _xml_feed(text: str) -> Feed:
    import feedparser  # type: ignore[import-untyped]

    head = '<?xml version="1.0" encoding="utf-8"?>'
    again = head + _DECLARATION.sub("", text)
    parsed = feedparser.parse(
        again.encode("utf-8", "replace"),
        response_headers={"content-type": "application/xml; charset=utf-8"},
    )
    if not parsed.version and not parsed.entries:
        raise LayoutChanged("这个网址给的不是订阅源", "检查订阅源的网址是否换了")
    whole = text[-400:].rstrip().lower().endswith(_ENDS)
    items, bad = _understood(_entry, parsed.entries)
    return Feed(html_text(str(parsed.feed.get("title", ""))), items, whole, bad)


def _understood(
    make: Callable[[Any], FeedItem], told: Iterable[Any]
) -> tuple[tuple[FeedItem, ...], int]:
    """The items, and how many were not understood: an odd one stops no other."""
    items, bad = [], 0
    for one in told:
        try:
            items.append(make(one))
        except _ODD:
            bad += 1
    return tuple(items), bad


def _entry(entry: Mapping[str, Any]) -> FeedItem:
    contents = [str(one.get("value", "")) for one in entry.get("content") or ()]
    source = max([*contents, str(entry.get("summary") or "")], key=len)
    title = html_text(str(entry.get("title") or ""))
    link = str(entry.get("link") or "")
    files = [str(one.get("type", "")) for one in entry.get("enclosures") or ()]
    time = str(entry.get("published") or entry.get("updated") or entry.get("created") or "")
    return _item(
        key=str(entry.get("id") or ""), title=title, source=source, link=link, time=time,
        author=str(entry.get("author") or ""), files=files,
    )  # fmt: skip


def _item(
    *, key: str, title: str, source: str, link: str, time: str, author: str, files: list[str]
) -> FeedItem:
    text = html_text(source)
    pictures = pictures_in(source) or sum(one.startswith("image/") for one in files)
    found = _WEIBO_STATUS.match(key) or _WEIBO_STATUS.match(link)
    return FeedItem(
        key=key or link or f"{title}\n{time}\n{text}",
        title=title, text=text, link=link, time=time.strip(), author=author.strip(),
        pictures=pictures, videos=sum(one.startswith("video/") for one in files)
        + len(re.findall(r"<video\b", source, re.IGNORECASE)),
        weibo=_weibo(found[1]) if found else "",
    )  # fmt: skip


def _weibo(number: str) -> str:
    if number.isdigit():
        return number
    try:
        return bid_to_mid(number)
    except ValueError:
        return ""


# ---------------------------------------------------------------- JSON Feed


def _json_feed(text: str) -> Feed:
    try:
        told = json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        raise CollectError("订阅源的 JSON 不完整", "会自动再读") from error
    items = told.get("items") if isinstance(told, dict) else None
    if not isinstance(items, list):
        raise LayoutChanged("这个网址给的 JSON 不是订阅源", "检查订阅源的网址是否换了")
    found, bad = _understood(_json_item, items)
    return Feed(_words(told, "title"), found, bad=bad)


def _json_item(item: Mapping[str, Any]) -> FeedItem:
    authors = _parts(item.get("authors")) or _parts(item.get("author"))
    source = _words(item, "content_html")
    if not source:
        plain = _words(item, "content_text", "summary")
        source = plain.replace("&", "&amp;").replace("<", "&lt;")
    return _item(
        key=_words(item, "id"), title=_words(item, "title"), source=source,
        link=_words(item, "url", "external_url"),
        time=_words(item, "date_published", "date_modified"),
        author=_words(authors[0], "name") if authors else "",
        files=[_words(one, "mime_type") for one in _parts(item.get("attachments"))],
    )  # fmt: skip


def _parts(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list that may be one object, or nonsense."""
    listed = value if isinstance(value, list) else [value]
    return [one for one in listed if isinstance(one, dict)]


def _words(item: Mapping[str, Any], *names: str) -> str:
    """The first of these that is text or a number; half characters would not be stored."""
    for name in names:
        value = item.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            return str(value).encode("utf-8", "replace").decode()
    return ""


# ---------------------------------------------------------------- times


def feed_time(text: str, now: datetime) -> datetime | str:
    """The time of an item; without a zone it is Chinese time, as no other would be meant.

    Returns text when it is not in the form of mail, for `Builder.time` to read.
    """
    if re.match(r"(?:[A-Za-z]{3,9},?\s+)?\d{1,2} [A-Za-z]{3,9} \d{2,4}", text):
        try:
            found = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return text
        if found.tzinfo is None or (_NO_ZONE.search(text) and not found.utcoffset()):
            found = found.replace(tzinfo=CHINA)
        return found
    return parse_time(text, now)[0]
