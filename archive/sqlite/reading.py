"""Posts read by id, in order, by thread and by likeness."""

# ruff: noqa: S608 - the SQL is put together from our own constants; values are bound

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from archive.base import Filters, Hit
from archive.sqlite.connection import Database
from archive.sqlite.rows import FROM, READ, micros, to_post
from archive.sqlite.where import where
from huiyin.records import Post, Scope
from huiyin.vectors import unpack

VECTOR_BLOCK = 8192
"""Vectors compared at a time: 8,192 x 512 float32 = 16 MiB."""
IDS_AT_ONCE = 500


class PostReading:
    """`get_posts`, `iter_posts`, `thread`, `similar`."""

    _db: Database

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
        wanted = unpack([vector])[0]
        asked = where(scope, filters)
        best: list[tuple[float, int]] = []
        last = 0
        while True:
            rows = self._db.read(
                f"""SELECT v.n, v.vector FROM vectors v JOIN posts p ON p.n = v.n
                    WHERE v.n > ? AND v.model = ? AND length(v.vector) = ? AND {asked.sql}
                    ORDER BY v.n LIMIT ?""",
                (last, model, len(vector), *asked.parameters, VECTOR_BLOCK),
            )
            if not rows:
                break
            last = rows[-1][0]
            scores = unpack([row[1] for row in rows]) @ wanted
            top = np.argsort(-scores, kind="stable")[:limit]
            best += [(float(scores[i]), rows[i][0]) for i in top]
            best = sorted(best, key=lambda one: (-one[0], one[1]))[:limit]
        return self._hits(best)

    def _hits(self, best: list[tuple[float, int]]) -> list[Hit]:
        numbers: list[Any] = [n for _, n in best]
        marks = ",".join("?" * len(numbers))
        rows = self._db.read(f"SELECT {READ} FROM {FROM} WHERE p.n IN ({marks})", numbers)
        posts = {row[0]: to_post(row) for row in rows}
        return [Hit(posts[n], score) for score, n in best]
