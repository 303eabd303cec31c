"""Parts of the replay's report: claims, moments and mood, other thresholds, suggested ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from archive.base import TIMEZONE
from huiyin.records import Claim
from huiyin.settings import IncidentSettings
from nlp.incidents.story import Story
from nlp.incidents.tuning import SCORES, Choice, Step, Tuning, told

ZONE = ZoneInfo(TIMEZONE)
Ids = Callable[[Iterable[str]], str]
"""Post ids as HTML."""
MOODS = ("正面", "中性", "负面")


def at(moment: datetime) -> str:
    """Month, day and time in Asia/Shanghai."""
    return moment.astimezone(ZONE).strftime("%m-%d %H:%M:%S")


def claims_list(claims: Sequence[Claim], ids: Ids) -> str:
    """The claims with standing, evidence, and posts for and against."""
    if not claims:
        return ""
    rows = "".join(
        f"<tr><td>{escape(one.about)}</td><td>{escape(one.text)}</td>"
        f"<td><b>{escape(one.standing)}</b></td>"
        f"<td>{'' if one.risk is None else f'{one.risk:.2f}'}</td>"
        f"<td><small>{escape('；'.join(one.evidence))}<br>这样说的 {ids(one.posts_for)}"
        f"{'<br>相反的 ' + ids(one.posts_against) if one.posts_against else ''}"
        f"{'<br>以前的辟谣 ' + ids((one.debunk,)) if one.debunk else ''}</small></td></tr>"
        for one in claims
    )
    return (
        "<h4>说法（逐条判断，与等级分开）</h4><table><thead><tr><th>类</th><th>说法</th><th>现状</th>"
        f"<th>谣言风险</th><th>依据</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def told_of(story: Story) -> str:
    """Moments and the mood over time."""
    lines = "".join(f"<li>{at(one.at)} {escape(one.what)}</li>" for one in story.moments)
    whole = [sum(mood.counts[place] for mood in story.moods) for place in range(3)]
    mood = "、".join(f"{name} {count}" for name, count in zip(MOODS, whole, strict=True))
    last = story.news
    return (
        f"<details><summary>时间线；情绪合计 {mood}；最后一小时 {last.posts} 条、"
        f"{last.voices} 位新作者</summary><ul>{lines}</ul>{_moods(story)}</details>"
    )


def _moods(story: Story) -> str:
    if len(story.moods) < 2:
        return ""
    width = 860 / len(story.moods)
    shapes = []
    for place, one in enumerate(story.moods):
        total, top = sum(one.counts) or 1, 0.0
        for css, count in zip(("pos", "neu", "neg"), one.counts, strict=True):
            height = 60 * count / total
            shapes.append(
                f'<rect class="{css}" x="{place * width:.1f}" y="{top:.1f}"'
                f' width="{max(1.0, width - 1):.1f}" height="{height:.1f}"/>'
            )
            top += height
    return (
        '<svg viewBox="0 0 860 60" role="img" aria-label="情绪走向">' + "".join(shapes) + "</svg>"
        '<p class="unit">情绪走向：绿 正面、灰 中性、橙 负面；没有帖子的时段不画</p>'
    )


def what_if(steps: Sequence[Step], settings: IncidentSettings) -> str:
    """When other thresholds would have told this incident."""
    if not steps:
        return ""
    authors = sorted({2, settings.min_authors, 5})
    scores = sorted({*SCORES, settings.min_score})
    head = "".join(f"<th>分数 {score:g}</th>" for score in scores)
    rows = "".join(
        f"<tr><td>{least} 名</td>"
        + "".join(f"<td>{_told(steps, least, score, settings)}</td>" for score in scores)
        + "</tr>"
        for least in authors
    )
    return (
        "<details><summary>换个阈值会怎样（只看突增规则，按整段平均流量估算）</summary>"
        f"<table><thead><tr><th>独立发布者</th>{head}</tr></thead><tbody>{rows}</tbody></table>"
        "</details>"
    )


def _told(steps: Sequence[Step], authors: int, score: float, settings: IncidentSettings) -> str:
    step = told(steps, authors, score)
    here = (authors, score) == (settings.min_authors, settings.min_score)
    mark = "（现在）" if here else ""
    if step is None:
        return f"不告警{mark}"
    return f"第 {step.posts} 条，{at(step.at)}{mark}"


def tuned(tuning: Tuning) -> str:
    """The suggested thresholds."""
    rows = "".join(_row(one, one == tuning.best) for one in tuning.choices)
    best = (
        f"建议：incidents.min_authors = {tuning.best.authors}，"
        f"incidents.min_score = {tuning.best.score:g}"
        if tuning.best is not None
        else "没有一组阈值能做到：这段数据里够条件的事件太多或没有"
    )
    return (
        f"<h2>按每天 {tuning.wanted:g} 次告警选阈值</h2><p><b>{best}</b></p>"
        "<table><thead><tr><th>独立发布者</th><th>分数</th><th>告警</th><th>平均每天</th>"
        "<th>告警时已有帖子（中位）</th><th>距首帖分钟（中位）</th><th>现在会报而它不报</th></tr></thead>"
        f"<tbody>{_row(tuning.now, False, '（现在）')}{rows}</tbody></table>"
        '<p class="note">只看突增规则，按整段平均流量估算；险情单帖即报，不受这里影响。'
        "在一段数据上选的阈值，换一段未必一样。</p>"
    )


def _row(one: Choice, best: bool, mark: str = "") -> str:
    cells = (
        f"{one.authors}{mark}{'（建议）' if best else ''}", f"{one.score:g}", f"{one.alerts}",
        f"{one.a_day:.2f}", "—" if one.posts_seen is None else f"{one.posts_seen:g}",
        "—" if one.minutes is None else f"{one.minutes:g}", f"{one.lost}",
    )  # fmt: skip
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
