"""HTTP around the sample platform: standard library only, loopback only, read only."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from crawler.sample_platform.api import TOKEN_PREFIX, Api, ApiError, Faults
from crawler.sample_platform.city import City, load_city
from crawler.sample_platform.playback import Playback
from huiyin.clock import Clock, system_clock
from huiyin.errors import InputError

HOST = "127.0.0.1"
MAX_FORM = 64 * 1024
ROBOTS = b"User-agent: *\nAllow: /\n"


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    api: Api
    faults: Faults
    clock: Clock
    calls: Counter[str]
    closed = False

    def server_bind(self) -> None:
        """Bind without asking a name server, which may be slow or missing."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer
    timeout = 60
    server: _HttpServer

    def do_GET(self) -> None:
        self._serve("GET", {})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_FORM:
            self.close_connection = True
            self._send(413, "text/plain", b"form too large\n")
            return
        form = self.rfile.read(int(length)).decode("utf-8", errors="replace")
        self._serve("POST", dict(parse_qsl(form, keep_blank_values=True)))

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the demo prints its own progress."""

    def _serve(self, method: str, form: dict[str, str]) -> None:
        if self.server.closed:  # kept-alive connections end with the server
            self.close_connection = True
            return
        url = urlsplit(self.path)
        if url.path == "/robots.txt":
            self._send(200, "text/plain", ROBOTS)
            return
        self.server.calls[url.path] += 1
        faults = self.server.faults
        if faults.delay_seconds > 0:
            time.sleep(faults.delay_seconds)
        if faults.take("server_errors"):
            self._send(500, "text/html", b"<html><body>Internal Server Error</body></html>")
            return
        status, body = self._answer(method, url.path, url.query, form)
        data = json.dumps(body, ensure_ascii=False).encode()
        if faults.take("truncated"):
            data = data[: len(data) // 2]
        self._send(status, "application/json;charset=UTF-8", data)

    def _answer(self, method: str, path: str, query: str, form: dict[str, str]) -> tuple[int, Any]:
        params = {**dict(parse_qsl(query, keep_blank_values=True)), **form}
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        if kind == "OAuth2":
            params.setdefault("access_token", token.strip())
        try:
            return 200, self.server.api.answer(method, path, params, self.server.clock())
        except ApiError as error:
            return error.status, error.body(path)

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class SamplePlatform:
    """A running sample platform. Close it, or use it as a context manager."""

    def __init__(self, http: _HttpServer, city: City, base: datetime) -> None:
        self._http = http
        self.city = city
        self.base_time = base
        """Store it: the same base time gives the same ids and times after a restart."""
        self._thread = threading.Thread(
            target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True,
            name="sample-platform",
        )  # fmt: skip
        self._thread.start()

    @property
    def url(self) -> str:
        """Root of the API, for the setting `weibo.url`."""
        return f"http://{HOST}:{self._http.server_address[1]}"

    @property
    def tokens(self) -> dict[str, str]:
        """Access token of each official account by its uid, for the setting `weibo.tokens`."""
        return {account.uid: TOKEN_PREFIX + account.uid for account in self.city.accounts}

    @property
    def faults(self) -> Faults:
        """Switches that may be changed while the platform runs."""
        return self._http.faults

    @property
    def calls(self) -> Counter[str]:
        """Calls so far by path."""
        return self._http.calls

    def close(self) -> None:
        """Stop serving and free the port."""
        self._http.closed = True
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> SamplePlatform:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start_server(
    sample_dir: Path,
    port: int = 0,
    *,
    now: datetime | None = None,
    live_seconds: float = 0.0,
    faults: Faults | None = None,
    clock: Clock = system_clock,
) -> SamplePlatform:
    """Play a sample city on loopback; `port` 0 takes a free one.

    `now` (aware; default: the clock's time) is the base time at which the day ends. With
    `live_seconds`, the day's last minutes arrive during so many seconds after it.
    Raises `FileFormatError` for a broken sample and `InputError` when the port is taken.
    """
    city = load_city(sample_dir)
    base = now if now is not None else clock()
    switches = faults if faults is not None else Faults()
    api = Api(Playback(city, base, live_seconds), switches, base)
    try:
        http = _HttpServer((HOST, port), _Handler)
    except OSError as error:
        raise InputError(
            f"端口 {port} 不能用：{error.strerror}", "换一个端口，或用 0 让系统挑选"
        ) from error
    http.api, http.faults, http.clock, http.calls = api, switches, clock, Counter()
    return SamplePlatform(http, city, base)
