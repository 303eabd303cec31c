"""An on-call officer, an archive, incidents, and channels that can be told to fail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts.base import Message, Receipt
from archive import open_archive
from archive.base import Archive
from huiyin.errors import ChannelError
from huiyin.records import Incident, IncidentState, Level, Person, Place, Role, Shift

NOW = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)


class Clock:
    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Box:
    """A channel that keeps what it is given, or fails as told."""

    def __init__(self, name: str = "webhook") -> None:
        self.name = name
        self.messages: list[Message] = []
        self.fail: ChannelError | None = None

    def send(self, message: Message) -> Receipt:
        if self.fail is not None:
            raise self.fail
        self.messages.append(message)
        return Receipt(self.name, message.id, message.created_at)


def incident(name: str = "a", **changes: Any) -> Incident:
    values: dict[str, Any] = {
        "id": f"incident:{name}", "offices": ("weibo:1",), "title": f"望湖路水管破裂{name}",
        "state": IncidentState.ACTIVE, "suspected_level": Level.ORDINARY,
        "level_reasons": ("3 名独立作者",),
        "places": (Place(adcode="999103", name="渡口区", text="渡口"),),
        "posts": 4, "authors": 3, "first_post_at": NOW - timedelta(minutes=9),
        "last_post_at": NOW - timedelta(minutes=1), "opened_at": NOW - timedelta(minutes=5),
        "alerted_at": NOW, "reading_delay_seconds": 12.0,
    }  # fmt: skip
    return Incident(**{**values, **changes})


def person(
    name: str, *roles: Role, offices: tuple[str, ...] = ("*",), active: bool = True
) -> Person:
    return Person(
        id=name, name=f"{name}同志", roles=roles or (Role.ON_CALL,), offices=offices,
        password_hash="-", active=active,
    )  # fmt: skip


def shift(
    who: str, *, order: int = 1, hours: float = 4, channels: tuple[str, ...] = ("webhook",)
) -> Shift:
    return Shift(
        id=f"shift:{who}:{order}", person=who, starts_at=NOW - timedelta(hours=1),
        ends_at=NOW + timedelta(hours=hours), order=order, channels=channels,
    )  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_archive(f"sqlite:///{tmp_path / 'huiyin.db'}")
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def box() -> Box:
    return Box()
