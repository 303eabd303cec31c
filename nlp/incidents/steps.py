"""Reads what was committed: the steps of the window, the posts they name, what ended where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from archive.base import Archive
from huiyin.records import Batch, Incident, IncidentState, Post, Scope
from nlp.incidents.grouping import CROWD, CROWDED

CHUNK = 500
_CROWDED = timedelta(seconds=CROWDED)
ALL = Scope.everything()


class Steps:
    """The committed steps of one jurisdiction."""

    def __init__(self, archive: Archive, jurisdiction: str, window: timedelta) -> None:
        self._archive, self._jurisdiction, self._window = archive, jurisdiction, window

    def id_of(self, n: int) -> str:
        """Record id of step `n`."""
        return f"batch:{self._jurisdiction}:{n}"

    def recent(self) -> list[Batch]:
        """The last step and all before it that may hold posts of the window, oldest first."""
        batches: list[Batch] = []
        latest: datetime | None = None
        members = 0
        last = self._last()
        for number in range(last, 0, -1):
            stored = self._archive.get(Batch, self.id_of(number), ALL)
            if stored is None:
                break  # older steps were removed by retention
            batch = stored.record
            window = min(self._window, _CROWDED) if members > CROWD else self._window
            if latest is not None and batch.committed_at < latest - window:
                break
            batches.append(batch)
            members += len(batch.members)
            if number < last and batch.members:
                [post_id] = [batch.members[-1][0]]
                post = self.posts([post_id]).get(post_id)
                if post is not None and (latest is None or post.created_at > latest):
                    latest = post.created_at
        return batches[::-1]

    def _last(self) -> int:
        newest = self._archive.records(
            Batch, ALL, ref=self._jurisdiction, newest_first=True, limit=20
        )
        n = max((stored.record.n for stored in newest), default=0)
        while self._archive.get(Batch, self.id_of(n + 1), ALL) is not None:
            n += 1
        return n

    def posts(self, ids: Iterable[str]) -> dict[str, Post]:
        """The known ones by id."""
        wanted: Sequence[str] = list(ids)
        found: dict[str, Post] = {}
        for start in range(0, len(wanted), CHUNK):
            found.update(self._archive.get_posts(wanted[start : start + CHUNK], ALL))
        return found

    def ended(self, *, but: Sequence[tuple[str, str]] = ()) -> dict[str, list[str]]:
        """Incident -> those that were merged into it, at first or second hand; not by `but`."""
        into: dict[str, str] = {}
        after = ""
        while page := self._archive.records(
            Incident, ALL, state=IncidentState.MERGED, limit=CHUNK, after=after
        ):
            after = page[-1].record.id
            for stored in page:
                one = stored.record
                if one.merged_into is not None and (one.id, one.merged_into) not in but:
                    into[one.id] = one.merged_into
        found: dict[str, list[str]] = {}
        for ends, first in into.items():
            goes_on = first
            while goes_on in into:
                goes_on = into[goes_on]
            found.setdefault(goes_on, []).append(ends)
        return found
