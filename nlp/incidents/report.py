"""The replay's report: one HTML page in Chinese that needs nothing else and works offline."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from archive.base import TIMEZONE
from huiyin.records import Alert, Incident, IncidentState
from huiyin.settings import IncidentSettings
from nlp.incidents.base import Rejected
from nlp.incidents.report_parts import claims_list, told_of, tuned, what_if
from nlp.incidents.story import Moment, Story
from nlp.incidents.tuning import Step, Tuning

ZONE = ZoneInfo(TIMEZONE)
GAP = timedelta(hours=6)
"""A stretch without any post of the whole stream, at least so long, counts as not covered."""
PICTURES = 60
TABLE_ROWS = 2000
REJECTED_ROWS = 100
_BUCKETS = (60, 300, 600, 1800, 3600, 6 * 3600, 86400, 7 * 86400)
_MOST_BARS = 72
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 860, 190, 40, 30, 26
STATES = {
    "emerging": "初现", "active": "活跃", "easing": "趋缓", "closed": "已结束", "merged": "已合并",
}  # fmt: skip

Members = Mapping[str, Sequence[tuple[str, datetime]]]


@dataclass
class Curve:
    """When the stream had posts at all; `add` in time order."""

    posts: int = 0

    first: datetime | None = None
    last: datetime | None = None
    gaps: list[tuple[datetime, datetime]] = field(default_factory=list)

    def add(self, moment: datetime) -> None:
        """One more post of the stream."""
        self.posts += 1
        if self.first is None:
            self.first = moment
        if self.last is not None and moment - self.last >= GAP:
            self.gaps.append((self.last, moment))
        self.last = moment

    @property
    def days(self) -> float:
        """Length of the stream, at least one day."""
        if self.first is None or self.last is None:
            return 1.0
        return max(1.0, (self.last - self.first).total_seconds() / 86400)

    @property
    def hourly(self) -> float:
        """Posts an hour, the mean over the whole stream."""
        return self.posts / (24 * self.days)


@dataclass(frozen=True)
class Detail:
    """What a picture shows beside the record."""

    story: Story | None
    steps: tuple[Step, ...]


def pictured(incidents: Sequence[Incident]) -> list[Incident]:
    """The incidents that get a picture: the alerted ones, then the largest."""
    alive = [one for one in incidents if one.state is not IncidentState.MERGED]
    alerted = [one for one in alive if one.alerted_at is not None]
    rest = sorted(
        (one for one in alive if one.alerted_at is None), key=lambda one: (-one.posts, one.id)
    )
    return [*alerted, *rest][:PICTURES]


def render(
    *,
    name: str,
    incidents: Sequence[Incident],
    members: Members,
    row_ids: Mapping[str, str],
    alerts: Sequence[Alert],
    stream: Curve,
    rejected: Sequence[Rejected],
    read: int,
    settings: IncidentSettings,
    details: Mapping[str, Detail],
    tuning: Tuning | None = None,
) -> str:
    """The whole page. Text from posts is escaped."""
    alive = [one for one in incidents if one.state is not IncidentState.MERGED]
    alerted = [one for one in alive if one.alerted_at is not None]
    shown = pictured(incidents)
    parts = [
        _head(name),
        _totals(incidents, alerted, alerts, stream, rejected, read),
        _rule(settings),
        tuned(tuning) if tuning is not None else "",
        "<h2>事件图</h2>" if shown else "",
        *(
            _card(one, members.get(one.id, ()), row_ids, stream, settings, details[one.id])
            for one in shown
        ),
        _table(incidents),
        _rejected(rejected),
        "</main></body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def clock(moment: datetime) -> str:
    """Local time for people."""
    return moment.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")


def _head(name: str) -> str:
    title = f"事件回放：{escape(name)}"
    return (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{title}</h1>"
    )


def _totals(
    incidents: Sequence[Incident],
    alerted: Sequence[Incident],
    alerts: Sequence[Alert],
    stream: Curve,
    rejected: Sequence[Rejected],
    read: int,
) -> str:
    if stream.first is None or stream.last is None:
        why = "文件里没有可用的帖子" if read else "文件是空的"
        return f'<p class="empty">{why}，因此没有任何事件可报告。读入 {read} 行。</p>'
    days = max(1.0, (stream.last - stream.first).total_seconds() / 86400)
    figures = (
        ("读入行数", f"{read}"),
        ("不可用的行", f"{len(rejected)}"),
        ("事件", f"{len(incidents)}"),
        ("触发告警的事件", f"{len(alerted)}"),
        ("告警记录", f"{len(alerts)}"),
        ("平均每天告警", f"{len(alerted) / days:.2f}"),
    )
    boxes = "".join(f"<div><b>{value}</b><span>{label}</span></div>" for label, value in figures)
    gaps = f"，其中 {len(stream.gaps)} 段超过 6 小时没有任何帖子（图中以斜线表示，不当作零）"
    return (
        f'<section class="totals">{boxes}</section>'
        f"<p>数据时段：{clock(stream.first)} 至 {clock(stream.last)}（北京时间）"
        f"{gaps if stream.gaps else ''}。</p>"
    )


def _rule(settings: IncidentSettings) -> str:
    return (
        f'<p class="note">告警条件：至少 {settings.min_authors} 名独立发布者，且'
        f"新近度 × 增长 × 独立发布者 × 内容严重性 ≥ {settings.min_score:g}。"
        "级别均为系统疑似判断，须由人员依据官方信息确认。</p>"
    )


def _card(
    incident: Incident,
    members: Sequence[tuple[str, datetime]],
    row_ids: Mapping[str, str],
    stream: Curve,
    settings: IncidentSettings,
    detail: Detail,
) -> str:
    def ids(posts: Iterable[str]) -> str:
        return "、".join(escape(row_ids.get(post, post)) for post in posts)

    level = escape(incident.suspected_level or "级别不明")
    facts = [
        ("首帖", clock(incident.first_post_at)),
        ("发现", clock(incident.opened_at)),
        ("告警", clock(incident.alerted_at) if incident.alerted_at else "未告警"),
        ("帖子", f"{incident.posts} 条，{incident.authors} 名独立发布者"),
        ("地点", "、".join(escape(place.name) for place in incident.places) or "未识别"),
    ]
    answer = detail.story.first_answer if detail.story is not None else None
    facts.insert(3, ("官方发声", clock(answer.at) if answer else "没有读到"))
    summary = "".join(
        f"<li>{escape(one.text)} <small>{ids(one.posts)}</small></li>" for one in incident.summary
    )
    claims = claims_list(incident.claims, ids)
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in incident.level_reasons)
    return (
        f'<article class="{"alerted" if incident.alerted_at else "quiet"}">'
        f"<h3>{escape(incident.title)} <em>{level}</em> <i>{STATES[incident.state]}</i></h3>"
        f"{_picture(incident, [moment for _, moment in members], stream, answer)}"
        f"<dl>{''.join(f'<div><dt>{k}</dt><dd>{v}</dd></div>' for k, v in facts)}</dl>"
        f"{'<h4>摘要</h4><ul>' + summary + '</ul>' if summary else ''}"
        f"{claims}"
        f"{told_of(detail.story) if detail.story is not None else ''}"
        f"{what_if(detail.steps, settings)}"
        f"<details><summary>判断理由（最后总分 {incident.score.get('total', 0):.2f}）</summary>"
        f"<ul>{reasons}</ul></details></article>"
    )


def _picture(
    incident: Incident, times: Sequence[datetime], stream: Curve, answer: Moment | None
) -> str:
    if not times:
        return ""
    start = min(times[0], incident.opened_at)
    end = max(times[-1], incident.alerted_at or incident.opened_at)
    length = max(60.0, (end - start).total_seconds())
    width = next((one for one in _BUCKETS if length / one <= _MOST_BARS), None)
    width = width or int(length / _MOST_BARS) + 1
    bars = int(length // width) + 1
    counts = [0] * bars
    for moment in times:
        counts[int((moment - start).total_seconds() // width)] += 1
    scale = (_WIDTH - _LEFT - 10) / (bars * width)

    def x(moment: datetime) -> float:
        return _LEFT + (moment - start).total_seconds() * scale

    top = max(counts)
    base = _HEIGHT - _BOTTOM
    unit = (base - _TOP) / top
    shapes = [
        f'<rect class="bar" x="{_LEFT + place * width * scale:.1f}" y="{base - count * unit:.1f}"'
        f' width="{max(1.0, width * scale - 1):.1f}" height="{count * unit:.1f}"/>'
        for place, count in enumerate(counts)
        if count
    ]
    shapes += _gaps(stream, start, start + timedelta(seconds=bars * width), x, base)
    shapes += _marks(incident, answer, x, base)
    labels = (
        f'<text x="{_LEFT - 6}" y="{_TOP + 4}" text-anchor="end">{top}</text>'
        f'<text x="{_LEFT - 6}" y="{base}" text-anchor="end">0</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{clock(start)}</text>'
        f'<text x="{_WIDTH - 10}" y="{_HEIGHT - 8}" text-anchor="end">{clock(end)}</text>'
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="发帖曲线">'
        '<defs><pattern id="gap" width="6" height="6" patternUnits="userSpaceOnUse">'
        '<path d="M0 6L6 0" class="hatch"/></pattern></defs>'
        f'<line class="axis" x1="{_LEFT}" y1="{base}" x2="{_WIDTH - 10}" y2="{base}"/>'
        f'{"".join(shapes)}{labels}</svg><p class="unit">每柱 {_span(width)}的发帖数</p>'
    )


def _gaps(
    stream: Curve, start: datetime, end: datetime, x: Callable[[datetime], float], base: float
) -> list[str]:
    first = max(0, bisect_right(stream.gaps, start, key=lambda gap: gap[1]) - 1)
    shapes = []
    for left, right in stream.gaps[first:]:
        if left >= end:
            break
        if right > start:
            a, b = x(max(left, start)), x(min(right, end))
            shapes.append(
                f'<rect fill="url(#gap)" x="{a:.1f}" y="{_TOP}" width="{b - a:.1f}"'
                f' height="{base - _TOP:.1f}"><title>这段时间没有任何数据</title></rect>'
            )
    return shapes


def _marks(
    incident: Incident, answer: Moment | None, x: Callable[[datetime], float], base: float
) -> list[str]:
    moments = [("首帖", "first", incident.first_post_at), ("发现", "found", incident.opened_at)]
    if incident.alerted_at is not None:
        moments.append(("告警", "alert", incident.alerted_at))
    if answer is not None:
        moments.append(("官方发声", "answer", answer.at))
    moments.sort(key=lambda one: one[2])
    shapes, taken = [], -100.0
    for label, css, moment in moments:
        place = x(moment)
        taken = max(place, taken + 34)
        shapes.append(
            f'<line class="{css}" x1="{place:.1f}" y1="{_TOP - 8}" x2="{place:.1f}" y2="{base}"/>'
            f'<text class="{css}" x="{min(taken, _WIDTH - 40):.1f}" y="{_TOP - 12}">{label}</text>'
        )
    return shapes


def _span(seconds: int) -> str:
    for unit, name in ((86400, "天"), (3600, "小时"), (60, "分钟")):
        if seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} 秒"


def _table(incidents: Sequence[Incident]) -> str:
    if not incidents:
        return ""
    rows = "".join(
        f"<tr><td>{escape(one.title)}</td><td>{escape(one.suspected_level or '—')}</td>"
        f"<td>{clock(one.opened_at)}</td>"
        f"<td>{clock(one.alerted_at) if one.alerted_at else '—'}</td>"
        f"<td>{one.posts}</td><td>{one.authors}</td><td>{STATES[one.state]}</td></tr>"
        for one in incidents[:TABLE_ROWS]
    )
    left = len(incidents) - TABLE_ROWS
    more = f"<p>另有 {left} 个事件见 incidents.jsonl。</p>" if left > 0 else ""
    return (
        "<h2>全部事件</h2><table><thead><tr><th>标题</th><th>疑似级别</th><th>发现</th>"
        "<th>告警</th><th>帖子</th><th>独立发布者</th><th>状态</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>{more}"
    )


def _rejected(rejected: Sequence[Rejected]) -> str:
    if not rejected:
        return ""
    rows = "".join(
        f"<tr><td>{escape(one.file)}</td><td>{one.line}</td><td>{escape(one.reason)}</td></tr>"
        for one in rejected[:REJECTED_ROWS]
    )
    return (
        f"<h2>不可用的行（{len(rejected)}）</h2><table><thead><tr><th>文件</th><th>行</th>"
        f"<th>原因</th></tr></thead><tbody>{rows}</tbody></table>"
    )


_STYLE = """
body{margin:0;background:#f6f7f9;color:#1f2933;
  font:15px/1.65 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif}
main{max-width:960px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:24px;margin:0 0 16px}
h2{font-size:19px;margin:36px 0 12px}
h3{font-size:17px;margin:0 0 10px}
h4{margin:12px 0 4px;font-size:14px;color:#52606d}
em{font-style:normal;font-size:13px;padding:2px 8px;border-radius:10px;background:#fde8e4;
  color:#a4260f;margin-left:6px}
h3 i{font-style:normal;font-size:13px;color:#52606d}
.totals{display:grid;grid-template-columns:repeat(auto-fit,minmax(120px,1fr));gap:12px}
.totals div{background:#fff;border:1px solid #e4e7eb;border-radius:10px;padding:12px 14px}
.totals b{display:block;font-size:24px}
.totals span,.note,.unit,small{color:#616e7c;font-size:13px}
.unit{margin:0 0 8px 40px}
article{background:#fff;border:1px solid #e4e7eb;border-left:4px solid #9aa5b1;border-radius:10px;
  padding:18px 20px;margin:0 0 18px}
article.alerted{border-left-color:#d64545}
svg{width:100%;height:auto;display:block}
svg text{font-size:12px;fill:#52606d}
.bar{fill:#4c7fd0}
.axis{stroke:#9aa5b1}
.pos{fill:#7fb08a}
.neu{fill:#cbd2d9}
.neg{fill:#c2570c}
.hatch{stroke:#c5ccd4;stroke-width:1}
.first{stroke:#52606d}
.found{stroke:#b7791f}
.answer{stroke:#2f855a;stroke-width:1.6}
svg text.answer{stroke:none;fill:#2f855a}
.alert{stroke:#d64545;stroke-width:1.6}
svg text.first,svg text.found,svg text.alert{stroke:none}
svg text.found{fill:#b7791f}
svg text.alert{fill:#d64545}
dl{display:flex;flex-wrap:wrap;gap:6px 26px;margin:0}
dt{color:#616e7c;font-size:13px}
dd{margin:0}
ul{margin:4px 0;padding-left:20px}
table{width:100%;border-collapse:collapse;background:#fff;font-size:14px}
th,td{border:1px solid #e4e7eb;padding:6px 8px;text-align:left;vertical-align:top}
th{background:#eef1f5}
.empty{background:#fff;border:1px dashed #9aa5b1;border-radius:10px;padding:28px;
  text-align:center}
summary{cursor:pointer;color:#52606d;margin-top:8px}
td{overflow-wrap:anywhere}
"""
