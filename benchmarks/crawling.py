"""How completely and how fast is collected: `python -m benchmarks.crawling [--small]`.

A local platform (tests/platforms/weibo.py, a process of its own) with objects as Weibo sends them;
with HUIYIN_REAL_DATA's recorded payloads where they are. Printed first: the yardstick, a bare
Scrapy spider that asks for the same pages in the same order and only counts. Then the rows that
must hold.
Writes benchmarks/results/crawling.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archive import open_archive
from huiyin.records import Post, Scope, Source
from tests.crawler.reader import launch

RESULTS = Path(__file__).parent / "results" / "crawling.json"
EVERYTHING = Scope.everything()
FORKS = multiprocessing.get_context("forkserver")
Row = tuple[str, str, str, bool]
PATH = "/2/statuses/mentions.json?access_token=token-1&count=200"


@contextmanager
def platform(**options: Any) -> Iterator[str]:
    """A platform in a process of its own; its root."""
    if real := os.environ.get("HUIYIN_REAL_DATA"):
        options.setdefault("payloads", str(Path(real) / "payloads"))
    command = [sys.executable, "-m", "tests.platforms.weibo", json.dumps(options)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
    finally:
        child.kill()
        child.wait()


def everything(root: str) -> set[int]:
    """All numbers that the platform holds."""
    with urllib.request.urlopen(f"{root}/_posts", timeout=60) as answer:  # noqa: S310
        return set(json.load(answer))


def crawl(folder: Path, root: str, **options: Any) -> Any:
    """Start a crawl in a forked process."""
    said = json.dumps({"archive": f"sqlite:///{folder / 'a.db'}", "platform": root, **options})
    child = FORKS.Process(target=launch, args=(said, str(folder / "crawl.log")))
    child.start()
    return child


def posts(folder: Path) -> list[Post]:
    """All that was stored."""
    archive = open_archive(f"sqlite:///{folder / 'a.db'}")
    found = list(archive.iter_posts(EVERYTHING))
    archive.close()
    return found


def source(folder: Path) -> Source:
    """The source of the mentions."""
    archive = open_archive(f"sqlite:///{folder / 'a.db'}")
    stored = archive.get(Source, "source:weibo:101:mentions", EVERYTHING)
    archive.close()
    assert stored is not None
    return stored.record


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """True when it came to hold in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.2)
    return False


# ---------------------------------------------------------------- speed


def bare(root: str, log: str, answer: Any) -> None:
    """The yardstick: Scrapy, the same pages one after the other, objects counted."""
    from scrapy import Request, Spider
    from scrapy.crawler import CrawlerRunner
    from scrapy.utils.reactor import install_reactor

    from crawler.crawl import _REACTOR, scrapy_settings

    install_reactor(_REACTOR)
    from twisted.internet import reactor as installed

    reactor: Any = installed

    class Counting(Spider):
        name = "counting"
        seen = 0
        began = worked = 0.0

        async def start(self) -> Any:
            self.began, self.worked = time.perf_counter(), time.process_time()
            yield Request(root + PATH, dont_filter=True)

        def parse(self, response: Any) -> Any:
            page = json.loads(response.body)
            Counting.seen += len(page["statuses"])
            if cursor := page["next_cursor"]:
                yield Request(f"{root}{PATH}&max_id={cursor}", dont_filter=True)
            else:
                took, worked = time.perf_counter() - self.began, time.process_time() - self.worked
                answer.put((Counting.seen, took, worked))

    settings = scrapy_settings(root) | {"ITEM_PIPELINES": {}, "DOWNLOAD_HANDLERS": {}}
    del settings["CONCURRENT_ITEMS"]  # as Scrapy has it
    ended: Any = CrawlerRunner(settings).crawl(Counting)
    ended.addBoth(lambda _: reactor.stop())
    reactor.run()


def _worked(said: str, log: str, answer: Any) -> None:
    """A crawl, then the processor time that it and the process beside it took, start included."""
    before = time.process_time()
    launch(said, log)
    beside = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer.put((time.process_time() - before, beside.ru_utime + beside.ru_stime))


def speed(count: int, repeats: int) -> tuple[list[Row], dict[str, Any]]:
    """Objects a second, ours against the bare spider's, by turns; the middle one of their ratios:

    the machine's own pace changes by half within a minute, less from one crawl to the next.
    """
    found: dict[str, list[float]] = {"bare": [], "ours": []}
    work: dict[str, list[Any]] = {"bare_processor_us": [], "ours_processor_us": []}
    answer = FORKS.Queue()
    with platform(posts=count, minutes=count) as root:
        for _ in range(repeats):
            child = FORKS.Process(target=bare, args=(root, "", answer))
            child.start()
            seen, seconds, worked = answer.get(timeout=600)
            child.join()
            assert seen == count
            found["bare"].append(count / seconds)
            work["bare_processor_us"].append(1e6 * worked / count)
            print(f"yardstick: bare counting spider {count / seconds:,.0f} items/s", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                rate, here, beside = _ours(Path(folder), root, count, answer)
            found["ours"].append(rate)
            work["ours_processor_us"].append((1e6 * here / count, 1e6 * beside / count))
            print(f"ours: {rate:,.0f} items/s; load {os.getloadavg()[0]:.1f}", flush=True)
    ratios = [ours / bare for ours, bare in zip(found["ours"], found["bare"], strict=True)]
    ratio = sorted(ratios)[repeats // 2]
    row = ("our spider and pipeline against it", ">= 60 %", f"{ratio:.0%}", ratio >= 0.6)
    return [row], {"posts": count, **found, **work, "ratio": ratio}


def _ours(place: Path, root: str, count: int, answer: Any) -> tuple[float, float, float]:
    """Objects a second of one crawl, and processor seconds of it and of the process beside."""
    said = {"archive": f"sqlite:///{place / 'a.db'}", "platform": root, "once": True}
    child = FORKS.Process(target=_worked, args=(json.dumps(said), str(place / "crawl.log"), answer))
    child.start()
    here, beside = answer.get(timeout=900)
    child.join()
    one = source(place)
    began = min(post.collected_at for post in posts(place))
    assert one.last_ok_at is not None and len(posts(place)) == count
    # from the first page's answer to the end of the round, all on disk
    return (count - 200) / (one.last_ok_at - began).total_seconds(), here, beside


# ---------------------------------------------------------------- completeness


def complete(count: int, kills: int, seconds: float) -> tuple[list[Row], dict[str, Any]]:
    """A shifting list with faults on 5 % of answers; with `kills` SIGKILLs at random times."""
    chance, began = random.Random(20261122), time.monotonic()
    shifting = platform(posts=count, minutes=count, fault_rate=0.05, live_every=0.2, repeat=3)
    with shifting as root, tempfile.TemporaryDirectory() as folder:
        place, done = Path(folder), 0
        for _ in range(kills):
            child = crawl(place, root)
            time.sleep(0.5 + chance.random() * 6)
            child.kill()
            child.join()
            done += 1
        child = crawl(place, root)
        whole = until(lambda: _settled(place, count), seconds)
        known = everything(root)
        time.sleep(5)
        child.terminate()
        child.join(60)
        found = [int(post.id.partition(":")[2]) for post in posts(place)]
    stored = len(known & set(found)) / len(known)
    twice = len(found) - len(set(found))
    name = f"{len(known):,} posts on a shifting list, 5 % faults, {done} kills"
    good = whole and stored == 1.0 and twice == 0
    row = (name, "100 %, none twice", f"{stored:.4%}, {twice} twice", good)
    took = time.monotonic() - began
    return [row], {"posts": len(known), "kills": done, "stored": stored, "twice": twice,
                   "seconds": took}  # fmt: skip


def _settled(place: Path, count: int) -> bool:
    try:
        one = source(place)
        if not one.cursor or one.ahead or one.state != "ok":
            return False
        archive = open_archive(f"sqlite:///{place / 'a.db'}")
        known = archive.counts()["posts"]
        archive.close()
    except AssertionError:
        return False
    return known >= count


# ---------------------------------------------------------------- freshness


def freshness(seconds: float) -> tuple[list[Row], dict[str, Any]]:
    """New post on the platform -> in the archive, read every 5 s."""
    live = platform(posts=200, minutes=600, live_every=0.5)
    with live as root, tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        child = crawl(place, root, every=5.0)
        until(lambda: (place / "a.db").exists() and _settled(place, 200), 120)
        start = datetime.now(UTC)
        time.sleep(seconds)
        child.terminate()
        child.join(60)
        late = sorted(
            (post.collected_at - post.created_at).total_seconds()
            for post in posts(place) if post.created_at >= start
        )  # fmt: skip
    # a number tells its second only: half a second is taken off
    p95 = late[int(0.95 * (len(late) - 1))] - 0.5
    row = ("new post -> archive at a 5 s poll, p95", "<= 7 s", f"{p95:.1f} s", p95 <= 7.0)
    return [row], {"posts": len(late), "p50": late[len(late) // 2] - 0.5, "p95": p95}


# ---------------------------------------------------------------- a day on 100 calls


def day(speed_up: float) -> tuple[list[Row], dict[str, Any]]:
    """A whole day, `speed_up` times as fast, on 100 calls over four lists of one account."""

    from crawler.budget import plan
    from huiyin.records import Quota

    start = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)  # midnight in Shanghai
    lists = {"mentions": 600, "comments_to_me": 900, "comments_mentions": 100, "timeline": 20}
    asked_for = [*lists, "counts"]
    origin = time.time() + 20
    clock: dict[str, Any] = {"start": start.isoformat(), "origin": origin, "speed": speed_up}
    played = platform(day={**clock, "lists": lists}, limit=100, tells_limit=True)
    with played as root, tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        child = crawl(place, root, endpoints=asked_for, every=60, **clock)
        time.sleep(origin - time.time() + 86_000 / speed_up)
        child.terminate()
        child.join(60)
        found = posts(place)
        with urllib.request.urlopen(f"{root}/_calls", timeout=60) as answer:  # noqa: S310
            told = json.load(answer)
    asked = {path: n for path, n in told["calls"].items() if "rate_limit" not in path}
    calls, refused = sum(asked.values()), told["refused"]
    beside = {one: plan_of(one) for one in asked_for}
    quota = Quota(id="", limit=100, window_seconds=86400, resets_at=start)
    promised = {name: plan(one, beside.values(), quota) for name, one in beside.items()}
    rows: list[Row] = [
        ("calls on a simulated day", "<= 100", f"{calls} ({refused} refused)", calls <= 100)
    ]
    figures: dict[str, Any] = {"calls": calls, "asked": asked, "refused": refused}
    for name in lists:
        late = sorted((one.collected_at - one.created_at).total_seconds() for one in found
                      if one.source.query == name and _by_day(one.created_at)
                      and one.created_at >= start)  # fmt: skip
        if not late:
            rows.append((f"{name}: seen by day", "some", "none", False))
            continue
        bar, p95 = promised[name].seen_by_day, late[int(0.95 * (len(late) - 1))]
        figures[name] = {"promised_seconds": bar, "p95": p95, "posts": len(late)}
        rows.append((f"{name}: seen by day after, p95", f"<= {bar / 60:.0f} min",
                     f"{p95 / 60:.0f} min", p95 <= bar))  # fmt: skip
    return rows, figures


def _by_day(at: datetime) -> bool:
    return 8 <= (at.hour + 8) % 24 < 21


def plan_of(name: str) -> Source:
    """A source as the day has it."""
    return Source(id=name, spider="weibo_official", account="a", every_seconds=60,
                  parameters={"endpoint": name, "uid": "101"})  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="a tenth of everything")
    options.add_argument("--only", default="", help="speed, complete, kills, fresh or day")
    said = options.parse_args()
    FORKS.set_forkserver_preload(["tests.crawler.reader", "tests.crawler.preload"])
    part = 10 if said.small else 1
    # the day is not run faster: a second of work here is two minutes there, and the promise of
    # half an hour allows for a few seconds
    parts: dict[str, Callable[[], tuple[list[Row], dict[str, Any]]]] = {
        # a first reading of some months: what a process beside costs to start is in it
        "speed": lambda: speed(50_000 // part, 7),
        "complete": lambda: complete(100_000 // part, 0, 1800),
        "kills": lambda: complete(100_000 // part, 50 // part, 1800),
        "fresh": lambda: freshness(120 / part if part == 1 else 40),
        "day": lambda: day(120),
    }
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    print(f"load {os.getloadavg()}, {os.cpu_count()} cores")
    for name, measure in parts.items():
        if said.only and name != said.only:
            continue
        rows, figures = measure()
        for title, bar, value, good in rows:
            print(f"{'ok ' if good else 'BAD'} {title}: {value} (bar {bar})", flush=True)
        found[name] = {"rows": rows, "load": os.getloadavg(), **figures}
        RESULTS.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
