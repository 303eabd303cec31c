"""How fast the archive is: `python benchmarks/archive.py [--posts N] [--write N]`.

Yardstick first: the same posts as plain rows in a bare SQLite table by `executemany`, in the same
slices, without index, words or checks. Then writing posts, searching them, and small writes of four
people while an import and an analysis run. Texts are real ones when HUIYIN_REAL_DATA names the
folder, else invented. With real texts also a large archive (benchmarks/at_size.py), which is made
once (a quarter of an hour for a million posts). Writes benchmarks/results/archive.json.
"""

from __future__ import annotations

import argparse
import gc
import json
import lzma
import os
import random
import re
import resource
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# run as a file, this folder comes first and this file would be taken for the package `archive`
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from archive import FACETS, Archive, SearchRequest, open_archive  # noqa: E402
from huiyin.records import Author, Metrics, Origin, Post, Scope  # noqa: E402
from tests.archive.load import quantile, run_load  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results" / "archive.json"
START = datetime(2026, 3, 1, tzinfo=UTC)
BATCH = 5000
QUERIES = (
    "郑州", "停水", "武汉 AND 医院", "转发微博", '"新型冠状病毒"', "地铁 OR 公交", "好",
    "求助 NOT 转发", "created_at:2026-03-01", "likes:[10 TO *] AND 政府", "iphone*",
    "老师 (学生 OR 学校)", "", "的",
)  # fmt: skip
WORDS = re.findall(
    "..", "小区停水暴雨地铁医院学校老师政府求助什么时候恢复今天天气很好郑州武汉积水道路"
)


def texts(posts: int) -> tuple[list[str], str]:
    """`posts` texts and where they come from."""
    folder = Path(os.environ.get("HUIYIN_REAL_DATA", ""))
    file = folder / "pretrain" / "short_texts.txt.xz"
    if not file.exists():
        chance = random.Random(7)
        return ["".join(chance.choices(WORDS, k=chance.randint(4, 40))) for _ in range(posts)], (
            "invented"
        )
    found: list[str] = []
    with lzma.open(
        folder / "streams" / "cascades_reposts.jsonl.xz", "rt", encoding="utf-8"
    ) as lines:
        for line in lines:
            found.append(json.loads(line)["text"] or "")
            if len(found) >= posts * 6 // 10:
                break
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            found.append(line.strip())
            if len(found) >= posts:
                break
    return found[:posts], "real"


def make_posts(lines: list[str]) -> list[Post]:
    return [
        Post(
            id=f"weibo:{4_500_000_000_000 + n * 37}", text=text,
            created_at=START + timedelta(seconds=n * 7919 % 5_000_000),
            collected_at=START, read_at=START, offices=("office:default",),
            author=Author(key=f"{n % 5000:032x}"), source=Origin(spider="bench"),
            url=f"https://weibo.com/detail/{n}",
            metrics=Metrics(likes=n % 50, comments=0, reposts=1, read_at=START),
        )
        for n, text in enumerate(lines)
    ]  # fmt: skip


def yardstick(posts: list[Post], file: Path) -> float:
    """Posts a second as bare rows, a transaction a thousand."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE bare (id TEXT, created_at REAL, text TEXT, url TEXT)")
    started = time.perf_counter()
    for start in range(0, len(posts), 1000):
        rows = [
            (p.id, p.created_at.timestamp(), p.text, p.url) for p in posts[start : start + 1000]
        ]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO bare VALUES (?,?,?,?)", rows)
        connection.execute("COMMIT")
    return len(posts) / (time.perf_counter() - started)


def write(archive: Archive, posts: list[Post]) -> dict[str, float]:
    wall, processor = time.perf_counter(), time.process_time()
    for start in range(0, len(posts), BATCH):
        archive.put_posts(posts[start : start + BATCH])
    return {
        "posts_per_s": round(len(posts) / (time.perf_counter() - wall)),
        "posts_per_processor_s": round(len(posts) / (time.process_time() - processor)),
    }


def search(archive: Archive, rounds: int, **fields: Any) -> dict[str, float]:
    """Milliseconds of one search over all queries."""
    times, processor = [], time.process_time()
    for _ in range(rounds):
        for query in QUERIES:
            started = time.perf_counter()
            archive.search(SearchRequest(query, **fields), Scope.everything())
            times.append((time.perf_counter() - started) * 1000)
    spent = (time.process_time() - processor) * 1000 / len(times)
    return {
        "p50_ms": round(quantile(times, 0.5), 1), "p95_ms": round(quantile(times, 0.95), 1),
        "mean_processor_ms": round(spent, 1),
    }  # fmt: skip


def measure(count: int, folder: Path) -> dict[str, Any]:
    lines, source = texts(count)
    posts = make_posts(lines)
    gc.collect()
    gc.freeze()  # the posts made beforehand are no part of what is measured
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    out: dict[str, Any] = {
        "posts": len(posts), "texts": source,
        "mean_characters": round(sum(map(len, lines)) / len(lines), 1),
        "cores": os.cpu_count(), "load_at_start": [round(one, 1) for one in os.getloadavg()],
        "sqlite": sqlite3.sqlite_version,
        "bare_table_posts_per_s": round(yardstick(posts, folder / "bare.db")),
    }  # fmt: skip
    archive = open_archive(f"sqlite:///{folder / 'a.db'}")
    out["write"] = write(archive, posts)
    out["write_again"] = write(archive, posts)
    out["memory_growth_mib"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) // 1024
    out["file_mb"] = round((folder / "a.db").stat().st_size / 1e6, 1)
    out["search"] = search(archive, 10)
    out["search_facets_timeline"] = search(archive, 5, facets=FACETS, timeline="day")
    out["search_by_relevance"] = search(archive, 5, newest_first=False)
    archive.close()
    load = run_load(f"sqlite:///{folder / 'load.db'}", posts=count // 2, people=4, acts=50)
    out["small_write_under_load"] = {
        "p50_ms": round(quantile(load.small_writes, 0.5) * 1000, 1),
        "p95_ms": round(load.small_write_p95 * 1000, 1),
        "max_ms": round(max(load.small_writes) * 1000, 1),
        "writes": len(load.small_writes), "errors": load.errors,
        "import_posts_per_s": round(count // 2 / load.import_seconds),
        "largest_log_mb": round(load.largest_log_bytes / 1e6, 1),
    }  # fmt: skip
    return out


def bars(out: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """What must hold: (what, bar, measured, holds)."""
    rate = out["write"]["posts_per_s"]
    rows = [("posts in, all indexes, no vectors", ">= 20,000/s", f"{rate:,}/s", rate >= 20_000)]
    size = out["at_size"]
    if "posts" in size:
        search = size["keyword_two_filters_facets_timeline"]["p95_ms"]
        near, memory = size["similar"], size["paging"]["peak_mib"]
        recall = min(one["recall_at_10"] for name, one in near.items() if name != "all")
        slow = near["all"]["p95_ms"]
        rows += [
            ("keyword, two filters, facets, timeline: p95", "<= 60 ms", f"{search} ms",
             search <= 60),
            ("similar: recall@10, lowest of all filters", ">= 0.95", f"{recall}", recall >= 0.95),
            ("similar: p95", "<= 80 ms", f"{slow} ms", slow <= 80),
            ("memory of a reader paging all posts", "<= 200 MB", f"{memory} MB", memory <= 200),
        ]  # fmt: skip
    return rows


def show(out: dict[str, Any], before: str = "") -> None:
    for name, value in out.items():
        if isinstance(value, dict):
            show(value, f"{before}{name}.")
        elif name != "bars":
            print(f"{before + name:<62}{value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--posts", type=int, default=1_000_000, help="posts in the large archive")
    parser.add_argument("--write", type=int, default=100_000, help="posts written from nothing")
    arguments = parser.parse_args()
    data = Path(os.environ.get("HUIYIN_REAL_DATA", ""))
    with tempfile.TemporaryDirectory() as folder:
        out = measure(arguments.write, Path(folder))
    if (data / "streams").is_dir():
        from benchmarks import at_size

        out["at_size"] = at_size.measure(
            data, arguments.posts, lambda text: print(text, flush=True)
        )
    else:
        out["at_size"] = {"skipped": "HUIYIN_REAL_DATA names no folder with real texts"}
    show(out)
    rows = bars(out)
    print()
    for what, bar, measured, holds in rows:
        print(f"{what:<50}{bar:<14}{measured:<14}{'holds' if holds else 'DOES NOT HOLD'}")
    out["bars"] = [dict(zip(("what", "bar", "measured", "holds"), row, strict=True))
                   for row in rows]  # fmt: skip
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(out, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
