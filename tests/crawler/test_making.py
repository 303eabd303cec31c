"""Posts made in a process beside are the same as those made here, and none depends on it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from archive import open_archive
from archive.base import Archive
from crawler import AccountBook, Identity, making, pipes
from crawler.items import PageItem
from crawler.making import Made, Maker, Page, make
from crawler.pictures import links
from crawler.rounds import Round
from crawler.weibo_api import ENDPOINTS
from huiyin.records import Account, Post, Scope
from tests.crawler.reader import BOOK, source
from tests.crawler.test_writing import Pipeline
from tests.platforms.weibo import STATUS, Platform, number_at, template

NOW = datetime(2026, 3, 5, 4, 20, tzinfo=UTC)
IDENTITY = Identity(b"x" * 32)
PICTURE = "https://wx1.example/large/005.jpg"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_archive(f"sqlite:///{tmp_path / 'a.db'}")
    yield opened
    opened.close()


def objects(count: int, first: int = 1, platform: Platform | None = None) -> list[Any]:
    platform = platform or Platform(templates=[template({**STATUS, "original_pic": PICTURE})])
    numbers = [number_at(NOW - timedelta(hours=1), first + n) for n in range(count)]
    return [json.loads(platform.render(one, "statuses")) for one in reversed(numbers)]


def page(found: list[Any]) -> Page:
    return Page(found, None, "source:1", "weibo:101", "weibo_official", "mentions", NOW, NOW)


def stored(archive: Archive) -> list[Post]:
    return sorted(archive.iter_posts(Scope.everything()), key=lambda post: post.id)


def until(holds: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def started(archive: Archive) -> Maker:
    maker = Maker(IDENTITY, archive.packer())
    maker.prepare()
    until(lambda: maker.ready)
    return maker


def served(first: Any, *asked: Any) -> list[Made]:
    """What the inside of the process answers, by turns; it ends because nobody asks any more."""
    (there, go), (back, answer) = os.pipe(), os.pipe()
    with (
        os.fdopen(there, "rb") as come, os.fdopen(go, "wb") as out,
        os.fdopen(back, "rb") as answers, os.fdopen(answer, "wb") as said,
    ):  # fmt: skip
        inside = threading.Thread(target=making._serve, args=(come, said), daemon=True)
        inside.start()
        found = []
        for one in (first, *asked):
            pipes.send(out, one)
            found.append(pipes.receive(answers))
        inside.join(30)
        assert not inside.is_alive()
    return found[1:]


# ---------------------------------------------------------------- the process


def test_what_is_made_beside_is_what_is_made_here(archive: Archive, tmp_path: Path) -> None:
    pages = [page([*objects(3), {"text": "没有编号"}]), page(objects(2, first=50))]
    here = open_archive(f"sqlite:///{tmp_path / 'here.db'}")
    noted = links.Noted()
    links.note_in(noted)
    maker = started(archive)
    try:
        bad = []
        for one in pages:
            posts, unreadable = make(one, IDENTITY, BOOK)
            here.put_posts(list(posts.values()))
            bad += unreadable
        made = maker.make(pages, BOOK)
        assert made is not None
        report = archive.put_packed(made.packed)
        assert report.new == 5 and stored(archive) == stored(here)
        assert made.bad == bad == [("source:1", "没有编号")]
        assert made.noted == noted.take() and len(made.noted) == 5
        assert "@云渡发布" in stored(archive)[0].text  # accounts came along
        other = AccountBook([Account(id="weibo:7", uid="7", name="别处", level=1)])
        again = maker.make([page(objects(1, first=90))], other)
        assert again is not None
        archive.put_packed(again.packed)
        assert "@某用户" in stored(archive)[-1].text  # and when they change
    finally:
        links.note_in(None)
        maker.close()
        here.close()


def test_a_process_that_dies_says_so_and_is_not_started_all_the_time(archive: Archive) -> None:
    maker = started(archive)
    child = maker._child
    assert child is not None
    child.kill()
    child.wait()
    assert not maker.ready
    assert maker.make([page(objects(1))], BOOK) is None
    maker.prepare()
    time.sleep(0.1)
    assert maker._child is child  # no other one within a minute
    maker.close()


def test_a_process_that_is_stopped_holds_nobody_up(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_ANSWER_SECONDS", 1.0)
    maker = started(archive)
    child = maker._child
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)
    try:
        assert maker.make([page(objects(1))], BOOK) is None
        assert child.wait(30) == -signal.SIGKILL and not maker.ready
    finally:
        maker.close()


def test_a_process_ends_with_its_parent() -> None:
    child = pipes.start("crawler.making")
    assert child.stdin is not None and child.stdout is not None
    pipes.send(child.stdin, (b"x" * 32, list, False))
    assert pipes.receive(child.stdout) is None
    child.stdin.close()  # what a kill of the parent does
    assert child.wait(30) == 0
    child.stdout.close()


def test_a_process_that_nobody_asks_ends(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_IDLE_SECONDS", 2.0)
    told = tuple(BOOK.accounts.values())
    asked = (told, [page(objects(2))]), (None, [page(objects(2, first=9))])
    try:
        found = served((b"x" * 32, archive.packer(), False), *asked)
    finally:
        links.note_in(None)
    assert [archive.put_packed(one.packed).new for one in found] == [2, 2]


# ---------------------------------------------------------------- in the pipeline


async def _store(pipeline: Pipeline, items: list[PageItem]) -> None:
    await asyncio.gather(*(pipeline.process_item(item) for item in items))


def pages_of(one: Round, count: int, each: int, platform: Platform | None = None) -> list[PageItem]:
    found = []
    for n in range(count, 0, -1):
        first = n * each
        covers = number_at(NOW - timedelta(hours=1), first)
        items = tuple(objects(each, first, platform))
        answer = json.dumps({"statuses": items}).encode() if n % 2 else None
        covered = (covers, covers + each - 1)
        found.append(PageItem(one, items, NOW, covered, (answer, "statuses") if answer else None))
    one.pages = count
    return found


def with_maker(archive: Archive, maker: Maker) -> Pipeline:
    pipeline = Pipeline(archive)
    pipeline._maker = maker
    return pipeline


@pytest.mark.parametrize("dies", [False, True])
def test_many_pages_are_made_beside_and_none_is_lost_with_it(archive: Archive, dies: bool) -> None:
    maker = started(archive)
    beside: list[int] = []
    real = maker.make

    def spied(pages: Any, accounts: AccountBook) -> Made | None:
        if dies and beside and maker._child is not None:
            maker._child.kill()
        made = real(pages, accounts)
        beside.append(sum(200 if one.answer else len(one.objects) for one in pages) if made else 0)
        return made

    maker.make = spied  # type: ignore[method-assign]
    one = Round(source("mentions"), NOW, endpoint=ENDPOINTS["mentions"])
    try:
        asyncio.run(_store(with_maker(archive, maker), pages_of(one, 30, 200)))
    finally:
        maker.close()
    assert len(stored(archive)) == one.fresh == 6000
    assert one.stored == 30 and len(one.done) == 30 and one.error is None
    assert sum(beside) == (2000 if dies else 6000)


def test_the_whole_of_a_long_post_stays_when_others_are_made_beside(archive: Archive) -> None:
    long = number_at(NOW - timedelta(hours=1), 205)
    platform = Platform(long={long})
    posts, _ = make(page([json.loads(platform.render(long, "statuses"))]), IDENTITY, BOOK)
    [shown] = posts.values()
    whole = shown.model_copy(
        update={"text": shown.text + "后半段", "read_at": NOW - timedelta(minutes=9)}
    )
    archive.put_posts([whole])
    maker = started(archive)
    one = Round(source("mentions"), NOW, endpoint=ENDPOINTS["mentions"])
    try:
        asyncio.run(_store(with_maker(archive, maker), pages_of(one, 3, 200, platform)))
    finally:
        maker.close()
    found = {post.id: post for post in stored(archive)}
    assert len(found) == 600 and found[shown.id].text == whole.text
    assert one.stored == 3 and one.error is None
