"""Dead letters: posts that a server refused, kept whole on every engine; a deletion takes them."""

from __future__ import annotations

from archive import Archive, SearchRequest
from archive.keeping.base import DeadLetter
from tests.contracts.builders import ALL, MODEL, analysis, at, counts, post, stored


def letters(archive: Archive) -> dict[str, DeadLetter]:
    found = list(archive.dead_letters())
    assert len(found) == len({one.post.id for one in found})
    return {one.post.id: one for one in found}


def letter(number: int, reason: str = "太长", seconds: float = 1, **fields: object) -> DeadLetter:
    return DeadLetter(post(number, **fields), at(seconds), reason)  # type: ignore[arg-type]


def test_they_are_kept_whole_and_listed(archive: Archive) -> None:
    whole = post(
        1, "停水", title="题", metrics=counts(9, likes=4), analysis=analysis("停水", title="题"),
        incident="i", mentions=("weibo:7",),
    )  # fmt: skip
    given = [
        DeadLetter(whole, at(3), "太长"),
        letter(2, "太怪", 5),
        letter(3, id="weibo:" + "9" * 600),
    ]
    archive.restore_dead_letters(given)
    assert letters(archive) == {one.post.id: one for one in given}
    archive.restore_dead_letters([letter(2, "还是太怪", 7)])
    listed = archive.failures()
    assert [(one.stage, one.post_id, one.reason, one.at, one.final) for one in listed[:2]] == [
        ("put", "weibo:2", "还是太怪", at(7), True), ("put", "weibo:1", "太长", at(3), True),
    ]  # fmt: skip
    assert len(listed) == 3 and archive.pending_counts(MODEL)["failed"] == 3
    assert archive.counts().get("posts", 0) == 0
    assert archive.search(SearchRequest("停水"), ALL).total == 0
    assert archive.remove_dead_letters(["weibo:2", "weibo:77"]) == 1
    assert letters(archive).keys() == {given[0].post.id, given[2].post.id}


def test_many_of_them(archive: Archive) -> None:
    archive.restore_dead_letters([letter(n) for n in range(450)])
    assert letters(archive).keys() == {f"weibo:{n}" for n in range(450)}
    assert archive.remove_dead_letters([f"weibo:{n}" for n in range(450)]) == 450
    assert letters(archive) == {}


def test_what_can_be_stored_now_becomes_a_post(archive: Archive) -> None:
    archive.put_posts([post(1, "旧", read_at=at(0))])
    archive.restore_dead_letters([letter(1, text="新", read_at=at(9)), letter(2)])
    assert archive.clear_failures("put") == 2
    assert letters(archive) == {} and archive.failures() == []
    assert stored(archive, "weibo:1").text == "新"
    assert stored(archive, "weibo:2") == post(2)


def test_a_deletion_and_a_removal_take_their_words_too(archive: Archive) -> None:
    archive.put_posts([post(1), post(4)])
    archive.restore_dead_letters([letter(n) for n in (1, 2, 3, 4)])
    assert archive.delete_posts(["weibo:1", "weibo:2"], at(9)) == 1
    assert letters(archive).keys() == {"weibo:3", "weibo:4"}
    assert archive.remove_posts(["weibo:3", "weibo:4"]) == 1
    assert letters(archive) == {}
