"""Posts have one owner a field; readings may arrive in any order and more than once."""

from __future__ import annotations

import itertools
import pickle
import random
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archive import Archive, Filters, PutReport, SearchRequest
from huiyin.records import Author, AuthorKind, Kind, Media, Post
from tests.contracts.builders import ALL, analysis, at, counts, post, stored


def found(archive: Archive, query: str) -> list[str]:
    return [hit.post.id for hit in archive.search(SearchRequest(query), ALL).hits]


def full_post() -> Post:
    return post(
        1,
        "郑州大学路积水，车被淹了😷",
        title="求助",
        kind=Kind.COMMENT,
        url="https://weibo.com/detail/1",
        author=Author(key="k", kind=AuthorKind.MEDIA, region="河南", name="某报"),
        offices=("weibo:2", "weibo:1"),
        mentions=("weibo:2",),
        parent="weibo:9",
        root="weibo:8",
        metrics=counts(0, reposts=3, likes=0),
        region="410100",
        media=(Media(kind="picture", url="https://example.org/1.jpg"),),
        created_at=datetime(2026, 3, 1, 0, 0, 0, 123456, tzinfo=UTC),
    )


def test_what_is_put_is_read_back(archive: Archive) -> None:
    assert archive.put_posts([full_post()]) == PutReport(new=1)
    assert stored(archive, "weibo:1") == full_post()
    assert list(archive.iter_posts(ALL)) == [full_post()]


def test_the_same_again_changes_nothing(archive: Archive) -> None:
    posts = [full_post(), post(2, metrics=counts(0, likes=1)), post(3)]
    archive.put_posts(posts)
    assert archive.put_posts(posts) == PutReport(unchanged=3)
    assert archive.put_posts([*posts, post(4), post(4)]) == PutReport(new=1, unchanged=4)


def test_analysis_and_incident_of_the_input_are_ignored(archive: Archive) -> None:
    archive.put_posts([post(1, "停水", analysis=analysis("停水"), incident="i")])
    assert stored(archive, "weibo:1") == post(1, "停水")
    archive.write_analyses([("weibo:1", analysis("停水"))])
    archive.mark_incidents({"weibo:1": "i2"})
    archive.put_posts([post(1, "停水", read_at=at(5))])
    after = stored(archive, "weibo:1")
    assert (after.analysis, after.incident) == (analysis("停水"), "i2")


def test_counts_follow_the_newest_reading(archive: Archive) -> None:
    archive.put_posts([post(1, metrics=counts(10, likes=5, comments=2))])
    assert archive.put_posts([post(1, metrics=counts(5, likes=9))]) == PutReport(unchanged=1)
    assert archive.put_posts([post(1, metrics=counts(20, likes=4))]) == PutReport(updated=1)
    assert stored(archive, "weibo:1").metrics == counts(20, likes=4, comments=2)


def test_several_readings_of_a_known_post_in_one_list(archive: Archive) -> None:
    archive.put_posts([post(1, "一", metrics=counts(0, likes=0))])
    readings = [
        post(1, text, read_at=at(n), metrics=counts(n, likes=n))
        for n, text in ((3, "三"), (2, "二"), (4, "四"))
    ]
    archive.put_posts(readings)
    after = stored(archive, "weibo:1")
    assert (after.text, after.metrics, after.read_at) == ("四", counts(4, likes=4), at(4))


def test_none_never_replaces_a_number_and_is_never_zero(archive: Archive) -> None:
    archive.put_posts([post(1, metrics=counts(10, likes=5))])
    archive.put_posts([post(1, metrics=counts(20, likes=None)), post(2, metrics=counts(1))])
    assert stored(archive, "weibo:1").metrics == counts(20, likes=5)
    assert stored(archive, "weibo:2").metrics == counts(1)
    archive.put_posts([post(1)])
    assert stored(archive, "weibo:1").metrics == counts(20, likes=5)


def test_text_follows_the_newest_reading_and_the_index_with_it(archive: Archive) -> None:
    archive.put_posts([post(1, "旧文地铁进水", read_at=at(10))])
    archive.put_posts([post(1, "更旧的文", read_at=at(5))])
    assert stored(archive, "weibo:1").text == "旧文地铁进水"
    assert archive.put_posts([post(1, "新文道路塌陷", read_at=at(20))]) == PutReport(updated=1)
    assert found(archive, "道路塌陷") == ["weibo:1"]
    assert found(archive, "地铁进水") == found(archive, "更旧") == []
    # a late reading between the two has lost, though its text was never seen
    archive.put_posts([post(1, "新文道路塌陷", read_at=at(30)), post(1, "中间", read_at=at(25))])
    assert stored(archive, "weibo:1").text == "新文道路塌陷"


def test_an_edit_stays_known_and_the_newest_text_stays(archive: Archive) -> None:
    first, second = post(1, "停水三天了", read_at=at(5)), post(1, "已经来水", read_at=at(9))
    archive.put_posts([first, post(2, "看图 [泪] https://t.cn/a", read_at=at(5))])
    archive.put_posts([post(1, "停水三天了", read_at=at(6)), second])
    archive.put_posts([post(2, "看图", read_at=at(9)), post(1, "停水三天了", read_at=at(3))])
    after = stored(archive, "weibo:1")
    assert (after.text, after.edited_at) == ("已经来水", at(6))  # other words were last read then
    assert stored(archive, "weibo:2").edited_at is None  # another tool's way of showing it
    archive.put_posts([post(1, "已经来水", read_at=at(20), edited_at=at(8))])
    archive.put_posts([post(1, "已经来水", read_at=at(30))])
    assert stored(archive, "weibo:1").edited_at == at(8)  # the platform says it exactly
    whole = "路灯不亮，请修。" * 30
    archive.put_posts([post(3, whole, read_at=at(1)), post(3, whole[:140] + "...", read_at=at(2))])
    assert stored(archive, "weibo:3").edited_at is None  # only its beginning was shown


def test_first_sight_stays(archive: Archive) -> None:
    archive.put_posts([post(1)])
    archive.put_posts([post(1, created_at=at(99), collected_at=at(98), read_at=at(97))])
    after = stored(archive, "weibo:1")
    assert (after.created_at, after.collected_at) == (at(1), at(0))


def test_one_id_from_two_importers_around_the_end_of_a_year(archive: Archive) -> None:
    turn = datetime(2026, 1, 1, tzinfo=UTC)
    before = post(1, "跨年", created_at=turn - timedelta(seconds=1))
    after = post(1, "跨年", created_at=turn + timedelta(seconds=1))
    archive.put_posts([before])
    archive.put_posts([after])
    assert found(archive, "跨年") == ["weibo:1"]
    assert [one.created_at for one in archive.iter_posts(ALL)] == [before.created_at]
    archive.delete_posts(["weibo:1"], at(0))
    assert found(archive, "跨年") == []


def test_offices_and_mentions_are_united(archive: Archive) -> None:
    archive.put_posts([post(1, offices=("a",), mentions=("m",), read_at=at(9))])
    archive.put_posts([post(1, offices=("b", "a"), mentions=(), read_at=at(3))])
    after = stored(archive, "weibo:1")
    assert (after.offices, after.mentions) == (("a", "b"), ("m",))
    assert len(list(archive.iter_posts(ALL, Filters(offices=("b",))))) == 1


def test_a_deletion_holds_whatever_comes_later(archive: Archive) -> None:
    archive.put_posts([post(1, "秘密内容", title="题目", media=(Media(kind="p", url="u"),))])
    archive.write_analyses([("weibo:1", analysis("秘密内容", title="题目"))])
    assert archive.delete_posts(["weibo:1", "weibo:77"], at(50)) == 1
    assert archive.delete_posts(["weibo:1"], at(60)) == 0
    archive.put_posts(
        [post(1, "秘密内容", title="题目", read_at=at(99), metrics=counts(99, likes=1))]
    )
    assert archive.write_analyses([("weibo:1", analysis("秘密内容", title="题目"))]) == 0
    after = stored(archive, "weibo:1")
    assert (after.text, after.title, after.media, after.analysis) == ("", None, (), None)
    assert after.deleted_at == at(50)
    assert found(archive, "秘密内容") == found(archive, "title:题目") == found(archive, "") == []
    assert archive.similar(analysis("x").vector, "model-a", ALL) == []
    assert archive.pending_analysis("model-a", limit=9) == []


def test_a_post_may_arrive_deleted(archive: Archive) -> None:
    archive.put_posts([post(1, "不该留下", deleted_at=at(5)), post(2, "先来")])
    archive.put_posts([post(2, "后删", deleted_at=at(6)), post(1, "又来", read_at=at(9))])
    assert [stored(archive, f"weibo:{n}").text for n in (1, 2)] == ["", ""]
    assert found(archive, "不该 OR 先来 OR 后删 OR 又来") == []


def test_an_analysis_of_an_older_text_never_replaces_one_of_the_newer(archive: Archive) -> None:
    archive.put_posts([post(1, "一"), post(2, "一")])
    archive.put_posts([post(1, "二", read_at=at(9)), post(2, "二", read_at=at(9))])
    assert archive.write_analyses([("weibo:1", analysis("二")), ("weibo:2", analysis("一"))]) == 2
    assert archive.write_analyses([("weibo:1", analysis("一")), ("no:1", analysis("x"))]) == 0
    assert stored(archive, "weibo:1").analysis == analysis("二")
    assert stored(archive, "weibo:2").analysis == analysis("一")


def test_the_nearest_vectors_of_one_model_only(archive: Archive) -> None:
    archive.put_posts([post(n, f"文{n}") for n in range(1, 6)])
    directions = {1: [1.0, 0, 0, 0], 2: [0.8, 0.6, 0, 0], 3: [0, 1.0, 0, 0], 4: [-1.0, 0, 0, 0]}
    archive.write_analyses(
        [(f"weibo:{n}", analysis(f"文{n}", vector=v)) for n, v in directions.items()]
    )
    archive.write_analyses([("weibo:5", analysis("文5", model="other", vector=[1.0, 0, 0, 0]))])
    asked = analysis("x", vector=[1.0, 0, 0, 0]).vector
    hits = archive.similar(asked, "model-a", ALL, limit=3)
    assert [(hit.post.id, round(hit.score, 2)) for hit in hits] == [
        ("weibo:1", 1.0), ("weibo:2", 0.8), ("weibo:3", 0.0),
    ]  # fmt: skip
    later = Filters(since=at(3))
    assert [hit.post.id for hit in archive.similar(asked, "model-a", ALL, filters=later)] == [
        "weibo:3", "weibo:4",
    ]  # fmt: skip


def test_threads(archive: Archive) -> None:
    archive.put_posts([
        post(1), post(2, root="weibo:1"), post(3, parent="weibo:1"), post(4, root="weibo:2"),
    ])  # fmt: skip
    assert [one.id for one in archive.thread("weibo:1", ALL)] == ["weibo:1", "weibo:2", "weibo:3"]
    assert len(archive.thread("weibo:1", ALL, limit=2)) == 2


def test_reading_in_order_while_others_write(archive: Archive) -> None:
    archive.put_posts([post(n, created_at=at(n // 3)) for n in range(0, 300, 2)])
    seen = []
    for number, one in enumerate(archive.iter_posts(ALL, page=20)):
        seen.append((one.created_at, one.id))
        if number % 10 == 0:
            archive.put_posts([post(1000 + number, created_at=at(number))])
    assert seen == sorted(set(seen))
    assert {post_id for _, post_id in seen} >= {f"weibo:{n}" for n in range(0, 300, 2)}


_numbers = itertools.count(0, 2)
readings = st.lists(
    st.builds(
        lambda when, text, likes, comments, office, title, parent: post(
            1, text, read_at=at(when), offices=(office,), title=title, parent=parent,
            metrics=None if likes == comments == -1 else counts(
                when,
                likes=None if likes < 0 else likes,
                comments=None if comments < 0 else comments,
            ),
        ),
        st.integers(0, 5), st.sampled_from(["甲", "乙", "丙丁"]), st.integers(-1, 3),
        st.integers(-1, 3), st.sampled_from("ab"), st.sampled_from([None, "题"]), st.none(),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(readings=readings, seed=st.integers(0, 99))
def test_the_order_of_readings_does_not_matter(
    archive: Archive, readings: list[Post], seed: int
) -> None:
    """The same readings in another order, on another id, give the same post."""
    n = next(_numbers)
    shuffled = readings[:]
    random.Random(seed).shuffle(shuffled)
    results = []
    for number, order in ((n, readings), (n + 1, shuffled)):
        for one in order:
            archive.put_posts([one.model_copy(update={"id": f"weibo:{number}"})])
        after = stored(archive, f"weibo:{number}")
        results.append(
            (after.text, after.title, after.metrics, set(after.offices), after.read_at,
             after.edited_at)
        )  # fmt: skip
    assert results[0] == results[1]


def test_packed_posts_are_stored_as_the_posts_themselves(archive: Archive) -> None:
    archive.put_posts([post(1, "旧", metrics=counts(0, likes=1))])
    posts = [post(1, "新", read_at=at(5), metrics=counts(9, likes=7)), full_post(), post(3, "好")]
    # as it reaches another process
    pack = pickle.loads(pickle.dumps(archive.packer()))  # noqa: S301
    assert archive.put_packed(pack(posts[:1] + posts[2:])) == PutReport(new=1, updated=1)
    assert stored(archive, "weibo:1").text == "新"
    assert stored(archive, "weibo:1").metrics == counts(9, likes=7)
    assert found(archive, "好") == ["weibo:3"]
    gone = post(3, deleted_at=at(9))
    assert archive.put_packed(pack([gone, post(4, deleted_at=at(9))])) == PutReport(1, 1)
    assert found(archive, "好") == []
    assert archive.put_packed(pack([])) == PutReport()
