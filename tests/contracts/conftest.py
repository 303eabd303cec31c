"""Every engine that the contract is run against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archive import Archive, open_archive

ENGINES = ("sqlite",)


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty archive; other processes may open it too."""
    return {"sqlite": f"sqlite:///{tmp_path / 'archive.db'}"}[request.param]


@pytest.fixture
def archive(url: str) -> Iterator[Archive]:
    opened = open_archive(url)
    yield opened
    opened.close()
