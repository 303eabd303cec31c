"""How fast posts are understood, as a ratio to a yardstick measured in the same run.

    HUIYIN_REAL_DATA=DIR python benchmarks/understanding.py [--posts 1024] [--rounds 3]

The yardstick is a 12x768 BERT of random weights in float32 on the same tokens, the same batches and
the same threads: what a base-size model costs here. Ours is the whole path: cleaning, tokens, all
heads, the vector, the rules and the places; no cache. Without real data the sample city's posts are
read. Prints a table and writes it as JSON to benchmarks/results/.
"""

import argparse
import gzip
import itertools
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

sys.path.insert(0, str(Path(__file__).parents[1]))

from nlp.analyser import Analyser
from nlp.base import Text
from nlp.model import Model, plan
from nlp.text import clean, tokenise

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


def best(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of several rounds, after one that warms up."""
    work()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def yardstick(tokens: Sequence[list[int]], vocabulary: int, sample: int) -> Callable[[], None]:
    """A forward pass of a base-size encoder over every `sample`-th batch row set."""
    encoder = BertModel(BertConfig(vocab_size=vocabulary), add_pooling_layer=False)
    encoder.eval()  # type: ignore[no-untyped-call]
    few = tokens[::sample]

    def work() -> None:
        with torch.inference_mode():
            for rows, width in plan([len(item) for item in few]):
                ids = torch.zeros((len(rows), width), dtype=torch.long)
                mask = torch.zeros_like(ids)
                for row, source in enumerate(rows):
                    ids[row, : len(few[source])] = torch.tensor(few[source])
                    mask[row, : len(few[source])] = 1
                encoder(input_ids=ids, attention_mask=mask)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sample", type=int, default=8, help="the yardstick reads every n-th post")
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    torch.manual_seed(0)
    begin = time.perf_counter()
    model = Model()
    load_seconds = time.perf_counter() - begin
    texts = posts(options.posts)
    tokens = tokenise(
        model.tokenizer.backend_tokenizer, [clean(t) for t in texts], model.max_length
    )
    analyser, asked = Analyser(model), [Text(text) for text in texts]

    base = best(yardstick(tokens, model.encoder.config.vocab_size, options.sample), options.rounds)
    base_rate = len(tokens[:: options.sample]) / base

    def encode() -> None:
        with torch.inference_mode():
            for rows, width in plan([len(item) for item in tokens]):
                model.run([tokens[row] for row in rows], width)

    def understand() -> None:
        model.forget()
        analyser.analyse(asked)

    rates = {
        "12x768 float32, random weights": base_rate,
        f"our encoder and heads ({model.precision})": len(texts) / best(encode, options.rounds),
        "all of it: text to record": len(texts) / best(understand, options.rounds),
    }
    print(f"{len(texts)} posts, mean {sum(map(len, tokens)) / len(tokens):.0f} tokens")
    print(f"load average before the run: {busy:.1f} (figures count on an idle machine)")
    print(f"{torch.get_num_threads()} threads, model {model.id}, loaded in {load_seconds:.1f} s\n")
    print(f"{'':44}{'posts/s':>10}{'ratio':>9}")
    for name, rate in rates.items():
        print(f"{name:44}{rate:>10.1f}{rate / base_rate:>8.1f}x")
    result = {
        "model": model.id,
        "posts": len(texts),
        "mean_tokens": round(sum(map(len, tokens)) / len(tokens), 1),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "load_average_before": round(busy, 1),
        "load_seconds": round(load_seconds, 2),
        "resident_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "posts_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "ratio": {name: round(rate / base_rate, 1) for name, rate in rates.items()},
    }
    RESULTS.mkdir(exist_ok=True)
    out = RESULTS / "understanding.json"
    out.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"\n{out}")


if __name__ == "__main__":
    main()
