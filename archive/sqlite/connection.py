"""Connections to one SQLite file: one a thread, short write transactions, our own errors."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from archive.keeping.base import Seal
from archive.schema import migrate
from huiyin.errors import ArchiveBusy, ArchiveError, ArchiveMoved, SchemaError

WAIT_SECONDS = 10.0
"""How long a write waits for other writers before `ArchiveBusy`."""
POLL_SECONDS = 0.001
"""Pause between two tries. SQLite's own busy handler pauses up to 100 ms and so misses the gaps
that bulk writers leave; polling this often costs about 2 % of one core while waiting."""
SWITCH_SECONDS = 60.0
"""How long a write waits for a switch to another archive to end."""
SEAL_POLL_SECONDS = 0.05
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs",
     "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.juicefs"}
)  # fmt: skip

Row = tuple[Any, ...]
_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -32768",  # KiB a connection
    "PRAGMA wal_autocheckpoint = 4000",  # pages of 4 KiB
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA secure_delete = ON",  # freed pages are zeroed; no measurable cost on an import
)


class _Held(threading.local):
    """This thread's connection and the process that opened it."""

    connection: sqlite3.Connection | None = None
    pid: int = 0
    generation: int = 0


class Database:
    """One SQLite file in WAL mode. Safe for threads and processes; forks open their own."""

    def __init__(
        self,
        file: Path,
        *,
        wait_seconds: float = WAIT_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open or make the file and bring its schema up to date.

        Raises `ArchiveError` (folder missing, network file system, not a database), `SchemaError`.
        """
        self.file = file
        self._wait_seconds = wait_seconds
        self._sleep = sleep
        self._monotonic = monotonic
        self._jitter = random.Random()
        self._held = _Held()
        self._generation = 0
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._lock = threading.Lock()
        refuse_network(file)
        with errors():
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ArchiveError(
                    f"不能建立档案文件夹 {file.parent}：{error.strerror}", "检查路径和写权限"
                ) from error
            self._retry(self._prepare)

    def _prepare(self) -> None:
        connection = self.connection()
        if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise ArchiveError("档案所在的磁盘不支持 WAL 日志", "请把档案放在本机磁盘上")
        migrate(connection)

    def connection(self) -> sqlite3.Connection:
        """This thread's own connection."""
        held = self._held
        if (
            held.connection is None
            or held.pid != os.getpid()
            or held.generation != self._generation
        ):
            held.connection = self._connect()
            held.pid, held.generation = os.getpid(), self._generation
        return held.connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.file, timeout=0, isolation_level=None, check_same_thread=False,
            cached_statements=256, factory=_Connection,
        )  # fmt: skip
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        with self._lock:
            self._open.add(connection)
        return connection

    def read(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[Row]:
        """All rows of one statement; no lock is held afterwards."""
        with errors():
            rows: list[Row] = self._retry(
                lambda: self.connection().execute(sql, parameters).fetchall()
            )
            return rows

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Several reads that see one moment of the archive."""
        with errors():
            connection = self.connection()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    @contextmanager
    def write(self, *, through_seal: bool = False) -> Iterator[sqlite3.Connection]:
        """A write transaction: on disk when the block ends, nothing of it when it raises.

        A sealed archive makes it wait or raises `ArchiveMoved`, unless `through_seal`.
        """
        with errors():
            connection = self.connection()
            self._retry(lambda: connection.execute("BEGIN IMMEDIATE"))
            try:
                if not through_seal:
                    self._pass_seal(connection)
                yield connection
                self._retry(lambda: connection.execute("COMMIT"))
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _pass_seal(self, connection: sqlite3.Connection) -> None:
        """Look, inside the write transaction, whether the archive takes writes; wait if it may."""
        end = self._monotonic() + SWITCH_SECONDS
        while (found := seal_of(connection)) is not None:
            if found.state == "moved":
                raise ArchiveMoved(found.to)
            if self._monotonic() >= end:
                raise ArchiveBusy(
                    "档案正在切换，一分钟还没有换完",
                    "等切换完成；切换中断了的话，再运行 huiyin archive switch，或加 --cancel 取消",
                )
            connection.execute("ROLLBACK")
            self._sleep(SEAL_POLL_SECONDS)
            self._retry(lambda: connection.execute("BEGIN IMMEDIATE"))

    def _retry(self, act: Callable[[], Any]) -> Any:
        """Try until nobody else holds the file, at most `wait_seconds`."""
        end: float | None = None
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if not _is_busy(error):
                    raise
                now = self._monotonic()
                end = now + self._wait_seconds if end is None else end
                if now >= end:
                    raise
                self._sleep(POLL_SECONDS * (0.5 + self._jitter.random()))

    def pause(self, seconds: float) -> None:
        """Let waiting writers in between two transactions of a bulk write."""
        self._sleep(seconds)

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            connections = list(self._open)
            self._open.clear()
            self._generation += 1
        for connection in connections:
            connection.close()


class _Connection(sqlite3.Connection):
    """A connection that can be referred to weakly, so that it closes with its thread."""


def seal_of(connection: sqlite3.Connection) -> Seal | None:
    """The seal that the file bears."""
    rows = connection.execute("SELECT value FROM notes WHERE name = 'seal'").fetchall()
    if not rows:
        return None
    value = json.loads(rows[0][0])
    return Seal(value["state"], value["to"], datetime.fromisoformat(value["at"]))


def _is_busy(error: sqlite3.OperationalError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextmanager
def errors() -> Iterator[None]:
    """Turn every error of sqlite3 into one of ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise translated(error) from error


def translated(error: sqlite3.Error) -> ArchiveError:
    """Our error for one of sqlite3's, with what the reader can do about it."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return ArchiveBusy("档案正被其他写入占用", "请稍后再试")
    known = {
        sqlite3.SQLITE_CORRUPT: ("档案文件已损坏", "请停止程序，运行 huiyin doctor，并从备份恢复"),
        sqlite3.SQLITE_NOTADB: ("这个文件不是回音的档案", "检查设置 archive.url 指向的文件"),
        sqlite3.SQLITE_FULL: ("磁盘已满，未能写入", "请清出空间后再试；已确认的内容不受影响"),
        sqlite3.SQLITE_READONLY: ("档案文件只读，未能写入", "检查文件和文件夹的写权限"),
        sqlite3.SQLITE_PERM: ("没有打开档案的权限", "检查文件和文件夹的权限"),
        sqlite3.SQLITE_CANTOPEN: ("打不开档案文件", "检查设置 archive.url 的路径和权限"),
        sqlite3.SQLITE_IOERR: ("读写档案时磁盘出错", "检查磁盘，并运行 huiyin doctor"),
    }
    if primary in known:
        what, mend = known[primary]
        return ArchiveError(f"{what}：{error}", mend)
    if primary == sqlite3.SQLITE_ERROR and "no such" in str(error):
        return SchemaError(f"档案结构不完整：{error}", "运行 huiyin doctor，或从备份恢复")
    return ArchiveError(f"档案出错：{error}", "请运行 huiyin doctor，并把此信息交给管理员")


def refuse_network(file: Path, mounts: Path = Path("/proc/mounts")) -> None:
    """Raise `ArchiveError` when the file would lie on a network file system.

    WAL needs memory shared between processes of one host. Where the kernel lists no mounts (macOS)
    nothing is checked.
    """
    if not mounts.exists():
        return
    target = file.resolve()
    best, kind = Path("/"), ""
    for line in mounts.read_text(errors="replace").splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(fields[1].replace("\\040", " "))
        if target.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, fields[2]
    if kind in NETWORK_FILE_SYSTEMS:
        raise ArchiveError(
            f"档案不能放在网络文件系统上（{best} 是 {kind}）",
            "请把 archive.url 改到本机磁盘；多台主机共用请等待 Elasticsearch 引擎",
        )
