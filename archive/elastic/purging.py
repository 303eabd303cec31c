"""Deleted words leave the files too: a deletion only hides them until segments are merged."""

from __future__ import annotations

import threading
from collections.abc import Callable

from archive.elastic.connection import Elastic
from archive.elastic.templates import make_index
from huiyin.errors import ArchiveError, SchemaError

PURGE_EVERY_SECONDS = 600.0
"""A process that deletes all day has the segments merged this often at most."""
_NOTE = "to-purge"


class Purge:
    """Has the server merge the segments that hold deleted words; it does so in its own time."""

    def __init__(self, es: Elastic, monotonic: Callable[[], float]) -> None:
        self._es = es
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._last: float | None = None

    def soon(self) -> None:
        """Note that there is something to purge; do it unless this process lately did."""
        alias = self._es.name("notes")
        path, params = f"/{alias}/_doc/{_NOTE}", {"require_alias": "true"}
        body = {"id": _NOTE}
        try:
            self._es.request("PUT", path, params=params, body=body)
        except SchemaError:
            make_index(self._es, alias)
            self._es.request("PUT", path, params=params, body=body)
        now = self._monotonic()
        with self._lock:
            if self._last is not None and now - self._last < PURGE_EVERY_SECONDS:
                return
            self._last = now
        self.purge()

    def purge(self) -> None:
        """Begin to merge when there is something to purge; a note made meanwhile stays."""
        path = f"/{self._es.name('notes')}/_doc/{_NOTE}"
        noted = self._es.request("GET", path, missing=None)
        if noted is None:
            return
        self._es.request(
            "POST", f"/{self._es.posts}/_forcemerge", missing=None,
            params={"only_expunge_deletes": "true", "wait_for_completion": "false"},
        )  # fmt: skip
        at = {"if_seq_no": noted["_seq_no"], "if_primary_term": noted["_primary_term"]}
        try:
            self._es.request("DELETE", path, params=at, missing=None)
        except ArchiveError:  # another process noted one more: that is for the next time
            return
