"""`huiyin archive`: how it is, copy and switch, back up and restore, expire."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from archive.keeping.backup import Manifest
from archive.keeping.comparing import Row, compare, settle
from archive.keeping.copying import Copier, only_one
from archive.keeping.expiring import Expired, expire
from archive.keeping.sizes import shown_size
from archive.keeping.status import Status, status_of
from archive.keeping.switching import cancel, end_move, follow, switch, target_of
from archive.options import is_servers
from huiyin.app import App, open_engine
from huiyin.commands.common import (
    SHANGHAI,
    Json,
    opened,
    out,
    parse_time,
    print_json,
    progress_bar,
    shown_time,
)
from huiyin.errors import ArchiveError, InputError
from huiyin.keeping import backup_state, backups_of, daily_backup, moving_lock
from huiyin.settings import Settings, load_settings
from huiyin.supervise import stop_on_signals

archive = typer.Typer(help="照看档案：状态、搬迁、切换、备份、恢复、清理。", no_args_is_help=True)

KINDS = {"post": "帖文", "comment": "评论", "repost": "转发", "message": "私信", "notice": "通告"}
QUEUES = {
    "analysis": "待分析", "reanalysis": "待重做", "incidents": "待归事件", "failed": "三次没做成",
}  # fmt: skip
KEPT = {
    "notice": "官方通告", "incident": "未结事件的", "case": "未办结诉求的",
    "deleted": "只剩删除标记的",
}  # fmt: skip
MARKS = {"ok": "[green]✓[/]", "note": "[cyan]·[/]", "bad": "[red]✗[/]"}
FOLLOW_SECONDS = 1.0
SHOWN_DIFFERENCES = 10


# ---------------------------------------------------------------- status


@archive.command()
def status(json: Json = False) -> None:
    """大小、各类各月条数、积压、做不成的、健康、最近一次备份。"""
    with opened() as app:
        found = status_of(app.archive)
        backup = backup_state(app.settings, app.clock())
        waiting = app.waiting
    if json:
        print_json(_status_json(found, backup))
        return
    health = found.health
    out.print(f"[bold]{health.engine}[/]　{escape(health.place)}　{shown_size(health.bytes)}")
    for fact in health.facts:
        mend = f"\n    → {escape(fact.mend)}" if fact.mend else ""
        out.print(f"{MARKS[fact.state]} {fact.what}：{escape(fact.found)}{mend}")
    if waiting is not None:
        out.print(f"{MARKS['bad']} 本机暂存：{waiting.posts} 条帖文等着写入")
    state, shown, mend, _ = backup
    out.print(f"{MARKS[state]} 备份：{escape(shown)}" + (f"\n    → {escape(mend)}" if mend else ""))
    out.print("积压：" + "，".join(f"{QUEUES[key]} {n}" for key, n in found.pending.items()))
    out.print("记录：" + "，".join(f"{kind} {n}" for kind, n in found.counts.items() if n))
    _show_months(found)
    for one in found.failures[:SHOWN_DIFFERENCES]:
        out.print(f"[yellow]{one.stage} 没做成 {escape(one.post_id)}：{escape(one.reason)}[/]")


def _show_months(found: Status) -> None:
    table = Table("月份", *KINDS.values(), "合计")
    for start, kinds in found.months:
        row = [str(kinds.get(kind, 0)) for kind in KINDS]
        table.add_row(start.astimezone(SHANGHAI).strftime("%Y-%m"), *row, str(sum(kinds.values())))
    if found.months:
        out.print(table)
    if found.deleted:
        out.print(f"另有 {found.deleted} 条平台上已删，只剩标记。")


def _status_json(found: Status, backup: tuple[str, str, str, Manifest | None]) -> dict[str, Any]:
    health, (state, shown, mend, last) = found.health, backup
    return {
        "engine": health.engine, "place": health.place, "bytes": health.bytes,
        "facts": [vars(fact) for fact in health.facts],
        "counts": dict(found.counts), "deleted": found.deleted, "pending": dict(found.pending),
        "months": [
            {"month": start.astimezone(SHANGHAI).strftime("%Y-%m"), **kinds}
            for start, kinds in found.months
        ],
        "failures": [
            {"stage": one.stage, "post": one.post_id, "attempts": one.attempts,
             "reason": one.reason, "at": one.at.isoformat()}
            for one in found.failures
        ],
        "backup": {"state": state, "found": shown, "mend": mend,
                   "last": last.made_at.isoformat() if last else None},
    }  # fmt: skip


# ---------------------------------------------------------------- copy and switch


@contextmanager
def _copier(app: App, url: str) -> Iterator[Copier]:
    """From the archive in use to `url`."""
    if url == app.archive_url:
        raise InputError("源和目标是同一个档案", "换一个目标")
    target = open_engine(app.settings, url)
    try:
        yield Copier(app.engine, target, source_url=app.archive_url, target_url=url)
    finally:
        target.close()


def _absolute(app: App, url: str) -> str:
    """A SQLite URL with an absolute path, so that it means the same everywhere."""
    if is_servers(url):
        return url
    if not url.startswith("sqlite:///") or len(url) == len("sqlite:///"):
        raise InputError(f"不认识的档案地址 {url}", "写成 sqlite:///文件路径，或 https://主机:9200")
    return f"sqlite:///{app.settings.path(Path(url.removeprefix('sqlite:///'))).resolve()}"


@archive.command()
def copy(
    to: Annotated[str, typer.Option("--to", help="目标；接着上次的就不用写。")] = "",
    follow: Annotated[
        bool, typer.Option("--follow", help="搬完后一直跟上新写入的，直到切换或 Ctrl-C。")
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="不搬了，或切换后不再需要退回：停止记录改动。")
    ] = False,
    json: Json = False,
) -> None:
    """把档案整个搬进另一处（SQLite 或 Elasticsearch）；可中断后接着搬，最后逐条核对。"""
    with opened() as app:
        if stop:
            end_move(app.engine)
            out.print("已停止记录改动。再搬要从头开始。")
            return
        url = _absolute(app, to) if to else target_of(app.engine, back=False)
        with only_one(moving_lock(app.settings)), _copier(app, url) as copier:
            copier.begin()
            with progress_bar("搬") as progress:
                done = copier.catch_up(progress)
            with progress_bar("核对") as progress:
                rows = compare(
                    copier.source, copier.target, progress=progress, again=copier.catch_up
                )
            settle(copier, rows)
            if json:
                print_json({"to": url, "copied": done, "rows": [_row_json(row) for row in rows]})
            else:
                out.print(f"这次搬了 {done} 条 → {escape(url)}")
                _show_rows(rows)
            if not copier.place.equal:
                raise typer.Exit(1)
            if follow:
                _follow(copier, app)


def _follow(copier: Copier, app: App) -> None:
    """Bring what is written until a switch begins or somebody stops us."""
    out.print("跟着新写入的搬；在另一个窗口运行 huiyin archive switch 切换。Ctrl-C 停下。")
    with stop_on_signals() as stop:
        while not stop.wait(FOLLOW_SECONDS):
            if copier.source.sealed() is not None:
                out.print("切换已开始，由它搬最后一段。")
                return
            brought = copier.catch_up()
            if brought:
                out.print(f"{shown_time(app.clock())}　搬来 {brought} 条")


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "kind": row.kind, "source": row.counts[0], "target": row.counts[1], "equal": row.equal,
        "checksums": [row.checksum(0), row.checksum(1)], "different": sorted(row.different)[:1000],
        "refused": sorted(row.refused)[:1000],
    }  # fmt: skip


def _show_rows(rows: list[Row]) -> None:
    table = Table("种类", "源", "目标", "源校验和", "目标校验和", "")
    for row in rows:
        if any(row.counts):
            table.add_row(
                row.kind, *map(str, row.counts), row.checksum(0), row.checksum(1),
                "[green]一致[/]" if row.equal
                else f"[red]{len(row.different - row.refused)} 条不同[/]",
            )  # fmt: skip
    out.print(table)
    for row in rows:
        for name in sorted(row.different - row.refused)[:SHOWN_DIFFERENCES]:
            out.print(f"[red]不同：{row.kind} {escape(name)}[/]")
        if row.refused:
            out.print(
                f"[yellow]{len(row.refused)} 条目标存不进，已整条另存，没有丢："
                f"{escape('、'.join(sorted(row.refused)[:SHOWN_DIFFERENCES]))}；"
                "切换后看 huiyin doctor[/]"
            )


@archive.command("switch")
def switch_(
    back: Annotated[bool, typer.Option("--back", help="换回切换前的档案，带上之后写的。")] = False,
    cancel_: Annotated[
        bool, typer.Option("--cancel", help="上次切换被打断了：放开旧档案，不切了。")
    ] = False,
) -> None:
    """把读写都换到搬好的档案上，一分钟之内；还有没搬完的就不换。"""
    with opened() as app:
        if cancel_:
            out.print("已放开。" if cancel(app.engine) else "没有被打断的切换。")
            return
        if app.waiting is not None:
            raise ArchiveError(
                f"本机还有 {app.waiting.posts} 条等着写入现在的档案", "等它写完再切换"
            )
        started = time.monotonic()
        url = target_of(app.engine, back=back)
        with _copier(app, url) as copier:
            done = switch(copier, lock=moving_lock(app.settings), now=app.clock)
    out.print(
        f"已切换到 {escape(done.to)}：停写 {done.closed_seconds:.1f} 秒，"
        f"最后搬了 {done.copied} 条，共用 {time.monotonic() - started:.1f} 秒。"
        "运行中的程序会自己换过去。", soft_wrap=True,
    )  # fmt: skip
    if done.to != app.settings.archive_url:
        out.print(
            f"请把设置 archive.url 改成 {escape(done.to)}；改之前旧档案不要删。", soft_wrap=True
        )
    out.print("要退回：huiyin archive switch --back；确定不退了：huiyin archive copy --stop。")


# ---------------------------------------------------------------- backup and restore


@archive.command()
def backup(
    to: Annotated[Path | None, typer.Option("--to", help="文件夹；默认 backup.folder。")] = None,
    prove: Annotated[
        bool, typer.Option("--prove", help="马上恢复到临时的地方，逐条核对。")
    ] = False,
    now: Annotated[bool, typer.Option("--now", help="现在就做（本来就是）。")] = False,
    json: Json = False,
) -> None:
    """做一份备份，不用停下任何程序。"""
    with opened() as app, progress_bar("备份") as progress:
        backups = backups_of(app.settings, app.archive_url, to)
        made = backups.make(app.clock(), prove=prove, progress=progress)
    if json:
        print_json({
            "name": made.name, "file": made.file, "bytes": made.bytes, "sha256": made.sha256,
            "counts": dict(made.counts), "proved": prove,
        })  # fmt: skip
        return
    proved = "，已恢复到临时处核对一致" if prove else ""
    out.print(
        f"已备份 {escape(str(backups.folder / made.file))}（{shown_size(made.bytes)}{proved}）"
    )
    out.print("作者密钥不在备份里：secrets.folder 里的 author.key 请另存一份。")


@archive.command()
def daily() -> None:
    """每天一次的照看：备份、删去规则以外的旧备份、每月验证一次、按 retention.days 清理。"""
    with opened() as app:
        now = app.clock()
        made, gone = daily_backup(app.settings, app.archive_url, now)
        if made is not None:
            out.print(f"{shown_time(now)}　已备份 {made.file}，删去旧的 {len(gone)} 份")
        days = app.settings.retention.days
        if days:
            done = expire(app.engine, now - timedelta(days=days))
            out.print(f"{shown_time(now)}　清理：{_shown_expired(done)}")


@archive.command()
def backups(json: Json = False) -> None:
    """列出备份，新的在前。"""
    settings = load_settings()
    found = backups_of(settings, settings.archive_url).all()
    if json:
        print_json([{"name": one.name, "made_at": one.made_at.isoformat(), "bytes": one.bytes,
                     "counts": dict(one.counts), "proved": one.proved_at is not None}
                    for one in found])  # fmt: skip
        return
    table = Table("名称", "时间", "大小", "帖文", "验证过")
    for one in found:
        table.add_row(one.name, shown_time(one.made_at), shown_size(one.bytes),
                      str(one.counts.get("posts", 0)), shown_time(one.proved_at))  # fmt: skip
    out.print(table)


@archive.command()
def restore(
    name: Annotated[str, typer.Argument(help="备份的名称；不写 = 最近一份。")] = "",
    source: Annotated[Path | None, typer.Option("--from", help="备份文件夹。")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="已有档案也换掉（原来的改名留下）。")
    ] = False,
    other_key: Annotated[
        bool, typer.Option("--other-key", help="作者密钥不同也恢复：同一作者会被当成两人。")
    ] = False,
) -> None:
    """从备份恢复。先停下全部进程。"""
    settings = load_settings()
    backups = backups_of(settings, settings.archive_url, source)
    chosen = backups.find(name)
    _refuse_left(settings)
    kept = backups.restore(chosen, force=force, other_key=other_key)
    out.print(f"已恢复 {chosen.name}（{shown_time(chosen.made_at)}），"
              f"帖文 {chosen.counts.get('posts', 0)} 条。")  # fmt: skip
    if kept:
        out.print(f"原来的档案留在 {escape(kept)}，确认无误后可删。")
    out.print("接着运行 huiyin doctor。")


def _refuse_left(settings: Settings) -> None:
    """Raise `ArchiveError` when the archive that the settings name was left by a switch."""
    file = Path(settings.archive_url.removeprefix("sqlite:///"))
    if not is_servers(settings.archive_url) and not file.exists():
        return
    try:
        url, found = follow(settings.archive_url, lambda one: open_engine(settings, one))
    except ArchiveError:
        return  # it cannot be read: that is what the backup is for
    found.close()
    if url != settings.archive_url:
        raise ArchiveError(f"设置里的档案已切换到 {url}", f"先把 archive.url 改成 {url}，再恢复")


# ---------------------------------------------------------------- retention


@archive.command("expire")
def expire_(
    before: Annotated[str, typer.Option("--before", help="此日以前发的，例如 2025-01-01。")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只数，不删。")] = False,
    json: Json = False,
) -> None:
    """清理过期的帖文，连同词、向量、失败记录；通告、未结事件和诉求的帖文留下，办事记录都留下。"""
    moment = parse_time(before, "--before")
    if moment is None:
        raise InputError("没有写日期", "例如 --before 2025-01-01")
    with opened() as app, progress_bar("清理") as progress:
        if moment > app.clock():
            raise InputError(f"{before} 还没到", "写一个过去的日期")
        done = expire(app.engine, moment, dry_run=dry_run, progress=progress)
    if json:
        print_json({"before": moment.isoformat(), "dry_run": dry_run, "removed": done.removed,
                    "dead_letters": done.letters, "kept": dict(done.kept)})  # fmt: skip
        return
    out.print(("只是数一数，没有删。" if dry_run else "") + _shown_expired(done))


def _shown_expired(done: Expired) -> str:
    kept = "，".join(f"{KEPT[why]} {number}" for why, number in done.kept.items())
    letters = f"，存不进的 {done.letters} 条" if done.letters else ""
    return (
        f"{shown_time(done.before)} 以前的帖文清理 {done.removed} 条{letters}；"
        f"留下：{kept or '没有'}"
    )
