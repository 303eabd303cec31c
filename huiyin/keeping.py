"""Wires what keeps the archive: backups, the daily chores, and which commands see which archive."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from archive.keeping.backup import (
    TOO_OLD,
    Backups,
    Manifest,
    all_backups,
    last_failure,
    last_proof,
)
from archive.options import ArchiveOptions, is_servers
from huiyin import __version__
from huiyin.errors import ArchiveError, SettingsError
from huiyin.secret import FILE, author_secret, fingerprint
from huiyin.settings import Settings

if TYPE_CHECKING:
    from archive.keeping.backup import Keeper

SHANGHAI = ZoneInfo("Asia/Shanghai")


def backup_folder(settings: Settings) -> Path | None:
    """Where backups lie; None when they are off."""
    return settings.path(Path(settings.backup.folder)) if settings.backup.folder else None


def moving_lock(settings: Settings) -> Path:
    """The file whose lock a copy holds."""
    return settings.home / "var" / "moving.lock"


def key_fingerprint(settings: Settings) -> str:
    """Of the present author-key secret; empty when there is none yet."""
    with suppress(SettingsError):
        return fingerprint(author_secret(settings.path(settings.secrets.folder)))
    return ""


def backups_of(settings: Settings, url: str, folder: Path | None = None) -> Backups:
    """The backups of the archive at `url`. Raises `ArchiveError` when they are off."""
    place = folder or backup_folder(settings)
    if place is None:
        raise ArchiveError("没有设置备份放在哪里", "设置 backup.folder，或用 --to 指定")
    place.mkdir(parents=True, exist_ok=True)
    return Backups(
        place, _keeper(settings, url, place), key_fingerprint=key_fingerprint(settings),
        program=__version__,
    )  # fmt: skip


def archive_options(settings: Settings) -> ArchiveOptions:
    """As `huiyin.app` signs in."""
    from huiyin.app import archive_options as options

    return options(settings)


def _keeper(settings: Settings, url: str, folder: Path) -> Keeper:
    if is_servers(url):
        from archive.keeping.snapshots import SnapshotKeeper

        return SnapshotKeeper(url, archive_options(settings), settings.backup.server_folder)
    from archive.keeping.sqlite_file import SqliteKeeper

    return SqliteKeeper(
        Path(url.removeprefix("sqlite:///")), folder, compress=settings.backup.compress
    )


def installed_at(settings: Settings) -> datetime | None:
    """When `huiyin init` made (or somebody put back) the secret; None before."""
    file = settings.path(settings.secrets.folder) / FILE
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, SHANGHAI)
    except OSError:
        return None


def backup_due(settings: Settings, now: datetime) -> bool:
    """True when the daily moment has passed since the last good backup (or since `init`)."""
    folder = backup_folder(settings)
    if folder is None:
        return False
    found = all_backups(folder)
    since = found[0].made_at if found else installed_at(settings)
    return since is not None and since < _last_moment(settings, now)


def daily_backup(
    settings: Settings, url: str, now: datetime
) -> tuple[Manifest | None, list[Manifest]]:
    """Back up, prove it when a month has passed, remove what the rule does not keep.

    Returns the backup, None when they are off, and what was removed. Raises `ArchiveError`.
    """
    if not settings.backup.folder:
        return None, []
    backups = backups_of(settings, url)
    made = backups.make(now, prove=backups.prove_due(now))
    return made, backups.prune(SHANGHAI)


def _last_moment(settings: Settings, now: datetime) -> datetime:
    local = now.astimezone(SHANGHAI)
    moment = datetime.combine(local.date(), time.fromisoformat(settings.backup.at), SHANGHAI)
    return moment if moment <= local else moment - timedelta(days=1)


def backup_state(settings: Settings, now: datetime) -> tuple[str, str, str, Manifest | None]:
    """(state, found, mend, last good one): state is ok, note or bad, as `doctor` shows it."""
    folder = backup_folder(settings)
    if folder is None:
        return "note", "没有开启", "设置 backup.folder，最好在另一块盘上", None
    found = all_backups(folder)
    last = found[0] if found else None
    why = last_failure(folder)
    after = f"；最近一次没有做成：{why}" if why else ""
    mend = "huiyin archive backup；平时由 huiyin run 每天自动做"
    if last is None:
        fresh = installed_at(settings)
        if not why and (fresh is None or now - fresh <= TOO_OLD):
            return "ok", "刚安装，还没到第一次备份的时候", "", None
        return "bad", f"一份也没有{after}", mend, None
    hours = (now - last.made_at).total_seconds() / 3600
    proved = last_proof(folder)
    shown = f"最近一份 {hours:.0f} 小时前，共 {len(found)} 份，" + (
        f"恢复验证于 {proved.astimezone(SHANGHAI):%Y-%m-%d}" if proved else "还没有验证过能恢复"
    )
    if now - last.made_at > TOO_OLD:
        return "bad", shown + after, mend, last
    return ("bad" if why else "ok"), shown + after, mend if why else "", last
