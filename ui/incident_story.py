"""What an incident's page tells: what is new, the claims and how each stands, moments, mood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from huiyin.records import Account, Claim, Gap, Incident, Post
from nlp.incidents import FIELDS, News, Story
from ui import charts, lookup, words
from ui.markup import Child, Markup, div, show, span, tag
from ui.parts import badge, heading, level_badge, post_link, row
from ui.session import Visit
from ui.when import stamp, when
from ui.words import name_of

STANDING = {"有依据": "green", "未证实": "", "有争议": "amber", "已辟谣": "red"}
"""Colour of each standing."""
RISKS = ((0.75, "谣言风险高", "red"), (0.5, "谣言风险中", "amber"), (0.0, "谣言风险低", ""))
ABOUT = ("数字", "原因", "地点", "责任", "经过")


def news(visit: Visit, story: Story) -> None:
    """What the last hour brought."""
    heading("近一小时新增")
    show(_news(story.news, visit.now))


def _news(found: News, now: datetime) -> Markup:
    if not found.posts:
        return div(f"{stamp(found.since, now)} 以来没有读到新帖子。", cls="hy-card hy-muted")
    lines = [div(tag("b", f"{found.posts} 条新帖子"), f"，{found.voices} 位新的独立作者")]
    lines += [div(span(stamp(one.at, now), cls="hy-muted"), f" 官方或媒体 · {one.what}")
              for one in found.official[:4]]  # fmt: skip
    lines += [div(span(stamp(one.at, now), cls="hy-muted"), f" {one.what}")
              for one in found.said[:6]]  # fmt: skip
    if not found.said and not found.official:
        lines.append(div("没有新的数字、原因、责任的说法，也没有新的官方发声。", cls="hy-muted"))
    return div(lines, cls="hy-card")


def claims(visit: Visit, incident: Incident) -> None:
    """Each claim with its standing, its evidence and the posts for and against."""
    heading("说法（逐条判断，与等级分开）")
    if not incident.claims:
        show(div("帖子里没有读出可核对的数字、原因、地点或责任。", cls="hy-muted"))
        return
    ids = [post for one in incident.claims for post in (*one.posts_for, *one.posts_against)]
    ids += [one.debunk for one in incident.claims if one.debunk]
    posts = lookup.posts_by_id(visit, ids)
    show([_claim(one, posts) for one in incident.claims])
    show(div("“风险”只说这句话像不像传言，不影响怀疑等级；官方否认而有多名目击者时是有争议，不叫谣言。",
             cls="hy-muted"))  # fmt: skip


def _claim(claim: Claim, posts: Mapping[str, Post]) -> Markup:
    risk: Child = None
    if claim.risk is not None:
        name, colour = next((n, c) for least, n, c in RISKS if claim.risk >= least)
        risk = badge(f"{name} {claim.risk:.2f}", colour)
    return div(
        row(badge(claim.standing, STANDING.get(claim.standing, "")),
            badge(claim.about) if claim.about else None, tag("b", claim.text), risk),
        div("；".join(claim.evidence), cls="hy-small") if claim.evidence else None,
        _sources("这样说的", claim.posts_for, posts),
        _sources("相反的", claim.posts_against, posts),
        _sources("以前的辟谣", (claim.debunk,), posts) if claim.debunk else None,
        cls="hy-card",
    )  # fmt: skip


def _sources(name: str, ids: Sequence[str], posts: Mapping[str, Post]) -> Child:
    if not ids:
        return None
    links: list[Child] = []
    for number, one in enumerate(ids, 1):
        post = posts.get(one)
        who = name_of(words.AUTHOR, post.author.kind.value) if post is not None else ""
        links += [who, post_link(post, number), " "]
    return div(f"{name}：", links, cls="hy-small")


def moments(visit: Visit, story: Story) -> None:
    """What happened when."""
    heading("时间线")
    lines = [
        div(span(stamp(one.at, visit.now), cls="hy-muted"), " ", one.what, cls="hy-step")
        for one in story.moments
    ]
    show(div(lines, cls="hy-card"))


def mood(visit: Visit, story: Story, gaps: Sequence[Gap]) -> None:
    """Sentiment over time, a column a stretch; where we could not look, a hatched one."""
    if not story.moods:
        return
    heading("情绪走向")
    columns = []
    shown = story.moods[-36:]
    for place, one in enumerate(shown):
        if place and (why := _unseen(gaps, shown[place - 1].start + story.step, one.start)):
            columns.append(div(cls="col gap", title=why))
        total = sum(one.counts) or 1
        names = "、".join(f"{name} {count}" for name, count in
                         zip(("正面", "中性", "负面"), one.counts, strict=True))  # fmt: skip
        parts = [
            tag("i", cls=kind, style=f"height:{100 * count / total:.0f}%")
            for kind, count in zip(("pos", "neu", "neg"), one.counts, strict=True)
        ]
        columns.append(div(parts, cls="col", title=f"{stamp(one.start, visit.now)}：{names}"))
    minutes = int(story.step.total_seconds() // 60)
    each = f"{minutes // 60} 小时" if minutes >= 60 else f"{minutes} 分钟"
    whole = [sum(one.counts[place] for one in story.moods) for place in range(3)]
    show(
        div(
            div(
                columns,
                cls="hy-mood",
                label="情绪走向："
                + charts.said(
                    charts.Curve(
                        tuple(one.start for one in shown),
                        tuple(sum(one.counts) for one in shown),
                        story.step,
                    ),
                    gaps,
                ),
            ),
            div(
                f"每列 {each}，没有帖子的时段不画，斜线是没有读到的时段；"
                f"合计 正面 {whole[0]}、中性 {whole[1]}、负面 {whole[2]}",
                cls="hy-muted",
            ),
            cls="hy-card",
        )
    )


def _unseen(gaps: Sequence[Gap], start: datetime, end: datetime) -> str:
    """Why nothing stands between two columns, when it is that we could not look."""
    return "；".join(f"没有读到：{why}" for _, _, why in charts.named(gaps, start, end))


def levels(visit: Visit, incident: Incident) -> None:
    """The machine's suspicion with its reasons, and the three fields that people set."""
    heading("等级（三个字段互不相干）")
    set_by_people = [
        div(f"{name}：{getattr(incident, field) or '未设'}", cls="hy-step")
        for field, name in FIELDS.items()
    ]
    lowered: Child = None
    if incident.lowered_from is not None:
        lowered = div(f"已由人从“{incident.lowered_from}”降下", cls="hy-small")
    reasons = [div(f"· {one}", cls="hy-small") for one in incident.level_reasons]
    show(
        div(
            row("怀疑等级：", level_badge(incident.suspected_level), verdict_badge(incident)),
            lowered,
            reasons or div("没有给出理由", cls="hy-muted"),
            div("以下由人按官方来源设定：", cls="hy-muted"),
            set_by_people,
            cls="hy-card",
        )
    )


def verdict_badge(incident: Incident) -> Child:
    """What a person said of it."""
    if incident.verdict == "confirmed":
        return badge("已由人确认属实", "solid")
    if incident.verdict == "dismissed":
        return badge("已由人判为不算事件")
    return badge("未经人确认，时限未起算")


def departments(accounts: Sequence[Account], incident: Incident) -> Markup | None:
    """The accounts concerned with their unit and what they answer for."""
    known = {one.id: one for one in accounts}
    lines = []
    for account in incident.accounts[:8]:
        one = known.get(account)
        if one is not None:
            duties = "、".join(one.duties[:4])
            about = "；".join(part for part in (one.unit, f"管{duties}" if duties else "") if part)
            lines.append(div(tag("b", one.name), f"　{about}" if about else "", cls="hy-step"))
    return div(div("涉及的账号和部门", cls="hy-muted"), lines, cls="hy-card") if lines else None


def first_answer(visit: Visit, incident: Incident, story: Story) -> str:
    """When officials first spoke, for the list of facts."""
    if story.first_answer is None:
        return "官方发声：还没有读到"
    return f"官方首次发声 {when(story.first_answer.at, visit.now)}"
