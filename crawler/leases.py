"""Who reads which source: one lease a source, one heartbeat a process.

A process beats in one record of its own; the leases of its sources only name it. Who sees the same
beat for 20 s on its own monotonic clock (at once, if the process ran on this host and is gone)
takes its sources over. With several processes each takes its even share. A lease only saves work:
two who read the same source store nothing twice, and a cursor only moves over what is stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from archive.base import Archive
from huiyin.errors import Conflict
from huiyin.owners import BEAT_SECONDS, TAKE_OVER_SECONDS, is_gone, this_process
from huiyin.records import Lease, Scope

_ALL = Scope.everything()
_CRAWLER = "lease:crawler:"
_SOURCE = "lease:read:"


class SourceLeases:
    """The leases of one crawl process. `turn` is called every few seconds, from one thread."""

    def __init__(
        self, archive: Archive, *, monotonic: Callable[[], float], owner: str | None = None
    ) -> None:
        self.owner = owner or this_process()
        self._archive, self._monotonic = archive, monotonic
        self._held: frozenset[str] = frozenset()
        self._beaten = float("-inf")
        self._seen: dict[str, tuple[int, float]] = {}

    def holds(self, source: str) -> bool:
        """True while this process is the one to read the source."""
        return source in self._held

    def turn(self, sources: Iterable[str], busy: Callable[[str], bool] = lambda _: False) -> None:
        """Beat, and take or give back leases so that each living process has its share.

        `busy`: being read just now; not given back. Raises `ArchiveError`.
        """
        wanted = sorted(sources)
        self._heartbeat()
        living = self._living()
        share = math.ceil(len(wanted) / max(1, len(living)))
        leases = self._leases()
        mine = [one for one in wanted if one in leases and leases[one] == self.owner]
        spare = [one for one in reversed(mine) if not busy(one)]
        for source in spare[: max(0, len(mine) - share)]:
            self._write(source, "")
            mine.remove(source)
        for source in wanted:
            if len(mine) >= share:
                break
            free = source not in mine and leases.get(source, "") not in living
            if free and self._write(source, self.owner):
                mine.append(source)
        self._held = frozenset(mine)

    def release(self) -> None:
        """Give everything back, so that another host need not wait. Raises `ArchiveError`."""
        held, self._held = self._held, frozenset()
        for source in held:
            self._write(source, "")
        stored = self._archive.get(Lease, _CRAWLER + self.owner, _ALL)
        if stored is not None:
            self._put(_CRAWLER + self.owner, "")

    def _heartbeat(self) -> None:
        now = self._monotonic()
        if now - self._beaten < BEAT_SECONDS:
            return
        self._put(_CRAWLER + self.owner, self.owner)
        self._beaten = now

    def _living(self) -> set[str]:
        """Owners whose beat was raised within 20 s, as this process saw it. We live."""
        now = self._monotonic()
        living = {self.owner}
        for stored in self._records(_CRAWLER):
            owner = stored.owner
            if not owner or owner == self.owner:
                continue
            beat, since = self._seen.get(owner, (-1, now))
            if beat != stored.beat:
                self._seen[owner] = (stored.beat, now)
                beat, since = stored.beat, now
            if now - since < TAKE_OVER_SECONDS and not is_gone(owner):
                living.add(owner)
        return living

    def _leases(self) -> dict[str, str]:
        return {one.id.removeprefix(_SOURCE): one.owner for one in self._records(_SOURCE)}

    def _records(self, prefix: str) -> list[Lease]:
        found: list[Lease] = []
        after = prefix
        while page := self._archive.records(Lease, _ALL, limit=1000, after=after):
            found += [one.record for one in page if one.record.id.startswith(prefix)]
            after = page[-1].record.id
            if not after.startswith(prefix):
                break
        return found

    def _write(self, source: str, owner: str) -> bool:
        return self._put(_SOURCE + source, owner)

    def _put(self, identity: str, owner: str) -> bool:
        """False when somebody else wrote at the same moment."""
        try:
            stored = self._archive.get(Lease, identity, _ALL)
            if stored is None:
                self._archive.create(Lease(id=identity, owner=owner))
            else:
                lease = stored.record
                self._archive.replace(
                    stored, lease.model_copy(update={"owner": owner, "beat": lease.beat + 1})
                )
        except Conflict:
            return False
        return True
