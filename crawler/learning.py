"""`huiyin source learn`: a proposal of a layout from one list page and one page of an entry.

No model and no table of sites. A list is the largest group of like neighbours with links and
dates; words that boards print beside their fields (留言内容, 答复单位) lead to question and answer;
else the text is the smallest element that holds most of the page's words. A person looks at what
would be stored before anything is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from parsel import Selector

from crawler.boards import _DATE, Layout, read_layout
from crawler.page_text import element_text
from huiyin.errors import LayoutChanged

_NAV = re.compile(r"nav|menu|foot|head|crumb|banner|share|copyright|friend|links?$", re.IGNORECASE)
_NEXT = re.compile(r"^\s*(?:下一页|下页|后一页|next|›|»|>)\s*$", re.IGNORECASE)
_QUESTION = re.compile(
    r"^[\s【\[]*(?:留言|来信|咨询|信件|问题|诉求|投诉|建议|写信|提问|反映)(?:的)?"
    r"(?:内容|正文|详情|描述|问题)[\s】\]]*[:：]?"
)
_ANSWER = re.compile(
    r"^[\s【\[]*(?:官方|处理|办理)?(?:答复|回复|办理|处理|反馈)(?:的)?(?:内容|结果|意见|情况|正文)"
    r"[\s】\]]*[:：]?"
)
_UNIT = re.compile(
    r"^[\s【\[]*(?:答复|回复|办理|受理|承办|处理)(?:的)?(?:单位|部门|机构|机关)[\s】\]]*[:：]?"
)
_ANSWER_DATE = re.compile(r"^[\s【\[]*(?:答复|回复|办理|办结)(?:的)?(?:时间|日期)[\s】\]]*[:：]?")
_ASKED_NAMED = re.compile(r"(?:^|[-_\s])(?:question|ask|wenti|letter|liuyan)", re.IGNORECASE)
_ANSWER_NAMED = re.compile(r"(?:^|[-_\s])(?:answer|reply|response|huifu|dafu)", re.IGNORECASE)
_ASKED = re.compile(
    r"^[\s【\[]*(?:留言|来信|写信|提交|咨询|发布|提问|信件)?(?:的)?(?:时间|日期)[\s】\]]*[:：]?"
)
_TEXT = re.compile(
    r"(?:^|[-_\s])(?:content|article|zoom|trs_?editor|ueditor|vsb_content|news_?con|txt)",
    re.IGNORECASE,
)
"""Names that the editors of official sites give to the text."""
_SAFE = re.compile(r"[A-Za-z_][\w-]{0,40}\Z")
_NUMBERED = re.compile(r"\d{2,}|^(?:on|active|cur(?:rent)?|odd|even|first|last|hover)$")
_ATTACHED = ("pdf", "docx")


@dataclass(frozen=True)
class Proposal:
    """A layout as TOML, and what it was made from."""

    toml: str
    layout: Layout
    doubts: tuple[str, ...]
    """What a person should look at, in Chinese."""


# ---------------------------------------------------------------- selectors


def _step(element: Any) -> str:
    """`tag`, `tag.class` or `tag#id`, without what counts or changes."""
    name = element.get("id", "")
    if _SAFE.match(name) and not _NUMBERED.search(name):
        return f"{element.tag}#{name}"
    for one in element.get("class", "").split():
        if _SAFE.match(one) and not _NUMBERED.search(one):
            return f"{element.tag}.{one}"
    return str(element.tag)


def _path(element: Any, root: Any) -> str:
    """A short CSS path that finds the element first (or nothing else before it)."""
    steps: list[str] = []
    node = element
    page = Selector(root=root, type="html")
    while node is not None and node is not root and node.tag not in ("html", "body"):
        steps.insert(0, _step(node))
        path = " > ".join(steps)
        found = page.css(path)
        if found and found[0].root is element:
            return path
        node = node.getparent()
    if steps and ":" not in steps[-1]:  # others before it look the same: count
        alike = [one for one in element.itersiblings(preceding=True) if one.tag == element.tag]
        steps[-1] += f":nth-of-type({len(alike) + 1})"
    return " > ".join(steps) or "body"


# ---------------------------------------------------------------- the list


def _groups(root: Any) -> Iterator[list[Any]]:
    """Neighbours that look alike and hold a link each, three or more of them."""
    for parent in root.iter():
        if not isinstance(parent.tag, str) or parent.tag in ("script", "style"):
            continue
        alike: dict[str, list[Any]] = defaultdict(list)
        for child in parent:
            if isinstance(child.tag, str) and child.tag not in ("script", "style", "br"):
                alike[child.tag].append(child)
        for members in alike.values():
            linked = [one for one in members if _main_link(one) is not None]
            if len(linked) >= 3:
                yield linked


def _main_link(element: Any) -> Any:
    """The link with the most words, the element itself included."""
    links = [one for one in element.iter("a") if one.get("href") and len(element_text(one)) >= 4]
    return max(links, key=lambda one: len(element_text(one)), default=None)


def _score(members: list[Any]) -> float:
    length = sum(min(60, len(element_text(_main_link(one)))) for one in members)
    dated = sum(1 for one in members if _DATE.search(element_text(one))) / len(members)
    node, inside_nav = members[0], False
    while node is not None:
        mark = f"{node.get('id', '')} {node.get('class', '')}"
        inside_nav = inside_nav or node.tag in ("nav", "footer") or bool(_NAV.search(mark))
        node = node.getparent()
    return length * (0.3 + dated) * (0.3 if inside_nav and dated < 0.5 else 1.0)


def _list_part(root: Any, url: str) -> tuple[dict[str, str], str, list[str]]:
    """The `[list]` part, the address of the first entry, and doubts."""
    groups = sorted(_groups(root), key=_score, reverse=True)
    if not groups:
        raise LayoutChanged("这一页上找不到列表", "换成列表页（有多条标题链接的那一页）的网址")
    members, doubts = groups[0], []
    first = members[0]
    parent = _path(first.getparent(), root)
    classes = {_step(one) for one in members}
    child = (
        next(iter(classes)) if len(classes) == 1 and "#" not in next(iter(classes)) else first.tag
    )
    part = {"url": url, "item": f"{parent} > {child}"}
    link = _main_link(first)
    inside = _path(link, first) if link is not first else "a"
    part |= {"link": f"{inside}::attr(href)", "title": inside}
    if link is first:
        part |= {"link": "./@href", "title": "./self::*"}
    elif link.get("title") and len(link.get("title")) > len(element_text(link)):
        part["title"] = f"{inside}::attr(title)"  # what is shown was cut
    date = _date_in(first)
    if date is not None:
        part["date"] = _path(date, first)
    else:
        doubts.append("列表里没有看到日期，时间取自详情页")
    following = next((one for one in root.iter("a") if _NEXT.match(element_text(one))), None)
    if following is not None and following.get("href", "").strip("#") not in ("", "javascript:;"):
        part["next"] = f'//a[normalize-space()="{element_text(following)}"]/@href'
    else:
        doubts.append("没有找到“下一页”的链接：只读第一页，要翻页请写 pages 或 next")
    return part, urljoin(url, link.get("href").strip()), doubts


def _date_in(item: Any) -> Any:
    """The smallest element of an entry that holds little more than a date."""
    best = None
    for one in item.iter():
        if isinstance(one.tag, str) and one is not item and one.tag != "a":
            text = element_text(one)
            if (
                _DATE.search(text)
                and len(text) <= 30
                and (best is None or len(text) <= len(element_text(best)))
            ):
                best = one
    return best


# ---------------------------------------------------------------- the entry


def _labelled(root: Any, label: re.Pattern[str]) -> Any:
    """The element that a label leads to: the rest of its own block, or the block after it."""
    for one in root.iter():
        if not isinstance(one.tag, str) or one.tag in ("script", "style", "title", "head"):
            continue
        own = (one.text or "").strip()
        match = label.match(own)
        if not match:
            continue
        node = one
        while node is not None and node.tag not in ("body", "html"):
            rest = label.sub("", element_text(node), count=1).strip(" :：\n|")
            if rest:
                return node
            following = node.getnext()
            if following is not None and element_text(following):
                return following
            node = node.getparent()
    return None


def _named(root: Any, names: re.Pattern[str]) -> Any:
    """The first element with words whose id or class is such a name; forms and links are none."""
    return next(
        (one for one in root.iter("div", "section", "article", "td", "dd", "p", "li")
         if names.search(f"{one.get('id', '')} {one.get('class', '')}")
         and len(element_text(one)) >= 4
         and next(one.iter("form", "textarea", "input"), None) is None),
        None,
    )  # fmt: skip


def _question_and_answer(root: Any) -> tuple[Any, Any, list[str]]:
    """The two of a board's page by the words before them, else by the names of elements."""
    question, answer = _labelled(root, _QUESTION), _labelled(root, _ANSWER)
    if question is not None or answer is not None:
        return question, answer, []
    question, answer = _named(root, _ASKED_NAMED), _named(root, _ANSWER_NAMED)
    if question is None or answer is None or question is answer:
        return None, None, []
    return (
        question,
        answer,
        ["页面上没有“留言内容”“答复内容”这样的字样，只按标签的名字认出问和答，请核对"],
    )


def _main_text(root: Any) -> Any:
    """The smallest element that holds most of the words that are no links."""

    def own(element: Any) -> int:
        linked = sum(len(element_text(one)) for one in element.iter("a"))
        return len(element_text(element)) - linked

    node = root.find("body") if root.find("body") is not None else root
    total = own(node)
    named = [one for one in node.iter() if isinstance(one.tag, str)
             and _TEXT.search(f"{one.get('id', '')} {one.get('class', '')}")
             and own(one) >= 0.25 * total]  # fmt: skip
    if named:
        return min(named, key=own)
    while True:
        inner = [one for one in node if isinstance(one.tag, str) and own(one) >= 0.6 * total]
        if not inner or inner[0].tag in ("p", "span", "br", "tbody"):
            return node
        node = inner[0]


def _detail_part(root: Any) -> tuple[dict[str, str], str, list[str]]:
    """The `[detail]` part, `message` or `notice`, and doubts."""
    part: dict[str, str] = {}
    question, answer, doubts = _question_and_answer(root)
    heading = next(
        (one for one in root.iter("h1", "h2", "h3") if len(element_text(one)) >= 4), None
    )
    if heading is not None:
        part["title"] = _path(heading, root)
    board = question is not None or answer is not None
    text = question if question is not None else _main_text(root)
    part["text"] = _path(text, root)
    if not board:
        for ending in _ATTACHED:
            if any(one.get("href", "").lower().endswith(ending) for one in root.iter("a")):
                part["attachments"] = ", ".join(f"a[href$='.{one}']" for one in _ATTACHED)
    if answer is not None:
        part["answer"] = _path(answer, root)
        for name, label in (("answer_unit", _UNIT), ("answer_date", _ANSWER_DATE)):
            found = _labelled(root, label)
            if found is not None:
                part[name] = _path(found, root)
    elif board:
        doubts.append("这一页上没有看到答复；若网站有答复，请换一个已答复的页面（--detail）再试")
    dated = _labelled(root, _ASKED)
    if dated is None:
        dated = next((one for one in root.iter() if isinstance(one.tag, str)
                      and one.tag not in ("script", "style")
                      and _DATE.search(one.text or "") and len(one.text) <= 60), None)  # fmt: skip
    if dated is not None:
        part["date"] = _path(dated, root)
    else:
        doubts.append("详情页上没有看到日期")
    return part, "message" if board else "notice", doubts


# ---------------------------------------------------------------- both together


def first_entry(html: str, url: str) -> str:
    """Address of the first entry of a list page. Raises `LayoutChanged` when there is no list."""
    return _list_part(Selector(html).root, url)[1]


def propose(html: str, url: str, detail_html: str, detail_url: str) -> Proposal:
    """A layout for a list page and the page of one of its entries."""
    part, _first, doubts = _list_part(Selector(html).root, url)
    detail, kind, more = _detail_part(Selector(detail_html).root)
    host = (urlsplit(url).hostname or "web").lower()
    platform = re.sub(r"[^a-z0-9]+", "-", host.removeprefix("www.")).strip("-")[:30] or "web"
    title = Selector(html).css("title::text").get("").strip()[:40] or host
    number = re.search(r"[?&](\w*id|tid|sn|no)=(\d{2,})", detail_url, re.IGNORECASE)
    lines = [f"name = {_quoted(title)}", f"platform = {_quoted(platform)}",
             f"kind = {_quoted(kind)}", f"unit = {_quoted(title)}"]  # fmt: skip
    if number:
        lines.append("id = " + _quoted("[?&]" + number[1] + r"=(\d+)"))
    for name, section in (("list", part), ("detail", detail)):
        lines += ["", f"[{name}]", *(f"{key} = {_quoted(said)}" for key, said in section.items())]
    toml = "\n".join(lines) + "\n"
    return Proposal(toml, read_layout(toml), (*doubts, *more))


def _quoted(text: str) -> str:
    text = re.sub(r"[\x00-\x1f\x7f]+", " ", text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
