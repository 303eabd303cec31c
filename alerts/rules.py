"""When somebody is told about an incident, and which incidents go into one message.

There is one rule, `burst`: an incident whose burst rule held (`alerted_at`) and that has no alert
yet. A later rise of the suspected level updates the same alert and tells once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from huiyin.records import Alert, Incident, IncidentState, Level

RULE = "burst"
STALE_AFTER = timedelta(hours=48)
"""An incident without a new post for so long wakes nobody: the longest clock of 国办发〔2016〕61号

(48 h) has run out. Imported history is the usual case.
"""
HOLD = timedelta(seconds=2)
"""A new alert waits so long for others to the same person: they go out as one message."""
SPLINTER_HOLD = timedelta(seconds=60)
"""Instead of `HOLD` for a part of a happening that the person was just told about."""
HAPPENING_WINDOW = timedelta(minutes=30)

LEVELS = {level: 4 - position for position, level in enumerate(Level)}


class Why(StrEnum):
    """Named reasons of a decision."""

    BURST = "burst"
    LEVEL_ROSE = "level_rose"
    NO_BURST = "no_burst"
    MERGED = "merged"
    DISMISSED = "dismissed"
    STALE = "stale"
    TOLD = "told"


@dataclass(frozen=True)
class Decision:
    """Whether to tell, and the named reason."""

    tell: bool
    why: Why


def decide(incident: Incident, alert: Alert | None, now: datetime) -> Decision:
    """What the rule says about an incident and the alert it has so far (None = none)."""
    if incident.state is IncidentState.MERGED:
        return Decision(False, Why.MERGED)
    if incident.verdict == "dismissed":
        return Decision(False, Why.DISMISSED)
    if alert is not None:
        rose = rank(incident.suspected_level) > rank(told_level(alert))
        return Decision(rose, Why.LEVEL_ROSE if rose else Why.TOLD)
    if incident.alerted_at is None:
        return Decision(False, Why.NO_BURST)
    if now - incident.last_post_at > STALE_AFTER:
        return Decision(False, Why.STALE)
    return Decision(True, Why.BURST)


def rank(level: Level | str | None) -> int:
    """4 (疑似特别重大) to 1 (疑似一般); 0 when too little is known."""
    return LEVELS.get(Level(level), 0) if level else 0


def told_level(alert: Alert) -> str:
    """Suspected level that the alert's last message was written for; empty = none."""
    levels = [act.why for act in alert.acts if act.what in {"create", "raise"}]
    return levels[-1] if levels else ""


def same_happening(one: Incident, other: Incident) -> bool:
    """True when two incidents look like parts of one: same place, close in time.

    A place counts from the county downwards: a city's name is on too many posts to tell anything.
    """
    places = {place.adcode for place in one.places if not place.adcode[:6].endswith("00")}
    shared = places.intersection(place.adcode for place in other.places)
    starts, ends = (
        max(one.first_post_at, other.first_post_at),
        min(one.last_post_at, other.last_post_at),
    )
    return bool(shared) and starts - ends <= HAPPENING_WINDOW


def hold(incident: Incident, just_told: list[Incident]) -> timedelta:
    """How long the first message waits for others, given what the person was just told."""
    return (
        SPLINTER_HOLD
        if any(
            same_happening(incident, told)
            and rank(incident.suspected_level) <= rank(told.suspected_level)
            for told in just_told
        )
        else HOLD
    )
