"""How well a search by meaning finds: `HUIYIN_REAL_DATA=DIR python benchmarks/hybrid.py`.

Each title of the citizens' messages asks for its own text (titles that occur twice are asked for
once; the titles are not stored). Reported for words alone (BM25), vectors alone (the shipped model)
and both (`archive.hybrid`), on SQLite and, with --elasticsearch URL, on a server there. Also how
much the weight matters, on both halves of the messages, and rank fusion, which is no better than
words. Prints a table and writes it as JSON to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

# run as a file, this folder comes first and its archive.py would be taken for the package
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from archive import Archive, Hit, open_archive  # noqa: E402
from archive import hybrid as meaning  # noqa: E402
from archive.hybrid import CANDIDATES, fuse  # noqa: E402
from huiyin.records import (  # noqa: E402
    Analysis,
    Category,
    Labelled,
    Origin,
    Post,
    Scope,
    Urgency,
    text_sha,
)
from nlp import load_understanding  # noqa: E402
from nlp.base import Understanding  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results" / "hybrid.json"
FILES = ("streams/message_board_unlabelled.jsonl.gz", "labelled/category_full.jsonl.gz")
START = datetime(2026, 3, 1, tzinfo=UTC)
ALL = Scope.everything()
WEIGHTS = (0.2, 0.3, 0.5, 0.7)


def messages(folder: Path) -> list[tuple[str, str]]:
    """(title, text), each title once."""
    found: dict[str, str] = {}
    for name in FILES:
        with gzip.open(folder / name, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                title, text = (row.get("title") or "").strip(), row["text"].strip()
                if title and text:
                    found.setdefault(title, text)
    return list(found.items())


def embedded(understanding: Understanding, texts: Sequence[str], cache: Path | None) -> list[bytes]:
    """Vectors of the texts; from `cache` when they were made by this model before."""
    if cache is None:
        return understanding.embed(texts)
    key = hashlib.sha256("\0".join((understanding.model, *texts)).encode()).hexdigest()[:16]
    file = cache / f"{key}.npy"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        np.save(file, np.array([list(one) for one in understanding.embed(texts)], np.uint8))
    return [row.tobytes() for row in np.load(file)]


def post_id(number: int) -> str:
    return f"board:{number}"


def fill(archive: Archive, texts: Sequence[str], vectors: Sequence[bytes], model: str) -> None:
    archive.put_posts([
        Post(id=post_id(n), text=text, created_at=START + timedelta(seconds=n), read_at=START,
             collected_at=START, offices=("office:default",), source=Origin(spider="bench"))
        for n, text in enumerate(texts)
    ])  # fmt: skip
    said = Labelled(label="", probabilities={})
    archive.write_analyses([
        (post_id(n), Analysis(
            model=model, text_sha=text_sha(None, text), sentiment=said, emotion=said, intent=said,
            category=Category(path=(), probabilities={}), needs_answer=0, vector=vector,
            urgency=Urgency(score=0),
        ))
        for n, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    ])  # fmt: skip


def recall(ranks: Sequence[int]) -> dict[str, float]:
    """Shares of the questions whose own text is first, or among the first ten."""
    return {
        "recall@1": round(sum(rank < 1 for rank in ranks) / len(ranks), 4),
        "recall@10": round(sum(rank < 10 for rank in ranks) / len(ranks), 4),
    }


def rank(hits: Sequence[Hit], number: int) -> int:
    """0-based place of the wanted post, a large number when it is not there."""
    wanted = post_id(number)
    return next((place for place, hit in enumerate(hits) if hit.post.id == wanted), 10**6)


def reciprocal(words: Sequence[Hit], vectors: Sequence[Hit]) -> list[Hit]:
    """Reciprocal rank fusion with k = 60, for comparison."""
    posts = {hit.post.id: hit for hit in (*words, *vectors)}
    scores = dict.fromkeys(posts, 0.0)
    for half in (words, vectors):
        for place, hit in enumerate(half):
            scores[hit.post.id] += 1 / (60 + place)
    return [posts[one] for one in sorted(posts, key=lambda one: -scores[one])]


Ways = dict[str, Callable[[list[Hit], list[Hit], bytes], Sequence[Hit]]]


def ways(model: str) -> Ways:
    out: Ways = {
        "words (BM25)": lambda words, near, _: words,
        "vectors": lambda words, near, _: near,
        "both": lambda words, near, vector: fuse(words, near, vector, model),
        "rank fusion": lambda words, near, _: reciprocal(words, near),
    }
    for weight in WEIGHTS:
        out[f"both, words {weight}"] = lambda words, near, vector, weight=weight: fuse(  # type: ignore[misc]
            words, near, vector, model, weight
        )
    return out


def ask(
    archive: Archive, titles: Sequence[str], vectors: Sequence[bytes], model: str
) -> dict[str, Any]:
    """Recall of each way, on all titles and on each half of them, and milliseconds a search."""
    ranks: dict[str, list[int]] = {name: [] for name in ways(model)}
    seconds = []
    for number, (title, vector) in enumerate(zip(titles, vectors, strict=True)):
        words = archive.like(title, ALL, limit=CANDIDATES)
        near = archive.similar(vector, model, ALL, limit=CANDIDATES)
        for name, fused in ways(model).items():
            ranks[name].append(rank(fused(words, near, vector), number))
        if number % 20 == 0:
            started = time.perf_counter()
            hits = meaning(archive, title, vector, model, ALL)
            seconds.append(time.perf_counter() - started)
            assert [hit.post.id for hit in hits] == [
                hit.post.id for hit in fuse(words, near, vector, model)[:10]
            ]
    return {
        "recall": {
            name: {**recall(found), "even": recall(found[::2]), "odd": recall(found[1::2])}
            for name, found in ranks.items()
        },
        "hybrid_p50_ms": round(sorted(seconds)[len(seconds) // 2] * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--elasticsearch", help="an empty server, such as http://127.0.0.1:9200")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("HUIYIN_REAL_DATA", ""))
    if not (folder / "streams").is_dir():
        raise SystemExit("needs real messages: set HUIYIN_REAL_DATA")
    load = os.getloadavg()[0]
    understanding = load_understanding()
    pairs = messages(folder)
    titles, texts = [title for title, _ in pairs], [text for _, text in pairs]
    asked = embedded(understanding, titles, arguments.cache)
    stored = embedded(understanding, texts, arguments.cache)
    out: dict[str, Any] = {
        "messages": len(pairs), "model": understanding.model, "machine": platform.machine(),
        "load_average_before": round(load, 1), "engines": {},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        urls = {"sqlite": f"sqlite:///{temporary}/a.db"}
        if arguments.elasticsearch:
            urls["elasticsearch"] = f"{arguments.elasticsearch.rstrip('/')}/bench-hybrid"
        for name, url in urls.items():
            archive = open_archive(url)
            fill(archive, texts, stored, understanding.model)
            if name == "elasticsearch":
                time.sleep(3)  # searches see what was written within a second
            out["engines"][name] = ask(archive, titles, asked, understanding.model)
            archive.close()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{len(pairs)} titles, each asks for its own text\n")
    for engine, measured in out["engines"].items():
        for name, found in measured["recall"].items():
            print(f"{engine:14}{name:20}{found['recall@1']:>8.4f}{found['recall@10']:>9.4f}")
        print(f"{engine:14}{'p50 of both, ms':20}{measured['hybrid_p50_ms']:>8}\n")
    print(RESULTS)


if __name__ == "__main__":
    main()
