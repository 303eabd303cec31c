"""What all commands share: opening the app, printing, errors and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from huiyin.app import App, open_app

SHANGHAI = ZoneInfo("Asia/Shanghai")
out = Console()
err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="输出 JSON，给程序读。")]


def print_json(value: Any) -> None:
    """One JSON document on standard output, nothing else."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def shown_time(value: datetime | None) -> str:
    """`2026-11-22 08:30:00` in Asia/Shanghai, or a dash."""
    return value.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S") if value else "—"


@contextmanager
def opened() -> Iterator[App]:
    """The app of the settings in force, closed at the end."""
    app = open_app()
    try:
        yield app
    finally:
        app.archive.close()


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on standard error; call it with (done, total or None when unknown)."""
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, transient=not err.is_terminal) as progress:
        task = progress.add_task(label, total=None)

        def update(done: int, total: int | None = None) -> None:
            progress.update(task, completed=done, total=total)

        yield update


def parse_time(value: str | None, name: str) -> datetime | None:
    """A time a person typed: ISO 8601, without zone = Asia/Shanghai."""
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError as error:
        raise typer.BadParameter(
            f"“{value}”不是时间，例如 2026-11-22 或 2026-11-22T08:30", param_hint=name
        ) from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=SHANGHAI)
