"""Moving and closing an archive: whole posts and records, what changed, the seal, removal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from archive import Archive, SearchRequest, Stored
from archive.keeping.base import Seal, WholePost
from huiyin.errors import ArchiveMoved
from huiyin.records import Lease, Setting, StateRecord
from tests.contracts.builders import ALL, MODEL, analysis, at, counts, post, stored

CLOSING = Seal("closing", "sqlite:////elsewhere.db", at(0))
MOVED = Seal("moved", "sqlite:////elsewhere.db", at(0))


def everything_since(
    archive: Archive, position: str, limit: int = 3
) -> tuple[list[WholePost], str]:
    found: list[WholePost] = []
    while True:
        page = archive.changed_posts(position, limit=limit)
        found += page.items
        position = page.position
        if not page.left:
            return found, position


def all_ids(archive: Archive, query: str = "") -> set[str]:
    return {hit.post.id for hit in archive.search(SearchRequest(query), ALL).hits}


def test_all_posts_then_only_what_changed(archive: Archive) -> None:
    archive.put_posts([post(n) for n in range(8)])
    archive.track_changes(True)
    archive.track_changes(True)
    found, position = everything_since(archive, "")
    assert {one.post.id for one in found} == {f"weibo:{n}" for n in range(8)}
    assert everything_since(archive, position)[0] == []

    archive.put_posts([post(1, metrics=counts(5, likes=3)), post(20)])
    archive.write_analyses([("weibo:2", analysis("第2条"))])
    archive.mark_incidents({"weibo:3": "i"})
    archive.delete_posts(["weibo:4"], at(9))
    found, later = everything_since(archive, position)
    changed = {one.post.id: one.post for one in found}
    assert set(changed) == {"weibo:1", "weibo:20", "weibo:2", "weibo:3", "weibo:4"}
    assert changed["weibo:2"].analysis == analysis("第2条")
    assert changed["weibo:3"].incident == "i"
    assert changed["weibo:4"].deleted_at == at(9)
    assert everything_since(archive, later)[0] == []


def test_a_position_of_another_archive_begins_anew(archive: Archive) -> None:
    archive.put_posts([post(1)])
    archive.track_changes(True)
    foreign = '{"journal": "other", "scanned": null, "seq": 99999}'
    assert [one.post.id for one in everything_since(archive, foreign)[0]] == ["weibo:1"]


def test_nothing_is_missed_while_others_write(archive: Archive) -> None:
    archive.put_posts([post(n) for n in range(50)])
    archive.track_changes(True)
    done = threading.Event()

    def write() -> None:
        for n in range(50, 250):
            archive.put_posts([post(n)])
            archive.mark_incidents({f"weibo:{n - 50}": f"i{n}"})
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen: dict[str, Any] = {}
    position = ""
    while not done.is_set():
        found, position = everything_since(archive, position, limit=20)
        seen.update((one.post.id, one.post) for one in found)
    writer.join()
    found, position = everything_since(archive, position, limit=20)
    seen.update((one.post.id, one.post) for one in found)
    assert seen == {one.id: one for one in archive.iter_posts(ALL)}
    assert len(seen) == 250


def test_restored_posts_are_whole(archive: Archive) -> None:
    wholes = [
        WholePost(
            post(1, "停水", metrics=counts(9, likes=4, comments=2), analysis=analysis("停水"),
                 incident="i"),
            (None, at(3), at(9)),
        ),
        WholePost(post(2, deleted_at=at(8), incident="").model_copy(update={"text": ""})),
        WholePost(post(3, "来水", analysis=analysis("更早的文字"), mentions=("weibo:7",))),
    ]  # fmt: skip
    assert archive.restore_posts(wholes) == 3
    assert archive.restore_posts(wholes) == 0
    for one in wholes:
        assert stored(archive, one.post.id) == one.post
    assert all_ids(archive, "停水") == {"weibo:1"}
    assert archive.similar(analysis("停水").vector, MODEL, ALL)[0].post.incident == "i"
    # each count keeps the moment of its own reading
    archive.put_posts([post(1, "停水", metrics=counts(5, comments=8, likes=8))])
    metrics = stored(archive, "weibo:1").metrics
    assert metrics is not None and (metrics.comments, metrics.likes) == (8, 4)
    archive.track_changes(True)
    assert {one.post.id: one for one in everything_since(archive, "")[0]}["weibo:2"] == wholes[1]


def test_a_restored_post_takes_the_place_of_the_stored_one(archive: Archive) -> None:
    archive.put_posts([post(1, "停水", offices=("weibo:1", "weibo:2")), post(2, "停水")])
    archive.write_analyses([("weibo:1", analysis("停水"))])
    archive.mark_incidents({"weibo:1": "i"})
    plain = post(1, "来水", offices=("weibo:2",))
    assert archive.restore_posts([WholePost(plain)]) == 1
    assert stored(archive, "weibo:1") == plain
    assert all_ids(archive, "停水") == {"weibo:2"}
    assert all_ids(archive, "来水") == {"weibo:1"}
    assert all_ids(archive, "office:weibo\\:1") == set()
    assert archive.check() == []


def test_records_in_the_order_of_their_last_writing(archive: Archive) -> None:
    made = [archive.create(Lease(id=name, owner="x")) for name in "abc"]
    archive.replace(made[0], Lease(id="a", owner="y"))
    archive.create(Setting(id="s", value="1"))
    archive.track_changes(True)
    page = archive.changed_records(Lease, "", limit=2)
    assert [one.record.id for one in page.items] == ["b", "c"] and page.left
    page = archive.changed_records(Lease, page.position, limit=2)
    assert [one.record.owner for one in page.items] == ["y"] and not page.left
    assert archive.changed_records(Lease, page.position, limit=2).items == ()
    archive.change(Lease, "b", ALL, lambda one: one.model_copy(update={"beat": 5}))
    page = archive.changed_records(Lease, page.position, limit=2)
    assert [one.record.beat for one in page.items] == [5]


def test_restored_records_keep_their_order(archive: Archive) -> None:
    archive.create(Lease(id="a", owner="old"))
    before = archive.get(Lease, "a", ALL)
    assert before is not None
    given: list[Stored[StateRecord]] = [
        Stored(Lease(id=name, owner="x"), 7) for name in ("c", "a", "b")
    ]
    archive.restore_records(given)
    listed = archive.records(Lease, ALL, newest_first=True)
    assert [one.record for one in listed] == [one.record for one in reversed(given)]
    archive.restore_records(given[:1])
    assert archive.records(Lease, ALL, newest_first=True)[0].record.id == "c"
    changed = archive.get(Lease, "a", ALL)
    assert changed is not None and changed.version > before.version


def test_failures_become_exactly_these(archive: Archive) -> None:
    archive.put_posts([post(1), post(2)])
    for _ in range(3):
        archive.record_failure("analysis", "weibo:1", "坏", at(1))
    kept = archive.failures()
    archive.record_failure("incidents", "weibo:2", "差", at(2))
    archive.restore_failures(kept)
    assert archive.failures() == kept
    assert [one.id for one in archive.pending_analysis(MODEL, limit=5)] == ["weibo:2"]
    archive.restore_failures([])
    assert archive.failures() == []


def test_removed_posts_leave_nothing(archive: Archive) -> None:
    archive.put_posts([post(n, "停水") for n in range(5)])
    archive.write_analyses([("weibo:4", analysis("停水"))])
    archive.delete_posts(["weibo:1"], at(9))
    archive.record_failure("analysis", "weibo:3", "坏", at(1))
    assert archive.remove_posts(["weibo:4", "weibo:1", "weibo:3", "weibo:77"]) == 3
    assert archive.get_posts(["weibo:4", "weibo:1", "weibo:3"], ALL) == {}
    assert all_ids(archive, "停水") == {"weibo:0", "weibo:2"}
    assert archive.failures() == [] and archive.counts()["posts"] == 2
    assert archive.similar(analysis("停水").vector, MODEL, ALL) == []
    archive.put_posts([post(9, "来水")])
    assert all_ids(archive) == {"weibo:0", "weibo:2", "weibo:9"}
    assert all_ids(archive, "停水") == {"weibo:0", "weibo:2"}
    assert archive.check() == []


WRITES: dict[str, Callable[[Archive], object]] = {
    "put_posts": lambda a: a.put_posts([post(5)]),
    "put_packed": lambda a: a.put_packed(a.packer()([post(5)])),
    "refresh": lambda a: a.put_posts([post(1, metrics=counts(9, likes=1))]),
    "delete_posts": lambda a: a.delete_posts(["weibo:1"], at(5)),
    "write_analyses": lambda a: a.write_analyses([("weibo:1", analysis("第1条"))]),
    "mark_incidents": lambda a: a.mark_incidents({"weibo:1": "i"}),
    "record_failure": lambda a: a.record_failure("analysis", "weibo:1", "坏", at(1)),
    "create": lambda a: a.create(Lease(id="new", owner="x")),
    "change": lambda a: a.change(Lease, "l", ALL, lambda one: Lease(id="l", owner="z")),
    "remove_posts": lambda a: a.remove_posts(["weibo:1"]),
}


@pytest.mark.parametrize("name", WRITES)
def test_an_archive_that_has_moved_takes_no_writes(archive: Archive, name: str) -> None:
    archive.put_posts([post(1)])
    archive.create(Lease(id="l", owner="x"))
    before = list(archive.iter_posts(ALL)), archive.counts()
    archive.seal(MOVED)
    assert archive.sealed() == MOVED
    with pytest.raises(ArchiveMoved) as caught:
        WRITES[name](archive)
    assert caught.value.to == MOVED.to
    assert (list(archive.iter_posts(ALL)), archive.counts()) == before
    archive.restore_posts([WholePost(post(8))])  # but it can be brought up to date
    archive.seal(None)
    assert archive.sealed() is None
    WRITES[name](archive)


def test_writers_wait_while_a_switch_is_under_way(archive: Archive) -> None:
    archive.seal(CLOSING)
    reports: list[object] = []
    writer = threading.Thread(target=lambda: reports.append(archive.put_posts([post(1)])))
    writer.start()
    time.sleep(0.5)
    assert archive.counts()["posts"] == 0 and writer.is_alive()
    archive.seal(None)
    writer.join(10)
    assert len(reports) == 1 and archive.counts()["posts"] == 1


def test_waiting_writers_learn_that_the_archive_has_moved(archive: Archive) -> None:
    archive.seal(CLOSING)
    errors: list[Exception] = []

    def write() -> None:
        try:
            archive.put_posts([post(1)])
        except ArchiveMoved as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.3)
    archive.seal(MOVED)
    writer.join(10)
    assert len(errors) == 1 and archive.counts()["posts"] == 0
    archive.seal(None)


def test_health_says_what_and_where(archive: Archive) -> None:
    archive.put_posts([post(1)])
    health = archive.health()
    assert health.engine and health.place and health.bytes > 0
    assert all(one.state in {"ok", "note", "bad"} for one in health.facts)
