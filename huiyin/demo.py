"""`huiyin demo`: the main job on a local sample platform, each real part in its own process."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from archive import is_servers
from archive.base import Archive
from huiyin.app import ALL, App, open_app
from huiyin.clock import system_clock
from huiyin.commands.common import err, out
from huiyin.errors import Conflict, InputError
from huiyin.records import Account, Alert, AlertState, Draft, Incident, Role
from huiyin.settings import CONFIG_FILE, load_settings
from huiyin.supervise import Supervisor, free_port, stop_on_signals

READY_SECONDS = 120.0
POLL_SECONDS = 0.5
LIVE_SECONDS = 45
PEOPLE = (
    ("nigao", "林拟稿", Role.DRAFTER), ("shenhe", "陈审核", Role.REVIEWER),
    ("zhiban", "赵值班", Role.ON_CALL),
)  # fmt: skip


@dataclass(frozen=True)
class Ports:
    """Loopback ports of the demo's servers; kept so that running again continues."""

    platform: int
    phone: int
    console: int


def run_demo(
    sample: Path | None, home: Path, *, archive: str, fresh: bool, port: int, until_ready: bool
) -> int:
    """Start everything, show progress until the console is usable, wait for Ctrl-C.

    `archive` is the address of the archive, relative to `home` for SQLite. Returns the exit code:
    0, or 1 when it was not ready within two minutes.
    """
    started = time.monotonic()
    folder = (sample or default_sample()).resolve()
    if not folder.is_dir():
        raise InputError(
            f"没有这个样例文件夹：{folder}", "用 --sample 指定，格式见 docs/samples.md"
        )
    home = home.resolve()
    if fresh and is_servers(archive):
        raise InputError(
            "--fresh 不清空服务器上的档案", "在地址后写一个新的前缀，例如 /huiyin-demo-2"
        )
    if fresh and home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    base_time, ports = _state(home, port)
    _write_settings(home, folder, ports, archive)
    app = open_app(load_settings(home), system_clock)
    supervisor = Supervisor(home / "log")
    try:
        with stop_on_signals() as stop:
            # The model takes longest to load, so its process starts before anything else.
            supervisor.start("work", _command("work"), HUIYIN_HOME=str(home))
            passwords = _prepare(app, folder)
            _start(supervisor, home, folder, base_time, ports)
            ready = _follow(app, supervisor, ports, stop.is_set)
            if stop.is_set():
                return 0
            _show(app, ports, passwords, time.monotonic() - started, ready)
            while ready and not until_ready and not stop.wait(1.0):
                for line in supervisor.tend():
                    err.print(f"[yellow]{escape(line)}[/]")
            return 0 if ready else 1
    finally:
        out.print("正在停下全部进程…")
        supervisor.stop()
        app.archive.close()


def default_sample() -> Path:
    """The city that ships with the project."""
    from samples import cities

    return next(iter(cities().values()))


def _state(home: Path, port: int) -> tuple[datetime, Ports]:
    """When the sample's day ends, and the ports: from the last run where they are still free."""
    file = home / "state.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    base = datetime.fromisoformat(kept["base_time"]) if kept else system_clock()
    ports = Ports(
        free_port(kept.get("platform", 0)), free_port(kept.get("phone", 0)), free_port(port)
    )
    state = {"base_time": base.isoformat(), "platform": ports.platform, "phone": ports.phone}
    file.write_text(json.dumps(state), encoding="utf-8")
    return base, ports


def _write_settings(home: Path, sample: Path, ports: Ports, archive: str) -> None:
    from crawler import load_accounts

    accounts = load_accounts(sample / "accounts.json")
    office = accounts[0].unit or accounts[0].name
    lines = [
        "# 由 huiyin demo 写成，每次运行重写。",
        "[office]", f"name = {json.dumps(office, ensure_ascii=False)}",
        "[weibo]", f'url = "http://127.0.0.1:{ports.platform}"', "every_seconds = 8.0",
        "[weibo.tokens]", *(f'"{one.uid}" = "sample-{one.uid}"' for one in accounts),
        "[alerts]", f'webhook = "http://127.0.0.1:{ports.phone}/webhook"',
        "[console]", f"port = {ports.console}",
        "[archive]", f"url = {json.dumps(archive)}", 'spool = "spool"',
        "[secrets]", 'folder = "secrets"',
        "[log]", 'folder = "log"', "",
    ]  # fmt: skip
    (home / CONFIG_FILE).write_text("\n".join(lines), encoding="utf-8")


def _prepare(app: App, sample: Path) -> dict[str, str]:
    """Accounts, people, rota; returns the one-time passwords that still hold, by sign-in name."""
    from alerts import load_rota, save_rota
    from crawler import load_accounts

    app.init()
    for account in load_accounts(sample / "accounts.json"):
        _keep(app.archive, account)
    passwords = {}
    known = {one.id: one for one in app.people.everyone()}
    for person_id, name, role in PEOPLE:
        if person_id not in known:
            passwords[person_id] = app.people.add(
                person_id, name, (role,), ("*",), by="system:demo"
            )
        elif known[person_id].must_change_password:
            passwords[person_id] = app.people.reset(person_id, by="system:demo")
    # The sample's rota names people of that office; in the demo one person takes every turn.
    turns = load_rota(sample / "rota.toml", app.clock)
    taken = {"person": PEOPLE[-1][0], "channels": ("log", "webhook")}
    save_rota(app.archive, [turn.model_copy(update=taken) for turn in turns])
    return passwords


def _keep(archive: Archive, record: Account) -> None:
    try:
        archive.create(record)
    except Conflict:
        archive.change(Account, record.id, ALL, lambda _old: record)


def _start(
    supervisor: Supervisor, home: Path, sample: Path, base_time: datetime, ports: Ports
) -> None:
    python = sys.executable
    supervisor.start(
        "platform",
        [python, "-m", "crawler.sample_platform", "--sample", str(sample),
         "--port", str(ports.platform), "--base-time", base_time.isoformat(),
         "--live-seconds", str(LIVE_SECONDS)],
    )  # fmt: skip
    supervisor.start(
        "phone",
        [python, "-m", "alerts.phone", "--port", str(ports.phone),
         "--out", str(home / "phone.jsonl")],
    )  # fmt: skip
    for name in ("crawl", "watch", "console"):
        supervisor.start(name, _command(name), HUIYIN_HOME=str(home))


def _command(name: str) -> list[str]:
    return [sys.executable, "-m", "huiyin", name]


@dataclass
class Seen:
    """How far the main job has come."""

    posts: int = 0
    analysed: int = 0
    incidents: int = 0
    delivered: int = 0
    drafts: int = 0
    console: bool = False

    def ready(self) -> bool:
        return bool(
            self.console and self.posts and self.analysed >= self.posts and self.incidents
            and self.delivered and self.drafts
        )  # fmt: skip


def _follow(app: App, supervisor: Supervisor, ports: Ports, stopped: Callable[[], bool]) -> bool:
    """Show progress until everything is there. False when stopped or not ready in time."""
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), BarColumn(),
               TextColumn("{task.fields[shown]}"), TimeElapsedColumn())  # fmt: skip
    deadline = time.monotonic() + READY_SECONDS
    # One client: making one costs more than asking.
    with Progress(*columns, console=out) as progress, httpx.Client(timeout=0.5) as client:
        steps = {
            name: progress.add_task(label, total=None, shown="")
            for name, label in (
                ("posts", "采集  样例平台 → 档案"), ("analysed", "理解  情感 意图 类别 紧急 地点"),
                ("incidents", "事件  归组、苗头"), ("delivered", "告警  送到手机"),
                ("drafts", "答复  立案、找依据、拟稿"), ("console", "控制台"),
            )
        }  # fmt: skip
        while not stopped() and time.monotonic() < deadline:
            for line in supervisor.tend():
                progress.print(f"[yellow]{escape(line)}[/]")
            seen = _look(app, ports, client)
            for name, task in steps.items():
                value = int(getattr(seen, name))
                total = max(seen.posts, 1) if name == "analysed" else max(value, 1)
                progress.update(task, completed=value, total=total, shown=str(value))
            if seen.ready():
                return True
            time.sleep(POLL_SECONDS)
    return False


def _look(app: App, ports: Ports, client: httpx.Client) -> Seen:
    counts = app.archive.counts()
    posts = counts.get("posts", 0)
    waiting = app.archive.pending_counts("")["analysis"]
    alerts = [one.record for one in app.archive.records(Alert, ALL)]
    delivered = sum(one.state in {AlertState.SENT, AlertState.ACKNOWLEDGED} for one in alerts)
    return Seen(
        posts=posts, analysed=posts - waiting, incidents=counts.get(Incident.kind, 0),
        delivered=delivered, drafts=counts.get(Draft.kind, 0),
        console=_console_answers(ports, client),
    )  # fmt: skip


def _console_answers(ports: Ports, client: httpx.Client) -> bool:
    try:
        return client.get(f"http://127.0.0.1:{ports.console}/_stcore/health").is_success
    except httpx.HTTPError:
        return False


def _show(app: App, ports: Ports, passwords: dict[str, str], seconds: float, ready: bool) -> None:
    if not ready:
        err.print("[red]两分钟内没有就绪。[/]看日志：" + str(app.settings.path(Path("log"))))
        return
    lines = [f"控制台  [bold]http://127.0.0.1:{ports.console}[/]    （{seconds:.0f} 秒就绪）",
             f"值班手机  http://127.0.0.1:{ports.phone}", ""]  # fmt: skip
    for person_id, name, role in PEOPLE:
        password = passwords.get(person_id)
        shown = (
            f"一次性密码 [bold]{password}[/]" if password else "密码已改过（忘了就 FRESH=1 重来）"
        )
        lines.append(f"{role}  {name}  登录名 [bold]{person_id}[/]  {shown}")
    alerts = [one.record for one in app.archive.records(Alert, ALL)]
    lines += ["", *(f"告警  {escape(one.title)}" for one in alerts[:5])]
    lines += ["", "先看“事件”，再到“诉求”拟稿、换审核员登录批准。Ctrl-C 全部停下。"]
    out.print(Panel("\n".join(lines), title="回音 · 演示", expand=False))
