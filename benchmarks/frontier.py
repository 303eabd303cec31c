"""Accuracy, retrieval, speed and size of several model folders, as a table for the model card.

    HUIYIN_REAL_DATA=DIR python benchmarks/frontier.py FOLDER... [--posts 768] [--rounds 3]

Each folder is what `huiyin train student` or `train heads` wrote. The yardstick is the 12x768
encoder of `benchmarks/understanding.py`, measured once before the others. Prints Markdown and
writes benchmarks/results/frontier.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.understanding import RESULTS, batches_of, best, posts, yardstick
from nlp.analyser import Analyser
from nlp.model import Model
from nlp.training import data, evaluate
from nlp.training.config import TrainConfig

SETS = ("emotion/usual", "emotion/virus", "sentiment", "category")


def measured(folder: Path, data_folder: Path, texts: list[str], rounds: int) -> dict[str, Any]:
    """One row of the table."""
    model = Model(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    batches = batches_of(model, texts)

    def read() -> None:
        model.forget()
        model.read(texts)

    rates = [
        len(texts) / best(work, rounds)
        for work in (lambda: [model.encoder.run(*batch) for batch in batches], read)
    ]
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    row: dict[str, Any] = {
        "folder": folder.name,
        "shape": f"{config['num_hidden_layers']}x{config['hidden_size']}",
        "precision": model.precision,
        "mb": round(size, 1),
        "bare": round(rates[0]),
        "posts_per_second": round(rates[1]),
    }
    analyser = Analyser(model)
    sets = data.load(TrainConfig(data=data_folder, out=data_folder, openings=0.0))
    for name in (*SETS, "intent"):
        rows = evaluate.known_rows(name, sets.dev[name])
        found = evaluate.score(name, rows, analyser, {}, set())
        row[name] = round(found.f1_of("投诉", "咨询") or 0.0, 3) if name == "intent" else (
            round(found.ours.macro_f1, 3)
        )  # fmt: skip
    found_by_title = evaluate.retrieval(data_folder, analyser)
    if found_by_title is not None:
        row |= {"recall@1": round(found_by_title[1], 3), "recall@10": round(found_by_title[2], 3)}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--posts", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    data_folder = Path(os.environ.get("HUIYIN_REAL_DATA", ""))
    if not (data_folder / "labelled").is_dir():
        raise SystemExit("set HUIYIN_REAL_DATA to the folder of the labelled sets")
    torch.manual_seed(0)
    texts = posts(options.posts)
    first = Model(options.folders[0])
    batches = batches_of(first, texts)
    vocabulary = first.tokenizer.get_vocab_size()
    yardstick(batches[:3], vocabulary)()
    base = len(texts) / best(yardstick(batches, vocabulary), 1)
    print(f"yardstick, 12x768 float32 of random weights: {base:.1f} posts/s\n")
    rows = [measured(folder, data_folder, texts, options.rounds) for folder in options.folders]
    for row in rows:
        row["times"] = round(row["posts_per_second"] / base, 1)
    columns = list(rows[0])
    print("| " + " | ".join(columns) + " |\n" + "| --- " * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(str(row.get(name, "")) for name in columns) + " |")
    kept = {"yardstick_posts_per_second": round(base, 1), "rows": rows}
    (RESULTS / "frontier.json").write_text(
        json.dumps(kept, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
