from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import structlog

from alerts import configured_channels
from alerts.base import Message
from alerts.channels.webhook import WebhookChannel
from alerts.phone import Phone, make_server
from huiyin.errors import ChannelError
from huiyin.settings import AlertSettings
from tests.alerts.conftest import NOW


def message(text: str = "编号：alert:incident:a#1") -> Message:
    return Message("alert:incident:a#1", "zhou", "周", "标题", text, ("alert:incident:a#1",), NOW)


class Server(ThreadingHTTPServer):
    status = 200
    delay = 0.0
    followed = False


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            here: Server = self.server  # type: ignore[assignment]
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/elsewhere":
                here.followed = True
            threading.Event().wait(here.delay)
            self.send_response(here.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None: ...

    made = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def channel(server: Server, **more: float) -> WebhookChannel:
    return WebhookChannel(f"http://127.0.0.1:{server.server_port}/hook", **more)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_2xx_is_sent(server: Server, status: int) -> None:
    server.status = status
    assert channel(server).send(message()).message == "alert:incident:a#1"


@pytest.mark.parametrize(
    ("status", "retry"),
    [(400, False), (401, False), (404, False), (410, False), (408, True), (429, True), (500, True),
     (503, True), (301, False), (307, False)],
)  # fmt: skip
def test_refusals_say_whether_to_retry(server: Server, status: int, retry: bool) -> None:
    server.status = status
    with pytest.raises(ChannelError) as caught:
        channel(server).send(message())
    assert caught.value.retry is retry
    assert str(status) in str(caught.value)
    assert not server.followed


def test_a_silent_receiver_may_be_tried_again(server: Server) -> None:
    server.delay = 1.0
    with pytest.raises(ChannelError) as caught:
        channel(server, timeout_seconds=0.1).send(message())
    assert caught.value.retry


def test_nobody_there_may_be_tried_again() -> None:
    with pytest.raises(ChannelError) as caught:
        WebhookChannel("http://127.0.0.1:9/", timeout_seconds=1).send(message())
    assert caught.value.retry


def test_an_unusable_address_is_not_tried_again() -> None:
    with pytest.raises(ChannelError) as caught:
        WebhookChannel("http:///nohost").send(message())
    assert not caught.value.retry


def test_an_unconfigured_channel_says_so_and_nothing_else() -> None:
    with structlog.testing.capture_logs() as logs:
        names = [one.name for one in configured_channels(AlertSettings())]
    assert names == ["log"]
    assert [one["event"] for one in logs] == ["webhook disabled: alerts.webhook is not set"]
    both = configured_channels(AlertSettings(webhook="http://127.0.0.1:1/"))
    assert [one.name for one in both] == ["log", "webhook"]


def test_the_log_channel_logs_the_words() -> None:
    with structlog.testing.capture_logs() as logs:
        configured_channels(AlertSettings())[0].send(message())
    assert "alert:incident:a#1" in logs[-1]["text"]


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    out = tmp_path / "out" / "phone.jsonl"
    server = make_server(Phone(out))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", out
    server.shutdown()
    server.server_close()


def test_the_phone_shows_what_arrived(phone: tuple[str, Path]) -> None:
    url, out = phone
    sent = message("<img src=x onerror=alert(1)>编号：alert:incident:a#1")
    WebhookChannel(url).send(sent)
    WebhookChannel(url).send(sent)
    page = httpx.get(url, trust_env=False)
    assert "<img" not in page.text
    assert "&lt;img src=x" in page.text
    assert "同一条收到 2 次" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == ["alert:incident:a#1"] * 2
    assert Phone(out).messages() == lines  # a restarted phone still shows them


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"id": "x"}', b'{"id": 1, "title": 2, "text": 3}'])
def test_the_phone_refuses_what_is_no_message(phone: tuple[str, Path], body: bytes) -> None:
    url, out = phone
    assert httpx.post(url, content=body, trust_env=False).status_code == 400
    assert not out.exists()


def test_the_phone_answers_only_to_its_own_name(phone: tuple[str, Path]) -> None:
    url, _ = phone
    strange = {"Host": "evil.example"}
    assert httpx.get(url, headers=strange, trust_env=False).status_code == 403
    assert httpx.post(url, headers=strange, json={}, trust_env=False).status_code == 403
