"""The arrays behind search follow the tables exactly, whoever writes and whatever dies."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from archive import FACETS, Filters, SearchRequest, open_archive
from archive.sqlite import SqliteArchive, arrays, columns, signs
from huiyin.records import Author, AuthorKind, Post
from tests.contracts.builders import ALL, MODEL, analysis, at, post

SPAWN = multiprocessing.get_context("spawn")


def opened(file: Path) -> SqliteArchive:
    archive = open_archive(f"sqlite:///{file}")
    assert isinstance(archive, SqliteArchive)
    return archive


def text(n: int, edition: int = 0) -> str:
    return f"第{n}条{'停水' if n % 2 else '停电'}{'改' * edition}"


def assert_follows(archive: SqliteArchive) -> None:
    """A search over everything says what reading every post says."""
    posts = [one for one in archive.iter_posts(ALL) if one.deleted_at is None]
    result = archive.search(SearchRequest("", facets=FACETS, limit=10_000), ALL)
    assert sorted(hit.post.id for hit in result.hits) == sorted(one.id for one in posts)
    assert result.total == len(posts)
    assert result.authors == len({one.author.key for one in posts} - {None})
    expected: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    for one in posts:
        expected["office"].update(one.offices)
        values = {"platform": one.platform, "kind": one.kind.value, "region": one.region,
                  "author_kind": one.author.kind.value, "incident": one.incident}  # fmt: skip
        if one.analysis is not None:
            values |= {"sentiment": one.analysis.sentiment.label,
                       "emotion": one.analysis.emotion.label, "intent": one.analysis.intent.label,
                       "category": "/".join(one.analysis.category.path)}  # fmt: skip
        for name, value in values.items():
            if value:
                expected[name][value] += 1
    assert {name: dict(found) for name, found in result.facets.items()} == expected
    for word in ("停水", "改"):
        found = archive.search(SearchRequest(word, filters=Filters(region="410000")), ALL).total
        assert found == sum(word in one.text and (one.region or "")[:2] == "41" for one in posts)


def some_post(n: int, chance: random.Random, edition: int = 0) -> Post:
    return post(
        n, text(n, edition), read_at=at(edition), region=chance.choice((None, "410100", "310000")),
        offices=tuple(chance.sample(("weibo:1", "weibo:2", "weibo:3"), chance.randint(1, 3))),
        author=Author(key=chance.choice((None, "a", "b")), kind=chance.choice(list(AuthorKind))),
    )  # fmt: skip


def act(archive: SqliteArchive, n: int, chance: random.Random) -> None:
    """One act of some owner on the posts before `n`, or new posts."""
    old = chance.randrange(n)
    what = chance.randrange(7)
    if what <= 1:
        archive.put_posts([some_post(n + k, chance) for k in range(chance.randint(1, 4))])
    elif what == 2:
        archive.put_posts([some_post(old, chance, chance.randint(1, 3))])
    elif what == 3:
        label = chance.choice(("negative", "positive", "neutral"))
        known = archive.get_posts([f"weibo:{old}"], ALL)
        done = [(id_, analysis(one.text, sentiment=label)) for id_, one in known.items()]
        archive.write_analyses(done)
    elif what == 4:
        archive.mark_incidents({f"weibo:{old}": chance.choice(("", "i", "j"))})
    elif what == 5:
        archive.delete_posts([f"weibo:{old}"], at(99))
    else:
        archive.remove_posts([f"weibo:{old}"])


@pytest.mark.parametrize("seed", range(4))
def test_whatever_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(arrays, "SAVE_AFTER", 10)
    monkeypatch.setattr(arrays, "ROWS_AT_ONCE", 7)
    chance = random.Random(seed)
    file = tmp_path / "a.db"
    writer, reader = opened(file), opened(file)
    writer.put_posts([some_post(n, chance) for n in range(20)])
    for step in range(60):
        act(writer, 20 + step * 4, chance)
        if chance.random() < 0.4:
            assert_follows(reader)
        if chance.random() < 0.1:  # a process that starts from what was saved
            reader.close()
            reader = opened(file)
    assert_follows(reader)
    assert_follows(writer)
    assert len(list((tmp_path / "a.db-arrays").iterdir())) == 1


def saved(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of 60 posts whose arrays are saved; the folder."""
    monkeypatch.setattr(arrays, "SAVE_AFTER", 10)
    archive = opened(file)
    archive.put_posts([some_post(n, random.Random(n)) for n in range(60)])
    archive.search(SearchRequest(), ALL)
    archive.close()
    [folder] = file.with_name(file.name + "-arrays").iterdir()
    return folder


@pytest.mark.parametrize("damage", ["gone", "short", "no list", "another version"])
def test_a_saved_folder_that_is_of_no_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    folder = saved(tmp_path / "a.db", monkeypatch)
    if damage == "gone":
        shutil.rmtree(folder)
    elif damage == "short":
        os.truncate(folder / "created_at.npy", 100)
    elif damage == "no list":
        (folder / "about.json").write_text("{}")
    else:
        monkeypatch.setattr(columns.Columns, "VERSION", 2)
    archive = opened(tmp_path / "a.db")
    assert_follows(archive)
    archive.close()


def test_what_was_saved_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "a.db", monkeypatch)
    archive = opened(tmp_path / "a.db")
    archive.put_posts([post(1000), post(1001)])
    read: list[str] = []
    plain = columns.Columns._read

    def counted(self: columns.Columns, connection: sqlite3.Connection, *rest: object) -> object:
        rows = plain(self, connection, *rest)  # type: ignore[arg-type]
        read.extend(str(row[0]) for row in rows)
        return rows

    monkeypatch.setattr(columns.Columns, "_read", counted)
    assert_follows(archive)
    assert len(read) == 2  # the new ones only
    archive.close()


def test_a_database_from_a_backup_meets_no_arrays_from_its_future(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.db"
    saved(file, monkeypatch)
    shutil.copy(file, tmp_path / "backup.db")
    archive = opened(file)
    archive.delete_posts([f"weibo:{n}" for n in range(40)], at(9))
    archive.put_posts([some_post(n, random.Random(n)) for n in range(100, 140)])
    assert_follows(archive)
    archive.close()
    for one in tmp_path.glob("a.db-*"):
        if one.is_file():
            one.unlink()
    shutil.copy(tmp_path / "backup.db", file)
    archive = opened(file)
    archive.put_posts([some_post(n, random.Random(-n)) for n in range(200, 240)])
    assert archive.counts()["posts"] == 100
    assert_follows(archive)
    archive.close()


def test_a_reader_far_behind_starts_anew(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    writer, reader = opened(file), opened(file)
    writer.put_posts([some_post(n, random.Random(n)) for n in range(30)])
    assert_follows(reader)
    writer.delete_posts([f"weibo:{n}" for n in range(10)], at(9))
    raw = sqlite3.connect(file)
    raw.execute("DELETE FROM touched WHERE seq < (SELECT max(seq) FROM touched)")
    raw.commit()
    raw.close()
    assert_follows(reader)


def test_each_search_sees_one_moment(tmp_path: Path) -> None:
    """Threads that share the arrays while another writes: counts of one search belong together."""
    archive = opened(tmp_path / "a.db")
    archive.put_posts([post(n, text(n)) for n in range(50)])
    ended, wrong = threading.Event(), []

    def ask() -> None:
        while not ended.is_set():
            result = archive.search(SearchRequest("停水", facets=("kind",), timeline="day"), ALL)
            sums = sum(count for _, count in result.facets["kind"])
            buckets = sum(count for _, count in result.timeline)
            if not result.total == sums == buckets:
                wrong.append((result.total, sums, buckets))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(50, 650, 20):
        archive.put_posts([post(n, text(n)) for n in range(start, start + 20)])
        archive.delete_posts([f"weibo:{n}" for n in range(start, start + 5)], at(9))
    ended.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert_follows(archive)
    archive.close()


def test_a_forked_child_searches_for_itself(tmp_path: Path) -> None:
    archive = opened(tmp_path / "a.db")
    archive.put_posts([post(n, text(n)) for n in range(20)])
    archive.search(SearchRequest(), ALL)
    with archive._turn.taken():  # as if another thread were searching
        child = os.fork()
        if child == 0:
            os._exit(0 if archive.search(SearchRequest("停水"), ALL).total == 10 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    archive.close()


def write_and_search(file: str) -> None:
    """Until killed."""
    arrays.SAVE_AFTER = 5
    archive = opened(Path(file))
    for n in range(1000, 100_000, 10):
        archive.put_posts([some_post(k, random.Random(k)) for k in range(n, n + 10)])
        archive.search(SearchRequest(limit=1), ALL)


def test_killed_while_saving(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    opened(file).close()
    chance = random.Random(5)
    for _ in range(3):
        process = SPAWN.Process(target=write_and_search, args=(str(file),))
        process.start()
        folder = tmp_path / "a.db-arrays"
        end = time.monotonic() + 60
        while not (folder.exists() and any(folder.iterdir())) and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.05, 0.3))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        archive = opened(file)
        assert_follows(archive)
        archive.close()


# ---------------------------------------------------------------- vectors

DIMS = 64


def vectors(count: int) -> npt.NDArray[np.float64]:
    """Around 20 centres that lie on one side, as sentence vectors do."""
    chance = np.random.default_rng(3)
    centres = chance.standard_normal((20, DIMS)) + 1.5
    found = centres[chance.integers(0, 20, count)] + 0.6 * chance.standard_normal((count, DIMS))
    lengths: npt.NDArray[np.float64] = np.linalg.norm(found, axis=1, keepdims=True)
    return found / lengths


def test_candidates_by_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With far fewer candidates than posts: nearly all neighbours, exact scores, no stale hit."""
    monkeypatch.setattr(signs, "CANDIDATES", 100)
    monkeypatch.setattr(arrays, "SAVE_AFTER", 500)
    archive = opened(tmp_path / "a.db")
    found = vectors(2000)
    archive.put_posts([post(n, text(n)) for n in range(2000)])
    for start in range(0, 2000, 250):  # the mean grows up with them
        part = range(start, start + 250)
        archive.write_analyses(
            [(f"weibo:{n}", analysis(text(n), vector=found[n].tolist())) for n in part]
        )
        archive.similar(analysis("x", vector=found[0].tolist()).vector, MODEL, ALL)
    odd = Filters(since=at(500))
    recalls = []
    for asked in vectors(2040)[2000:]:
        wanted = analysis("x", vector=asked.tolist()).vector
        for filters, lowest in ((None, 0), (odd, 500)):
            hits = archive.similar(wanted, MODEL, ALL, filters=filters)
            exact = found[lowest:] @ asked
            best = {f"weibo:{n + lowest}" for n in np.argsort(-exact)[:10]}
            recalls.append(len(best & {hit.post.id for hit in hits}) / 10)
            assert [hit.score for hit in hits] == sorted((h.score for h in hits), reverse=True)
            for hit in hits:
                own = found[int(hit.post.id.split(":")[1])]
                assert hit.score == pytest.approx(float(own @ asked), abs=2e-3)
    assert np.mean(recalls) > 0.95
    archive.close()


def test_no_vector_of_a_deleted_or_older_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "SAVE_AFTER", 5)
    file = tmp_path / "a.db"
    writer, reader = opened(file), opened(file)
    found = vectors(40)
    writer.put_posts([post(n, text(n)) for n in range(40)])
    writer.write_analyses(
        [(f"weibo:{n}", analysis(text(n), vector=found[n].tolist())) for n in range(40)]
    )

    def nearest(n: int) -> str:
        wanted = analysis("x", vector=found[n].tolist()).vector
        return reader.similar(wanted, MODEL, ALL, limit=1)[0].post.id

    assert nearest(3) == "weibo:3"
    writer.delete_posts(["weibo:3"], at(9))
    assert nearest(3) != "weibo:3"
    writer.put_posts([post(4, "改过", read_at=at(9))])
    writer.write_analyses([("weibo:4", analysis("改过", vector=found[3].tolist()))])
    assert nearest(3) == "weibo:4"
    reader.close()
    reader = opened(file)
    assert nearest(3) == "weibo:4"
    writer.remove_posts(["weibo:4"])
    assert nearest(3) not in ("weibo:3", "weibo:4")
    reader.close()
    writer.close()
