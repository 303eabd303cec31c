"""Wrong pages that other tools saved: login, too frequent, captcha, a platform's error."""

from __future__ import annotations

import re
from pathlib import Path

from crawler.importers.base import Row
from crawler.privacy import masked
from huiyin.errors import FileFormatError

_PAGES = (
    (re.compile(r"passport\.weibo|登录|login|Sina Visitor System|visitor", re.IGNORECASE),
     "这是登录页，不是数据：导出工具的登录已失效", "在导出工具里重新登录后再导出"),
    (re.compile(r"频繁|too frequent|too many requests|429|414|418", re.IGNORECASE),
     "这是“访问过于频繁”的提示页，不是数据", "过些时候再导出，并放慢导出工具"),
    (re.compile(r"验证码|captcha|滑动验证", re.IGNORECASE),
     "这是验证码页，不是数据", "在导出工具里完成验证后再导出"),
    (re.compile(r"40[34]|50\d|forbidden|not found|bad gateway", re.IGNORECASE),
     "这是网站的报错页，不是数据", "过些时候再导出"),
)  # fmt: skip


def web_page(text: str, path: Path) -> FileFormatError:
    """The error for a web page that was saved where data should be."""
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    shown = masked(" ".join(title[1].split())[:60]) if title else "无标题"
    order = (title[1] if title else "", text[:20_000])
    for part in order:
        for pattern, what, mend in _PAGES:
            if part and pattern.search(part):
                return FileFormatError(f"{what}（页面标题：{shown}）", mend, file=str(path))
    return FileFormatError(
        f"这是一个网页（标题：{shown}），不是数据文件", "导出为 CSV 或 JSON 再导入", file=str(path)
    )


def refusal(row: Row) -> tuple[str, str] | None:
    """What is wrong and the mend, when a JSON file holds a platform's error instead of posts."""
    code = row.get("error_code") or row.get("errno")
    if code and (row.get("error") or row.get("request")):
        return f"这是平台的报错（代码 {masked(str(code))[:12]}），不是帖子", "处理该报错后重新导出"
    if str(row.get("ok")) == "-100" or "passport" in str(row.get("url", ""))[:60]:
        return "这是要求登录的回答，不是帖子：导出工具的登录已失效", "在导出工具里重新登录后再导出"
    if str(row.get("ok")) == "0" and not row.get("data"):
        return "平台回答“没有内容或访问过于频繁”，不是帖子", "过些时候再导出"
    return None
