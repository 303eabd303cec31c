"""A phone for the demo: `python -m alerts.phone --port N [--out FILE]`.

A second process that receives the webhook as an office's messenger would, shows the messages on a
page that looks like a phone and in the terminal, and appends each to a JSONL file. Loopback only.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

HOST = "127.0.0.1"
LARGEST = 256 * 1024
NEEDED = ("id", "title", "text")
KEPT = ("id", "recipient", "recipient_name", "title", "text", "alerts", "link", "created_at")
PAGE = """<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="2">
<title>值班手机</title><style>
body{{margin:0;background:#d9dde3;font:15px/1.55 system-ui,"Noto Sans CJK SC",sans-serif}}
main{{width:375px;min-height:720px;margin:24px auto;background:#ededed;border:10px solid #1d1f23;
border-radius:36px;overflow:hidden}}
h1{{margin:0;padding:14px;font-size:17px;text-align:center;background:#f7f7f7}}
article{{margin:12px;padding:10px 14px;background:#fff;border-radius:10px;
border-left:4px solid #c8102e;
white-space:pre-wrap;overflow-wrap:anywhere}}
time{{display:block;text-align:center;color:#888;font-size:12px;margin-top:12px}}
p{{text-align:center;color:#888}}
</style></head><body><main><h1>值班手机（{count}）</h1>{messages}</main></body></html>"""


class Phone:
    """Messages received so far; the file, when there is one, outlives the process."""

    def __init__(self, out: Path | None = None, console: Console | None = None) -> None:
        self._out = out
        self._console = console
        self._lock = threading.Lock()
        self._messages: list[dict[str, Any]] = []
        if out is not None and out.exists():
            lines = out.read_text(encoding="utf-8").splitlines()
            self._messages = [json.loads(line) for line in lines if line.endswith("}")]

    def receive(self, body: bytes) -> dict[str, Any]:
        """Keep one message, on disk when it returns. Raises `ValueError` when it is not one."""
        data = json.loads(body)
        if not isinstance(data, dict) or not all(isinstance(data.get(key), str) for key in NEEDED):
            raise ValueError(f"JSON object with {', '.join(NEEDED)} expected")
        message = {key: data[key] for key in KEPT if key in data}
        message["received_at"] = datetime.now(UTC).isoformat()
        with self._lock:
            if self._out is not None:
                self._out.parent.mkdir(parents=True, exist_ok=True)
                with self._out.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(message, ensure_ascii=False) + "\n")
                    stream.flush()
                    os.fsync(stream.fileno())
            repeated = any(known["id"] == message["id"] for known in self._messages)
            self._messages.append(message)
        if self._console is not None:
            title = f"值班手机 · {message.get('recipient_name', '')}" + (
                " · 重复" if repeated else ""
            )
            # `Text`, not a string: square brackets in a message are no markup.
            body_text = Text(f"{message['title']}\n{message['text']}")
            self._console.print(Panel(body_text, title=Text(title), border_style="red"))
        return message

    def messages(self) -> list[dict[str, Any]]:
        """All, in the order they came, repeats included."""
        with self._lock:
            return list(self._messages)

    def page(self) -> str:
        """HTML of the screen, newest on top, a repeated id once with the number of times."""
        shown: dict[str, dict[str, Any]] = {}
        times: dict[str, int] = {}
        for message in self.messages():
            shown.setdefault(message["id"], message)
            times[message["id"]] = times.get(message["id"], 0) + 1
        parts = [_article(message, times[key]) for key, message in shown.items()]
        body = "".join(reversed(parts)) or "<p>还没有消息</p>"
        return PAGE.format(count=len(shown), messages=body)


def _article(message: dict[str, Any], times: int) -> str:
    at = html.escape(str(message["received_at"])[11:19])
    again = f" · 同一条收到 {times} 次" if times > 1 else ""
    title = html.escape(message["title"])
    return (
        f"<time>{at} UTC{again}</time>"
        f"<article><b>{title}</b>\n{html.escape(message['text'])}</article>"
    )


def make_server(phone: Phone, port: int = 0) -> ThreadingHTTPServer:
    """An HTTP server on loopback; `server_port` tells which port it got."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                length = int(self.headers.get("Content-Length", ""))
            except ValueError:
                return self._answer(HTTPStatus.LENGTH_REQUIRED, b"length required")
            if not 0 < length <= LARGEST:
                return self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"too large")
            if not self._local():
                return self._answer(HTTPStatus.FORBIDDEN, b"loopback only")
            try:
                phone.receive(self.rfile.read(length))
            except ValueError as error:
                return self._answer(HTTPStatus.BAD_REQUEST, str(error).encode())
            return self._answer(HTTPStatus.OK, b'{"ok": true}', "application/json")

        def do_GET(self) -> None:
            if not self._local():
                return self._answer(HTTPStatus.FORBIDDEN, b"loopback only")
            if self.path == "/messages.json":
                body = json.dumps(phone.messages(), ensure_ascii=False).encode()
                return self._answer(HTTPStatus.OK, body, "application/json")
            return self._answer(HTTPStatus.OK, phone.page().encode(), "text/html; charset=utf-8")

        def _local(self) -> bool:
            # A page elsewhere whose name was pointed here still names itself in `Host`.
            host = self.headers.get("Host", "").rsplit(":", 1)[0]
            return host in {HOST, "localhost"}

        def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header(
                "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"
            )
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """The terminal belongs to the messages."""

    return ThreadingHTTPServer((HOST, port), Handler)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m alerts.phone", description="值班手机（演示用）"
    )
    parser.add_argument("--port", type=int, default=8599, help="0 = 任意空闲端口")
    parser.add_argument("--out", type=Path, help="每条消息追加到这个 JSONL 文件")
    options = parser.parse_args(arguments)
    console = Console()
    server = make_server(Phone(options.out, console), options.port)
    # Through `print`, unwrapped: a program that started us may read the address from here.
    print(f"phone listening on http://{HOST}:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        console.print("值班手机已关闭")
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
