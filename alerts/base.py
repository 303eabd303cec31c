"""What the room that tells people is made of: messages, channels that only send, receipts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Message:
    """One message to one person. Plain text: words of posts in it are data, never markup."""

    id: str
    """The same for each repetition, and part of `text`: a repeat can be recognised."""
    recipient: str
    """Person id."""
    recipient_name: str
    title: str
    text: str
    alerts: tuple[str, ...]
    """Ids of the alerts that it tells of (`<alert id>#<round>`), most important first."""
    created_at: datetime
    link: str = ""
    """Where the console shows it; empty = unknown."""


@dataclass(frozen=True)
class Receipt:
    """The channel accepted the message."""

    channel: str
    message: str
    at: datetime
    detail: str = ""


class Channel(Protocol):
    """Sends, and says whether a failure can be retried; keeps nothing and decides nothing."""

    @property
    def name(self) -> str:
        """As shifts name it: `log`, `webhook`."""

    def send(self, message: Message) -> Receipt:
        """Hand the message over; raises `ChannelError`; its `retry` says if trying again helps."""
