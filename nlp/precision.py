"""Which arithmetic the model runs in: decided by the processor's flags, never by timing.

bfloat16 matrix instructions (AVX512-BF16, AMX, or Arm's BF16) make a small encoder about three
times as fast at a cost that the model card states; without them bfloat16 is emulated and slower.
"""

import platform
from pathlib import Path
from typing import Literal

Precision = Literal["bf16", "fp32"]

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


def choose(flags: frozenset[str] | None = None) -> Precision:
    """bf16 where the processor multiplies bfloat16 matrices itself, else fp32."""
    known = cpu_flags() if flags is None else flags
    return "bf16" if known & _FLAGS else "fp32"
