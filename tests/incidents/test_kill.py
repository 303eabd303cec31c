"""kill -9 at seeded random moments: the end state is that of an undisturbed run."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from archive import open_archive
from huiyin.settings import IncidentSettings
from nlp.incidents import Detector
from tests.incidents.helpers import START, store
from tests.incidents.streams import dump, stream

ROOT = Path(__file__).parents[2]
MOST_WRITES = 60
"""A life of the child lasts at most so many lines before or after a write."""


def test_kill_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    now = START + timedelta(days=6, hours=1)
    calm = open_archive(f"sqlite:///{tmp_path}/calm.db")
    store(calm, stream())
    detector = Detector(calm, settings=IncidentSettings(), clock=lambda: now, limit=8, lease=False)
    while detector.run_once().posts:
        pass
    url = f"sqlite:///{tmp_path}/killed.db"
    archive = open_archive(url)
    store(archive, stream())
    random_ = random.Random(20261122)
    kills = 0
    while _killed(url, now.isoformat(), random_):
        kills += 1
        assert kills < 200
    assert kills >= 3
    assert dump(archive) == dump(calm)


def _killed(url: str, now: str, random_: random.Random) -> bool:
    """One life of the child; True when it was killed before it was done."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.incidents.child", url, now],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child.stdout:
        for _ in range(random_.randint(4, MOST_WRITES)):
            line = child.stdout.readline()
            if line == "done\n":
                child.wait()
                return False
            assert line in {"before\n", "after\n"}
        time.sleep(random_.uniform(0, 0.002))
        child.kill()
        rest = child.stdout.read()
    child.wait()
    return not rest.endswith("done\n")
