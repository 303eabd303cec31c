"""Moves readers and writers from one archive to its copy, and back.

The old archive is closed (writers wait), what is left is copied, counts are compared, and the old
one is marked as moved: from then on it refuses writes and names the new one, and whoever opens it
is led there (`follow`). Whatever fails before the mark opens the old one again, and nothing
happened. The seal and the mark lie in the old archive, so every host and process sees them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from archive.base import Archive
from archive.keeping.base import Seal, is_apart
from archive.keeping.comparing import now_of
from archive.keeping.copying import (
    MOVING,
    PLACE,
    Copier,
    alone,
    note,
    noted,
    only_one,
    place_now,
    place_of,
)
from huiyin.errors import ArchiveAway, ArchiveError
from huiyin.records import Scope, Setting

MOST_LEFT = 20_000
"""Posts that a switch still copies while writers wait; with more it refuses."""
QUIET_SECONDS = 10.0
"""A `copy --follow` beside the switch has this long to see the seal and let go."""
SEEN_SECONDS = 5.0
"""A server's counts may be a second old."""


@dataclass(frozen=True)
class Switched:
    """What a switch did."""

    to: str
    copied: int
    closed_seconds: float
    """How long writers waited."""


def target_of(archive: Archive, *, back: bool) -> str:
    """URL that the archive in use is being moved to; raises `ArchiveError` when it is not."""
    moving = noted(archive, MOVING)
    if moving is None or moving["back"] != back:
        raise ArchiveError(
            "没有可以退回的档案" if back else "没有搬迁在进行",
            "切换之后、结束搬迁之前才能退回" if back else "先运行 huiyin archive copy --to 目标",
        )
    return str(moving["to"])


def switch(
    copier: Copier, *, lock: Path, now: Callable[[], datetime],
    monotonic: Callable[[], float] = time.monotonic,
) -> Switched:  # fmt: skip
    """Make the copy the archive in use. Raises `ArchiveError` and leaves things as they were.

    May be run again after it was killed: nothing it notes before the mark means anything by itself.
    """
    source, target = copier.source, copier.target
    if _finish_interrupted(copier, now):
        return Switched(copier.source_url, 0, 0.0)
    _require_ready(copier)
    # what is written to the new one from here on is what a way back has to bring; while the old one
    # is closed nothing at all is written to it
    note(source, PLACE, vars(place_now(target, copier.target_url)))
    note(target, MOVING, {"to": copier.source_url, "back": True})
    started = monotonic()
    try:
        source.seal(Seal("closing", copier.target_url, now()))
        with only_one(lock, QUIET_SECONDS):
            copier.place = place_of(target) or copier.place
            copied = 0
            while brought := copier.catch_up():
                copied += brought
            _require_same_counts(source, target)
            _require_same(copier)
    except BaseException:
        source.seal(None)
        raise
    target.seal(None)
    source.seal(Seal("moved", copier.target_url, now()))
    closed = monotonic() - started
    source.track_changes(False)
    return Switched(copier.target_url, copied, closed)


def cancel(source: Archive) -> bool:
    """Open an archive again that a killed switch left closed; False when it was not closed."""
    found = source.sealed()
    if found is None or found.state != "closing":
        return False
    source.seal(None)
    return True


def end_move(archive: Archive) -> None:
    """Forget a copy that goes on no longer, or the way back after a switch."""
    archive.track_changes(False)
    note(archive, MOVING, None)


def _finish_interrupted(copier: Copier, now: Callable[[], datetime]) -> bool:
    """A switch to our source was killed between its last two steps: do the last one."""
    found = copier.target.sealed()
    if found is None or found.state != "closing" or found.to != copier.source_url:
        return False
    copier.target.seal(Seal("moved", copier.source_url, now()))
    return True


def _require_ready(copier: Copier) -> None:
    place = place_of(copier.target)
    if place is None or place.source != copier.source_url or not place.complete:
        raise ArchiveError("还没有搬完", "先运行 huiyin archive copy，等它搬完并核对一致")
    if not place.equal:
        raise ArchiveError("搬过去的还没有核对一致", "再运行 huiyin archive copy，看它列出的差别")
    copier.place = place
    left = copier.left()
    if left > MOST_LEFT:
        raise ArchiveError(
            f"还有约 {left} 条没有搬", "先运行 huiyin archive copy --follow 追上，再切换"
        )


def _require_same(copier: Copier) -> None:
    """What was being written at each look of the comparison lies still now."""
    for kind, name in copier.place.moving:
        if now_of(copier.source, kind, name) != now_of(copier.target, kind, name):
            raise ArchiveError(
                f"两边不同：{kind} {name}", "没有切换；再运行 huiyin archive copy，看它列出的差别"
            )


def _require_same_counts(source: Archive, target: Archive) -> None:
    end = time.monotonic() + SEEN_SECONDS
    while (ours := _counts(source)) != (theirs := _counts(target)):
        if time.monotonic() >= end:
            kinds = sorted(ours.keys() | theirs.keys())
            shown = "，".join(
                f"{kind} {ours.get(kind, 0)} / {theirs.get(kind, 0)}"
                for kind in kinds
                if ours.get(kind, 0) != theirs.get(kind, 0)
            )
            raise ArchiveError(
                f"两边条数不同：{shown}", "没有切换；再运行 huiyin archive copy，看它列出的差别"
            )
        time.sleep(0.2)


def _counts(archive: Archive) -> dict[str, int]:
    """Counts by kind, without the records about the archive itself; posts with dead letters."""
    counts = {kind: number for kind, number in archive.counts().items() if number}
    counts["posts"] = counts.get("posts", 0) + alone(archive)
    settings = archive.records(Setting, Scope.everything(), limit=10_000)
    counts["setting"] = sum(not is_apart(one.record) for one in settings)
    return counts


def follow(url: str, open_: Callable[[str], Archive]) -> tuple[str, Archive]:
    """Open the archive in use, beginning at `url` and led on by the marks of switches.

    Returns its URL and the archive. Raises `ArchiveError` when the marks lead in a circle.
    """
    seen: list[str] = []
    while True:
        archive = open_(url)
        try:
            found = archive.sealed()
        except ArchiveAway:  # whoever writes will learn it when the server is back
            found = None
        if found is None or found.state != "moved":
            return url, archive
        archive.close()
        seen.append(url)
        url = found.to
        if url in seen:
            raise ArchiveError(
                f"档案互相指着对方：{' → '.join([*seen, url])}",
                "运行 huiyin archive switch --cancel --url 要用的那个",
            )
