"""State records: written if nobody wrote since they were read."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from archive.base import Stored
from archive.changing import Changing
from archive.elastic.connection import LONGEST_ID, Elastic
from archive.elastic.templates import generation, make_index
from archive.elastic.where import scope_conditions
from huiyin.errors import ArchiveError, Conflict, SchemaError
from huiyin.records import Scope, StateRecord

R = TypeVar("R", bound=StateRecord)
Json = dict[str, Any]

RECORDS_A_REQUEST = 2000


def version_of(found: Mapping[str, Any]) -> int:
    """Which index, which term, which write: equal only for the very same write."""
    term = generation(found["_index"]) << 32 | int(found["_primary_term"])
    return term << 40 | int(found["_seq_no"])


def _parts(version: int) -> tuple[int, int, int]:
    """(number of the index, primary term, number of the write)."""
    return version >> 72, version >> 40 & 0xFFFFFFFF, version & (1 << 40) - 1


class StateKeeping(Changing):
    """`create`, `replace`, `change`, `get`, `records`."""

    _es: Elastic

    def create(self, record: R) -> Stored[R]:
        alias = self._es.name(record.kind)
        path = f"/{alias}/_create/{_in_path(record.id)}"
        params = {"refresh": "true", "require_alias": "true"}
        body = record_body(record)
        try:
            try:
                done = self._es.request("PUT", path, params=params, body=body)
            except SchemaError:
                make_index(self._es, alias)
                done = self._es.request("PUT", path, params=params, body=body)
        except Conflict as error:
            done = self._was_ours(record, body)
            if done is None:
                raise Conflict(f"编号 {record.id} 已存在", "请刷新后再操作") from error
        return Stored(record, version_of(done))

    def replace(self, stored: Stored[R], record: R) -> Stored[R]:
        if record.id != stored.record.id or record.kind != stored.record.kind:
            raise Conflict("不能用另一条记录替换", "请检查编号")
        number, term, seq_no = _parts(stored.version)
        if not term:  # a version of another archive
            raise Conflict(f"记录 {record.id} 不是从这个档案读的", "请刷新后再操作")
        index = f"{self._es.name(record.kind)}-{number:06d}"
        params = {"refresh": "true", "if_seq_no": seq_no, "if_primary_term": term}
        body = record_body(record)
        try:
            done = self._es.request(
                "PUT", f"/{index}/_doc/{_in_path(record.id)}", params=params, body=body
            )
        except (Conflict, SchemaError) as error:
            done = self._was_ours(record, body)
            if done is None:
                raise Conflict(
                    f"记录 {record.id} 在读取之后被别人改过", "请刷新后再操作"
                ) from error
        return Stored(record, version_of(done))

    def _was_ours(self, record: StateRecord, body: Json) -> Json | None:
        """The write that an answer was lost for: stored, but by this very call."""
        found = self._read(type(record), record.id)
        return found if found and found["_source"].get("token") == body["token"] else None

    def get(self, kind: type[R], record_id: str, scope: Scope) -> Stored[R] | None:
        found = self._read(kind, record_id)
        stored = stored_record(kind, found) if found else None
        return stored if stored and scope.allows(stored.record.offices) else None

    def _read(self, kind: type[StateRecord], record_id: str) -> Json | None:
        if not 0 < len(record_id.encode()) <= LONGEST_ID:
            return None
        path = f"/{self._es.name(kind.kind)}/_doc/{_in_path(record_id)}"
        found: Json | None = self._es.request("GET", path, missing=None)
        return found

    def records(
        self, kind: type[R], scope: Scope, *, state: str | None = None, ref: str | None = None,
        limit: int = 1000, after: str = "", newest_first: bool = False,
    ) -> list[Stored[R]]:  # fmt: skip
        wanted = scope_conditions(scope)
        for field, value in (("state", state), ("ref", ref)):
            if value is not None:
                wanted.append({"term": {field: {"value": value}}})
        key: Any = after or None
        if after and newest_first:
            found = self._read(kind, after)
            if found is None:
                return []
            key = found["_seq_no"]
        body: Json = {
            "query": {"bool": {"filter": wanted}},
            "sort": [{"_seq_no": "desc"}] if newest_first else [{"id": "asc"}],
            "seq_no_primary_term": True,
            "track_total_hits": False,
        }
        out: list[Stored[R]] = []
        while len(out) < limit:
            size = min(limit - len(out), RECORDS_A_REQUEST)
            page = {**body, "size": size, **({} if key is None else {"search_after": [key]})}
            hits = self._es.search(self._es.name(kind.kind), page)["hits"]["hits"]
            out += [stored_record(kind, one) for one in hits]
            if len(hits) < size:
                break
            key = hits[-1]["sort"][0]
        return out


def stored_record(kind: type[R], found: Json) -> Stored[R]:
    """The record of a found document."""
    return Stored(kind.model_validate_json(found["_source"]["body"]), version_of(found))


def record_body(record: StateRecord) -> Json:
    """The document of a record."""
    return {
        "id": record.id,
        "state": record.state_name,
        "ref": record.ref,
        "offices": list(record.offices),
        "body": record.model_dump_json(),
        "token": secrets.token_hex(8),
    }


def _in_path(record_id: str) -> str:
    if not 0 < len(record_id.encode()) <= LONGEST_ID:
        raise ArchiveError(f"编号太长或为空：{record_id[:40]}", f"编号最多 {LONGEST_ID} 字节")
    return quote(record_id, safe="")
