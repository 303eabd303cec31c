"""An invented leaders' message board and a site of notices, as HTML; imports nothing from crawler/.

Both are written in GB18030 and named gb2312, as many such sites are.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape

from tests.platforms.sites import Page, Site

CODE = "gb18030"


@dataclass
class Letter:
    number: int
    title: str
    text: str
    asked: str
    """As the board prints it."""
    answer: str = ""
    unit: str = "云渡市水务局"
    author: str = "张小明"


@dataclass
class Board:
    """`letters`: newest first. `page`: entries on a page. `old`: which layout the pages have."""

    letters: list[Letter] = field(default_factory=list)
    page: int = 5
    changed: bool = False
    site: Site = field(default_factory=Site)
    broken: set[int] = field(default_factory=set)
    login: bool = False

    def publish(self) -> None:
        """Write all pages anew."""
        pages: dict[str, Page] = {}
        last = max(1, -(-len(self.letters) // self.page))
        for number in range(1, last + 1):
            here = self.letters[(number - 1) * self.page : number * self.page]
            name = "/list.html" if number == 1 else f"/list_{number}.html"
            following = f"/list_{number + 1}.html" if number < last else ""
            pages[name] = _page(self._list(here, following))
        for one in self.letters:
            page = _page(self._letter(one))
            pages[f"/show?id={one.number}"] = (
                Page(status=500) if one.number in self.broken else page
            )
        self.site.pages = dict(pages)

    def _list(self, letters: list[Letter], following: str) -> str:
        if self.login:
            return "<title>统一身份认证登录</title><form><input type=password></form>"
        tag = "article" if self.changed else "li"
        rows = "".join(
            f'<{tag} class="row"><a href="/show?id={one.number}" title="{escape(one.title)}">'
            f'{escape(one.title)}</a> <span class="date">{one.asked}</span></{tag}>'
            for one in letters
        )
        body = f'<ul class="letters">{rows}</ul>' if letters else '<div class="no-data">暂无</div>'
        more = f'<a class="next" href="{following}">下一页</a>' if following else ""
        nav = "".join(f'<li><a href="/nav{n}">栏目导航第{n}项</a></li>' for n in range(8))
        return f'<title>云渡市领导留言板</title><ul class="nav">{nav}</ul>{body}<p>{more}</p>'

    def _letter(self, one: Letter) -> str:
        answer = (
            f'<div class="reply"><p>答复单位：<b class="unit">{one.unit}</b></p>'
            f'<p>答复时间：<b class="when">2026-11-21 09:00</b></p>'
            '<div class="label">答复内容：</div>'
            f'<div class="answer">{escape(one.answer)}</div></div>'
            if one.answer else ""
        )  # fmt: skip
        inner = "main" if self.changed else "div"
        return (
            f"<title>{escape(one.title)}-云渡市</title><h1>{escape(one.title)}</h1>"
            f'<p class="info">留言时间：<span class="asked">{one.asked}</span>'
            f" 留言人：{one.author}</p>"
            f'<div class="label">留言内容：</div><{inner} class="question{"-neu" * self.changed}">'
            f"{escape(one.text)}</{inner}>{answer}<div class=foot>版权所有 云渡市</div>"
        )


def _page(html: str) -> Page:
    head = f'<html><head><meta charset="gb2312"></head><body>{html}</body></html>'
    return Page(head.encode(CODE), "text/html; charset=gb2312")


def board_layout(site: str) -> str:
    """The layout file that describes the board."""
    return f"""
name = "云渡市领导留言板"
platform = "yundu-board"
kind = "message"
unit = "云渡市人民政府"
id = 'id=(\\d+)'
[list]
url = "{site}/list.html"
item = "ul.letters > li"
title = "a::attr(title)"
date = "span.date"
empty = "div.no-data"
next = "a.next::attr(href)"
most_pages = 6
[detail]
title = "h1"
text = "div.question"
date = "span.asked"
answer = "div.answer"
answer_unit = "b.unit"
answer_date = "b.when"
"""


def notices_site(site: Site, pdf: bytes, docx: bytes) -> str:
    """Fill `site` with three notices (a table, two attachments); returns the layout."""
    rows = "".join(
        f'<li><a href="n{n}.html">关于第{n}号停水的通知公告</a><span>2026-11-{10 + n}</span></li>'
        for n in (3, 2, 1)
    )
    table = "<table><tr><th>区域</th><th>时间</th></tr><tr><td>东城</td><td>8时</td></tr></table>"
    files = (
        '<p><a href="/a.pdf">附件1 停水表</a> <a href="/b.docx">附件2 说明</a> '
        '<a href="/bad.pdf">附件3 坏的</a></p>'
    )
    site.pages = {
        "/tz/index.html": _page(f'<title>通知公告</title><div class="list"><ul>{rows}</ul></div>'),
        **{
            f"/tz/n{n}.html": _page(
                f"<h1>关于第{n}号停水的通知公告</h1><div class=info>发布时间：2026-11-{10 + n}"
                f" 08:30 来源：水务局</div><div class=content><p>因检修停水。</p>{table}"
                f"{files if n == 3 else ''}</div>"
            )
            for n in (1, 2, 3)
        },
        "/a.pdf": Page(pdf, "application/pdf"), "/b.docx": Page(docx, "application/zip"),
        "/bad.pdf": Page(b"%PDF-1.4 broken", "application/pdf"),
    }  # fmt: skip
    return f"""
name = "云渡市人民政府"
platform = "yundu-site"
kind = "notice"
[list]
url = "{site.url}/tz/index.html"
item = "div.list li"
date = "span"
[detail]
title = "h1"
text = "div.content"
date = "div.info"
attachments = "div.content a"
"""


def pdf_with(text: str) -> bytes:
    """A small PDF that says an ASCII text."""
    stream = f"BT /F1 12 Tf 50 700 Td ({text}) Tj ET".encode()
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]  # fmt: skip
    data, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    start = len(data)
    data += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % p for p in places)
    return data + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % start


def docx_with(*paragraphs: str) -> bytes:
    """A docx file with a table after its paragraphs."""
    from docx import Document

    document = Document()
    for one in paragraphs:
        document.add_paragraph(one)
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "格一", "格二"
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def letters(count: int, now: datetime, first: int = 1) -> list[Letter]:
    """Letters number `first` .. on, newest first; every third one is answered."""
    return [
        Letter(
            n, f"反映第{n}号小区停水的问题", f"第{n}号小区停水三天了，请尽快处理。",
            (now - timedelta(days=40) + timedelta(hours=n)).strftime("%Y-%m-%d %H:%M"),
            "已安排抢修，今晚恢复供水。" if n % 3 == 0 else "",
        )
        for n in range(first + count - 1, first - 1, -1)
    ]  # fmt: skip
