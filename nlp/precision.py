"""Which arithmetic the model runs in: decided by the processor's flags, never by timing.

bfloat16 matrix instructions (AVX512-BF16, AMX, or Arm's BF16) make a small encoder about three
times as fast as float32; where they are missing, 8-bit whole numbers are the fastest. What either
costs in accuracy, the model card states.
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


def choose(flags: frozenset[str] | None = None, *, int8: bool = True) -> Precision:
    """bf16 where the processor multiplies bfloat16 matrices itself, else 8 bits.

    `int8` False: the model folder has no 8-bit file; float32 then.
    """
    known = cpu_flags() if flags is None else flags
    if known & _FLAGS:
        return "bf16"
    return "int8" if int8 else "fp32"
