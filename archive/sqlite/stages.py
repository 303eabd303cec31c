"""The queues of the stages: questions to the archive, no state of their own."""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from archive.base import Failure, Slice
from archive.sqlite.connection import Database
from archive.sqlite.rows import FROM, READ, micros, moment, to_post
from huiyin.records import Post

_WHOLE = Slice()
ATTEMPTS = 3
"""After so many failed attempts a post leaves the queue."""
ANALYSIS = "analysis"
INCIDENTS = "incidents"
PUT = "put"
"""The stage of dead letters."""

_NEVER = "p.model IS NULL AND p.deleted_at IS NULL"
# three terms, so that each is answered by an index and an empty lane costs nothing
_AGAIN = (
    "(p.model < :model OR p.model > :model"
    " OR (p.model IS NOT NULL AND p.analysed_sha <> p.text_sha)) AND p.deleted_at IS NULL"
)
_UNGROUPED = "p.model IS NOT NULL AND p.incident IS NULL AND p.deleted_at IS NULL"


def _not_failed(stage: str) -> str:
    return (
        f"NOT EXISTS (SELECT 1 FROM failures f WHERE f.stage = '{stage}' AND f.post_id = p.id"
        f" AND f.attempts >= {ATTEMPTS})"
    )


class Stages:
    """`pending_*`, `record_failure`, `failures`, `clear_failures`."""

    _db: Database

    def pending_analysis(self, model: str, *, limit: int, part: Slice = _WHOLE) -> list[Post]:
        posts = self._pending(_NEVER, model, limit, part)
        if len(posts) < limit:
            posts += self._pending(_AGAIN, model, limit - len(posts), part)
        return posts

    def _pending(self, lane: str, model: str, limit: int, part: Slice) -> list[Post]:
        sliced = "" if part.of == 1 else f" AND p.slice % {int(part.of)} = {int(part.number)}"
        rows = self._db.read(
            f"SELECT {READ} FROM {FROM} WHERE p.n IN (SELECT p.n FROM posts p WHERE {lane}"
            f" AND {_not_failed(ANALYSIS)}{sliced} ORDER BY p.created_at DESC LIMIT :limit)"
            " ORDER BY p.created_at DESC, p.id DESC",
            {"model": model, "limit": limit},
        )
        return [to_post(row) for row in rows]

    def pending_incidents(self, *, before: datetime, limit: int) -> list[Post]:
        rows = self._db.read(
            f"SELECT {READ} FROM {FROM} WHERE {_UNGROUPED} AND p.collected_at < ?"
            f" AND {_not_failed(INCIDENTS)} ORDER BY p.created_at, p.id LIMIT ?",
            (micros(before), limit),
        )
        return [to_post(row) for row in rows]

    def pending_counts(self, model: str) -> Mapping[str, int]:
        [row] = self._db.read(
            f"""SELECT
                (SELECT count(*) FROM posts p WHERE {_NEVER} AND {_not_failed(ANALYSIS)}),
                (SELECT count(*) FROM posts p WHERE {_AGAIN} AND {_not_failed(ANALYSIS)}),
                (SELECT count(*) FROM posts p WHERE {_UNGROUPED} AND {_not_failed(INCIDENTS)}),
                (SELECT count(*) FROM failures WHERE attempts >= {ATTEMPTS})
                + (SELECT count(*) FROM dead_letters)""",
            {"model": model},
        )
        return dict(zip(("analysis", "reanalysis", "incidents", "failed"), row, strict=True))

    def record_failure(self, stage: str, post_id: str, reason: str, at: datetime) -> int:
        with self._db.write() as connection:
            [[attempts]] = connection.execute(
                """INSERT INTO failures VALUES (?1, ?2, 1, ?3, ?4)
                   ON CONFLICT DO UPDATE SET attempts = attempts + 1, reason = ?3, at = ?4
                   RETURNING attempts""",
                (stage, post_id, reason, micros(at)),
            ).fetchall()
        return int(attempts)

    def failures(self, *, limit: int = 100) -> list[Failure]:
        rows = self._db.read(
            f"SELECT stage, post_id, attempts, reason, at, attempts >= {ATTEMPTS} FROM failures"
            f" UNION ALL SELECT '{PUT}', id, 1, reason, at, 1 FROM dead_letters"
            " ORDER BY at DESC, stage, post_id LIMIT ?",
            (limit,),
        )
        return [
            Failure(stage, post_id, attempts, reason, moment(at), bool(final))
            for stage, post_id, attempts, reason, at, final in rows
        ]

    def clear_failures(self, stage: str) -> int:
        with self._db.write() as connection:
            return connection.execute("DELETE FROM failures WHERE stage = ?", (stage,)).rowcount
