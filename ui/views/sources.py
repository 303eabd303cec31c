"""来源: where we look, since when, and when we could not; adding, testing and stopping."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from crawler.coverage import coverage
from crawler.managing import (
    TITLES,
    Field,
    Outlook,
    allowed_for,
    fields_of,
    new_source,
    outlook,
    pause,
)
from crawler.sources import known_sources
from huiyin.errors import Conflict, HuiyinError, InputError
from huiyin.looks import ask, look_id
from huiyin.records import Look, Role, Source
from huiyin.watching import list_for, pause_for
from ui import lookup, source_parts, words
from ui.markup import div, plain, show
from ui.parts import acts_list, badge, empty, head, heading, note, row, stats
from ui.session import Visit, act
from ui.shell import room
from ui.words import t

DAYS = (1, 3, 7, 14, 30)
SOON = 2.0
"""Seconds after which a page that waits for an answer looks again."""


def render(visit: Visit) -> None:
    """The list, or the source that the address names."""
    wanted = lookup.chosen()
    if wanted:
        _detail(visit, wanted)
    else:
        _list(visit)


def _outlook(visit: Visit, source: Source, every: list[Source]) -> Outlook:
    return outlook(source, every, visit.app.archive, now=visit.now,
                   calls_per_day=visit.app.settings.weibo.calls_per_day)  # fmt: skip


def _list(visit: Visit) -> None:
    head("来源", "采集：我们在看哪里、多快看到、看到什么时候；没看到的时间写明白，不当成“没有人说”")
    found = lookup.sources(visit)
    if not found:
        empty("还没有来源", _next_step(visit))
    else:
        fine = sum(1 for one in found if one.state == "ok" and not one.resting)
        gaps = sum(1 for one in found for gap in one.gaps if gap.ends_at is None)
        show(stats([(str(len(found)), "来源"), (str(fine), "正常"),
                    (str(len(found) - fine), "不正常"), (str(gaps), "此刻没看到的")]))  # fmt: skip
    _add_form(visit, open_now=not found)
    names = lookup.account_names(visit)
    every = known_sources(visit.app.archive, None)
    for source in sorted(found, key=lambda one: (one.state == "ok" and not one.resting, one.id)):
        with st.container(key=f"row-{source.id}"):
            text, action = st.columns([6, 1], vertical_alignment="center")
            with text:
                look = _outlook(visit, source, every)
                show(source_parts.summary(visit, source, look, names))
            with action:
                if st.button(t("查看"), key=f"open-{source.id}", width="stretch"):
                    lookup.choose(source.id)
    _ended(visit)


def _ended(visit: Visit) -> None:
    ended = lookup.ended_sources(visit)
    if not ended:
        return
    with st.expander(t("已随事件结束的临时搜索")):
        for source in ended:
            text, action = st.columns([6, 1], vertical_alignment="center")
            with text:
                show(div(source_parts.temporary(visit, source), cls="hy-card"))
            with action:
                if st.button(t("查看"), key=f"open-{source.id}", width="stretch"):
                    lookup.choose(source.id)


def _next_step(visit: Visit) -> str:
    if visit.may(Role.OPERATOR):
        return (
            "微博账号：先运行 huiyin source login 授权。网站、订阅源、留言板：用下面的表单加。"
            "其他工具导出的文件用 huiyin import 导入。"
        )
    return "请管理员给微博账号授权（huiyin source login），或在这一页加一个来源。"


# ---------------------------------------------------------------- adding


def _add_form(visit: Visit, *, open_now: bool) -> None:
    if not visit.may(Role.OPERATOR):
        show(div("加来源、试读、暂停由管理员操作。", cls="hy-muted"))
        return
    with st.expander(t("加一个来源"), expanded=open_now):
        spider = st.selectbox(t("哪一种"), list(TITLES), format_func=TITLES.__getitem__,
                              key="source-kind")  # fmt: skip
        with st.form(f"add-source-{spider}", border=False):
            for field in fields_of(spider):
                _input(spider, field)
            if _watches(spider):
                st.text_input(t("region：或写行政区划代码，由回音提出盯看名单（代替 watch）"),
                              key=_key(spider, " region"), placeholder="例如 410100")  # fmt: skip
            names = lookup.account_names(visit)
            st.selectbox(t("为哪个账号看"), ["", *names], key=_key(spider, " account"),
                         format_func=lambda one: names[one] if one else "自动")  # fmt: skip
            minutes = visit.app.settings.weibo.every_seconds / 60
            st.number_input(t("最短多少分钟读一次"), min_value=0.1, value=max(0.1, minutes),
                            key=_key(spider, " every"))  # fmt: skip
            done = "加好了。先试读一页看看。"
            st.form_submit_button(t("加上"), type="primary", on_click=act,
                                  args=(lambda now: _add(now, spider), done))  # fmt: skip


def _input(spider: str, field: Field) -> None:
    label = plain(f"{field.name}{'（必填）' if field.needed else ''}：{field.about}")
    key = _key(spider, field.name)
    if field.options:
        st.selectbox(label, ("", *field.options), key=key,
                     format_func=lambda one: words.ENDPOINT.get(one, one) or "不填")  # fmt: skip
    else:
        st.text_input(label, key=key)


def _key(spider: str, field: str) -> str:
    return f"source-{spider}-{field}"


def _watches(spider: str) -> bool:
    return any(field.name == "watch" for field in fields_of(spider))


def _typed(spider: str, field: str) -> str:
    return str(st.session_state.get(_key(spider, field)) or "").strip()


def _add(visit: Visit, spider: str) -> None:
    visit.actor.require(Role.OPERATOR)
    settings = visit.app.settings
    said = {one.name: _typed(spider, one.name) for one in fields_of(spider)}
    every = float(st.session_state.get(_key(spider, " every")) or 0.0) * 60 or None
    if region := _typed(spider, " region"):
        if said["watch"]:
            raise InputError("region 和 watch 只写一个", "用已有的名单写 watch")
        listed = list_for(settings, visit.app.accounts, region)
        said["watch"] = listed.name
        if said.get("uid") and every == max(6.0, settings.weibo.every_seconds):  # as it stood there
            every = pause_for(listed.queries)
    wanted = new_source(
        spider, {name: value for name, value in said.items() if value},
        accounts=visit.app.accounts, office=settings.office.id, by=visit.actor.id, now=visit.now,
        every_seconds=settings.weibo.every_seconds, every=every,
        watch_lists=settings.path(settings.collect.watch_lists),
        layouts=settings.path(settings.collect.layouts), allowed=settings.collect.allow_hosts,
        account=_typed(spider, " account") or None,
    )  # fmt: skip
    allowed_for(wanted, visit.scope)
    try:
        visit.app.archive.create(wanted)
    except Conflict:
        raise InputError("这个来源已经有了", "在下面的列表里找它") from None
    st.query_params["id"] = wanted.id


# ---------------------------------------------------------------- one source


def _detail(visit: Visit, source_id: str) -> None:
    stored = visit.app.archive.get(Source, source_id, visit.scope)
    lookup.back()
    if stored is None:
        empty("找不到这个来源", "它不存在，或不在您负责的账号范围内。")
        return
    source = stored.record
    look = _outlook(visit, source, known_sources(visit.app.archive, None))
    state = source_parts.state_name(source)
    head("来源", TITLES.get(source.spider, source.spider))
    show(source_parts.title_of(source, lookup.account_names(visit)))
    if (about := source_parts.temporary(visit, source)) is not None:
        show(div(about, cls="hy-card"))
    _health(visit, source, look, state)
    left, right = st.columns([5, 3])
    with right:
        heading("多快看到")
        show(source_parts.facts(visit, source, look))
        if source.parameters.get("watch"):
            heading("盯看名单")
            show(source_parts.watch_list(visit, source.parameters["watch"]))
        _buttons(visit, source)
        if source.acts:
            heading("经过")
            show(div(acts_list(source.acts, lookup.staff_names(visit), visit.now), cls="hy-card"))
    with left:
        _answer(visit, source)
        days = st.segmented_control(t("看几天"), DAYS, default=7, key="source-days",
                                    format_func=lambda one: f"{one} 天") or 7  # fmt: skip
        stretches = coverage(source, visit.now - timedelta(days=days), visit.now)
        source_parts.timeline(visit, stretches, days)


def _health(visit: Visit, source: Source, look: Outlook, state: str) -> None:
    late = lookup.is_late(source, visit.now, look.plan.night_seconds)
    waits = state in ("new", "paused", "ended")
    kind = "good" if state == "ok" and not late else "warn" if waits else "bad"
    show(note(
        kind,
        row(badge(source_parts.state_title(source, look), source_parts.COLOURS.get(state, "red")),
            badge("很久没有读到", "amber") if late else None),
        *source_parts.trouble(source, look),
        div("很久没有读了：采集进程可能没有在运行，请管理员运行 huiyin doctor。")
        if late and state == "ok" else None,
    ))  # fmt: skip


def _buttons(visit: Visit, source: Source) -> None:
    if not visit.may(Role.OPERATOR):
        show(div("试读、暂停由管理员操作。", cls="hy-muted"))
        return

    def test(now: Visit) -> None:
        now.actor.require(Role.OPERATOR)
        ask(now.app, source.id, source.offices, now.actor.id)

    def stop(now: Visit) -> None:
        now.actor.require(Role.OPERATOR)
        pause(now.app.archive, source.id, now.scope, resume=source.paused, by=now.actor.id,
              now=now.now)  # fmt: skip

    st.button(t("试读一页"), key="source-test", on_click=act, args=(test, "已请采集进程读一页"))
    if source.ended_at is not None:
        return
    done = (
        "接着读了；停的这段时间会补读"
        if source.paused
        else "已暂停；这段时间在图上是“没有看到”，恢复后会补读"
    )
    st.button(t("接着读") if source.paused else t("暂停"), key="source-pause", on_click=act,
              args=(stop, done))  # fmt: skip


def _answer(visit: Visit, source: Source) -> None:
    """The last trial; while it waits, this part alone looks again every two seconds."""
    stored = visit.app.archive.get(Look, look_id(source.id), visit.scope)
    if stored is None or stored.record.state == "old":
        return
    heading("试读的结果")
    if stored.record.state in ("waiting", "reading"):
        st.fragment(_waiting, run_every=SOON)(visit, source.id)
    else:
        source_parts.answer(visit, stored.record)


def _waiting(visit: Visit, source_id: str) -> None:
    try:
        stored = visit.app.archive.get(Look, look_id(source_id), visit.scope)
    except HuiyinError as error:
        show(note("bad", str(error)))
        return
    if stored is None:
        return
    if stored.record.state not in ("waiting", "reading"):
        st.rerun()
    now = Visit(visit.app, visit.actor, visit.app.clock())
    source_parts.answer(now, stored.record)


if __name__ == "__main__":
    room(render)
