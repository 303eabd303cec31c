"""Searches that follow an incident: begun while it is active, ended with it. Run by `watch`.

Incidents know words, the crawler knows sources and allowances; they meet here. A pass compares what
there is with what there should be and changes the difference, so doing it twice, from two processes
or after a kill changes nothing more: a source is `create`d under an id that follows from its
incident's, every later change is written only if nobody wrote since, and is decided on the incident
as the archive has it at that moment. What a process that was held up wrote in between, the next
pass of any process puts right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

import structlog

from archive.base import Archive
from huiyin.clock import Clock
from huiyin.errors import Conflict, HuiyinError
from huiyin.records import Incident, IncidentState, Level, Scope, Source
from huiyin.settings import Settings

if TYPE_CHECKING:
    from nlp.incidents.search_words import Chosen

log = structlog.get_logger("huiyin")
ALL = Scope.everything()
EVERY_SECONDS = 10.0
GROWN = 1.5
"""Where no words were fit, they are looked for again at so many times as many posts."""


@dataclass(frozen=True)
class Change:
    """What a pass did."""

    incident: str
    what: str
    """begun, ended, reopened"""
    why: str = ""


class Following:
    """The temporary searches of one archive. Not for several threads at once."""

    def __init__(self, archive: Archive, settings: Settings, clock: Clock) -> None:
        self._archive, self._settings, self._clock = archive, settings, clock
        self.holds = True
        """False while another process finds the incidents: it sees to the searches as well."""
        self._refused: dict[str, int] = {}
        """Incident without fitting words -> its posts when that was found."""
        self._told: set[tuple[str, str]] = set()

    def run(self, ended: Callable[[], bool], stop: Event) -> None:
        """A pass every ten seconds, in a thread of its own: no alert waits for words."""
        while not stop.wait(EVERY_SECONDS) and not ended():
            if not self.holds:
                continue
            try:
                self.run_once()
            except HuiyinError as error:
                log.warning("temporary searches not looked at", error=str(error))

    def run_once(self) -> list[Change]:
        """A pass: end what is over, begin what is wanted and has room. Raises `ArchiveError`."""
        from crawler.sources import known_sources

        sources = known_sources(self._archive, None)
        done = [one for source in sources if source.incident for one in self._settle(source.id)]
        if self._settings.incidents.search:
            done += self._begin()
        for one in done:
            log.info("temporary search", incident=one.incident, what=one.what, why=one.why)
        return done

    # ---- what there is

    def _settle(self, source_id: str) -> Iterator[Change]:
        """End it if it is over, or let it go on; decided on what the archive has now."""
        from crawler.temporary import ENDINGS, ending, settled

        what: list[Change] = []

        def edit(one: Source) -> Source:
            what.clear()
            now, incident = self._clock(), self._incident(one.incident)
            standing = self._standing(one.offices)
            why = ending(one, incident, standing, now, wanted=self._settings.incidents.search)
            after = settled(one, incident, why, now)
            if (after.ended_at is None) is not (one.ended_at is None):
                name = "ended" if after.ended_at else "reopened"
                what.append(Change(one.incident, name, ENDINGS.get(why, "")))
            return after

        self._archive.change(Source, source_id, ALL, edit)
        yield from what

    def _incident(self, incident: str) -> Incident | None:
        stored = self._archive.get(Incident, incident, ALL)
        return stored.record if stored else None

    def _standing(self, offices: Sequence[str]) -> Source | None:
        from crawler.sources import known_sources
        from crawler.temporary import standing_search

        return standing_search(known_sources(self._archive, None), offices)

    # ---- what is to be

    def _begin(self) -> list[Change]:
        from crawler.sources import known_sources
        from crawler.temporary import source_id

        done: list[Change] = []
        most = self._settings.incidents.search_most
        for incident in self._wanting():
            sources = known_sources(self._archive, None)
            following = [one for one in sources if one.incident]
            if any(one.incident == incident.id for one in following):
                continue
            if len(following) >= most:
                self._say(incident, f"同时最多 {most} 个")
                break
            known = self._archive.get(Source, source_id(incident.id), ALL)
            if known is not None and known.record.ended == "age":
                continue
            if (room := self._no_room(incident, sources)) != "":
                self._say(incident, room)
            elif known is not None:
                done += self._settle(known.record.id)
            else:
                done += self._begin_one(incident, sources)
        return done

    def _wanting(self) -> list[Incident]:
        """Active incidents that nobody dismissed, the gravest and then the oldest first."""
        found: list[Incident] = []
        after = ""
        while page := self._archive.records(
            Incident, ALL, state=IncidentState.ACTIVE, limit=500, after=after
        ):
            after = page[-1].record.id
            found += [one.record for one in page if one.record.verdict != "dismissed"]
        order = {level: place for place, level in enumerate(Level)}
        return sorted(
            found,
            key=lambda one: (
                order[one.suspected_level] if one.suspected_level else len(order),
                one.opened_at, one.id,
            ),
        )  # fmt: skip

    def _no_room(self, incident: Incident, sources: Sequence[Source]) -> str:
        from crawler.budget import Budget, purse_of
        from crawler.temporary import no_room, standing_search

        standing = standing_search(sources, incident.offices)
        if standing is None:
            return "涉及的账号没有常设的搜索来源"
        budget = Budget(self._archive, self._settings.weibo.calls_per_day)
        return no_room(standing, sources, budget.quota(purse_of(standing), self._clock()))

    def _begin_one(self, incident: Incident, sources: Sequence[Source]) -> list[Change]:
        from crawler.temporary import begun, is_topic, standing_search

        standing = standing_search(sources, incident.offices)
        if standing is None or incident.posts < GROWN * self._refused.get(incident.id, 0):
            return []
        chosen = self._words(incident, topic=is_topic(standing))
        if not chosen.words:
            self._refused[incident.id] = incident.posts
            self._say(incident, chosen.why)
            return []
        self._refused.pop(incident.id, None)
        made = begun(standing, incident, chosen.words, chosen.why, self._clock())
        try:
            self._archive.create(made)
        except Conflict:  # another process was first
            return []
        return [Change(incident.id, "begun", chosen.why)]

    def _words(self, incident: Incident, *, topic: bool) -> Chosen:
        from nlp.incidents.search_words import search_words

        home = home_of(self._settings.office.region)
        return search_words(self._archive, incident, home=home, topic=topic)

    def _say(self, incident: Incident, why: str) -> None:
        """Once for each incident and reason."""
        if (incident.id, why) not in self._told:
            self._told.add((incident.id, why))
            log.info("no temporary search", incident=incident.id, why=why)


def home_of(region: str) -> str:
    """How the office's own area is written most shortly; empty when it is not set or not known."""
    if not region:
        return ""
    from nlp import written_forms

    try:
        forms = written_forms(region)
    except KeyError:
        return ""
    own = [form for form, (code, only_here) in forms.items() if code == region and only_here]
    return min(own, key=lambda form: (len(form), form), default="")
