"""Importers for files that other tools wrote: one file a format, recognised by content."""

from crawler.importers.base import FileReport
from crawler.importers.formats import known_formats
from crawler.importers.run import import_files

__all__ = ["FileReport", "import_files", "known_formats"]
