"""The student that ships: a small encoder taught by several large ones (Hinton et al. 2015).

It learns the teachers' probabilities on labelled and unlabelled texts, the labels where there are
some, and the base model's sentence vectors, which are its own [CLS] state: how far two texts are
apart in a batch (relation, Park et al. 2019) as well as where each lies.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel, BertConfig, BertModel

from nlp.heads import Heads
from nlp.text import tokenise
from nlp.training import (
    batches,
    checkpoints,
    data,
    export,
    ngrams,
    pairs,
    scores,
    targets,
    vectors,
)
from nlp.training.config import LABELS, TrainConfig
from nlp.training.finetune import autocast
from nlp.training.targets import Targets, Teacher

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class StudentConfig:
    """Shape and schedule of a student; `*_weight` are unitless."""

    layers: int = 4
    hidden: int = 256
    attention_heads: int = 4
    start: Path | None = None
    """Folder of an earlier student to begin from: as wide, at most as deep."""
    texts: int = 500_000
    """Unlabelled texts."""
    unlabelled_length: int = 80
    """Tokens read of them: longer ones are few and would take half of the time."""
    epochs: int = 1
    steps: int = 0
    """Batches after which the schedule ends; 0: after all epochs."""
    labelled_times: int = 4
    """How often an epoch shows each labelled text."""
    batch_tokens: int = 4096
    learning_rate: float = 6e-4
    warmup: float = 0.04
    weight_decay: float = 0.01
    hard_weight: float = 0.3
    """Of the labels themselves beside the teachers' probabilities."""
    vector_weight: float = 2.0
    relation_weight: float = 10.0
    hold: float = 1.0
    """Times both: less lets the pairs move the vectors further from the base model's."""
    pair_weight: float = 1.0
    """Of telling a text's own partner (its title, its reply) from those of others."""
    pair_every: int = 16
    pair_batch: int = 96
    pair_length: int = 128
    """Tokens read of each text of a pair."""
    checkpoint_every: int = 400


@dataclasses.dataclass
class _Run:
    config: TrainConfig
    student: StudentConfig
    encoder: BertModel
    heads: Heads
    tokenizer: Tokenizer
    targets: Targets
    tokens: list[list[int]]
    pairs: list[tuple[list[int], list[int]]]


def train(
    config: TrainConfig, student: StudentConfig, teachers: Sequence[Teacher], progress: Progress
) -> Path:
    """Teach a student and write the folder `config.out`; resumes from `config.work`; returns it.

    `progress(done, of)` is called while the teachers read and after every step. Raises OSError
    when a teacher or the data cannot be read.
    """
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    sets = data.load(config)
    made = targets.make(config, teachers, student.texts, student.hidden, sets, progress)
    run = _prepare(config, student, teachers[0].folder, made)
    _fit(run, progress)
    found = scores.dev_scores(run.encoder, run.heads, run.tokenizer, sets.dev, config)
    log.info("development sets: %s", json.dumps(found))
    beside = ngrams.fitted(sets.train, config.work)
    return export.write(run.encoder, run.heads, run.tokenizer, sets, config, beside)


def _prepare(config: TrainConfig, student: StudentConfig, teacher: Path, made: Targets) -> _Run:
    """An encoder whose character table begins as the teacher's on its principal axes."""
    tokenizer = Tokenizer.from_file(str(teacher / "tokenizer.json"))
    table = AutoModel.from_pretrained(teacher, dtype=torch.float32, add_pooling_layer=False)
    rows = table.get_input_embeddings().weight.detach().numpy()
    encoder = BertModel(
        BertConfig(  # type: ignore[call-arg]
            vocab_size=len(rows), hidden_size=student.hidden, num_hidden_layers=student.layers,
            num_attention_heads=student.attention_heads, intermediate_size=4 * student.hidden,
            max_position_embeddings=table.config.max_position_embeddings,
            # no text is read often enough to be learned by heart; torch's own attention is slower
            # backward than plain products on a CPU (328 ms a step became 194 with both)
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="eager",
        ),
        add_pooling_layer=False,
    )  # fmt: skip
    heads = Heads(student.hidden, LABELS, dropout=0.05)
    if student.start is None:
        small = rows @ targets.principal_axes(rows - rows.mean(0), student.hidden)
        with torch.no_grad():
            encoder.embeddings.word_embeddings.weight.copy_(
                torch.from_numpy(small * (0.02 / small.std()))
            )
    else:
        heads = Heads.load(student.start, student.hidden)
        begin_as(encoder, student.start)
    texts, shorter = [one.text for one in made.examples], student.unlabelled_length
    tokens = tokenise(tokenizer, texts[: made.labelled], config.max_length)
    tokens += tokenise(tokenizer, texts[made.labelled :], min(shorter, config.max_length))
    sides = zip(*pairs.load(config), strict=True)
    length = min(student.pair_length, config.max_length)
    read = [tokenise(tokenizer, side, length) for side in sides]
    partners = list(zip(*read, strict=True))
    log.info("%d texts, %d labelled, %d pairs", len(tokens), made.labelled, len(partners))
    return _Run(config, student, encoder, heads, tokenizer, made, tokens, partners)


def begin_as(encoder: BertModel, start: Path) -> None:
    """Copy the weights of an earlier, shallower student; the layers above add nothing at first.

    Raises ValueError where the shapes do not allow it.
    """
    earlier = AutoModel.from_pretrained(start, dtype=torch.float32, add_pooling_layer=False)
    if earlier.config.num_hidden_layers > encoder.config.num_hidden_layers:
        raise ValueError(f"{start} 比要训练的学生更深")
    try:
        found = encoder.load_state_dict(earlier.state_dict(), strict=False)
    except RuntimeError as error:
        raise ValueError(f"{start} 与要训练的学生宽度不同") from error
    with torch.no_grad():
        for name in found.missing_keys:
            if name.endswith("output.dense.weight") or name.endswith("output.dense.bias"):
                encoder.get_parameter(name).zero_()


def _fit(run: _Run, progress: Progress) -> None:
    student = run.student
    order = list(_order(run))[: student.steps or None]
    optimizer = torch.optim.AdamW(
        [*run.encoder.parameters(), *run.heads.parameters()], lr=student.learning_rate,
        weight_decay=student.weight_decay, fused=True,
    )  # fmt: skip
    kept = run.config.work / "student.pt"
    begin = checkpoints.resume(kept, optimizer, encoder=run.encoder, heads=run.heads)
    chance = random.Random(run.config.seed)
    started, shown = time.monotonic(), dict.fromkeys(["soft", "hard", "vector", "pair"], 0.0)
    for step, rows in enumerate(order):
        partners = chance.sample(run.pairs, min(student.pair_batch, len(run.pairs)))
        if step < begin:  # the same order of chance as in the run that was stopped
            continue
        checkpoints.set_rate(optimizer, student.learning_rate, step / len(order), student.warmup)
        losses = _losses(run, rows)
        if run.pairs and step % student.pair_every == 0:
            losses["pair"] = student.pair_weight * _pair_loss(run, partners)
        _descend(run, optimizer, sum(losses.values(), torch.zeros(())))
        for name, value in losses.items():
            shown[name] = 0.98 * shown[name] + 0.02 * float(value.detach())
        progress(step + 1, len(order))
        if step % 50 == 49:
            rate = (step + 1 - begin) / (time.monotonic() - started)
            told = " ".join(f"{name}={value:.3f}" for name, value in shown.items())
            log.info("step %d/%d %.2f/s %s", step + 1, len(order), rate, told)
        if step % student.checkpoint_every == student.checkpoint_every - 1:
            checkpoints.keep(kept, step + 1, optimizer, encoder=run.encoder, heads=run.heads)
    checkpoints.keep(kept, len(order), optimizer, encoder=run.encoder, heads=run.heads)


def _order(run: _Run) -> Iterator[list[int]]:
    """Batches of rows of all epochs: labelled texts several times, unlabelled once."""
    often = list(range(run.targets.labelled)) * run.student.labelled_times
    every = often + list(range(run.targets.labelled, len(run.tokens)))
    tokens = [run.tokens[row] for row in every]
    for _, places in batches.epochs(
        tokens, run.student.batch_tokens, run.config.seed, run.student.epochs
    ):
        yield [every[place] for place in places]


def _losses(run: _Run, rows: list[int]) -> dict[str, Tensor]:
    run.encoder.train()
    run.heads.train()
    batch = batches.make(rows, run.tokens, run.targets.examples)
    with autocast(run.config):
        states = run.encoder(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
    states = states.float()
    logits = run.heads(states, batch.mask)
    wanted = torch.from_numpy(run.targets.probabilities[rows].astype(np.float32))
    soft, hard = torch.zeros(()), torch.zeros(())
    for task, place in targets.slices().items():
        said = torch.log_softmax(logits[task], -1)
        weight = run.config.task_weights[task]
        soft = soft - weight * (wanted[:, place] * said).sum(-1).mean()
        known = batch.labels[task] >= 0
        if bool(known.any()):
            each = nn.functional.nll_loss(said[known], batch.labels[task][known], reduction="none")
            hard = hard + weight * (each * batch.weights[task][known]).sum() / len(rows)
    base = torch.from_numpy(run.targets.vectors[rows].astype(np.float32))
    ours = nn.functional.normalize(states[:, 0], dim=-1)
    near = 1 - (ours * base).sum(-1).mean()
    relation = ((ours @ ours.T) - (base @ base.T)).square().mean()
    vector = run.student.vector_weight * near + run.student.relation_weight * relation
    return {
        "soft": soft, "hard": run.student.hard_weight * hard, "vector": run.student.hold * vector,
    }  # fmt: skip


def _pair_loss(run: _Run, partners: list[tuple[list[int], list[int]]]) -> Tensor:
    one, other = (
        vectors.read(run.encoder, side, run.config) for side in zip(*partners, strict=True)
    )
    return vectors.contrast(one, other)


def _descend(run: _Run, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([*run.encoder.parameters(), *run.heads.parameters()], 1.0)
    optimizer.step()
