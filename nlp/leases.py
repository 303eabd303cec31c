"""Slices of a queue, leased: two workers do not do the same work, a dead one's slice is taken over.

A lease only saves work and decides nothing: doing a post twice changes nothing. The holder raises
`beat`; who sees the same version for 20 s on its own monotonic clock takes the slice over, at once
if the holder is a process of this host that no longer runs, or this one before it began anew (after
a switch to another archive it keeps its number and finds its own lease there).
"""

import uuid
from collections.abc import Callable

from archive.base import Archive, Slice, Stored
from huiyin.errors import Conflict
from huiyin.owners import BEAT_SECONDS, TAKE_OVER_SECONDS, is_gone, this_process
from huiyin.records import Lease, Scope

_ALL = Scope.everything()


class Slices:
    """The slices of one stage's queue as one worker sees them; it holds at most one at a time."""

    def __init__(
        self,
        archive: Archive,
        stage: str,
        *,
        of: int = 1,
        owner: str | None = None,
        monotonic: Callable[[], float],
    ) -> None:
        """Share the queue of `stage` in `of` slices; all workers must be given the same number."""
        self.owner = owner or f"{this_process()}:{uuid.uuid4().hex[:8]}"
        self._archive, self._stage, self._of, self._monotonic = archive, stage, of, monotonic
        self._held: Stored[Lease] | None = None
        self._number = 0
        self._beaten = 0.0
        self._seen: dict[int, tuple[int, float]] = {}

    def hold(self) -> Slice | None:
        """The slice to work on now: the one held, else the next that is free; None if none is."""
        if self._held is not None and self._keep():
            return Slice(self._number, self._of)
        for step in range(self._of):
            number = (self._number + step) % self._of
            if self._take(number):
                return Slice(number, self._of)
        return None

    def release(self) -> None:
        """Give the held slice back and look at the following one first next time."""
        held, self._held = self._held, None
        if held is None:
            return
        self._number = (self._number + 1) % self._of
        try:
            self._archive.replace(held, self._next(held.record, ""))
        except Conflict:  # taken over meanwhile: nothing to give back
            return

    def _keep(self) -> bool:
        """Raise the beat when it is due; False when somebody else has taken the slice."""
        now = self._monotonic()
        if self._held is None or now - self._beaten < BEAT_SECONDS:
            return self._held is not None
        try:
            self._held = self._archive.replace(
                self._held, self._next(self._held.record, self.owner)
            )
        except Conflict:
            self._held = None
            return False
        self._beaten = now
        return True

    def _take(self, number: int) -> bool:
        identity = f"lease:{self._stage}:{number}-{self._of}"
        stored = self._archive.get(Lease, identity, _ALL)
        try:
            if stored is None:
                self._held = self._archive.create(Lease(id=identity, owner=self.owner))
            elif self._is_free(number, stored):
                self._held = self._archive.replace(stored, self._next(stored.record, self.owner))
            else:
                return False
        except Conflict:
            return False
        self._number, self._beaten = number, self._monotonic()
        return True

    def _is_free(self, number: int, stored: Stored[Lease]) -> bool:
        if stored.record.owner in ("", self.owner) or is_gone(stored.record.owner):
            return True
        version, since = self._seen.get(number, (-1, 0.0))
        if version != stored.version:
            self._seen[number] = (stored.version, self._monotonic())
            return False
        return self._monotonic() - since >= TAKE_OVER_SECONDS

    def _next(self, lease: Lease, owner: str) -> Lease:
        return lease.model_copy(update={"owner": owner, "beat": lease.beat + 1})
