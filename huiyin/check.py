"""`huiyin doctor`: looks at every part and says the mend."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from archive.keeping.base import MEND
from archive.keeping.copying import MOVING, noted
from archive.options import is_servers
from huiyin.app import ALL, KEY_SETTING, App
from huiyin.errors import HuiyinError
from huiyin.keeping import backup_folder, backup_state
from huiyin.records import Account, Role, Setting, Shift, Source
from huiyin.secret import author_secret, fingerprint

LEAST_FREE_BYTES = 2 * 1024**3
LONG_SILENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `state`: ok, note (works, but know it) or bad."""

    what: str
    state: str
    found: str
    mend: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, "state": self.state, "found": self.found, "mend": self.mend}


def run_checks(app: App) -> list[Finding]:
    """All findings; a check that itself fails is a finding, never a crash."""
    findings: list[Finding] = []
    for check in (
        _archive, _moving, _backup, _spool, _secret, _model, _categories, _queues, _sources,
        _people, _channels, _disk,
    ):  # fmt: skip
        findings += _guarded(check, app)
    return findings


def _guarded(check: Callable[[App], Iterator[Finding]], app: App) -> list[Finding]:
    try:
        return list(check(app))
    except HuiyinError as error:
        return [Finding(check.__name__.strip("_"), "bad", error.message, error.mend)]


def _archive(app: App) -> Iterator[Finding]:
    problems = app.archive.check()
    counts = app.archive.counts()
    shown = "，".join(f"{kind} {number}" for kind, number in counts.items() if number)
    yield Finding("档案", "ok", f"{app.archive_url}：{shown or '空的'}")
    for problem in problems:
        said, _, mend = problem.partition(MEND)
        yield Finding("档案完整性", "bad", said, mend or "停下全部进程，从最近的备份恢复")


def _moving(app: App) -> Iterator[Finding]:
    for fact in app.archive.health().facts:
        if fact.state != "ok":
            yield Finding(fact.what, fact.state, fact.found, fact.mend)
    sealed = app.archive.sealed()
    if sealed is not None:
        yield Finding(
            "切换", "bad", f"切换到 {sealed.to} 没有做完，写入都在等",
            "再运行 huiyin archive switch；不切了就加 --cancel",
        )  # fmt: skip
    if app.archive_url != app.settings.archive_url:
        yield Finding(
            "档案地址", "note", f"设置里是 {app.settings.archive_url}，已切换到 {app.archive_url}",
            f"把 archive.url 改成 {app.archive_url}；改之前不要删旧的",
        )  # fmt: skip
    moving = noted(app.archive, MOVING)
    if moving is not None:
        found = f"还能退回 {moving['to']}" if moving["back"] else f"正在搬往 {moving['to']}"
        yield Finding("搬迁", "note", found, "不再需要时运行 huiyin archive copy --stop")


def _backup(app: App) -> Iterator[Finding]:
    state, found, mend, _ = backup_state(app.settings, app.clock())
    yield Finding("备份", state, found, mend)
    folder = backup_folder(app.settings)
    if folder is None or is_servers(app.archive_url) or not folder.exists():
        return
    file = Path(app.archive_url.removeprefix("sqlite:///"))
    if file.exists() and file.stat().st_dev == folder.stat().st_dev:
        yield Finding(
            "备份的位置", "note", f"{folder} 与档案在同一块盘上", "盘坏了两样都没有：改到另一块盘"
        )


def _spool(app: App) -> Iterator[Finding]:
    waiting = app.waiting
    if waiting is None:
        return
    size = f"{waiting.bytes / 1024**2:.1f} / {waiting.limit_bytes / 1024**2:.0f} MB"
    yield Finding(
        "本机暂存", "bad",
        f"{waiting.posts} 条帖文和 {waiting.others} 项标注、删除等着写入档案，最早的已等"
        f" {_ago(app.clock(), waiting.since)}，占 {size}；原因：{waiting.reason or '正在写入'}",
        "恢复档案服务器后自动写入，不必做别的；占满前请恢复，或调大 archive.spool_mb",
    )  # fmt: skip
    if waiting.aside:
        yield Finding(
            "被拒的写入", "bad", f"{waiting.aside} 次写入档案三次都没接受，仍存在本机",
            "看日志里的 entry set aside；排除原因后 huiyin doctor --retry-failed",
        )  # fmt: skip


def _secret(app: App) -> Iterator[Finding]:
    folder = app.settings.path(app.settings.secrets.folder)
    mark = fingerprint(author_secret(folder))
    stored = app.archive.get(Setting, KEY_SETTING, ALL)
    if stored is not None and stored.record.value != mark:
        yield Finding(
            "作者密钥", "bad", f"指纹 {mark} 与档案记下的 {stored.record.value} 不同",
            f"把当初的 author.key 放回 {folder}；否则同一作者会被当成两人",
        )  # fmt: skip
    else:
        yield Finding("作者密钥", "ok", f"指纹 {mark}")


def _model(app: App) -> Iterator[Finding]:
    yield Finding("模型", "ok", app.understanding.model)


def _categories(app: App) -> Iterator[Finding]:
    wanted, used = app.category_versions.current(), used_categories(app)
    if used in ("", wanted):
        yield Finding("分类", "ok", wanted)
        return
    yield Finding(
        "分类", "bad", f"启用的是 {wanted}，但它读不出来，或是按另一个模型训练的；现在用 {used}",
        "用原来的 CSV 再运行 huiyin train categories，或 huiyin categories use default",
    )  # fmt: skip


def used_categories(app: App) -> str:
    """The version that the model in use decides by; empty for one without categories."""
    categories = getattr(app.understanding, "categories", None)
    return "" if categories is None else str(categories.name)


def _queues(app: App) -> Iterator[Finding]:
    counts = app.archive.pending_counts(app.understanding.model)
    waiting = f"待分析 {counts['analysis']}，待重做 {counts['reanalysis']}"
    yield Finding("队列", "ok", f"{waiting}，待归事件 {counts['incidents']}")
    failures = [one for one in app.archive.failures(limit=1000) if one.final]
    refused = [one for one in failures if one.stage == "put"]
    if refused:
        last = f"{refused[0].post_id[:60]} {refused[0].reason}"
        yield Finding(
            "存不进的帖文", "bad", f"档案服务器不接受 {len(refused)} 条，最近：{last}",
            "多为来源的数据有误；修好后再导入，或 huiyin doctor --retry-failed",
        )  # fmt: skip
    final = [one for one in failures if one.stage != "put"]
    if final:
        latest = final[0]
        yield Finding(
            "失败的帖文", "bad",
            f"{len(final)} 条三次都没做成，最近：{latest.post_id} {latest.reason}",
            "看日志 var/log/work.log；修好后 huiyin doctor --retry-failed",
        )  # fmt: skip


def _sources(app: App) -> Iterator[Finding]:
    now = app.clock()
    from crawler.sources import known_sources

    sources = known_sources(app.archive, None)
    if not sources:
        yield Finding(
            "来源", "note", "还没有", "设置 weibo.tokens 后 huiyin run；或 huiyin import 文件"
        )
    for source in sources:
        if source.paused:
            yield Finding(f"来源 {source.id}", "note", "人为暂停",
                          "恢复：huiyin source pause --resume")  # fmt: skip
        elif source.state not in {"ok", "new"}:
            grave = "note" if source.incident else "bad"  # a temporary one waits for calls
            what, mend = _trouble(source)
            yield Finding(f"来源 {source.id}", grave, what, mend)
        elif source.last_ok_at and now - source.last_ok_at > LONG_SILENCE:
            yield Finding(
                f"来源 {source.id}", "bad", f"上次读成功在 {_ago(now, source.last_ok_at)}前",
                "看采集进程是否在运行：huiyin run 或 huiyin crawl",
            )  # fmt: skip
    good = sum(one.state == "ok" for one in sources)
    if sources:
        yield Finding("来源", "ok", f"{good}/{len(sources)} 个读得到")


def _trouble(source: Source) -> tuple[str, str]:
    from crawler.health import is_site, parted, standing

    state = standing(source)
    what = parted(source.reason)[0] if is_site(source) else source.reason
    return what or source.state, state.mend if state else "看日志 var/log/crawl.log"


def _people(app: App) -> Iterator[Finding]:
    for role in (Role.DRAFTER, Role.REVIEWER, Role.ON_CALL):
        people = app.with_roles(role)
        if not people:
            yield Finding(
                f"{role}", "note", "一个也没有", f"huiyin user add 登录名 --name 姓名 --role {role}"
            )
    drafters, reviewers = app.with_roles(Role.DRAFTER), app.with_roles(Role.REVIEWER)
    if {one.id for one in drafters} == {one.id for one in reviewers} and len(drafters) == 1:
        yield Finding("双人审核", "bad", "拟稿和审核是同一个人", "再加一名审核员")
    now = app.clock()
    shifts = [one.record for one in app.archive.records(Shift, ALL)]
    current = [one.person for one in shifts if one.starts_at <= now < one.ends_at]
    if current:
        yield Finding("值班", "ok", "、".join(dict.fromkeys(current)))
    else:
        yield Finding(
            "值班", "note", "现在没有排班，告警会发给所有值班员", "huiyin oncall load rota.toml"
        )
    if not app.archive.records(Account, ALL, limit=1):
        yield Finding("官方账号", "note", "还没有", "huiyin account load accounts.json")


def _channels(app: App) -> Iterator[Finding]:
    url = app.settings.alerts.webhook
    if not url:
        yield Finding("告警渠道", "note", "webhook 未设置，告警只写日志", "设置 alerts.webhook")
        return
    try:
        httpx.head(url, timeout=3.0)
        yield Finding("告警渠道", "ok", f"webhook 连得上：{url}")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        yield Finding("告警渠道", "bad", f"webhook 连不上：{error}", "检查地址和网络，或那头的服务")


def _disk(app: App) -> Iterator[Finding]:
    if is_servers(app.archive_url):
        folder = app.settings.path(app.settings.archive.spool)
    else:
        folder = Path(app.archive_url.removeprefix("sqlite:///")).parent
    free = shutil.disk_usage(folder).free
    state = "ok" if free >= LEAST_FREE_BYTES else "bad"
    mend = "" if state == "ok" else "清理磁盘，或把档案移到更大的盘"
    yield Finding("磁盘", state, f"{folder} 还剩 {free / 1024**3:.1f} GB", mend)


def _ago(now: datetime, then: datetime) -> str:
    minutes = int((now - then).total_seconds() // 60)
    return f"{minutes // 60} 小时 {minutes % 60} 分" if minutes >= 60 else f"{minutes} 分钟"
