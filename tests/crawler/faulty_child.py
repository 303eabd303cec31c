"""`tests.crawler.child` with an archive that can be away; the first argument is its folder."""

from __future__ import annotations

import os
from pathlib import Path

from archive import Archive
from tests.archive.faulty import open_faulty
from tests.crawler import child


def open_archive(folder: str) -> Archive:
    limit = int(os.environ.get("HUIYIN_TEST_SPOOL_BYTES", str(64 << 20)))
    return open_faulty(Path(folder), limit_bytes=limit)[0]


if __name__ == "__main__":
    child.open_archive = open_archive  # type: ignore[attr-defined]
    child.main()
