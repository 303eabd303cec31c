"""`huiyin analyse` and `huiyin replay`: the rooms wired together for work on files."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alerts import Alerter, Message, Receipt
from archive import open_archive
from archive.base import Archive
from huiyin.app import load_model, open_engine
from huiyin.clock import Clock, system_clock
from huiyin.errors import InputError
from huiyin.records import Analysis, Shift
from huiyin.settings import Settings

if TYPE_CHECKING:
    from nlp.incidents import Learned

Progress = Callable[[int, int | None], None]


def analyse_and_group(
    settings: Settings, source: Path, target: Path, *, groups: bool, explained: bool,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Analyse a JSONL file; with `groups` also write `<target>.groups.jsonl` beside it.

    With `explained` each line says which words spoke for each decision.

    Returns `{read, written, skipped, bad, groups, groups_file}`. Raises `InputError` for a file
    that cannot be read.
    """
    from crawler import masked, read_time
    from nlp import analyse_file
    from nlp.incidents import TextGrouper, write_groups

    grouper = TextGrouper(settings.incidents) if groups else None

    def each(row: Mapping[str, Any], analysis: Analysis) -> None:
        if grouper is not None:
            title = row.get("title")
            grouper.add(
                str(row["id"]), masked(str(row["text"])), masked(title) if title else None,
                read_time(row.get("created_at")), analysis,
            )  # fmt: skip

    report = analyse_file(
        source, target, load_model(settings), region=settings.office.region or None,
        explained=explained, progress=progress, each=each,
    )  # fmt: skip
    groups_file = target.with_name(target.name.removesuffix(".jsonl") + ".groups.jsonl")
    return {
        "read": report.read,
        "written": report.written,
        "skipped": report.skipped,
        "bad": [str(bad) for bad in report.bad],
        "groups": write_groups(grouper.lines(), groups_file) if grouper else 0,
        "groups_file": str(groups_file) if grouper else None,
    }


def replay_stream(
    settings: Settings, source: Path, folder: Path, *, as_collected: bool, progress: Progress,
    tune: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Replay a past stream; returns `{read, posts, incidents, alerts, bad}`.

    With what the office's staff taught, where it has an archive. `tune`: wanted alerts a day; then
    `tuning` says which thresholds give them.
    """
    from crawler import AccountBook, Identity, row_reader
    from nlp.incidents import replay

    if not source.exists():
        raise InputError("没有这个文件", "检查路径", file=str(source))
    # Nothing of a replay stays but its report: author keys need to agree within it only.
    identity = Identity(secrets.token_bytes(32))
    report = replay(
        source, folder, understanding=load_model(settings), settings=settings.incident_rules,
        prepare=row_reader(identity, AccountBook([]), settings.office.id, system_clock()),
        open_archive=open_archive, office=settings.office.id,
        region=settings.office.region or None, alert_step=_AlertStep(settings),
        as_collected=as_collected, progress=progress, learned=_taught(settings), tune=tune,
    )  # fmt: skip
    return {
        "read": report.read,
        "tuning": None if report.tuning is None else asdict(report.tuning),
        "posts": report.posts,
        "incidents": report.incidents,
        "alerts": report.alerts,
        "bad": [f"{bad.file} 第 {bad.line} 行：{bad.reason}" for bad in report.rejected],
    }


def _taught(settings: Settings) -> Learned:
    """What the office's own archive has learned; nothing where there is no archive yet."""
    from archive.options import is_servers
    from nlp.incidents import Learned, learned_from

    url = settings.archive_url
    if not is_servers(url) and not Path(url.removeprefix("sqlite:///")).exists():
        return Learned()
    archive = open_engine(settings, url)
    try:
        return learned_from(archive)
    finally:
        archive.close()


class _AlertStep:
    """The real `Alerter` at a moment of the past, with a channel that goes nowhere."""

    name = "replay"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._now = system_clock()
        self._alerter: Alerter | None = None

    def __call__(self, archive: Archive, now: datetime) -> None:
        self._now = now
        if self._alerter is None:
            always = (now - timedelta(days=36500), now + timedelta(days=36500))
            archive.create(
                Shift(
                    id="shift:replay", person="replay", starts_at=always[0], ends_at=always[1],
                    channels=(self.name,),
                )
            )  # fmt: skip
            self._alerter = Alerter(
                archive, [self], settings=self._settings.alerts, clock=self.clock()
            )
        self._alerter.run_once()

    def clock(self) -> Clock:
        """The moment of the replay."""
        return lambda: self._now

    def send(self, message: Message) -> Receipt:
        """Take the message; the alert's record is what the replay keeps."""
        return Receipt(self.name, message.id, self._now)
