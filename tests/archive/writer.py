"""Writes posts through a spool until it is killed; says the number of each that was acknowledged.

`python -m tests.archive.writer URL FOLDER FIRST`
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import archive.elastic.connection as connection
from archive import open_archive
from archive.spool import spooled
from tests.contracts.builders import post

STEP = 20


def main() -> None:
    url, folder, first = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    connection.AWAY_SECONDS = 1.0
    made = spooled(open_archive(url), folder / "spool", limit_bytes=64 << 20)
    for start in itertools.count(first, STEP):
        made.put_posts([post(n) for n in range(start, start + STEP)])
        print("acknowledged", start, flush=True)


if __name__ == "__main__":
    main()
