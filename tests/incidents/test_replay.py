"""Replay: the whole path in event time, honest about bad rows, gaps and empty files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from archive import Archive, open_archive
from huiyin.errors import Conflict, FileFormatError, InputError
from huiyin.records import Alert, Author, Incident, Origin, Post, Scope
from huiyin.settings import IncidentSettings
from nlp.incidents import ReplayReport, replay
from tests.incidents.helpers import BURST_MAIN, CHATTER, START, FakeUnderstanding

ALL = Scope.everything()


def prepare(row: Mapping[str, Any]) -> Post:
    try:
        at = datetime.fromisoformat(row["created_at"])
    except (KeyError, ValueError) as error:
        raise InputError("没有发布时间") from error
    read = datetime.fromisoformat(row.get("collected_at", row["created_at"]))
    return Post(
        id=f"t:{row['id']}",
        text=row["text"],
        created_at=at,
        collected_at=read,
        read_at=read,
        author=Author(key=row.get("author")),
        source=Origin(spider="replay"),
    )


def alert_step(archive: Archive, now: datetime) -> None:
    for stored in archive.records(Incident, ALL):
        one = stored.record
        if one.alerted_at is not None:
            try:
                archive.create(
                    Alert(id=f"alert:{one.id}", incident=one.id, rule="burst", title=one.title,
                          text=one.title, created_at=now)
                )  # fmt: skip
            except Conflict:
                continue


def run(rows: list[Any], folder: Path, name: str = "s.jsonl", **options: Any) -> ReplayReport:
    file = folder / name
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in rows]
    data = b"".join(line + b"\n" for line in lines)
    file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return replay(
        file,
        folder / "out",
        understanding=FakeUnderstanding(),
        settings=IncidentSettings(),
        prepare=prepare,
        open_archive=open_archive,
        alert_step=alert_step,
        **options,
    )


def row(name: str, text: str, minutes: float) -> dict[str, Any]:
    at = START + timedelta(minutes=minutes)
    return {"id": name, "text": text, "created_at": at.isoformat(), "extra": {"ignored": 1}}


def stream() -> list[dict[str, Any]]:
    return [row(f"w{n}", text, 4.0 * n) for n, text in enumerate(BURST_MAIN)] + [
        row(f"c{n}", text, 60.0 * 9 * n) for n, text in enumerate(CHATTER)
    ]


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_incidents_alerts_and_times_to_the_second(tmp_path: Path) -> None:
    report = run(stream(), tmp_path, "s.jsonl.gz")
    [found] = lines(tmp_path / "out" / "incidents.jsonl")
    assert list(found) == ["id", "title", "suspected_level", "opened_at", "alerted_at", "posts"]
    assert found["posts"] == ["w0", "w1", "w2", "w3", "w4"]
    assert found["opened_at"] == "2026-07-01T16:04:01+08:00"
    assert found["alerted_at"] == "2026-07-01T16:08:01+08:00"
    [alert] = lines(tmp_path / "out" / "alerts.jsonl")
    assert alert["created_at"] == found["alerted_at"]
    assert alert["incident"] == found["id"]
    assert (report.read, report.posts, report.incidents, report.alerted, report.alerts) == (
        13, 13, 1, 1, 1,
    )  # fmt: skip
    assert not list((tmp_path / "out").glob(".*"))


def test_the_order_of_the_file_does_not_matter_and_a_second_run_is_identical(
    tmp_path: Path,
) -> None:
    outcomes = set()
    for number, rows in enumerate((stream(), stream(), stream()[::-1])):
        folder = tmp_path / str(number)
        folder.mkdir()
        run(rows, folder)
        outcomes.add((folder / "out" / "incidents.jsonl").read_bytes())
    assert len(outcomes) == 1


def test_bad_rows_are_named_and_the_rest_goes_through(tmp_path: Path) -> None:
    rows = [b"{not json", [1], {"id": "x", "text": "no time"}, *stream(), stream()[0], b"\xff\xfe"]
    report = run(rows, tmp_path)
    assert [one.line for one in report.rejected] == [1, 2, 3, 17, 18]
    assert all(one.reason and one.file.endswith("s.jsonl") for one in report.rejected)
    assert report.incidents == 1
    assert "没有发布时间" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    report = run([], tmp_path)
    assert (report.read, report.incidents) == (0, 0)
    assert (tmp_path / "out" / "incidents.jsonl").read_bytes() == b""
    assert "文件是空的" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_cut_archive_file_is_reported(tmp_path: Path) -> None:
    data = gzip.compress("".join(json.dumps(one) + "\n" for one in stream()).encode())
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(data[: len(data) // 2])
    report = replay(
        file, tmp_path / "out", understanding=FakeUnderstanding(), settings=IncidentSettings(),
        prepare=prepare, open_archive=open_archive,
    )  # fmt: skip
    assert any("损坏" in one.reason for one in report.rejected)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError):
        replay(
            tmp_path / "none.jsonl", tmp_path / "out", understanding=FakeUnderstanding(),
            settings=IncidentSettings(), prepare=prepare, open_archive=open_archive,
        )  # fmt: skip


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]


def test_the_page_stands_alone_and_text_is_data(tmp_path: Path) -> None:
    evil = [
        row(f"e{n}", f"<script>alert({n})</script>{text}<img src=x onerror=1>", 4.0 * n)
        for n, text in enumerate(BURST_MAIN)
    ]
    run([*evil, *stream()[5:]], tmp_path)
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert page.links == []
    assert "svg" in page.tags
    assert "首帖" in text and "发现" in text and "告警" in text
    assert "不当作零" in text


def test_in_order_of_arrival(tmp_path: Path) -> None:
    rows = stream()[:5]
    for late, one in zip((0, 30, 5, 20, 10), rows, strict=True):
        moment = datetime.fromisoformat(one["created_at"]) + timedelta(minutes=late)
        one["collected_at"] = moment.isoformat()
    run(rows, tmp_path, as_collected=True)
    [found] = lines(tmp_path / "out" / "incidents.jsonl")
    assert found["posts"] == ["w0", "w1", "w2", "w3", "w4"]
    assert found["opened_at"] == "2026-07-01T16:13:01+08:00"
    assert found["alerted_at"] == "2026-07-01T16:26:01+08:00"
