"""Do the words that `analyse --explain` names speak for the decision?

    HUIYIN_REAL_DATA=DIR python benchmarks/explaining.py [--posts 500] [--seed 1]

For each post and task: how much the probability of the decided label falls without the three named
words, against three words drawn at random from the same post (ten draws; a post counts when its
named words take more than the draws do on average, and the share of single draws beaten is given
too). Posts have seven words or more, half of them comments under official posts, the rest held-out
posts of other people. Writes benchmarks/results/explaining.json.
"""

import argparse
import gzip
import json
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from nlp.analyser import load
from nlp.base import Text
from nlp.explain import WORDS, explain, words

RESULTS = Path(__file__).parent / "results"
TASKS = ("sentiment", "emotion", "intent", "category", "needs_answer")
FEWEST = 7
DRAWS = 10


def posts(count: int, order: random.Random) -> list[str]:
    """Distinct real posts with enough words."""
    folder = Path(os.environ.get("HUIYIN_REAL_DATA", ""))
    if not (folder / "streams").is_dir():
        raise SystemExit("no texts: set HUIYIN_REAL_DATA")
    found: list[str] = []
    for name in ("labelled/emotion.jsonl.gz", "streams/gov_comments.jsonl.gz"):
        with gzip.open(folder / name, "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        texts = sorted({row["text"] for row in rows if row.get("split", "dev") == "dev"})
        order.shuffle(texts)
        enough = (text for text in texts if len(words(text)) >= FEWEST)
        found += [text for text, _ in zip(enough, range(count // 2), strict=False)]
    return found


def without(text: str, spans: list[tuple[int, int]]) -> str:
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    order = random.Random(options.seed)
    analyser, texts = load(), posts(options.posts, random.Random(options.seed))
    full = analyser.shares(texts)
    begin = time.perf_counter()
    found = []
    for start in range(0, len(texts), 32):
        found += explain(analyser, [Text(text) for text in texts[start : start + 32]])
    seconds = time.perf_counter() - begin
    draws = [[order.sample(words(text), WORDS) for _ in range(DRAWS)] for text in texts]
    drawn = [
        analyser.shares([without(text, spans) for spans in sets])
        for text, sets in zip(texts, draws, strict=True)
    ]
    result: dict[str, object] = {
        "model": analyser.model,
        "posts": len(texts),
        "seconds_a_post": round(seconds / len(texts), 3),
    }
    print(f"{len(texts)} posts, {seconds / len(texts):.3f} s a post, model {analyser.model}")
    for task in TASKS:
        better = beaten = counted = 0
        named_fall = random_fall = 0.0
        for row, text in enumerate(texts):
            share = full[row][task]
            label = max(share, key=lambda one: share[one])
            if max(share.values()) == min(share.values()):
                continue
            spans = [(one.start, one.end) for one in found[row][task]]
            named = share[label] - analyser.shares([without(text, spans)])[0][task][label]
            falls = [share[label] - one[task][label] for one in drawn[row]]
            counted += 1
            better += named > sum(falls) / len(falls)
            beaten += sum(named > fall for fall in falls)
            named_fall += named
            random_fall += sum(falls) / len(falls)
        result[task] = {
            "posts": counted,
            "better": round(better / counted, 3),
            "single_draws_beaten": round(beaten / counted / DRAWS, 3),
            "mean_fall_named": round(named_fall / counted, 3),
            "mean_fall_random": round(random_fall / counted, 3),
        }
        print(task, result[task])
    RESULTS.mkdir(exist_ok=True)
    out = RESULTS / "explaining.json"
    out.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
