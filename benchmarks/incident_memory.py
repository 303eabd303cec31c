"""Resident memory of the detector's board: a million made posts and more, in a moving window.

    python -m benchmarks.incident_memory [--posts 1200000] [--originals 0.5] [--out FILE]

So many posts a second are made that a window of seven days holds a million. A made post is a real
repost or comment of the streams with a number of its own and a made vector; the share `originals`
of them stands alone and is compared by its words, the others go with their thread. Reads
HUIYIN_REAL_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import incident_streams as streams
from benchmarks.incidents import Rules
from huiyin.records import Post
from huiyin.vectors import pack
from nlp.incidents.board import Board

WINDOW = timedelta(days=7)
IN_WINDOW = 1_000_000
EVERY = 100_000
DIMS = 256
VECTORS = 4096
START = datetime(2026, 1, 1, tzinfo=UTC)


def _base() -> list[Post]:
    return streams.posts(streams.background(20, 900), Rules())


class Made:
    """Posts by number: the same number is always the same post."""

    def __init__(self, originals: float) -> None:
        # in a process of its own: reading the streams takes a gigabyte that is not the board's
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
            self._base = other.submit(_base).result()
        rows = np.random.default_rng(1).normal(size=(VECTORS, DIMS))
        self._vectors = [pack(row) for row in rows]
        self._originals = originals

    def post(self, number: int) -> Post:
        """Post number so and so, `WINDOW` / `IN_WINDOW` after the one before."""
        one = self._base[number % len(self._base)]
        turn = number // len(self._base)
        alone = not one.root or (number * 7919 % 1000) < 1000 * self._originals
        assert one.analysis is not None
        vector = self._vectors[number * 104729 % VECTORS]
        return one.model_copy(
            update={
                "id": f"made:{number}",
                "text": f"{one.text}{number * 7919 % 100003}",
                "root": None if alone else f"{one.root}-{turn}",
                "created_at": START + number * (WINDOW / IN_WINDOW),
                "analysis": one.analysis.model_copy(update={"vector": vector}),
            }
        )

    def look_up(self, ids: Sequence[str]) -> Iterable[Post]:
        """As the archive would give them."""
        return [self.post(int(one.removeprefix("made:"))) for one in ids]


def resident() -> float:
    """Resident memory now, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measure(posts: int, originals: float) -> dict[str, Any]:
    """Memory each `EVERY` posts."""
    made = Made(originals)
    board = Board(WINDOW.total_seconds(), made.look_up)
    before = resident()
    rows: list[dict[str, float]] = []
    spent = 0.0
    for number in range(posts):
        post = made.post(number)
        started = time.process_time()
        step = board.decide(post)
        if step.merge:
            board.merge(*step.merge)
        elif step.divide:
            board.divide(step.divide)
        board.closed.clear()
        spent += time.process_time() - started
        if (number + 1) % EVERY == 0:
            rows.append(
                {
                    "posts": number + 1,
                    "kept": len(board.grouper),
                    "resident MB": round(resident()),
                    "posts a processor second": round(EVERY / spent),
                }
            )
            spent = 0.0
            print(json.dumps(rows[-1]), flush=True)
    return {
        "originals": originals,
        "before MB": round(before),
        "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "rows": rows,
    }


def main() -> None:
    """Print a line each `EVERY` posts and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=1_200_000)
    parser.add_argument("--originals", type=float, default=0.5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/incident_memory.json"))
    given = parser.parse_args()
    result = {
        "machine": {"processors": os.cpu_count(), "python": platform.python_version()},
        **measure(given.posts, given.originals),
        "load_average": os.getloadavg(),
    }
    given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
