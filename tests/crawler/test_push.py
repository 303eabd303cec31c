"""The push stream: processes of their own against a stream with good and bad days."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from archive import open_archive
from crawler.spiders.weibo_push import Listening
from huiyin.errors import CollectError, SourceRefused
from huiyin.records import Scope, Source
from tests.crawler.test_platform import Reader
from tests.crawler.test_platform import until as until_then
from tests.platforms.push import FAULTS, NEWEST, Stream, running

until = partial(until_then, seconds=240)  # on a busy machine a start takes its time
NAME = "source:push"
PUSH = {"id": NAME, "spider": "weibo_push", "account": "weibo:101", "offices": ["weibo:101"],
        "parameters": {"subid": "10050"}, "every_seconds": 1.0}  # fmt: skip


@pytest.fixture
def stream() -> Iterator[Stream]:
    with running(Stream()) as one:
        yield one


class Push(Reader):
    def told(self) -> Source:
        archive = open_archive(self.url)
        stored = archive.get(Source, NAME, Scope.everything())
        archive.close()
        assert stored is not None
        return stored.record

    def begin(self, **more: Any) -> Any:
        return self.start(**{"endpoints": [], "sources": [PUSH], **more})

    def once(self, **more: Any) -> None:
        self.ended(self.begin(once=True, **more), 200)


@pytest.fixture
def reader(tmp_path: Path, stream: Stream) -> Push:
    return Push(tmp_path, stream)  # type: ignore[arg-type]


def test_posts_come_within_seconds_and_reconnecting_names_the_last(
    stream: Stream, reader: Push
) -> None:
    numbers = {stream.push() for _ in range(5)}
    child = reader.begin()
    until(lambda: reader.numbers() == numbers)
    waits = []
    for _ in range(4):
        began = time.monotonic()
        numbers.add(stream.push())
        until(lambda: reader.numbers() == numbers)
        waits.append(time.monotonic() - began)
        time.sleep(0.6)  # the platform ends the quiet connection meanwhile
    os.kill(child.pid or 0, signal.SIGTERM)
    reader.ended(child)
    assert sorted(waits)[1] < 5, waits
    assert "since_id" not in stream.asked[0] and int(stream.asked[-1]["since_id"])
    assert len(stream.asked) >= 3
    one = reader.told()
    assert one.state == "ok" and not [gap for gap in one.gaps if gap.ends_at is None]
    assert int(one.cursor) == stream.records[-1][0]
    found = list(reader.posts().values())
    assert {post.source.query for post in found} == {"push:10050"}
    assert "普通人甲乙丙" not in "".join(post.model_dump_json() for post in found)


@pytest.mark.timeout(900)
def test_faults_and_kills_lose_nothing_and_double_nothing(stream: Stream, reader: Push) -> None:
    stream.faults, stream.fault_rate, stream.longest = FAULTS, 0.6, 1.0
    numbers = {stream.push() for _ in range(60)}
    for _ in range(3):
        child = reader.begin()
        least = min(len(reader.numbers()) + 1, len(numbers))
        until(lambda least=least: len(reader.numbers()) >= least)
        numbers |= {stream.push() for _ in range(60)}
        time.sleep(0.5)
        child.kill()
        child.join()
    child = reader.begin()
    numbers.add(stream.push())  # the last one has to read too, or it is told to end as it starts
    until(lambda: reader.numbers() == numbers)
    os.kill(child.pid or 0, signal.SIGTERM)
    reader.ended(child)
    assert reader.numbers() == numbers and len(numbers) == 241
    assert int(reader.told().cursor) == stream.records[-1][0]


@pytest.mark.parametrize(
    ("refuses", "state", "words"),
    [("ip", "refused", "名单"), ("10014", "refused", "权限"), ("10022", "quota", "次数"),
     ("10012", "refused", "拒绝")],
)  # fmt: skip
def test_refusals_are_told_apart_and_are_no_silence(
    stream: Stream, reader: Push, refuses: str, state: str, words: str
) -> None:
    stream.push()
    stream.refuses = refuses
    reader.once()
    one = reader.told()
    assert one.state == state and words in one.reason and one.gaps[-1].ends_at is None
    assert reader.numbers() == set()
    stream.refuses = ""
    reader.once()
    assert reader.told().state == "ok" and reader.told().gaps[-1].caught_up_at is not None
    assert len(reader.numbers()) == 1


def test_an_end_in_the_midst_keeps_what_came_before(stream: Stream, reader: Push) -> None:
    numbers = [stream.push() for _ in range(9)]
    stream.dies_after = 4
    reader.once()
    assert reader.numbers() == set(numbers[:4]) and reader.told().state == "refused"
    stream.dies_after = 0
    reader.once()
    assert reader.numbers() == set(numbers) and reader.told().state == "ok"


def test_a_connection_that_closes_within_a_record_brings_the_whole_one_later(
    stream: Stream, reader: Push
) -> None:
    numbers = [stream.push() for _ in range(9)]
    stream.faults, stream.fault_rate = ("cut",), 1.0  # in the middle of the fifth
    for known in (4, 8, 9):
        reader.once()
        assert reader.numbers() == set(numbers[:known])
        assert reader.told().state == "ok"
    assert [one.get("since_id") for one in stream.asked] == [
        None, str(stream.records[3][0]), str(stream.records[7][0])
    ]  # fmt: skip


def test_a_pause_longer_than_the_connection_is_kept_loses_nothing(
    stream: Stream, reader: Push
) -> None:
    numbers = {stream.push() for _ in range(7)}
    stream.quiet = stream.longest = stream.pause = 60.0
    stream.pauses_after = 3
    child = reader.begin(push_idle=2.0)
    until(lambda: reader.numbers() == numbers)  # given up during the pause, and asked on
    os.kill(child.pid or 0, signal.SIGTERM)
    reader.ended(child)
    assert stream.asked[1]["since_id"] == str(stream.records[2][0])
    one = reader.told()
    assert one.state == "ok" and not one.gaps and int(one.cursor) == stream.records[-1][0]


def test_a_connection_that_says_nothing_at_all_is_no_quiet_day(
    stream: Stream, reader: Push
) -> None:
    stream.push()
    stream.silent, stream.quiet, stream.longest = True, 60.0, 60.0
    reader.once(push_idle=1.5)
    one = reader.told()
    assert one.state == "failing" and "连不上推送" in one.reason and one.gaps[-1].ends_at is None


def test_longer_than_three_days_away_is_a_gap(stream: Stream, reader: Push) -> None:
    stream.push()
    reader.once()
    archive = open_archive(reader.url)
    away = datetime.now(UTC) - timedelta(days=6)
    archive.change(Source, NAME, Scope.everything(),
                   lambda one: one.model_copy(update={"last_ok_at": away}))  # fmt: skip
    archive.close()
    lost = {stream.push(at=away + timedelta(hours=n)) for n in range(1, 30)}
    back = datetime.now(UTC) - timedelta(hours=1)
    shown = {stream.push(at=back + timedelta(seconds=n)) for n in range(NEWEST)}
    stream.kept_from = stream.records[-1][0] + 1
    reader.once()
    found = reader.numbers()
    assert shown <= found and not lost & found
    (gap,) = [one for one in reader.told().gaps if one.state == "cut_off"]
    assert abs(gap.starts_at - away) < timedelta(seconds=1)
    assert gap.ends_at is not None and abs(gap.ends_at - back) < timedelta(seconds=2)
    assert gap.caught_up_at is None and "三天" in gap.reason


def test_a_list_leaves_out_more_and_a_lost_list_is_told(
    tmp_path: Path, stream: Stream, reader: Push
) -> None:
    kept = stream.push("金水区起火了")
    stream.push("外地起火了")
    (tmp_path / "w").mkdir()
    file = tmp_path / "w/a.toml"
    file.write_text('places = ["金水区"]\nwords = ["起火"]\n', encoding="utf-8")
    told = {**PUSH, "parameters": {"subid": "10050", "watch": "a"}}
    reader.once(sources=[told], watch_lists=str(file.parent))
    assert reader.numbers() == {kept} and reader.told().state == "ok"
    file.unlink()
    reader.once(sources=[told], watch_lists=str(file.parent))
    assert reader.told().state == "failing" and "名单 a" in reader.told().reason


def test_a_line_that_is_no_record() -> None:
    one = Listening(Source.model_validate(PUSH), datetime.now(UTC))
    for line in (b"{", b"[]", b'{"id": "x"}', b'{"id": 1, "text": {"type": "status"}}', b"\xff"):
        assert one.take(line) is None
    assert one.bad == 5
    other = json.dumps({"id": 3, "text": {"type": "status", "event": "x", "status": {}}}).encode()
    assert one.take(other) is None and one.bad == 5
    with pytest.raises(SourceRefused, match="名单"):
        one.take(b'{"error": "Ip is limited", "error_code": 10004}')
    with pytest.raises(CollectError):
        for _ in range(30):
            Listening.take(one, b"{")
            one.lines = one.bad
