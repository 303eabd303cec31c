"""来源: where we look, since when, and when we could not."""

from __future__ import annotations

from huiyin.records import Gap, Source
from ui import lookup, words
from ui.markup import Markup, div, show, span, tag
from ui.parts import badge, cards, empty, head, note, row, stats
from ui.session import Visit
from ui.shell import room
from ui.when import ago, span_words, stamp, when
from ui.words import name_of

COLOURS = {"ok": "green", "new": "blue", "quota": "amber"}
SILENT_FACTOR = 3
"""A source that has not been read for this many of its own intervals is called late."""


def render(visit: Visit) -> None:
    """Every source the person may see."""
    head("来源", "我们在看哪里、看到什么时候；没看到的时间写明白，不当成“没有人说”")
    found = lookup.sources(visit)
    if not found:
        empty(
            "还没有来源",
            "在 huiyin.toml 的 [weibo] 写上账号的授权，再运行 huiyin crawl；"
            "其他工具导出的文件用 huiyin import 导入。",
        )
        return
    ok = sum(1 for one in found if one.state == "ok")
    open_gaps = sum(1 for one in found for gap in one.gaps if gap.ends_at is None)
    show(stats([(str(len(found)), "来源"), (str(ok), "正常"), (str(len(found) - ok), "不正常"),
                (str(open_gaps), "此刻没看到的")]))  # fmt: skip
    names = lookup.account_names(visit)
    worst_first = sorted(found, key=lambda one: (one.state == "ok", one.id))
    show(cards(_card(visit, source, names) for source in worst_first))


def _card(visit: Visit, source: Source, names: dict[str, str]) -> Markup:
    account = names.get(source.account, source.account)
    parameters = "，".join(
        name_of(words.ENDPOINT, value) for key, value in source.parameters.items() if key != "uid"
    )
    state = badge(name_of(words.SOURCE_STATE, source.state), COLOURS.get(source.state, "red"))
    late = _late(visit, source)
    return div(
        row(state, badge("很久没有读到", "amber") if late else None,
            tag("b", account), span(parameters), span(source.spider, cls="hy-muted")),
        div(_last(visit, source)),
        div(f"每 {span_words(source.every_seconds)}读一次", cls="hy-small"),
        div(f"原因：{source.reason}") if source.reason else None,
        div(words.SOURCE_MEND[source.state]) if source.state in words.SOURCE_MEND else None,
        [_gap(visit, gap) for gap in reversed(source.gaps[-8:])],
        div(f"更早还有 {len(source.gaps) - 8} 段没看到的时间", cls="hy-muted")
        if len(source.gaps) > 8
        else None,
        cls="hy-card",
    )  # fmt: skip


def _late(visit: Visit, source: Source) -> bool:
    if source.last_ok_at is None:
        return False
    waited = (visit.now - source.last_ok_at).total_seconds()
    return waited > SILENT_FACTOR * max(source.every_seconds, 60.0)


def _last(visit: Visit, source: Source) -> str:
    if source.last_ok_at is None:
        return "还没有成功读取过：这个来源里有什么，我们不知道。"
    since = (
        f"，从 {stamp(source.covered_since, visit.now)} 起有记录" if source.covered_since else ""
    )
    return f"最近一次读到：{when(source.last_ok_at, visit.now)}{since}"


def _gap(visit: Visit, gap: Gap) -> Markup:
    start = stamp(gap.starts_at, visit.now)
    if gap.ends_at is None:
        text = f"{start} 起至今（{ago(gap.starts_at, visit.now)}开始）没有看到：{gap.reason}"
        return note("bad", text)
    long = span_words((gap.ends_at - gap.starts_at).total_seconds())
    text = f"{start} 到 {stamp(gap.ends_at, visit.now)}（{long}）没有看到：{gap.reason}"
    return note("warn", text)


if __name__ == "__main__":
    room(render)
