"""Pin all dependencies: requirements.txt; torch and its nvidia parts in requirements-torch.txt.

Run by `make lock`. No index's address is written (`--no-emit-index-url`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = re.compile(r"^(torch|triton|nvidia-|cuda-)")
HEADER = "# Made by `make lock` from pyproject.toml; do not edit.\n"


def main() -> None:
    """Compile once, then split the pinned blocks into the two files."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    command = [
        uv, "pip", "compile", "--quiet", "--universal", "--generate-hashes",
        "--no-emit-index-url", "--no-annotate", "--no-header", "--extra", "dev",
        "pyproject.toml",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    blocks = re.split(r"\n(?=[a-zA-Z0-9])", done.stdout.strip())
    torch = [block for block in blocks if TORCH.match(block)]
    rest = [block for block in blocks if not TORCH.match(block)]
    for name, part in (("requirements.txt", rest), ("requirements-torch.txt", torch)):
        (ROOT / name).write_text(HEADER + "\n".join(part) + "\n", encoding="utf-8")
        print(f"{name}: {len(part)}")


if __name__ == "__main__":
    main()
