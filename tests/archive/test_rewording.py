"""An archive indexed by an older version is indexed anew: resumable, once, with right answers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from archive import SearchRequest, open_archive
from archive.sqlite import rewording
from archive.sqlite.connection import Database
from archive.tokens import VERSION
from huiyin.records import Author
from tests.contracts.builders import ALL, at, post

SPAWN = multiprocessing.get_context("spawn")
POSTS = 1300


def old_archive(file: Path) -> str:
    """As the version before left it: no note, other tokens, no authors' numbers."""
    url = f"sqlite:///{file}"
    opened = open_archive(url)
    posts = [post(n, f"第{n}条 颱風來了", author=Author(key=f"a{n % 7}")) for n in range(POSTS)]
    opened.put_posts(posts)
    opened.delete_posts(["weibo:5"], at(9999))
    opened.close()
    with sqlite3.connect(file) as connection:
        connection.execute("DELETE FROM notes WHERE name = 'tokens'")
        connection.execute("UPDATE posts SET author = NULL")
        connection.execute("INSERT INTO words(words) VALUES ('delete-all')")
        for n in range(POSTS):
            connection.execute(
                "INSERT INTO words(rowid, text) VALUES (?, '颱風 風來 來了 了')", (n + 1,)
            )
    connection.close()
    return url


def found(url: str, query: str) -> int:
    opened = open_archive(url)
    try:
        assert opened.check() == []
        return opened.search(SearchRequest(query), ALL).total
    finally:
        opened.close()


def test_old_words_are_indexed_anew(tmp_path: Path) -> None:
    url = old_archive(tmp_path / "a.db")
    assert found(url, "台风") == POSTS - 1
    assert found(url, "颱風來") == POSTS - 1
    with sqlite3.connect(tmp_path / "a.db") as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        [[authors]] = connection.execute("SELECT count(DISTINCT author) FROM posts")
        [[note]] = connection.execute("SELECT value FROM notes WHERE name = 'tokens'")
    assert not {name for name in tables if "old" in name or "next" in name}
    assert (authors, note) == (7, VERSION)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4, 5])
def test_a_kill_between_two_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    url = old_archive(tmp_path / "a.db")
    left = steps

    def pause(_db: Database, _seconds: float) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Database, "pause", pause)
        try:
            open_archive(url).close()
        except KeyboardInterrupt:
            assert left < 0
    assert found(url, "台风") == POSTS - 1


def open_only(url: str) -> None:
    open_archive(url).close()


def test_two_processes_share_the_work_and_one_is_killed(tmp_path: Path) -> None:
    url = old_archive(tmp_path / "a.db")
    processes = [SPAWN.Process(target=open_only, args=(url,)) for _ in range(3)]
    for process in processes:
        process.start()
    time.sleep(0.6)
    pid = processes[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes[1:]] == [0, 0]
    assert found(url, "台风") == POSTS - 1


def test_an_index_begun_by_another_version_is_begun_again(tmp_path: Path) -> None:
    url = old_archive(tmp_path / "a.db")
    db = Database(tmp_path / "a.db")
    with db.write() as connection:
        rewording._advance(connection)
        connection.execute("UPDATE notes SET value = 99 WHERE name = 'words_next_tokens'")
    db.close()
    assert found(url, "台风") == POSTS - 1
