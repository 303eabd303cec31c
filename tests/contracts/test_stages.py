"""Queues are questions to the archive: two lanes, slices, three attempts."""

from __future__ import annotations

from archive import Archive, Slice
from huiyin.records import Scope
from tests.contracts.builders import MODEL, analysis, at, post


def pending(archive: Archive, limit: int = 100, model: str = MODEL, **fields: object) -> list[str]:
    posts = archive.pending_analysis(model, limit=limit, **fields)  # type: ignore[arg-type]
    return [one.id for one in posts]


def test_never_analysed_posts_come_first_and_newest_first(archive: Archive) -> None:
    archive.put_posts([post(n, f"文{n}") for n in range(1, 7)])
    archive.write_analyses([
        ("weibo:6", analysis("文6", model="old")), ("weibo:5", analysis("文5")),
        ("weibo:1", analysis("文1", model="old")),
    ])  # fmt: skip
    assert pending(archive) == ["weibo:4", "weibo:3", "weibo:2", "weibo:6", "weibo:1"]
    assert pending(archive, limit=2) == ["weibo:4", "weibo:3"]
    assert pending(archive, limit=4) == ["weibo:4", "weibo:3", "weibo:2", "weibo:6"]
    assert archive.pending_counts(MODEL) == {
        "analysis": 3, "reanalysis": 2, "incidents": 3, "failed": 0,
    }  # fmt: skip
    archive.write_analyses([(f"weibo:{n}", analysis(f"文{n}")) for n in range(1, 7)])
    assert pending(archive) == []


def test_a_new_text_is_read_again_after_all_new_posts(archive: Archive) -> None:
    archive.put_posts([post(1, "旧"), post(2, "新")])
    archive.write_analyses([("weibo:1", analysis("旧"))])
    archive.put_posts([post(1, "改", read_at=at(9))])
    assert pending(archive) == ["weibo:2", "weibo:1"]
    archive.write_analyses([("weibo:1", analysis("改")), ("weibo:2", analysis("新"))])
    assert pending(archive) == []


def test_slices_share_the_queue_without_overlap(archive: Archive) -> None:
    archive.put_posts([post(n, f"文{n}") for n in range(60)])
    archive.write_analyses([(f"weibo:{n}", analysis(f"文{n}", model="old")) for n in range(30)])
    for of in (1, 2, 5):
        parts = [pending(archive, part=Slice(number, of)) for number in range(of)]
        assert sorted(one for part in parts for one in part) == sorted(
            f"weibo:{n}" for n in range(60)
        )
        assert all(parts)


def test_a_slice_is_the_same_on_every_host(archive: Archive) -> None:
    """CRC-32 of the id modulo the number of slices; the values are part of the contract."""
    archive.put_posts([post(n) for n in range(8)])
    first = pending(archive, part=Slice(0, 2))
    assert first == ["weibo:3", "weibo:2", "weibo:1", "weibo:0"]


def test_three_failures_take_a_post_out_of_the_queue(archive: Archive) -> None:
    archive.put_posts([post(1, "坏"), post(2, "好")])
    assert [archive.record_failure("analysis", "weibo:1", f"第{n}次", at(n)) for n in (1, 2)] == [
        1,
        2,
    ]
    assert pending(archive) == ["weibo:2", "weibo:1"]
    assert archive.record_failure("analysis", "weibo:1", "读不了", at(3)) == 3
    archive.record_failure("incidents", "weibo:2", "慢", at(2))
    assert pending(archive) == ["weibo:2"]
    assert archive.pending_counts(MODEL)["failed"] == 1
    newest, other = archive.failures()
    assert (newest.stage, newest.post_id, newest.attempts, newest.reason, newest.at) == (
        "analysis", "weibo:1", 3, "读不了", at(3),
    )  # fmt: skip
    assert (newest.final, other.final) == (True, False)
    assert archive.clear_failures("analysis") == 1
    assert pending(archive) == ["weibo:2", "weibo:1"]


def test_success_or_another_text_clears_failures(archive: Archive) -> None:
    archive.put_posts([post(1, "一"), post(2, "二")])
    for number in (1, 2):
        for attempt in range(3):
            archive.record_failure("analysis", f"weibo:{number}", "x", at(attempt))
    archive.write_analyses([("weibo:1", analysis("一"))])
    archive.put_posts([post(2, "二改", read_at=at(9))])
    assert archive.failures() == []
    assert pending(archive) == ["weibo:2"]


def test_incidents_get_analysed_posts_in_order(archive: Archive) -> None:
    archive.put_posts([
        post(3, "三"), post(1, "一"), post(2, "二", collected_at=at(50)), post(4, "四"),
        post(5, "五", created_at=at(1)),
    ])  # fmt: skip
    archive.write_analyses(
        [(f"weibo:{n}", analysis(t)) for n, t in zip((1, 2, 3, 5), "一二三五", strict=True)]
    )
    waiting = archive.pending_incidents(before=at(10), limit=10)
    assert [one.id for one in waiting] == ["weibo:1", "weibo:5", "weibo:3"]
    assert waiting[0].analysis == analysis("一")
    assert [one.id for one in archive.pending_incidents(before=at(10), limit=1)] == ["weibo:1"]
    assert archive.mark_incidents({"weibo:1": "i", "weibo:5": "", "no:1": "i"}) == 2
    assert archive.mark_incidents({"weibo:1": "i"}) == 0
    assert archive.mark_incidents({"weibo:1": "", "weibo:5": ""}) == 0, "never alone again"
    assert archive.mark_incidents({"weibo:1": "j"}, was={"weibo:1": ("h",)}) == 0, "it is in i"
    assert archive.mark_incidents({"weibo:1": ""}, was={"weibo:1": ("i",)}) == 0
    moved = {"weibo:1": "j", "weibo:5": "k"}
    assert archive.mark_incidents(moved, was={"weibo:1": ("h", "i")}) == 2
    assert {one.id: one.incident for one in archive.iter_posts(Scope.everything())} == {
        **moved, "weibo:2": None, "weibo:3": None, "weibo:4": None,
    }  # fmt: skip
    assert [one.id for one in archive.pending_incidents(before=at(99), limit=9)] == [
        "weibo:2", "weibo:3",
    ]  # fmt: skip
