"""A board described in a small TOML: where its list is, what an entry looks like, how dates read.

Selectors are CSS as parsel reads it (`a::attr(href)`, `span::text`), or XPath when they begin with
`/` or `./`. An element gives all its visible text.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

from cssselect import SelectorError
from parsel import Selector
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from crawler.page_text import element_text, tidy
from crawler.values import CHINA, parse_time
from huiyin.errors import InputError, LayoutChanged, unreadable

SHIPPED = Path(__file__).with_name("selectors")
_MEND = "参照 docs/collecting-sites.md 修改页面说明文件"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*")
    @classmethod
    def _selectors(cls, value: Any, info: Any) -> Any:
        names = value if isinstance(value, tuple) else (value,)
        if info.field_name not in _PLAIN:
            for one in names:
                if isinstance(one, str) and one:
                    check_selector(one)
        return value


_PLAIN = frozenset({
    "url", "pages", "first_page", "most_pages", "formats", "name", "platform", "kind", "unit",
    "id", "encoding", "answer_days", "inline",
})  # fmt: skip


class ListPart(_Part):
    """The list, newest first."""

    url: str
    """Address of the first page."""
    item: str
    """One entry."""
    link: str = "a::attr(href)"
    title: str = "a"
    date: str = ""
    empty: str = ""
    """What the page shows when the list is really empty."""
    next: str = ""
    """Link to the next page; or `pages`."""
    pages: str = ""
    """Address of page n: `https://.../list_{page}.html`"""
    first_page: int = 1
    """Number of the first page in `pages`; it is always read at `url`."""
    most_pages: int = Field(default=20, ge=1, le=500)
    """Pages of one visit; what lies deeper becomes a visible gap."""
    inline: bool = False
    """The entries are whole: there are no pages of their own, `[detail]` is looked up inside."""


class DetailPart(_Part):
    """The page of an entry."""

    title: str = ""
    text: str
    """The question of a board; the text of a notice."""
    date: str = ""
    author: str = ""
    """Only hashed; best left out."""
    answer: str = ""
    answer_date: str = ""
    answer_unit: str = ""
    attachments: str = ""
    """Links to PDF and docx files whose text is read as well."""


class DatesPart(_Part):
    formats: tuple[str, ...] = ()
    """strptime forms that are tried first; the usual ones are known."""


class Layout(_Part):
    """One board or one list of notices."""

    name: str
    platform: str = "web"
    """Before the colon of every id."""
    kind: Literal["message", "notice"] = "message"
    unit: str = ""
    """Who answers or publishes when the page does not say."""
    id: str = ""
    """Regular expression with one group that finds an entry's number in its address."""
    answer_days: int = Field(default=60, ge=0, le=400)
    """Entries without an answer are looked at again for so long."""
    list: ListPart
    detail: DetailPart
    dates: DatesPart = DatesPart()

    @field_validator("platform")
    @classmethod
    def _platform(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", value):
            raise ValueError("platform 只能用小写字母、数字和连字符")
        return value

    @field_validator("id")
    @classmethod
    def _id(cls, value: str) -> str:
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"id 不是正则表达式：{error}") from error
        if value and groups != 1:
            raise ValueError("id 里要有且只有一个括号")
        return value


def check_selector(selector: str) -> None:
    """Raise `ValueError` for a selector that cannot be read."""
    try:
        select(Selector("<a></a>"), selector)
    except (SelectorError, ValueError) as error:
        raise ValueError(f"选择器“{selector[:60]}”写得不对") from error


def check_layout_name(name: str) -> None:
    """Raise `InputError` for what cannot be the name of a layout file."""
    if not re.fullmatch(r"[\w-]{1,60}", name):
        raise InputError("页面说明文件的名称只用字母、数字、汉字和连字符",
                         "只写名称，不带路径和 .toml")  # fmt: skip


def load_layout(name: str, folder: Path) -> Layout:
    """The layout of this name: the office's own, else a shipped one. Raises `InputError`."""
    check_layout_name(name)
    for place in (folder, SHIPPED):
        file = place / f"{name}.toml"
        if file.is_file():
            return read_layout(file.read_text(encoding="utf-8-sig"), str(file))
    raise InputError(
        f"没有页面说明文件 {name}.toml", f"放进 {folder}，或先运行 huiyin source learn 网址"
    )


def read_layout(text: str, file: str = "") -> Layout:
    """A layout from its TOML. Raises `InputError` that names what is wrong."""
    try:
        return Layout.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"页面说明文件读不出来：{unreadable(error)}", _MEND, file=file or None
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise InputError(
            f"页面说明文件的 {where} 有误：{what}", _MEND, file=file or None
        ) from error


# ---------------------------------------------------------------- reading pages


@dataclass(frozen=True)
class Entry:
    """One entry of a list."""

    url: str
    title: str
    date: str
    node: Selector
    """For entries that are whole."""


@dataclass(frozen=True)
class ListPage:
    entries: tuple[Entry, ...]
    following: str
    """Address of the next page, "" = the last one."""


@dataclass(frozen=True)
class Detail:
    """What the page of an entry says."""

    title: str
    text: str
    date: str
    author: str
    answer: str
    answer_date: str
    answer_unit: str
    attachments: tuple[tuple[str, str], ...] = ()
    """(address, name)"""
    pictures: int = 0


def select(node: Selector, selector: str) -> list[Selector]:
    """All that a selector finds."""
    if selector.startswith(("/", "./", "(")):
        return list(node.xpath(selector))
    return list(node.css(selector))


def words(node: Selector, selector: str) -> str:
    """The visible text of what a selector finds first that has any."""
    if not selector:
        return ""
    for found in select(node, selector):
        root = found.root
        text = tidy(root) if isinstance(root, str) else element_text(root)
        if text:
            return text
    return ""


def read_list(html: str, url: str, layout: Layout, number: int = 1) -> ListPage:
    """The entries of a page. Raises `LayoutChanged` when none is where the layout says."""
    page, told = Selector(html), layout.list
    nodes = select(page, told.item)
    if not nodes:
        if told.empty and words(page, told.empty):
            return ListPage((), "")
        raise LayoutChanged(
            "列表页里找不到条目，页面可能改版了", "重新运行 huiyin source learn，更新页面说明文件"
        )
    entries = tuple(_entries(nodes, url, layout))
    if not entries:
        raise LayoutChanged(
            "列表页的条目里找不到链接或标题，页面可能改版了",
            "重新运行 huiyin source learn，更新页面说明文件",
        )
    return ListPage(entries, _following(page, url, told, number))


def _entries(nodes: list[Selector], url: str, layout: Layout) -> Iterator[Entry]:
    told = layout.list
    for node in nodes:
        title, date = words(node, told.title), words(node, told.date)
        if told.inline:
            yield Entry("", title, date, node)
            continue
        link = next((str(one.root).strip() for one in select(node, told.link)), "")
        address = urljoin(url, link)
        if link and address.startswith(("http://", "https://")):
            yield Entry(address, title, date, node)


def _following(page: Selector, url: str, told: ListPart, number: int) -> str:
    if told.pages:
        return told.pages.replace("{page}", str(told.first_page + number))
    if not told.next:
        return ""
    link = next((str(one.root).strip() for one in select(page, told.next)), "")
    address = urljoin(url, link) if link and not link.startswith(("#", "javascript:")) else ""
    same = urlsplit(address).hostname == urlsplit(url).hostname
    return address if same and address.partition("#")[0] != url.partition("#")[0] else ""


def read_detail(page: Selector, url: str, layout: Layout) -> Detail:
    """What an entry's page (or an entry that is whole) says; an empty `text` = not understood."""
    told = layout.detail
    found = select(page, told.text)
    pictures = sum(len(one.css("img")) for one in found[:1] if not isinstance(one.root, str))
    return Detail(
        title=words(page, told.title), text=words(page, told.text), date=words(page, told.date),
        author=words(page, told.author), answer=words(page, told.answer),
        answer_date=words(page, told.answer_date), answer_unit=words(page, told.answer_unit),
        attachments=tuple(_attachments(page, url, told.attachments)), pictures=pictures,
    )  # fmt: skip


def _attachments(page: Selector, url: str, selector: str) -> Iterator[tuple[str, str]]:
    if not selector:
        return
    seen = set()
    for link in select(page, selector):
        root = link.root
        href = root if isinstance(root, str) else root.get("href", "")
        address = urljoin(url, href.strip())
        if address.startswith(("http://", "https://")) and address not in seen:
            seen.add(address)
            name = "" if isinstance(root, str) else element_text(root)
            yield address, name or urlsplit(address).path.rpartition("/")[2]


# ---------------------------------------------------------------- dates

_DATE = re.compile(
    r"\d{4}\s*[-/.年]\s*\d{1,2}\s*[-/.月]\s*\d{1,2}\s*[日号]?(?:[T\s]*\d{1,2}\s*[:：时]\s*\d{1,2}"
    r"(?:\s*[:：分]\s*\d{1,2})?)?|(?:今天|昨天|前天)\s*\d{1,2}[:：]\d{1,2}|刚刚|"
    r"(?:\d+|半)\s*(?:秒|分钟|分|小时|天|周)钟?[之以]?前|"
    r"\d{1,2}\s*[-/月]\s*\d{1,2}\s*[日号]?(?:\s*\d{1,2}[:：]\d{1,2})?"
)
_DAY_ALONE = re.compile(r"(今天|昨天|前天)(?!\s*\d)")


def find_date(text: str, layout: Layout | None, now: datetime) -> datetime | None:
    """The first date in a piece of text (发布时间：2026-11-22 来源：…); None when there is none."""
    text = text.strip()
    for form in layout.dates.formats if layout else ():
        try:
            found = datetime.strptime(text, form)  # noqa: DTZ007
        except ValueError:
            continue
        return found if found.tzinfo else found.replace(tzinfo=CHINA)
    text = _DAY_ALONE.sub(r"\1 00:00", text)
    for match in _DATE.finditer(text):
        try:
            return parse_time(match[0], now)[0]
        except ValueError:
            continue
    return None
