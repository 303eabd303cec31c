"""How fast files are imported: `python -m benchmarks.importing` (needs HUIYIN_REAL_DATA).

100,000 posts with real texts in weibo-search's CSV form. Yardstick: the same rows parsed and put
into a bare SQLite table, without masking, author keys, validation or full-text index.
Writes benchmarks/results/importing.json.
"""

from __future__ import annotations

import csv
import gzip
import json
import lzma
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from archive import open_archive
from crawler import AccountBook, Identity, import_files
from crawler.build import Builder
from crawler.importers.base import read_rows
from crawler.importers.files import open_file
from crawler.importers.formats import recognise_file
from huiyin.clock import system_clock

POSTS = 100_000
RESULTS = Path(__file__).parent / "results" / "importing.json"
HEADER = (  # noqa: SIM905 - as the tool writes it
    "id,bid,user_id,用户昵称,微博正文,头条文章url,发布位置,艾特用户,话题,转发数,评论数,点赞数,发布时间,"
    "发布工具,微博图片url,微博视频url,retweet_id,ip,user_authentication,会员类型,会员等级"
).split(",")


def texts(data: Path) -> Iterator[str]:
    """Real texts: flood posts, reactions, comments under official posts, reposts."""
    for name in ("flood_2021.jsonl.gz", "event_posts.jsonl.gz", "event_reactions.jsonl.gz",
                 "gov_comments.jsonl.gz"):  # fmt: skip
        with gzip.open(data / "streams" / name, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)["text"]
    with lzma.open(data / "streams" / "cascades_reposts.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


def write_file(path: Path, data: Path, posts: int) -> float:
    """Write the CSV; returns the mean length of a text in characters."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    length = 0
    source = (text for text in texts(data) if text.strip())
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(HEADER)
        for number, text in zip(range(posts), source, strict=False):
            at = start + timedelta(seconds=97 * number)
            mid = ((int(at.timestamp()) - 515_483_463) << 22) + number % 4096
            length += len(text)
            out.writerow([
                mid, "", 5_000_000_000 + number % 30_011, f"网友{number % 30_011}", text, "", "",
                "", "", number % 7, number % 5, number % 113,
                (at + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S"), "", "", "", "",
                "发布于 河南", "普通用户", "", "",
            ])  # fmt: skip
    return length / posts


def yardstick(path: Path, folder: Path) -> float:
    """Posts a second of csv + json + executemany into one bare table, WAL, one commit a batch."""
    base = sqlite3.connect(folder / "bare.db")
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=FULL")
    base.execute("CREATE TABLE post (id TEXT PRIMARY KEY, body TEXT)")
    begin = time.perf_counter()
    with path.open(encoding="utf-8-sig", newline="") as stream:
        batch: list[tuple[str, str]] = []
        for row in csv.DictReader(stream):
            batch.append((row["id"], json.dumps(row, ensure_ascii=False)))
            if len(batch) == 1000:
                with base:
                    base.executemany("INSERT INTO post VALUES (?, ?)", batch)
                batch = []
        with base:
            base.executemany("INSERT INTO post VALUES (?, ?)", batch)
    seconds = time.perf_counter() - begin
    base.close()
    return POSTS / seconds


def reading(path: Path) -> tuple[float, float]:
    """(posts a second, of processor time) for reading, masking and building alone."""
    now = system_clock()
    build = Builder(identity=Identity(b"b" * 32), accounts=AccountBook(), office="office:default",
                    spider="bench", at=now, now=now)  # fmt: skip
    opened = open_file(path)
    importer = recognise_file(opened, None)
    begin, spent = time.perf_counter(), time.process_time()
    count = sum(
        len(row) for row in read_rows(importer, opened.items, build) if isinstance(row, list)
    )
    return count / (time.perf_counter() - begin), count / (time.process_time() - spent)


def one_import(path: Path, database: Path) -> dict[str, Any]:
    """Import into an SQLite archive; runs in a process of its own for the memory figure."""
    archive = open_archive(f"sqlite:///{database}")
    begin, spent = time.perf_counter(), time.process_time()
    (report,) = import_files(
        [path], archive=archive, identity=Identity(b"b" * 32), accounts=AccountBook(),
        office="office:default", clock=system_clock,
    )  # fmt: skip
    seconds, processor = time.perf_counter() - begin, time.process_time() - spent
    archive.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"read": report.read, "new": report.new, "posts_per_s": round(report.read / seconds),
            "posts_per_processor_s": round(report.read / processor),
            "peak_rss_mib": round(peak)}  # fmt: skip


def in_process(*arguments: str) -> dict[str, Any]:
    """Run this module's `one_import` in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.importing", *arguments],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one_import(Path(sys.argv[2]), Path(sys.argv[3]))))
        return
    data = Path(os.environ["HUIYIN_REAL_DATA"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, small = folder / "posts.csv", folder / "small.csv"
        length = write_file(file, data, POSTS)
        write_file(small, data, POSTS // 10)
        wall, processor = reading(file)
        result = {
            "posts": POSTS, "mean_characters": round(length, 1), "cores": os.cpu_count(),
            "load": [round(one, 1) for one in os.getloadavg()],
            "bare_table_posts_per_s": round(yardstick(file, folder)),
            "reading_posts_per_s": round(wall), "reading_posts_per_processor_s": round(processor),
            "import_10k": in_process("--one", str(small), str(folder / "small.db")),
            "import": in_process("--one", str(file), str(folder / "huiyin.db")),
            "import_again": in_process("--one", str(file), str(folder / "huiyin.db")),
        }  # fmt: skip
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
