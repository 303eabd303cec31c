"""Pages that wait together are written together; one that cannot be stored harms no other."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from archive.base import PutReport
from crawler import Identity
from crawler.items import PageItem
from crawler.pipelines import ArchivePipeline
from crawler.rounds import Round
from crawler.weibo_api import ENDPOINTS
from huiyin.errors import ArchiveError
from huiyin.records import Post
from tests.crawler.reader import BOOK, source
from tests.platforms.weibo import Platform, number_at

NOW = datetime(2026, 3, 5, 4, 20, tzinfo=UTC)


class Slow:
    """An archive whose first write waits until it is let go, and that refuses some posts."""

    def __init__(self, refuses: int = 0, error: type[Exception] = ArchiveError) -> None:
        self.refuses, self.error = f"weibo:{refuses}", error
        self.writes: list[list[str]] = []
        self.stored: list[str] = []
        self.may_go = threading.Event()

    def put_posts(self, posts: Sequence[Post]) -> PutReport:
        ids = [post.id for post in posts]
        self.writes.append(ids)
        if len(self.writes) == 1:
            assert self.may_go.wait(10)
        if self.refuses in ids:
            raise self.error("这一条存不进")
        self.stored += ids
        return PutReport(new=len(ids))

    def get_posts(self, ids: Sequence[str], scope: Any) -> dict[str, Post]:
        return {}


class Pipeline(ArchivePipeline):
    """With a thread of asyncio's instead of Twisted's, and a job of plain values."""

    def __init__(self, archive: Any) -> None:
        self.job = SimpleNamespace(
            archive=archive, identity=Identity(b"x" * 32), accounts=BOOK, clock=lambda: NOW,
            progress=lambda source, done: None, unknown=defaultdict(Counter),
        )  # fmt: skip
        spider = SimpleNamespace(job=self.job, name="weibo_official")
        super().__init__(cast("Any", SimpleNamespace(spider=spider)))

    async def _in_thread(self, work: Callable[[], Any], pool: Any = None) -> Any:
        return await asyncio.to_thread(work)


def pages(one: Round, count: int) -> list[PageItem]:
    """Pages of two posts, the newest first, as the spider hands them over."""
    platform, found = Platform(), []
    for n in range(count, 0, -1):
        numbers = [number_at(NOW, 2 * n), number_at(NOW, 2 * n - 1)]
        objects = tuple(json.loads(platform.render(number, "statuses")) for number in numbers)
        found.append(PageItem(one, objects, NOW, (numbers[1], numbers[0])))
    one.pages = count
    return found


async def run(pipeline: Pipeline, archive: Slow, items: list[PageItem]) -> list[Any]:
    waiting = [asyncio.ensure_future(pipeline.process_item(items[0]))]
    while not archive.writes:  # an idle pipeline waits for nobody
        await asyncio.sleep(0.01)
    waiting += [asyncio.ensure_future(pipeline.process_item(item)) for item in items[1:]]
    await asyncio.sleep(0.05)
    assert not any(one.done() for one in waiting)  # nothing counts before it is on disk
    assert not items[0].round.done
    archive.may_go.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.wait_for(items[0].round.all_stored(), 5)
    return found


def test_pages_that_came_while_the_disk_was_busy_are_one_write() -> None:
    archive = Slow()
    one = Round(source("mentions", cursor="1"), NOW, endpoint=ENDPOINTS["mentions"])
    asyncio.run(run(Pipeline(archive), archive, pages(one, 6)))
    assert [len(ids) for ids in archive.writes] == [2, 10]
    assert len(archive.stored) == len(set(archive.stored)) == 12
    assert one.fresh == 12 and one.stored == 6 and len(one.done) == 6 and one.error is None


def test_all_objects_of_a_looked_at_page_are_looked_through_for_each_source() -> None:
    archive = Slow()
    archive.may_go.set()
    pipeline = Pipeline(archive)

    async def store(name: str, count: int) -> None:
        one = Round(source(name), NOW, endpoint=ENDPOINTS["mentions"])
        for number, item in enumerate(pages(one, count)):
            first, second = item.objects
            strange = {**second, f"new_{number}": 1}
            await pipeline.process_item(PageItem(one, (first, strange), NOW))

    asyncio.run(store("mentions", 26))
    asyncio.run(store("timeline", 1))
    assert pipeline.job.unknown == {
        "source:weibo:101:mentions": {"new_0": 1, "new_25": 1},
        "source:weibo:101:timeline": {"new_0": 1},
    }


@pytest.mark.parametrize("error", [ArchiveError, KeyError])
def test_a_page_that_cannot_be_stored_is_lost_alone(error: type[Exception]) -> None:
    archive = Slow(refuses=number_at(NOW, 5), error=error)
    one = Round(source("mentions", cursor="1"), NOW, endpoint=ENDPOINTS["mentions"])
    found = asyncio.run(run(Pipeline(archive), archive, pages(one, 6)))
    assert len(archive.stored) == 10 and one.error is not None and one.stored == 6
    # what lies below the page that was lost does not count: the cursor must not pass it
    assert one.done == [(number_at(NOW, n - 1), number_at(NOW, n)) for n in (12, 10, 8)]
    assert sum(isinstance(result, KeyError) for result in found) == (error is KeyError)
