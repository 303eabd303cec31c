"""Rumour risk of one telling, 0..1: named signs with weights, beside the level, never in it.

A telling is what several posts say alike, with what others answer. The signs are those of the
literature on posts (Castillo et al. 2011; Zubiaga et al. 2018): who says it, whether it was seen or
passed on, urging to spread, alarm, a named source, doubts in the answers. What a telling is about
(officials, foreigners, the dead) is deliberately no sign, though it would help on cascades: that a
post accuses an office does not make it a rumour. The weights of the signs
were fitted on one half of the cascades and are measured on the other (`benchmarks/rumour.py`);
those that cascades cannot show (an official denial, a debunked likeness, eyewitnesses) are set by
hand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("催人转发", r"扩散|求转|转发|转起|转给|帮转|转疯|速转|请转|传递|顶起|奔走相告|"
            r"告诉(?:身边|家人|朋友)"),
        ("转述", r"听说|据说|据传|网传|传闻|爆料|听.{1,4}说|朋友说|同事说|有人说|内部消息|消息称|"
            r"曝|疑似|疑"),
        ("自称真相", r"真相|内幕|证实|揭秘|铁证|千真万确|绝对真实|不是谣言|原来|实拍|求证|震惊|"
            r"惊天|曝光|紧急通知"),
        ("具名来源", r"[报网社台]道|记者|据.{2,10}[报网社台]|新闻|晚报|日报|早报|时报|电视台|"
            r"通报|发布会|央视|新华"),
        ("标题体", r"^\s*【"),
        ("警示口吻", r"千万别|千万不要|注意了|小心|警惕|提醒|大家要?注意|致癌|有毒|严重后果|必看|"
            r"不要再"),
        ("强烈情绪", r"[！!]{2,}|[？?]{2,}|[!！][?？]|太可怕|可耻|愤怒|无耻|畜生|震惊|心碎|泪"),
        ("有数字", r"\d{2,}|[十百千万]"),
        ("第一人称", r"我|俺|偶|咱"),
        ("日常抒情", r"生日|晚安|早安|爱情|幸福|喜欢|哈哈|可爱|嘻嘻|美好|开心|心情|好听|好看|"
            r"想念|亲们|么么"),
        ("广告活动", r"抽奖|优惠|包邮|关注|有奖|投票|首播|新歌|演唱会|粉丝|活动|分享自|分享图片"),
    )
)  # fmt: skip
"""Signs in the words of the telling itself."""
DOUBT = re.compile(
    r"谣言|辟谣|造谣|传谣|假的|假消息|假新闻|不实|真的假的|真的吗|是真的|真假|求证|求真相|忽悠|"
    r"骗人|PS|p的|"
    r"不可能|扯淡|别信|不信|误传|以讹传讹|胡说|瞎说|不是真|有图吗|出处|来源"
)
"""Words of an answer that doubts."""
SHOCK = re.compile(
    r"[！!？?]{2,}|\[怒|\[泪|\[抓狂|\[震惊|\[吃惊|\[汗|太可怕|天啊|天哪|真的|怎么会|无语|可恶|畜生"
)

WEIGHTS: Mapping[str, float] = {
    "催人转发": 1.92, "转述": -0.2, "自称真相": 1.12, "具名来源": 0.04, "标题体": -0.05,
    "警示口吻": 1.55, "强烈情绪": 0.47, "有数字": 0.44, "第一人称": -1.0, "日常抒情": -0.91,
    "广告活动": -0.75, "长度": 0.14, "未认证": 1.28, "回应质疑": 12.98, "回应惊愤": 4.91,
    "有回应": -1.82,
}  # fmt: skip
BIAS = -0.94
"""Log-odds, printed by `python -m benchmarks.rumour --fit`; from half of the cascades only."""
DENIED, DEBUNKED, WITNESSED, ONE_SOURCE = 1.2, 1.0, -0.7, 0.5
"""Log-odds set by hand: an official denial, a debunked likeness, each eyewitness, one source."""
MOST_WITNESSES = 3


@dataclass(frozen=True, slots=True)
class Telling:
    """What several posts say alike, and what is known of who says it."""

    texts: tuple[str, ...]
    answers: tuple[str, ...] = ()
    """Comments and reposts with words of their own."""
    unverified: float = 1.0
    """Share of the posts whose author no platform has verified."""
    voices: int = 1
    """Independent people who say it."""
    witnesses: int = 0
    """Independent people who say that they saw it."""
    doubts: int = 0
    """Independent people who contradict it."""
    denied: bool = False
    """A government or media post says the contrary."""
    debunked: bool = False
    """It is like a claim that was debunked before."""


def signs(telling: Telling) -> dict[str, float]:
    """Value of each sign, 0..1; of several texts their mean: their order does not matter."""
    texts = telling.texts or ("",)
    found = {
        name: sum(pattern.search(text) is not None for text in texts) / len(texts)
        for name, pattern in SIGNS
    }
    found["长度"] = min(1.0, sum(map(len, texts)) / len(texts) / 140)
    found["未认证"] = telling.unverified
    answers = telling.answers
    found["回应质疑"] = _doubted(answers, telling)
    found["回应惊愤"] = _share(SHOCK, answers)
    found["有回应"] = 1.0 if answers else 0.0
    return found


def _doubted(answers: Sequence[str], telling: Telling) -> float:
    share = _share(DOUBT, answers)
    people = telling.doubts / (telling.doubts + telling.voices) if telling.doubts else 0.0
    return max(min(1.0, 4 * share), 0.3 * people)


def _share(pattern: re.Pattern[str], texts: Sequence[str]) -> float:
    return sum(pattern.search(text) is not None for text in texts) / len(texts) if texts else 0.0


def risk(telling: Telling) -> float:
    """Probability-like risk that the telling is a rumour, rounded to 3 decimals."""
    return round(1 / (1 + math.exp(-log_odds(telling))), 3)


def log_odds(telling: Telling) -> float:
    """The risk before it is squeezed into 0..1."""
    found = signs(telling)
    total = BIAS + sum(WEIGHTS.get(name, 0.0) * value for name, value in found.items())
    total += DENIED if telling.denied else 0.0
    total += DEBUNKED if telling.debunked else 0.0
    total += WITNESSED * min(MOST_WITNESSES, telling.witnesses)
    total += ONE_SOURCE if telling.voices <= 1 and len(telling.texts) > 1 else 0.0
    return total
