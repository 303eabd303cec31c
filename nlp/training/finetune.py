"""One fine-tuning run: the base encoder with all heads at once, the vector held in place."""

import dataclasses
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel, BertModel

from nlp.heads import Heads
from nlp.text import tokenise
from nlp.training import batches, checkpoints, data, export, refit, scores, vocabulary
from nlp.training.config import LABELS, TrainConfig
from nlp.training.data import Data, Example

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]


@dataclasses.dataclass
class Run:
    """Everything one run holds; `vectors` (n, hidden) float16 are the base model's."""

    config: TrainConfig
    encoder: BertModel
    heads: Heads
    tokenizer: Tokenizer
    sets: Data
    tokens: list[list[int]]
    vectors: np.ndarray
    class_weights: dict[str, Tensor]
    mean: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    seen: int = 0


def train(config: TrainConfig, progress: Progress | None = None) -> Path:
    """Train and write the model folder `config.out`; resumes from `config.work` if it can.

    Returns the folder. `progress(step, steps)` is called after every step. Raises OSError when the
    base model or the data cannot be read.
    """
    config.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    run = prepare(config)
    fit(run, progress)
    for name, value in run.encoder.state_dict().items():
        value.copy_(run.mean[f"encoder.{name}"])
    for name, value in run.heads.state_dict().items():
        value.copy_(run.mean[f"heads.{name}"])
    if set(refit.TASKS) <= set(config.tasks):
        refit.refit(run.encoder, run.heads, run.tokenizer, run.sets, config)
    found = scores.dev_scores(run.encoder, run.heads, run.tokenizer, run.sets.dev, config)
    log.info("development sets: %s", json.dumps(found))
    return export.write(run.encoder, run.heads, run.tokenizer, run.sets, config)


def prepare(config: TrainConfig) -> Run:
    """Load data and base, cut the vocabulary, compute the base vectors (kept for a resume)."""
    sets = data.only(data.load(config), config.tasks)
    # Plain products without dropout of attention: a fifth faster on a CPU than torch's own.
    encoder = AutoModel.from_pretrained(
        config.base, dtype=torch.float32, add_pooling_layer=False, attn_implementation="eager",
        attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    folder = export.folder_of(config.base)
    base = vocabulary.base_tokenizer(folder)
    tokenizer, source = _vocabulary(base, config)
    rows = encoder.get_input_embeddings().weight.detach().numpy()
    table = nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
        torch.from_numpy(vocabulary.take_rows(rows, source)), freeze=False, padding_idx=0
    )
    encoder.set_input_embeddings(table)
    encoder.config.vocab_size = len(source)
    tokens = tokenise(tokenizer, [item.text for item in sets.train], config.max_length)
    log.info("%d training texts, %d tokens", len(tokens), sum(map(len, tokens)))
    named = {task: LABELS[task] for task in config.tasks}
    heads = Heads(encoder.config.hidden_size, named, dropout=0.1)
    vectors = np.zeros((0, encoder.config.hidden_size), dtype=np.float16)
    if config.vector_weight:
        vectors = _base_vectors(encoder, tokens, sets, config)
    weights = {task: _class_weights(sets.train, task) for task in config.tasks}
    return Run(config, encoder, heads, tokenizer, sets, tokens, vectors, weights)


def fit(run: Run, progress: Progress | None) -> None:
    """Run all steps; the run's `mean` then holds the averaged weights."""
    config = run.config
    order = list(batches.epochs(run.tokens, config.batch_tokens, config.seed, config.epochs))
    order = order[: config.max_steps or None]
    optimizer = _optimizer(run)
    begin = _resume(run, optimizer)
    started, losses = time.monotonic(), dict.fromkeys([*LABELS, "vector"], 0.0)
    for step in range(begin, len(order)):
        _set_rate(optimizer, step / len(order), config)
        batch = batches.make(order[step][1], run.tokens, run.sets.train)
        for name, value in _step(run, optimizer, batch).items():
            losses[name] = 0.98 * losses[name] + 0.02 * value
        if step >= len(order) * (1 - config.average_last) and (step % 5 == 0):
            _accumulate(run)
        if progress is not None:
            progress(step + 1, len(order))
        if step % 50 == 49:
            rate = (step + 1 - begin) / (time.monotonic() - started)
            shown = " ".join(f"{name}={value:.3f}" for name, value in losses.items())
            log.info("step %d/%d %.2f/s %s", step + 1, len(order), rate, shown)
        if step % config.checkpoint_every == config.checkpoint_every - 1:
            _checkpoint(run, optimizer, step + 1)
    if not run.mean:
        _accumulate(run)
    _checkpoint(run, optimizer, len(order))


def _step(run: Run, optimizer: torch.optim.Optimizer, batch: batches.Batch) -> dict[str, float]:
    run.encoder.train()
    run.heads.train()
    with autocast(run.config):
        states = run.encoder(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
    states = states.float()
    logits = run.heads(states, batch.mask)
    shown: dict[str, float] = {}
    total = torch.zeros(())
    for task in run.config.tasks:
        target = batch.labels[task]
        known = target >= 0
        if not bool(known.any()):
            continue
        loss = nn.functional.cross_entropy(
            logits[task][known],
            target[known],
            weight=run.class_weights[task],
            reduction="none",
            label_smoothing=run.config.label_smoothing,
        )
        loss = (loss * batch.weights[task][known]).sum()
        shown[task] = float(loss.detach()) / int(known.sum())
        total = total + run.config.task_weights[task] * loss / len(batch.rows)
    if run.config.vector_weight:
        base = torch.from_numpy(run.vectors[batch.rows]).float()
        apart = 1 - nn.functional.cosine_similarity(states[:, 0], base, dim=-1).mean()
        shown["vector"] = float(apart.detach())
        total = total + run.config.vector_weight * apart
    optimizer.zero_grad()
    total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([*run.encoder.parameters(), *run.heads.parameters()], 1.0)
    optimizer.step()
    return shown


def autocast(config: TrainConfig) -> torch.autocast:
    """The precision of training: bfloat16 where asked for, or where the processor has it."""
    use = config.bf16 if config.bf16 is not None else torch.cpu._is_avx512_bf16_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=use)


def _vocabulary(base: Tokenizer, config: TrainConfig) -> tuple[Tokenizer, list[int]]:
    path = config.work / "vocabulary.json"
    if path.exists():
        kept, fresh = json.loads(path.read_text(encoding="utf-8"))
    else:
        kept, fresh = vocabulary.choose(base, config)
        path.write_text(json.dumps([kept, fresh], ensure_ascii=False), encoding="utf-8")
    return vocabulary.cut(base, kept, fresh)


def _base_vectors(
    encoder: BertModel, tokens: list[list[int]], sets: Data, config: TrainConfig
) -> np.ndarray:
    """The untouched base's [CLS] vectors (n, hidden) float16, in the order of the tokens.

    With `config.vectors_base` another model's, read with its own tokenizer; its width must be ours.
    """
    path = config.work / "vectors.npy"
    if path.exists():
        found: np.ndarray = np.load(path)
        if len(found) == len(tokens):
            return found
    log.info("computing base vectors")
    if config.vectors_base:
        encoder = AutoModel.from_pretrained(
            config.vectors_base, dtype=torch.float32, add_pooling_layer=False
        )
        whole = vocabulary.base_tokenizer(export.folder_of(config.vectors_base))
        tokens = tokenise(whole, [item.text for item in sets.train], config.max_length)
    found = np.zeros((len(tokens), encoder.config.hidden_size), dtype=np.float16)
    encoder.eval()  # type: ignore[no-untyped-call]
    with torch.inference_mode(), autocast(config):
        for rows in batches.plan(tokens, config.batch_tokens, None):
            ids, mask = batches.pad([tokens[row] for row in rows])
            states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
            found[rows] = nn.functional.normalize(states.float(), dim=-1).half().numpy()
    np.save(path, found)
    return found


def _class_weights(examples: list[Example], task: str) -> Tensor:
    """Square root of inverse frequency, mean 1: rare classes count more, not overwhelmingly."""
    counts = [1.0] * len(LABELS[task])
    for item in examples:
        if item.labels.get(task) in LABELS[task]:
            counts[LABELS[task].index(item.labels[task])] += item.weights.get(task, 1.0)
    weights = (sum(counts) / torch.tensor(counts)).sqrt()
    share = torch.tensor(counts) / sum(counts)
    return weights / (weights * share).sum()


def _optimizer(run: Run) -> torch.optim.Optimizer:
    """AdamW; lower layers learn more slowly, norms and biases are not decayed."""
    config, depth = run.config, run.encoder.config.num_hidden_layers
    groups = []
    for name, weight in run.encoder.named_parameters():
        layer = int(name.split(".")[2]) + 1 if name.startswith("encoder.layer.") else 0
        rate = config.learning_rate * config.layer_decay ** (depth - layer)
        decay = config.weight_decay if weight.ndim > 1 else 0.0
        groups.append({"params": [weight], "peak": rate, "weight_decay": decay, "lr": 0.0})
    peak = config.head_learning_rate
    heads = list(run.heads.parameters())
    groups.append({"params": heads, "peak": peak, "weight_decay": config.weight_decay, "lr": 0.0})
    return torch.optim.AdamW(groups, fused=True)


def _set_rate(optimizer: torch.optim.Optimizer, share: float, config: TrainConfig) -> None:
    rising = share / config.warmup if config.warmup else 1.0
    factor = min(1.0, rising, max(0.0, (1 - share) / (1 - config.warmup)))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def _named(run: Run) -> dict[str, Tensor]:
    found = {f"encoder.{name}": value for name, value in run.encoder.state_dict().items()}
    return found | {f"heads.{name}": value for name, value in run.heads.state_dict().items()}


def _accumulate(run: Run) -> None:
    run.seen += 1
    for name, value in _named(run).items():
        if name not in run.mean:
            run.mean[name] = value.detach().clone()
        elif value.is_floating_point():
            run.mean[name] += (value.detach() - run.mean[name]) / run.seen


def _checkpoint(run: Run, optimizer: torch.optim.Optimizer, step: int) -> None:
    checkpoints.save(
        run.config.work / "checkpoint.pt", step, optimizer, weights=_named(run), mean=run.mean,
        seen=run.seen,
    )  # fmt: skip


def _resume(run: Run, optimizer: torch.optim.Optimizer) -> int:
    state = checkpoints.load(run.config.work / "checkpoint.pt", optimizer)
    if state is None:
        return 0
    for name, value in _named(run).items():
        value.copy_(state["weights"][name])
    run.mean, run.seen = state["mean"], state["seen"]
    return int(state["step"])
