"""Backups: made while everything runs, checked, kept for a year, proved by a restore.

A backup is what the engine's keeper wrote and a manifest beside it (JSON), which is written last:
without it there is no backup. The manifest holds the fingerprint of the author-key secret, never
the secret: with another secret every author would become somebody else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Protocol

from archive.base import Archive
from archive.keeping.copying import Progress, silent
from huiyin.errors import ArchiveError

DAILY, WEEKLY, MONTHLY = 7, 4, 12
PROVE_EVERY = timedelta(days=30)
TOO_OLD = timedelta(hours=26)
SUFFIX = ".json"
FILES = "sqlite"
"""The engine whose backups are files in the folder, whoever removes them."""
_FAILURE = "last-failure.txt"
_PROOF = "last-proof.txt"
"""When a restore was last found equal: it outlives the backup that was proved."""


@dataclass(frozen=True)
class Made:
    """What a keeper wrote."""

    file: str
    """Name in the backup folder, or of the snapshot."""
    bytes: int
    sha256: str
    """Of the file; empty for a snapshot, whose parts the server checks itself."""
    counts: Mapping[str, int]
    """By kind, at the moment of the backup."""
    content: Mapping[str, Sequence[Any]] | None = None
    """Count and checksum by kind, worked out when it is to be proved."""


@dataclass(frozen=True)
class Manifest:
    """A backup."""

    name: str
    engine: str
    program: str
    """Version of huiyin."""
    made_at: datetime
    key_fingerprint: str
    file: str
    bytes: int
    sha256: str
    counts: Mapping[str, int]
    proved_at: datetime | None = None
    """When a restore into a scratch place was found equal."""


class Keeper(Protocol):
    """How one engine is backed up."""

    engine: str

    def make(self, name: str, *, with_content: bool, progress: Progress) -> Made:
        """Write a consistent copy while writers run. Raises `ArchiveError`."""

    def scratch(self, manifest: Manifest) -> AbstractContextManager[Archive]:
        """The backup restored into a place of its own, thrown away afterwards."""

    def same(self, made: Made, restored: Archive) -> list[str]:
        """What is unsound in what came back, or differs from what was backed up."""

    def restore(self, manifest: Manifest, *, force: bool) -> str:
        """Make the backup the archive; says where the one before is kept, if it is."""

    def remove(self, manifest: Manifest) -> None:
        """Delete what `make` wrote."""


class Backups:
    """The backups in one folder."""

    def __init__(self, folder: Path, keeper: Keeper, *, key_fingerprint: str, program: str) -> None:
        self.folder = folder
        self._keeper = keeper
        self._fingerprint = key_fingerprint
        self._program = program

    def make(self, now: datetime, *, prove: bool = False, progress: Progress = silent) -> Manifest:
        """Back up, and prove it if asked. Raises `ArchiveError`; the failure is noted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"huiyin-{now:%Y%m%dT%H%M%S}Z"
        try:
            made = self._keeper.make(name, with_content=prove, progress=progress)
            manifest = Manifest(
                name, self._keeper.engine, self._program, now, self._fingerprint, made.file,
                made.bytes, made.sha256, dict(made.counts),
            )  # fmt: skip
            if prove:
                self._prove(manifest, made)
                manifest = replace(manifest, proved_at=now)
        except ArchiveError as error:
            (self.folder / _FAILURE).write_text(f"{now.isoformat()}\n{error}\n", encoding="utf-8")
            raise
        _write(self.folder / f"{name}{SUFFIX}", manifest)
        if prove:
            (self.folder / _PROOF).write_text(f"{now.isoformat()}\n{name}\n", encoding="utf-8")
        (self.folder / _FAILURE).unlink(missing_ok=True)
        return manifest

    def _prove(self, manifest: Manifest, made: Made) -> None:
        with self._keeper.scratch(manifest) as restored:
            problems = self._keeper.same(made, restored)
        if problems:
            self._keeper.remove(manifest)
            raise ArchiveError(f"恢复出来的与原来的不同：{'；'.join(problems[:5])}", _MEND)

    def all(self) -> list[Manifest]:
        """Newest first."""
        return all_backups(self.folder)

    def find(self, name: str) -> Manifest:
        """By name, or the newest for an empty one. Raises `ArchiveError`."""
        found = self.all()
        for one in found:
            if name in ("", one.name, one.file):
                return one
        known = "、".join(one.name for one in found[:5]) or "一个也没有"
        raise ArchiveError(f"{self.folder} 里没有备份 {name}", f"有的是：{known}")

    def restore(self, manifest: Manifest, *, force: bool = False, other_key: bool = False) -> str:
        """Make a backup the archive again. Raises `ArchiveError` and then changed nothing."""
        if manifest.engine != self._keeper.engine:
            raise ArchiveError(
                f"这个备份是 {manifest.engine} 的，现在的档案是 {self._keeper.engine}",
                "把 archive.url 指向同一种档案，恢复后再用 huiyin archive copy 搬",
            )
        if manifest.key_fingerprint != self._fingerprint and not other_key:
            raise ArchiveError(
                f"备份用的作者密钥（指纹 {manifest.key_fingerprint}）不是现在这把"
                f"（{self._fingerprint or '没有'}）：恢复后同一作者会被当成两人",
                "先把当初另存的 author.key 放回 secrets.folder；确实找不回来才加 --other-key",
            )
        return self._keeper.restore(manifest, force=force)

    def prune(self, zone: tzinfo) -> list[Manifest]:
        """Remove what the rule does not keep; returns it.

        Snapshots on a server that was left by a switch cannot be reached from here, and stay.
        """
        found = self.all()
        kept = kept_by_rule(found, zone)
        ours = {self._keeper.engine, FILES}
        gone = [one for one in found if one not in kept and one.engine in ours]
        for one in gone:
            (self.folder / f"{one.name}{SUFFIX}").unlink(missing_ok=True)
            if one.engine == self._keeper.engine:
                self._keeper.remove(one)
            else:
                (self.folder / one.file).unlink(missing_ok=True)
        return gone

    def prove_due(self, now: datetime) -> bool:
        """True when none was proved for a month."""
        last = last_proof(self.folder)
        return last is None or now - last >= PROVE_EVERY


_MEND = "检查磁盘，运行 huiyin doctor，然后再备份一次"


def all_backups(folder: Path) -> list[Manifest]:
    """The backups that a folder holds, newest first; a manifest that cannot be read is none."""
    found = []
    for file in folder.glob(f"huiyin-*{SUFFIX}"):
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            for name in ("made_at", "proved_at"):
                value[name] = value[name] and datetime.fromisoformat(value[name])
            found.append(Manifest(**value))
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return sorted(found, key=lambda one: one.made_at, reverse=True)


def last_proof(folder: Path) -> datetime | None:
    """When a backup was last restored and found equal; None = never."""
    try:
        return datetime.fromisoformat((folder / _PROOF).read_text().partition("\n")[0])
    except (OSError, ValueError):
        return None


def last_failure(folder: Path) -> str:
    """Why the last backup was not made; empty when it was."""
    try:
        return (folder / _FAILURE).read_text(encoding="utf-8").partition("\n")[2].strip()
    except OSError:
        return ""


def kept_by_rule(found: Sequence[Manifest], zone: tzinfo) -> list[Manifest]:
    """The newest of each of the last 7 days, 4 weeks and 12 months that have one."""
    rules: tuple[tuple[int, Callable[[datetime], tuple[int, ...]]], ...] = (
        (DAILY, lambda at: (at.year, at.month, at.day)),
        (WEEKLY, lambda at: tuple(at.isocalendar())[:2]),
        (MONTHLY, lambda at: (at.year, at.month)),
    )
    kept: dict[str, Manifest] = {}
    ordered = sorted(found, key=lambda one: one.made_at, reverse=True)
    for number, period in rules:
        newest: dict[tuple[int, ...], Manifest] = {}
        for one in ordered:
            newest.setdefault(period(one.made_at.astimezone(zone)), one)
        kept.update((one.name, one) for one in list(newest.values())[:number])
    return [one for one in ordered if one.name in kept]


def _write(file: Path, manifest: Manifest) -> None:
    value = asdict(manifest)
    value["made_at"] = manifest.made_at.isoformat()
    value["proved_at"] = manifest.proved_at and manifest.proved_at.isoformat()
    part = file.with_suffix(".part")
    with part.open("w", encoding="utf-8") as stream:
        json.dump(value, stream, ensure_ascii=False, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)
