"""kill -9 during import, analysis and alerting, then run again: the state of an undisturbed run.

Real processes of the command line, SIGKILL at seeded random times, a dump of all records compared.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from archive import open_archive
from archive.base import Archive
from archive.dump import dump
from crawler.sample_platform import start_server
from huiyin.records import Alert, AlertState, Scope
from samples import cities

ALL = Scope.everything()
SEED = 20261122
CITY = next(iter(cities().values()))
# Times of day at which a step happened to run, what is derived from them, and who holds a queue.
VOLATILE = {
    "opened_at", "alerted_at", "committed_at", "sent_at", "next_at", "attempts", "due_at",
    "at", "digest", "previous", "collected_at", "reading_delay_seconds",
}  # fmt: skip


# `work` is stopped when all posts are analysed: how many drafts it has written by then is chance.
OTHERS = {"lease", "person", "setting", "case", "draft"}


class Phone(BaseHTTPRequestHandler):
    """Counts what arrives by message id, and which alerts were told of."""

    seen: dict[str, int]
    told: set[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen[body["id"]] = self.seen.get(body["id"], 0) + 1
        self.told.update(one.partition("#")[0] for one in body["alerts"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def phone() -> Any:
    handler = type("OnePhone", (Phone,), {"seen": {}, "told": set()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server, handler
    server.shutdown()


def _home(folder: Path, secrets: Path | None, webhook: str) -> Path:
    folder.mkdir()
    if secrets:
        shutil.copytree(secrets, folder / "var/secrets")
    (folder / "huiyin.toml").write_text(f'[alerts]\nwebhook = "{webhook}"\n', encoding="utf-8")
    return folder


def _huiyin(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "huiyin", *arguments], cwd=home,
        env={**os.environ, "HUIYIN_HOME": str(home)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _kill(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGKILL)
    return process.wait()


def _until(archive: Archive, done: Callable[[Archive], bool], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not done(archive):
        assert time.monotonic() < end, "not done in time"
        time.sleep(0.2)


def _all_analysed(archive: Archive) -> bool:
    return archive.pending_counts("")["analysis"] == 0


def _all_told(archive: Archive) -> bool:
    alerts = [one.record for one in archive.records(Alert, ALL)]
    return (
        archive.pending_counts("")["incidents"] == 0
        and bool(alerts)
        and all(one.state is AlertState.SENT for one in alerts)
    )


def _service(
    home: Path, name: str, done: Callable[[Archive], bool], kills: list[float]
) -> list[int]:
    """Run a service, killing it after each of `kills` seconds, then to the end."""
    archive = open_archive(f"sqlite:///{home}/var/huiyin.db")
    codes = []
    for seconds in kills:
        process = _huiyin(home, name)
        time.sleep(seconds)
        codes.append(_kill(process))
    process = _huiyin(home, name)
    try:
        _until(archive, done)
    finally:
        process.terminate()
        process.wait(30)
        archive.close()
    return codes


def _pages(folder: Path) -> list[str]:
    """The sample's day as it ends now, saved page by page: old news would wake nobody."""
    folder.mkdir()
    files = []
    with start_server(CITY, now=datetime.now(UTC), live_seconds=0) as platform:
        for uid, token in platform.tokens.items():
            for name in ("mentions", "user_timeline"):
                address = f"{platform.url}/2/statuses/{name}.json"
                answer = httpx.get(address, params={"access_token": token, "count": 200})
                if '"statuses"' in answer.text and answer.json()["statuses"]:
                    files.append(folder / f"{name}-{uid}.json")
                    files[-1].write_bytes(answer.content)
    return [str(file) for file in files]


def _whole_path(home: Path, files: list[str], kills: random.Random | None) -> list[int]:
    """Accounts, people, import, analysis, incidents, alerts; returns the kills' exit codes."""
    assert _huiyin(home, "init").wait(60) == 0
    accounts = CITY / "accounts.json"
    assert _huiyin(home, "account", "load", str(accounts)).wait(60) == 0
    assert _huiyin(home, "user", "add", "zhao", "--name", "赵", "--role", "值班员").wait(60) == 0
    codes = []
    arguments = ("import", *files)
    for _ in range(3 if kills else 0):
        process = _huiyin(home, *arguments)
        time.sleep(kills.uniform(0.8, 2.2) if kills else 0)
        codes.append(_kill(process))
    assert _huiyin(home, *arguments).wait(120) == 0
    times = [kills.uniform(3, 9) for _ in range(3)] if kills else []
    codes += _service(home, "work", _all_analysed, times)
    times = [kills.uniform(1.0, 3.0) for _ in range(4)] if kills else []
    return codes + _service(home, "watch", _all_told, times)


def _state(home: Path) -> list[Any]:
    archive = open_archive(f"sqlite:///{home}/var/huiyin.db")
    rows = [_still(json.loads(line)) for line in dump(archive)]
    archive.close()
    kept = [row for row in rows if _kind(row) not in OTHERS]
    assert sum(_kind(row) == "post" for row in kept) > 400
    for row in kept:
        if _kind(row) == "alert":  # when it was made, and how old the posts were by then
            del row["created_at"]
            lines = row["text"].splitlines()
            row["text"] = [line for line in lines if not line.startswith("读到时已发出")]
    return sorted(kept, key=lambda row: json.dumps(row, sort_keys=True))


def _kind(row: Any) -> str:
    return str(row.get("record") or row.get("type") or row.get("kind"))


def _still(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _still(part) for name, part in value.items() if name not in VOLATILE}
    if isinstance(value, list):
        return [_still(part) for part in value]
    return value


@pytest.mark.timeout(600)
def test_killed_again_and_again_ends_as_the_undisturbed_run(tmp_path: Path, phone: Any) -> None:
    server, handler = phone
    webhook = f"http://127.0.0.1:{server.server_port}/"
    calm = _home(tmp_path / "calm", None, webhook)
    files = _pages(tmp_path / "pages")
    _whole_path(calm, files, None)
    calm_told = set(handler.told)
    handler.seen.clear()
    handler.told.clear()

    hit = _home(tmp_path / "hit", calm / "var/secrets", webhook)
    codes = _whole_path(hit, files, random.Random(SEED))
    killed = codes.count(-signal.SIGKILL)
    assert killed >= 6, f"too few kills hit a running process: {codes}"

    assert _state(hit) == _state(calm)
    # Which alerts share one message depends on the second; that each was told does not.
    assert handler.told == calm_told
    repeats = sum(handler.seen.values()) - len(handler.seen)
    assert repeats <= killed, "an alert may go out again at most once per kill"
