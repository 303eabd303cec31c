"""The channels that the settings switch on, by name."""

from __future__ import annotations

import structlog

from alerts.base import Channel
from alerts.channels.log import LogChannel
from alerts.channels.webhook import WebhookChannel
from huiyin.clock import Clock, system_clock
from huiyin.settings import AlertSettings

__all__ = ["LogChannel", "WebhookChannel", "configured_channels"]


def configured_channels(settings: AlertSettings, clock: Clock = system_clock) -> list[Channel]:
    """`log` always; `webhook` when it has a URL, else one line in the log says why not."""
    channels: list[Channel] = [LogChannel(clock)]
    if settings.webhook:
        channels.append(WebhookChannel(settings.webhook, clock=clock))
    else:
        structlog.get_logger("alerts").info(
            "webhook disabled: alerts.webhook is not set", channel="webhook"
        )
    return channels
