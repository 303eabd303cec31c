"""Opens an archive of any engine such that searches see at once what was written.

A server's searches see it within a second; the tests of the contract cannot wait so long after
each write. Production code never does this.
"""

from __future__ import annotations

from pathlib import Path

from archive import Archive, is_servers, open_archive
from archive.spool import spooled

SPOOL_BYTES = 64 << 20


def opened(url: str) -> Archive:
    """The archive that `url` names; also for other processes.

    Servers with a folder after `#` get a spool there in front, as the application does it.
    """
    if not is_servers(url):
        return open_archive(url)
    servers, _, folder = url.partition("#")
    archive = _seeing_all(servers)
    return spooled(archive, Path(folder), limit_bytes=SPOOL_BYTES) if folder else archive


def _seeing_all(url: str) -> Archive:
    from archive.elastic import ElasticArchive
    from archive.elastic.connection import Elastic

    class SeeingAll(Elastic):
        def before_search(self, index: str) -> None:
            self.refresh(index)

    class Opened(ElasticArchive):
        def __init__(self) -> None:
            self._use(SeeingAll(url))

    return Opened()
