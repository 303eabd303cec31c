"""How grave the content of one post is, which numbers it names, and the suspected level of many.

The thresholds of the level are those of 国务院令第493号 第3条 (dead, hurt; "以上" includes the
number). It is a guess for escalation, never the official level: each reason names its number
and its posts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from huiyin.records import Analysis, Level
from nlp.incidents import lexicon
from nlp.incidents.lexicon import Kind

_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
APPEALS = ("求助", "投诉", "举报")


@dataclass(frozen=True, slots=True)
class Content:
    """What one post says that matters for an alert."""

    kind: Kind
    weight: float
    """0..1: weight of the kind, lowered for films, drills, praise."""
    words: tuple[str, ...] = ()
    figures: tuple[tuple[str, int], ...] = ()
    """(死亡 受伤 失踪 被困 确诊, number)"""
    denies: bool = False


def judge(text: str, analysis: Analysis | None) -> Content:
    """Judge one post by its words and, where there is one, its analysis."""
    denies = bool(lexicon.DENIAL.search(text))
    figures = tuple(dict.fromkeys(find_figures(text)))
    if lexicon.PROMOTION.words.search(text) and not lexicon.DANGER.words.search(text):
        return Content(lexicon.PROMOTION, 0.0, figures=figures, denies=denies)
    unreal = lexicon.UNREAL_FACTOR if lexicon.UNREAL.search(text) else 1.0
    for kind in lexicon.KINDS:
        words = tuple(dict.fromkeys(kind.words.findall(text)))[:5]
        if words:
            weight = kind.weight * unreal * _attitude(analysis)
            return Content(kind, round(weight, 4), words, figures, denies)
    kind = lexicon.COMPLAINT if _is_appeal(text, analysis) else lexicon.TALK
    weight = kind.weight * _attitude(analysis)
    if analysis is not None and kind is lexicon.COMPLAINT:
        weight = max(weight, min(0.7, 0.7 * analysis.urgency.score))
    return Content(kind, round(weight, 4), (), figures, denies)


def _is_appeal(text: str, analysis: Analysis | None) -> bool:
    if analysis is None:
        return bool(lexicon.COMPLAINT.words.search(text))
    if analysis.intent.label in APPEALS and analysis.needs_answer >= 0.5:
        return True
    return analysis.sentiment.label == "negative" and analysis.needs_answer >= 0.5


def _attitude(analysis: Analysis | None) -> float:
    """Praise and thanks are not news, even when they name what happened."""
    if analysis is None:
        return 1.0
    positive = analysis.sentiment.probabilities.get("positive", 0.0)
    appeals = analysis.intent.label in APPEALS and analysis.needs_answer >= 0.5
    return lexicon.PRAISE_FACTOR if positive >= lexicon.PRAISE_PROBABILITY and not appeals else 1.0


def find_figures(text: str) -> list[tuple[str, int]]:
    """Numbers of people dead, hurt, missing, trapped or confirmed that a text names."""
    found = []
    for name, pattern in lexicon.FIGURES:
        for match in pattern.finditer(text):
            number = read_number(match["n"])
            if number:
                found.append((name, number))
    return found


def read_number(words: str) -> int:
    """十二 -> 12, 三百 -> 300, 27 -> 27; 0 when it is no number."""
    if words.isdigit():
        return int(words)
    total, current = 0, 0
    for char in words:
        if char in _DIGITS:
            current = _DIGITS[char]
        elif char in _UNITS:
            total += (current or 1) * _UNITS[char]
            current = 0
        else:
            return 0
    return total + current


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of people and who said it."""

    name: str
    number: int
    posts: tuple[str, ...]
    voices: int
    """Independent authors that say it."""
    official: bool


_BY_NUMBER = (
    (Level.EXTRAORDINARY, 30, 100),
    (Level.MAJOR, 10, 50),
    (Level.LARGER, 3, 10),
)
_BY_SPREAD = ((Level.MAJOR, 300), (Level.LARGER, 30))
_ORDER = tuple(Level)


def suspect(
    severity: float, voices: int, kinds: Sequence[str], figures: Sequence[Figure]
) -> tuple[Level | None, tuple[str, ...]]:
    """Suspected level and its reasons in Chinese; None = too little known.

    A number that only one person names raises nothing above 疑似一般, but is shown.
    """
    levels: list[Level] = []
    reasons: list[str] = []
    for figure in figures:
        level = _by_number(figure)
        who = "官方或媒体" if figure.official else f"{figure.voices} 名独立发布者"
        source = f"{who}称{figure.name} {figure.number} 人（{'、'.join(figure.posts[:3])}）"
        if level is None:
            reasons.append(source)
        elif figure.official or figure.voices > 1:
            levels.append(level)
            reasons.append(f"{source}，达到{level.removeprefix('疑似')}的数量")
        else:
            levels.append(Level.ORDINARY)
            reasons.append(f"{source}，仅一人提到，未证实，不据此升级")
    if "险情" in kinds and severity >= 0.5:
        spread = next((level for level, least in _BY_SPREAD if voices >= least), Level.ORDINARY)
        levels.append(spread)
        reasons.append(f"内容涉及险情，{voices} 名独立发布者")
    elif severity >= 0.3:
        levels.append(Level.ORDINARY)
        reasons.append(f"内容涉及{'、'.join(kinds)}，{voices} 名独立发布者")
    if not levels:
        return None, tuple(reasons)
    return min(levels, key=_ORDER.index), tuple(reasons)


def _by_number(figure: Figure) -> Level | None:
    for level, dead, hurt in _BY_NUMBER:
        if figure.name == "死亡" and figure.number >= dead:
            return level
        if figure.name == "受伤" and figure.number >= hurt:
            return level
    return Level.ORDINARY if figure.name in {"死亡", "受伤"} else None
