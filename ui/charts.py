"""Pictures of counts over time. Times without a reading are hatched, never drawn as zero.

No text of a post ever goes into a figure: plotly reads its labels as HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import plotly.graph_objects as go
import streamlit as st

from huiyin.records import Gap
from ui.markup import Markup, div, tag
from ui.style import FONT, GREY, INK
from ui.when import local

STEPS = tuple(
    timedelta(minutes=m)
    for m in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 40320)
)
"""Widths of a bucket that people can read off an axis."""
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
    parts = [(max(gap.starts_at, first), min(gap.ends_at or last, last)) for gap in gaps]
    return sorted((start, end) for start, end in parts if start < end)


def spark(values: Sequence[tuple[datetime, int]], gaps: Sequence[Gap]) -> Markup:
    """A small curve in plain boxes, for lists; buckets in which we could not look are hatched."""
    shown = values[-72:]
    most = max((count for _, count in shown), default=0) or 1
    width = shown[1][0] - shown[0][0] if len(shown) > 1 else timedelta(hours=1)
    bars = []
    for start, count in shown:
        blind = count == 0 and bool(touching(gaps, start, start + width))
        height = max(100 * count / most, 3 if count else 0)
        bars.append(tag("i", cls="gap" if blind else "", style=f"height:{height:.0f}%"))
    return div(bars, cls="hy-spark", title="每小时帖子数")


def timeline(
    data: Curve, *, marks: Sequence[Mark] = (), gaps: Sequence[Gap] = (), height: int = 260,
    key: str,
) -> None:  # fmt: skip
    """Draw a curve with its marks and gaps."""
    if not data.starts:
        return
    figure = go.Figure()
    _hatch(figure, touching(gaps, data.starts[0], data.starts[-1] + data.step))
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


def _bars(figure: go.Figure, data: Curve) -> None:
    labels = [local(start).strftime("%m-%d %H:%M") for start in data.starts]
    figure.add_bar(
        x=[local(start + data.step / 2).replace(tzinfo=None) for start in data.starts],
        y=list(data.counts), width=data.step.total_seconds() * 1000 * 0.92, yaxis="y2",
        marker={"color": "#5b8cc9"}, customdata=labels,
        hovertemplate="%{customdata} 起：%{y} 条<extra></extra>",
    )  # fmt: skip


def _hatch(figure: go.Figure, parts: Sequence[tuple[datetime, datetime]]) -> None:
    for start, end in parts:
        figure.add_bar(
            x=[local(start + (end - start) / 2).replace(tzinfo=None)], y=[1],
            width=(end - start).total_seconds() * 1000,
            marker={"color": "rgba(253,248,228,0.6)", "line": {"width": 0},
                    "pattern": {"shape": "/", "fgcolor": "#ca9a04", "size": 9, "solidity": 0.1}},
            hovertemplate="这段时间没有读到来源，不等于没有内容<extra></extra>",
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
