"""Fixtures: the shipped city and a running sample platform."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from crawler.sample_platform import City, SamplePlatform, load_city, start_server
from samples import cities

BASE = datetime(2026, 11, 22, 3, 0, 0, tzinfo=UTC)
YUNDU = cities()["yundu"]


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = BASE

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="session")
def city() -> City:
    return load_city(YUNDU)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def platform(clock: FakeClock) -> Iterator[SamplePlatform]:
    with start_server(YUNDU, now=BASE, clock=clock) as running:
        yield running


@pytest.fixture
def client(platform: SamplePlatform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=platform.url, trust_env=False, timeout=10) as opened:
        yield opened


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the shipped city that a test may break."""
    return Path(shutil.copytree(YUNDU, tmp_path / "city"))
