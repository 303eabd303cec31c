"""Stands between the client and a real Elasticsearch: TLS, credentials and faults at will."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BACK = "127.0.0.1"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Proxy(ThreadingHTTPServer):
    """Passes requests on to `server`; demands one of `accepted` as `Authorization` when given.

    `fault`: "" passes on; "cut" closes each connection; "503" answers so; "late" does what is asked
    and closes the connection instead of answering.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, server: str, *, context: ssl.SSLContext | None = None, accepted: tuple[str, ...] = ()
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.back = urlsplit(server).netloc
        self.accepted = accepted
        self.context = context
        self.fault = ""
        self.requests: list[str] = []

    def finish_request(self, request: object, client_address: object) -> None:
        if self.context is None:
            super().finish_request(request, client_address)  # type: ignore[arg-type]
            return
        with suppress(OSError):  # a handshake that the client gave up is what some tests want
            shown = self.context.wrap_socket(request, server_side=True)  # type: ignore[arg-type]
            super().finish_request(shown, client_address)  # type: ignore[arg-type]
            shown.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Cut connections are no news."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def handle_any(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.server.fault == "cut":
            self.close_connection = True
            return
        if self.server.fault == "503":
            self._answer(503, b'{"error": {"type": "unavailable", "reason": "no master"}}', {})
            return
        given = self.headers.get("authorization", "")
        if self.server.accepted and given not in self.server.accepted:
            reason = "unable to authenticate" if given else "missing authentication credentials"
            error = {"error": {"type": "security_exception", "reason": reason}, "status": 401}
            self._answer(401, json.dumps(error).encode(), {"content-type": "application/json"})
            return
        self._pass_on(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any  # noqa: N815

    def _pass_on(self, body: bytes) -> None:
        kept = {"accept", "content-type"}
        headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
        back = http.client.HTTPConnection(self.server.back, timeout=120)
        try:
            back.request(self.command, self.path, body=body or None, headers=headers)
            answer = back.getresponse()
            content = answer.read()
        finally:
            back.close()
        if self.server.fault == "late":
            self.close_connection = True
            return
        names = ("content-type", "x-elastic-product")
        self._answer(answer.status, content, {one: answer.headers.get(one, "") for one in names})

    def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        headers.setdefault("x-elastic-product", "Elasticsearch")
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def proxied(
    server: str, *, context: ssl.SSLContext | None = None, accepted: tuple[str, ...] = ()
) -> Iterator[Proxy]:
    proxy = Proxy(server, context=context, accepted=accepted)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
