"""Weak labels: what a title or a short comment says outright about what its author wants.

They fill the classes for which hand labels are few (表扬, 建议, 求助, 举报). Texts that say it only
between the lines get no label, never a guess.
"""

import re

_TITLE_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "表扬",
        re.compile(r"^(感谢|表扬|点赞|致谢|衷心感谢|为.{2,16}点赞)|(好评|表示感谢|的感谢信)$"),
    ),
    ("举报", re.compile(r"举报|检举|揭发")),
    ("投诉", re.compile(r"投诉|控诉|曝光|质疑|抗议|谁来管|无人管|没人管|乱收费|不作为")),
    ("建议", re.compile(r"建议|提议|建言")),
    ("求助", re.compile(r"求助|恳求|跪求|救救|帮帮|求帮|请求帮助|恳请.{0,10}(帮助|帮忙|解决)")),
    (
        "咨询",
        re.compile(
            r"咨询|请问|询问|想问|问一下|什么时候|何时|几时|是否|能否|可否|如何|怎么办理|"
            r"有没有|多久|(吗|呢|么)[?？]?$"
        ),
    ),
)

_COMMENT_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "表扬",
        re.compile(r"辛苦(了|啦)|点赞|👍|感谢(你|您|政府|各位|所有|医护|警察|有)|谢谢(你|您|政府)"),
    ),
    ("举报", re.compile(r"(我要|实名|想)举报|举报(电话|一下|他|她|有)")),
    ("投诉", re.compile(r"(我要|想)投诉|投诉(无门|电话|一下)|没人管|不作为|踢皮球")),
    ("建议", re.compile(r"建议(?!零售)")),
    ("求助", re.compile(r"求助|求帮|救命|帮帮(我|忙)|谁能帮|急急急|求救")),
    ("咨询", re.compile(r"请问|想问|问一下|怎么办理|什么时候(能|可以|开|才)|多久能|电话是多少")),
)

_WANTS_SOMETHING = re.compile(
    r"[?？]|请|求|希望|建议|投诉|举报|反映|什么时候|何时|怎么|为什么|为啥|吗|呢|能不能|可不可以|"
    r"管管|解决|处理|没人管|急|救|电话|联系|咨询|问"
)


def intent_of_title(title: str) -> str | None:
    """Return the intent a message's title states outright, or None."""
    found = [label for label, rule in _TITLE_RULES if rule.search(title)]
    return found[0] if len(found) == 1 or found[:1] == ["表扬"] else None


def intent_of_comment(text: str) -> str | None:
    """Return the intent a short comment states outright, or None."""
    found = [label for label, rule in _COMMENT_RULES if rule.search(text)]
    return found[0] if len(found) == 1 else None


def is_chatter(text: str) -> bool:
    """Say whether nothing in the text asks for anything; then no answer is expected."""
    return _WANTS_SOMETHING.search(text) is None
