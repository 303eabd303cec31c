"""Two networks: a station outside writes signed, numbered bundles; inside they are taken in order.

A bundle (`NAME-000012.hyb`) is a line of JSON that says what it is, a line with the Ed25519
signature of that line, and gzipped JSON lines with masked posts and the standing of the station's
sources. Each names the digest of the one before, so none can be left out, changed or exchanged.

Outside, what was read is on disk before the reading counts: lines go to `.state/open.jsonl`, which
becomes `closing-N.jsonl`, from which bundle N is made. Making it twice makes the same bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from archive.base import PutReport
from huiyin.errors import ArchiveError, FileFormatError, SettingsError
from huiyin.records import Post, Source

KEY_FILE = "station.key"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}\Z")
_MOST_LINES = 5000
LARGEST = 256 << 20
"""Bytes of a bundle's lines."""


def station_key(folder: Path) -> Ed25519PrivateKey:
    """The station's own key, made at random the first time. Raises `SettingsError`."""
    file = folder / KEY_FILE
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(Ed25519PrivateKey.generate().private_bytes_raw().hex() + "\n")
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(file.read_text().strip()))
    except (OSError, ValueError) as error:
        raise SettingsError([("secrets.folder", f"{file} 读不出来", "从备份恢复")]) from error


def public_key(key: Ed25519PrivateKey) -> str:
    """What is written into `collect.stations` inside."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


# ---------------------------------------------------------------- outside


class Outbox:
    """The store of a station: sources and what is known in `.state`, posts into bundles."""

    def __init__(
        self, folder: Path, station: str, key: Ed25519PrivateKey, *, author_mark: str,
        sources: Sequence[Source], clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        if not NAME.match(station):
            raise SettingsError([("--station", "站名只用小写字母、数字和连字符", "改名")])
        self.folder = folder
        self.station = station
        self._key = key
        self._author_mark = author_mark
        self._clock = clock
        self._state = folder / ".state"
        self._state.mkdir(parents=True, exist_ok=True)
        self._known = set(_lines(self._state / "known.txt"))
        self._sources = {one.id: self._kept(one) for one in sources}
        self._open_lines = len(_lines(self._state / "open.jsonl"))
        self._finish()

    # as crawler.stores.Store

    def sources(self) -> list[Source]:
        return list(self._sources.values())

    def known(self, ids: Sequence[str]) -> set[str]:
        return self._known & set(ids)

    def put(self, posts: Sequence[Post]) -> PutReport:
        fresh = [one.id for one in posts if one.id not in self._known]
        self._append([{"post": json.loads(one.model_dump_json())} for one in posts])
        _append(self._state / "known.txt", "".join(f"{one}\n" for one in fresh))
        self._known.update(fresh)
        if self._open_lines >= _MOST_LINES:
            self.close_bundle()
        return PutReport(new=len(fresh), updated=len(posts) - len(fresh))

    def change(self, source: str, edit: Callable[[Source], Source]) -> Source:
        before = self._sources[source]
        after = edit(before)
        if after != before:
            self._sources[source] = after
            _write(self._source_file(source), after.model_dump_json())
            told = after.model_copy(update={"cursor": "", "parameters": {}})
            self._append([{"source": json.loads(told.model_dump_json())}])
        return after

    def _kept(self, source: Source) -> Source:
        """The source as told now, with what its visits left."""
        file = self._source_file(source.id)
        if not file.is_file():
            return source
        before = Source.model_validate_json(file.read_text(encoding="utf-8"))
        told = ("spider", "parameters", "account", "offices", "every_seconds", "paused")
        return before.model_copy(update={name: getattr(source, name) for name in told})

    def _source_file(self, source: str) -> Path:
        return self._state / f"source-{hashlib.sha256(source.encode()).hexdigest()[:16]}.json"

    # bundles

    def _append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows)
        _append(self._state / "open.jsonl", text)
        self._open_lines += len(rows)

    def close_bundle(self) -> Path | None:
        """Make a bundle of what has been read since the last one; None when there is nothing."""
        if not self._open_lines:
            return None
        number = self._last()["number"] + 1
        (self._state / "open.jsonl").rename(self._state / f"closing-{number:06d}.jsonl")
        self._open_lines = 0
        return self._finish()

    def _finish(self) -> Path | None:
        """Make the bundle that was being made, also after a kill at any place in between."""
        made = None
        for file in sorted(self._state.glob("closing-*.jsonl")):
            number, last = int(file.stem.partition("-")[2]), self._last()
            if number > last["number"]:
                made = self._make(number, last["digest"], file)
            file.unlink()
        return made

    def _make(self, number: int, previous: str, lines: Path) -> Path:
        body = gzip.compress(_whole(lines.read_bytes()), mtime=0)
        at = datetime.fromtimestamp(int(lines.stat().st_mtime), UTC)
        head = json.dumps({
            "huiyin_bundle": 1, "station": self.station, "number": number, "previous": previous,
            "made_at": at.isoformat(), "authors": self._author_mark,
            "sha256": hashlib.sha256(body).hexdigest(),
        }).encode()  # fmt: skip
        data = head + b"\n" + base64.b64encode(self._key.sign(head)) + b"\n" + body
        file = self.folder / f"{self.station}-{number:06d}.hyb"
        _write(file, data)
        digest = hashlib.sha256(head).hexdigest()
        _write(self._state / "last.json", json.dumps({"number": number, "digest": digest}))
        return file

    def _last(self) -> dict[str, Any]:
        file = self._state / "last.json"
        if not file.is_file():
            return {"number": 0, "digest": ""}
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return told


def _whole(data: bytes) -> bytes:
    """Complete lines only: a kill may have cut the last one, whose reading never counted."""
    return data[: data.rfind(b"\n") + 1]


def _lines(file: Path) -> list[str]:
    if not file.is_file():
        return []
    return _whole(file.read_bytes()).decode("utf-8").splitlines()


def _append(file: Path, text: str) -> None:
    if not text:
        return
    try:
        with file.open("r+b" if file.exists() else "w+b") as stream:
            stream.seek(0, os.SEEK_END)
            end = stream.tell()
            if end:
                stream.seek(end - 1)
                if stream.read(1) != b"\n":  # cut by a kill: that line never counted
                    stream.seek(0)
                    stream.truncate(len(_whole(stream.read())))
                    stream.seek(0, os.SEEK_END)
            stream.write(text.encode("utf-8", "replace"))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise ArchiveError(f"写不进 {file}：{error.strerror}", "腾出磁盘空间") from error


def _write(file: Path, data: bytes | str) -> None:
    """Replace a file in one step."""
    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("wb") as stream:
            stream.write(data.encode() if isinstance(data, str) else data)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except OSError as error:
        raise ArchiveError(f"写不进 {file}：{error.strerror}", "腾出磁盘空间") from error


# ---------------------------------------------------------------- a bundle, read and checked


class Bundle:
    """A bundle whose signature and digest are right. `FileFormatError` for every other file."""

    def __init__(self, file: Path, stations: Mapping[str, str]) -> None:
        try:
            head, signature, body = file.read_bytes().split(b"\n", 2)
            told = json.loads(head)
            self.station, self.number = str(told["station"]), int(told["number"])
            self.previous, self.authors = str(told["previous"]), str(told["authors"])
            told_digest, signed = str(told["sha256"]), base64.b64decode(signature, validate=True)
        except (ValueError, KeyError, TypeError) as error:
            raise _refused("不是完整的采集包", "重新拷贝", file) from error
        known = stations.get(self.station)
        if known is None:
            raise _refused("采集站没有登记", "把它的公钥写进 collect.stations", file)
        try:
            Ed25519PublicKey.from_public_bytes(base64.b64decode(known)).verify(signed, head)
        except (InvalidSignature, ValueError) as error:
            raise _refused(
                "签名不对，可能被改过，没有读", "重新拷贝；仍不对请查明来路", file
            ) from error
        if hashlib.sha256(body).hexdigest() != told_digest:
            raise _refused("内容与签名的摘要不符，可能被改过，没有读", "重新拷贝", file)
        self.digest = hashlib.sha256(head).hexdigest()
        self._body = body

    def rows(self) -> list[Any]:
        """Its lines. Raises `FileFormatError`."""
        import zlib

        unpacker = zlib.decompressobj(31)
        try:
            data = unpacker.decompress(self._body, LARGEST)
            if unpacker.unconsumed_tail:
                raise FileFormatError("采集包解开后过大，没有读", "检查采集站")
            return [json.loads(line) for line in data.decode().splitlines()]
        except (ValueError, zlib.error) as error:
            raise FileFormatError("采集包读不出来", "检查采集站") from error


def _refused(what: str, mend: str, file: Path) -> FileFormatError:
    return FileFormatError(what, mend, file=file.name)
