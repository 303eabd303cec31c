"""Counts of stored posts are read again on a falling schedule; what is gone or edited is seen."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive import open_archive
from archive.base import Archive
from crawler.budget import Budget, next_due, plan
from crawler.build import Builder
from crawler.payloads import posts_of
from crawler.privacy import Identity
from crawler.refreshing import (
    HOT,
    STEPS,
    Counted,
    Recount,
    Watched,
    call_of,
    calls_of,
    most_valuable,
    read_counts,
)
from crawler.sources import after_reading
from huiyin.records import Metrics, Post, Scope
from tests.crawler.reader import BOOK, source
from tests.crawler.test_platform import Reader
from tests.platforms.weibo import Platform, number_at, running

ALL = Scope.everything()
IDENTITY = Identity(b"secret of the crawl tests".ljust(32, b"."))
NOW = datetime(2026, 3, 5, 4, 20, tzinfo=UTC)


def counted(age: timedelta, read: timedelta, reactions: int = 0, name: str = "weibo:1") -> Counted:
    return Counted(name, NOW - age, NOW - read, reactions, comment=False)


def test_each_step_of_its_age_makes_a_post_due_once() -> None:
    hour, day = timedelta(hours=1), timedelta(days=1)
    read: list[timedelta] = []
    made = NOW
    last, at = made + timedelta(minutes=1), made
    while at < made + 9 * day:
        at += timedelta(minutes=5)
        if Counted("weibo:1", made, last, 0, comment=False).is_due(at):
            read.append(at - made)
            last = at
    assert len(read) == len(STEPS)
    for step, done in zip(STEPS, read, strict=True):
        assert step <= done <= step + timedelta(minutes=10)
    assert not counted(9 * day, 9 * day).is_due(NOW)  # too late: stays as it was read
    assert counted(2 * hour, hour * 1.5).is_due(NOW) and not counted(2 * hour, hour).is_due(NOW)


def test_what_grows_is_due_between_the_steps_and_comes_first() -> None:
    hour = timedelta(hours=1)
    hot = counted(3 * hour, timedelta(minutes=12), 2000, "weibo:9")
    assert hot.is_due(NOW) and hot.expected(NOW) > HOT
    assert not counted(3 * hour, timedelta(minutes=5), 90_000).is_due(NOW)  # just read
    assert not counted(100 * hour, timedelta(minutes=12), 2000).is_due(NOW)  # it has calmed down
    dull = [counted(2 * hour, 1.5 * hour, n % 3, f"weibo:{n}") for n in range(200)]
    best = most_valuable([*dull, hot], NOW, 100)
    assert best[0] is hot and len(best) == 100 and all(one.reactions for one in best)


# ---------------------------------------------------------------- against the platform


@pytest.fixture
def platform() -> Iterator[Platform]:
    with running(Platform()) as one:
        yield one


@pytest.fixture
def reader(tmp_path: Path, platform: Platform) -> Reader:
    return Reader(tmp_path, platform)


def stored_before(platform: Platform, reader: Reader, age: timedelta, count: int) -> list[int]:
    """Posts of this age on the platform and in the archive, read a minute after they were made."""
    now = datetime.now(UTC)
    numbers = sorted(number_at(now - age, n) for n in range(count))
    platform.lists.setdefault("mentions", []).extend(numbers)
    platform.lists["mentions"].sort()
    archive = open_archive(reader.url)
    archive.put_posts(list(as_read(platform, numbers, now - age + timedelta(minutes=1))))
    archive.close()
    return numbers


def as_read(platform: Platform, numbers: list[int], at: datetime) -> Iterator[Post]:
    build = Builder(identity=IDENTITY, accounts=BOOK, office="weibo:101", spider="weibo_official",
                    at=at, now=at, always=True, query="mentions")  # fmt: skip
    for number in numbers:
        yield from posts_of(json.loads(platform.render(number, "statuses")), build)


def likes(posts: dict[str, Post], number: int) -> int | None:
    metrics = posts[f"weibo:{number}"].metrics
    assert metrics is not None
    return metrics.likes


@pytest.mark.parametrize("zeros", [False, True])
def test_counts_are_read_again_and_the_gone_lose_their_text(
    platform: Platform, reader: Reader, zeros: bool
) -> None:
    old = stored_before(platform, reader, timedelta(hours=2), 230)
    fresh = stored_before(platform, reader, timedelta(minutes=2), 3)
    platform.counts = {old[0]: (10, 20, 3000), fresh[0]: (1, 1, 9)}
    platform.gone, platform.counts_gone = {old[5]}, zeros
    reader.run(endpoints=["counts"])
    found = reader.posts()
    assert likes(found, old[0]) == 3000 and likes(found, old[1]) == 1
    assert likes(found, fresh[0]) == 1  # not due yet
    gone = found[f"weibo:{old[5]}"]
    assert gone.deleted_at is not None and gone.text == "" and gone.metrics is not None
    assert gone.metrics.likes == 1  # its counts remain
    assert sum(one.deleted_at is not None for one in found.values()) == 1
    assert platform.calls["/2/statuses/count.json"] == 3  # 230 posts, a hundred a call
    assert platform.calls["/2/statuses/show.json"] == 1
    reader.run(endpoints=["counts"])  # a kill would begin like this: nothing is due any more
    assert platform.calls["/2/statuses/count.json"] == 3


def test_the_commercial_host_shows_edits_and_deletions_in_one_call(
    platform: Platform, reader: Reader
) -> None:
    old = stored_before(platform, reader, timedelta(hours=2), 40)
    platform.gone, platform.edited = {old[7]}, {old[3]: "已经修好了，谢谢各位"}
    one = source("counts", parameters={"host": "commercial"}).model_dump(mode="json")
    reader.run(endpoints=[], sources=[one])
    found = reader.posts()
    assert found[f"weibo:{old[7]}"].deleted_at is not None
    changed, same = found[f"weibo:{old[3]}"], found[f"weibo:{old[4]}"]
    assert changed.text.startswith("已经修好了") and changed.edited_at is not None
    assert same.edited_at is None and same.deleted_at is None
    assert platform.calls["/2/statuses/show_batch/biz.json"] == 1
    assert platform.calls["/2/statuses/show.json"] == 0


def test_the_beginning_of_a_long_post_never_replaces_its_whole(
    platform: Platform, reader: Reader
) -> None:
    (number,) = platform.post("mentions")
    platform.long = {number}
    reader.run()
    archive = open_archive(reader.url)
    whole = next(iter(archive.get_posts([f"weibo:{number}"], ALL).values()))
    text = "路灯坏了三天没人修 @云渡发布 请看看" + "，晚上出门看不见路" * 20
    later = whole.read_at + timedelta(seconds=1)
    archive.put_posts([whole.model_copy(update={"text": text, "read_at": later})])
    archive.close()
    reader.run()  # the list comes again, with the beginning only
    (post,) = reader.posts().values()
    assert post.text == text


def test_an_expired_token_is_not_healed_by_having_nothing_to_ask(
    platform: Platform, reader: Reader
) -> None:
    old = stored_before(platform, reader, timedelta(hours=2), 3)
    platform.mode = "expired"
    reader.run(endpoints=["counts"])
    bad = reader.source("counts")
    assert bad.state == "login_expired" and bad.gaps[-1].ends_at is None
    one = Recount(bad, NOW, idle=True)
    assert after_reading(bad, NOW, one) is bad
    assert likes(reader.posts(), old[0]) == 1


def test_an_empty_answer_about_comments_proves_no_deletion() -> None:
    asked = Counted("weibo:7", NOW - timedelta(hours=2), NOW - timedelta(hours=1.9), 0, True)
    one = Recount(source("counts"), NOW, wanted=(asked,))
    assert call_of(one) == ("/2/comments/show_batch.json", {"cids": "7"})
    told = read_counts([], one)
    assert told.absent == (asked,) and not told.objects and not told.counts
    strings = read_counts(
        [{"id": "8", "comments": "16", "reposts": "38", "likes": "9"}],
        Recount(source("counts"), NOW, wanted=(counted(STEPS[1], STEPS[0], 1, "weibo:8"),)),
    )
    assert strings.counts == {"weibo:8": {"reposts": 38, "comments": 16, "likes": 9}}


# ---------------------------------------------------------------- a day on a hundred calls


class Day:
    """A simulated day: lists are read when the plan says so, counts too; no call beyond it."""

    LISTS = ("mentions", "comments_to_me", "comments_mentions", "timeline", "messages", "counts")

    def __init__(self, archive: Archive, platform: Platform, start: datetime) -> None:
        self.archive, self.platform, self.start = archive, platform, start
        self.budget = Budget(archive, 100)
        self.sources = {name: source(name, every_seconds=60) for name in self.LISTS}
        self.watched = Watched(archive, self.sources["counts"])
        self.calls: Counter[str] = Counter()
        self.read: defaultdict[int, list[datetime]] = defaultdict(list)
        self.shown: set[int] = set()

    def play(self) -> None:
        """From the first due source to the last of the day."""
        due = dict.fromkeys(self.LISTS, self.start + timedelta(minutes=1))
        end = self.start + timedelta(days=1)
        while (at := min(due.values())) < end:
            name = min(due, key=lambda one: due[one])
            quota = self.budget.quota("101", at)
            planned = plan(self.sources[name], self.sources.values(), quota)
            due[name] = next_due(at, planned)
            if name == "counts":
                self.count(at)
                continue
            self.spend(name, at)
            if name == "mentions":
                new = {one for one in self.platform.lists[name] if one <= number_at(at)}
                self.archive.put_posts(list(as_read(self.platform, [*new - self.shown], at)))
                self.shown |= new

    def spend(self, name: str, at: datetime) -> None:
        self.budget.check("101", at, 0.05)
        self.budget.count("101", at)
        self.calls[name] += 1

    def count(self, at: datetime) -> None:
        wanted = tuple(self.watched.pick(at, calls_of(self.sources["counts"])))
        self.watched.was_asked(wanted, at)
        if not wanted:
            return
        self.spend("counts", at)
        one = Recount(self.sources["counts"], at, wanted=wanted)
        path, query = call_of(one)
        _, body = self.platform.answer(path, {**query, "access_token": "token-1"})
        told = read_counts(json.loads(body), one)
        known = self.archive.get_posts(list(told.counts), ALL)
        self.archive.put_posts(
            [post.model_copy(update={"metrics": Metrics(read_at=at, **told.counts[name])})
             for name, post in known.items()]
        )  # fmt: skip
        for post in told.counts:
            self.read[int(post.partition(":")[2])].append(at)


def test_a_day_on_a_hundred_calls_is_spent_where_most_happens(archive: Archive) -> None:
    start = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)  # midnight in Shanghai
    numbers = [number_at(start + timedelta(hours=8, minutes=n), n) for n in range(600)]
    hot = set(numbers[30:600:120])
    platform = Platform(lists={"mentions": numbers})
    day = Day(archive, platform, start)
    platform.counts = dict.fromkeys(hot, (900, 900, 5000))
    day.play()
    assert sum(day.calls.values()) <= 95 and day.calls["counts"] >= 4, day.calls
    quota = day.budget.quota("101", start + timedelta(hours=23))
    assert quota is not None and quota.used == sum(day.calls.values())
    again = Budget(archive, 100).quota("101", start + timedelta(hours=23))
    assert again is not None and again.used == quota.used  # the books survive a kill
    early = [one for one in numbers if one < number_at(start + timedelta(hours=15))]
    often = [len(day.read[one]) for one in early if one in hot]
    seldom = [len(day.read[one]) for one in early if one not in hot]
    assert min(often) >= 2 and sum(seldom) / len(seldom) < 1.5, (often, seldom)
    posts = archive.get_posts([f"weibo:{one}" for one in hot & set(early)], ALL)
    assert all(one.metrics and one.metrics.likes == 5000 for one in posts.values())


def test_what_is_to_be_counted_is_the_same_after_a_kill(archive: Archive) -> None:
    at = NOW - timedelta(hours=3)
    numbers = [number_at(at, n) for n in range(150)]
    platform = Platform(lists={"mentions": numbers})
    archive.put_posts(list(as_read(platform, numbers, at)))
    calls = calls_of(source("counts"))
    first = Watched(archive, source("counts")).pick(NOW, calls)
    again = Watched(archive, source("counts")).pick(NOW, calls)
    assert len(first) == 100 and first == again
    counts = Metrics(read_at=NOW, likes=4)
    known = archive.get_posts([one.id for one in first], ALL).values()
    archive.put_posts([one.model_copy(update={"metrics": counts}) for one in known])
    rest = Watched(archive, source("counts")).pick(NOW, calls)
    assert len(rest) == 50 and not {one.id for one in rest} & {one.id for one in first}
