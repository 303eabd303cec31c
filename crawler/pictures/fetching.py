"""Fetches one picture: only from hosts that are allowed, never from inside, with limits."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpcore

from crawler.guard import Guard
from huiyin import __version__
from huiyin.clock import monotonic
from huiyin.errors import CollectError, SourceRefused

TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif")
LONGEST = 30.0
"""Seconds from asking to the last byte."""
_STEP = 10.0
"""Seconds without a byte."""


class Refused(CollectError):
    """This picture will not be fetched, however often it is tried."""


class _Guarded(httpcore.SyncBackend):
    """Connects to the very address that was judged, so that a name cannot change in between."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:  # fmt: skip
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        addresses = [str(one[4][0]) for one in found]
        good = [one for one in addresses if self._guard.check_address(host, port, one)]
        if not good:
            raise Refused("图片的网址指向内部网络，没有去读")
        return super().connect_tcp(good[0], port, timeout, local_address, socket_options)


class Fetcher:
    """`hosts`: pictures are fetched from these and their subdomains alone. `allowed`: hosts that

    may lie inside the office's network. `most`: bytes of one picture.
    """

    def __init__(self, hosts: Sequence[str], allowed: Iterable[str], most: int) -> None:
        self._hosts = tuple(one.lower().strip(".") for one in hosts)
        self._guard = Guard(allowed)
        self._most = most
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(), network_backend=_Guarded(self._guard),
            max_connections=4, keepalive_expiry=30.0,
        )  # fmt: skip

    def close(self) -> None:
        """Close connections."""
        self._pool.close()

    def fetch(self, url: str) -> bytes:
        """The picture's bytes. `Refused` for ever, `CollectError` when it may be tried again."""
        self._check(url)
        headers: dict[bytes | str, bytes | str] = {
            "User-Agent": f"Huiyin/{__version__}",
            "Accept": ", ".join(TYPES),
        }
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), _STEP)
        ends = monotonic() + LONGEST
        try:
            with self._pool.stream(
                "GET", url, headers=headers, extensions={"timeout": timeout}
            ) as answer:
                self._judge(answer)
                return self._read(answer, ends)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise CollectError(f"图片没有取到（{type(error).__name__}）", "之后再试") from error
        except (ValueError, UnicodeError, httpcore.UnsupportedProtocol) as error:
            raise Refused("图片的网址写法不对") from error

    def _check(self, url: str) -> None:
        try:
            self._guard.check_url(url)
            host = (urlsplit(url).hostname or "").lower().rstrip(".")
        except (SourceRefused, ValueError) as error:
            raise Refused("图片的网址指向内部网络，或写法不对") from error
        if not any(host == one or host.endswith(f".{one}") for one in self._hosts):
            raise Refused("图片不在允许的主机上（pictures.hosts）")

    def _judge(self, answer: httpcore.Response) -> None:
        if answer.status in (408, 429) or answer.status >= 500:
            raise CollectError(f"图片的主机答复 {answer.status}", "之后再试")
        if answer.status != 200:  # a redirect too: it may lead anywhere
            raise Refused(f"图片的主机答复 {answer.status}")
        said = {name.lower(): value for name, value in answer.headers}
        kind = said.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        if kind not in TYPES:
            raise Refused("不是图片，或是不收的格式")
        length = said.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._most:
            raise Refused("图片太大")

    def _read(self, answer: httpcore.Response, ends: float) -> bytes:
        parts, size = [], 0
        for part in answer.iter_stream():
            size += len(part)
            if size > self._most:
                raise Refused("图片太大")
            if monotonic() > ends:
                raise CollectError("图片取得太慢", "之后再试")
            parts.append(part)
        return b"".join(parts)
