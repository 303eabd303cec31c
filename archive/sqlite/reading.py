"""Posts read by id, in order, by thread and by likeness."""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from archive.base import Filters, Hit
from archive.sqlite.arrays import Turn
from archive.sqlite.columns import Columns
from archive.sqlite.connection import Database
from archive.sqlite.matching import Matching
from archive.sqlite.rows import FROM, READ, micros, to_post
from archive.sqlite.signs import Signs
from archive.sqlite.where import where
from huiyin.records import Post, Scope
from huiyin.vectors import unpack

MODELS_KEPT = 2
"""Models whose signs stay in memory: the present one and its successor."""
IDS_AT_ONCE = 500


class PostReading:
    """`get_posts`, `iter_posts`, `thread`, `similar`."""

    _db: Database
    _turn: Turn
    _columns: Columns
    _signs: dict[tuple[str, int], Signs]

    def get_posts(self, ids: Sequence[str], scope: Scope) -> dict[str, Post]:
        found: dict[str, Post] = {}
        for start in range(0, len(ids), IDS_AT_ONCE):
            part = list(ids[start : start + IDS_AT_ONCE])
            asked = where(scope)
            asked.add(f"p.id IN ({','.join('?' * len(part))})", *part)
            rows = self._db.read(f"SELECT {READ} FROM {FROM} WHERE {asked.sql}", asked.parameters)
            found.update((post.id, post) for post in map(to_post, rows))
        return {id_: found[id_] for id_ in ids if id_ in found}

    def iter_posts(
        self, scope: Scope, filters: Filters | None = None, *, page: int = 1000
    ) -> Iterator[Post]:
        last: Post | None = None
        while True:
            asked = where(scope, filters)
            if last is not None:
                asked.add("(p.created_at, p.id) > (?, ?)", micros(last.created_at), last.id)
            rows = self._db.read(
                f"SELECT {READ} FROM {FROM} WHERE {asked.sql} ORDER BY p.created_at, p.id LIMIT ?",
                (*asked.parameters, page),
            )
            for row in rows:
                last = to_post(row)
                yield last
            if len(rows) < page:
                return

    def thread(self, root: str, scope: Scope, *, limit: int = 500) -> list[Post]:
        asked = where(scope)
        asked.add(
            """p.n IN (SELECT n FROM posts WHERE id = ? UNION SELECT n FROM posts WHERE root = ?
               UNION SELECT n FROM posts WHERE parent = ?)""",
            root, root, root,
        )  # fmt: skip
        rows = self._db.read(
            f"SELECT {READ} FROM {FROM} WHERE {asked.sql} ORDER BY p.created_at, p.id LIMIT ?",
            (*asked.parameters, limit),
        )
        return [to_post(row) for row in rows]

    def similar(
        self, vector: bytes, model: str, scope: Scope, *,
        filters: Filters | None = None, limit: int = 10,
    ) -> list[Hit]:  # fmt: skip
        wanted, columns = unpack([vector])[0], self._columns
        signs = self._signs_of(model, len(wanted))
        with self._db.snapshot() as connection:
            with columns.at(connection), signs.at(connection):
                mask = Matching(connection, columns, scope).seen(filters)
                near = signs.nearest(wanted, mask)
            rows = connection.execute(
                """SELECT n, vector FROM vectors WHERE n IN (SELECT value FROM json_each(?))
                   AND model = ? AND length(vector) = ? ORDER BY n""",
                (json.dumps(near.tolist()), model, len(vector)),
            ).fetchall()
            scores = unpack([one for _, one in rows]) @ wanted if rows else np.zeros(0)
            best = np.argsort(-scores, kind="stable")[:limit]
            hits = self._hits([(float(scores[i]), rows[i][0]) for i in best])
        columns.save_if_due()
        signs.save_if_due()
        return hits

    def _signs_of(self, model: str, dims: int) -> Signs:
        """Those of the last few models are kept."""
        with self._turn.taken():
            signs = self._signs.pop((model, dims), None) or Signs(self._db, self._turn, model, dims)
            self._signs[model, dims] = signs
            while len(self._signs) > MODELS_KEPT:
                self._signs.pop(next(iter(self._signs)))
            return signs

    def _hits(self, best: list[tuple[float, int]]) -> list[Hit]:
        numbers: list[Any] = [n for _, n in best]
        marks = ",".join("?" * len(numbers))
        rows = self._db.read(f"SELECT {READ} FROM {FROM} WHERE p.n IN ({marks})", numbers)
        posts = {row[0]: to_post(row) for row in rows}
        return [Hit(posts[n], score) for score, n in best]
