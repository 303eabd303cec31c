"""A detector that is stopped, taken over and goes on: nothing that it then writes counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts import Alerter
from archive import Archive, open_archive
from huiyin.records import Actor, Alert, Incident, IncidentState, Role, Scope
from huiyin.settings import AlertSettings, IncidentSettings
from nlp.incidents import Detector, IncidentDesk
from nlp.incidents.writing import aged
from tests.incidents.helpers import START, store
from tests.incidents.stopped_child import WRITES
from tests.incidents.streams import dump, incidents, marks, stream

ROOT = Path(__file__).parents[2]
ALL = Scope.everything()
NOW = START + timedelta(days=6, hours=1)
POSTS = 64
OFFICER = Actor(id="p1", name="王", roles=frozenset({Role.ON_CALL}), scope=Scope.everything())


def detector(archive: Any) -> Detector:
    return Detector(archive, settings=IncidentSettings(), clock=lambda: NOW, limit=8, lease=False)


def drain(one: Detector) -> None:
    while one.run_once().posts:
        pass


class Interrupted:
    """An archive in front of one of whose writes somebody else does something."""

    def __init__(self, inner: Archive, at: int, meanwhile: Callable[[], None]) -> None:
        self.inner, self.writes, self._at, self._meanwhile = inner, 0, at, meanwhile

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name not in WRITES:
            return method

        def call(*given: Any, **named: Any) -> Any:
            self.writes += 1
            if self.writes == self._at:
                self._meanwhile()
            return method(*given, **named)

        return call


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[object, ...], list[str], int]:
    """An undisturbed run: what it leaves, its alerts, its writes."""
    archive = open_archive(f"sqlite:///{tmp_path_factory.mktemp('calm')}/a.db")
    store(archive, stream(POSTS))
    counting = Interrupted(archive, 0, lambda: None)
    drain(detector(counting))
    alerter = Alerter(archive, [], settings=AlertSettings(), clock=lambda: NOW)
    alerter.run_once()
    return dump(archive), alerts(archive), counting.writes


def alerts(archive: Archive) -> list[str]:
    return sorted(one.record.id for one in archive.records(Alert, ALL))


@pytest.mark.parametrize("part", range(8))
def test_at_every_seam_a_second_detector_goes_by(
    tmp_path: Path, calm: tuple[tuple[object, ...], list[str], int], part: int
) -> None:
    expected, _, writes = calm
    archive = open_archive(f"sqlite:///{tmp_path}/a.db")
    store(archive, stream(POSTS))
    first = detector(
        Interrupted(archive, 1 + part * (writes - 1) // 7, lambda: drain(detector(archive)))
    )
    for _ in range(3):
        drain(first)
    assert dump(archive) == expected


def test_what_a_person_moved_meanwhile_stays(
    tmp_path: Path, calm: tuple[tuple[object, ...], list[str], int]
) -> None:
    archive = open_archive(f"sqlite:///{tmp_path}/a.db")
    store(archive, stream(POSTS))
    desk = IncidentDesk(archive, settings=IncidentSettings(), clock=lambda: NOW)
    after: list[tuple[object, ...]] = []

    def meanwhile() -> None:
        drain(detector(archive))
        largest = max(incidents(archive), key=lambda one: one.posts)
        inside = sorted(post for post, mark in marks(archive).items() if mark == largest.id)
        desk.split(largest.id, inside[:3], OFFICER, why="另一件事")
        after.append(dump(archive))

    drain(detector(Interrupted(archive, calm[2] // 2, meanwhile)))
    assert dump(archive)[0] == after[0][0], "marks"
    for one, then in zip(incidents(archive), after[0][1].values(), strict=True):  # type: ignore[attr-defined]
        assert (one.posts, one.state, one.title) == (then["posts"], then["state"], then["title"])


def test_a_clock_that_is_behind_makes_nothing_younger(tmp_path: Path) -> None:
    archive = open_archive(f"sqlite:///{tmp_path}/a.db")
    store(archive, stream(POSTS))
    drain(detector(archive))
    [one, *_] = incidents(archive)
    closed = aged(one, one.last_post_at + timedelta(hours=49))
    assert closed.state is IncidentState.CLOSED
    assert aged(closed, one.last_post_at + timedelta(hours=7)) is closed
    assert aged(closed, one.last_post_at) is closed


def start(url: str, write: int, take_over: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.incidents.stopped_child", url, NOW.isoformat(), str(write),
         str(take_over)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def until_stopped(child: subprocess.Popen[str]) -> None:
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("stopped", "take_over"),
    [(2.0, 1.0), pytest.param(60.0, 20.0, marks=pytest.mark.long)],
)
def test_the_holder_is_stopped_and_goes_on(
    tmp_path: Path, calm: tuple[tuple[object, ...], list[str], int], stopped: float,
    take_over: float,
) -> None:  # fmt: skip
    expected, told, writes = calm
    url = f"sqlite:///{tmp_path}/a.db"
    archive = open_archive(url)
    store(archive, stream(POSTS))
    holder = start(url, writes // 2, take_over)
    try:
        until_stopped(holder)
        began = time.monotonic()
        half = marks(archive)
        assert any(mark is None for mark in half.values()), "it was stopped in the middle"
        other = start(url, 0, take_over)
        told_by_other, _ = other.communicate(timeout=800)
        counted, held = told_by_other.splitlines()[-1].split()  # above it lies the log
        assert int(counted) > 0 and held == "True", "the lease was taken over"
        assert dump(archive) == expected, "before the first goes on"
        time.sleep(max(0.0, stopped - (time.monotonic() - began)))
        holder.send_signal(signal.SIGCONT)
        holder.communicate(timeout=800)
    finally:
        holder.kill()
        holder.wait()
    assert dump(archive) == expected
    assert alerts(archive) == told
    assert {one.record.incident for one in archive.records(Alert, ALL)} <= {
        one.record.id for one in archive.records(Incident, ALL)
    }
