"""Entry point: checks that all packages are our own, then runs the command line."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

PACKAGES = ("archive", "index_templates", "crawler", "nlp", "alerts", "responder", "ui", "samples")
HOME = Path(__file__).resolve().parent.parent


def strangers() -> list[tuple[str, Path | None]]:
    """Packages of ours that Python would take from elsewhere: (name, where), None = missing."""
    found: list[tuple[str, Path | None]] = []
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if origin != HOME / name:
            found.append((name, origin))
    return found


def main() -> None:
    """Run `huiyin`; exit code 2 for misuse, 1 for a failure."""
    wrong = strangers()
    if wrong:
        print("错误：以下包不是回音自己的：", file=sys.stderr)
        for name, origin in wrong:
            print(f"  {name} 来自 {origin or '（找不到）'}，应在 {HOME / name}", file=sys.stderr)
        print("请在回音自己的虚拟环境里运行，并清空 PYTHONPATH。", file=sys.stderr)
        sys.exit(1)
    from huiyin.cli import run

    run()


if __name__ == "__main__":
    main()
