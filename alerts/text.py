"""The words of an alert: what is known, from whom, how sure, and which clock would run.

Plain text for a phone. Words of posts are quoted as data: control characters go, and `<` `>` become
their full-width forms, so that a receiver which renders markup has nothing to render.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from huiyin.records import Alert, Incident, Level, Post

SHANGHAI = ZoneInfo("Asia/Shanghai")
QUOTED = 60
"""Characters of one quoted sentence: three of them fit a phone's screen."""
MOST_QUOTES = 3
CLOCKS = {
    Level.EXTRAORDINARY: "5 小时内发布权威信息、24 小时内举行新闻发布会",
    Level.MAJOR: "5 小时内发布权威信息、24 小时内举行新闻发布会",
}
"""国办发〔2016〕61号 and 〔2016〕80号: 特别重大、重大突发事件; anything else 48 h."""
OTHER_CLOCK = "48 小时内回应"


def plain(text: str, limit: int | None = None) -> str:
    """Post text as data: one line, no control or format characters, no angle brackets."""
    kept = "".join(
        " " if char in "\n\r\t" else char
        for char in text
        if char in "\n\r\t" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co"}
    )
    kept = " ".join(kept.replace("<", "＜").replace(">", "＞").split())
    return kept if limit is None or len(kept) <= limit else kept[: limit - 1] + "…"


def title_of(incident: Incident) -> str:
    """One line: suspected level (or danger, or that it is unknown) and the incident's title."""
    known = incident.suspected_level or ("险情" if incident.danger else "级别未知")
    return f"【{known}】{plain(incident.title, 40)}"


def text_of(
    incident: Incident, posts: Mapping[str, Post], accounts: Mapping[str, str] | None = None
) -> str:
    """The alert's body, without id and link (those belong to one message)."""
    names = [(accounts or {}).get(account, account) for account in incident.accounts]
    lines = [
        *(f"· {quote}" for quote in _known(incident, posts)),
        f"地点：{'、'.join(dict.fromkeys(place.name for place in incident.places)) or '未提到'}",
        f"声量：{incident.posts} 条帖文，独立作者 {incident.authors} 人，"
        f"{clock_time(incident.first_post_at)} 首条，{clock_time(incident.last_post_at)} 最近一条",
        f"级别：{incident.suspected_level or '所知太少，暂不判断'}（机器推测，由人核定）"
        + (
            f"；依据：{plain('；'.join(incident.level_reasons), 120)}"
            if incident.level_reasons
            else ""
        ),
        _clock_line(incident.suspected_level),
    ]
    if incident.reading_delay_seconds is not None:
        lines.insert(3, f"读到时已发出：中位数 {_duration(incident.reading_delay_seconds)}")
    if names:
        lines.append(f"涉及账号：{'、'.join(map(plain, names))}")
    return "\n".join(lines)


def section(alert: Alert, message_id: str, *, update: bool, link: str = "") -> str:
    """What one alert contributes to a message; `message_id` makes a repeat recognisable."""
    lines = [("〔级别上调〕" if update else "") + alert.title, alert.text]
    lines.extend(f"注意：{reason}" for reason in alert.reasons)
    lines.append(f"编号：{message_id}")
    if link:
        lines.append(f"查看：{link}")
    return "\n".join(lines)


def clock_time(at: datetime) -> str:
    """Month, day, hour and minute in Asia/Shanghai."""
    local = at.astimezone(SHANGHAI)
    return f"{local.month}月{local.day}日{local:%H:%M}"


def _known(incident: Incident, posts: Mapping[str, Post]) -> list[str]:
    quotes = [plain(sentence.text, QUOTED) for sentence in incident.summary]
    if not quotes:
        texts = (posts[post].text for post in incident.key_posts if post in posts)
        quotes = [f"网友称：“{plain(text, QUOTED)}”" for text in texts if text]
    return [quote for quote in dict.fromkeys(quotes) if quote][:MOST_QUOTES]


def _clock_line(level: Level | None) -> str:
    clock = CLOCKS.get(level, OTHER_CLOCK) if level else OTHER_CLOCK
    return f"时限：由人确认后才起算，若属实为{clock}（国办发〔2016〕61号、80号）；现在没有时限在走"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} 秒"
    return f"{seconds / 60:.0f} 分钟" if seconds < 5400 else f"{seconds / 3600:.1f} 小时"
