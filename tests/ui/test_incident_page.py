"""The incident page: what it tells, and what people do there."""

from __future__ import annotations

from datetime import timedelta

from huiyin.records import Incident, IncidentState, Scope, first_broken_act
from tests.ui.conftest import Console, labels, page_html, press
from tests.ui.seed import INCIDENT

ALL = Scope.everything()
OTHER = "incident:parking"


def record(console: Console, name: str = INCIDENT) -> Incident:
    stored = console.archive.get(Incident, name, ALL)
    assert stored is not None
    return stored.record


def test_it_tells_claims_moments_mood_and_news(console: Console) -> None:
    html = page_html(console.sign_in("wang", "incidents", id=INCIDENT))
    for words in (
        "近一小时新增", "说法（逐条判断，与等级分开）", "情绪走向", "时间线", "官方首次发声",
        "有依据", "有争议", "谣言风险高 0.82", "以前的辟谣", "突发事件等级：未设", "预警：未设",
        "舆情等级：未设",
        "未经人确认，时限未起算", "涉及的账号和部门",
    ):  # fmt: skip
        assert words in html, words
    assert "<script>window.hacked" not in html


def test_confirm_starts_the_clocks(console: Console) -> None:
    at = console.sign_in("wang", "incidents", id=INCIDENT)
    at.text_input(key=f"why-{INCIDENT}").set_value("已问过应急局")
    press(at, "确认属实")
    found = record(console)
    assert found.verdict == "confirmed"
    assert found.verdict_at is not None
    assert found.deadlines == {"answer": found.verdict_at + timedelta(hours=48)}
    assert found.acts[-1].actor == "wang"
    assert found.acts[-1].why == "已问过应急局"
    html = page_html(at)
    assert "已由人确认属实" in html
    assert "王值班 确认属实" in html


def test_dismiss_needs_a_reason(console: Console) -> None:
    at = console.sign_in("wang", "incidents", id=INCIDENT)
    press(at, "不算事件")
    assert "没有说明原因" in page_html(at)
    assert record(console).verdict == ""
    at.text_input(key=f"why-{INCIDENT}").set_value("演练")
    press(at, "不算事件")
    assert record(console).verdict == "dismissed"
    assert "已由人判为不算事件" in page_html(at)


def test_levels_by_source_and_a_lowered_suspicion(console: Console) -> None:
    at = console.sign_in("wang", "incidents", id=INCIDENT)
    at.selectbox(key=f"value-{INCIDENT}-level").set_value("较大")
    press(at, "保存等级")
    assert "要写明出处" in page_html(at)
    at.text_input(key=f"source-{INCIDENT}").set_value("市应急局通报")
    press(at, "保存等级")
    assert record(console).level == "较大"
    assert "突发事件等级：较大" in page_html(at)
    at.selectbox(key=f"lower-{INCIDENT}").set_value("疑似一般")
    at.text_input(key=f"lower-why-{INCIDENT}").set_value("无人受伤")
    press(at, "降级")
    assert record(console).suspected_level == "疑似一般"
    assert "已由人从“疑似较大”降下" in page_html(at)


def test_rename_split_and_merge(console: Console) -> None:
    at = console.sign_in("wang", "incidents", id=INCIDENT)
    at.text_input(key=f"title-{INCIDENT}").set_value("经三路爆管")
    press(at, "保存名称")
    assert record(console).title == "经三路爆管"
    at.multiselect(key=f"posts-{INCIDENT}").set_value(["weibo:4001", "weibo:4002"])
    press(at, "移动")
    made = f"{INCIDENT.split(':')[0]}:weibo:4001~1"
    assert record(console, made).posts == 2
    assert record(console).posts == 21
    at.selectbox(key=f"into-{INCIDENT}").set_value(made)
    press(at, "并入")
    assert record(console).state is IncidentState.MERGED
    assert record(console, made).posts == 23
    assert first_broken_act(record(console).acts) is None
    assert "这个事件已经并入另一个事件" in page_html(at)
    assert "并入" not in labels(at)


def test_a_drafter_sorts_and_does_not_judge(console: Console) -> None:
    at = console.sign_in("lin", "incidents", id=INCIDENT)
    assert "说法（逐条判断" in page_html(at)
    assert {"保存名称", "并入", "移动"} <= set(labels(at))
    assert not {"确认属实", "不算事件", "保存等级", "降级"} & set(labels(at))


def test_another_office_sees_nothing(console: Console) -> None:
    at = console.sign_in("yuan", "incidents", id=INCIDENT)
    assert "经三路" not in page_html(at)
    assert "确认属实" not in labels(at)
