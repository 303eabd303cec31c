"""Where posts lie on servers: one index a year or month, found by id, each id once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic_core import to_json

from archive import ArchiveOptions, PutReport
from archive.elastic import ElasticArchive
from archive.elastic.bulk import put
from archive.elastic.copies import doubled
from archive.elastic.restoring import whole_document
from archive.elastic.writing import _Put
from archive.keeping.base import WholePost
from archive.placing import fixed_time, place_of
from tests.archive.indices import indices, mid, seen
from tests.contracts.builders import ALL, analysis, at, counts, post

TURN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(elasticsearch: str, elastic_prefix: str) -> str:
    return f"{elasticsearch}/{elastic_prefix}"


@pytest.fixture
def archive(url: str) -> Iterator[ElasticArchive]:
    made = ElasticArchive(url)
    yield made
    made.close()


def test_an_id_that_encodes_its_time_decides() -> None:
    assert fixed_time(mid(TURN)) == TURN
    for other in ("weibo:123", "weibo:x", "other:" + mid(TURN)[6:], "weibo:", "weibo:²", "x"):
        assert fixed_time(other) is None
    late = post(1, id=mid(TURN - timedelta(seconds=1)), created_at=TURN + timedelta(seconds=1))
    assert place_of(late) == "2025-12"


def test_one_index_a_year_and_all_found_by_id(archive: ElasticArchive) -> None:
    posts = [
        post(1, id=mid(TURN - timedelta(days=1))), post(2, created_at=TURN - timedelta(days=400)),
        post(3, created_at=TURN), post(4, id=mid(TURN), created_at=TURN),
    ]  # fmt: skip
    assert archive.put_posts(posts) == PutReport(new=4)
    assert indices(archive) == ["2024", "2025", "2026"]
    assert set(archive.get_posts([one.id for one in posts], ALL)) == {one.id for one in posts}
    assert archive.delete_posts([one.id for one in posts], at(9)) == 4
    assert archive.put_posts(posts) == PutReport(unchanged=4)
    assert len(seen(archive)) == 4


def test_from_years_to_months_nothing_is_doubled(url: str, archive: ElasticArchive) -> None:
    first = [post(1, id=mid(TURN)), post(2, created_at=TURN)]
    archive.put_posts(first)
    monthly = ElasticArchive(url, ArchiveOptions(posts_index="month"))
    later = [post(3, id=mid(TURN, 1)), post(4, created_at=TURN)]
    assert monthly.put_posts([*first, *later]) == PutReport(new=2, unchanged=2)
    assert indices(archive) == ["2026", "2026-01"]
    assert archive.put_posts([*first, *later]) == PutReport(unchanged=4)
    assert len(seen(archive)) == 4
    monthly.close()


@pytest.mark.parametrize("second_is_older", [True, False])
@pytest.mark.parametrize("killed", [True, False])
def test_an_id_made_twice_at_the_same_moment_is_settled(
    archive: ElasticArchive, monkeypatch: pytest.MonkeyPatch, second_is_older: bool, killed: bool
) -> None:
    """The second importer looked before the first one wrote, so it knows nothing of the id."""
    sides = [TURN - timedelta(seconds=1), TURN + timedelta(seconds=1)]
    if second_is_older:
        sides.reverse()
    archive.put_posts([post(1, "一", created_at=sides[0], metrics=counts(9, likes=9))])

    def blind(put: _Put, posts: list[Any]) -> Iterator[Any]:
        return map(put._create, posts)

    second = post(1, "二", created_at=sides[1], offices=("b",), read_at=at(5))
    with monkeypatch.context() as patched:
        patched.setattr(_Put, "_where_unknown", blind)
        if killed:  # before it could look
            patched.setattr(_Put, "_settle_doubles", lambda _: None)
        archive.put_posts([second])
    if killed:
        assert len(seen(archive)) == 2
        archive.put_posts([second])
    [only] = seen(archive)
    assert only.created_at == min(sides)
    assert (only.text, only.metrics, len(only.offices)) == ("二", counts(9, likes=9), 2)
    assert archive.get_posts(["weibo:1"], ALL) == {"weibo:1": only}


# ---------------------------------------------------------------- restored, and looked over


@pytest.mark.parametrize(
    "before", [TURN - timedelta(seconds=1), TURN + timedelta(days=400)], ids=["older", "newer"]
)
def test_a_restored_post_takes_the_place_where_its_id_lies(
    archive: ElasticArchive, before: datetime
) -> None:
    archive.put_posts([post(1, "旧", created_at=before), post(2, created_at=TURN)])
    one = WholePost(post(1, "新", created_at=TURN, analysis=analysis("新"), incident="i"))
    assert archive.restore_posts([one]) == 1
    assert [whole for whole in seen(archive) if whole.id == "weibo:1"] == [one.post]
    assert archive.get_posts(["weibo:1"], ALL) == {"weibo:1": one.post}
    assert archive.restore_posts([one]) == 0
    assert archive.check() == []


def test_restored_after_a_change_from_years_to_months(url: str, archive: ElasticArchive) -> None:
    known = post(1, "旧", id=mid(TURN), created_at=TURN)
    archive.put_posts([known])
    monthly = ElasticArchive(url, ArchiveOptions(posts_index="month"))
    other = post(2, id=mid(TURN, 1), created_at=TURN)
    new = known.model_copy(update={"text": "新"})
    assert monthly.restore_posts([WholePost(new), WholePost(other)]) == 2
    assert indices(archive) == ["2026", "2026-01"]
    assert {one.id: one.text for one in seen(archive)} == {new.id: "新", other.id: other.text}
    assert monthly.check() == []
    monthly.close()


def twice(archive: ElasticArchive, *numbers: int) -> None:
    """Store posts under a second year too, as an importer that was killed leaves them."""
    archive.put_posts([post(0, created_at=TURN + timedelta(days=400))])  # that year's index
    alias = archive._editor.alias("2027-02")
    bodies = [post(n, f"第{n}条改了", read_at=at(9)) for n in numbers]
    archive._do([put(one.id, alias, to_json(whole_document(WholePost(one)))) for one in bodies])


def test_ids_stored_twice_are_named_and_made_one(archive: ElasticArchive) -> None:
    archive.put_posts([post(n, metrics=counts(5, likes=n)) for n in range(1, 30)])
    assert archive.check() == []
    twice(archive, 3, 7)
    [problem] = archive.check()
    assert "weibo:3、weibo:7；" in problem.replace("→", "；") and "2 条" in problem
    assert "huiyin doctor --retry-failed" in problem
    assert archive.clear_failures("put") == 2
    assert archive.check() == []
    found = {one.id: one for one in seen(archive)}
    assert len(seen(archive)) == len(found) == 30
    assert (found["weibo:3"].text, found["weibo:3"].metrics) == ("第3条改了", counts(5, likes=3))
    assert found["weibo:3"].created_at == at(3)


def test_restoring_leaves_one_of_two_copies(archive: ElasticArchive) -> None:
    archive.put_posts([post(3)])
    twice(archive, 3)
    one = WholePost(post(3, "最后的"))
    assert archive.restore_posts([one]) == 1
    assert archive.check() == []
    assert archive.get_posts(["weibo:3"], ALL) == {"weibo:3": one.post}


def test_looking_for_doubles_pages_through_all_ids(
    archive: ElasticArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archive.elastic.copies.IDS_A_PAGE", 7)
    archive.put_posts([post(n) for n in range(1, 40)])
    twice(archive, 1, 8, 39)
    archive._es.refresh(archive._es.posts)
    assert sorted(doubled(archive._es, archive._editor)) == ["weibo:1", "weibo:39", "weibo:8"]
    assert archive.remove_posts(["weibo:8"]) == 1
    assert not archive.get_posts(["weibo:8"], ALL)
