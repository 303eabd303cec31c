"""The Elasticsearch engine beside the bare client: `python -m benchmarks.elastic [URL]`.

Needs HUIYIN_REAL_DATA; without a URL a server of deploy/elasticsearch-dev is started. Yardstick of
writing: `helpers.parallel_bulk` of the very same documents into an index of the same template.
Yardstick of searching: the very same bodies sent raw. Both are measured in turn with ours, several
times, so that a busy machine slows both. Writes benchmarks/results/elastic.json.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch, helpers

from archive import FACETS, SearchRequest
from archive.elastic import ElasticArchive
from archive.elastic.connection import Elastic
from archive.elastic.documents import document
from archive.elastic.templates import make_index
from benchmarks.importing import texts
from huiyin.records import Author, Metrics, Origin, Post, Scope
from tests.elasticsearch import dev_server, free_port, remove

POSTS = int(os.environ.get("HUIYIN_BENCH_POSTS", "30000"))
ROUNDS = int(os.environ.get("HUIYIN_BENCH_ROUNDS", "5"))
BATCH = 2000
"""Posts a call of `put_posts`, as the importer does it."""
THREADS = 4
SEARCHES = 80
ALL = Scope.everything()
RESULTS = Path(__file__).parent / "results" / "elastic.json"
WORDS = ("暴雨", "郑州", "停水 OR 停电", "医院 AND 老人", '"地铁"', "感谢", "投诉", "孩子")


def make_posts(data: Path, count: int) -> list[Post]:
    """Posts with real texts, and ids that encode their times as the platform's do."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    out = []
    source = (text for text in texts(data) if text.strip())
    for number, text in zip(range(count), source, strict=False):
        at = start + timedelta(seconds=97 * number)
        mid = ((int(at.timestamp()) - 515_483_463) << 22) + number % 4096
        counts = Metrics(reposts=number % 7, comments=number % 5, likes=number % 113, read_at=at)
        out.append(Post(
            id=f"weibo:{mid}", text=text, url=f"https://weibo.com/detail/{mid}", created_at=at,
            collected_at=at, read_at=at, offices=("weibo:1000",), metrics=counts,
            author=Author(key=f"{number % 30_011:016x}", region="河南"),
            source=Origin(spider="bench", run="r"),
        ))  # fmt: skip
    return out


def raw_writes(es: Elastic, posts: list[Post]) -> float:
    """Posts a second of `helpers.parallel_bulk`; documents are made before the clock starts."""
    documents = [json.loads(json.dumps(document(one), default=_plain)) for one in posts]
    alias = f"{es.posts}-2024"
    make_index(es, alias, es.posts)
    actions = [
        {"_op_type": "create", "_index": alias, "_id": one["id"], "_source": one}
        for one in documents
    ]
    started = time.perf_counter()
    for ok, item in helpers.parallel_bulk(es.client, actions, thread_count=THREADS, chunk_size=500):
        assert ok, item
    return len(posts) / (time.perf_counter() - started)


def _plain(value: Any) -> str:
    return str(value.isoformat())


def our_writes(archive: ElasticArchive, posts: list[Post]) -> float:
    """Posts a second of `put_posts`, documents made meanwhile."""
    make_index(archive._es, f"{archive._es.posts}-2024", archive._es.posts)
    started = time.perf_counter()
    new = sum(archive.put_posts(posts[at : at + BATCH]).new for at in range(0, len(posts), BATCH))
    seconds = time.perf_counter() - started
    assert new == len(posts), new
    return len(posts) / seconds


@contextmanager
def fresh(url: str) -> Iterator[ElasticArchive]:
    """An empty archive on the server, removed afterwards."""
    prefix = f"bench-{secrets.token_hex(3)}"
    archive = ElasticArchive(f"{url}/{prefix}")
    try:
        yield archive
    finally:
        archive.close()
        remove(url, prefix)


def writing(url: str, posts: list[Post]) -> dict[str, Any]:
    """The two in turn; every pair gives a ratio."""
    raw, ours = [], []
    for number in range(ROUNDS + 1):
        with fresh(url) as archive:
            one = raw_writes(archive._es, posts)
        with fresh(url) as archive:
            other = our_writes(archive, posts)
        if number:  # the first pair warms the server
            raw.append(one)
            ours.append(other)
        print(f"  raw {one:8.0f}/s   ours {other:8.0f}/s   {other / one:.2f}", flush=True)
    ratios = [mine / theirs for mine, theirs in zip(ours, raw, strict=True)]
    return {
        "posts": len(posts), "rounds": ROUNDS, "raw_posts_per_s": round(statistics.median(raw)),
        "our_posts_per_s": round(statistics.median(ours)),
        "ours_to_raw": round(statistics.median(ratios), 3),
        "ratios": [round(one, 3) for one in ratios],
    }  # fmt: skip


def searching(url: str, posts: list[Post]) -> dict[str, Any]:
    """Milliseconds of our search and of its own requests sent raw, in turn."""
    with fresh(url) as archive:
        archive.put_posts(posts)
        archive._es.refresh(archive._es.posts)
        client = Elasticsearch(url)
        out = {}
        for name, fields in (
            ("newest", {}),
            ("facets_timeline", {"facets": FACETS, "timeline": "day"}),
        ):
            requests = [SearchRequest(word, **fields) for word in WORDS]
            out[name] = _compare(archive, client, requests)
        client.close()
    return out


def _compare(
    archive: ElasticArchive, client: Elasticsearch, requests: list[SearchRequest]
) -> dict[str, float]:
    sent = [_requests_of(archive, one) for one in requests]
    ours: list[float] = []
    raw: list[float] = []
    for number in range(SEARCHES):
        place = number % len(requests)
        pair = [
            (raw, partial(_send, client, sent[place])),
            (ours, partial(archive.search, requests[place], ALL)),
        ]
        # who comes second finds the server's caches warm
        for times, act in pair if number // len(requests) % 2 else reversed(pair):
            times.append(_timed(act))
    warm = slice(len(requests), None)
    p50_raw, p50_ours = statistics.median(raw[warm]), statistics.median(ours[warm])
    return {
        "requests_a_search": statistics.mean(map(len, sent)),
        "raw_p50_ms": round(p50_raw, 2), "our_p50_ms": round(p50_ours, 2),
        "more_ms": round(p50_ours - p50_raw, 2),
    }  # fmt: skip


def _requests_of(archive: ElasticArchive, request: SearchRequest) -> list[tuple[str, str, Any]]:
    """What a search asks the server: (method, path with parameters, body)."""
    from urllib.parse import urlencode

    noted: list[tuple[str, str, Any]] = []
    was = archive._es.request

    def note(method: str, path: str, **more: Any) -> Any:
        query = urlencode(more.get("params") or {})
        noted.append((method, f"{path}?{query}" if query else path, more.get("body")))
        return was(method, path, **more)

    archive._es.request = note  # type: ignore[method-assign]
    try:
        archive.search(request, ALL)
    finally:
        archive._es.request = was  # type: ignore[method-assign]
    return noted


def _send(client: Elasticsearch, requests: list[tuple[str, str, Any]]) -> None:
    headers = {"accept": "application/json", "content-type": "application/json"}
    for method, path, body in requests:
        client.perform_request(method, path, headers=headers, body=body)


def _timed(act: Callable[[], Any]) -> float:
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1000


def measure(url: str) -> dict[str, Any]:
    """All figures of one server."""
    posts = make_posts(Path(os.environ["HUIYIN_REAL_DATA"]), POSTS)
    load = os.getloadavg()[0]
    print(f"posts in ({POSTS} a round, load {load:.1f}; yardstick: helpers.parallel_bulk)")
    wrote = writing(url, posts)
    print(f"  median of ratios {wrote['ours_to_raw']} (bar 0.85)")
    found = searching(url, posts)
    print("search (yardstick: the same DSL sent raw)")
    for name, one in found.items():
        print(f"  {name:16s} raw p50 {one['raw_p50_ms']:7.2f} ms   ours {one['our_p50_ms']:7.2f} ms"
              f"   +{one['more_ms']:.2f} (bar +5)")  # fmt: skip
    return {"load_at_start": round(load, 1), "cpus": os.cpu_count(), "posts_in": wrote,
            "search": found}  # fmt: skip


def main() -> None:
    if len(sys.argv) > 1:
        result = measure(sys.argv[1].rstrip("/"))
    else:
        port = str(free_port())
        dev_server("start", "--port", port, "--fresh", "--heap", "1g")
        try:
            result = measure(f"http://127.0.0.1:{port}")
        finally:
            dev_server("stop", "--port", port, "--remove")
    RESULTS.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
