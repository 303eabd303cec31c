"""Measures the flood over background: told by its third post, and one incident a city.

    python -m benchmarks.flood [--rate 1] [--starts 25] [--seed 20210720] [--read-background]
                               [--hours H] [--out FILE]

Posts of `flood_2021` are laid over reposts of `cascades` and comments of `gov_comments`
(benchmarks/incident_streams.py: shifted times, made ids), the rule off that one post is enough. The
background runs for ten minutes first; then each of `--starts` seeded places of the flood is its
beginning, in a process of its own (fork) that goes on until the flood is told. A gap between flood
posts longer than `--longest-gap` seconds is shortened to it. The first place is always the flood's
own beginning. `--hours` plays one flood that long at its own pace and counts its incidents by city.

Told means: the rule holds for a group with a flood post in it that was not told before. Flood posts
are read by the model (kept in build/incidents), the background by rules unless
`--read-background`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import incident_streams as streams
from benchmarks.incidents import SETTINGS, WINDOW, Rules
from huiyin.records import Post
from nlp.incidents.board import Board
from nlp.incidents.burst import least_voices

AFTER = 8
"""A start ends at its eighth flood post, told or not."""
MARK = ":flood-"
QUIET = timedelta(hours=6)
"""A second incident of a city within this time of the last post of the first one is too many."""


@dataclass
class Told:
    """How one start went."""

    begin: int
    place: int | None = None
    """Number of the flood post that tipped the rule; None = not within `AFTER`."""
    seconds: float = 0.0
    """Longest wall time that the board needed for one flood post until then."""
    score: float = 0.0
    posts: int = 0
    """Of flood and background that were played after the beginning."""


class Play:
    """A board that is fed posts, and the rule asked as the detector asks it."""

    def __init__(self) -> None:
        self._by_id: dict[str, Post] = {}
        self.board = Board(WINDOW, lambda ids: [self._by_id[one] for one in ids])
        self.told: dict[str, datetime] = {}
        self.ended: dict[str, str] = {}

    def take(self, post: Post) -> str | None:
        """Feed a post; the group that has just to be told, or None."""
        self._by_id[post.id] = post
        step = self.board.decide(post)
        group = step.group
        if step.merge:
            ends, group = step.merge
            self.board.merge(ends, group)
            self.ended[ends] = group
            if ends in self.told:
                self.told.setdefault(group, self.told.pop(ends))
        elif step.divide:
            self.board.divide(step.divide)
        if group in self.told or not self._holds(group):
            return None
        self.told[group] = post.created_at
        return group

    def _holds(self, group: str) -> bool:
        gathering = self.board.gatherings.get(group)
        if gathering is None or len(gathering.authors) < least_voices(SETTINGS.min_authors):
            return False
        burst = gathering.burst(self.board.grouper.hourly)
        return burst.holds(SETTINGS.min_authors, SETTINGS.min_score)


def one_start(play: Play, begin: int, ours: Sequence[Post], behind: Sequence[Post]) -> Told:
    """Play the flood from one of its posts over the background."""
    result = Told(begin)
    number = 0
    for post in sorted([*ours, *behind], key=lambda one: (one.created_at, one.id)):
        result.posts += 1
        before = time.perf_counter()
        group = play.take(post)
        if MARK in post.id:
            number += 1
            result.seconds = max(result.seconds, time.perf_counter() - before)
        if group is not None:
            burst = play.board.gatherings[group].burst(play.board.grouper.hourly)
            if any(MARK in one.id for one in play.board.gatherings[group].members()):
                result.place, result.score = number, round(burst.total, 2)
                return result
        if number >= AFTER:
            return result
    return result


def in_a_fork(play: Play, begin: int, ours: Sequence[Post], behind: Sequence[Post]) -> Told:
    """The same in a child process, so that every start finds the same board."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with os.fdopen(write, "w") as out:
            out.write(json.dumps(asdict(one_start(play, begin, ours, behind))))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return Told(**json.loads(text))


def starts(read: Any, behind: Any, given: argparse.Namespace) -> dict[str, Any]:
    """Every start over one background."""
    whole = len(streams.rows("flood_2021"))
    chosen = random.Random(given.seed).sample(range(1, whole - 50), given.starts - 1)
    begins = [0, *sorted(chosen)]
    seconds = streams.WARM.total_seconds() + AFTER * given.longest_gap
    background = streams.posts(streams.background(given.rate, seconds), behind)
    edge = streams.START + streams.WARM
    play = Play()
    for post in background:
        if post.created_at < edge:
            play.take(post)
    rest = [post for post in background if post.created_at >= edge]
    found = []
    for begin in begins:
        rows = list(streams.flood(begin, seconds, given.longest_gap))[:AFTER]
        found.append(in_a_fork(play, begin, streams.posts(rows, read), rest))
        print(found[-1], flush=True)
    by_third = [one for one in found if one.place is not None and 1 < one.place <= 3]
    return {
        "rate": given.rate,
        "starts": len(found),
        "told by the third, not by the first": len(by_third),
        "places": {str(place): n for place, n in Counter(one.place for one in found).items()},
        "longest wall seconds for one flood post": max(one.seconds for one in found),
        "late": [asdict(one) for one in found if one not in by_third],
        "background posts": len(background),
        "background alerts before the flood": len(play.told),
    }


# ---- one incident a city


def cities(read: Any, behind: Any, given: argparse.Namespace) -> dict[str, Any]:
    """A flood of some hours at its own pace: incidents of several flood posts, by city."""
    seconds = given.hours * 3600
    background = streams.posts(
        streams.background(given.rate, streams.WARM.total_seconds() + seconds), behind
    )
    ours = streams.posts(list(streams.flood(given.begin, seconds, given.longest_gap)), read)
    play = Play()
    started = time.process_time()
    alerts = []
    for post in sorted([*background, *ours], key=lambda one: (one.created_at, one.id)):
        group = play.take(post)
        if group is not None:
            alerts.append((group, post))
    spent = time.process_time() - started
    found = list(_of_the_flood(play))
    return {
        "hours": given.hours,
        "flood posts": len(ours),
        "background posts": len(background),
        "posts a processor second": (len(background) + len(ours)) / spent,
        "alerts": len(alerts),
        "incidents with several flood posts": len(found),
        "the largest": max(n for _, n, _ in found),
        "incidents told": [one for one in found if one[2]],
        "second incidents of a city, told": _seconds(play, only_told=True),
        "second incidents of a city, open": _seconds(play, only_told=False),
    }


def _of_the_flood(play: Play) -> Iterator[tuple[str, int, bool]]:
    """(title's post, flood posts, told) of each incident with two flood posts or more."""
    for group, gathering in play.board.gatherings.items():
        count = sum(MARK in one.id for one in gathering.members())
        if count > 1:
            yield group, count, group in play.told


def _seconds(play: Play, *, only_told: bool) -> list[dict[str, Any]]:
    """Incidents of the flood whose city another one had within the last hours."""
    spans: list[tuple[datetime, datetime, str, str, str]] = []
    for group, count, told in _of_the_flood(play):
        if only_told and not told:
            continue
        members = play.board.gatherings[group].members()
        places = Counter(place.adcode[:4] for one in members for place in one.places
                         if place.adcode[2:4] != "00")  # fmt: skip
        if not places:
            continue
        city, _ = places.most_common(1)[0]
        begin, end = (datetime.fromtimestamp(f(one.time for one in members), streams.START.tzinfo)
                      for f in (min, max))  # fmt: skip
        spans.append((begin, end, city, f"{group} ({count})", members[0].text[:60]))
    spans.sort()
    return [
        {"city": later[2], "incident": later[3], "text": later[4], "beside": first[3]}
        for place, later in enumerate(spans)
        for first in [one for one in spans[:place] if one[2] == later[2]][:1]
        if later[0] - first[1] <= QUIET
    ]


def main() -> None:
    """Print what was measured, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=1.0, help="background posts a second")
    parser.add_argument("--starts", type=int, default=25)
    parser.add_argument("--seed", type=int, default=20210720)
    parser.add_argument("--longest-gap", type=float, default=120.0, help="seconds")
    parser.add_argument("--hours", type=float, default=0.0, help="measure incidents by city")
    parser.add_argument("--begin", type=int, default=5, help="first flood post, with --hours")
    parser.add_argument("--read-background", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    read = streams.Kept()
    behind: Any = read if given.read_background else Rules()
    result = cities(read, behind, given) if given.hours else starts(read, behind, given)
    result |= {"model": read.model, "background read by": behind.model,
               "longest gap, seconds": given.longest_gap, "load": os.getloadavg()}  # fmt: skip
    text = json.dumps(result, ensure_ascii=False, indent=1)
    print(text)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
