"""Go on with masked-language training of the base encoder on texts of our own field.

Each character piece is hidden with probability 0.15 (Devlin et al. 2019, arXiv 1810.04805: of the
hidden ones 80 % become [MASK], 10 % a random piece, 10 % stay) and guessed from the rest. What is
saved is an ordinary BERT folder with the cut vocabulary, the `--base` of `huiyin train heads`.
"""

import dataclasses
import itertools
import json
import logging
import lzma
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel, BertForMaskedLM

from nlp.text import clean, tokenise
from nlp.training import batches, checkpoints, data, export, vocabulary
from nlp.training.config import TrainConfig
from nlp.training.finetune import autocast

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]

HIDDEN_SHARE = 0.15
_IGNORED = -100
_SHORTEST, _LINES_AT_ONCE = 6, 20_000


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """One run of `train encoder`; lengths are in tokens."""

    tokens: int = 12_000_000
    """Padded tokens that the run reads; each text at most once."""
    batch_tokens: int = 4096
    learning_rate: float = 1e-4
    warmup: float = 0.05
    weight_decay: float = 0.01
    short_texts: int = 400_000
    """Lines of pretrain/short_texts taken at random; the other texts are all used."""
    checkpoint_every: int = 100
    """Steps between two checkpoints."""


def pretrain(config: TrainConfig, run: PretrainConfig, progress: Progress | None = None) -> Path:
    """Train and write the encoder folder `config.out`; resumes from `config.work`; returns it."""
    config.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    tokenizer, model = _model(config)
    tokens = _Tokens.load(config, run, tokenizer)
    order = _order(tokens, config, run)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay, fused=True
    )
    kept = config.work / "pretrain.pt"
    begin = checkpoints.resume(kept, optimizer, weights=model)
    started, mean = time.monotonic(), 0.0
    model.train()
    for step in range(begin, len(order)):
        checkpoints.set_rate(optimizer, run.learning_rate, step / len(order), run.warmup)
        loss = _step(model, optimizer, [tokens[row] for row in order[step]], config, step)
        mean = loss if step == begin else 0.98 * mean + 0.02 * loss
        if progress is not None:
            progress(step + 1, len(order))
        if step % 20 == 19:
            rate = (step + 1 - begin) / (time.monotonic() - started)
            log.info("step %d/%d %.2f/s loss %.4f", step + 1, len(order), rate, mean)
        if step % run.checkpoint_every == run.checkpoint_every - 1:
            checkpoints.keep(kept, step + 1, optimizer, weights=model)
    checkpoints.keep(kept, len(order), optimizer, weights=model)
    return _write(config, tokenizer, model)


def _step(
    model: BertForMaskedLM, optimizer: torch.optim.Optimizer, rows: list[list[int]],
    config: TrainConfig, step: int,
) -> float:  # fmt: skip
    ids, mask = batches.pad(rows)
    hidden, wanted = hide(
        ids, model.config.vocab_size, torch.Generator().manual_seed(config.seed * 7919 + step)
    )
    with autocast(config):
        states = model.bert(input_ids=hidden, attention_mask=mask).last_hidden_state
        # only hidden pieces are guessed: the output layer costs as much as the encoder
        logits = model.cls(states[wanted != _IGNORED])
    loss = nn.functional.cross_entropy(logits.float(), wanted[wanted != _IGNORED])
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def hide(ids: Tensor, vocabulary_size: int, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Hide pieces of ids (b, t); returns (ids with gaps, the hidden pieces, -100 elsewhere).

    Special pieces (numbers below 5) are never hidden, and at least one other piece is.
    """
    usable = ids >= len(vocabulary.SPECIAL)
    chosen = (torch.rand(ids.shape, generator=chance) < HIDDEN_SHARE) & usable
    if not bool(chosen.any()):
        chosen = usable
    wanted = torch.where(chosen, ids, _IGNORED)
    fate = torch.rand(ids.shape, generator=chance)
    strange = torch.randint(len(vocabulary.SPECIAL), vocabulary_size, ids.shape, generator=chance)
    gaps = torch.where(chosen & (fate < 0.8), vocabulary.SPECIAL.index("[MASK]"), ids)
    return torch.where(chosen & (fate >= 0.9), strange, gaps), wanted


class _Tokens:
    """Token lists as one flat uint16 array: a list of a million lists would take 3 GB."""

    def __init__(self, flat: np.ndarray, ends: np.ndarray) -> None:
        self._flat, self._ends = flat, ends
        self.lengths = np.diff(ends, prepend=0)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, row: int) -> list[int]:
        start = int(self._ends[row - 1]) if row else 0
        found: list[int] = self._flat[start : int(self._ends[row])].tolist()
        return found

    @classmethod
    def load(cls, config: TrainConfig, run: PretrainConfig, tokenizer: Tokenizer) -> "_Tokens":
        """The texts of the data folder, tokenised; kept in the work folder."""
        path = config.work / "pretrain-tokens.npz"
        if path.exists():
            with np.load(path) as kept:
                return cls(kept["flat"], kept["ends"])
        parts: list[np.ndarray] = []
        lengths: list[int] = []
        found_texts = texts(config, run)
        while chunk := list(itertools.islice(found_texts, _LINES_AT_ONCE)):
            for ids in tokenise(tokenizer, chunk, config.max_length):
                parts.append(np.array(ids, dtype=np.uint16))
                lengths.append(len(ids))
        found = cls(np.concatenate(parts), np.cumsum(lengths))
        np.savez(path, flat=found._flat, ends=found._ends)
        log.info("%d texts, %d tokens", len(found), len(found._flat))
        return found


def texts(config: TrainConfig, run: PretrainConfig) -> Iterator[str]:
    """All texts but the labelled development rows, each once; of the short ones a sample."""
    held = {item.text for items in data.load(config).dev.values() for item in items}
    seen: set[int] = {hash(text) for text in held}
    for text in itertools.chain(data.all_texts(config), _reposts(config), _short(config, run)):
        if len(text) >= _SHORTEST and hash(text) not in seen:
            seen.add(hash(text))
            yield text


def _reposts(config: TrainConfig) -> Iterator[str]:
    """Posts and a tenth of the reposts of 2010 to 2014: an older way of speaking."""
    for name, share in (("cascades_posts", 1.0), ("cascades_reposts", 0.1)):
        path = config.data / "streams" / f"{name}.jsonl.xz"
        if path.exists():
            with lzma.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    text = clean(str(json.loads(line)["text"] or ""))
                    if data.bucket(text) < share:
                        yield text


def _short(config: TrainConfig, run: PretrainConfig) -> Iterator[str]:
    path = config.data / "pretrain" / "short_texts.txt.xz"
    if not path.exists():
        log.warning("data set absent: %s", path.name)
        return
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        texts = [line.strip() for line in lines]
    for text in random.Random(config.seed).sample(texts, min(run.short_texts, len(texts))):
        yield clean(text)


def _order(tokens: _Tokens, config: TrainConfig, run: PretrainConfig) -> list[list[int]]:
    """Batches of texts of similar length in random order, as many as `run.tokens` allows."""
    chance = np.random.default_rng(config.seed)
    rows = np.argsort(tokens.lengths + chance.uniform(0, 4, len(tokens)), kind="stable")
    found: list[list[int]] = []
    current: list[int] = []
    width = 0
    for row in rows.tolist():
        width = max(width, int(tokens.lengths[row]))
        if current and width * (len(current) + 1) > run.batch_tokens:
            found.append(current)
            current, width = [], int(tokens.lengths[row])
        current.append(row)
    found.append(current)
    random.Random(config.seed).shuffle(found)
    return found[: max(1, run.tokens // run.batch_tokens)]


def _model(config: TrainConfig) -> tuple[Tokenizer, BertForMaskedLM]:
    """The base encoder with the cut vocabulary under a fresh output layer tied to its table."""
    encoder = AutoModel.from_pretrained(config.base, dtype=torch.float32, add_pooling_layer=False)
    base = vocabulary.base_tokenizer(export.folder_of(config.base))
    path = config.work / "vocabulary.json"
    if not path.exists():
        path.write_text(json.dumps(vocabulary.choose(base, config), ensure_ascii=False), "utf-8")
    tokenizer, source = vocabulary.cut(base, *json.loads(path.read_text("utf-8")))
    rows = encoder.get_input_embeddings().weight.detach().numpy()
    about = encoder.config
    about.vocab_size = len(source)
    model = BertForMaskedLM(about)
    encoder.set_input_embeddings(
        nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
            torch.from_numpy(vocabulary.take_rows(rows, source)), freeze=False, padding_idx=0
        )
    )
    model.bert = encoder
    model.cls.predictions.decoder.weight = encoder.get_input_embeddings().weight
    return tokenizer, model


def _write(config: TrainConfig, tokenizer: Tokenizer, model: BertForMaskedLM) -> Path:
    config.out.mkdir(parents=True, exist_ok=True)
    model.bert.save_pretrained(config.out, safe_serialization=True)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(config.out / "tokenizer.json"))
    return config.out
