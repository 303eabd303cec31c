"""Each way in which SQLite fails becomes one of our errors, with what to do about it."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from archive import SearchRequest, open_archive
from archive.schema import STEPS, migrate
from archive.sqlite.connection import (
    NETWORK_FILE_SYSTEMS,
    Database,
    refuse_network,
    translated,
)
from huiyin.errors import ArchiveBusy, ArchiveError, SchemaError
from huiyin.records import Scope
from tests.contracts.builders import ALL, post


def url(file: Path) -> str:
    return f"sqlite:///{file}"


def test_a_writer_that_holds_the_file_too_long(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    db = Database(file, sleep=sleep, monotonic=lambda: now[0])
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ArchiveBusy) as caught, db.write():
        pass
    assert caught.value.mend
    assert 10.0 <= sum(slept) < 10.1
    assert max(slept) < 0.002
    other.execute("COMMIT")
    with db.write() as connection:
        connection.execute("INSERT INTO notes VALUES ('x', 1)")
    assert db.read("SELECT value FROM notes") == [(1,)]


def test_nothing_of_a_failed_transaction_stays(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    with pytest.raises(ZeroDivisionError), db.write() as connection:
        connection.execute("INSERT INTO notes VALUES ('x', 1)")
        _ = 1 / 0
    assert db.read("SELECT * FROM notes") == []


def test_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"this is no database at all, but long enough" * 100)
    with pytest.raises(ArchiveError, match="不是回音的档案") as caught:
        open_archive(url(tmp_path / "a.db"))
    assert caught.value.mend


def test_a_damaged_file(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    archive = open_archive(url(file))
    archive.put_posts([post(n, "停水" * 50) for n in range(2000)])
    archive.close()
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(size // 3)
        opened.write(os.urandom(size // 3))
    try:
        archive = open_archive(url(file))
    except ArchiveError as error:  # the first look met it already
        assert "损坏" in error.message
        return
    try:
        problems = archive.check()
    except ArchiveError as error:
        problems = [error.message]
    assert problems
    with pytest.raises(ArchiveError) as caught:
        for _ in archive.iter_posts(ALL):
            pass
        archive.search(SearchRequest("停水"), ALL)
    assert caught.value.mend
    archive.close()


@pytest.mark.parametrize("left", [0.9, 0.6, 0.3])
def test_a_file_cut_short_is_noticed_at_the_start(tmp_path: Path, left: float) -> None:
    file = tmp_path / "a.db"
    archive = open_archive(url(file))
    archive.put_posts([post(n, "停水" * 50) for n in range(3000)])
    archive.close()
    os.truncate(file, int(file.stat().st_size * left) // 4096 * 4096)
    with pytest.raises(ArchiveError, match="损坏") as caught:
        open_archive(url(file))
    assert caught.value.mend


def test_a_last_post_without_its_text_is_noticed_at_the_start(tmp_path: Path) -> None:
    archive = open_archive(url(tmp_path / "a.db"))
    archive.put_posts([post(1), post(2)])
    archive.close()
    raw = sqlite3.connect(tmp_path / "a.db")
    raw.execute("DELETE FROM contents WHERE n = 2")
    raw.commit()
    raw.close()
    with pytest.raises(ArchiveError, match="没有正文"):
        open_archive(url(tmp_path / "a.db"))


def test_a_lost_index_row_is_noticed(tmp_path: Path) -> None:
    archive = open_archive(url(tmp_path / "a.db"))
    archive.put_posts([post(1), post(2)])
    raw = sqlite3.connect(tmp_path / "a.db")
    raw.execute("DELETE FROM words_docsize WHERE id = 2")
    raw.commit()
    assert archive.check() == ["检索索引与正文不一致：1 条"]
    archive.close()


def test_a_full_disk(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    with pytest.raises(ArchiveError, match="磁盘已满"), db.write() as connection:
        connection.execute("PRAGMA max_page_count = 60")
        connection.execute("INSERT INTO notes VALUES ('x', zeroblob(10000000))")
    assert db.read("SELECT * FROM notes") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_file(tmp_path: Path) -> None:
    open_archive(url(tmp_path / "a.db")).close()
    for one in (*tmp_path.iterdir(), tmp_path):
        one.chmod(stat.S_IRUSR | (stat.S_IXUSR if one.is_dir() else 0))
    with pytest.raises(ArchiveError):
        open_archive(url(tmp_path / "a.db")).put_posts([post(1)])
    tmp_path.chmod(stat.S_IRWXU)


def test_a_read_only_connection(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    db.connection().execute("PRAGMA query_only = ON")
    with pytest.raises(ArchiveError, match="只读") as caught, db.write() as connection:
        connection.execute("INSERT INTO notes VALUES ('x', 1)")
    assert caught.value.mend


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="不能建立"):
        open_archive(url(tmp_path / "file" / "a.db"))
    (tmp_path / "dir.db").mkdir()
    with pytest.raises(ArchiveError, match="打不开"):
        open_archive(url(tmp_path / "dir.db"))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, ArchiveBusy), (sqlite3.SQLITE_LOCKED, ArchiveBusy),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, ArchiveBusy), (sqlite3.SQLITE_CORRUPT, ArchiveError),
        (sqlite3.SQLITE_CORRUPT_VTAB, ArchiveError), (sqlite3.SQLITE_IOERR_FSYNC, ArchiveError),
        (sqlite3.SQLITE_PERM, ArchiveError), (None, ArchiveError),
    ],
)  # fmt: skip
def test_every_code_has_a_mend(code: int | None, kind: type[ArchiveError]) -> None:
    error = sqlite3.OperationalError("x")
    if code is not None:
        error.sqlite_errorcode = code
    ours = translated(error)
    assert type(ours) is kind
    assert ours.mend


def test_missing_tables_are_a_schema_error(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    with pytest.raises(SchemaError):
        db.read("SELECT * FROM nothing_of_that_name")


@pytest.mark.parametrize("bad", ["", "sqlite:///", "postgres://x", "a.db"])
def test_unknown_addresses(bad: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        open_archive(bad)
    assert caught.value.mend


def test_network_file_systems_are_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nhost:/x {tmp_path}/net nfs4 rw 0 0\n")
    refuse_network(tmp_path / "here" / "a.db", mounts)
    with pytest.raises(ArchiveError, match="nfs4"):
        refuse_network(tmp_path / "net" / "deep" / "a.db", mounts)
    refuse_network(tmp_path / "network-like-name" / "a.db", mounts)
    refuse_network(tmp_path / "net" / "a.db", tmp_path / "no-such-list")
    assert "cifs" in NETWORK_FILE_SYSTEMS


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    open_archive(url(file)).close()
    raw = sqlite3.connect(file, isolation_level=None)
    raw.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    with pytest.raises(SchemaError, match="更新版本") as caught:
        open_archive(url(file))
    assert "升级" in caught.value.mend
    assert raw.execute("PRAGMA user_version").fetchone() == (len(STEPS) + 1,)


def test_migrations_go_forward_once_and_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    archive = open_archive(url(file))
    archive.put_posts([post(1)])
    archive.close()
    raw = sqlite3.connect(file, isolation_level=None)

    def second(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE notes ADD COLUMN extra TEXT")

    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (x)")
        connection.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(sqlite3.OperationalError):
        migrate(raw, (*STEPS, second, broken))
    assert raw.execute("PRAGMA user_version").fetchone() == (len(STEPS) + 1,)
    assert raw.execute("SELECT name FROM sqlite_schema WHERE name = 'half'").fetchall() == []
    assert migrate(raw, (*STEPS, second)) == migrate(raw, (*STEPS, second)) == len(STEPS) + 1
    assert raw.execute("SELECT count(extra) FROM notes").fetchone() == (0,)
    assert raw.execute("SELECT count(*) FROM posts").fetchone() == (1,)


def test_a_forked_child_opens_its_own_connection(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    mine = db.connection()
    child = os.fork()
    if child == 0:
        os._exit(0 if db.connection() is not mine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert db.connection() is mine


def test_closed_and_used_again(tmp_path: Path) -> None:
    archive = open_archive(url(tmp_path / "a.db"))
    archive.put_posts([post(1)])
    archive.close()
    archive.close()
    assert len(archive.get_posts(["weibo:1"], Scope.everything())) == 1
    archive.close()
