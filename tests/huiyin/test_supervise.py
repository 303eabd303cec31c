"""The supervisor with real processes: restart, stop in order, no orphan after SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from huiyin.supervise import Supervisor, stop_on_signals

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(600)",
]


def _until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def _up(folder: Path, name: str) -> bool:
    file = folder / f"{name}.log"
    return file.exists() and b"up" in file.read_bytes()


def test_a_program_that_dies_is_started_again_with_growing_pauses(tmp_path: Path) -> None:
    at = [0.0]
    supervisor = Supervisor(tmp_path, monotonic=lambda: at[0])
    program = supervisor.start("short", [sys.executable, "-c", "raise SystemExit(3)"])
    pauses = []
    for _ in range(3):
        process = program.process
        assert process is not None
        process.wait(20)
        happened = supervisor.tend()
        assert "short" in happened[0] and "3" in happened[0]
        assert program.process is None
        pauses.append(program.start_at - at[0])
        at[0] = program.start_at
        assert supervisor.tend() == []
    assert pauses == [1.0, 2.0, 4.0]
    supervisor.stop()


def test_stop_ends_every_process_also_a_deaf_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huiyin.supervise.GRACE_SECONDS", 1.0)
    supervisor = Supervisor(tmp_path)
    processes = []
    for name, command in (("sleeper", SLEEPER), ("deaf", DEAF)):
        process = supervisor.start(name, command).process
        assert process is not None
        processes.append(process)
        assert _until(lambda name=name: _up(tmp_path, name))  # type: ignore[misc]
    supervisor.stop()
    assert processes[0].returncode == -signal.SIGTERM
    assert processes[1].returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signal is Linux only")
def test_no_process_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from huiyin.supervise import Supervisor\n"
        f"one = Supervisor(Path({str(tmp_path)!r})).start('sleeper', {SLEEPER!r})\n"
        "print(one.process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    assert _until(lambda: _up(tmp_path, "sleeper"))
    parent.kill()
    parent.wait()
    assert _until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_signals_set_the_event_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5)
    assert signal.getsignal(signal.SIGTERM) is before
