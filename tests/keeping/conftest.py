"""Every engine that can be kept: `url` and `archive` as in the contract."""

from __future__ import annotations

from tests.contracts.conftest import archive, url

__all__ = ["archive", "url"]
