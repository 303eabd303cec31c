"""Weibo's commercial push stream for tests: one long answer, a record a line, good days and bad.

Imports nothing from crawler/. Form: open.weibo.com wiki, commercial/push: GET with `subid` and
`since_id` (a data id, not a post's number); without it, or with one that is too old, the newest
hundred; JSON lines that end in CR LF; the answer ends after five minutes or after five seconds in
which nothing came (here: `longest`, `quiet`); an address that is not registered gets an error.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.platforms.weibo import CHINA, STATUS, number_at

FAULTS = ("cut", "trickle", "junk", "gb18030", "repeat", "blank", "http502")
NEWEST = 100


@dataclass
class Stream:
    """One subscription. May be changed while it runs."""

    records: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """(data id, record), in order."""
    subid: str = "10050"
    quiet: float = 0.4
    longest: float = 3.0
    kept_from: int = 0
    """Older data ids are no longer known."""
    faults: tuple[str, ...] = ()
    fault_rate: float = 0.0
    refuses: str = ""
    """ip, or an error code that every connection gets."""
    dies_after: int = 0
    """After so many records of a connection an error comes in the stream."""
    pauses_after: int = 0
    """After so many records of a connection nothing comes for `pause` seconds, then the rest."""
    pause: float = 0.0
    silent: bool = False
    """Takes connections and says nothing."""
    asked: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    seed: int = 1
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def push(self, text: str = "金水区起火了", at: datetime | None = None, **more: Any) -> int:
        """Somebody posts; returns the post's number."""
        with self.lock:
            data = (self.records[-1][0] if self.records else 1_211_260_020_031_000) + 7
            number = number_at(at or datetime.now(UTC), len(self.records) + 1)
            made = (at or datetime.now(UTC)).astimezone(CHINA).strftime("%a %b %d %H:%M:%S %z %Y")
            status = {**STATUS, "id": number, "idstr": str(number), "mid": str(number),
                      "created_at": made, "text": text, **more}  # fmt: skip
            record = {
                "id": data, "text": {"type": "status", "event": "add", "status": status},
                "match_info": {"keyword": "起火", "uid": 5550001},
            }  # fmt: skip
            self.records.append((data, record))
        return number

    def since(self, since: int) -> list[tuple[int, dict[str, Any]]]:
        with self.lock:
            known = since >= self.kept_from and any(data == since for data, _ in self.records)
            if not known:
                return self.records[-NEWEST:]
            return [one for one in self.records if one[0] > since]

    def fault(self) -> str:
        with self.lock:
            if not self.faults or self.random.random() >= self.fault_rate:
                return ""
            return self.random.choice(self.faults)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stream: Stream

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        one, url = self.stream, urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if url.path == "/2/account/rate_limit_status.json":
            self._error(404, 10020, "request api not found!")
            return
        one.asked.append(query)
        if url.path != "/commercial/push" or query.get("subid") != one.subid:
            self._error(400, 10008, "Param error, see doc for more info.")
        elif one.refuses == "ip":
            self._error(403, 10004, "Ip is limited")
        elif one.refuses:
            self._error(403, int(one.refuses), "refused")
        elif (fault := one.fault()) == "http502":
            self._error(502, 0, "Bad Gateway")
        else:
            with suppress(ConnectionError, TimeoutError):
                self._talk(one, int(query.get("since_id", 0)), fault)

    def _error(self, status: int, code: int, words: str) -> None:
        body = json.dumps({"request": self.path, "error_code": code, "error": words}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _talk(self, one: Stream, since: int, fault: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        began = heard = time.monotonic()
        sent = 0
        if fault == "repeat":  # what was sent before comes once more
            with one.lock:
                before = [data for data, _ in one.records if data <= since]
            since = before[-6] if len(before) > 6 else since
        while time.monotonic() - heard < one.quiet and time.monotonic() - began < one.longest:
            fresh = [] if one.silent else one.since(since)
            for data, record in fresh:
                line = json.dumps(record, ensure_ascii=False).encode() + b"\r\n"
                sent += 1
                if one.dies_after and sent > one.dies_after:
                    self._chunk(b'{"error": "subscription is over", "error_code": "10014"}\r\n')
                    self._chunk(b"")
                    return
                if fault and sent == 5 and not self._faulty(fault, line):
                    return
                self._chunk(line)
                if one.pauses_after and sent == one.pauses_after:
                    time.sleep(one.pause)
                since, heard = data, time.monotonic()
            if one.silent:
                heard = time.monotonic()
            time.sleep(0.02)
        self._chunk(b"")

    def _faulty(self, fault: str, line: bytes) -> bool:
        """False when the connection is over."""
        if fault == "cut":
            self._chunk(line[: len(line) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
            return False
        if fault == "trickle":
            for place in range(0, len(line), 40):
                self._chunk(line[place : place + 40])
                time.sleep(0.01)
        elif fault == "junk":
            self._chunk(b"\xff\xfe{]]\r\n")
        elif fault == "gb18030":
            self._chunk(line.decode().encode("gb18030"))
        elif fault == "blank":
            self._chunk(b"\r\n\n\r\n")
        return True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that was killed is no news."""


@contextmanager
def running(stream: Stream) -> Iterator[Stream]:
    """Serve on a free port of this machine."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"stream": stream}))
    stream.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield stream
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
