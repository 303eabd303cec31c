"""What was deleted or edited away leaves the files, not only the results."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from archive import SearchRequest, open_archive
from archive.sqlite import SqliteArchive
from tests.contracts.builders import ALL, analysis, at, post

SECRET = "魑魅魍魉zzqsecretzz"
PAIRS = ("魑魅", "魅魍", "魍魉", "zzqsecretzz")


def traces(folder: Path) -> list[str]:
    """Which of the secret's tokens stand in any file of the archive."""
    everything = b"".join(one.read_bytes() for one in folder.iterdir())
    return [pair for pair in PAIRS if pair.encode() in everything]


def filled(folder: Path) -> SqliteArchive:
    archive = open_archive(f"sqlite:///{folder / 'a.db'}")
    assert isinstance(archive, SqliteArchive)
    for start in range(0, 2000, 200):
        archive.put_posts([post(n, f"第{n}条普通内容") for n in range(start, start + 200)])
    archive.put_posts([post(5000, SECRET, title=SECRET)])
    archive.write_analyses([("weibo:5000", analysis(SECRET, title=SECRET))])
    archive.put_posts([post(n, f"第{n}条后来的内容") for n in range(6000, 6300)])
    return archive


def test_a_deletion_leaves_no_letter_in_any_file(tmp_path: Path) -> None:
    archive = filled(tmp_path)
    assert traces(tmp_path) == list(PAIRS)
    archive.delete_posts(["weibo:5000"], at(9))
    assert traces(tmp_path) == []
    assert archive.search(SearchRequest("普通内容"), ALL).total == 2000
    assert archive.check() == []
    archive.close()


def test_a_second_deletion_is_purged_by_check(tmp_path: Path) -> None:
    """A process purges every ten minutes at most by itself; `check` does it at once."""
    archive = filled(tmp_path)
    archive.delete_posts(["weibo:1"], at(9))
    archive.delete_posts(["weibo:5000"], at(9))
    assert archive.search(SearchRequest("魑魅 OR zzqsecretzz"), ALL).total == 0
    assert archive.check() == []
    assert traces(tmp_path) == []
    archive.close()


def test_an_edited_text_leaves_too(tmp_path: Path) -> None:
    archive = filled(tmp_path)
    archive.put_posts([post(5000, "改过了", title="改过了", read_at=at(99))])
    assert archive.search(SearchRequest("魑魅 OR title:魑魅"), ALL).total == 0
    assert archive.check() == []
    index = sqlite3.connect(tmp_path / "a.db").execute("SELECT block FROM words_data").fetchall()
    assert not any(pair.encode() in block for pair in PAIRS for (block,) in index)
    archive.close()
