"""What staff add themselves: a link, a text, or what somebody said on the phone."""

from __future__ import annotations

import re
from datetime import datetime

from crawler.accounts import AccountBook
from crawler.build import Builder
from crawler.page_text import public_url
from crawler.payloads import post_url
from crawler.privacy import Identity, masked
from crawler.values import bid_to_mid
from huiyin.errors import InputError
from huiyin.records import Kind, Post

HOWS = {"phone": "电话", "text": "文字", "letter": "来信", "visit": "来访", "link": "链接"}
"""How it reached the office -> in Chinese."""
LONGEST = 20_000
_WEIBO = re.compile(
    r"https?://(?:www\.|m\.)?weibo\.(?:com|cn)/(?:(?:u/)?\d{5,}|status|detail)/([0-9A-Za-z]{6,20})"
)


def post_by_hand(
    *, text: str, how: str, link: str = "", title: str = "", said_at: datetime | None = None,
    office: str, by: str, identity: Identity, accounts: AccountBook, now: datetime,
) -> Post:  # fmt: skip
    """The masked post of what was added. Raises `InputError`.

    `by`: id of the person who adds it, kept as the query of its source. The same words added twice
    on one day are one post.
    """
    text, link = text.strip(), link.strip()
    if how not in HOWS:
        raise InputError(f"来自何处应为 {'、'.join(HOWS)} 之一", "改正")
    if not text:
        mend = "把正文也贴上：回音不替您打开网页" if link else "写下内容"
        raise InputError("没有内容", mend)
    if len(text) > LONGEST:
        raise InputError(f"内容超过 {LONGEST} 字", "分成几条，或用导入")
    address = public_url(link) if link else ""
    if link and not address:
        raise InputError("链接的写法不对", "以 http:// 或 https:// 开头")
    if said_at is not None and said_at > now:
        raise InputError("时间在将来", "改正时间")
    build = Builder(
        identity=identity, accounts=accounts, office=office, spider="by_hand", at=now, now=now,
        always=True,
    )  # fmt: skip
    number = _weibo(link)
    key = address or f"{how}\n{text}\n{now:%Y-%m-%d}"
    return build.post(
        platform="weibo" if number else "hand",
        native=number or "h" + identity.author_key("hand", key)[1:],
        text=text, title=title.strip() or None,
        url=post_url(number) if number else address or None,
        created_at=build.time(said_at or now, number or None),
        kind=Kind.POST if how == "link" else Kind.MESSAGE,
        query=masked(by),
    )  # fmt: skip


def _weibo(link: str) -> str:
    found = _WEIBO.match(link)
    if not found:
        return ""
    if found[1].isdigit():
        return found[1]
    try:
        return bid_to_mid(found[1])
    except ValueError:
        return ""
