"""Files of pictures by their hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


class PictureStore:
    """Files by the SHA-256 of what is in them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha: str) -> Path:
        """Where a file lies, whether it is there or not. `ValueError` for what is no hash."""
        if len(sha) != 64 or not set(sha) <= set("0123456789abcdef"):
            raise ValueError("no hash")
        return self._folder / sha[:2] / f"{sha}.webp"

    def put(self, data: bytes) -> str:
        """Keep a file; on disk when it returns. Returns its hash."""
        sha = hashlib.sha256(data).hexdigest()
        file = self.path(sha)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(f".{os.getpid()}")
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(file)
        return sha

    def remove(self, sha: str) -> None:
        """Delete a file."""
        self.path(sha).unlink(missing_ok=True)

    def hashes(self) -> Iterator[str]:
        """Of all files."""
        for file in self._folder.glob("??/*.webp"):
            yield file.stem


def picture_id(post: str) -> str:
    """Id of the record of a post's pictures."""
    return f"picture:{post}"
