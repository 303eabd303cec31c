"""Clocks, passed in so that replays and tests decide what time it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the time now, aware, UTC."""


def system_clock() -> datetime:
    """Wall-clock time, UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds on this host's monotonic clock; never compared between hosts."""
    return time.monotonic()
