"""Posts that share words with a text: BM25 over its tokens, any of which may be missing."""

from __future__ import annotations

from archive import query as q
from archive.base import Filters, Hit
from archive.sqlite.columns import Columns
from archive.sqlite.connection import Database
from archive.sqlite.matching import Matching
from archive.sqlite.searching import posts_of
from huiyin.records import Scope


class Liking:
    """`like`."""

    _db: Database
    _columns: Columns

    def like(
        self, text: str, scope: Scope, *, filters: Filters | None = None, limit: int = 10
    ) -> list[Hit]:
        expression = " OR ".join(f'"{token}"' for token in q.like_tokens(text))
        if not expression or limit <= 0:
            return []
        best: list[tuple[int, float]] = []
        with self._db.snapshot() as connection:
            with self._columns.at(connection):
                mask = Matching(connection, self._columns, scope).seen(filters)
            # bm25() is negative, the most relevant the smallest
            for n, score in connection.execute(
                "SELECT rowid, rank FROM words WHERE words MATCH ? ORDER BY rank", (expression,)
            ):
                if n < len(mask) and mask[n]:
                    best.append((n, -score))
                    if len(best) == limit:
                        break
            posts = posts_of(connection, [n for n, _ in best])
        self._columns.save_if_due()
        return [Hit(posts[n], score) for n, score in best]
