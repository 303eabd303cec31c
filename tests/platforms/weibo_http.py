"""Serves a `Platform` over HTTP on this machine, with its faults."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from tests.platforms.weibo_objects import error

if TYPE_CHECKING:
    from tests.platforms.weibo import Platform


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    timeout = 60
    platform: Platform

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        one, url = self.platform, urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if url.path == "/_posts":  # for tests in another process
            self._send(200, json.dumps(sorted(one.everything())).encode())
            return
        if url.path == "/_calls":
            self._send(200, json.dumps({"calls": one.calls, "refused": one.refused}).encode())
            return
        one.calls[url.path] += 1
        one.asked.append((url.path, {k: v for k, v in query.items() if k != "access_token"}))
        if one.delay:
            time.sleep(one.delay)
        if one.redirect:
            self._send(302, b"", place=one.redirect)
            return
        fault = one.disturb()
        if fault in ("http500", "http502"):
            self._send(int(fault[4:]), b"<html><body>Bad Gateway</body></html>", "text/html")
            return
        if fault == "busy":
            self._send(*error(503, 10009, "Too many pending tasks, system is busy!", url.path))
            return
        status, body = one.answer(url.path, query)
        body = b" " * one.padding + body
        if fault == "gb18030":
            body = body.decode().encode("gb18030")
        if fault == "slow":
            time.sleep(0.3)
        if fault == "truncated":
            body = body[: len(body) * 2 // 3]
        self._send(status, body, cut=fault == "cut")

    def _send(
        self, status: int, body: bytes, type: str = "application/json;charset=UTF-8",
        cut: bool = False, place: str = "",
    ) -> None:  # fmt: skip
        self.send_response(status)
        if place:
            self.send_header("Location", place)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that was killed is no news."""


@contextmanager
def running(platform: Platform, port: int = 0) -> Iterator[Platform]:
    """Serve on a free port of this machine."""
    server = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"platform": platform}))
    platform.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield platform
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
