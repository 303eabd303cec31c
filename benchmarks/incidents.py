"""Measures incident grouping: quality by ablation, speed, alerts a day on real streams.

    python -m benchmarks.incidents [--encoder DIR] [--out benchmarks/results/incidents.json]

Reads the streams under HUIYIN_REAL_DATA. Vectors come from the shipped model, or with `--encoder`
from the [CLS] of another BERT folder. The yardstick is measured first: TF-IDF first-story
clustering (nearest neighbour in the same window) with its threshold chosen on the test itself.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from huiyin.vectors import unpack
from nlp.incidents.grouping import THRESHOLD, Grouper, Item
from nlp.incidents.terms import plain

WINDOW = 48 * 3600.0
Row = dict[str, Any]
Vectors = npt.NDArray[np.float32]


def bcubed(gold: Sequence[str], found: Sequence[str]) -> float:
    """B-cubed F1 (Bagga and Baldwin 1998)."""
    left, right = Counter(gold), Counter(found)
    pairs = Counter(zip(gold, found, strict=True))
    precision = sum(n * n / right[b] for (_, b), n in pairs.items()) / len(gold)
    recall = sum(n * n / left[a] for (a, _), n in pairs.items()) / len(gold)
    return 2 * precision * recall / (precision + recall)


def best_match(gold: Sequence[str], found: Sequence[str]) -> float:
    """Mean over events of several posts of the F1 with the group that fits them best."""
    left, right = Counter(gold), Counter(found)
    pairs = Counter(zip(gold, found, strict=True))
    scores = [
        max(2 * n / (size + right[b]) for (a, b), n in pairs.items() if a == event)
        for event, size in left.items()
        if size > 1
    ]
    return sum(scores) / len(scores)


def read(folder: Path, name: str) -> list[Row]:
    """Rows of a stream in time order."""
    with gzip.open(folder / "streams" / name, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return sorted(rows, key=lambda row: (row["created_at"], row["id"]))


def seconds(row: Row) -> float:
    """Time of a row."""
    return datetime.fromisoformat(row["created_at"]).timestamp()


def vectors_of(rows: Sequence[Row], encoder: Path | None) -> Vectors:
    """Unit vectors of the rows' texts, shape (rows, dims)."""
    from nlp.text import clean, join

    texts = [join(row.get("title"), row["text"]) for row in rows]
    if encoder is None:
        from nlp import load_understanding

        return unpack(load_understanding().embed(texts))
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    model = AutoModel.from_pretrained(encoder).eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(texts), 32):
            batch = [clean(text) for text in texts[start : start + 32]]
            inputs = tokenizer(
                batch, padding=True, truncation=True, max_length=128, return_tensors="pt"
            )
            first = model(**inputs).last_hidden_state[:, 0]
            found.append(torch.nn.functional.normalize(first, dim=-1).numpy())
    return np.concatenate(found)


def group(rows: Sequence[Row], vectors: Vectors | None, **options: float) -> list[str]:
    """Groups of the rows by the online path."""
    grouper = Grouper(WINDOW, **options)  # type: ignore[arg-type]
    found = []
    for number, row in enumerate(rows):
        moment = seconds(row)
        vector = vectors[number] if vectors is not None else None
        text = plain(row.get("title"), row["text"])
        found.append(grouper.add(Item(row["id"], moment, text, vector)))
        grouper.expire(moment)
    return found


def yardstick(rows: Sequence[Row], gold: Sequence[str]) -> dict[str, float]:
    """TF-IDF over character bigrams (idf of the whole set), nearest neighbour in the window."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    matrix = TfidfVectorizer(analyzer="char", ngram_range=(2, 2), sublinear_tf=True).fit_transform(
        [plain(None, row["text"]) for row in rows]
    )
    similar = (matrix @ matrix.T).toarray()
    times = np.array([seconds(row) for row in rows])
    best = (0.0, 0.0, 0.0)
    for threshold in np.arange(0.05, 0.9, 0.025):
        found: list[str] = []
        for number, row in enumerate(rows):
            scores = np.where(
                np.abs(times[:number] - times[number]) <= WINDOW, similar[number, :number], -1
            )
            near = int(scores.argmax()) if number else -1
            found.append(found[near] if number and scores[near] >= threshold else row["id"])
        best = max(best, (bcubed(gold, found), best_match(gold, found), float(threshold)))
    return {"bcubed": best[0], "best_match": best[1], "threshold": round(best[2], 3)}


def quality(folder: Path, encoder: Path | None) -> dict[str, Any]:
    """B-cubed of the yardstick and of each ablation: at its own best threshold, and as shipped."""
    rows = read(folder, "event_posts.jsonl.gz")
    gold = [f"event {row['event']}" if row["event"] is not None else row["id"] for row in rows]
    result: dict[str, Any] = {"yardstick tf-idf": yardstick(rows, gold)}
    vectors = vectors_of(rows, encoder)
    for name, share in (("words only", 1.0), ("vectors only", 0.0), ("both", 0.5)):
        best = (0.0, 0.0, 0.0)
        for threshold in np.arange(0.05, 0.9, 0.025):
            found = group(
                rows, vectors, words_share=share, threshold=float(threshold), tag_threshold=1.0
            )
            best = max(best, (bcubed(gold, found), best_match(gold, found), float(threshold)))
        result[name] = {
            "bcubed": best[0], "best_match": best[1], "threshold": round(best[2], 3),
        }  # fmt: skip
    for name, given in (("as shipped", vectors), ("as shipped, no vectors", None)):
        found = group(rows, given)
        result[name] = {
            "bcubed": bcubed(gold, found),
            "best_match": best_match(gold, found),
            "threshold": THRESHOLD,
        }
    return result


def speed(folder: Path, posts: int) -> dict[str, float]:
    """Posts a second of grouping with vectors given (made ones), at 0.5 posts a second."""
    texts = [row["text"] for row in read(folder, "event_reactions.jsonl.gz")]
    texts += [row["text"] for row in read(folder, "flood_2021.jsonl.gz")]
    shuffled = random.Random(1)
    made = np.random.default_rng(1).normal(size=(4096, 512)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    grouper = Grouper(WINDOW)
    wall, processor = time.perf_counter(), time.process_time()
    for number in range(posts):
        moment = number * 2.0
        text = plain(None, shuffled.choice(texts))
        grouper.add(Item(f"p{number}", moment, text, made[number % 4096]))
        grouper.expire(moment)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {
        "posts": posts,
        "posts_per_second": posts / wall,
        "posts_per_processor_second": posts / processor,
    }


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--posts", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/incidents.json"))
    options = parser.parse_args()
    folder = Path(os.environ.get("HUIYIN_REAL_DATA", ""))
    if not (folder / "streams").is_dir():
        sys.exit("HUIYIN_REAL_DATA names no folder with real data")
    result: dict[str, Any] = {
        "machine": {"processors": os.cpu_count(), "python": platform.python_version()},
        "encoder": "other" if options.encoder else "shipped",
        "event_posts": quality(folder, options.encoder),
        "speed": speed(folder, options.posts),
        "load_average": os.getloadavg(),
    }
    for name, row in result["event_posts"].items():
        print(f"{name:24s} B-cubed {row['bcubed']:.3f}  best match {row['best_match']:.3f}"
              f"  threshold {row['threshold']}")  # fmt: skip
    print(result["speed"])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
