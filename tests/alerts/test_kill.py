"""Promise 7: kill -9 anywhere loses no alert, and repeats one at most once per kill."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from alerts.phone import Phone, make_server
from archive import open_archive
from huiyin.records import Alert, AlertState, Scope
from tests.alerts.conftest import incident, person, shift

ALL = Scope.everything()
KILLS = 5
INCIDENTS = 10
WORKER = """
import sys, time
from datetime import UTC, datetime, timedelta
import alerts.delivery, alerts.rules
from alerts import Alerter, configured_channels
from archive import open_archive
from huiyin.settings import AlertSettings

# Shorter waits: the order of claim, sending and marking stays the same.
alerts.delivery.CLAIM = timedelta(seconds=0.3)
alerts.rules.HOLD = timedelta(0)
alerts.rules.SPLINTER_HOLD = timedelta(0)
settings = AlertSettings(webhook=sys.argv[2], max_attempts=100)
archive = open_archive(sys.argv[1])
start = datetime.now(UTC)
clock = lambda: datetime(2026, 3, 5, 4, 0, tzinfo=UTC) + (datetime.now(UTC) - start) + timedelta(
    seconds=float(sys.argv[3]))
one = Alerter(archive, [c for c in configured_channels(settings) if c.name == "webhook"],
              settings=settings, clock=clock)
print("ready", flush=True)
while True:
    report = one.run_once()
    if not report.waiting and not report.created:
        print("idle", flush=True)
    time.sleep(0.02)
"""


class SlowPhone(Phone):
    """Answers late, so that a kill often falls between receiving and marking."""

    def receive(self, body: bytes):  # type: ignore[no-untyped-def]
        message = super().receive(body)
        time.sleep(0.15)
        return message


def start(url: str, webhook: str, offset: float) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, url, webhook, str(offset)],
        stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


def test_killed_again_and_again_nothing_is_lost(tmp_path: Path) -> None:
    import threading

    url = f"sqlite:///{tmp_path / 'huiyin.db'}"
    archive = open_archive(url)
    archive.create(person("zhou"))
    archive.create(shift("zhou"))
    out = tmp_path / "phone.jsonl"
    server = make_server(SlowPhone(out))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    webhook = f"http://127.0.0.1:{server.server_port}/"
    chance = random.Random(7)
    names = [f"n{number}" for number in range(INCIDENTS)]
    begun = time.monotonic()
    try:
        for kill in range(KILLS):
            for name in names[kill::KILLS]:
                archive.create(incident(name))
            process = start(url, webhook, time.monotonic() - begun)
            time.sleep(chance.uniform(0.02, 0.4))
            process.send_signal(signal.SIGKILL)
            process.wait()
        process = start(url, webhook, time.monotonic() - begun)
        deadline = time.monotonic() + 60
        assert process.stdout is not None
        while process.stdout.readline().strip() != "idle" and time.monotonic() < deadline:
            pass
        process.kill()
        process.wait()
    finally:
        server.shutdown()
        server.server_close()

    alerts = [stored.record for stored in archive.records(Alert, ALL)]
    assert {one.incident for one in alerts} == {f"incident:{name}" for name in names}
    assert {one.state for one in alerts} == {AlertState.SENT}
    assert all(len(one.deliveries) == 1 for one in alerts)
    told = Counter(one for message in Phone(out).messages() for one in message["alerts"])
    assert set(told) == {f"{one.id}#1" for one in alerts}
    # A kill interrupts at most one message, so at most one message a kill tells anything again.
    bodies = Phone(out).messages()
    known: set[str] = set()
    repeats = 0
    for message in bodies:
        repeats += bool(known.intersection(message["alerts"]))
        known.update(message["alerts"])
    assert repeats <= KILLS
    for message in bodies:
        for one in message["alerts"]:
            assert one in message["text"]  # by which a reader knows the repeat
    archive.close()
