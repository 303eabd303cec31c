"""Every engine that the contract is run against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archive import Archive
from tests.contracts.engines import opened

ENGINES = ("sqlite", "elasticsearch")


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty archive; other processes may open it too."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'archive.db'}"
    server, prefix = (
        request.getfixturevalue(name) for name in ("elasticsearch", "elastic_emptied_prefix")
    )
    return f"{server}/{prefix}#{tmp_path / 'spool'}"


@pytest.fixture
def archive(url: str) -> Iterator[Archive]:
    made = opened(url)
    yield made
    made.close()
