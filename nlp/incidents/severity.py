"""How grave the content of one post is, which numbers it names, and the suspected level of many.

The level follows a table (`levels.py`), as shipped the numbers of 国务院令第493号 第3条. It is a
guess for escalation, never the official level: each reason names its number, its posts and who
said it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from huiyin.records import Analysis, Level
from nlp.incidents import lexicon
from nlp.incidents.figures import stated
from nlp.incidents.levels import DANGER, HURT, LOST, SEVERITY, VOICES, Levels, read_levels
from nlp.incidents.lexicon import Kind

APPEALS = ("求助", "投诉", "举报")
QUESTIONS = ("咨询", "建议")


@dataclass(frozen=True, slots=True)
class Content:
    """What one post says that matters for an alert."""

    kind: Kind
    weight: float
    """0..1: weight of the kind, lowered for films, drills, praise."""
    words: tuple[str, ...] = ()
    figures: tuple[tuple[str, int], ...] = ()
    """(name, number) as in `figures.NAMES`; denied ones are left out."""
    denies: bool = False
    bare: float = 0.0
    """The weight before praise lowers it: who thanks the rescuers knows of the disaster too."""


def judge(text: str, analysis: Analysis | None) -> Content:
    """Judge one post by its words and, where there is one, its analysis."""
    denies = bool(lexicon.DENIAL.search(text))
    figures = tuple(dict.fromkeys(find_figures(text)))
    appeal = _is_appeal(text, analysis)
    promotes = lexicon.PROMOTION.words.search(text) and not (appeal and analysis is not None)
    if promotes and not lexicon.DANGER.words.search(text):
        return Content(lexicon.PROMOTION, 0.0, figures=figures, denies=denies)
    unreal = lexicon.UNREAL_FACTOR if lexicon.UNREAL.search(text) else 1.0
    for kind in lexicon.KINDS:
        said = kind.words.findall(text)
        if said:
            words = tuple(dict.fromkeys(said))[:5]
            bare = kind.weight * unreal
            weight = round(bare * _attitude(analysis), 4)
            return Content(kind, weight, words, figures, denies, round(bare, 4))
    kind = lexicon.COMPLAINT if appeal else lexicon.QUESTION if _asks(analysis) else lexicon.TALK
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


def _asks(analysis: Analysis | None) -> bool:
    """A question or proposal that an office is to answer."""
    return (
        analysis is not None and analysis.intent.label in QUESTIONS and analysis.needs_answer >= 0.5
    )


def _attitude(analysis: Analysis | None) -> float:
    """Praise and thanks are not news, even when they name what happened."""
    if analysis is None:
        return 1.0
    positive = analysis.sentiment.probabilities.get("positive", 0.0)
    appeals = analysis.intent.label in APPEALS and analysis.needs_answer >= 0.5
    return lexicon.PRAISE_FACTOR if positive >= lexicon.PRAISE_PROBABILITY and not appeals else 1.0


def find_figures(text: str) -> list[tuple[str, int]]:
    """Numbers of people (and money) that a text names and does not deny."""
    return [(one.name, one.number) for one in stated(text) if one.number and not one.denied]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of people and who said it."""

    name: str
    number: int
    posts: tuple[str, ...]
    voices: int
    """Independent authors that say it."""
    official: bool
    witnesses: int = 0
    """Independent people among them who say that they saw it, and do not pass it on."""


def suspect(
    severity: float,
    voices: int,
    kinds: Sequence[str],
    figures: Sequence[Figure],
    *,
    levels: Levels | None = None,
    matters: Collection[str] = (),
) -> tuple[Level | None, tuple[str, ...]]:
    """Suspected level by the table and its reasons in Chinese; None = too little known.

    A number counts when officials or media name it, or when enough independent people say that they
    saw it; any other is shown with who said it and raises nothing.
    """
    table = levels or read_levels()
    seen: dict[str, float] = {VOICES: voices, SEVERITY: severity}
    reasons = []
    for figure in figures:
        counts = figure.official or figure.witnesses >= table.witnesses
        reasons.append(_told(figure, counts))
        if counts:
            seen[figure.name] = max(seen.get(figure.name, 0), figure.number)
    seen[HURT] = max(seen.get(name, 0) for name in ("重伤", "受伤", "中毒"))
    seen[LOST] = seen.get("死亡", 0) + seen.get("失踪", 0)
    kept = set(matters) | ({DANGER} & set(kinds))
    rule = table.decide(seen, kept)
    if rule is None:
        return None, tuple(reasons)
    about = f"，依据：{rule.basis}" if rule.basis else ""
    what = f"（{'、'.join(kinds)}，{voices} 名独立发布者）" if SEVERITY in rule.least else ""
    reasons.append(f"{rule.because}{what}，达到{rule.level.removeprefix('疑似')}{about}")
    return rule.level, tuple(reasons)


def _told(figure: Figure, counts: bool) -> str:
    """Who names a number, and whether it counts."""
    who = "官方或媒体" if figure.official else f"{figure.voices} 名独立发布者"
    if figure.witnesses and not figure.official:
        who += f"（{figure.witnesses} 名说亲眼所见）"
    unit = "万元" if figure.name == "经济损失" else "人"
    said = f"{who}称{figure.name} {figure.number} {unit}（{'、'.join(figure.posts[:3])}）"
    return said if counts else f"{said}，未证实，不据此定级"
