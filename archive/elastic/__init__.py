"""The engine for more than one machine: an Elasticsearch 8 cluster."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from archive.elastic.bulk import Bulk
from archive.elastic.connection import Elastic
from archive.elastic.editing import Editor
from archive.elastic.keeping import GUARDED, guarded
from archive.elastic.purging import Purge
from archive.elastic.reading import PostReading
from archive.elastic.restoring import Restoring
from archive.elastic.searching import PostSearching
from archive.elastic.snapshots import Snapshots
from archive.elastic.stages import PUT, Stages
from archive.elastic.states import StateKeeping
from archive.elastic.templates import Schema
from archive.elastic.upkeep import Upkeep
from archive.elastic.writing import PostWriting
from archive.options import ArchiveOptions
from huiyin.clock import monotonic
from huiyin.errors import ArchiveAway


class ElasticArchive(
    PostWriting, PostReading, PostSearching, Stages, StateKeeping, Upkeep, Restoring
):
    """Everything in the indices of one prefix. Safe for threads and for processes."""

    def __init__(self, url: str, options: ArchiveOptions | None = None) -> None:
        """Connect, and install the templates on a server that has none.

        While it is away that waits for its first answer. Raises `ArchiveDenied`, `SchemaError`
        (another version's templates).
        """
        self._use(Elastic(url, options))

    def _use(self, es: Elastic) -> None:
        self._es = es
        self._schema = Schema(es)
        try:
            self._schema.prepare()
        except ArchiveAway:  # posts are collected all the same, into the spool
            self._es.before_first = self._schema.prepare
        self._bulk = Bulk(es)
        self._snapshots = Snapshots()
        self._editor = Editor(es, self._bulk)
        self._purge = Purge(es, monotonic)
        es.when_blocked = self.look_for_seal

    def delete_posts(self, ids: Sequence[str], at: datetime) -> int:
        self._drop_letters(ids)
        return super().delete_posts(ids, at)

    def clear_failures(self, stage: str) -> int:
        again = super().clear_failures(stage)
        return again + self.settle_doubles() if stage == PUT else again

    def close(self) -> None:
        """Close this process's connections."""
        self._bulk.close()
        self._snapshots.close(self._es)
        self._es.close()


for _name in GUARDED:
    setattr(ElasticArchive, _name, guarded(getattr(ElasticArchive, _name)))
