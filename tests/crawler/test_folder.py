"""Files in a folder: once each, whole ones only, bad ones told beside."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from openpyxl import Workbook

from archive.base import Archive
from crawler import AccountBook, Identity
from crawler.folder import DONE, REPORT, Inbox
from huiyin.records import Kind, Post, Scope

START = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
EVERYTHING = Scope.everything()


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(
    tmp_path: Path, archive: Archive, book: AccountBook, identity: Identity, clock: Clock
) -> Inbox:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return Inbox(folder, archive, identity, lambda: book, "weibo:101", clock)


@pytest.fixture
def look(inbox: Inbox, clock: Clock) -> Callable[..., list[object]]:
    def act(seconds: float = 6) -> list[object]:
        clock.now += timedelta(seconds=seconds)
        return list(inbox.run_once())

    return act


def rows(*numbers: int) -> str:
    return "".join(
        json.dumps({"id": str(n), "text": f"第{n}条 停水", "created_at": "2026-11-21 08:00:00"})
        + "\n"
        for n in numbers
    )


def posts(archive: Archive) -> dict[str, Post]:
    return {one.id: one for one in archive.iter_posts(EVERYTHING)}


def test_once_each_by_content(
    inbox: Inbox, archive: Archive, look: Callable[..., list[object]]
) -> None:
    file = inbox.folder / "a.jsonl"
    file.write_text(rows(1, 2))
    assert look() == []  # seen once: it may still be growing
    (report,) = look()
    assert report.new == 2 and not file.exists()  # type: ignore[attr-defined]
    assert len(list((inbox.folder / DONE).iterdir())) == 1
    (inbox.folder / "copy.jsonl").write_text(rows(1, 2))
    look()
    (again,) = look()
    assert again.new == 0 and "已导入过" in str(again.reasons)  # type: ignore[attr-defined]
    look(8 * 86400)
    assert not list((inbox.folder / DONE).iterdir()) and len(posts(archive)) == 2


def test_half_copied_files_are_waited_for(
    inbox: Inbox, archive: Archive, look: Callable[..., list[object]]
) -> None:
    file, text = inbox.folder / "slow.jsonl", rows(*range(100))
    for part in (0.2, 0.5, 0.9):
        file.write_text(text[: int(len(text) * part)])
        assert look(3) == [] and look(30) == []  # also when a copy stalls inside a line
    book = Workbook()
    book.active.append(["x"])  # type: ignore[union-attr]
    stream = io.BytesIO()
    book.save(stream)
    (inbox.folder / "half.xlsx").write_bytes(stream.getvalue()[:-200])
    file.write_text(text)
    look()
    reports = look()
    assert [one.new for one in reports] == [100]  # type: ignore[attr-defined]
    assert len(posts(archive)) == 100
    look(700)
    assert (inbox.folder / f"half.xlsx{REPORT}").exists()  # broken for good, not merely late


def test_a_hotline_table_with_its_mapping(
    inbox: Inbox, archive: Archive, look: Callable[..., list[object]]
) -> None:
    room = inbox.folder / "12345"
    room.mkdir()
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["工单编号", "来电时间", "来电人", "电话", "诉求内容"])
    sheet.append(["G001", "2026-11-21 08:00:00", "张小明", "13812345678", "停水，电话13812345678"])
    book.save(room / "13912345678工单.xlsx")
    look()
    (bad,) = look()
    assert bad.new == 0  # type: ignore[attr-defined]
    told = next(room.glob(f"*{REPORT}"))
    assert "13912345678" not in told.name and "13812345678" not in told.read_text()
    assert look() == [] and look(100) == []  # told once
    (room / "map.toml").write_text(
        'platform = "hotline"\n[columns]\nid = "工单编号"\ncreated_at = "来电时间"\n'
        'author = "来电人"\ntext = "诉求内容"\n'
    )
    (good,) = look()
    assert not list(room.glob(f"*{REPORT}"))
    assert good.new == 1  # type: ignore[attr-defined]
    (post,) = posts(archive).values()
    assert (post.id, post.kind, post.text) == ("hotline:G001", Kind.MESSAGE, "停水，电话【电话】")
    assert post.author.name is None and post.author.key


def test_what_is_left_alone(inbox: Inbox, look: Callable[..., list[object]]) -> None:
    for name in ("a.jsonl.part", ".hidden.jsonl", "~$a.xlsx", "b.crdownload", "empty.jsonl"):
        (inbox.folder / name).write_text("" if "empty" in name else rows(1))
    (inbox.folder / "link.jsonl").symlink_to("/etc/passwd")
    assert look() == [] and look() == [] and look(900) == []


def test_a_kill_between_import_and_mark_changes_nothing(
    inbox: Inbox, archive: Archive, look: Callable[..., list[object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (inbox.folder / "a.jsonl").write_text(rows(1, 2))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    look()
    with monkeypatch.context() as patch:
        patch.setattr(type(archive), "create", killed)
        with pytest.raises(KeyboardInterrupt):
            look()
    (report,) = look()
    assert report.new == 0 and len(posts(archive)) == 2  # type: ignore[attr-defined]
