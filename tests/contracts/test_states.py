"""State records change only by who read the newest version."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from archive import Archive
from archive.base import Stored
from huiyin.errors import Conflict, NotAllowed, NotFound
from huiyin.records import Alert, Case, CaseState, Lease, Scope
from tests.contracts.builders import ALL, OFFICE, at


def case(number: int, **fields: object) -> Case:
    values = {"id": f"case:{number}", "post": "weibo:1", "account": OFFICE, "opened_at": at(0),
              "due_at": at(9), "offices": (OFFICE,)}  # fmt: skip
    return Case.model_validate({**values, **fields})


def test_create_once(archive: Archive) -> None:
    made = archive.create(case(1))
    assert made.record == case(1)
    with pytest.raises(Conflict):
        archive.create(case(1, handler="other"))
    assert archive.get(Case, "case:1", ALL) == made
    assert archive.get(Case, "case:2", ALL) is None


def test_of_two_writers_one_wins(archive: Archive) -> None:
    read = archive.create(case(1))
    written = archive.replace(read, case(1, handler="a"))
    assert written.version != read.version
    with pytest.raises(Conflict):
        archive.replace(read, case(1, handler="b"))
    assert (
        archive.get(Case, "case:1", ALL) == written == Stored(case(1, handler="a"), written.version)
    )
    with pytest.raises(Conflict):
        archive.replace(Stored(case(7), 1), case(7))
    with pytest.raises(Conflict):
        archive.replace(written, case(2))


def test_ids_of_two_kinds_do_not_meet(archive: Archive) -> None:
    archive.create(case(1, id="x"))
    lease = archive.create(Lease(id="x", owner="me"))
    assert archive.get(Lease, "x", ALL) == lease
    assert archive.counts() == {"posts": 0, "case": 1, "lease": 1}


def test_change_reads_again_until_nobody_was_faster(archive: Archive) -> None:
    before = archive.create(Lease(id="n", owner="x"))

    def raise_beat(_: int) -> None:
        for _ in range(10):
            archive.change(
                Lease, "n", ALL, lambda one: one.model_copy(update={"beat": one.beat + 1})
            )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(raise_beat, range(4)))
    after = archive.get(Lease, "n", ALL)
    assert after is not None
    assert after.record.beat == 40
    with pytest.raises(Conflict):
        archive.replace(before, after.record)


def test_change_may_refuse_or_do_nothing(archive: Archive) -> None:
    made = archive.create(case(1))
    assert archive.change(Case, "case:1", ALL, lambda one: one) == made

    def refuse(one: Case) -> Case:
        raise NotAllowed("不行", reason="test")

    with pytest.raises(NotAllowed):
        archive.change(Case, "case:1", ALL, refuse)
    with pytest.raises(NotFound):
        archive.change(Case, "case:9", ALL, lambda one: one)


def test_listing(archive: Archive) -> None:
    for number in (3, 1, 2, 4):
        archive.create(case(number, post=f"weibo:{number % 2}"))
    two = archive.get(Case, "case:2", ALL)
    assert two is not None
    archive.replace(two, case(2, post="weibo:0", state=CaseState.CLOSED))

    def ids(**fields: object) -> list[str]:
        return [one.record.id for one in archive.records(Case, ALL, **fields)]  # type: ignore[arg-type]

    assert ids() == ["case:1", "case:2", "case:3", "case:4"]
    assert ids(state="open") == ["case:1", "case:3", "case:4"]
    assert ids(ref="weibo:0") == ["case:2", "case:4"]
    assert ids(ref="weibo:0", state="open") == ["case:4"]
    assert ids(limit=2) == ["case:1", "case:2"]
    assert ids(limit=2, after="case:2") == ["case:3", "case:4"]
    assert ids(newest_first=True) == ["case:2", "case:4", "case:1", "case:3"]
    assert ids(newest_first=True, after="case:4") == ["case:1", "case:3"]
    assert archive.records(Alert, ALL) == []


def test_records_without_offices_are_for_those_who_see_everything(archive: Archive) -> None:
    archive.create(Lease(id="n", owner="x"))
    assert archive.get(Lease, "n", Scope.of(OFFICE)) is None
    assert archive.get(Lease, "n", Scope.of("*")) is not None
