"""Who holds a lease: one name a process, and whether the process behind a name still runs."""

from __future__ import annotations

import os
import socket
import uuid

TAKE_OVER_SECONDS = 20.0
"""Who sees no beat of a holder for so long, on its own monotonic clock, takes over."""
BEAT_SECONDS = 5.0
_PROCESS = uuid.uuid4().hex[:8]
"""Another one in a program that begins anew under the same number."""


def this_process() -> str:
    """host:number:chance of this process; more parts may follow."""
    return f"{socket.gethostname()}:{os.getpid()}:{_PROCESS}"


def is_gone(owner: str) -> bool:
    """True when the owner is a process of this host that does not run any more, or ran as us."""
    host, _, rest = owner.partition(":")
    pid, _, rest = rest.partition(":")
    if host != socket.gethostname() or not pid.isdigit() or os.name != "posix":
        return False
    if int(pid) == os.getpid():
        return rest.partition(":")[0] != _PROCESS
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
