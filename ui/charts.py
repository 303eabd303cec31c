"""Pictures of counts over time. Times without a reading are hatched, never drawn as zero.

No text of a post ever goes into a figure: plotly reads its labels as HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape

import plotly.graph_objects as go
import streamlit as st

from huiyin.records import Gap
from ui.markup import Markup, div, show, span, tag
from ui.style import FONT, GREY, INK
from ui.when import local

STEPS = tuple(
    timedelta(minutes=m)
    for m in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 40320)
)
"""Widths of a bucket that people can read off an axis."""
MOST_TOLD = 6
"""Hatched stretches that a legend names."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC) - timedelta(hours=8)  # midnight in Shanghai


@dataclass(frozen=True)
class Curve:
    """Counts in buckets of equal width; `starts` are aware times."""

    starts: tuple[datetime, ...]
    counts: tuple[int, ...]
    step: timedelta


@dataclass(frozen=True)
class Mark:
    """A moment worth a line: its name (ours, not a post's words), time and colour."""

    name: str
    at: datetime
    colour: str = INK


def curve(times: Sequence[datetime], *, buckets: int = 60) -> Curve:
    """Count `times` in at most about `buckets` buckets that start at round Shanghai times."""
    if not times:
        return Curve((), (), STEPS[0])
    first, last = min(times), max(times)
    step = next((one for one in STEPS if (last - first) / one <= buckets), STEPS[-1])
    start = _EPOCH + (first - _EPOCH) // step * step
    counts = [0] * ((last - start) // step + 1)
    for at in times:
        counts[(at - start) // step] += 1
    return Curve(tuple(start + n * step for n in range(len(counts))), tuple(counts), step)


def recount(data: Curve, times: Sequence[datetime]) -> Curve:
    """The same buckets, counting only `times`."""
    counts = [0] * len(data.starts)
    for at in times:
        counts[(at - data.starts[0]) // data.step] += 1
    return Curve(data.starts, tuple(counts), data.step)


def touching(
    gaps: Iterable[Gap], first: datetime, last: datetime
) -> list[tuple[datetime, datetime]]:
    """The parts of the gaps that lie in [first, last]; an open gap lasts until `last`."""
    return [(start, end) for start, end, _ in named(gaps, first, last)]


def named(
    gaps: Iterable[Gap], first: datetime, last: datetime
) -> list[tuple[datetime, datetime, str]]:
    """As `touching`, those that overlap made one, with their reasons."""
    parts = [(max(gap.starts_at, first), min(gap.ends_at or last, last), gap.reason)
             for gap in gaps]  # fmt: skip
    found: list[tuple[datetime, datetime, tuple[str, ...]]] = []
    for start, end, reason in sorted(part for part in parts if part[0] < part[1]):
        if found and start <= found[-1][1]:
            before, until, reasons = found[-1]
            both = reasons if reason in reasons else (*reasons, reason)
            found[-1] = (before, max(until, end), both)
        else:
            found.append((start, end, (reason,)))
    return [(start, end, "；".join(reasons)) for start, end, reasons in found]


def legend(gaps: Iterable[Gap], first: datetime, last: datetime) -> Markup:
    """What the hatching means and where it lies, in words: for phones, and for those who hear it.

    Empty when nothing is hatched.
    """
    parts = named(gaps, first, last)
    if not parts:
        return Markup("")
    lines = [div(f"{_times(start, end)}：{why}", cls="hy-small") for start, end, why in
             parts[-MOST_TOLD:]]  # fmt: skip
    more = len(parts) - MOST_TOLD
    return div(
        div(
            span(tag("i", cls="gap"), "斜线：这段时间有来源没有读到，不等于没有人说", cls="hy-key")
        ),
        div(f"更早还有 {more} 段，见“来源”页", cls="hy-muted") if more > 0 else None,
        lines,
        cls="hy-legend",
    )


def said(data: Curve, gaps: Iterable[Gap]) -> str:
    """A curve as a sentence."""
    if not data.starts:
        return "没有帖子"
    end = data.starts[-1] + data.step
    parts = named(gaps, data.starts[0], end)
    blind = "；".join(f"{_times(start, stop)} {why}" for start, stop, why in parts[-MOST_TOLD:])
    counts = f"共 {sum(data.counts)} 条，最多的一格 {max(data.counts)} 条"
    return f"{_times(data.starts[0], end)}，{counts}。" + (
        f"没有读到的时间：{blind}" if parts else "没有漏读的时间"
    )


def _times(start: datetime, end: datetime) -> str:
    one, other = local(start).strftime("%m-%d %H:%M"), local(end).strftime("%m-%d %H:%M")
    if start.year == 1970:
        return f"{other} 之前"
    return f"{one}–{other[6:] if one[:5] == other[:5] else other}"


def spark(values: Sequence[tuple[datetime, int]], gaps: Sequence[Gap]) -> Markup:
    """A small curve in plain boxes, for lists; buckets in which we could not look are hatched."""
    shown = values[-72:]
    most = max((count for _, count in shown), default=0) or 1
    width = shown[1][0] - shown[0][0] if len(shown) > 1 else timedelta(hours=1)
    bars = []
    for start, count in shown:
        why = "；".join(reason for _, _, reason in named(gaps, start, start + width))
        height = max(100 * count / most, 3 if count else 0)
        # what was read stands before the hatching, so that a count is never taken for the whole
        mark = tag("b", style=f"height:{height:.0f}%") if why and count else None
        bars.append(
            tag("i", mark, cls="gap" if why else "", style=f"height:{height:.0f}%",
                title=f"{local(start).strftime('%m-%d %H:%M')} 起：{count} 条"
                + (f"；没有读全：{why}" if why else ""))
        )  # fmt: skip
    if not shown:
        return Markup("")
    whole = Curve(tuple(at for at, _ in shown), tuple(count for _, count in shown), width)
    return div(
        div(bars, cls="hy-spark", label=f"每小时帖子数：{said(whole, gaps)}"),
        div("斜线：这段时间有来源没有读到", cls="hy-muted")
        if touching(gaps, shown[0][0], shown[-1][0] + width) else None,
    )  # fmt: skip


def timeline(
    data: Curve, *, marks: Sequence[Mark] = (), gaps: Sequence[Gap] = (), height: int = 260,
    key: str,
) -> None:  # fmt: skip
    """Draw a curve with its marks and gaps, and say both in words."""
    if not data.starts:
        return
    end = data.starts[-1] + data.step
    figure = go.Figure()
    _hatch(figure, named(gaps, data.starts[0], end))
    _bars(figure, data)
    _lines(figure, marks)
    most = max(data.counts, default=1)
    figure.update_layout(
        height=height, margin={"l": 6, "r": 6, "t": 68 if marks else 10, "b": 6},
        paper_bgcolor="#ffffff", plot_bgcolor="#ffffff", showlegend=False, dragmode=False,
        barmode="overlay", font={"family": FONT, "size": 12, "color": INK},
        # The hatching lies on the lower axis, so the counts are drawn over it.
        yaxis={"range": [0, 1], "visible": False, "fixedrange": True},
        yaxis2={"overlaying": "y", "side": "left", "rangemode": "tozero", "fixedrange": True,
                "gridcolor": "#e6ebf2", "automargin": True, "tickformat": "d",
                "tick0": 0, "dtick": max(1, -(-most // 4))},
        xaxis={"fixedrange": True, "automargin": True, "tickformat": "%H:%M\n%m-%d",
               "linecolor": GREY, "nticks": 6},
    )  # fmt: skip
    st.plotly_chart(
        figure, key=key, theme=None, width="stretch",
        config={"displayModeBar": False, "scrollZoom": False},
    )  # fmt: skip
    show(div("", cls="hy-said", label=said(data, gaps)), legend(gaps, data.starts[0], end))


def _bars(figure: go.Figure, data: Curve) -> None:
    labels = [local(start).strftime("%m-%d %H:%M") for start in data.starts]
    figure.add_bar(
        x=[local(start + data.step / 2).replace(tzinfo=None) for start in data.starts],
        y=list(data.counts), width=data.step.total_seconds() * 1000 * 0.92, yaxis="y2",
        marker={"color": "#5b8cc9"}, customdata=labels,
        hovertemplate="%{customdata} 起：%{y} 条<extra></extra>",
    )  # fmt: skip


def _hatch(figure: go.Figure, parts: Sequence[tuple[datetime, datetime, str]]) -> None:
    for start, end, why in parts:
        figure.add_bar(
            x=[local(start + (end - start) / 2).replace(tzinfo=None)], y=[1],
            width=(end - start).total_seconds() * 1000,
            marker={"color": "rgba(253,248,228,0.6)", "line": {"width": 0},
                    "pattern": {"shape": "/", "fgcolor": "#ca9a04", "size": 9, "solidity": 0.1}},
            customdata=[escape(why)],
            hovertemplate=f"{_times(start, end)} 没有读到，不等于没有内容"
            "<br>%{customdata}<extra></extra>",
        )  # fmt: skip


def _lines(figure: go.Figure, marks: Sequence[Mark]) -> None:
    for position, mark in enumerate(sorted(marks, key=lambda one: one.at)):
        at = local(mark.at).replace(tzinfo=None)
        figure.add_shape(
            type="line", x0=at, x1=at, y0=0, y1=1, yref="paper", layer="above",
            line={"color": mark.colour, "width": 1.6, "dash": "dot"},
        )  # fmt: skip
        figure.add_annotation(
            x=at, y=1.0, yref="paper", yshift=12 + 16 * (position % 3), showarrow=False,
            text=f"{mark.name} {local(mark.at).strftime('%H:%M')}", xanchor="left",
            font={"color": mark.colour, "size": 11}, bgcolor="rgba(255,255,255,0.85)",
        )  # fmt: skip


def bucketed(values: Sequence[tuple[datetime, int]]) -> Curve:
    """A timeline of the archive as a curve (buckets of months are drawn as wide as the first)."""
    if not values:
        return Curve((), (), STEPS[0])
    starts = tuple(start for start, _ in values)
    step = starts[1] - starts[0] if len(starts) > 1 else timedelta(hours=1)
    return Curve(starts, tuple(count for _, count in values), step)
