"""What other thresholds would have done, and which ones give a wanted number of alerts a day.

Each incident's burst is followed voice by voice; a pair (least authors, least score) tells at the
first voice at which the rule holds. Only the burst rule is asked: alarms of one post are told
anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from huiyin.records import Post
from nlp.incidents.burst import Burst
from nlp.incidents.gathering import Gathering, member

AUTHORS = (2, 3, 4, 5, 8)
SCORES = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
LOWEST = 0.2
"""No score below this is suggested, however few alerts there would be."""
EACH = 60
"""Voices that are followed one by one; after that every tenth part more."""


@dataclass(frozen=True, slots=True)
class Step:
    """An incident as it stood after one post."""

    at: datetime
    posts: int
    burst: Burst


@dataclass(frozen=True)
class Choice:
    """A pair of thresholds and what it would have done."""

    authors: int
    score: float
    alerts: int
    a_day: float
    posts_seen: float | None
    """Median number of posts read when it tells."""
    minutes: float | None
    """Median time from the first post to telling."""
    lost: int
    """Incidents that the present thresholds told and these would not."""


@dataclass(frozen=True)
class Tuning:
    wanted: float
    days: float
    now: Choice
    choices: tuple[Choice, ...]
    """One a number of authors, each with the least score that keeps to the wanted number."""
    best: Choice | None
    """Told soonest among them; None when none keeps to it."""


def follow(posts: Iterable[Post], stream_hourly: float | None = None) -> tuple[Step, ...]:
    """The steps of one incident, in time order of its posts.

    `stream_hourly`: posts an hour of the whole stream, its mean.
    """
    gathering = Gathering()
    steps: list[Step] = []
    looked = 0
    for count, post in enumerate(sorted(posts, key=lambda one: (one.created_at, one.id)), 1):
        before = len(gathering.voices)
        gathering.add(member(post))
        voices = len(gathering.voices)
        if voices == before or (voices > EACH and voices < looked * 1.1):
            continue
        looked = voices
        steps.append(Step(post.created_at, count, gathering.burst(stream_hourly)))
    return tuple(steps)


def told(steps: Sequence[Step], authors: int, score: float) -> Step | None:
    """Where the rule first holds."""
    return next((one for one in steps if one.burst.holds(authors, score)), None)


def peak(steps: Sequence[Step], authors: int) -> float:
    """Highest score that this incident reaches with enough authors; 0 when it never has them."""
    return max((one.burst.total for one in steps if one.burst.holds(authors, 0.0)), default=0.0)


def choose(
    incidents: Mapping[str, Sequence[Step]],
    days: float,
    wanted: float,
    *,
    authors: int,
    score: float,
) -> Tuning:
    """Thresholds for `wanted` alerts a day; `authors` and `score` are the present ones."""
    days = max(days, 1e-9)
    present = {name for name, steps in incidents.items() if told(steps, authors, score)}
    most = int(wanted * days + 1e-9)
    choices = []
    for least in sorted({*AUTHORS, authors}):
        peaks = sorted((peak(steps, least) for steps in incidents.values()), reverse=True)
        peaks = [one for one in peaks if one > 0]
        # Above the first score that is one too many; equal scores go together.
        bar = LOWEST if len(peaks) <= most else round(peaks[most] + 0.005, 2) + 0.01
        choices.append(_choice(incidents, days, least, round(max(bar, LOWEST), 2), present))
    keeping = [one for one in choices if one.alerts <= most and one.alerts > 0]
    best = min(
        keeping, key=lambda one: (one.posts_seen or 0.0, -one.alerts, one.authors), default=None
    )
    return Tuning(
        wanted, days, _choice(incidents, days, authors, score, present), tuple(choices), best
    )


def _choice(
    incidents: Mapping[str, Sequence[Step]], days: float, authors: int, score: float,
    present: set[str],
) -> Choice:  # fmt: skip
    found = {name: told(steps, authors, score) for name, steps in incidents.items()}
    hits = {name: step for name, step in found.items() if step is not None}
    waits = [(step.at - incidents[name][0].at).total_seconds() / 60 for name, step in hits.items()]
    return Choice(
        authors=authors,
        score=score,
        alerts=len(hits),
        a_day=round(len(hits) / days, 3),
        posts_seen=float(median(step.posts for step in hits.values())) if hits else None,
        minutes=round(float(median(waits)), 1) if waits else None,
        lost=len(present - hits.keys()),
    )
