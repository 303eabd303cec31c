"""`huiyin pictures` as a process: told to stop, killed, started again."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from PIL import Image

from archive import open_archive
from crawler.pictures.links import LinkQueue
from huiyin.records import Author, Case, Media, Origin, Picture, Post, Scope

ALL = Scope.everything()
NOW = datetime.now(UTC).replace(microsecond=0)


class _Host(BaseHTTPRequestHandler):
    """A host that takes its time."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        time.sleep(1.0)
        out = io.BytesIO()
        Image.new("RGB", (64, 64), (int(self.path[1:]) * 40, 0, 0)).save(out, "PNG")
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(out.getvalue())))
        self.end_headers()
        self.wfile.write(out.getvalue())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    _Host.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def home(folder: Path, host: str, appeals: int) -> None:
    """An office with appeals whose pictures wait."""
    told = (
        f'[pictures]\nenabled = true\nhosts = ["127.0.0.1"]\n[collect]\nallow_hosts = ["{host}"]\n'
    )
    (folder / "huiyin.toml").write_text(told, encoding="utf-8")
    assert launch(folder, "init").wait(120) == 0
    archive = open_archive(f"sqlite:///{folder / 'var' / 'huiyin.db'}")
    queue = LinkQueue(folder / "var" / "pictures", folder / "var" / "secrets")
    for number in range(appeals):
        one = Post(
            id=f"weibo:{number}", text="停水", created_at=NOW, collected_at=NOW, read_at=NOW,
            offices=("weibo:1",), author=Author(key="k"), source=Origin(spider="s"),
            media=(Media(kind="picture", url="https://m.weibo.cn/status/1"),),
        )  # fmt: skip
        archive.put_posts([one])
        archive.create(Case(id=f"case:{one.id}", offices=one.offices, post=one.id, intent="求助",
                            account="weibo:1", opened_at=NOW, due_at=NOW))  # fmt: skip
        queue.add([(one.id, [f"http://{host}/{number}"])], NOW)
    archive.close()


def launch(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HUIYIN")}
    return subprocess.Popen(
        [sys.executable, "-m", "huiyin", *arguments], cwd=folder,
        env={**inherited, "HUIYIN_HOME": str(folder)}, stdout=subprocess.DEVNULL,
        stderr=(folder / "said.log").open("ab"),
    )  # fmt: skip


def kept(folder: Path) -> list[Picture]:
    archive = open_archive(f"sqlite:///{folder / 'var' / 'huiyin.db'}")
    found = [one.record for one in archive.records(Picture, ALL, limit=100)]
    archive.close()
    return found


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_stopped_killed_and_started_again_each_picture_is_kept_once(
    tmp_path: Path, host: str
) -> None:
    home(tmp_path, host, 5)
    first = launch(tmp_path, "pictures")
    until(lambda: len(kept(tmp_path)) >= 1)
    first.send_signal(signal.SIGINT)
    assert first.wait(30) == 0  # after the post in hand, not after all that waits
    assert 1 <= len(kept(tmp_path)) < 5
    second, before = launch(tmp_path, "pictures"), len(_Host.asked)
    until(lambda: len(_Host.asked) > before)  # in the middle of a fetch
    second.kill()
    second.wait()
    third = launch(tmp_path, "pictures")
    until(lambda: len(kept(tmp_path)) == 5)
    third.send_signal(signal.SIGTERM)
    assert third.wait(30) == 0
    assert {one.state for one in kept(tmp_path)} == {"stored"}
    assert len(list((tmp_path / "var" / "pictures").rglob("*.webp"))) == 5
    assert LinkQueue(tmp_path / "var/pictures", tmp_path / "var/secrets").posts() == []
    assert len(_Host.asked) <= 6  # only what was killed in the middle was asked for again


def test_pictures_that_are_off_say_so(tmp_path: Path) -> None:
    assert launch(tmp_path, "init").wait(120) == 0
    assert launch(tmp_path, "pictures").wait(120) == 2
    assert "pictures.enabled" in (tmp_path / "said.log").read_text(encoding="utf-8")
