"""Retention: what goes, what stays, and what refuses it. On every engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from archive import Archive, SearchRequest, open_archive
from archive.keeping.copying import Copier
from archive.keeping.expiring import expire
from archive.keeping.switching import end_move
from huiyin.errors import ArchiveError
from huiyin.records import Case, CaseState, Draft, DraftSentence, Incident, IncidentState, Kind
from tests.contracts.builders import ALL, OFFICE, analysis, at, post


def incident(name: str, state: IncidentState, into: str | None = None, key: str = "") -> Incident:
    return Incident(
        id=name, title="停水", state=state, merged_into=into, key_posts=(key,) if key else (),
        first_post_at=at(0), last_post_at=at(0), opened_at=at(0),
    )  # fmt: skip


def case(name: str, about: str, state: CaseState) -> Case:
    return Case(id=name, post=about, account=OFFICE, state=state, opened_at=at(0), due_at=at(9))


def test_old_posts_go_and_what_is_dealt_with_stays(archive: Archive) -> None:
    archive.put_posts([post(n, f"第{n}条停水") for n in range(20)])
    archive.put_posts([post(100), post(30, kind=Kind.NOTICE), post(31, parent="weibo:10")])
    archive.write_analyses([("weibo:1", analysis("第1条停水"))])
    archive.mark_incidents(
        {"weibo:2": "open", "weibo:3": "closed", "weibo:4": "gone", "weibo:5": "dead"}
    )
    archive.delete_posts(["weibo:6"], at(50))
    archive.record_failure("analysis", "weibo:7", "坏", at(1))
    for one in (
        incident("open", IncidentState.EASING, key="weibo:12"),
        incident("closed", IncidentState.CLOSED),
        incident("gone", IncidentState.MERGED, "middle"),
        incident("middle", IncidentState.MERGED, "open"),
        incident("dead", IncidentState.MERGED, "closed"),
        case("c1", "weibo:8", CaseState.IN_REVIEW),
        case("c2", "weibo:9", CaseState.CLOSED),
        case("c3", "weibo:31", CaseState.OPEN),
        Draft(id="d1", case="c1", target="weibo:8", account=OFFICE, text="", created_at=at(0),
              written_by="x", sentences=(DraftSentence(text="", sources=("weibo:11",)),)),
    ):  # fmt: skip
        archive.create(one)
    counts = archive.counts()

    counted = expire(archive, at(50), dry_run=True)
    assert archive.counts() == counts
    done = expire(archive, at(50))
    assert (done.removed, done.kept) == (counted.removed, counted.kept)
    left = {one.id for one in archive.iter_posts(ALL)}
    kept = {2, 4, 6, 8, 10, 11, 12, 30, 31, 100}
    assert left == {f"weibo:{n}" for n in kept}
    assert done.removed == 23 - len(kept)
    assert done.kept == {"notice": 1, "incident": 2, "deleted": 1, "case": 5}
    assert archive.failures() == []
    found = archive.search(SearchRequest("停水"), ALL)
    assert {hit.post.id for hit in found.hits} == {f"weibo:{n}" for n in (2, 4, 8, 10, 11, 12)}
    assert {kind: n for kind, n in archive.counts().items() if kind != "posts"} == {
        kind: n for kind, n in counts.items() if kind != "posts"
    }
    assert archive.check() == [] and expire(archive, at(50)).removed == 0
    # a deletion outlives retention: an old file does not bring the words back
    archive.put_posts([post(6, "第6条停水")])
    assert archive.get_posts(["weibo:6"], ALL)["weibo:6"].text == ""


def test_nothing_is_removed_under_a_copy(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / name}" for name in ("a.db", "b.db")]
    source, target = map(open_archive, urls)
    source.put_posts([post(1)])
    Copier(source, target, source_url=urls[0], target_url=urls[1]).begin()
    with pytest.raises(ArchiveError, match="正在搬迁"):
        expire(source, at(50))
    end_move(source)
    assert expire(source, at(50)).removed == 1


def test_words_leave_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    archive = open_archive(f"sqlite:///{file}")
    archive.put_posts([post(1, "独一无二zebraword的话"), post(100, "别的")])
    assert expire(archive, at(50)).removed == 1
    assert archive.check() == []
    archive.close()
    content = b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
    assert b"zebraword" not in content and "独一无二".encode() not in content
