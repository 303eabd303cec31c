"""Collect: spiders that ask official interfaces, and importers for files other tools wrote.

Scrapy is loaded only when a crawl starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crawler.accounts import AccountBook, load_accounts
from crawler.privacy import Identity, mask, masked

if TYPE_CHECKING:
    from crawler.crawl import ensure_sources, run_crawl
    from crawler.importers import FileReport, import_files
    from crawler.rows import read_time, row_reader

__all__ = [
    "AccountBook",
    "FileReport",
    "Identity",
    "ensure_sources",
    "import_files",
    "load_accounts",
    "mask",
    "masked",
    "read_time",
    "row_reader",
    "run_crawl",
]

_LAZY = {
    "FileReport": "crawler.importers",
    "import_files": "crawler.importers",
    "ensure_sources": "crawler.crawl",
    "read_time": "crawler.rows",
    "row_reader": "crawler.rows",
    "run_crawl": "crawler.crawl",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
