"""Temporary sources: an incident's words are searched for, beside a standing search, and no longer.

A temporary source copies where and with whose grant a standing search of the same office looks,
asks for the incident's words instead, and ends with the incident; what it covered stays on record.
Its id follows from the incident's, so there is one for an incident, whoever makes it how often. It
spends only calls that the standing sources let lapse (`Budget.check_spare`), and is not begun where
their plan leaves too few.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from crawler.budget import RESERVE, purse_of, spare_calls
from crawler.sources import SEARCH, SPIDER, TEMPORARY
from huiyin.records import Gap, Incident, IncidentState, Quota, Scope, Source, append_act

ACTOR = "system:incidents"
OFTEN, SELDOM = 300.0, 1800.0
"""Seconds between readings while the incident is active, and while it eases."""
LEAST_A_DAY = 48.0
"""Fewer calls a day than this, and a temporary source is not worth beginning."""
LONGEST = timedelta(days=7)
"""It ends then for good, whatever becomes of its incident: what is watched for so long, a person

decides on."""
BEFORE = timedelta(hours=1)
"""It looks so far back before the incident's first post."""
FARTHEST = timedelta(days=2)
"""But not farther back than this from its own beginning."""
ENDINGS = {
    "closed": "事件已经结束", "merged": "事件并入了另一个事件", "dismissed": "判为不算事件",
    "age": f"满 {LONGEST.days} 天", "off": "设置里关掉了临时搜索", "gone": "事件已不在档案里",
    "standing": "常设的搜索来源停了",
}  # fmt: skip
_WORKING = ("ok", "slow", "silent")
_COPIED = ("uid", "host", "endpoint", "province", "provinces", "exclude")


def source_id(incident: str) -> str:
    """Id of the temporary source of an incident."""
    return TEMPORARY + incident.removeprefix("incident:")


def is_topic(source: Source) -> bool:
    """True for a list that knows only whole topics."""
    return source.spider == SPIDER


def standing_search(sources: Iterable[Source], offices: Sequence[str]) -> Source | None:
    """The standing search of one of these offices: by words before by topics; None = there is none.

    What a person stopped, or what reads for another office only, does not count.
    """
    scope = Scope.of(*offices)
    fit = [
        one for one in sources
        if not one.incident and not one.resting and scope.allows(one.offices)
        and (one.spider == SEARCH
             or (one.spider == SPIDER and one.parameters.get("endpoint") == "topic"))
    ]  # fmt: skip
    return min(
        fit, key=lambda one: (is_topic(one), one.state not in _WORKING, one.id), default=None
    )


def no_room(standing: Source, sources: Sequence[Source], quota: Quota | None) -> str:
    """Why no temporary source fits beside this standing one now; empty = one fits."""
    if standing.state not in _WORKING:
        return "常设的搜索来源现在读不了"
    beside = [one for one in sources if purse_of(one) == purse_of(standing)]
    if quota is None:
        return ""
    least = LEAST_A_DAY * quota.window_seconds / 86400
    if spare_calls(beside, quota, more=1) < least:
        return "额度只够常设来源"
    if quota.used + 1 > quota.limit * (1 - RESERVE):
        return "额度现在用完了"
    return ""


def begun(
    standing: Source, incident: Incident, words: Sequence[str], why: str, now: datetime
) -> Source:
    """The temporary source of an incident, not stored yet."""
    said = {name: standing.parameters[name] for name in _COPIED if standing.parameters.get(name)}
    said["q"] = " ".join(words)
    if not is_topic(standing):
        back = min(now - incident.first_post_at + BEFORE, FARTHEST)
        said["since_days"] = f"{back / timedelta(days=1):.4f}"
    return Source(
        id=source_id(incident.id), offices=standing.offices, spider=standing.spider,
        parameters=said, account=standing.account, every_seconds=_every(incident),
        incident=incident.id, why=why,
        acts=append_act((), at=now, actor=ACTOR, what="begin-source", why=incident.id),
    )  # fmt: skip


def ending(
    source: Source, incident: Incident | None, standing: Source | None, now: datetime, *,
    wanted: bool,
) -> str:  # fmt: skip
    """Why it has to end now (a key of `ENDINGS`); empty = it goes on.

    `incident`, `standing`: as the archive has them now. `wanted`: the setting is on.
    """
    if incident is None:
        return "gone"
    if incident.state is IncidentState.MERGED:
        return "merged"
    if incident.verdict == "dismissed":
        return "dismissed"
    if incident.state is IncidentState.CLOSED:
        return "closed"
    if not wanted:
        return "off"
    if standing is None:
        return "standing"
    return "age" if source.ended == "age" or now - _began_at(source) >= LONGEST else ""


def settled(source: Source, incident: Incident | None, why: str, now: datetime) -> Source:
    """The source after `ending` said why it ends (empty = goes on); twice changes nothing.

    One that had ended and goes on catches up on the time between. A person's pause stays.
    """
    if why:
        if source.ended_at is not None:
            return source.model_copy(update={"ended": why}) if source.ended != why else source
        gaps = tuple(
            gap if gap.ends_at else gap.model_copy(update={"ends_at": now}) for gap in source.gaps
        )
        acts = append_act(source.acts, at=now, actor=ACTOR, what="end-source", why=ENDINGS[why])
        return source.model_copy(update={"ended_at": now, "ended": why, "gaps": gaps, "acts": acts})
    every = _every(incident) if incident else source.every_seconds
    if source.ended_at is None:
        same = source.every_seconds == every
        return source if same else source.model_copy(update={"every_seconds": every})
    missed = Gap(starts_at=source.ended_at, reason="事件结束后没有再看", state="ended")
    acts = append_act(source.acts, at=now, actor=ACTOR, what="reopen-source")
    return source.model_copy(
        update={"ended_at": None, "ended": "", "gaps": (*source.gaps, missed), "acts": acts,
                "every_seconds": every}
    )  # fmt: skip


def _every(incident: Incident) -> float:
    return SELDOM if incident.state is IncidentState.EASING else OFTEN


def _began_at(source: Source) -> datetime:
    """When it was begun, or last begun again."""
    begins = [one.at for one in source.acts if one.what in ("begin-source", "reopen-source")]
    return begins[-1] if begins else source.acts[0].at
