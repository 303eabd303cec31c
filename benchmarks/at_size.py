"""What `benchmarks/archive.py` measures on the archive of a million posts (benchmarks/million.py).

Keywords: words that jieba finds in 20,000 of the texts, drawn by a fixed seed, 12 from each of five
bands of document frequency; so rare and frequent words count alike. Each is asked with six of the
28 pairs of eight filters, all facets and a timeline by day. Totals are compared with plain SQL over
the tables. Exact neighbours come from all vectors in float32.
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import re
import resource
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jieba
import numpy as np
import numpy.typing as npt

from archive import FACETS, Archive, Filters, SearchRequest, open_archive
from archive.sqlite.matching import row_numbers
from archive.sqlite.where import match_expression, where
from archive.tokens import pieces
from benchmarks import million
from huiyin.records import AuthorKind, Kind, Scope
from tests.archive.load import quantile

ALL = Scope.everything()
BANDS = ((1, 3), (4, 15), (16, 60), (61, 250), (251, 20_000))
"""Texts of 20,000 that have the word."""
A_BAND = 12
CHARACTERS = ("的", "好", "水", "我")
"""Single characters, reported apart: they are found as the beginning of thousands of tokens."""
FILTERS: dict[str, Filters] = {
    "a month": Filters(
        since=million.START + timedelta(days=400), until=million.START + timedelta(days=430)
    ),
    "platform": Filters(platforms=("weibo",)),
    "office": Filters(offices=("weibo:1003",)),
    "province": Filters(region="410000"),
    "category": Filters(category=("城乡建设",)),
    "sentiment": Filters(sentiments=("negative",)),
    "author kind": Filters(author_kinds=(AuthorKind.ORDINARY, AuthorKind.VERIFIED)),
    "kind": Filters(kinds=(Kind.POST,)),
}  # fmt: skip
PAIRS = tuple(itertools.combinations(FILTERS, 2))
ASKED = 100
"""Held-out vectors that neighbours are asked for."""
SIMILAR_FILTERS = (None, "platform", "sentiment", "a month", "province", "office")
SPAWN = multiprocessing.get_context("spawn")
Say = Callable[[str], None]


def keywords(texts: Sequence[str]) -> list[str]:
    """The words described above."""
    sample = random.Random(11).sample(list(texts), min(20_000, len(texts)))
    found = Counter(
        word for text in sample for word in set(jieba.cut(text))
        if len(word) > 1 and len(pieces(word)) == 1
    )  # fmt: skip
    chance, out = random.Random(13), []
    for low, high in BANDS:
        band = sorted(word for word, count in found.items() if low <= count <= high)
        out += chance.sample(band, min(A_BAND, len(band)))
    return out


def both(pair: tuple[str, str]) -> Filters:
    """Two of `FILTERS` in one."""
    one, two = (FILTERS[name] for name in pair)
    given = {name: value for name, value in vars(two).items() if value != getattr(Filters(), name)}
    return replace(one, **given)


def spread(times: Iterable[float]) -> dict[str, float]:
    """Milliseconds from seconds."""
    values = [one * 1000 for one in times]
    return {
        "p50_ms": round(quantile(values, 0.5), 1), "p95_ms": round(quantile(values, 0.95), 1),
        "max_ms": round(max(values), 1), "searches": len(values),
    }  # fmt: skip


def timed(archive: Archive, request: SearchRequest) -> float:
    started = time.perf_counter()
    archive.search(request, ALL)
    return time.perf_counter() - started


def phrase(word: str) -> str:
    return f'"{word}"'


def searching(archive: Archive, words: Sequence[str]) -> dict[str, Any]:
    full: dict[str, Any] = {"facets": FACETS, "timeline": "day"}
    asked = [
        SearchRequest(phrase(word), filters=both(PAIRS[(n * 6 + k) % len(PAIRS)]), **full)
        for n, word in enumerate(words) for k in range(6)
    ]  # fmt: skip
    for word in words:  # warm: the pages of the index are in memory
        archive.search(SearchRequest(phrase(word)), ALL)
    return {
        "keyword_two_filters_facets_timeline": spread(timed(archive, one) for one in asked),
        "keyword_facets_timeline": spread(
            timed(archive, SearchRequest(phrase(word), **full)) for word in words
        ),
        "keyword_newest_first": spread(
            timed(archive, SearchRequest(phrase(word))) for word in words
        ),
        "keyword_by_relevance": spread(
            timed(archive, SearchRequest(phrase(word), newest_first=False)) for word in words
        ),
        "one_character_newest_first": spread(
            timed(archive, SearchRequest(word)) for word in CHARACTERS for _ in range(3)
        ),
        "everything_facets_timeline": spread(
            timed(archive, SearchRequest("", **full)) for _ in range(10)
        ),
        "checked_against_sql": agree(archive, asked),
    }


def agree(archive: Archive, asked: Sequence[SearchRequest]) -> str:
    """Compare totals and one facet of every ninth search with SQL over the tables."""
    from archive import query as q

    connection = sqlite3.connect(f"file:{file_of(archive)}?mode=ro", uri=True)
    compared = 0
    for request in asked[::9]:
        result = archive.search(replace(request, limit=0), ALL)
        wanted = where(ALL, request.filters)
        wanted.add("p.deleted_at IS NULL")
        wanted.add("p.n IN (SELECT rowid FROM words WHERE words MATCH ?)",
                   match_expression(q.parse(request.query)))  # fmt: skip
        rows = connection.execute(
            f"SELECT p.sentiment, count(*) FROM posts p WHERE {wanted.sql} GROUP BY 1",  # noqa: S608
            wanted.parameters,
        ).fetchall()
        assert result.total == sum(count for _, count in rows), request
        assert dict(result.facets["sentiment"]) == dict(rows), request
        compared += 1
    connection.close()
    return f"{compared} searches equal"


def file_of(archive: Archive) -> Path:
    file: Path = archive._db.file  # type: ignore[attr-defined]
    return file


def similar(archive: Archive, asked: million.Half, say: Say) -> dict[str, Any]:
    """Recall@10 and time, with and without filters."""
    connection = sqlite3.connect(f"file:{file_of(archive)}?mode=ro", uri=True)
    numbers, scores = exact(connection, asked.astype(np.float32))
    say("exact neighbours are known")
    out: dict[str, Any] = {}
    times: list[float] = []
    archive.similar(asked[0].tobytes(), million.MODEL, ALL)
    for name in SIMILAR_FILTERS:
        filters = FILTERS[name] if name else None
        wanted = where(ALL, filters)
        mask = np.zeros(int(numbers.max()) + 1, dtype=np.bool_)
        sql = f"SELECT p.n AS n FROM posts p WHERE {wanted.sql}"  # noqa: S608
        mask[row_numbers(connection, sql, wanted.parameters)] = True
        recalls, mine = [], []
        for vector, row in zip(asked, scores, strict=True):
            started = time.perf_counter()
            hits = archive.similar(vector.tobytes(), million.MODEL, ALL, filters=filters, limit=10)
            mine.append(time.perf_counter() - started)
            possible = row[mask[numbers]]
            tenth = np.partition(possible, -10)[-10]
            recalls.append(sum(hit.score >= tenth - 1e-4 for hit in hits) / 10)
        times += mine
        out[name or "no filter"] = {
            "posts": int(mask.sum()), "recall_at_10": round(float(np.mean(recalls)), 4),
            **spread(mine),
        }  # fmt: skip
    connection.close()
    return {"all": spread(times), **out}


def exact(
    connection: sqlite3.Connection, asked: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Row numbers, and the cosine of each with each asked vector."""
    numbers, scores = [], []
    rows = connection.execute("SELECT n, vector FROM vectors ORDER BY n")
    while part := rows.fetchmany(20_000):
        vectors = np.frombuffer(b"".join(vector for _, vector in part), "<f2")
        scores.append(asked @ vectors.astype(np.float32).reshape(len(part), -1).T)
        numbers += [n for n, _ in part]
    return np.array(numbers), np.hstack(scores)


def page_all(url: str, out: Any) -> None:
    """In its own process: read every post once."""
    archive = open_archive(url)
    before, started = _peak(), time.perf_counter()
    posts = sum(1 for _ in archive.iter_posts(ALL))
    seconds = time.perf_counter() - started
    out.put({
        "posts": posts, "posts_per_s": round(posts / seconds), "peak_mib": round(_peak()),
        "of_it_before_mib": round(before),
    })  # fmt: skip


def _peak() -> float:
    """MiB. The kernel's own count for this program: `getrusage` also counts the parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(found[1]) / 1024 if found else 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def measure(data: Path, count: int, say: Say) -> dict[str, Any]:
    """All of it; makes the archive first when it is not there."""
    url = f"sqlite:///{million.build(data, count, say)}"
    out: Any = SPAWN.Queue()
    reader = SPAWN.Process(target=page_all, args=(url, out))
    reader.start()
    paging = out.get(timeout=900)
    reader.join()
    say("all posts are read once")
    words = keywords(million.real_texts(data, count))
    archive = open_archive(url)
    started = time.perf_counter()
    archive.search(SearchRequest(phrase(words[0])), ALL)
    first = time.perf_counter() - started
    found = {
        "posts": archive.counts()["posts"], "keywords": len(words),
        "first_search_s": round(first, 2), **searching(archive, words),
    }  # fmt: skip
    say("searches are done")
    found["similar"] = similar(archive, million.held_out(data, say)[:ASKED], say)
    archive.close()
    return {**found, "paging": paging}
