"""An engine whose server can be away: around a SQLite archive, steered by a file.

`python -m tests.archive.faulty FOLDER FIRST` writes posts through a spool until it is killed and
says the number of each that was acknowledged.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any, cast

from archive import Archive, open_archive
from archive.spool import SpooledArchive, spooled
from huiyin.errors import ArchiveAway
from tests.contracts.builders import post

STEP = 5
POST_WRITES = {"put_posts", "put_packed", "delete_posts", "write_analyses", "mark_incidents"}
WRITES = POST_WRITES | {"create", "replace", "change"}


class Faulty:
    """Raises `ArchiveAway` from everything while the file `away` exists.

    While `moving` exists, from writes of posts only.
    """

    def __init__(self, folder: Path) -> None:
        self.inner = open_archive(f"sqlite:///{folder / 'archive.db'}")
        self.away = folder / "away"
        self.moving = folder / "moving"
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name in {"close", "packer"} or not callable(found):
            return found

        def guarded(*arguments: Any, **named: Any) -> Any:
            if self.away.exists() or (self.moving.exists() and name in POST_WRITES):
                raise ArchiveAway("档案服务器不应答", "检查它是否在运行")
            if name in WRITES:
                self.calls.append(name)
            return found(*arguments, **named)

        return guarded


def open_faulty(folder: Path, *, limit_bytes: int = 64 << 20) -> tuple[Archive, Faulty]:
    engine = Faulty(folder)
    return spooled(cast(Archive, engine), folder / "spool", limit_bytes=limit_bytes), engine


def wrapper(archive: Archive) -> SpooledArchive:
    return cast(SpooledArchive, archive)


def main() -> None:
    folder, first = Path(sys.argv[1]), int(sys.argv[2])
    archive, _ = open_faulty(folder)
    for start in itertools.count(first, STEP):
        archive.put_posts([post(n) for n in range(start, start + STEP)])
        print("acknowledged", start, flush=True)


if __name__ == "__main__":
    main()
