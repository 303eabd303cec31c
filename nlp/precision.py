"""Which arithmetic the model runs in: decided by files and processor flags, never by timing.

8-bit whole numbers are the fastest wherever we measured, so a folder that brings them is read so.
Without them bfloat16, where the processor multiplies bfloat16 matrices itself (AVX512-BF16, AMX,
Arm's BF16), else float32. What either costs in accuracy, the model card states.
"""

import platform
from pathlib import Path
from typing import Literal

Precision = Literal["bf16", "int8", "fp32"]

_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def cpu_flags() -> frozenset[str]:
    """Instruction set names as Linux tells them; empty where it does not say (macOS)."""
    path = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not path.exists():
        return frozenset()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def choose(flags: frozenset[str] | None = None, *, int8: bool) -> Precision:
    """`int8`: the model folder has the 8-bit file."""
    if int8:
        return "int8"
    known = cpu_flags() if flags is None else flags
    return "bf16" if known & _FLAGS else "fp32"
