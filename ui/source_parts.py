"""What a source's card and page are made of: how it is, how fresh it can be, what it covered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from crawler.coverage import Stretch
from crawler.health import is_site, parted
from crawler.managing import TITLES, Outlook
from crawler.temporary import ENDINGS
from crawler.watch_list import WatchList
from huiyin.errors import HuiyinError
from huiyin.records import Incident, Look, Source
from ui import lookup, words
from ui.markup import Markup, div, show, span, tag
from ui.parts import badge, heading, note, row, table
from ui.session import Visit
from ui.when import SHANGHAI, ago, span_words, stamp, when
from ui.words import name_of

COLOURS = {"ok": "green", "new": "blue", "quota": "amber", "slow": "amber", "silent": "amber",
           "paused": "", "ended": ""}  # fmt: skip
MOST_STRETCHES = 60
_STRIP = {"covered": "ok", "caught_up": "late", "unknown": "none"}
ANSWER_AFTER = timedelta(seconds=20)
"""A question that waits longer is not being answered."""


def state_name(source: Source) -> str:
    """`ended`, `paused`, or the state of the record."""
    return "ended" if source.ended_at else "paused" if source.paused else source.state


def temporary(visit: Visit, source: Source) -> Markup | None:
    """Of a temporary search: which incident it follows, what it looks for, and why."""
    if not source.incident:
        return None
    stored = visit.app.archive.get(Incident, source.incident, visit.scope)
    title = stored.record.title if stored else source.incident
    why = f"；{ENDINGS.get(source.ended, '')}" if source.ended else ""
    return div(
        row(badge("临时", "blue"), span(f"跟着事件“{title}”{why}")),
        div(f"找“{source.parameters.get('q', '')}”：{source.why}", cls="hy-small"),
    )


def title_of(source: Source, names: dict[str, str]) -> Markup:
    """Whose it is, what it reads, and which kind it is."""
    said = "，".join(
        name_of(words.ENDPOINT, value)
        for key, value in source.parameters.items()
        if key not in ("uid", "weight") and value
    )
    return row(tag("b", names.get(source.account, source.account)), span(said),
               span(TITLES.get(source.spider, source.spider), cls="hy-muted"))  # fmt: skip


def state_title(source: Source, look: Outlook) -> str:
    """The name of its state; a site is not called the platform."""
    state = state_name(source)
    if is_site(source) and look.state:
        return look.state.title
    return name_of(words.SOURCE_STATE, state)


def trouble(source: Source, look: Outlook) -> tuple[Markup | None, Markup | None]:
    """Why it cannot be read, and what to do."""
    state = state_name(source)
    mend = look.state.mend if look.state else ""
    reason = source.reason
    if is_site(source) and state not in ("new", "paused", "ended"):
        reason = parted(reason)[0]
    else:
        mend = words.SOURCE_MEND.get(state, "") or mend
    return (
        div(f"原因：{reason}") if reason else None,
        div(f"怎么办：{mend}") if mend and state != "ok" else None,
    )


def summary(visit: Visit, source: Source, look: Outlook, names: dict[str, str]) -> Markup:
    """The card of the list."""
    state = state_name(source)
    late = lookup.is_late(source, visit.now, look.plan.night_seconds)
    open_gaps = [gap for gap in source.gaps if gap.caught_up_at is None]
    return div(
        row(badge(state_title(source, look), COLOURS.get(state, "red")),
            badge("很久没有读到", "amber") if late else None),
        title_of(source, names),
        temporary(visit, source),
        div(f"发出后 {look.seen_after}看到 · 额度 {look.quota_words} · "
            f"每天约读 {look.plan.calls_a_day:.0f} 次", cls="hy-small"),
        div(_last(visit, source), cls="hy-small"),
        *trouble(source, look),
        div(f"没看到、还没补上的时间：{len(open_gaps)} 段", cls="hy-small") if open_gaps else None,
        div("采集进程可能没有在运行：请管理员看“系统”页，或运行 huiyin doctor。")
        if late and state == "ok" else None,
        cls="hy-card",
    )  # fmt: skip


def _last(visit: Visit, source: Source) -> str:
    if source.last_ok_at is None:
        return "还没有成功读取过：这个来源里有什么，我们不知道。"
    since = (
        f"，从 {stamp(source.covered_since, visit.now)} 起有记录" if source.covered_since else ""
    )
    return f"最近一次读到：{when(source.last_ok_at, visit.now)}{since}"


def watch_list(visit: Visit, name: str) -> Markup:
    """What a source watches for, as the file says it now; or what is wrong with the file."""
    folder = visit.app.settings.path(visit.app.settings.collect.watch_lists)
    try:
        found = WatchList.load(folder, name)
    except HuiyinError as error:
        return note("warn", f"这台机器上读不了名单 {name}：{error}")
    shown = "、".join(found.places[:8]) + ("……" if len(found.places) > 8 else "")
    return div(
        div(f"{len(found.places)} 个地名、{len(found.words)} 个词、{len(found.units)} 个单位，"
            f"排除 {len(found.without)} 个词；每次搜索问 {len(found.queries)} 次。"),
        div(f"地名：{shown}", cls="hy-small") if shown else None,
        div(f"文件 {folder / name}.toml，改了立即生效。它在档案里会抓到什么："
            f"huiyin source preview --list {name}", cls="hy-muted"),
        cls="hy-card",
    )  # fmt: skip


# ---------------------------------------------------------------- the timeline


def timeline(visit: Visit, stretches: Sequence[Stretch], days: int) -> None:
    """What was covered and what not, as a strip a day and as words."""
    heading("哪些时间看到了，哪些没有")
    start = stretches[0].start if stretches else visit.now
    first = start.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = []
    for number in range(days + 1):
        day = first + timedelta(days=number)
        if day < visit.now:
            lines.append(_day(visit, stretches, day))
    legend = row(*(span(tag("i", cls=cls), name, cls="hy-key")
                   for cls, name in (("ok", "读到了"), ("late", "后来补齐"), ("blind", "没有看到"),
                                     ("none", "还没有开始读"))))  # fmt: skip
    show(div(lines, legend, cls="hy-card"))
    blind = [one for one in stretches if one.state not in ("covered", "unknown")]
    if not blind:
        read = any(one.state == "covered" for one in stretches)
        if read:
            show(note("good", "读到的这些天里没有漏看的时间。"))
        else:
            show(note("info", "这些天里还没有开始读这个来源：有没有人说，我们不知道。"))
        return
    rows = [
        [_between(visit, one), one.title, _why(visit, one)]
        for one in reversed(blind[-MOST_STRETCHES:])
    ]
    show(table(["时间", "情况", "为什么"], rows))
    if len(blind) > MOST_STRETCHES:
        show(div(f"更早还有 {len(blind) - MOST_STRETCHES} 段，把天数调小再看。", cls="hy-muted"))


def _day(visit: Visit, stretches: Sequence[Stretch], day: datetime) -> Markup:
    end = day + timedelta(days=1)
    parts, told = [], []
    for one in stretches:
        start, stop = max(one.start, day), min(one.end, end)
        if start >= stop:
            continue
        left = 100 * ((start - day) / timedelta(days=1))
        width = max(0.4, 100 * ((stop - start) / timedelta(days=1)))
        words_ = f"{_between(visit, one)} {one.title}"
        parts.append(tag("i", cls=_STRIP.get(one.state, "blind"), title=words_,
                         style=f"left:{left:.2f}%;width:{width:.2f}%"))  # fmt: skip
        if one.blind and one.state != "unknown":
            told.append(f"{words_} {one.reason}")
    name = f"{day.month}月{day.day}日"
    said = "；".join(told[:5]) or "没有漏看的时间"
    return div(span(name), div(parts, cls="bar", label=f"{name}：{said}"), cls="hy-cover")


def _between(visit: Visit, one: Stretch) -> str:
    start, end = stamp(one.start, visit.now), stamp(one.end, visit.now)
    if end[:5] == start[:5]:
        end = end[6:]
    return f"{start} 到 {'现在' if one.end >= visit.now else end}"


def _why(visit: Visit, one: Stretch) -> str:
    said = [one.reason] if one.reason else []
    if one.missed and "约" not in one.reason:
        said.append(f"约有 {one.missed} 条没有看到")
    if one.caught_up_at is not None:
        said.append(f"{stamp(one.caught_up_at, visit.now)} 补齐")
    return "；".join(said) or "—"


# ---------------------------------------------------------------- one page, read on trial


def answer(visit: Visit, look: Look) -> None:
    """What the process that collects said to a question."""
    asked = f"{when(look.asked_at, visit.now)}请的试读"
    if look.state in ("waiting", "reading"):
        waits = visit.now - look.asked_at
        show(
            note("info", f"{asked}：{'正在读' if look.state == 'reading' else '等采集进程来读'}……")
        )
        if look.state == "waiting" and waits > ANSWER_AFTER:
            show(note("warn", "采集进程没有来取。请管理员看 huiyin run 是否在运行，"
                      f"或在命令行运行 huiyin source test {look.source}"))  # fmt: skip
    elif look.state == "failed":
        show(note("bad", f"{asked}没有读成：{look.problem}", div(look.mend) if look.mend else None))
    elif look.state == "done":
        _done(visit, look, asked)


def _done(visit: Visit, look: Look, asked: str) -> None:
    total = f"，平台说共有 {look.total:,} 条" if look.total is not None else ""
    show(note("good" if look.posts or not look.bad else "warn",
              f"{asked}：会存下 {len(look.posts)} 条，读不懂 {look.bad} 条{total}。"
              "什么都没有入库，一小时后这里清空。"))  # fmt: skip
    for post in look.posts:
        at = datetime.fromisoformat(post["created_at"])
        show(
            div(
                row(badge(name_of(words.KIND, post["kind"])), span(when(at, visit.now)),
                    span(post["id"], cls="hy-muted")),
                div(post["title"], cls="hy-title") if post["title"] else None,
                div(post["text"], cls="hy-text"),
                cls="hy-card source",
            )
        )  # fmt: skip
    if look.unknown_fields:
        names = "、".join(look.unknown_fields[:12])
        show(div(f"平台多给的、不保存的字段：{names}", cls="hy-muted"))


def facts(visit: Visit, source: Source, look: Outlook) -> Markup:
    """The figures of a source's page."""
    plan, quota = look.plan, look.quota
    pairs = [
        ("最迟看到", look.seen_after),
        ("白天每隔", span_words(plan.day_seconds)),
        ("夜间每隔", span_words(plan.night_seconds)),
        ("每天约读", f"{plan.calls_a_day:.0f} 次"),
        ("额度已用", look.quota_words),
        ("额度恢复", ago(quota.resets_at, visit.now) if quota else "—"),
    ]
    return div(
        [div(span(f"{name}　", cls="hy-muted"), value) for name, value in pairs],
        div(f"编号 {source.id}", cls="hy-muted"),
        cls="hy-card",
    )
