"""Carries alerts to people: claims, groups, sends, marks, and finds somebody else when it must.

A delivery is claimed (attempt counted, `next_at` set a moment ahead) by an optimistic write, sent,
then marked. So two couriers never send the same one at once, and after a kill between sending and
marking it goes out once more, with the same id in its text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from alerts import rules
from alerts.base import Channel, Message
from alerts.rota import OnCall, on_call
from alerts.text import plain, section
from archive.base import Archive, Stored
from huiyin.clock import Clock
from huiyin.errors import ChannelError, Conflict
from huiyin.records import Alert, AlertState, Delivery, Incident, Person, Scope

ALL = Scope.everything()
CLAIM = timedelta(seconds=8)
"""Longer than a channel's time-out (5 s): by then the claimant has marked, or is dead."""
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=5)
OPEN = frozenset({"pending", "failed"})
NOBODY = "没有可通知的人"


@dataclass(frozen=True)
class Carried:
    """What one round of deliveries did."""

    messages: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    waiting: int = 0


@dataclass(frozen=True)
class _Due:
    """One claimed delivery of an alert."""

    alert: Stored[Alert]
    position: int
    id: str
    update: bool


class Courier:
    """Delivers what is due; keeps nothing of its own."""

    def __init__(
        self,
        archive: Archive,
        channels: Mapping[str, Channel],
        *,
        most_attempts: int,
        clock: Clock,
        link: Callable[[str], str],
    ) -> None:
        self._archive = archive
        self._channels = channels
        self._most = most_attempts
        self._clock = clock
        self._link = link
        self._log = structlog.get_logger("alerts")

    def deliver(self) -> Carried:
        """Send everything that is due now, one message a person and channel."""
        now = self._clock()
        messages: list[str] = []
        failed: list[str] = []
        warnings: list[str] = []
        due: dict[tuple[str, str], list[_Due]] = {}
        waiting = 0
        for stored in self._unfinished():
            alert = self._routed(stored, now, warnings)
            ready = [n for n, one in enumerate(alert.record.deliveries) if _is_due(one, now)]
            waiting += sum(one.state in OPEN for one in alert.record.deliveries)
            for position in ready:
                one = alert.record.deliveries[position]
                key = (one.recipient, one.channel)
                due.setdefault(key, []).append(_as_due(alert, position))
        for (recipient, channel), found in due.items():
            claimed = [one for one in map(self._claim, found) if one is not None]
            if claimed:
                sent, problem = self._send(recipient, channel, claimed)
                messages.extend([sent] if sent else [])
                failed.extend([problem] if problem else [])
                waiting -= len(claimed) if sent else 0
        return Carried(tuple(messages), tuple(failed), tuple(warnings), waiting)

    def _unfinished(self) -> list[Stored[Alert]]:
        found: list[Stored[Alert]] = []
        after = ""
        while page := self._archive.records(
            Alert, ALL, state=AlertState.PENDING, after=after, limit=500
        ):
            found.extend(page)
            after = page[-1].record.id
        return found

    def _routed(self, stored: Stored[Alert], now: datetime, warnings: list[str]) -> Stored[Alert]:
        """Drop what a merge made pointless; find somebody else when everybody so far is dead."""
        alert = stored.record
        deliveries, reasons = alert.deliveries, alert.reasons
        target = self._told_by(alert)
        if target:
            deliveries = tuple(
                one.model_copy(update={"state": "dead", "error": f"已并入 {target}"})
                if one.state in OPEN
                else one
                for one in deliveries
            )
        elif not any(one.state in OPEN or one.state == "sent" for one in deliveries):
            rota = on_call(self._archive, alert.offices, now)
            tried = {(one.recipient, one.channel) for one in deliveries}
            more = tuple(
                one
                for one in deliveries_to(rota.people, self._channels, now)
                if (one.recipient, one.channel) not in tried
            )
            if not deliveries and not more:
                warnings.append(f"{alert.id}：{rota.warning or NOBODY}")
            deliveries = (*deliveries, *more)
            reasons = (rota.warning,) if rota.warning and not rota.people else reasons
        state = _state(alert.state, deliveries) if deliveries else alert.state
        if (
            deliveries
            and not any(one.state in OPEN for one in deliveries)
            and not _told(deliveries)
        ):
            state = AlertState.SENT if target else AlertState.FAILED
        changed = alert.model_copy(
            update={"deliveries": deliveries, "reasons": reasons, "state": state}
        )
        return stored if changed == alert else self._write(stored, changed) or stored

    def _told_by(self, alert: Alert) -> str:
        """The incident that this one was merged into, if that one has an alert; else empty."""
        target = ""
        current = self._archive.get(Incident, alert.incident, ALL)
        for _ in range(20):
            if current is None or not current.record.merged_into:
                break
            target = current.record.merged_into
            current = self._archive.get(Incident, target, ALL)
        return target if target and self._archive.get(Alert, alert_id(target), ALL) else ""

    def _claim(self, due: _Due) -> _Due | None:
        """Count the attempt before it is made; None when somebody wrote in between."""
        now = self._clock()
        alert = self._archive.get(Alert, due.alert.record.id, ALL)
        if alert is None or not _is_due(alert.record.deliveries[due.position], now):
            return None
        one = alert.record.deliveries[due.position]
        claimed = one.model_copy(update={"attempts": one.attempts + 1, "next_at": now + CLAIM})
        stored = self._write(alert, _with(alert.record, due.position, claimed))
        return _as_due(stored, due.position) if stored else None

    def _send(self, recipient: str, channel: str, due: list[_Due]) -> tuple[str, str]:
        """Send one message for all of `due`; returns (its id, "") or ("", what went wrong)."""
        due = sorted(due, key=lambda one: -rules.rank(rules.told_level(one.alert.record)))
        message = self._message(recipient, due)
        error, retry = "", False
        try:
            if channel not in self._channels:
                raise ChannelError(f"渠道 {channel} 没有配置", "检查 alerts 设置", retry=True)
            self._channels[channel].send(message)
        except ChannelError as problem:
            error, retry = str(problem), problem.retry
        for one in due:
            self._mark(one, error, retry)
        if error:
            self._log.error("not delivered", id=message.id, channel=channel, reason=error)
            return "", f"{message.id} {channel}: {error}"
        return message.id, ""

    def _message(self, recipient: str, due: list[_Due]) -> Message:
        sections = [
            section(
                one.alert.record, one.id, update=one.update,
                link=self._link(one.alert.record.incident),
            )
            for one in due
        ]  # fmt: skip
        title = due[0].alert.record.title
        if len(due) > 1:
            title += f"等 {len(due)} 起"
            sections.insert(0, f"以下 {len(due)} 起合并通知")
        return Message(
            id=due[0].id, recipient=recipient, recipient_name=self._name(recipient),
            title=title, text="\n\n".join(sections), alerts=tuple(one.id for one in due),
            created_at=self._clock(), link=self._link(due[0].alert.record.incident),
        )  # fmt: skip

    def _mark(self, due: _Due, error: str, retry: bool) -> None:
        """Write what became of it; a person may have acknowledged meanwhile, so read again."""
        now = self._clock()

        def edit(alert: Alert) -> Alert:
            one = alert.deliveries[due.position]
            if one.state == "sent":
                return alert
            if not error:
                done = one.model_copy(
                    update={"state": "sent", "sent_at": now, "next_at": None, "error": ""}
                )
            elif retry and one.attempts < self._most and one.state in OPEN:
                pause = min(FIRST_PAUSE * 2 ** (one.attempts - 1), LONGEST_PAUSE)
                done = one.model_copy(
                    update={"state": "failed", "next_at": now + pause, "error": plain(error, 200)}
                )
            else:
                done = one.model_copy(
                    update={"state": "dead", "next_at": None, "error": plain(error, 200)}
                )
            return _with(alert, due.position, done)

        self._archive.change(Alert, due.alert.record.id, ALL, edit)

    def _name(self, person: str) -> str:
        stored = self._archive.get(Person, person, ALL)
        return stored.record.name if stored else person

    def _write(self, stored: Stored[Alert], alert: Alert) -> Stored[Alert] | None:
        try:
            return self._archive.replace(stored, alert)
        except Conflict:
            return None


def alert_id(incident: str) -> str:
    """The one alert of an incident."""
    return f"alert:{incident}"


def deliveries_to(
    people: Sequence[OnCall], channels: Collection[str], start: datetime
) -> tuple[Delivery, ...]:
    """One for each person and channel; a turn that names no configured channel gets all of them."""
    return tuple(
        Delivery(channel=channel, recipient=person.person, next_at=start)
        for person in people
        for channel in [name for name in person.channels if name in channels] or channels
    )


def _as_due(alert: Stored[Alert], position: int) -> _Due:
    """Its id: alert and round, the round being how often this person got it by this channel."""
    deliveries = alert.record.deliveries
    key = (deliveries[position].channel, deliveries[position].recipient)
    number = sum((one.channel, one.recipient) == key for one in deliveries[: position + 1])
    return _Due(alert, position, f"{alert.record.id}#{number}", number > 1)


def _is_due(delivery: Delivery, now: datetime) -> bool:
    return delivery.state in OPEN and (delivery.next_at is None or delivery.next_at <= now)


def _with(alert: Alert, position: int, delivery: Delivery) -> Alert:
    deliveries = (
        *alert.deliveries[:position], delivery, *alert.deliveries[position + 1 :],
    )  # fmt: skip
    return alert.model_copy(
        update={"deliveries": deliveries, "state": _state(alert.state, deliveries)}
    )


def _state(state: AlertState, deliveries: Sequence[Delivery]) -> AlertState:
    if state is AlertState.ACKNOWLEDGED:
        return state
    if any(one.state in OPEN for one in deliveries):
        return AlertState.PENDING
    # All dead stays pending here: the next round looks for somebody else or says failed.
    return AlertState.SENT if _told(deliveries) else AlertState.PENDING


def _told(deliveries: Sequence[Delivery]) -> bool:
    return any(one.state == "sent" for one in deliveries)
