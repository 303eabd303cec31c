"""Dead letters that came with an archive from a server: a file refuses nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from archive.keeping.base import DeadLetter
from archive.sqlite.rows import micros, moment
from archive.sqlite.writing import PostWriting, in_parts
from huiyin.records import Post

AT_ONCE = 200


class DeadLetters(PostWriting):
    """`dead_letters`, `restore_dead_letters`, `remove_dead_letters`; they go with a deletion."""

    def delete_posts(self, ids: Sequence[str], at: datetime) -> int:
        self._remove_letters(ids)
        return super().delete_posts(ids, at)

    def put_again(self) -> int:
        """Store all of them as posts; returns how many."""
        stored = 0
        for part in in_parts(self.dead_letters(), AT_ONCE):
            self.put_posts([one.post for one in part])
            stored += self._remove_letters([one.post.id for one in part])
        return stored

    def dead_letters(self) -> Iterator[DeadLetter]:
        after = ""
        while rows := self._db.read(
            "SELECT id, at, reason, post, vector FROM dead_letters WHERE id > ?"
            " ORDER BY id LIMIT ?",
            (after, AT_ONCE),
        ):
            yield from map(_letter, rows)
            after = rows[-1][0]

    def restore_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        for part in in_parts(letters, AT_ONCE):
            rows = [_row(one) for one in part]
            with self._db.write(through_seal=True) as connection:
                connection.executemany(
                    "INSERT OR REPLACE INTO dead_letters VALUES (?,?,?,?,?)", rows
                )

    def remove_dead_letters(self, ids: Sequence[str]) -> int:
        return self._remove_letters(ids, through_seal=True)

    def _remove_letters(self, ids: Sequence[str], *, through_seal: bool = False) -> int:
        """Costs no write while there are none, which is nearly always so."""
        if not self._db.read("SELECT 1 FROM dead_letters LIMIT 1"):
            return 0
        with self._db.write(through_seal=through_seal) as connection:
            return connection.executemany(
                "DELETE FROM dead_letters WHERE id = ?", [(one,) for one in ids]
            ).rowcount


def _row(letter: DeadLetter) -> tuple[str, int, str, str, bytes]:
    post = letter.post
    body = post.model_dump_json(exclude={"analysis": {"vector"}}, exclude_defaults=True)
    vector = post.analysis.vector if post.analysis else b""
    return post.id, micros(letter.at), letter.reason, body, vector


def _letter(row: Sequence[Any]) -> DeadLetter:
    _, at, reason, body, vector = row
    fields = from_json(body)
    if fields.get("analysis") is not None:
        fields["analysis"]["vector"] = vector
    return DeadLetter(Post.model_validate(fields), moment(at), reason)
