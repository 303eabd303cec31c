"""A draft on the page: its text, each sentence beside what it rests on, its review.

Before approval the text is shown without any copy button (`st.code` has one); nobody can stop
retyping. After approval the exact approved text may be copied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

import streamlit as st

from archive.base import Stored
from huiyin.records import Case, Draft, DraftSentence, DraftState, Post, Role
from ui import lookup, words
from ui.markup import Child, Markup, div, link, marked, show, span, tag
from ui.parts import acts_list, badge, cards, heading, note, person_name, post_card, row
from ui.session import Visit, act
from ui.when import due, stamp, when
from ui.words import name_of, t

OPEN_FACT = re.compile("【待核实】")
COLOURS = {
    DraftState.DRAFT: "", DraftState.SUBMITTED: "blue", DraftState.RETURNED: "orange",
    DraftState.APPROVED: "green", DraftState.PUBLISHED: "green",
}  # fmt: skip


def state_badge(draft: Draft) -> Markup:
    """The state of a draft in words."""
    return badge(name_of(words.DRAFT_STATE, draft.state.value), COLOURS[draft.state])


def open_facts(draft: Draft) -> int:
    """How many sentences hold a fact that no source supports."""
    return sum(1 for one in draft.sentences if not one.supported)


def with_open_facts(text: str) -> Markup:
    """The text with every 【待核实】 marked."""
    spans = [found.span() for found in OPEN_FACT.finditer(text)]
    return marked(text, spans, cls="hy-open")


def exact_text(draft: Draft) -> None:
    """The text as it would go out, selectable but without a copy button."""
    show(div(div(with_open_facts(draft.text), cls="hy-text"), cls="hy-card"))


def evidence(visit: Visit, draft: Draft) -> None:
    """Each sentence beside the words of the notice that it rests on."""
    heading("逐句依据")
    found = lookup.posts_by_id(visit, [one for s in draft.sentences for one in s.sources])
    if not draft.sentences:
        show(div("这份草稿还没有逐句依据。", cls="hy-muted"))
    show(cards(_sentence(n, one, found, visit.now) for n, one in enumerate(draft.sentences, 1)))


def _sentence(
    number: int, sentence: DraftSentence, found: Mapping[str, Post], now: datetime
) -> Markup:
    sources: list[Child] = []
    for source in sentence.sources:
        post = found.get(source)
        if post is None:
            sources.append(div("依据的帖子已删除，或不在您可见的范围内。", cls="hy-muted"))
            continue
        who = post.author.name or name_of(words.AUTHOR, post.author.kind.value)
        sources.append(
            row(span(f"出处：{who} {stamp(post.created_at, now)}", cls="hy-small"),
                link("原文", post.url, post.platform))
        )  # fmt: skip
    mark = None if sentence.supported else badge("没有依据，须核实", "red")
    if sentence.supported and not sentence.sources:
        sources.append(div("没有事实，不需要出处", cls="hy-muted"))
    return div(
        div(span(str(number), cls="hy-num"), with_open_facts(sentence.text), " ", mark),
        div(sentence.quote, cls="hy-quote") if sentence.quote else None,
        sources,
        cls="hy-card source",
    )


def style_notes(draft: Draft) -> None:
    """What could be said plainer."""
    if draft.style_notes:
        heading("文风提示")
        show(div([div(f"· {one}") for one in draft.style_notes], cls="hy-card"))


def question(visit: Visit, draft: Draft, case: Case | None) -> None:
    """The post that is answered, by whom, and until when."""
    names = lookup.account_names(visit)
    target = lookup.posts_by_id(visit, [draft.target]).get(draft.target)
    facts: list[Child] = [f"以“{names.get(draft.account, draft.account)}”的名义公开答复"]
    if case is not None:
        facts.append(badge(due(case.due_at, visit.now), _due_colour(case, visit.now)))
    heading("要答复的帖子")
    show(row(*facts))
    if target is None:
        show(note("warn", "原帖不在您可见的范围内，或已不在存档里。"))
    else:
        show(post_card(target, visit.now, with_analysis=False))


def _due_colour(case: Case, now: datetime) -> str:
    return "red" if case.due_at <= now else "blue"


def history(visit: Visit, draft: Draft) -> None:
    """Who did what to this draft."""
    heading("经过")
    names = lookup.staff_names(visit)
    who = [
        f"最后修改：{_name(draft.written_by, names)}",
        f"负责提交：{_name(draft.submitted_by, names)}",
        f"审核：{_name(draft.reviewed_by, names)}",
    ]
    show(div(row(*[span(one, cls="hy-small") for one in who]),
             acts_list(draft.acts, names, visit.now), cls="hy-card"))  # fmt: skip


def _name(person: str | None, names: Mapping[str, str]) -> str:
    return person_name(person, names) if person else "—"


def approved_box(visit: Visit, stored: Stored[Draft]) -> None:
    """After approval: the way to take the text out, and for who took it, the text to copy."""
    draft = stored.record
    names = lookup.staff_names(visit)
    account = lookup.account_names(visit).get(draft.account, draft.account)
    reviewer, submitter = _name(draft.reviewed_by, names), _name(draft.submitted_by, names)
    stands = tag("b", f"{submitter} 提交，{reviewer} 审核通过。")
    if draft.state is DraftState.APPROVED:
        exact_text(draft)
        show(note("good", stands, div(f"取出原文时会先登记，再用官方账号“{account}”去答复。")))
        if visit.may(Role.DRAFTER, Role.REVIEWER):
            _take_out(stored)
        return
    taken = next(act for act in reversed(draft.acts) if act.what.startswith("publish"))
    show(note("good", stands, div(f"{_name(taken.actor, names)} 于 {when(taken.at, visit.now)} "
                                  "取出原文发布。")))  # fmt: skip
    if taken.actor != visit.actor.id:
        exact_text(draft)
        return
    show(div(f"复制下面的原文，用官方账号“{account}”答复原帖，不要改动一个字：", cls="hy-small"))
    st.code(draft.text, language=None, wrap_lines=True)
    _take_out_again(stored)


def _take_out(stored: Stored[Draft]) -> None:
    def publish(now: Visit) -> None:
        now.app.desk.publish(stored.record.id, now.actor, stored.version)

    st.button(t("取出原文去发布"), key="publish", type="primary", on_click=act,
              args=(publish, "已登记。请复制原文，用官方账号答复"))  # fmt: skip


def _take_out_again(stored: Stored[Draft]) -> None:
    key = f"looked-for-{stored.record.id}"

    def again(now: Visit) -> None:
        why = str(st.session_state.get(key, "")).strip()
        now.app.desk.publish(stored.record.id, now.actor, stored.version, looked_for=why)

    with st.expander("发出去了又不见了？"), st.form("again", border=False):
        st.text_input("到平台上找过的结果", key=key, placeholder="例如：14:20 看过原帖，没有")
        st.form_submit_button(t("再取一次"), on_click=act, args=(again, "已登记再次取出"))


def draft_card(draft: Draft, case: Case | None, account: str, visit: Visit) -> Markup:
    """One draft in a list."""
    unsupported = open_facts(draft)
    text = draft.text if len(draft.text) <= 160 else draft.text[:160] + "…"
    return div(
        row(state_badge(draft),
            badge(f"{unsupported} 处待核实", "red") if unsupported else None,
            badge(due(case.due_at, visit.now), _due_colour(case, visit.now)) if case else None,
            span(f"{account} · {when(draft.created_at, visit.now)}", cls="hy-muted")),
        div(with_open_facts(text), cls="hy-text"),
        cls="hy-card",
    )  # fmt: skip
