"""Measures: macro-F1, per class, and calibration error, from logits on the development sets."""

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.metrics import f1_score
from tokenizers import Tokenizer
from torch import nn
from transformers import BertModel

from nlp.heads import Heads
from nlp.text import tokenise
from nlp.training import batches
from nlp.training.config import LABELS, TrainConfig
from nlp.training.data import Example


def task_of(name: str) -> str:
    """Task of a development set: "emotion/virus" is of "emotion"."""
    return name.split("/", maxsplit=1)[0]


def logits(
    encoder: BertModel,
    heads: Heads,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    config: TrainConfig,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Logits (n, labels) by task and normalised vectors (n, hidden), float32."""
    tokens = tokenise(tokenizer, texts, config.max_length)
    found = {task: np.zeros((len(texts), len(names)), "f4") for task, names in heads.labels.items()}
    vectors = np.zeros((len(texts), encoder.config.hidden_size), "f4")
    encoder.eval()  # type: ignore[no-untyped-call]
    heads.eval()
    with torch.inference_mode():
        for rows in batches.plan(tokens, config.batch_tokens, None):
            ids, mask = batches.pad([tokens[row] for row in rows])
            states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            vectors[rows] = nn.functional.normalize(states[:, 0], dim=-1).numpy()
            for task, value in heads(states, mask).items():
                found[task][rows] = value.numpy()
    return found, vectors


def dev_scores(
    encoder: BertModel,
    heads: Heads,
    tokenizer: Tokenizer,
    dev: dict[str, list[Example]],
    config: TrainConfig,
) -> dict[str, float]:
    """Macro-F1 of each development set."""
    found = {}
    for name, examples in dev.items():
        if not examples:
            continue
        task = task_of(name)
        if task not in heads.labels:
            continue
        values, _ = logits(encoder, heads, tokenizer, [i.text for i in examples], config)
        rows = [r for r, item in enumerate(examples) if item.labels.get(task) in LABELS[task]]
        gold = [LABELS[task].index(examples[row].labels[task]) for row in rows]
        found[name] = round(macro_f1(gold, values[task][rows].argmax(1)), 4)
    return found


def macro_f1(gold: Sequence[int] | np.ndarray, guess: Sequence[int] | np.ndarray) -> float:
    """Mean F1 of the classes that occur in the gold labels."""
    present = sorted({int(value) for value in gold})
    return float(f1_score(gold, guess, labels=present, average="macro", zero_division=0))


def interval(gold: np.ndarray, guess: np.ndarray, resamples: int = 1000) -> tuple[float, float]:
    """95 % bootstrap interval of macro-F1 over rows drawn with replacement, always the same.

    As `macro_f1` on each sample, but from its table of counts: a thousand take under a second.
    """
    size = int(max(gold.max(), guess.max())) + 1
    pairs = gold * size + guess
    picks = np.random.default_rng(0).integers(0, len(gold), (resamples, len(gold)))
    samples = []
    for pick in picks:
        table = np.bincount(pairs[pick], minlength=size * size).reshape(size, size)
        right, has, said = table.diagonal(), table.sum(1), table.sum(0)
        f1 = 2 * right / np.maximum(has + said, 1)
        samples.append(float(f1[has > 0].mean()))
    return float(np.quantile(samples, 0.025)), float(np.quantile(samples, 0.975))


def softmax(values: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities (n, k) of logits (n, k) divided by a temperature."""
    scaled = values / temperature
    scaled = np.exp(scaled - scaled.max(1, keepdims=True))
    probabilities: np.ndarray = scaled / scaled.sum(1, keepdims=True)
    return probabilities


def calibration_error(probabilities: np.ndarray, gold: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the top label over equal-mass bins (Nguyen & O'Connor 2015)."""
    top, right = probabilities.max(1), probabilities.argmax(1) == gold
    parts = np.array_split(np.argsort(top, kind="stable"), bins)
    gaps = [abs(top[p].mean() - right[p].mean()) * len(p) for p in parts if len(p)]
    return float(sum(gaps) / len(top))


def best_temperature(values: np.ndarray, gold: np.ndarray) -> float:
    """Temperature that gives the gold labels the highest likelihood (Guo et al. 2017)."""
    grid = np.exp(np.linspace(np.log(0.4), np.log(4.0), 121))
    rows = np.arange(len(gold))
    losses = [-np.log(softmax(values, t)[rows, gold] + 1e-12).mean() for t in grid]
    return float(grid[int(np.argmin(losses))])
