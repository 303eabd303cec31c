"""系统: what waits, what failed, and what to do about it."""

from __future__ import annotations

from archive.base import Failure, SearchRequest
from huiyin.records import Alert, AlertState, Lease
from ui import words
from ui.markup import Child, div, show
from ui.parts import empty, head, heading, note, stats, table
from ui.session import Visit
from ui.shell import room
from ui.when import when
from ui.words import name_of

COUNTED = {
    "posts": "帖子", "post": "帖子", "incident": "事件", "alert": "预警", "case": "诉求",
    "draft": "草稿", "account": "官方账号", "person": "人员", "shift": "值班班次", "source": "来源",
    "lease": "进程登记", "batch": "事件批次", "setting": "设置",
}  # fmt: skip
QUEUES = {
    "analysis": "等待分析", "reanalysis": "等待重新分析", "incidents": "等待归入事件",
    "failed": "分析失败",
}  # fmt: skip
STAGES = {"analysis": "分析", "incidents": "归入事件"}


def render(visit: Visit) -> None:
    """The state of the whole; details of other offices' posts only for who may see all."""
    head("系统", "积压、失败和进程；更细的检查请管理员运行 huiyin doctor")
    model = _model(visit)
    heading("积压")
    pending = visit.app.archive.pending_counts(model)
    show(stats([(f"{pending.get(key, 0):,}", name) for key, name in QUEUES.items()]))
    if pending.get("analysis", 0) > 1000:
        show(note("warn", "等待分析的超过 1000 条：新帖可能晚一些才出现在“事件”和“诉求”。"
                          "请确认 work 进程在运行。"))  # fmt: skip
    _alerts(visit)
    _failures(visit)
    heading("存档里有什么")
    counts = visit.app.archive.counts()
    show(stats([(f"{count:,}", name_of(COUNTED, kind)) for kind, count in counts.items()]))
    _leases(visit)


def _model(visit: Visit) -> str:
    """The model of the newest analysed posts: the console loads no model to ask for its name."""
    newest = visit.app.archive.search(SearchRequest(limit=50), visit.scope)
    for hit in newest.hits:
        if hit.post.analysis is not None:
            return hit.post.analysis.model
    return ""


def _alerts(visit: Visit) -> None:
    failed = [
        one.record
        for state in (AlertState.FAILED, AlertState.PENDING)
        for one in visit.app.archive.records(Alert, visit.scope, state=state.value, limit=50)
    ]
    if not failed:
        return
    heading("还没有送到的预警")
    rows: list[list[Child]] = [
        [alert.title, name_of(words.ALERT_STATE, alert.state.value),
         when(alert.created_at, visit.now),
         "；".join(sorted({one.error for one in alert.deliveries if one.error})) or "—"]
        for alert in failed
    ]  # fmt: skip
    show(table(["预警", "状态", "产生时间", "原因"], rows))


def _failures(visit: Visit) -> None:
    heading("处理失败的帖子")
    if visit.scope.offices is not None:
        show(div("失败明细涉及全部账号，由可见全部账号的人查看。", cls="hy-muted"))
        return
    failures = visit.app.archive.failures(limit=50)
    if not failures:
        empty("没有处理失败的帖子", "失败三次的帖子会列在这里，不影响其他帖子。")
        return
    rows = [_failure(visit, one) for one in failures]
    show(table(["环节", "帖子", "次数", "原因", "时间"], rows))
    show(div("请管理员排除原因后运行 huiyin doctor --retry-failed。", cls="hy-muted"))


def _failure(visit: Visit, one: Failure) -> list[Child]:
    attempts = f"{one.attempts}{'（不再试）' if one.final else ''}"
    return [name_of(STAGES, one.stage), one.post_id, attempts, one.reason, when(one.at, visit.now)]


def _leases(visit: Visit) -> None:
    leases = visit.app.archive.records(Lease, visit.scope, limit=100)
    if not leases:
        return
    heading("进程登记")
    rows: list[list[Child]] = [
        [one.record.id, one.record.owner, str(one.record.beat)] for one in leases
    ]
    show(table(["工作", "进程", "心跳"], rows))


if __name__ == "__main__":
    room(render)
