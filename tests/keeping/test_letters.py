"""What a server refuses to store is not lost when an archive moves, expires or is backed up."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive import Archive, open_archive
from archive.dump import letter_line
from archive.keeping.backup import Backups
from archive.keeping.base import DeadLetter
from archive.keeping.comparing import compare, settle
from archive.keeping.copying import Copier
from archive.keeping.expiring import expire
from archive.keeping.sqlite_file import SqliteKeeper
from archive.keeping.switching import switch
from huiyin.errors import ArchiveError
from tests.contracts.builders import ALL, analysis, at, counts, post, stored
from tests.keeping.test_moving import now

IMMENSE = "长" * 20_000
"""A value of more bytes than a server takes in one field."""
OLD = datetime(1960, 1, 1, tzinfo=UTC)
"""Before the first time that a server's indices can hold."""


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'file.db'}"


@pytest.fixture
def server_url(elasticsearch: str, elastic_prefix: str) -> str:
    return f"{elasticsearch}/{elastic_prefix}"


def moving(source: str, target: str) -> Copier:
    ends = [open_archive(one) for one in (source, target)]
    return Copier(*ends, source_url=source, target_url=target, page=3)


def copied(source: str, target: str) -> Copier:
    made = moving(source, target)
    made.begin()
    made.catch_up()
    settle(made, compare(made.source, made.target, again=made.catch_up))
    return made


def lines(archive: Archive) -> list[str]:
    return sorted(map(letter_line, archive.dead_letters()))


def test_from_a_server_to_a_file_and_back(server_url: str, file_url: str, tmp_path: Path) -> None:
    """One refused when it was new, one refused as a reading of a stored post."""
    server = open_archive(server_url)
    server.put_posts([post(n) for n in range(1, 9)])
    assert server.put_posts([post(2, offices=(IMMENSE,)), post(90, created_at=OLD)]).rejected == 2
    made = copied(server_url, file_url)
    assert made.place.equal and made.catch_up() == 0
    assert lines(made.target) == lines(server) and len(lines(server)) == 2
    assert {one.post_id for one in made.target.failures()} == {"weibo:2", "weibo:90"}
    switch(made, lock=tmp_path / "lock", now=now)

    file = made.target
    assert file.clear_failures("put") == 2  # a file takes them
    assert stored(file, "weibo:90").created_at == OLD
    assert IMMENSE in stored(file, "weibo:2").offices
    back = moving(file_url, server_url)
    switch(back, lock=tmp_path / "lock", now=now)
    # the server refuses them again, with all that the file had
    found = {one.post.id: one.post for one in server.dead_letters()}
    assert found == {name: stored(file, name) for name in ("weibo:2", "weibo:90")}
    assert set(server.get_posts([f"weibo:{n}" for n in (1, 2, 90)], ALL)) == {"weibo:1"}
    server.close()


def test_a_letter_that_is_gone_is_not_brought_back(server_url: str, file_url: str) -> None:
    server = open_archive(server_url)
    server.put_posts([post(1), post(90, created_at=OLD), post(91, created_at=OLD)])
    made = copied(server_url, file_url)
    server.remove_dead_letters(["weibo:90"])
    assert made.catch_up() == 1
    assert [one.post.id for one in made.target.dead_letters()] == ["weibo:91"]
    made.target.remove_dead_letters(["weibo:91"])
    rows = {row.kind: row for row in compare(server, made.target)}
    assert rows["dead-letter"].different == {"weibo:91"} and not rows["dead-letter"].equal
    server.close()


def test_a_post_that_the_server_cannot_store_does_not_stop_the_move(
    server_url: str, file_url: str, tmp_path: Path
) -> None:
    file = open_archive(file_url)
    file.put_posts([post(n) for n in range(6)])
    whole = post(50, "停水", created_at=OLD, metrics=counts(9, likes=4))
    file.put_posts([whole])
    file.write_analyses([("weibo:50", analysis("停水"))])
    file.mark_incidents({"weibo:50": "i"})
    whole = stored(file, "weibo:50")
    made = copied(file_url, server_url)
    [posts, *_] = compare(made.source, made.target)
    assert posts.refused == posts.different == {"weibo:50"} and posts.equal
    assert made.place.equal and made.catch_up() == 0
    [letter] = made.target.dead_letters()
    assert letter.post == whole and "1970" in letter.reason
    file.put_posts([post(50, "又停水了", created_at=OLD, read_at=at(9))])
    switch(made, lock=tmp_path / "lock", now=now)
    [letter] = made.target.dead_letters()
    assert letter.post == stored(file, "weibo:50") and letter.post.text == "又停水了"
    assert made.target.get_posts(["weibo:50"], ALL) == {}
    assert [one.post_id for one in made.target.failures()] == ["weibo:50"]

    made.target.put_posts([post(7)])
    back = moving(server_url, file_url)
    switch(back, lock=tmp_path / "lock", now=now)
    assert {one.id for one in file.iter_posts(ALL)} == {f"weibo:{n}" for n in (*range(6), 7, 50)}
    assert file.clear_failures("put") == 1 and file.failures() == []
    assert stored(file, "weibo:50").text == "又停水了"
    assert stored(file, "weibo:50").incident == "i"


def test_a_lost_letter_stops_the_switch(
    server_url: str, file_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archive.keeping.switching.SEEN_SECONDS", 0.3)
    server = open_archive(server_url)
    server.put_posts([post(1), post(90, created_at=OLD)])
    made = copied(server_url, file_url)
    made.target.restore_dead_letters = lambda _: None  # type: ignore[method-assign]
    made.target.remove_dead_letters(["weibo:90"])
    made.catch_up = lambda: 0  # type: ignore[method-assign, misc]
    with pytest.raises(ArchiveError, match="条数不同"):
        switch(made, lock=tmp_path / "lock", now=now)
    server.close()


def test_an_archive_of_letters_alone_is_not_empty(file_url: str, tmp_path: Path) -> None:
    open_archive(file_url).restore_dead_letters([DeadLetter(post(1), at(1), "坏")])
    with pytest.raises(ArchiveError, match="不是空的：put 1"):
        moving(f"sqlite:///{tmp_path / 'other.db'}", file_url).begin()


def test_retention_goes_by_the_time_of_the_refusal(archive: Archive) -> None:
    archive.restore_dead_letters([
        DeadLetter(post(1, created_at=OLD), at(90), "坏"),
        DeadLetter(post(2), at(10), "坏"),
    ])  # fmt: skip
    counted = expire(archive, at(50), dry_run=True)
    assert counted.letters == 1 and len(list(archive.dead_letters())) == 2
    assert expire(archive, at(50)).letters == 1
    assert [one.post.id for one in archive.dead_letters()] == ["weibo:1"]


def test_a_backup_has_them(file_url: str, tmp_path: Path) -> None:
    archive = open_archive(file_url)
    archive.put_posts([post(1)])
    archive.restore_dead_letters([DeadLetter(post(2, analysis=analysis("第2条")), at(1), "坏")])
    before = lines(archive)
    keeper = SqliteKeeper(tmp_path / "file.db", tmp_path / "backups")
    kept = Backups(tmp_path / "backups", keeper, key_fingerprint="a", program="test")
    made = kept.make(at(100), prove=True)
    archive.remove_dead_letters(["weibo:2"])
    archive.close()
    kept.restore(made, force=True)
    assert lines(archive) == before != []
