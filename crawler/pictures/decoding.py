"""A stranger's picture, opened in a process of its own that cannot run away, and drawn anew.

`python -m crawler.pictures.decoding keep|read < FILE` prints a line of JSON (width, height, text)
and then the picture as WebP: without place, time and camera of its maker (EXIF), and without
anything that was hidden behind its last byte. With `read` the text in it is read, where the
library is installed (rapidocr-onnxruntime).
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from huiyin.errors import CollectError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MOST_PIXELS = 40_000_000
WIDEST, TALLEST = 1280, 12_000
LONGEST = 180
"""Seconds on the clock; the reader's libraries alone take several to load."""
_LONGEST_CPU = 90
_MEMORY = {"keep": 2 << 30, "read": 8 << 30}
"""Bytes of address space; the reader's libraries map much that they do not use."""
TILE = 1600
"""Screenshots of long talks are read in pieces of so many lines."""
SURE = 0.6
"""Lines of which the reader is less sure are left out (its own scale, 0..1)."""
_MOST_TEXT = 5000


@dataclass(frozen=True)
class Drawn:
    """A picture as it is kept. `text`: None = not read."""

    webp: bytes
    width: int
    height: int
    text: str | None


def can_read() -> bool:
    """True when the library that reads text in pictures is installed."""
    return importlib.util.find_spec("rapidocr_onnxruntime") is not None


def draw(data: bytes, *, read: bool) -> Drawn:
    """Open a picture and draw it anew. Raises `CollectError` for what is none, or a bomb."""
    mode = "read" if read and can_read() else "keep"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "crawler.pictures.decoding", mode],
            input=data, capture_output=True, timeout=LONGEST, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CollectError("图片太复杂，打开太久") from error
    if done.returncode != 0:
        raise CollectError("不是能打开的图片，或展开后过大")
    line, _, webp = done.stdout.partition(b"\n")
    told = json.loads(line)
    return Drawn(webp, told["width"], told["height"], told["text"])


def _limit(mode: str) -> None:
    with suppress(ImportError, ValueError, OSError):  # no such limits on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY[mode], _MEMORY[mode]))
        resource.setrlimit(resource.RLIMIT_CPU, (_LONGEST_CPU, _LONGEST_CPU))


def _open(data: bytes) -> Any:
    from PIL import Image, ImageOps

    picture = Image.open(io.BytesIO(data), formats=FORMATS)
    if picture.width * picture.height > MOST_PIXELS:  # known before anything is unpacked
        raise ValueError("too many pixels")
    return ImageOps.exif_transpose(picture).convert("RGB")


def _text(picture: Any) -> str:
    import numpy as np

    library = importlib.import_module("rapidocr_onnxruntime")
    # one thread: the model that reads posts has the cores
    reader = library.RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
    lines: list[str] = []
    for top in range(0, picture.height, TILE):
        part = picture.crop((0, top, picture.width, min(top + TILE, picture.height)))
        found, _ = reader(np.asarray(part)[:, :, ::-1].copy())
        lines += [text for _, text, sure in found or () if float(sure) >= SURE]
    return "\n".join(lines)[:_MOST_TEXT]


def main() -> None:
    """Read the file on standard input; exit code 1 when it cannot be opened."""
    mode = sys.argv[1]
    _limit(mode)
    picture = _open(sys.stdin.buffer.read())
    text = _text(picture) if mode == "read" else None
    picture.thumbnail((WIDEST, TALLEST))
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=80)
    told = {"width": picture.width, "height": picture.height, "text": text}
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + out.getvalue())


if __name__ == "__main__":
    main()
