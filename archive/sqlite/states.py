"""State records: created once, changed only by who read the newest version."""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

import json
import sqlite3
from typing import Any, TypeVar

from archive.base import Stored
from archive.changing import Changing
from archive.sqlite.connection import Database
from huiyin.errors import Conflict
from huiyin.records import Scope, StateRecord

R = TypeVar("R", bound=StateRecord)


class StateKeeping(Changing):
    """`create`, `replace`, `change`, `get`, `records`."""

    _db: Database

    def create(self, record: R) -> Stored[R]:
        row = record_row(record)
        with self._db.write() as connection:
            try:
                connection.execute(
                    f"INSERT INTO records VALUES (?,?,1,{NEXT},?,?,?,?)",
                    (record.kind, record.id, *row),
                )
            except sqlite3.IntegrityError as error:
                raise Conflict(f"编号 {record.id} 已存在", "请刷新后再操作") from error
        return Stored(record, 1)

    def replace(self, stored: Stored[R], record: R) -> Stored[R]:
        if record.id != stored.record.id or record.kind != stored.record.kind:
            raise Conflict("不能用另一条记录替换", "请检查编号")
        with self._db.write() as connection:
            done = connection.execute(
                f"""UPDATE records SET version = version + 1, written = {NEXT},
                        state = ?, ref = ?, offices = ?, body = ?
                    WHERE kind = ? AND id = ? AND version = ? RETURNING version""",
                (*record_row(record), record.kind, record.id, stored.version),
            ).fetchall()
            if not done:
                raise Conflict(f"记录 {record.id} 在读取之后被别人改过", "请刷新后再操作")
        return Stored(record, done[0][0])

    def get(self, kind: type[R], record_id: str, scope: Scope) -> Stored[R] | None:
        where, parameters = scope_of_records(scope)
        rows = self._db.read(
            f"SELECT body, version FROM records WHERE kind = ? AND id = ?{where}",
            (kind.kind, record_id, *parameters),
        )
        return Stored(kind.model_validate_json(rows[0][0]), rows[0][1]) if rows else None

    def records(
        self, kind: type[R], scope: Scope, *, state: str | None = None, ref: str | None = None,
        limit: int = 1000, after: str = "", newest_first: bool = False,
    ) -> list[Stored[R]]:  # fmt: skip
        where, parameters = scope_of_records(scope)
        values: list[Any] = [kind.kind]
        for column, value in (("state", state), ("ref", ref)):
            if value is not None:
                where += f" AND {column} = ?"
                parameters.append(value)
        if after and newest_first:
            where += " AND written < (SELECT written FROM records WHERE kind = ? AND id = ?)"
            parameters += (kind.kind, after)
        elif after:
            where += " AND id > ?"
            parameters.append(after)
        order = "written DESC" if newest_first else "id"
        rows = self._db.read(
            f"SELECT body, version FROM records WHERE kind = ?{where} ORDER BY {order} LIMIT ?",
            (*values, *parameters, limit),
        )
        return [Stored(kind.model_validate_json(body), version) for body, version in rows]


NEXT = "(SELECT ifnull(max(written), 0) + 1 FROM records)"


def record_row(record: StateRecord) -> tuple[str, str, str, str]:
    """state, ref, offices, body"""
    offices = json.dumps(record.offices, ensure_ascii=False)
    return record.state_name, record.ref, offices, record.model_dump_json()


def scope_of_records(scope: Scope) -> tuple[str, list[Any]]:
    """SQL condition (beginning with AND, or empty) and its parameters."""
    if scope.offices is None:
        return "", []
    marks = ",".join("?" * len(scope.offices))
    return (
        f" AND EXISTS (SELECT 1 FROM json_each(records.offices) WHERE value IN ({marks}))",
        sorted(scope.offices),
    )
