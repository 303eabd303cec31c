"""Processes of our own that read or make posts for another: how they start and how they talk."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import crawler

_LENGTH = 8
_PIPE_BYTES = 1 << 20
"""Where the system allows it: a batch of pages has some megabytes, a pipe by itself 64 KiB."""


def start(module: str) -> subprocess.Popen[bytes]:
    """A process that runs `main()` of one of our modules, with pipes for its input and output.

    Secrets go through the pipe: command lines and environments are seen by others. It must end when
    its input ends, so that none outlives a parent that was killed.
    """
    root = str(Path(crawler.__file__).parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", f"from {module} import main; main()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, pipesize=_PIPE_BYTES,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip


def send(stream: IO[bytes], value: Any) -> None:
    """Write one value. Raises `OSError` when nobody reads."""
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    stream.write(len(data).to_bytes(_LENGTH, "little"))
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """The next value, from our own process. Raises `EOFError` when it broke off."""
    length = int.from_bytes(stream.read(_LENGTH), "little")
    data = stream.read(length)
    if not length or len(data) < length:
        raise EOFError("the process has ended")
    return pickle.loads(data)  # noqa: S301 - from our own process


@contextmanager
def fewer_collections() -> Iterator[None]:
    """Look for cycles of garbage seldom: reading makes many objects and hardly a cycle.

    Measured: with Python's own thresholds reading and passing on a post took half as long again,
    and a crawl, which holds the objects of many pages, nearly twice the processor time.
    """
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
