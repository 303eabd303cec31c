"""Channel `log`: the message becomes a warning in the log of the process that sends it."""

from __future__ import annotations

import structlog

from alerts.base import Message, Receipt
from huiyin.clock import Clock, system_clock


class LogChannel:
    """Always there; it cannot fail."""

    name = "log"

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._log = structlog.get_logger("alerts")

    def send(self, message: Message) -> Receipt:
        self._log.warning(
            "alert", id=message.id, recipient=message.recipient, title=message.title,
            text=message.text,
        )  # fmt: skip
        return Receipt(self.name, message.id, self._clock())
