"""A web site for tests: pages by path, on good days and bad ones. Imports nothing from crawler/."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Page:
    """One answer. `slow`: seconds between pieces; `cut`: bytes sent before the line breaks."""

    body: bytes = b""
    type: str = "text/html"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""
    slow: float = 0.0
    cut: int = 0


@dataclass
class Site:
    """`pages`: path (with query) -> page, or a function that gives one for each request."""

    pages: dict[str, Page | Callable[[], Page]] = field(default_factory=dict)
    robots: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        self.site.asked[self.path] += 1
        self.site.seen.append((self.path, dict(self.headers.items())))
        if self.path == "/robots.txt":
            self._send(Page(self.site.robots.encode(), "text/plain"))
            return
        found = self.site.pages.get(self.path) or self.site.pages.get(urlsplit(self.path).path)
        if found is None:
            self._send(Page(b"<title>404 Not Found</title>", status=404))
            return
        page = found() if callable(found) else found
        if page.etag and self.headers.get("If-None-Match") == page.etag:
            self._send(Page(status=304, etag=page.etag))
            return
        self._send(page)

    def _send(self, page: Page) -> None:
        self.send_response(page.status)
        self.send_header("Content-Type", page.type)
        for name, value in page.headers.items():
            self.send_header(name, value)
        if page.etag:
            self.send_header("ETag", page.etag)
        if page.status != 304:
            self.send_header("Content-Length", str(len(page.body)))
        if page.cut:
            self.close_connection = True
        self.end_headers()
        body = page.body[: page.cut] if page.cut else page.body
        try:
            if page.slow:
                for place in range(0, len(body), 16):
                    self.wfile.write(body[place : place + 16])
                    self.wfile.flush()
                    time.sleep(page.slow)
            elif page.status != 304:
                self.wfile.write(body)
        except OSError:
            pass  # the reader has given up

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def running(site: Site) -> Iterator[Site]:
    """Serve the site on a free port of this machine."""
    handler = type("Handler", (_Handler,), {"site": site})
    server = _Server(("127.0.0.1", 0), handler)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
