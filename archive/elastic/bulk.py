"""Many writes in few requests, several at a time; the outcome of each is looked at."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import tenacity
from pydantic_core import to_json

from archive.elastic.connection import (
    BUSY_SECONDS,
    PASSING,
    SHARD_SECONDS,
    Elastic,
    pauses,
    refused,
)
from archive.elastic.templates import make_index
from huiyin.errors import ArchiveError

WRITES_A_REQUEST = 500
"""1,000 took an eighth longer."""
BYTES_A_REQUEST = 4 * 1024 * 1024
AT_ONCE = 4
"""Requests under way; more only wait in the server's queue."""
_ANSWER = "items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"


class Write(NamedTuple):
    """One write: the line that says where, and the document."""

    id: str
    target: str
    """Alias for new documents, concrete index for changes."""
    action: bytes
    body: bytes

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return len(self.action) + len(self.body) + 2


@dataclass(frozen=True)
class Outcome:
    """What became of one write: the HTTP status and, from 400 on, the reason."""

    write: Write
    status: int
    error: Mapping[str, Any]

    @property
    def reason(self) -> str:
        """In the server's words."""
        inner = self.error.get("caused_by") or {}
        return f"{self.error.get('reason', '')} {inner.get('reason', '')}".strip()

    @property
    def unfit(self) -> bool:
        """True when this document cannot be stored; a mapping that is too old would refuse all."""
        return self.status == 400 and not self.outdated

    @property
    def outdated(self) -> bool:
        """True when the index does not know a field: `huiyin init` has to be run."""
        return bool(self.error.get("type") == "strict_dynamic_mapping_exception")

    def refusal(self) -> ArchiveError:
        """Our error for it."""
        return refused(self.status, {**self.error, "reason": self.reason})


def create(post_id: str, alias: str, body: bytes) -> Write:
    """Store a document that is not there yet; 409 when it is."""
    action = {"create": {"_index": alias, "_id": post_id, "require_alias": True}}
    return Write(post_id, alias, to_json(action), body)


def put(post_id: str, alias: str, body: bytes) -> Write:
    """Store a document, in place of an older one."""
    action = {"index": {"_index": alias, "_id": post_id, "require_alias": True}}
    return Write(post_id, alias, to_json(action), body)


def update(post_id: str, index: str, seq_no: int, term: int, fields: Mapping[str, Any]) -> Write:
    """Change fields if nobody wrote since the document was read; 409 when somebody did."""
    where = {"_index": index, "_id": post_id, "if_seq_no": seq_no, "if_primary_term": term}
    return Write(post_id, index, to_json({"update": where}), to_json({"doc": fields}))


def delete(post_id: str, index: str, seq_no: int, term: int) -> Write:
    """Take a document out if nobody wrote since it was read."""
    where = {"_index": index, "_id": post_id, "if_seq_no": seq_no, "if_primary_term": term}
    return Write(post_id, index, to_json({"delete": where}), b"")


class Bulk:
    """Sends writes. Safe for threads; a fork makes its own helpers."""

    def __init__(self, es: Elastic) -> None:
        self._es = es
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._pid = 0

    def send(self, writes: Iterable[Write], *, refresh: bool = False) -> Iterator[Outcome]:
        """Outcomes in the order of the writes. A status that may pass is tried again for long.

        `refresh`: searches see them when this returns. Raises `ArchiveError` for what concerns
        more than a document; what was sent by then stays, and sending all again completes it.
        """
        under_way: list[Future[list[Outcome]]] = []
        pool = self._helpers()
        try:
            for part in _parts(writes):  # the first is under way while the next is made
                if len(under_way) > AT_ONCE:
                    yield from under_way.pop(0).result()
                under_way.append(pool.submit(self._send, part, refresh))
            while under_way:
                yield from under_way.pop(0).result()
        finally:
            for one in under_way:
                one.cancel()

    def close(self) -> None:
        """Let the helpers go."""
        with self._lock:
            if self._pool is not None and self._pid == os.getpid():
                self._pool.shutdown()
            self._pool = None

    def _helpers(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None or self._pid != os.getpid():
                self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="bulk")
                self._pid = os.getpid()
            return self._pool

    def _send(self, writes: list[Write], refresh: bool) -> list[Outcome]:
        """One request, and further ones for those whose refusal may pass."""
        done: dict[int, Outcome] = {}
        left = list(enumerate(writes))
        started, tries = time.monotonic(), 0
        while left:
            again = []
            found = self._request([write for _, write in left], refresh)
            for (place, _), outcome in zip(left, found, strict=True):
                if _may_pass(outcome):
                    again.append((place, outcome))
                else:
                    done[place] = outcome
            if any(one.error.get("type") == "cluster_block_exception" for _, one in again):
                self._es.when_blocked()
            if again and time.monotonic() - started > BUSY_SECONDS:
                raise again[0][1].refusal()
            made = {one.write.target for _, one in again if one.status == 404}
            for alias in made:
                self._make(alias)
            left = [(place, one.write) for place, one in again]
            if left and not made:
                tries += 1
                time.sleep(_pause(tries))
        return [done[place] for place in range(len(writes))]

    def _make(self, alias: str) -> None:
        posts = self._es.posts
        make_index(self._es, alias, *([posts] if alias.startswith(f"{posts}-") else []))

    def _request(self, writes: list[Write], refresh: bool) -> list[Outcome]:
        lines: list[bytes] = []
        for one in writes:
            lines += (one.action, one.body) if one.body else (one.action,)
        lines.append(b"")
        answer = self._es.request(
            "POST", "/_bulk", body=b"\n".join(lines), lines=True,
            params={
                "filter_path": _ANSWER, "timeout": f"{SHARD_SECONDS}s",
                **({"refresh": "true"} if refresh else {}),
            },
        )  # fmt: skip
        items = [next(iter(item.values())) for item in answer["items"]]
        return [
            Outcome(write, item["status"], item.get("error") or {})
            for write, item in zip(writes, items, strict=True)
        ]


def _may_pass(one: Outcome) -> bool:
    """True when trying the same write again may do it: the server is busy, or an index missing."""
    if one.status in PASSING:
        return True
    creates = b'"require_alias":true' in one.write.action
    kind = one.error.get("type")
    return creates and (
        kind == "cluster_block_exception"
        or (one.status == 404 and kind == "index_not_found_exception")
    )


def _pause(tries: int) -> float:
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number = tries
    return float(pauses()(state))


def _parts(writes: Iterable[Write]) -> Iterator[list[Write]]:
    """Requests of a fitting size."""
    part: list[Write] = []
    size = 0
    for one in writes:
        if part and (len(part) >= WRITES_A_REQUEST or size + one.size > BYTES_A_REQUEST):
            yield part
            part, size = [], 0
        part.append(one)
        size += one.size
    if part:
        yield part


def in_parts(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most `size`."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
