"""`huiyin demo`, `run` and its parts, `console`, `init`, `doctor`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from huiyin.app import open_app, prepare_archive
from huiyin.check import run_checks
from huiyin.chores import Chores
from huiyin.commands.common import Json, opened, out, print_json
from huiyin.errors import InputError
from huiyin.settings import load_settings
from huiyin.supervise import Supervisor, free_port, start_anew, stop_on_signals


def demo(
    sample: Annotated[
        Path | None, typer.Option(help="另一座样例城市的文件夹；默认随附的云渡市。")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="从头来过。")] = False,
    home: Annotated[Path, typer.Option(help="演示的数据放在哪里。")] = Path("var/demo"),
    archive: Annotated[
        str, typer.Option(help="档案的地址；也可以是 http://127.0.0.1:9200/huiyin-demo。")
    ] = "sqlite:///huiyin.db",
    port: Annotated[int, typer.Option(help="控制台端口；被占用就换一个空的。")] = 8501,
    until_ready: Annotated[
        bool, typer.Option("--until-ready", help="一切就绪后自己结束（给测试用）。")
    ] = False,
) -> None:
    """一条命令看全程：样例平台 → 采集 → 理解 → 事件 → 告警 → 控制台。Ctrl-C 全部停下。"""
    from huiyin.demo import run_demo

    code = run_demo(sample, home, archive=archive, fresh=fresh, port=port, until_ready=until_ready)
    raise typer.Exit(code)


def run() -> None:
    """一个单位的全部进程：采集、理解、事件与告警、控制台。Ctrl-C 全部停下。"""
    settings = load_settings()
    with opened() as app:
        app.init()
        if not app.people.everyone():
            raise InputError(
                "还没有人能登录", "先运行 huiyin user add 登录名 --name 姓名 --role 管理员"
            )
    supervisor, chores = Supervisor(settings.path(settings.log.folder)), Chores(settings, app.clock)
    with stop_on_signals() as stop:
        wanted = {"inbox": settings.collect.inbox, "form": settings.form.port,
                  "pictures": settings.pictures.enabled}  # fmt: skip
        doors = [name for name, is_wanted in wanted.items() if is_wanted]
        for name in ("crawl", "work", "watch", "console", *doors):
            supervisor.start(name, [sys.executable, "-m", "huiyin", name])
        console_url = f"http://{settings.console.host}:{settings.console.port}"
        out.print(f"控制台：{console_url}　Ctrl-C 全部停下。")
        while not stop.wait(1.0):
            for line in supervisor.tend() + chores.tend():
                out.print(f"[yellow]{escape(line)}[/]")
    chores.stop()
    supervisor.stop()


def crawl() -> None:
    """只运行采集。"""
    from huiyin import processes

    with stop_on_signals() as stop, opened() as app:
        anew = processes.crawl(app, stop)
    if anew:
        start_anew()


def work() -> None:
    """只运行理解、立案和拟稿。"""
    from huiyin import processes

    with stop_on_signals() as stop, opened() as app:
        anew = processes.work(app, stop)
    if anew:
        start_anew()


def watch() -> None:
    """只运行事件发现和告警。"""
    from huiyin import processes

    with stop_on_signals() as stop, opened() as app:
        anew = processes.watch(app, stop)
    if anew:
        start_anew()


def console(
    port: Annotated[
        int | None, typer.Option(help="端口；默认 console.port，0 = 任一空闲端口。")
    ] = None,
) -> None:
    """只打开控制台（网页）。"""
    from ui.run import console_command, console_environment, console_url

    settings = load_settings()
    chosen = (settings.console.port if port is None else port) or free_port(0)
    out.print(f"控制台：{console_url(settings, chosen)}　Ctrl-C 停下。")
    command = console_command(settings, chosen)
    os.execve(command[0], command, console_environment(settings))


def init(
    plan: Annotated[bool, typer.Option("--plan", help="只说要改什么，什么都不改。")] = False,
) -> None:
    """准备档案和作者密钥，升级档案结构；运行两次与一次相同。"""
    settings = load_settings()

    def say(changes: list[str]) -> None:
        for line in changes:
            out.print(f"{'要' if plan else '正在'}{escape(line)}")
        if plan and not changes:
            out.print("档案没有要改的。")

    changed = prepare_archive(settings, say, only_say=plan)
    if plan:
        return
    app = open_app(settings)
    made = app.init()
    for line in made:
        out.print(f"已建 {escape(line)}")
    if not made and not changed:
        out.print("都已备好，没有改动。")
    if not app.people.everyone():
        out.print("下一步：huiyin user add 登录名 --name 姓名 --role 拟稿员")
    app.archive.close()


def doctor(
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="让存不进或分析失败的帖文重新排队。")
    ] = False,
    json: Json = False,
) -> None:
    """检查每一处，说清毛病和办法。有毛病时退出码为 1。"""
    with opened() as app:
        if retry_failed:
            again = app.retry_waiting() + sum(
                app.archive.clear_failures(stage) for stage in ("put", "analysis", "incidents")
            )
            out.print(f"重新排队 {again} 条。")
        findings = run_checks(app)
    if json:
        print_json([one.as_json() for one in findings])
    else:
        marks = {"ok": "[green]✓[/]", "note": "[cyan]·[/]", "bad": "[red]✗[/]"}
        for one in findings:
            mend = f"\n    → {escape(one.mend)}" if one.mend else ""
            out.print(f"{marks[one.state]} {escape(one.what)}：{escape(one.found)}{mend}")
    if any(one.state == "bad" for one in findings):
        raise typer.Exit(1)
