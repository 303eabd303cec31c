"""One way from what a source says to a `Post`: masking, author keys, offices, times."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Required, TypedDict, Unpack

from crawler.accounts import AccountBook
from crawler.privacy import Identity, mask
from crawler.values import parse_time, weibo_id_time
from huiyin.records import Author, AuthorKind, Kind, Media, Metrics, Origin, Post

_OLDEST = datetime(1995, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=2)
NAMED = frozenset({AuthorKind.GOVERNMENT, AuthorKind.MEDIA, AuthorKind.ORGANISATION})
_VERIFIED = {
    0: AuthorKind.VERIFIED, 1: AuthorKind.GOVERNMENT, 2: AuthorKind.ORGANISATION,
    3: AuthorKind.MEDIA, 4: AuthorKind.ORGANISATION, 5: AuthorKind.ORGANISATION,
    6: AuthorKind.ORGANISATION, 7: AuthorKind.ORGANISATION,
}  # fmt: skip
_NOBODY = Author()
_PLAIN_LINK = re.compile(r"https://m\.weibo\.cn/status/[0-9A-Za-z]{9}\Z")
"""The form that `payloads.post_url` makes: nine characters can hide nobody."""


def author_kind(verified: Any, verified_type: Any) -> AuthorKind:
    """Kind of an author from the platform's verification (types: open.weibo.com responses).

    -1 and the badge levels (200, 220, 400) are ordinary people. `verified` None = not said.
    """
    if verified is False:
        return AuthorKind.ORDINARY
    try:
        kind = int(verified_type)
    except (TypeError, ValueError):
        return AuthorKind.VERIFIED if verified else AuthorKind.ORDINARY
    return _VERIFIED.get(kind, AuthorKind.ORDINARY)


def clean(text: str) -> str:
    """Text without NUL, without the zero-width space posts end with, without half emoji."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.strip(" \t\r\n\u200b\ufeff\u3000")


class Said(TypedDict, total=False):
    """What a source says of a post; what it does not say is left out."""

    platform: Required[str]
    native: Required[str]
    text: Required[str]
    created_at: Required[datetime]
    kind: Kind
    title: str | None
    url: str | None
    uid: str | None
    """Of the author; this and the name are only hashed, unless the account is official or an

    organisation."""
    name: str | None
    tool_key: str | None
    """A hash that the collecting tool made of the author's number."""
    author: AuthorKind
    region: str | None
    named: Iterable[str]
    """Names in a column of mentions."""
    belongs: Iterable[str]
    """Accounts whose thread this is."""
    parent: str | None
    root: str | None
    reposts: int | None
    comments: int | None
    likes: int | None
    pictures: int
    """How many. Links are not kept: they carry the author's number, and nobody has looked at what

    they show; the post's own page stands there."""
    videos: int
    read_at: datetime | None
    query: str
    edited_at: datetime | None
    deleted_at: datetime | None


class Builder:
    """Makes posts of one source. Posts it makes are masked; nothing else may make posts here.

    `office` is the account served when a post names no known account; with `always` the post
    belongs to it also then (mentions read with that account's token). `query` is what was asked
    where a post does not say. `at` is when the source was
    read: the time of text and counts unless a row says another. `now` is first sight.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        accounts: AccountBook,
        office: str,
        spider: str,
        at: datetime,
        now: datetime,
        as_of: datetime | None = None,
        always: bool = False,
        query: str = "",
    ) -> None:
        self.identity = identity
        self.accounts = accounts
        self.office = office
        self.always = always
        self.query = query
        self.spider = spider
        self.at = at
        self.now = now
        self.as_of = as_of
        self._latest = now + _AHEAD
        self._official = accounts.by_name
        self._origins: dict[str, Origin] = {}
        self._regions: dict[str, str] = {}

    def time(self, value: Any, number: str | None = None) -> datetime:
        """The time of a post; from a Weibo `number` where `value` is missing or not exact.

        Raises `ValueError` with a sentence in Chinese.
        """
        try:
            found, exact = parse_time(value, self.as_of)
        except ValueError:
            if number is None or (from_number := weibo_id_time(number)) is None:
                raise
            return from_number
        if not exact and number is not None and (from_number := weibo_id_time(number)) is not None:
            return from_number
        if not _OLDEST <= found <= self._latest:
            raise ValueError("时间早于 1995 年或在将来")
        return found

    def read_at(self, value: Any) -> datetime:
        """When a row was read (`last_modify_ts`), else when the file was."""
        try:
            found, _ = parse_time(value, None)
        except ValueError:
            return self.at
        return found if found <= self._latest else self.at

    def origin(self, query: str) -> Origin:
        """The post's source; the query (a keyword) is masked like every other text."""
        origin = self._origins.get(query)
        if origin is None:
            origin = Origin(spider=self.spider, query=mask(query, self._official)[0])
            if len(self._origins) < 1000:
                self._origins[query] = origin
        return origin

    def _region(self, said: str) -> str:
        """A masked region; the same few come again and again."""
        region = self._regions.get(said)
        if region is None:
            region = mask(said, self._official)[0]
            if len(self._regions) < 1000:
                self._regions[said] = region
        return region

    def post(self, **said: Unpack[Said]) -> Post:
        """A masked post of what a source says."""
        text, title, mentions = self._words(said)
        url = said.get("url")
        if url and not _PLAIN_LINK.match(url):
            url = mask(url, self._official)[0]
        read_at, kind = said.get("read_at") or self.at, said.get("kind", Kind.POST)
        who, account = self._author(
            said["platform"], said.get("uid"), said.get("tool_key"), said.get("name"),
            said.get("author", AuthorKind.ORDINARY), said.get("region"),
        )  # fmt: skip
        if account is not None and kind in (Kind.POST, Kind.REPOST):
            kind = Kind.NOTICE
        belongs = (*said.get("belongs", ()), *((account,) if account else ()))
        # Full validation: measured, it costs less than model_construct (3.3 against 4.1 us a post).
        return Post(
            id=f"{said['platform']}:{said['native']}", kind=kind, text=text, title=title, url=url,
            created_at=said["created_at"], collected_at=self.now, read_at=read_at, author=who,
            offices=self._offices((*mentions, *belongs)), mentions=tuple(dict.fromkeys(mentions)),
            parent=said.get("parent"), root=said.get("root"), metrics=_metrics(said, read_at),
            media=_media(said.get("pictures", 0), said.get("videos", 0), url),
            source=self.origin(said.get("query") or self.query),
            edited_at=said.get("edited_at"), deleted_at=said.get("deleted_at"),
        )  # fmt: skip

    def _words(self, said: Said) -> tuple[str, str | None, tuple[str, ...]]:
        """Masked text and title, and the official accounts that they and a column name."""
        text, title, mentions = "", None, tuple[str, ...]()
        if said.get("deleted_at") is None:
            text, mentions = mask(clean(said["text"]), self._official)
            title = said.get("title")
        if title:
            title, also = mask(clean(title), self._official)
            mentions = (*mentions, *also)
        for one in said.get("named", ()):
            if found := self._official.get(one.strip().lstrip("@")):
                mentions = (*mentions, found)
        return text, title or None, mentions

    def _offices(self, told: Iterable[str]) -> tuple[str, ...]:
        offices = tuple(dict.fromkeys(told))
        if self.always or not offices:
            offices = tuple(dict.fromkeys((*offices, self.office)))
        return offices

    def _author(
        self, platform: str, uid: str | None, tool_key: str | None, name: str | None,
        kind: AuthorKind, region: str | None,
    ) -> tuple[Author, str | None]:  # fmt: skip
        """The author, and the account id when it is one of the office's own matrix."""
        account = self.accounts.find(platform, uid, name) if uid or name else None
        native = uid or (f"tool:{tool_key}" if tool_key else f"name:{name}" if name else "")
        if account is not None:
            kind, name = AuthorKind.GOVERNMENT, account.name
        elif not native and not region and kind is AuthorKind.ORDINARY:
            return _NOBODY, None
        key = self.identity.author_key(platform, native) if native else None
        shown = name if kind in NAMED else None
        if region:  # a column of a table may hold anything
            region = self._region(region)
        author = Author(key=key, kind=kind, region=region or None, name=shown or None)
        return author, account.id if account else None


def _metrics(said: Said, read_at: datetime) -> Metrics | None:
    reposts, comments, likes = said.get("reposts"), said.get("comments"), said.get("likes")
    if reposts is None and comments is None and likes is None:
        return None
    return Metrics(reposts=reposts, comments=comments, likes=likes, read_at=read_at)


def _media(pictures: int, videos: int, url: str | None) -> tuple[Media, ...]:
    if not pictures and not videos:
        return ()
    found: tuple[Media, ...] = ()
    if pictures:
        found = (Media(kind="picture", url=url or ""),) * min(pictures, 18)
    if videos:
        found += (Media(kind="video", url=url or ""),) * min(videos, 4)
    return found
