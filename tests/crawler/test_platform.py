"""The real spider, in processes of its own, against a platform with good and bad days."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from archive import open_archive
from huiyin.records import Kind, Post, Scope, Source
from tests.crawler.reader import launch, source
from tests.platforms.weibo import STATUS, Platform, number_at, running, spread, template

EVERYTHING = Scope.everything()
# Real processes, forked from one that has read the modules: a kill costs no ten seconds of start.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.crawler.reader", "tests.crawler.preload"])


class Reader:
    """Crawls one platform into one archive, each time in a new process."""

    def __init__(self, folder: Path, platform: Platform) -> None:
        self.url, self.platform, self.output = f"sqlite:///{folder / 'a.db'}", platform, ""
        self.folder = folder

    def start(self, **options: Any) -> BaseProcess:
        said = json.dumps({"archive": self.url, "platform": self.platform.url, **options})
        child = FORKS.Process(target=launch, args=(said, str(self.folder / "crawl.log")))
        child.start()
        return child

    def run(self, seconds: float = 100, **options: Any) -> None:
        self.ended(self.start(once=True, **options), seconds)

    def ended(self, child: BaseProcess, seconds: float = 60) -> None:
        child.join(seconds)
        self.output = (self.folder / "crawl.log").read_text()
        if child.exitcode is None:
            child.kill()
        assert child.exitcode == 0, self.output[-3000:]

    def posts(self) -> dict[str, Post]:
        archive = open_archive(self.url)
        found = {post.id: post for post in archive.iter_posts(EVERYTHING)}
        archive.close()
        return found

    def source(self, endpoint: str = "mentions") -> Source:
        archive = open_archive(self.url)
        stored = archive.get(Source, f"source:weibo:101:{endpoint}", EVERYTHING)
        archive.close()
        assert stored is not None
        return stored.record

    def numbers(self) -> set[int]:
        return {int(one.partition(":")[2]) for one in self.posts()}


@pytest.fixture
def platform() -> Any:
    with running(Platform()) as one:
        yield one


@pytest.fixture
def reader(tmp_path: Path, platform: Platform) -> Reader:
    return Reader(tmp_path, platform)


def until(holds: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.05)


def test_all_lists_are_read_and_comments_stand_under_their_posts(
    platform: Platform, reader: Reader
) -> None:
    for name in ("mentions", "comments_to_me", "comments_mentions", "timeline", "topic"):
        platform.post(name, 3)
    reader.run(endpoints=["mentions", "comments_to_me", "comments_mentions", "timeline"])
    found = reader.posts()
    lists = platform.lists
    assert {f"weibo:{n}" for name in lists if name != "topic" for n in lists[name]} <= set(found)
    comment = found[f"weibo:{lists['comments_to_me'][0]}"]
    assert comment.kind is Kind.COMMENT and comment.root in found
    assert comment.source.query == "comments_to_me"


def test_a_shifting_list_with_faults_repeats_and_left_out_posts(
    platform: Platform, reader: Reader
) -> None:
    """Small pages over a list that grows with each answer: nothing is missed, nothing doubled."""
    platform.lists["mentions"] = spread(600, 600)
    platform.hidden = set(random.Random(3).sample(platform.lists["mentions"], 60))
    platform.hidden |= set(platform.lists["mentions"][200:230])  # whole empty pages
    platform.grow, platform.repeat, platform.fault_rate = 1, 3, 0.05
    child = reader.start(count=10, seconds=100)
    until(lambda: sum(platform.calls.values()) > 100)
    platform.grow = 0
    until(lambda: reader.numbers() >= platform.everything())
    until(lambda: reader.source().cursor == str(platform.lists["mentions"][-1]))
    os.kill(child.pid or 0, signal.SIGTERM)
    reader.ended(child)
    assert reader.numbers() == platform.everything()
    one = reader.source()
    assert not one.ahead and all(gap.caught_up_at or gap.ends_at is None for gap in one.gaps)
    assert platform.faulty > 0


def test_killed_at_any_time_each_run_goes_on_where_the_last_one_stopped(
    platform: Platform, reader: Reader
) -> None:
    platform.lists["mentions"] = spread(3000, 3000)
    platform.fault_rate, platform.delay = 0.05, 0.02
    chance = random.Random(7)
    for _ in range(4):
        before = sum(platform.calls.values())
        child = reader.start(count=10)
        until(lambda: sum(platform.calls.values()) > before + 20)  # noqa: B023
        time.sleep(chance.random() * 2)
        platform.post("mentions", 3)
        child.kill()
        child.join()
    reader.run(count=10)
    assert reader.numbers() == platform.everything()
    assert reader.source().cursor == str(platform.lists["mentions"][-1])
    pages = -(-len(platform.everything()) // 10)
    lists = platform.calls["/2/statuses/mentions.json"] - platform.faulty
    assert lists < 1.8 * pages  # far from reading all anew each time


@pytest.mark.parametrize(
    ("mode", "state"),
    [("expired", "login_expired"), ("layout", "layout"), ("captcha", "blocked"),
     ("http418", "blocked"), ("http429", "quota"), ("http403", "refused"), ("denied", "refused"),
     ("http500", "failing"), ("empty_list", "blocked"), ("empty_object", "blocked")],
)  # fmt: skip
def test_bad_days_are_told_apart_and_none_is_no_new_posts(
    platform: Platform, reader: Reader, mode: str, state: str
) -> None:
    platform.post("mentions", 5)
    reader.run()
    good = reader.source()
    assert good.state == "ok" and not good.gaps
    platform.post("mentions", 5)
    platform.mode = mode
    reader.run()
    bad = reader.source()
    assert bad.state == state and bad.reason and bad.cursor == good.cursor
    assert bad.gaps[-1].ends_at is None and bad.gaps[-1].state == state
    platform.mode = "good"
    reader.run()
    healed = reader.source()
    assert healed.state == "ok" and reader.numbers() == platform.everything()
    assert healed.gaps[-1].caught_up_at is not None
    assert "token-1" not in reader.output


def test_an_empty_list_after_the_last_post_was_deleted_is_no_alarm(
    platform: Platform, reader: Reader
) -> None:
    (number,) = platform.post("mentions")
    reader.run()
    platform.gone.add(number)
    reader.run()
    assert reader.source().state == "ok"
    assert reader.posts()[f"weibo:{number}"].deleted_at is not None


def test_what_lies_deeper_than_the_platform_shows_is_a_gap_with_a_number(
    platform: Platform, reader: Reader
) -> None:
    platform.lists["mentions"] = spread(10, 10)
    reader.run(count=10)
    now = datetime.now(UTC)
    platform.lists["mentions"] += [number_at(now + timedelta(seconds=n)) for n in range(300)]
    platform.cap = 100
    reader.run(count=10)
    one = reader.source()
    (gap,) = [gap for gap in one.gaps if gap.state == "cut_off"]
    assert gap.missed is not None and 150 <= gap.missed <= 400 and gap.caught_up_at is None
    assert len(reader.numbers()) == 110


def test_a_topic_is_read_by_page_numbers_up_to_their_end(
    platform: Platform, reader: Reader
) -> None:
    platform.lists["topic"] = spread(120, 120)
    platform.grow = 1
    topic = source("topic", parameters={"q": "停水"}).model_dump(mode="json")
    reader.run(endpoints=[], sources=[topic], count=10)
    assert len(reader.posts()) >= 120 and reader.source("topic").state == "ok"
    platform.grow = 0
    platform.lists["topic"] += [platform.lists["topic"][-1] + (n << 22) for n in range(1, 700)]
    reader.run(endpoints=[], sources=[topic], count=10)
    (gap,) = reader.source("topic").gaps
    assert gap.state == "cut_off" and gap.missed is not None and 100 <= gap.missed <= 300


def test_long_posts_are_asked_for_whole(platform: Platform, reader: Reader) -> None:
    numbers = platform.post("mentions", 3)
    platform.long = {numbers[1]}
    reader.run()
    found = reader.posts()
    assert found[f"weibo:{numbers[1]}"].text == "正文的后半段在这里。"
    assert found[f"weibo:{numbers[0]}"].text.startswith("路灯坏了")


def test_whole_texts_that_are_never_given_cost_few_calls(
    platform: Platform, reader: Reader
) -> None:
    numbers = platform.post("mentions", 500)
    platform.long, platform.keeps_whole = set(numbers), True
    reader.run(count=20)  # 25 pages, five long texts on each
    assert reader.numbers() == set(numbers)
    assert 10 <= platform.calls["/2/statuses/show.json"] <= 40
    platform.keeps_whole = False
    more = platform.post("mentions", 1)
    platform.long |= set(more)
    reader.run(count=20)
    assert reader.posts()[f"weibo:{more[0]}"].text == "正文的后半段在这里。"


def test_a_small_allowance_is_kept_and_told(platform: Platform, reader: Reader) -> None:
    platform.limit, platform.window_seconds = 12, 86400
    platform.post("mentions", 3)
    child = reader.start(endpoints=["mentions", "comments_to_me"], seconds=25)
    reader.ended(child, 100)
    asked = sum(platform.calls.values()) - platform.calls["/2/account/rate_limit_status.json"]
    assert 2 <= asked <= 12  # every 0.2 s would be a hundred
    assert reader.source().state == "ok"
    refused = [one for one in platform.asked if one[0] == "/2/statuses/mentions.json"]
    assert len(refused) <= 6


def test_comments_under_own_posts(platform: Platform, reader: Reader, tmp_path: Path) -> None:
    (number,) = platform.post("timeline")
    own = platform.templates[0]
    platform.templates = [tuple(part.replace(b"5550001", b"101") for part in own)]
    platform.post(f"comments:{number}", 25)
    reader.run(endpoints=["timeline"])
    platform.templates = [own]
    reader.run(endpoints=["comments_show"], count=10)
    comments = [one for one in reader.posts().values() if one.root == f"weibo:{number}"]
    calls = platform.calls["/2/comments/show.json"]
    assert calls == 3 and len(comments) == 25
    reader.run(endpoints=["comments_show"], count=10)
    assert platform.calls["/2/comments/show.json"] == calls  # 2 said, 25 known: nothing to ask


def test_sources_are_picked_up_while_it_runs(platform: Platform, reader: Reader) -> None:
    platform.post("mentions", 2)
    platform.post("timeline", 2)
    child = reader.start()
    until(lambda: platform.calls["/2/statuses/mentions.json"] > 0)
    archive = open_archive(reader.url)
    archive.create(source("timeline", every_seconds=0.2))
    archive.close()
    until(lambda: reader.source("timeline").cursor != "")
    archive = open_archive(reader.url)
    archive.change(
        Source, "source:weibo:101:timeline", EVERYTHING,
        lambda one: one.model_copy(update={"paused": True}),
    )  # fmt: skip
    archive.close()
    time.sleep(4)
    calls = platform.calls["/2/statuses/user_timeline.json"]
    time.sleep(2)
    assert platform.calls["/2/statuses/user_timeline.json"] == calls  # paused
    os.kill(child.pid or 0, signal.SIGTERM)
    reader.ended(child)


def test_nothing_planted_is_found_in_any_file(platform: Platform, reader: Reader) -> None:
    """A phone, an ID number, a name, two uids and the token, through faults and bad days."""
    phone, card, name = "13912345678", "410105198801011234", "张三丰的小号"
    status = {
        **STATUS, "text": f"我电话{phone}，身份证{card}，@{name} 也看看", "geo": {"name": name},
        "user": {**STATUS["user"], "screen_name": name, "name": name, "location": phone},
        "url_objects": [{"info": {"url_short": f"http://t.cn/{phone}"}}],
        "retweeted_status": {"user": {"id": 7770007, "screen_name": name}, "text": card},
    }  # fmt: skip
    platform.templates = [template(status)]
    platform.fault_rate = 0.3
    for name_of in ("mentions", "comments_to_me"):
        platform.lists[name_of] = spread(60, 60)
    child = reader.start(count=10, endpoints=["mentions", "comments_to_me"])
    until(lambda: reader.numbers() >= platform.everything())
    for mode in ("expired", "captcha", "layout", "http500"):
        platform.mode = mode
        time.sleep(1.5)
    os.kill(child.pid or 0, signal.SIGTERM)
    reader.ended(child)
    assert any("【电话】" in one.text for one in reader.posts().values())
    files = [one for one in reader.folder.rglob("*") if one.is_file()]
    assert len(files) >= 2
    for file in files:
        held = file.read_bytes()
        for secret in (phone, card, name, "5550001", "7770007", "token-1"):
            assert secret.encode() not in held, (file.name, secret)


def test_recorded_answers_given_unchanged(
    platform: Platform, reader: Reader, real_data: Path
) -> None:
    """A timeline as it was recorded, page by page, through spider and pipeline."""
    numbers: set[int] = set()
    for page, place in ((0, ""), (1, "3935564896223189")):
        body = (real_data / "payloads" / f"official_timeline_{page}.json").read_bytes()
        platform.recorded["/2/statuses/user_timeline.json", place] = body
        for one in json.loads(body)["statuses"]:
            numbers |= {int(one["idstr"])}
            if "retweeted_status" in one:
                numbers |= {int(one["retweeted_status"]["idstr"])}
    reader.run(endpoints=["timeline"])
    assert reader.numbers() == numbers and len(numbers) > 181
    told = reader.source("timeline")
    assert (told.state, told.ahead, told.unknown_fields, told.gaps) == ("ok", (), (), ())
    kept = [one for one in reader.posts().values() if one.deleted_at is None]
    assert all(one.text and one.author.key and one.metrics and one.url for one in kept)
    reader.run(endpoints=["timeline"])
    assert reader.numbers() == numbers


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_posts_through_fifty_kills() -> None:
    from benchmarks.crawling import complete

    rows, _ = complete(100_000, 50, 3000)
    assert all(row[3] for row in rows), rows
