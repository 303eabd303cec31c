"""A folder whose files are imported by themselves, once each.

A file is taken when it has come to rest: two looks, some seconds apart, find the same size and
time, and it is whole as far as its form tells. What was taken is known by its content (SHA-256), so
a copy under another name changes nothing. Imported files move to 已导入 and are removed after some
days, because they hold what the archive has masked. A file that cannot be read stays where it is,
with a report beside it, and is looked at again when it changes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from archive.base import Archive
from crawler.accounts import AccountBook
from crawler.importers import FileReport, import_files
from crawler.importers.files import is_compressed
from crawler.privacy import Identity, masked
from huiyin.clock import Clock
from huiyin.errors import Conflict, InputError
from huiyin.records import Scope, Setting

log = structlog.get_logger("crawler")
EVERYTHING = Scope.everything()
DONE = "已导入"
REPORT = ".报告.txt"
MAPPING = "map.toml"
REST = timedelta(seconds=5)
"""A file that did not change for so long is no longer being copied."""
PATIENCE = timedelta(minutes=10)
"""A file that is still not whole after so long is reported as broken."""
_LEFT_OUT = (".part", ".tmp", ".crdownload", ".partial", ".filepart", ".swp", REPORT, ".toml")
BUNDLE = ".hyb"


@dataclass
class Inbox:
    """One folder with its subfolders. `bundle` takes bundles of another network, if there are."""

    folder: Path
    archive: Archive
    identity: Identity
    accounts: Callable[[], AccountBook]
    office: str
    clock: Clock
    keep_days: int = 7
    bundle: Callable[[Path], FileReport | None] | None = None
    """Takes a bundle; None = its turn has not come (an earlier number is missing)."""
    _looks: dict[Path, tuple[int, int, datetime]] = field(default_factory=dict)
    _refused: dict[Path, tuple[int, int, int]] = field(default_factory=dict)

    def run_once(self) -> list[FileReport]:
        """Look at every file; import those at rest. Raises `ArchiveError`, then nothing is lost."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._tidy()
        reports = []
        for file in sorted(self._files()):
            try:
                if not self._rests(file):
                    continue
                report = self._take(file)
            except FileNotFoundError:  # somebody took it away again
                continue
            if report is not None:
                reports.append(report)
        return reports

    def _files(self) -> Iterator[Path]:
        for file in self.folder.rglob("*"):
            inside = file.relative_to(self.folder).parts
            hidden = any(one.startswith((".", "~$")) for one in inside) or DONE in inside
            if hidden or file.is_symlink() or not file.is_file():
                continue
            if not file.name.endswith(_LEFT_OUT):
                yield file

    # ------------------------------------------------------------ is it whole?

    def _rests(self, file: Path) -> bool:
        stat, now = file.stat(), self.clock()
        size, changed = stat.st_size, stat.st_mtime_ns
        if self._refused.get(file) == (size, changed, _changed(self._mapping(file))):
            return False
        before = self._looks.get(file)
        if before is None or before[:2] != (size, changed):
            self._looks[file] = (size, changed, now)
            return False
        if now - before[2] < REST or size == 0:
            return False
        whole = file.suffix == BUNDLE or _is_whole(file)  # a bundle says so itself
        return whole or now - before[2] >= PATIENCE

    # ------------------------------------------------------------ taking

    def _take(self, file: Path) -> FileReport | None:
        if file.suffix == BUNDLE:
            return self._take_bundle(file)
        mark = f"file:{_digest(file)[:32]}"
        known = self.archive.get(Setting, mark, EVERYTHING)
        if known is not None:
            self._put_away(file)
            return FileReport(file=masked(file.name), reasons=[_line("同样的文件已导入过")])
        mapping = self._mapping(file)
        try:
            (report,) = import_files(
                [file], archive=self.archive, identity=self.identity, accounts=self.accounts(),
                office=self.office, clock=self.clock, mapping=mapping,
                as_of=min(datetime.fromtimestamp(file.stat().st_mtime, self.clock().tzinfo),
                          self.clock()),
            )  # fmt: skip
        except InputError as error:
            return self._refuse(file, mapping, str(error))
        report.file = masked(file.name)
        if report.read and report.skipped >= report.read and not report.new + report.updated:
            return self._refuse(file, mapping, "没有一行读得懂", report)
        value = {"file": report.file, "read": report.read, "new": report.new,
                 "updated": report.updated, "skipped": report.skipped,
                 "at": self.clock().isoformat()}  # fmt: skip
        with suppress(Conflict):  # another host was quicker; importing twice changes nothing
            self.archive.create(Setting(id=mark, value=json.dumps(value, ensure_ascii=False)))
        file.with_name(masked(file.name) + REPORT).unlink(missing_ok=True)
        if report.skipped:
            self._report(file, report, "已导入，有些行读不出来")
        self._put_away(file)
        log.info("file imported", file=report.file, new=report.new, skipped=report.skipped)
        return report

    def _take_bundle(self, file: Path) -> FileReport | None:
        if self.bundle is None:
            return self._refuse(file, None, "没有登记采集站的公钥（collect.stations），没有读")
        try:
            report = self.bundle(file)
        except InputError as error:
            return self._refuse(file, None, str(error))
        if report is not None:
            file.with_name(file.name + REPORT).unlink(missing_ok=True)
            self._put_away(file)
        return report

    def _mapping(self, file: Path) -> Path | None:
        """The mapping file of a table: `map.toml` beside it, for all tables of its folder."""
        beside = file.with_name(MAPPING)
        return beside if beside.is_file() else None

    def _refuse(
        self, file: Path, mapping: Path | None, why: str, report: FileReport | None = None
    ) -> FileReport:
        stat = file.stat()
        self._refused[file] = (stat.st_size, stat.st_mtime_ns, _changed(mapping))
        report = report or FileReport(file=masked(file.name))
        why = masked(why.replace(str(file.parent) + "/", ""))
        report.reasons.insert(0, _line(why))
        self._report(file, report, "没有导入。改好后放回来（或改 map.toml），会自动再读")
        log.warning("file not imported", file=report.file, reason=why)
        return report

    def _report(self, file: Path, report: FileReport, head: str) -> None:
        """A page beside the file that says what is wrong, without a word of its content."""
        lines = [head, f"读到 {report.read} 行，新增 {report.new}，跳过 {report.skipped}"]
        for one in report.reasons:
            lines.append((f"第 {one['line']} 行：" if one["line"] else "") + str(one["reason"]))
        beside = file.with_name(masked(file.name) + REPORT)
        text = "\n".join(lines) + "\n"
        if not beside.is_file() or beside.read_text(encoding="utf-8") != text:
            beside.write_text(text, encoding="utf-8")

    def _put_away(self, file: Path) -> None:
        self._looks.pop(file, None)
        if self.keep_days == 0:
            file.unlink()
            return
        room = self.folder / DONE
        room.mkdir(exist_ok=True)
        target = room / f"{self.clock():%Y%m%d-%H%M%S}-{file.name}"
        for number in range(1000):
            there = target if not number else target.with_name(f"{number}-{target.name}")
            if not there.exists():
                shutil.move(file, there)
                return

    def _tidy(self) -> None:
        """Remove what was imported long ago: by the day in its name, for moving keeps its time."""
        room = self.folder / DONE
        last = (self.clock() - timedelta(days=self.keep_days)).strftime("%Y%m%d-%H%M%S")
        for file in room.glob("*") if room.is_dir() else ():
            name = (
                file.name.partition("-")[2] if len(file.name.partition("-")[0]) < 8 else file.name
            )
            if file.is_file() and name[:15] < last:
                file.unlink()


def _line(reason: str) -> dict[str, object]:
    return {"line": None, "reason": reason}


def _changed(mapping: Path | None) -> int:
    return mapping.stat().st_mtime_ns if mapping else 0


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_whole(file: Path) -> bool:
    """False for a zip without its end and for text that breaks off in a line of JSON."""
    if is_compressed(file):
        with file.open("rb") as stream:
            return stream.read(2) != b"PK" or zipfile.is_zipfile(file)
    with file.open("rb") as stream:
        first = stream.read(1)
        stream.seek(max(0, file.stat().st_size - 65536))
        last = stream.read().rstrip(b"\0 \t\r\n")
    if first in (b"{", b"["):
        return last.endswith((b"}", b"]"))
    return True
