"""Creates due alerts and delivers them; what is due lies in the archive, nothing in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from alerts import rules
from alerts.base import Channel
from alerts.delivery import OPEN, Courier, alert_id, deliveries_to
from alerts.rota import on_call
from alerts.text import text_of, title_of
from archive.base import Archive, Stored
from huiyin.clock import Clock, system_clock
from huiyin.errors import Conflict
from huiyin.records import (
    Account,
    Actor,
    Alert,
    AlertState,
    Delivery,
    Incident,
    Role,
    Scope,
    append_act,
)  # fmt: skip
from huiyin.settings import AlertSettings

ALL = Scope.everything()
SYSTEM = Actor.system("alerts")
FULL_SCAN = timedelta(seconds=60)
NEWEST = 500


@dataclass(frozen=True)
class Report:
    """What one run did."""

    created: tuple[str, ...] = ()
    raised: tuple[str, ...] = ()
    """Alerts told once more because the suspected level rose."""
    messages: tuple[str, ...] = ()
    """Ids of messages that a channel accepted."""
    failed: tuple[str, ...] = ()
    """`<delivery>: reason`, to be tried again or dead."""
    warnings: tuple[str, ...] = ()
    decisions: Mapping[str, int] = field(default_factory=dict)
    """Named reason -> number of incidents looked at."""
    waiting: int = 0
    """Deliveries neither sent nor dead."""


class Alerter:
    """Call `run_once` about each second, from one process or several."""

    def __init__(
        self,
        archive: Archive,
        channels: Sequence[Channel],
        *,
        settings: AlertSettings,
        clock: Clock = system_clock,
        link: Callable[[str], str] | None = None,
    ) -> None:
        """`link` turns an incident id into the console's address of it."""
        self._archive = archive
        self._channels = {channel.name: channel for channel in channels}
        self._clock = clock
        self._courier = Courier(
            archive, self._channels, most_attempts=settings.max_attempts, clock=clock,
            link=link or (lambda incident: ""),
        )  # fmt: skip
        self._log = structlog.get_logger("alerts")
        self._scanned: datetime | None = None

    def run_once(self) -> Report:
        """Create or raise what is due, send what is due. Doing it twice changes nothing."""
        created, raised, decisions = self._tell()
        carried = self._courier.deliver()
        for warning in carried.warnings:
            self._log.error("nobody on call", reason=warning)
        return Report(
            tuple(created), tuple(raised), carried.messages, carried.failed, carried.warnings,
            dict(decisions), carried.waiting,
        )  # fmt: skip

    def acknowledge(self, alert_id: str, actor: Actor) -> Stored[Alert]:
        """A person takes the matter over: what was not sent yet is not sent any more.

        Raises `NotAllowed` without the role 值班员, `NotFound` outside the actor's scope.
        """
        actor.require(Role.ON_CALL)
        now = self._clock()

        def edit(alert: Alert) -> Alert:
            if alert.state is AlertState.ACKNOWLEDGED:
                return alert
            deliveries = tuple(
                one.model_copy(update={"state": "dead", "error": f"{actor.name}已确认"})
                if one.state in OPEN
                else one
                for one in alert.deliveries
            )
            acts = append_act(alert.acts, at=now, actor=actor.id, what="acknowledge")
            return alert.model_copy(
                update={
                    "state": AlertState.ACKNOWLEDGED, "deliveries": deliveries, "acts": acts,
                    "acknowledged_by": actor.id, "acknowledged_at": now,
                }
            )  # fmt: skip

        return self._archive.change(Alert, alert_id, actor.scope, edit)

    # ---- what is due to be told

    def _tell(self) -> tuple[list[str], list[str], Counter[str]]:
        created, raised = [], []
        decisions: Counter[str] = Counter()
        now = self._clock()
        incidents = self._incidents(now)
        self._follow(incidents)
        for incident in incidents:
            stored = self._alert_of(incident)
            decision = rules.decide(incident, stored.record if stored else None, now)
            decisions[decision.why] += 1
            if not decision.tell:
                continue
            try:
                if stored is None:
                    self._archive.create(self._new(incident, now))
                    created.append(alert_id(incident.id))
                else:
                    self._archive.replace(stored, self._raised(stored.record, incident, now))
                    raised.append(stored.record.id)
            except Conflict:  # another alerter or a person was first: the next run looks again
                continue
        return created, raised, decisions

    def _follow(self, incidents: Sequence[Incident]) -> None:
        """Alerts of incidents that were merged go on with the incident that these went into."""
        merged = {one.id: one.merged_into for one in incidents if one.merged_into}
        for ends, into in merged.items():
            stored = self._archive.get(Alert, alert_id(ends), ALL)
            target = into
            while target in merged and merged[target] != ends:
                target = merged[target]
            if stored is None or target is None or stored.record.incident == target:
                continue
            if self._archive.get(Alert, alert_id(target), ALL) is not None:
                continue  # both were told: each keeps its own
            acts = append_act(
                stored.record.acts, at=self._clock(), actor=SYSTEM.id, what="follow", why=target
            )
            with suppress(Conflict):  # the next run looks again
                update = {"incident": target, "acts": acts}
                self._archive.replace(stored, stored.record.model_copy(update=update))

    def _alert_of(self, incident: Incident) -> Stored[Alert] | None:
        """Its own alert, or one that followed it here by a merge."""
        stored = self._archive.get(Alert, alert_id(incident.id), ALL)
        if stored is None and incident.alerted_at is not None:
            followed = self._archive.records(Alert, ALL, ref=incident.id, limit=1)
            stored = followed[0] if followed else None
        return stored

    def _incidents(self, now: datetime) -> list[Incident]:
        """Those written lately; every minute all of them, so that none is ever missed."""
        if self._scanned is not None and now - self._scanned < FULL_SCAN:
            newest = self._archive.records(Incident, ALL, limit=NEWEST, newest_first=True)
            return [stored.record for stored in newest]
        self._scanned = now
        found: list[Incident] = []
        while page := self._archive.records(
            Incident, ALL, limit=1000, after=found[-1].id if found else ""
        ):
            found.extend(stored.record for stored in page)
        return found

    def _new(self, incident: Incident, now: datetime) -> Alert:
        rota = on_call(self._archive, incident.offices, now)
        first = [person for person in rota.people if person.order == rota.people[0].order]
        start = now + rules.hold(incident, self._just_told(now))
        return Alert(
            id=alert_id(incident.id), offices=incident.offices, incident=incident.id,
            rule=rules.RULE, title=title_of(incident), text=self._text(incident),
            reasons=(rota.warning,) if rota.warning else (), created_at=now,
            deliveries=deliveries_to(first, self._channels, start),
            acts=append_act(
                (), at=now, actor=SYSTEM.id, what="create", why=incident.suspected_level or ""
            ),
        )  # fmt: skip

    def _raised(self, alert: Alert, incident: Incident, now: datetime) -> Alert:
        """The same alert with new words, told once more to everybody who was told before.

        What was not tried yet simply goes out with the new words.
        """
        again = []
        for one in _last_round(alert.deliveries):
            if one.state not in OPEN or one.attempts:
                again.append(Delivery(channel=one.channel, recipient=one.recipient, next_at=now))
        acts = append_act(
            alert.acts, at=now, actor=SYSTEM.id, what="raise", why=incident.suspected_level or ""
        )
        return alert.model_copy(
            update={
                "title": title_of(incident), "text": self._text(incident),
                "deliveries": (*alert.deliveries, *again), "state": AlertState.PENDING,
                "acknowledged_by": None, "acknowledged_at": None, "acts": acts,
            }
        )  # fmt: skip

    def _text(self, incident: Incident) -> str:
        posts = self._archive.get_posts(incident.key_posts[:5], ALL)
        names = {}
        for account in incident.accounts:
            stored = self._archive.get(Account, account, ALL)
            names[account] = stored.record.name if stored else account
        return text_of(incident, posts, names)

    def _just_told(self, now: datetime) -> list[Incident]:
        newest = self._archive.records(Alert, ALL, limit=50, newest_first=True)
        recent = [
            one.record.incident
            for one in newest
            if now - one.record.created_at <= rules.HAPPENING_WINDOW
            and any(delivery.sent_at for delivery in one.record.deliveries)
        ]
        found = (self._archive.get(Incident, incident, ALL) for incident in recent)
        return [stored.record for stored in found if stored is not None]


def _last_round(deliveries: Sequence[Delivery]) -> list[Delivery]:
    return list({(one.channel, one.recipient): one for one in deliveries}.values())
