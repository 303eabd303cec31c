"""Pages that come instead of the one asked for: a login, a "too frequent", a captcha, an error.

Sites send them with status 200; taken for the page itself they would read as "nothing there".
"""

from __future__ import annotations

import re

from crawler.page_text import html_text
from huiyin.errors import CollectError, LoginExpired, QuotaExceeded, SourceBlocked

_TITLE = re.compile(r"<title[^>]*>(.{0,300}?)</title>", re.IGNORECASE | re.DOTALL)
_PASSWORD = re.compile(r"<input[^>]{0,300}type\s*=\s*[\"']?password", re.IGNORECASE)
_SHORT = 400
"""Characters of a page that says nothing else; every portal's page links to a login somewhere."""
_LOGIN = re.compile(r"登录|登陆|统一身份认证|log ?in|sign ?in|visitor system", re.IGNORECASE)
_BUSY = re.compile(r"访问(?:过于|太)?频繁|操作频繁|请求过多|too (?:frequent|many)", re.IGNORECASE)
_CAPTCHA = re.compile(r"验证码|滑动验证|安全验证|人机验证|captcha", re.IGNORECASE)
_ERROR = re.compile(
    r"\b40[34]\b|\b50[0234]\b|forbidden|not found|bad gateway|页面不存在|系统维护|网站维护",
    re.IGNORECASE,
)


def wrong_page(text: str) -> CollectError | None:
    """What a page is when it is plainly not the one asked for, else None."""
    found = _TITLE.search(text)
    title = found[1] if found else ""
    shown = html_text(text[:200_000])
    said = title + ("\n" + shown if len(shown) < _SHORT else "")
    if _CAPTCHA.search(said):
        return SourceBlocked("网站要求验证码，没有去解", "请网站的管理者放行，或改用导入")
    if _BUSY.search(said):
        return QuotaExceeded("网站说访问过于频繁", "过些时候会自动再读；可把间隔调长")
    if _LOGIN.search(title) or (_LOGIN.search(said) and _PASSWORD.search(text)):
        return LoginExpired("网站给的是登录页", "这个来源要登录才能看，请换成公开的网址或改用导入")
    if _ERROR.search(title) or (len(shown) < _SHORT and _ERROR.search(shown)):
        return CollectError("网站给的是报错页", "会自动再读；一直如此请检查网址")
    return None
