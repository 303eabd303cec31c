"""Starts the processes of `huiyin run` and `huiyin demo`, restarts the dead, stops all."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import FrameType
from typing import NoReturn

from huiyin.errors import HuiyinError

GRACE_SECONDS = 5.0
LONGEST_PAUSE = 30.0
_PR_SET_PDEATHSIG = 1


@dataclass
class Program:
    """One process to keep running: its name, command line and extra environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    start_at: float = 0.0
    """Monotonic time before which it is not started again."""


class Supervisor:
    """Keeps programs running; each writes to `<log folder>/<name>.log`."""

    def __init__(self, log_folder: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log_folder = log_folder
        self._monotonic = monotonic
        self.programs: list[Program] = []

    def start(self, name: str, command: Sequence[str], **environment: str) -> Program:
        """Start a program and keep it running until `stop`."""
        program = Program(name, command, environment)
        self.programs.append(program)
        self._spawn(program)
        return program

    def tend(self) -> list[str]:
        """Start again what has died, after a pause that doubles; returns what happened."""
        happened = []
        for program in self.programs:
            process = program.process
            if process is not None and process.poll() is not None:
                program.process = None
                program.restarts += 1
                pause = min(LONGEST_PAUSE, 2.0 ** min(program.restarts - 1, 10))
                program.start_at = self._monotonic() + pause
                log = self._log_folder / f"{program.name}.log"
                code = process.returncode
                happened.append(
                    f"{program.name} 意外退出（{code}），{pause:.0f} 秒后重启；见 {log}"
                )
            if program.process is None and self._monotonic() >= program.start_at:
                self._spawn(program)
        return happened

    def stop(self) -> None:
        """End all, the last started first, each after the one before (who serves ends last).

        SIGTERM, and SIGKILL for the group of whoever has not ended when its time is up.
        """
        for process in [one.process for one in reversed(self.programs) if one.process is not None]:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.programs.clear()

    def _spawn(self, program: Program) -> None:
        self._log_folder.mkdir(parents=True, exist_ok=True)
        with (self._log_folder / f"{program.name}.log").open("ab") as log:
            program.process = subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **program.environment, "PYTHONUNBUFFERED": "1"},
                # A group of its own: Ctrl-C reaches only us, and we stop the others in order.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )


def _die_with_parent() -> None:
    """Linux: get SIGTERM when the supervisor dies, however it dies (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def start_anew() -> NoReturn:
    """Become the same command, begun anew under the same number: who started us sees nothing."""
    os.execv(sys.executable, [sys.executable, "-m", "huiyin", *sys.argv[1:]])


def orphaned(parent: int) -> bool:
    """True when the process that started us is gone (macOS has no parent-death signal)."""
    return os.getppid() != parent


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, else any free port of the loopback address.

    Raises `HuiyinError` when there is none.
    """
    for port in (wanted, 0):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(one.getsockname()[1])
    raise HuiyinError("本机没有空闲端口", "关掉一些程序再试")


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Event]:
    """An event that SIGINT and SIGTERM set; the handlers before are put back at the end."""
    stop = Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {one: signal.signal(one, handle) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
