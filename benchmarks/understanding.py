"""How fast posts are understood, as a ratio to a yardstick measured in the same run.

    HUIYIN_REAL_DATA=DIR python benchmarks/understanding.py [--posts 768] [--rounds 3] [--copies]

The yardstick is a 12x768 BERT of random weights in float32 on the same posts, the same batches and
the same threads: what a base-size model costs here. Without real data the sample city's posts are
read. `--copies` also measures what the cache saves, on the first reposts of the cascades and on a
stream of which four fifths are copies. Prints a table and writes it as JSON to
benchmarks/results/.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import lzma
import os
import platform
import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertModel

sys.path.insert(0, str(Path(__file__).parents[1]))

from nlp.analyser import Analyser
from nlp.base import Text
from nlp.model import Model, plan
from nlp.text import clean, tokenise

Batch = tuple["np.ndarray[Any, np.dtype[np.int64]]", "np.ndarray[Any, np.dtype[np.int64]]"]
RESULTS = Path(__file__).parent / "results"


def posts(count: int) -> list[str]:
    """Distinct posts in the mix of lengths that an office reads."""
    folder = Path(os.environ.get("HUIYIN_REAL_DATA", ""))
    names = ("labelled/emotion.jsonl.gz", "streams/gov_comments.jsonl.gz")
    found: dict[str, None] = {}
    if (folder / "streams").is_dir():
        for name in names:
            with gzip.open(folder / name, "rt", encoding="utf-8") as file:
                rows = itertools.islice(file, count)
                found.update((json.loads(row)["text"], None) for row in rows)
    else:
        for path in sorted((Path(__file__).parents[1] / "samples").rglob("*.json")):
            found.update((text, None) for text in _texts(json.loads(path.read_text("utf-8"))))
    if not found:
        raise SystemExit("no texts: set HUIYIN_REAL_DATA")
    step = max(1, len(found) // count)
    return list(found)[::step][:count]


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for item in value.values() for text in _texts(item)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


def batches_of(model: Model, texts: Sequence[str]) -> list[Batch]:
    """Ids and masks of the batches in which the model reads these texts."""
    tokens = tokenise(model.tokenizer, [clean(text) for text in texts], model.max_length)
    found = []
    for rows, width in plan([len(item) for item in tokens]):
        ids = np.zeros((len(rows), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, source in enumerate(rows):
            ids[row, : len(tokens[source])] = tokens[source]
            mask[row, : len(tokens[source])] = 1
        found.append((ids, mask))
    return found


def yardstick(batches: Sequence[Batch], vocabulary: int) -> Callable[[], None]:
    """A forward pass of a base-size encoder over the batches."""
    encoder = BertModel(BertConfig(vocab_size=vocabulary), add_pooling_layer=False)
    encoder.eval()  # type: ignore[no-untyped-call]

    def work() -> None:
        with torch.inference_mode():
            for ids, mask in batches:
                encoder(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))

    return work


def speeds(model: Model, texts: Sequence[str], rounds: int) -> dict[str, float]:
    """Posts a second: the yardstick first, then ours from the bare pass to whole records."""
    analyser, asked = Analyser(model), [Text(text) for text in texts]
    batches = batches_of(model, texts)

    def bare() -> None:
        for ids, mask in batches:
            model.encoder.run(ids, mask)

    def read() -> None:
        model.forget()
        model.read(texts)

    def understand() -> None:
        model.forget()
        analyser.analyse(asked)

    vocabulary = model.tokenizer.get_vocab_size()
    yardstick(batches[:3], vocabulary)()
    works: dict[str, tuple[Callable[[], object], int]] = {
        "12x768 float32, random weights": (yardstick(batches, vocabulary), 1),
        f"our bare forward pass ({model.precision})": (bare, rounds),
        "text to all heads and the vector": (read, rounds),
        "text to record: rules, places, categories": (understand, rounds),
    }
    return {name: len(texts) / best(work, often) for name, (work, often) in works.items()}


def best(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of several rounds."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def reposts(count: int) -> list[str]:
    """The first reposts of the cascades, as they were posted."""
    path = Path(os.environ.get("HUIYIN_REAL_DATA", "")) / "streams" / "cascades_reposts.jsonl.xz"
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return [str(json.loads(row)["text"] or "") for row in itertools.islice(file, count)]


def copies(model: Model, count: int) -> dict[str, float]:
    """What the cache saves on reposts, in chunks as they come, and on four copies in five."""
    stream = reposts(count)
    chance = random.Random(1)
    distinct = list(dict.fromkeys(stream))[: count // 20]
    copied = [*distinct, *chance.choices(distinct, k=4 * len(distinct))]
    chance.shuffle(copied)

    def read(texts: Sequence[str]) -> float:
        model.forget()
        begin = time.perf_counter()
        for start in range(0, len(texts), 512):
            model.read(texts[start : start + 512])
        return time.perf_counter() - begin

    alone = list(dict.fromkeys(clean(text) for text in stream))
    with_cache, once = read(stream), read(alone)
    every = once * len(stream) / len(alone)  # as long as each copy were read again
    few = read(distinct)
    return {
        "reposts": len(stream),
        "distinct": len(alone),
        "share of the possible saving": (every - with_cache) / (every - once),
        "four copies in five, times as fast": few * 5 / read(copied),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", action="store_true", help="measure the cache too: minutes")
    parser.add_argument("--reposts", type=int, default=100_000)
    parser.add_argument("--model", type=Path, help="a model folder instead of the shipped one")
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    torch.manual_seed(0)
    begin = time.perf_counter()
    model = Model(options.model)
    load_seconds = time.perf_counter() - begin
    texts = posts(options.posts)
    batches = batches_of(model, texts)
    mean = sum(int(mask.sum()) for _, mask in batches) / len(texts)
    print(f"{len(texts)} posts, mean {mean:.0f} tokens")
    print(f"load average before the run: {busy:.1f} (figures count on an idle machine)")
    print(f"{os.cpu_count()} threads, model {model.id}, loaded in {load_seconds:.1f} s\n")
    rates = speeds(model, texts, options.rounds)
    base, bare = list(rates.values())[:2]
    print(f"{'':44}{'posts/s':>10}{'to yardstick':>14}{'to bare':>9}")
    for name, rate in rates.items():
        print(f"{name:44}{rate:>10.1f}{rate / base:>13.1f}x{rate / bare:>9.2f}")
    saved = copies(model, options.reposts) if options.copies else {}
    for name, value in saved.items():
        print(f"{name:44}{value:>10,.2f}")
    _keep(model, texts, mean, busy, load_seconds, rates, saved)


def _keep(
    model: Model, texts: Sequence[str], mean: float, busy: float, load_seconds: float,
    rates: dict[str, float], saved: dict[str, float],
) -> None:  # fmt: skip
    base = next(iter(rates.values()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {
        "model": model.id,
        "posts": len(texts),
        "mean_tokens": round(mean, 1),
        "threads": os.cpu_count(),
        "machine": platform.machine(),
        "load_average_before": round(busy, 1),
        "load_seconds": round(load_seconds, 2),
        "peak_resident_mb_with_the_yardstick": round(peak),
        "posts_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "ratio": {name: round(rate / base, 1) for name, rate in rates.items()},
        "copies": {name: round(value, 3) for name, value in saved.items()},
    }
    RESULTS.mkdir(exist_ok=True)
    out = RESULTS / "understanding.json"
    out.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"\n{out}")


if __name__ == "__main__":
    main()
