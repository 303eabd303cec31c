"""The pieces that pages are made of: head, notes, badges, post cards, acts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from archive.base import Hit
from huiyin.records import PERSON, Act, Analysis, AuthorKind, Category, Level, Post
from ui import words
from ui.markup import Child, Markup, div, join, link, marked, show, span, tag
from ui.when import span_words, stamp, when
from ui.words import name_of, t

LEVELS = tuple(Level)
LEVEL_CLASS = dict(zip(LEVELS, ("red", "orange", "amber", "blue"), strict=True))


def head(title: str, about: str) -> None:
    """Title of a page and one line that says what it is for."""
    show(div(tag("b", t(title)), span(about), cls="hy-head"))


def heading(text: str) -> None:
    """Heading of a section."""
    show(div(text, cls="hy-h"))


def note(kind: str, *children: Child) -> Markup:
    """A message box: good, warn, bad or info."""
    return div(*children, cls=f"hy-note {kind}")


def empty(what: str, next_step: str) -> None:
    """Nothing to show: what that means and what to do next."""
    show(div(tag("b", what), next_step, cls="hy-empty"))


def badge(text: str, colour: str = "") -> Markup:
    """A small label."""
    return span(text, cls=f"hy-badge {colour}".strip())


def row(*children: Child) -> Markup:
    """Things in a line that wraps."""
    return div(*children, cls="hy-row")


def stats(pairs: Iterable[tuple[str, str]]) -> Markup:
    """(figure, name) with the name below the figure."""
    cells = [div(tag("b", figure), span(name), cls="hy-stat") for figure, name in pairs]
    return div(cells, cls="hy-stats")


def table(columns: Sequence[str], rows: Iterable[Sequence[Child]]) -> Markup:
    """A table whose rows become blocks with their column names on a phone."""
    top = tag("thead", tag("tr", [tag("th", name) for name in columns]))
    body = [
        tag("tr", [tag("td", cell, title=name) for name, cell in zip(columns, cells, strict=True)])
        for cells in rows
    ]
    return tag("table", top, tag("tbody", body), cls="hy-table")


def bars(values: Sequence[tuple[str, int]]) -> Markup:
    """Counts as horizontal bars, the longest full."""
    most = max((count for _, count in values), default=0) or 1
    lines = [
        div(
            span(name),
            tag("i", style=f"width:{100 * count / most:.1f}%"),
            tag("em", str(count)),
            cls="hy-bar",
        )
        for name, count in values
    ]
    return div(lines, cls="hy-bars")


def level_badge(level: Level | None) -> Markup:
    """The suspected level; its name already says 疑似."""
    if level is None:
        return badge("等级未判断")
    return badge(level.value, LEVEL_CLASS[level])


def author_words(post: Post) -> str:
    """Who speaks, without naming ordinary people."""
    kind = name_of(words.AUTHOR, post.author.kind.value)
    name = post.author.name or ""
    region = f"（{post.author.region}）" if post.author.region else ""
    return f"{kind} {name}{region}".strip()


def counts_words(post: Post) -> str:
    """转发、评论、赞; a count that the platform did not say is a dash, never 0."""
    if post.metrics is None:
        return "转评赞：平台未提供"
    values = (post.metrics.reposts, post.metrics.comments, post.metrics.likes)
    said = ["—" if value is None else str(value) for value in values]
    return f"转发 {said[0]} · 评论 {said[1]} · 赞 {said[2]}"


def reading_delay(post: Post) -> str:
    """How long after posting we read it."""
    return f"发帖 {span_words((post.collected_at - post.created_at).total_seconds())}后读到"


def analysis_badges(analysis: Analysis | None) -> list[Markup]:
    """What the model understood, each with its probability; 机器判断 is said by the caller."""
    if analysis is None:
        return [badge("尚未分析")]
    sentiment = analysis.sentiment.label
    colour = {"negative": "orange", "positive": "green"}.get(sentiment, "")
    found = [
        badge(_sure(name_of(words.SENTIMENT, sentiment), analysis.sentiment.probabilities,
                    sentiment), colour),
        badge(_sure(name_of(words.EMOTION, analysis.emotion.label),
                    analysis.emotion.probabilities, analysis.emotion.label)),
        badge(_sure(analysis.intent.label, analysis.intent.probabilities, analysis.intent.label),
              "blue"),
    ]  # fmt: skip
    if analysis.language == "zh-Hant":
        found.insert(0, badge(words.LANGUAGES["zh-Hant"]))
    elif analysis.language in words.LANGUAGES:
        found.insert(0, badge(f"{words.LANGUAGES[analysis.language]}，须人来看", "orange"))
    found += category_badge(analysis.category)
    found += [badge(f"地点：{place.name}") for place in analysis.places[:3]]
    if analysis.urgency.score >= 0.5:
        reasons = "、".join(analysis.urgency.reasons)
        found.append(badge(f"紧急 {analysis.urgency.score:.0%}{'：' + reasons if reasons else ''}",
                           "red"))  # fmt: skip
    return found


def category_badge(category: Category) -> list[Markup]:
    """The path with the probability of its last level, or that a person set it."""
    name = " / ".join(category.path)
    if category.by == PERSON:
        return [badge(f"{name or '不属于任何一类'}（人工改定）", "green")]
    return [badge(_sure(name, category.probabilities, "/".join(category.path)))] if name else []


def _sure(name: str, probabilities: Mapping[str, float], label: str) -> str:
    probability = probabilities.get(label)
    return name if probability is None else f"{name} {probability:.0%}"


def post_card(
    post: Post, now: datetime, *, hit: Hit | None = None, number: int | None = None,
    with_analysis: bool = True, pictures: Child = None,
) -> Markup:  # fmt: skip
    """One post with everything known about it; its text is text and nothing else."""
    first = [
        badge(str(number), "blue") if number is not None else None,
        badge(name_of(words.PLATFORM, post.platform)),
        badge(name_of(words.KIND, post.kind.value)),
        span(author_words(post), cls="hy-small"),
        span(when(post.created_at, now), cls="hy-muted"),
        span(reading_delay(post), cls="hy-muted"),
        badge(f"作者改过（{when(post.edited_at, now)}）", "amber") if post.edited_at else None,
    ]
    body: list[Child] = [row(*first)]
    if post.deleted_at is not None:
        body.append(div("原帖在平台上已不可见，正文已按规定清除。", cls="hy-muted"))
    else:
        if post.title:
            body.append(div(post.title, cls="hy-title"))
        spans = hit.highlights if hit is not None else ()
        body.append(div(marked(post.text, spans), cls="hy-text"))
        body.append(pictures)
    if with_analysis and post.deleted_at is None:
        body.append(row(*analysis_badges(post.analysis)))
    body.append(row(span(counts_words(post), cls="hy-muted"), *_media(post), _original(post)))
    official = post.author.kind in (AuthorKind.GOVERNMENT, AuthorKind.MEDIA)
    return div(body, cls="hy-card official" if official else "hy-card")


def _media(post: Post) -> list[Markup]:
    unread = [one for one in post.media if not one.was_read]
    if not unread:
        return []
    names = {"picture": "图片", "video": "视频"}
    kinds = "、".join(sorted({name_of(names, one.kind) for one in unread}))
    return [badge(f"{kinds} {len(unread)} 个，内容未读", "amber")]


def _original(post: Post) -> Markup:
    return link("原文", post.url, post.platform) if post.url else Markup("")


def post_link(post: Post | None, number: int) -> Markup:
    """A footnote number that leads to the post on its platform."""
    if post is None:
        return span(f"[{number}]", cls="hy-nolink", title="这条帖子不在可见范围内")
    return link(f"[{number}]", post.url, post.platform)


def person_name(person: str, names: Mapping[str, str]) -> str:
    """A colleague's name; 系统 for a process of ours."""
    return "系统" if person.startswith("system:") else names.get(person, person)


def acts_list(acts: Sequence[Act], names: Mapping[str, str], now: datetime) -> Markup:
    """Who did what, when and why, oldest first."""
    lines = []
    for act in acts:
        who = person_name(act.actor, names)
        why = name_of(words.WHY, act.why)
        if act.what == "create":  # says who asked, by id
            why = re.sub(r"[\w:]+", lambda found: person_name(found[0], names), why)
        gap = "" if not why or act.what in ("state", "duplicate", "hand-over") else "："
        text = f"{who} {name_of(words.ACT, act.what)}{gap}{why}"
        lines.append(div(span(stamp(act.at, now), cls="hy-muted"), " ", text, cls="hy-step"))
    return join(lines)


def flashed(message: tuple[str, str] | None) -> None:
    """The message of the act before."""
    if message is not None:
        show(note(message[0], message[1]))


def cards(items: Iterable[Child]) -> Markup:
    """Cards under each other."""
    return div(items, cls="hy-list")
