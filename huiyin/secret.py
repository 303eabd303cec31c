"""The author-key secret: made at random, readable by its owner only, never in the archive."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from huiyin.errors import SettingsError

FILE = "author.key"


def author_secret(folder: Path, *, create: bool = False) -> bytes:
    """Read the 32 random bytes; with `create` make them when there are none yet.

    Raises `SettingsError` when the file is missing, broken or readable by others.
    """
    file = folder / FILE
    if create and not file.exists():
        _make(file)
    try:
        secret = bytes.fromhex(file.read_text(encoding="ascii").strip())
        mode = file.stat().st_mode & 0o077
    except FileNotFoundError as error:
        raise SettingsError([("secrets.folder", f"{file} 不存在", "先运行 huiyin init")]) from error
    except (OSError, ValueError) as error:
        raise SettingsError(
            [("secrets.folder", f"{file} 读不出来或已损坏：{error}", "从当初另存的副本恢复")]
        ) from error
    if len(secret) != 32:
        raise SettingsError([("secrets.folder", f"{file} 长度不对", "从当初另存的副本恢复")])
    if mode and os.name == "posix":
        raise SettingsError([("secrets.folder", f"{file} 其他用户可读", f"chmod 600 {file}")])
    return secret


def fingerprint(secret: bytes) -> str:
    """Twelve hex digits by which two copies of the secret can be compared without showing it."""
    return hashlib.sha256(b"huiyin author key" + secret).hexdigest()[:12]


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(32) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(part, file)  # fails when another process was first: then its secret counts
    except FileExistsError:
        pass
    finally:
        part.unlink()
