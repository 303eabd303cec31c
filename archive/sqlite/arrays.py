"""Numpy arrays by row number that follow the tables of posts, so that a search reads no wide rows.

Derived and never asked for truth: everything in them can be made again from the tables. Inside a
read transaction they are brought to exactly its moment: rows above the last known one are new, and
the table `touched` (kept by triggers) names the known ones that were written or removed since, by
whichever process.

So that a process need not read a million rows first, the arrays are saved now and then, in a folder
beside the database. A saved folder is never changed: it is mapped copy-on-write, so all processes
share its pages and each keeps its own changes. The note in the database that names the folder is
committed after the folder is on disk, so a kill leaves the old one or the new one; and as the name
is random, a database that came from a backup never meets a folder that is ahead of it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from archive.sqlite.connection import Database, Row
from huiyin.errors import ArchiveError

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
ROWS_AT_ONCE = 20_000
"""Rows read at a time: about 20 MB of Python objects."""
ABOUT = "about.json"
"""Written last, so a folder that has it is whole."""
SAVE_AFTER = 20_000
"""Rows taken in since the last saved folder, and a twentieth of all, before the next is saved."""
UNUSED_SECONDS = 30 * 86400.0
"""Folders (of an old model, of a killed process) that nobody wrote or loaded for so long go."""


class Turn:
    """One thread of a process at a time works with the arrays; a forked child starts its own."""

    def __init__(self) -> None:
        self._lock, self._pid = threading.RLock(), os.getpid()

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Yields True when this process is another than before: arrays may be half written."""
        forked = os.getpid() != self._pid
        if forked:
            self._lock, self._pid = threading.RLock(), os.getpid()
        with self._lock:
            yield forked


class Arrays:
    """What all followers do; a subclass says which arrays, and how rows become their values."""

    VERSION: ClassVar[int] = 1
    """Raised when the arrays of a subclass change: older saved folders are left aside."""

    def __init__(
        self, db: Database, turn: Turn, name: str, specs: Mapping[str, tuple[str, int]]
    ) -> None:
        """`specs`: array -> (dtype, values a row); 1 value gives shape (rows,), k (k, rows)."""
        self._db = db
        self._turn = turn
        self._name = f"{name}-"
        self._note = f"arrays:{name}"
        self._folder = db.file.with_name(f"{db.file.name}-arrays")
        self._specs = specs
        self._may_save = True
        self._clear()

    def _clear(self) -> None:
        self.rows = 1
        """Row numbers below this are known; 0 is no post."""
        self._touch: int | None = None
        """`touched.seq` until which changes are taken in; None = nothing is known yet."""
        self._taken = 0
        self._columns: dict[str, Array] = {name: self._empty(name, 1) for name in self._specs}
        self._restart({})

    # ---- what a subclass says

    def _restart(self, more: Mapping[str, Any]) -> None:
        """Forget, or take from `_more` of a saved folder, what lies beside the arrays."""

    def _more(self) -> dict[str, Any]:
        """What must be saved beside the arrays, as JSON can hold it."""
        return {}

    def _read(self, connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Row]:
        """Rows whose `p.n` fulfils `where`, n first."""
        raise NotImplementedError

    def _fill(self, rows: Sequence[Row], at: Numbers) -> None:
        """Write the values of `rows` at the row numbers `at`; what they held before is zero."""
        raise NotImplementedError

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Called before all rows are read from the tables."""

    def _outgrown(self) -> bool:
        """True when all rows should be read again."""
        return False

    # ---- following

    @contextmanager
    def at(self, connection: sqlite3.Connection) -> Iterator[None]:
        """The arrays at the moment of `connection`'s transaction; other threads wait meanwhile.

        The transaction must not have read before: its moment is then later than that of whoever
        had the arrays last.
        """
        with self._turn.taken() as forked:
            if forked:
                self._clear()
            self._follow(connection)
            yield

    def array(self, name: str) -> Array:
        """The known part of one array, to be read inside `at`."""
        return self._columns[name][..., : self.rows]

    def _follow(self, connection: sqlite3.Connection) -> None:
        [[first, last, newest]] = connection.execute(
            """SELECT ifnull((SELECT min(seq) FROM touched), 0),
                      ifnull((SELECT max(seq) FROM touched), 0),
                      ifnull((SELECT max(n) FROM posts), 0)"""
        ).fetchall()

        def known() -> bool:
            return self._touch is not None and first - 1 <= self._touch <= last

        if not (known() or (self._load(connection) and known())) or self._outgrown():
            self._clear()
            self._touch = last
            self._begin(connection)
        self._take_touched(connection, last)
        self._take_new(connection, newest)

    def _take_touched(self, connection: sqlite3.Connection, last: int) -> None:
        """Read known rows again that were written or removed."""
        if self._touch == last:
            return
        numbers = connection.execute(
            "SELECT DISTINCT n FROM touched WHERE seq > ? AND n < ? ORDER BY n",
            (self._touch, self.rows),
        ).fetchall()
        for start in range(0, len(numbers), ROWS_AT_ONCE):
            part = [n for (n,) in numbers[start : start + ROWS_AT_ONCE]]
            for one in self._columns.values():
                one[..., part] = 0
            wanted = "p.n IN (SELECT value FROM json_each(?))"
            self._put(self._read(connection, wanted, (json.dumps(part),)))
        self._taken += len(numbers)
        self._touch = last

    def _take_new(self, connection: sqlite3.Connection, newest: int) -> None:
        for start in range(self.rows, newest + 1, ROWS_AT_ONCE):
            end = min(start + ROWS_AT_ONCE - 1, newest)
            self._reserve(end + 1)
            self._put(self._read(connection, "p.n BETWEEN ? AND ?", (start, end)))
            self._taken += end + 1 - start
            self.rows = end + 1

    def _put(self, rows: list[Row]) -> None:
        if rows:
            self._fill(rows, np.fromiter((row[0] for row in rows), np.int64, len(rows)))

    def _reserve(self, rows: int) -> None:
        """Make room; a tenth more than asked for, so that a few posts copy nothing."""
        for name, old in self._columns.items():
            if old.shape[-1] < rows:
                new = self._empty(name, rows + rows // 10)
                new[..., : self.rows] = old[..., : self.rows]
                self._columns[name] = new

    def _empty(self, name: str, rows: int) -> Array:
        dtype, width = self._specs[name]
        return np.zeros(rows if width == 1 else (width, rows), dtype)

    # ---- the saved folder

    def _load(self, connection: sqlite3.Connection) -> bool:
        """Map the folder that the note names; False when there is none of use."""
        noted = connection.execute(
            "SELECT value FROM notes WHERE name = ?", (self._note,)
        ).fetchall()
        if not noted:
            return False
        folder = self._folder / str(noted[0][0])
        try:
            about = json.loads((folder / ABOUT).read_text("utf-8"))
            if about["version"] != self.VERSION:
                return False
            self._columns = {
                name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in self._specs
            }
            os.utime(folder)  # it is in use
        except (OSError, ValueError, KeyError):
            return False  # another process saved a newer one just now, or somebody cleaned up
        self.rows, self._touch = about["rows"], about["touch"]
        self._restart(about["more"])
        return True

    def save_if_due(self) -> None:
        """Save when much came since the last time. Outside of transactions.

        Where disk or archive refuse, this process does not try again: nothing depends on it.
        """
        with self._turn.taken() as forked:
            due = self._may_save and self._taken > SAVE_AFTER + self.rows // 20
            if due and not forked:
                try:
                    self._save()
                except (OSError, ArchiveError):
                    self._may_save = False

    def _save(self) -> None:
        current = self._name + secrets.token_hex(8)
        about = {
            "version": self.VERSION, "rows": self.rows, "touch": self._touch, "more": self._more(),
        }  # fmt: skip
        _write(self._folder / current, self._columns, about)
        with self._db.write(through_seal=True) as connection:
            connection.execute(
                "INSERT INTO notes VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2",
                (self._note, current),
            )
        self._taken = 0
        for folder in self._folder.iterdir():
            replaced = folder.name.startswith(self._name) and folder.name != current
            whole = (folder / ABOUT).exists()  # else another process is just writing it
            # who maps a removed file keeps its pages; who wanted to load it reads the tables
            if (replaced and whole) or _age(folder) > UNUSED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _age(folder: Path) -> float:
    """Seconds since somebody wrote or loaded it; 0 when it is gone."""
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _write(folder: Path, columns: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """A new folder that is on disk when this returns."""
    folder.mkdir(parents=True)
    for name, one in columns.items():
        with (folder / f"{name}.npy").open("wb") as file:
            np.save(file, one)
            os.fsync(file.fileno())
    with (folder / ABOUT).open("w", encoding="utf-8") as text:
        json.dump(about, text, ensure_ascii=False)
        text.flush()
        os.fsync(text.fileno())
    for place in (folder, folder.parent):
        handle = os.open(place, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
