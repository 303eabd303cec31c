"""Changing a state record: read, edit, write if nobody wrote meanwhile; on every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from archive.base import Stored
from huiyin.errors import Conflict, NotFound
from huiyin.records import Scope, StateRecord

R = TypeVar("R", bound=StateRecord)
CHANGE_ATTEMPTS = 20


class _Versioned(Protocol):
    def get(self, kind: type[R], record_id: str, scope: Scope) -> Stored[R] | None: ...

    def replace(self, stored: Stored[R], record: R) -> Stored[R]: ...


class Changing:
    """`change`, by the engine's own `get` and `replace`."""

    def change(
        self: _Versioned, kind: type[R], record_id: str, scope: Scope, edit: Callable[[R], R]
    ) -> Stored[R]:
        for attempt in range(1, CHANGE_ATTEMPTS + 1):
            stored = self.get(kind, record_id, scope)
            if stored is None:
                raise NotFound(f"没有找到记录 {record_id}", "它可能不存在，或不在您的权限范围内")
            record = edit(stored.record)
            if record == stored.record:
                return stored
            try:
                return self.replace(stored, record)
            except Conflict:
                if attempt == CHANGE_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")
