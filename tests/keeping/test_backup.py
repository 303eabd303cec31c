"""Backups while others write, the rule of what is kept, restores and what they refuse."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive import open_archive
from archive.dump import dump
from archive.keeping.backup import Backups, Manifest, all_backups, kept_by_rule, last_failure
from archive.keeping.base import Seal
from archive.keeping.sqlite_file import SqliteKeeper
from huiyin.errors import ArchiveError
from tests.contracts.builders import ALL, at, post
from tests.keeping.test_moving import fill

KEY = "aaaabbbbcccc"
NOW = datetime(2026, 3, 5, 4, tzinfo=UTC)


def backups(tmp_path: Path, key: str = KEY, *, compress: bool = True) -> Backups:
    folder = tmp_path / "backups"
    keeper = SqliteKeeper(tmp_path / "a.db", folder, compress=compress)
    return Backups(folder, keeper, key_fingerprint=key, program="test")


@pytest.mark.parametrize("compress", [True, False])
def test_a_backup_comes_back_whole(tmp_path: Path, compress: bool) -> None:
    archive = open_archive(f"sqlite:///{tmp_path / 'a.db'}")
    fill(archive, 300)
    archive.track_changes(True)
    before = list(dump(archive))
    kept = backups(tmp_path, compress=compress)
    made = kept.make(NOW, prove=True)
    assert made.proved_at == NOW and made.counts["posts"] == 300
    assert not kept.prove_due(NOW + timedelta(days=29)) and kept.prove_due(NOW + timedelta(days=30))
    archive.put_posts([post(9000)])
    archive.seal(Seal("moved", "sqlite:////other.db", at(0)))
    archive.close()
    with pytest.raises(ArchiveError, match="已有档案"):
        kept.restore(kept.find(""))
    aside = kept.restore(kept.find(made.name), force=True)
    restored = open_archive(f"sqlite:///{tmp_path / 'a.db'}")
    assert list(dump(restored)) == before
    assert restored.sealed() is None and restored.check() == []
    with pytest.raises(ArchiveError, match="没有在记录改动"):
        restored.changed_posts("", limit=1)
    assert "weibo:9000" in open_archive(f"sqlite:///{aside}").get_posts(["weibo:9000"], ALL)


def test_the_secret_is_not_in_it_but_its_fingerprint_is(tmp_path: Path) -> None:
    fill(open_archive(f"sqlite:///{tmp_path / 'a.db'}"), 5)
    made = backups(tmp_path).make(NOW)
    assert (
        json.loads((tmp_path / "backups" / f"{made.name}.json").read_text())["key_fingerprint"]
        == KEY
    )
    other = backups(tmp_path, "ddddeeeeffff")
    with pytest.raises(ArchiveError, match="作者密钥"):
        other.restore(other.find(""), force=True)
    (tmp_path / "a.db").unlink()
    other.restore(other.find(""), other_key=True)


def test_a_broken_backup_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    archive = open_archive(f"sqlite:///{tmp_path / 'a.db'}")
    fill(archive, 50)
    kept = backups(tmp_path)
    made = kept.make(NOW)
    file = tmp_path / "backups" / made.file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    before = list(dump(archive))
    archive.close()
    with pytest.raises(ArchiveError, match="校验和"):
        kept.restore(made, force=True)
    file.unlink()
    with pytest.raises(ArchiveError, match="读不出备份"):
        kept.restore(made, force=True)
    assert list(dump(archive)) == before


def test_no_restore_under_running_programs(tmp_path: Path) -> None:
    archive = open_archive(f"sqlite:///{tmp_path / 'a.db'}")
    fill(archive, 20)
    kept = backups(tmp_path)
    made = kept.make(NOW)
    with pytest.raises(ArchiveError, match="还有程序在用"):
        kept.restore(made, force=True)
    archive.put_posts([post(777)])  # it goes on, undisturbed
    assert "weibo:777" in archive.get_posts(["weibo:777"], ALL)


def test_a_backup_under_writers_is_one_moment(tmp_path: Path) -> None:
    """Each write puts a post and its record: no backup may hold one without the other."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    archive = open_archive(url)
    fill(archive, 3000)
    stop, written = threading.Event(), [10_000]

    def write() -> None:
        own = open_archive(url)
        while not stop.is_set():
            own.put_posts([post(written[0] + i) for i in range(3)])
            written[0] += 3

    writer = threading.Thread(target=write)
    writer.start()
    kept = backups(tmp_path)
    try:
        for n in range(3):
            before = written[0]
            made = kept.make(NOW + timedelta(hours=n), prove=True)
            posts = made.counts["posts"] - 3000
            assert posts % 3 == 0 and before - 10_000 <= posts <= written[0] - 10_000 + 3
    finally:
        stop.set()
        writer.join()
    assert written[0] > 10_030


def test_a_failed_backup_is_noted_and_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(open_archive(f"sqlite:///{tmp_path / 'a.db'}"), 5)
    kept = backups(tmp_path)
    first = kept.make(NOW)

    class Full:
        free = 10

    monkeypatch.setattr("archive.keeping.sqlite_file.shutil.disk_usage", lambda _: Full)
    with pytest.raises(ArchiveError, match="只剩"):
        kept.make(NOW + timedelta(days=1))
    assert "只剩" in last_failure(kept.folder) and all_backups(kept.folder) == [first]
    monkeypatch.undo()
    kept.make(NOW + timedelta(days=1, hours=1))
    assert last_failure(kept.folder) == ""


def test_proof_finds_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(open_archive(f"sqlite:///{tmp_path / 'a.db'}"), 50)
    kept = backups(tmp_path)
    original = SqliteKeeper.make

    def losing(self: SqliteKeeper, *args: object, **kwargs: object) -> object:
        made = original(self, *args, **kwargs)  # type: ignore[arg-type]
        return replace(made, counts={**made.counts, "posts": made.counts["posts"] + 1})

    monkeypatch.setattr(SqliteKeeper, "make", losing)
    with pytest.raises(ArchiveError, match="与原来的不同"):
        kept.make(NOW, prove=True)
    assert all_backups(kept.folder) == [] and kept.prove_due(NOW)


def manifest(made_at: datetime) -> Manifest:
    return Manifest(made_at.isoformat(), "sqlite", "", made_at, KEY, "f", 1, "", {})


def test_seven_days_four_weeks_twelve_months_are_kept() -> None:
    daily = [manifest(NOW - timedelta(days=n)) for n in range(800)]
    kept = [one.made_at for one in kept_by_rule(daily, UTC)]
    assert kept[:7] == [NOW - timedelta(days=n) for n in range(7)]
    weeks = {tuple(at.isocalendar())[:2] for at in kept}
    months = {(at.year, at.month) for at in kept}
    assert len(months) == 12 and len(weeks) >= 4
    assert len(kept) <= 7 + 4 + 12
    assert (NOW - min(kept)).days > 300
    # thinning every day comes to the same as thinning once
    left: list[Manifest] = []
    for one in reversed(daily):
        left = kept_by_rule([*left, one], UTC)
    assert [one.made_at for one in left] == kept


def test_pruning_removes_the_files(tmp_path: Path) -> None:
    fill(open_archive(f"sqlite:///{tmp_path / 'a.db'}"), 5)
    kept = backups(tmp_path)
    for n in range(9):
        kept.make(NOW + timedelta(hours=n))
    gone = kept.prune(UTC)
    assert len(gone) == 8
    assert len(list(kept.folder.iterdir())) == 2
