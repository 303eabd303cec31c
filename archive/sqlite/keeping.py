"""Moving, closing and thinning out one file: `archive.keeping.base.Keeping` on SQLite.

What changed is known from a journal of row numbers that triggers write while somebody asked for it
(`track_changes`); otherwise it costs nothing. Write transactions follow one another, so the order
of the journal is the order in which writes became visible.
"""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from typing import Any, TypeVar

from archive.base import Failure, Stored
from archive.keeping.base import NOW, Changed, Fact, Health, Seal, WholePost
from archive.keeping.sizes import shown_size
from archive.merging import COUNTS
from archive.sqlite.connection import Database, Row, seal_of
from archive.sqlite.merge import load, unindex
from archive.sqlite.rows import (
    FROM,
    POST_COLUMNS,
    READ,
    Prepared,
    analysis_json,
    micros,
    moment,
    prepare,
    to_post,
    words_of,
)
from archive.sqlite.states import NEXT, record_row
from archive.sqlite.upkeep import Upkeep
from archive.sqlite.writing import (
    in_parts,
    insert_posts,
    known_rows,
    last_row,
    write_analysis,
)
from huiyin.errors import ArchiveError
from huiyin.records import Post, StateRecord

R = TypeVar("R", bound=StateRecord)

AT_ONCE = 250
"""Posts in a transaction, so that it stays short."""
MUCH_FREE = 0.25
_TIMES = tuple(f"{name}_at" for name in COUNTS)
_WHOLE = f"{READ}, {', '.join(f'p.{name}' for name in _TIMES)}"
_TRACK = (
    "CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL)",
    """CREATE TRIGGER note_new AFTER INSERT ON posts
       BEGIN INSERT INTO changes(n) VALUES (new.n); END""",
    """CREATE TRIGGER note_changed AFTER UPDATE ON posts
       BEGIN INSERT INTO changes(n) VALUES (new.n); END""",
)
_FORGET = (
    "DROP TRIGGER IF EXISTS note_new",
    "DROP TRIGGER IF EXISTS note_changed",
    "DROP TABLE IF EXISTS changes",
)


class Keep:
    """`track_changes`, `changed_*`, `restore_*`, `remove_posts`, `seal`, `sealed`, `health`."""

    _db: Database
    _upkeep: Upkeep

    # ---- what changed

    def track_changes(self, on: bool) -> None:
        with self._db.write(through_seal=True) as connection:
            if (_journal(connection) is not None) == on:
                return
            for statement in _TRACK if on else _FORGET:
                connection.execute(statement)
            if on:
                _note(connection, "journal", uuid.uuid4().hex)
            else:
                connection.execute("DELETE FROM notes WHERE name = 'journal'")

    def changed_posts(self, position: str, *, limit: int) -> Changed[WholePost]:
        with self._db.snapshot() as connection:
            at = _position(connection, position, "SELECT max(seq) FROM changes")
            if at["scanned"] is not None:
                rows = connection.execute(
                    f"SELECT {_WHOLE} FROM {FROM} WHERE p.n > ? ORDER BY p.n LIMIT ?",
                    (at["scanned"], limit),
                ).fetchall()
                # at the end of the rows the journal takes over; it began before the scan did
                at["scanned"] = rows[-1][0] if len(rows) == limit else None
            else:
                rows = _journalled(connection, at, limit)
            left = _left(connection, at)
        return Changed(tuple(map(_whole, rows)), json.dumps(at), left)

    def changed_records(self, kind: type[R], position: str, *, limit: int) -> Changed[Stored[R]]:
        with self._db.snapshot() as connection:
            at = _position(connection, position, "SELECT max(written) FROM records")
            rows = connection.execute(
                """SELECT body, version, written FROM records WHERE kind = ? AND written > ?
                   ORDER BY written LIMIT ?""",
                (kind.kind, at["seq"], limit + 1),
            ).fetchall()
        more, rows = len(rows) > limit, rows[:limit]
        if rows:
            at["seq"] = rows[-1][2]
        items = tuple(Stored(kind.model_validate_json(body), version) for body, version, _ in rows)
        return Changed(items, json.dumps(at), int(more))

    # ---- bringing in whole posts and records

    def restore_posts(self, posts: Sequence[WholePost]) -> int:
        written = 0
        for part in in_parts(posts, AT_ONCE):
            rows = [(one, _prepared(one)) for one in part]
            with_words = [(one, row, words_of(row)) for one, row in rows]
            with self._db.write(through_seal=True) as connection:
                written += _restore(connection, with_words)
        return written

    def restore_records(self, records: Sequence[Stored[StateRecord]]) -> None:
        for part in in_parts(records, AT_ONCE):
            rows = [
                (one.record.kind, one.record.id, _version(one), *record_row(one.record))
                for one in part
            ]
            with self._db.write(through_seal=True) as connection:
                connection.executemany(
                    f"""INSERT INTO records VALUES (?1, ?2, ?3, {NEXT}, ?4, ?5, ?6, ?7)
                        ON CONFLICT (kind, id) DO UPDATE SET version = max(?3, version + 1),
                            written = {NEXT}, state = ?4, ref = ?5, offices = ?6, body = ?7""",
                    rows,
                )

    def restore_failures(self, failures: Sequence[Failure]) -> None:
        with self._db.write(through_seal=True) as connection:
            connection.execute("DELETE FROM failures")
            connection.executemany(
                "INSERT INTO failures VALUES (?,?,?,?,?)",
                [(one.stage, one.post_id, one.attempts, one.reason, micros(one.at))
                 for one in failures],
            )  # fmt: skip

    def remove_posts(self, ids: Sequence[str]) -> int:
        removed = 0
        for part in in_parts(ids, AT_ONCE):
            with self._db.write() as connection:
                for n, post_id in known_rows(connection, part):
                    _remove(connection, n, load(connection, n))
                    connection.execute("DELETE FROM failures WHERE post_id = ?", (post_id,))
                    removed += 1
                connection.executemany(
                    "DELETE FROM dead_letters WHERE id = ?", [(one,) for one in part]
                )
        if removed:
            self._upkeep.purge_soon()
        return removed

    # ---- closing, and how it is

    def seal(self, seal: Seal | None) -> None:
        with self._db.write(through_seal=True) as connection:
            if seal is None:
                connection.execute("DELETE FROM notes WHERE name = 'seal'")
            else:
                value = {"state": seal.state, "to": seal.to, "at": seal.at.isoformat()}
                _note(connection, "seal", json.dumps(value))

    def sealed(self) -> Seal | None:
        with self._db.snapshot() as connection:
            return seal_of(connection)

    def health(self) -> Health:
        file = self._db.file
        log = file.with_name(file.name + "-wal")
        sizes = [one.stat().st_size if one.exists() else 0 for one in (file, log)]
        [[pages]] = self._db.read("PRAGMA page_count")
        [[free]] = self._db.read("PRAGMA freelist_count")
        [[size]] = self._db.read("PRAGMA page_size")
        much = pages > 0 and free / pages > MUCH_FREE and free * size > 100 * 1024**2
        return Health("SQLite", str(file), sum(sizes), (
            Fact("档案文件", "ok", shown_size(sizes[0])),
            Fact("写前日志", "ok", shown_size(sizes[1])),
            Fact(
                "空页", "note" if much else "ok",
                f"{free} 页（{shown_size(free * size)}），以后的写入会用掉",
                "想还给磁盘：停下全部进程，huiyin archive copy 到新文件后切换" if much else "",
            ),
        ))  # fmt: skip


def _version(stored: Stored[StateRecord]) -> int:
    """Versions of a server say more than a number of this file can hold: they begin anew."""
    return stored.version if stored.version < 2**62 else 1


def _journal(connection: sqlite3.Connection) -> str | None:
    rows = connection.execute("SELECT value FROM notes WHERE name = 'journal'").fetchall()
    return str(rows[0][0]) if rows else None


def _note(connection: sqlite3.Connection, name: str, value: Any) -> None:
    connection.execute("INSERT OR REPLACE INTO notes VALUES (?,?)", (name, value))


def _position(connection: sqlite3.Connection, position: str, newest: str) -> dict[str, Any]:
    """`journal`, `scanned` (row number; None when all rows were read), `seq` (done until)."""
    journal = _journal(connection)
    if journal is None:
        raise ArchiveError("档案没有在记录改动", "先运行 huiyin archive copy")
    if position == NOW:
        [[seq]] = connection.execute(newest).fetchall()
        return {"journal": journal, "scanned": None, "seq": seq or 0}
    at: dict[str, Any] = json.loads(position) if position else {}
    if at.get("journal") == journal:
        return at
    return {"journal": journal, "scanned": 0, "seq": 0}


def _journalled(connection: sqlite3.Connection, at: dict[str, Any], limit: int) -> list[Row]:
    """Rows that the journal names after `at`, which moves on."""
    noted = connection.execute(
        "SELECT seq, n FROM changes WHERE seq > ? ORDER BY seq LIMIT ?", (at["seq"], limit)
    ).fetchall()
    if not noted:
        return []
    at["seq"] = noted[-1][0]
    numbers = sorted({n for _, n in noted})
    marks = ",".join("?" * len(numbers))
    return connection.execute(
        f"SELECT {_WHOLE} FROM {FROM} WHERE p.n IN ({marks}) ORDER BY p.n", numbers
    ).fetchall()


def _left(connection: sqlite3.Connection, at: dict[str, Any]) -> int:
    [[rows, noted]] = connection.execute(
        "SELECT (SELECT max(n) FROM posts), (SELECT max(seq) FROM changes)"
    ).fetchall()
    left = (noted or 0) - at["seq"]
    if at["scanned"] is not None:
        left += max(1, (rows or 0) - at["scanned"])
    return int(left)


def _whole(row: Row) -> WholePost:
    reposts, comments, likes = (None if at is None else moment(at) for at in row[-len(_TIMES) :])
    return WholePost(to_post(row[: -len(_TIMES)]), (reposts, comments, likes))


def _prepared(one: WholePost) -> Prepared:
    """The rows of a post, each count with its own time."""
    prepared = prepare(one.post)
    columns = list(prepared.columns)
    for name, at in zip(_TIMES, one.counted_at, strict=True):
        columns[POST_COLUMNS.index(name) - 1] = None if at is None else micros(at)
    return prepared._replace(columns=tuple(columns))


def _restore(
    connection: sqlite3.Connection, posts: Sequence[tuple[WholePost, Prepared, Row]]
) -> int:
    rows = {id_: n for n, id_ in known_rows(connection, [one.id for _, one, _ in posts])}
    fresh: dict[str, tuple[WholePost, Prepared, Row]] = {}
    for whole, one, words in posts:
        n = rows.pop(one.id, None)
        if n is not None:
            old = _whole(
                connection.execute(f"SELECT {_WHOLE} FROM {FROM} WHERE p.n = ?", (n,)).fetchone()
            )
            if old == whole:
                continue
            _remove(connection, n, old.post)
        fresh[one.id] = whole, one, words
    insert_posts(connection, [(one, words) for _, one, words in fresh.values()])
    for whole, one, _ in fresh.values():
        if whole.post.analysis is not None:
            write_analysis(
                connection, one.id, whole.post.analysis, analysis_json(whole.post.analysis)
            )
    connection.executemany(
        "UPDATE posts SET incident = ?2 WHERE id = ?1",
        [(one.id, whole.post.incident) for whole, one, _ in fresh.values()
         if whole.post.incident is not None],
    )  # fmt: skip
    return len(fresh)


def _remove(connection: sqlite3.Connection, n: int, old: Post) -> None:
    """Take a post's rows out; its number is never given again."""
    if old.deleted_at is None:
        unindex(connection, n, old)
    _note(connection, "last_n", last_row(connection))
    for table in ("contents", "vectors", "posts"):
        connection.execute(f"DELETE FROM {table} WHERE n = ?", (n,))
    for table in ("offices", "mentions"):
        connection.executemany(
            f"DELETE FROM {table} WHERE account = ? AND n = ?",
            [(account, n) for account in getattr(old, table)],
        )
