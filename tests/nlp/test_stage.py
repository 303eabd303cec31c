"""The analysis stage and its leases, over a real archive."""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive import Archive, open_archive
from huiyin.records import Account, Analysis, Lease, Origin, Post, Scope
from nlp.base import Text
from nlp.leases import Slices
from nlp.stage import AnalysisStage
from tests.nlp.test_batch import Echo

START = datetime(2026, 3, 1, tzinfo=UTC)
ALL = Scope.everything()


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Picky(Echo):
    """Breaks on a text that says so, alone or in a batch; remembers the texts."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[Text] = []

    def analyse(self, texts: Sequence[Text]) -> list[Analysis]:
        self.texts += texts
        if any("坏" in item.text for item in texts):
            raise RuntimeError("cannot read this")
        return super().analyse(texts)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_archive(f"sqlite:///{tmp_path / 'archive.db'}")
    yield opened
    opened.close()


def post(number: int, text: str = "", offices: tuple[str, ...] = ("weibo:1",)) -> Post:
    at = START + timedelta(seconds=number)
    return Post(
        id=f"weibo:{number}", text=text or f"第{number}条", created_at=at, collected_at=at,
        read_at=at, offices=offices, source=Origin(spider="test"),
    )  # fmt: skip


def stage(archive: Archive, understanding: Echo, **options: object) -> AnalysisStage:
    values: dict[str, object] = {"clock": lambda: START, "batch": 4, "monotonic": Clock()}
    return AnalysisStage(archive, understanding, **{**values, **options})  # type: ignore[arg-type]


def test_everything_is_analysed_newest_first_and_then_nothing(archive: Archive) -> None:
    archive.put_posts([post(n) for n in range(10)])
    picky = Picky()
    one = stage(archive, picky)
    assert [one.run_once() for _ in range(4)] == [4, 4, 2, 0]
    assert [item.text for item in picky.texts] == [f"第{n}条" for n in reversed(range(10))]
    stored = archive.get_posts([f"weibo:{n}" for n in range(10)], ALL)
    assert all(item.analysis is not None for item in stored.values())
    assert one.run_once() == 0


def test_a_post_that_fails_three_times_stops_nobody(archive: Archive) -> None:
    archive.put_posts([post(1), post(2, "坏的"), post(3)])
    one = stage(archive, Picky())
    for _ in range(3):
        one.run_once()
    assert one.run_once() == 0
    (failure,) = archive.failures()
    assert (failure.post_id, failure.attempts, failure.final) == ("weibo:2", 3, True)
    assert "RuntimeError: cannot read this" in failure.reason
    found = archive.get_posts(["weibo:1", "weibo:2", "weibo:3"], ALL)
    assert [found[f"weibo:{n}"].analysis is not None for n in (1, 2, 3)] == [True, False, True]


def test_a_newer_model_does_everything_again_after_the_new_posts(archive: Archive) -> None:
    archive.put_posts([post(n) for n in range(3)])
    old = stage(archive, Echo())
    old.run_once()
    old.close()
    archive.put_posts([post(9)])
    newer = Picky()
    newer.model = "newer"
    one = stage(archive, newer, batch=2)
    assert [one.run_once() for _ in range(3)] == [2, 2, 0]
    assert newer.texts[0].text == "第9条"
    assert archive.pending_counts("newer")["reanalysis"] == 0


def test_the_region_is_that_of_the_posts_office(archive: Archive) -> None:
    archive.create(Account(id="weibo:7", uid="7", name="长春某局", level=2, region="220100"))
    archive.put_posts([post(1, offices=("weibo:7",)), post(2, offices=("weibo:8",))])
    picky = Picky()
    stage(archive, picky, region="410100").run_once()
    regions = {item.text: item.region for item in picky.texts}
    assert regions == {"第1条": "220100", "第2条": "410100"}


def test_run_stops_when_told(archive: Archive) -> None:
    archive.put_posts([post(n) for n in range(9)])
    stop, one = threading.Event(), stage(archive, Echo())
    thread = threading.Thread(target=one.run, args=(stop,), kwargs={"idle_seconds": 0.01})
    thread.start()
    for _ in range(500):
        if archive.pending_counts("echo")["analysis"] == 0:
            break
        stop.wait(0.02)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert archive.pending_counts("echo")["analysis"] == 0


def slices(archive: Archive, owner: str, clock: Clock, of: int = 1) -> Slices:
    return Slices(archive, "analysis", of=of, owner=owner, monotonic=clock)


def test_a_slice_has_one_holder_until_it_is_given_back(archive: Archive) -> None:
    clock = Clock()
    one, two = slices(archive, "host-a:1:x", clock), slices(archive, "host-b:1:y", clock)
    assert one.hold() is not None
    assert two.hold() is None
    one.release()
    assert two.hold() is not None
    assert one.hold() is None


def test_a_dead_holder_is_replaced_after_twenty_seconds_and_a_live_one_never(
    archive: Archive,
) -> None:
    clock = Clock()
    one, two = slices(archive, "host-a:1:x", clock), slices(archive, "host-b:1:y", clock)
    assert one.hold() is not None
    for _ in range(10):
        clock.seconds += 6
        assert one.hold() is not None
        assert two.hold() is None
    clock.seconds += 19
    assert two.hold() is None
    clock.seconds += 2
    assert two.hold() is not None
    assert one.hold() is None


def test_a_process_of_this_host_that_is_gone_is_replaced_at_once(archive: Archive) -> None:
    import socket
    import subprocess
    import sys

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    owner = f"{socket.gethostname()}:{gone.pid}:x"
    archive.create(Lease(id="lease:analysis:0-1", owner=owner))
    assert slices(archive, "host-b:1:y", Clock()).hold() is not None


def test_what_this_process_held_before_it_began_anew_is_taken_at_once(archive: Archive) -> None:
    """`exec` keeps the number; two workers of one process still keep out of each other's way."""
    import os
    import socket

    before = f"{socket.gethostname()}:{os.getpid()}:another:x"
    archive.create(Lease(id="lease:analysis:0-1", owner=before))
    one, two = (Slices(archive, "analysis", monotonic=Clock()) for _ in range(2))
    assert one.hold() is not None
    assert two.hold() is None


def test_two_workers_share_the_slices_and_do_all(archive: Archive) -> None:
    archive.put_posts([post(n) for n in range(60)])
    clock, echoes = Clock(), (Picky(), Picky())
    workers = [
        stage(archive, echo, slices=4, owner=f"host-{n}:1:x", monotonic=clock, batch=8)
        for n, echo in enumerate(echoes)
    ]
    for _ in range(60):
        clock.seconds += 1
        for worker in workers:
            worker.run_once()
    assert archive.pending_counts("echo")["analysis"] == 0
    texts = [item.text for echo in echoes for item in echo.texts]
    assert len(texts) == len(set(texts)) == 60
    assert all(echo.texts for echo in echoes)
