"""Draw a base encoder's sentence vectors together where texts belong together.

Contrast in both directions (InfoNCE, van den Oord et al. 2018) over the pairs of `pairs.py`, while
every vector is held near the base model's own, so that what is not in the pairs stays as it was.
What is saved is an ordinary BERT folder with the base's tokenizer: the `--vectors-base` of
`huiyin train heads` and `huiyin train student`.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel, BertModel

from nlp.text import tokenise
from nlp.training import batches, checkpoints, export, pairs, vocabulary
from nlp.training.config import TrainConfig
from nlp.training.finetune import autocast

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
Sides = tuple[list[int], list[int]]

_TEMPERATURE = 0.05


@dataclasses.dataclass(frozen=True)
class VectorsConfig:
    """One run of `train vectors`; lengths are in tokens, weights unitless."""

    steps: int = 400
    batch: int = 64
    """Pairs told apart from one another in a step."""
    length: int = 128
    learning_rate: float = 3e-5
    warmup: float = 0.1
    weight_decay: float = 0.01
    hold_weight: float = 2.0
    """Of staying near the base model's vectors."""
    checkpoint_every: int = 50


def train(config: TrainConfig, run: VectorsConfig, progress: Progress) -> Path:
    """Train and write the encoder folder `config.out`; resumes from `config.work`; returns it.

    Raises OSError when the base or the data cannot be read, ValueError without any pairs.
    """
    config.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    encoder = AutoModel.from_pretrained(config.base, dtype=torch.float32, add_pooling_layer=False)
    tokenizer = vocabulary.base_tokenizer(export.folder_of(config.base))
    partners = _partners(config, run, tokenizer)
    base = copy.deepcopy(encoder).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(
        encoder.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay, fused=True
    )
    kept = config.work / "vectors.pt"
    begin = checkpoints.resume(kept, optimizer, weights=encoder)
    started = time.monotonic()
    encoder.train()
    for step in range(begin, run.steps):
        checkpoints.set_rate(optimizer, run.learning_rate, step / run.steps, run.warmup)
        chosen = random.Random(config.seed * 7919 + step).sample(
            partners, min(run.batch, len(partners))
        )
        apart, away = _losses(encoder, base, chosen, config)
        optimizer.zero_grad()
        (apart + run.hold_weight * away).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        progress(step + 1, run.steps)
        if step % 20 == 19:
            rate = (step + 1 - begin) / (time.monotonic() - started)
            log.info(
                "step %d/%d %.2f/s contrast %.3f away %.3f",
                step + 1, run.steps, rate, float(apart.detach()), float(away.detach()),
            )  # fmt: skip
        if step % run.checkpoint_every == run.checkpoint_every - 1:
            checkpoints.keep(kept, step + 1, optimizer, weights=encoder)
    checkpoints.keep(kept, run.steps, optimizer, weights=encoder)
    return _write(config, encoder)


def contrast(one: Tensor, other: Tensor) -> Tensor:
    """InfoNCE in both directions of unit vectors (n, dims): row i of one belongs to i of other."""
    likeness = one @ other.T / _TEMPERATURE
    own = torch.arange(len(one))
    there = nn.functional.cross_entropy(likeness, own)
    return (there + nn.functional.cross_entropy(likeness.T, own)) / 2


def read(encoder: BertModel, tokens: Sequence[list[int]], config: TrainConfig) -> Tensor:
    """Unit vectors (n, hidden) float32 of token lists: the [CLS] states."""
    ids, mask = batches.pad(tokens)
    with autocast(config):
        states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
    return nn.functional.normalize(states.float(), dim=-1)


def _losses(
    encoder: BertModel, base: BertModel, chosen: Sequence[Sides], config: TrainConfig
) -> tuple[Tensor, Tensor]:
    """(contrast, mean 1 - cosine to the base's vectors)."""
    sides = [list(side) for side in zip(*chosen, strict=True)]
    now = [read(encoder, side, config) for side in sides]
    with torch.no_grad():
        before = [read(base, side, config) for side in sides]
    near = torch.stack([(a * b).sum(-1).mean() for a, b in zip(now, before, strict=True)])
    return contrast(*now), 1 - near.mean()


def _partners(config: TrainConfig, run: VectorsConfig, tokenizer: Tokenizer) -> list[Sides]:
    texts = pairs.load(config)
    if not texts:
        raise ValueError(f"{config.data} 里没有成对的文字")
    read_sides = [
        tokenise(tokenizer, side, min(run.length, config.max_length))
        for side in zip(*texts, strict=True)
    ]
    log.info("%d pairs", len(texts))
    return list(zip(*read_sides, strict=True))


def _write(config: TrainConfig, encoder: BertModel) -> Path:
    config.out.mkdir(parents=True, exist_ok=True)
    encoder.save_pretrained(config.out, safe_serialization=True)
    vocabulary.base_tokenizer(export.folder_of(config.base)).save(
        str(config.out / "tokenizer.json")
    )
    return config.out
