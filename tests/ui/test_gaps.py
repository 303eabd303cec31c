"""What could not be seen is hatched in every chart it touches, with the reason, never zero."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import plotly.graph_objects as go
import pytest

from huiyin.records import Gap, Scope, Source
from tests.ui.conftest import Console, page_html
from tests.ui.seed import INCIDENT
from ui import charts

ALL = Scope.everything()
NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHY = "平台一次只给 2000 条"


def gap(start: float, end: float | None, reason: str) -> Gap:
    ends = None if end is None else NOW - end * HOUR
    return Gap(starts_at=NOW - start * HOUR, ends_at=ends, reason=reason)


def test_overlapping_gaps_are_one_stretch_with_both_reasons() -> None:
    found = charts.named([gap(5, 3, "甲"), gap(4, 2, "乙"), gap(4, 3, "甲"), gap(1, None, "丙")],
                         NOW - 9 * HOUR, NOW)  # fmt: skip
    assert found == [(NOW - 5 * HOUR, NOW - 2 * HOUR, "甲；乙"), (NOW - HOUR, NOW, "丙")]


def test_hatching_is_drawn_whatever_was_counted_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[go.Figure] = []
    shown: list[str] = []
    monkeypatch.setattr(charts.st, "plotly_chart", lambda figure, **_: drawn.append(figure))
    monkeypatch.setattr(charts, "show", lambda *parts: shown.extend(map(str, parts)))
    starts = tuple(NOW - n * HOUR for n in range(6, 0, -1))
    data = charts.Curve(starts, (3, 0, 2, 0, 0, 1), HOUR)
    evil = gap(4.5, 2.5, "<b>停</b>")  # half buckets, one of them with posts
    charts.timeline(data, gaps=[evil], key="x")
    hatched = [bar for bar in drawn[0].data if bar.marker.pattern.shape == "/"]
    assert [bar.width for bar in hatched] == [2 * 3600 * 1000]
    assert list(hatched[0].customdata) == ["&lt;b&gt;停&lt;/b&gt;"]
    counted = [bar for bar in drawn[0].data if bar.marker.pattern.shape is None]
    assert list(counted[0].y) == [3, 0, 2, 0, 0, 1]
    page = "".join(shown)
    assert 'role="img"' in page and "没有读到的时间：11-22 07:30–09:30" in page
    assert "不等于没有人说" in page and "<b>停" not in page
    spark = charts.spark(list(zip(starts, data.counts, strict=True)), [evil])
    assert spark.count('class="gap"') == 3 and "没有读全" in spark and 'role="img"' in spark
    charts.timeline(data, key="y")
    assert not [bar for bar in drawn[1].data if bar.marker.pattern.shape == "/"]
    assert "没有漏读的时间" in shown[-2] and shown[-1] == ""


def plant(console: Console, **update: object) -> None:
    (one, *_) = console.archive.records(Source, ALL)
    console.archive.change(
        Source, one.record.id, ALL, lambda source: source.model_copy(update=update)
    )


def test_the_pages_tell_a_planted_gap(console: Console) -> None:
    now = console.seeded.now
    cut = Gap(starts_at=now - 2 * HOUR, ends_at=now - HOUR, reason=WHY, state="cut_off", missed=40)
    plant(console, gaps=(cut,))
    at = console.sign_in("lin", "incidents", id=INCIDENT)
    html = page_html(at)
    assert f"云州发布：{WHY}，约有 40 条没有看到" in html and "hy-legend" in html
    drawn = json.loads(at.get("plotly_chart")[0].proto.spec)["data"]
    hatched = [bar for bar in drawn if bar["marker"].get("pattern", {}).get("shape") == "/"]
    assert hatched and WHY in hatched[0]["customdata"][0]
    html = page_html(console.sign_in("lin", "incidents"))
    assert 'class="gap"' in html and WHY in html  # the small curves of the list
    at = console.sign_in("lin", "search")
    assert WHY in page_html(at)
    plant(console, gaps=(cut.model_copy(update={"caught_up_at": now}),))
    assert WHY not in page_html(console.sign_in("lin", "incidents", id=INCIDENT))


def test_a_source_that_nobody_reads_any_more_is_hatched_without_a_gap_of_its_own(
    console: Console,
) -> None:
    now = console.seeded.now
    plant(console, gaps=(), last_ok_at=now - 6 * HOUR)
    html = page_html(console.sign_in("lin", "incidents", id=INCIDENT))
    assert "采集进程可能没有在运行" in html
