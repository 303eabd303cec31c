"""Exports: whole, citable, and never a formula."""

from __future__ import annotations

import csv
import hashlib
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from archive import open_archive
from archive.base import Archive, Filters
from huiyin.errors import InputError
from huiyin.export import PAGE, export_posts, plain
from huiyin.records import Author, Metrics, Origin, Post

NASTY = ["=HYPERLINK(1)", "+1", "-2", "@SUM(A1)", "\t=1", " =1", "\r=1"]


def _quiet(_done: int, _total: int | None = None) -> None:
    return


@pytest.fixture
def archive(tmp_path: Path, now: datetime) -> Archive:
    made = open_archive(f"sqlite:///{tmp_path}/a.db")
    made.put_posts(
        [
            Post(
                id=f"weibo:{number}",
                text=NASTY[number] if number < len(NASTY) else f"第 {number} 条，漏水",
                created_at=now + timedelta(seconds=number),
                collected_at=now, read_at=now, author=Author(key="u1"),
                metrics=Metrics(likes=number, read_at=now), source=Origin(spider="test"),
            )
            for number in range(PAGE + 50)
        ]
    )  # fmt: skip
    return made


def test_csv_holds_every_post_and_no_cell_is_a_formula(
    archive: Archive, tmp_path: Path, now: datetime
) -> None:
    file = tmp_path / "out.csv"
    note = export_posts(archive, "", Filters(), file, now=now, progress=_quiet)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == PAGE + 50 == note["posts"]
    assert len({row["id"] for row in rows}) == PAGE + 50
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.lstrip(" ")[:1] in tuple("=+-@\t\r") and cell]
    assert {"'" + text for text in NASTY} <= {row["text"] for row in rows}
    assert rows[-1]["likes"] == "0" and rows[-1]["reposts"] == ""


def test_the_note_says_how_to_make_it_again(
    archive: Archive, tmp_path: Path, now: datetime
) -> None:
    file = tmp_path / "out.jsonl"
    export_posts(archive, "漏水", Filters(since=now), file, now=now, progress=_quiet)
    note = json.loads((tmp_path / "out.jsonl.about.json").read_text(encoding="utf-8"))
    lines = file.read_text(encoding="utf-8").splitlines()
    assert note["query"] == "漏水" and note["posts"] == len(lines) == PAGE + 50 - len(NASTY)
    assert note["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    again = export_posts(archive, "漏水", Filters(since=now), file, now=now, progress=_quiet)
    assert again["sha256"] == note["sha256"]


def test_an_empty_result_is_an_honest_empty_file(
    archive: Archive, tmp_path: Path, now: datetime
) -> None:
    file = tmp_path / "none.jsonl"
    note = export_posts(archive, "不存在的词", Filters(), file, now=now, progress=_quiet)
    assert note["posts"] == 0 and file.read_bytes() == b""


def test_unknown_ending_is_refused_and_nothing_is_left(
    archive: Archive, tmp_path: Path, now: datetime
) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="扩展名"):
        export_posts(archive, "", Filters(), tmp_path / "out.doc", now=now, progress=_quiet)
    assert sorted(tmp_path.iterdir()) == before


def test_plain_leaves_ordinary_cells_alone() -> None:
    assert [plain(value) for value in ("漏水", 3, None, "a=b")] == ["漏水", 3, None, "a=b"]
