"""What the student learns from: the teachers' probabilities and the base model's vectors.

Each teacher reads every text once. What it says is kept in the work folder, part by part, so that
a run that was stopped goes on where it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModel, BertModel

from nlp.heads import Heads
from nlp.text import tokenise
from nlp.training import batches, export, ngrams, pretrain, vocabulary
from nlp.training.config import LABELS, TrainConfig
from nlp.training.data import Data, Example
from nlp.training.finetune import autocast

log = logging.getLogger(__name__)

PART = 8192
"""Texts between two savings."""
OUTPUTS = sum(len(names) for names in LABELS.values())
Progress = Callable[[int, int], None]
Reader = Callable[[list[list[int]]], NDArray[np.float16]]
"""Token lists (n) -> what is kept of them, (n, width)."""


@dataclasses.dataclass(frozen=True)
class Targets:
    """n texts and what is to be learned of each."""

    examples: list[Example]
    """The labelled ones first."""
    labelled: int
    probabilities: NDArray[np.float16]
    """(n, OUTPUTS): the mean of the teachers that know the task, in the order of `LABELS`."""
    vectors: NDArray[np.float16]
    """(n, dims): the base model's sentence vectors on their first principal axes, unit length."""
    axes: NDArray[np.float32]
    """(base dims, dims): those axes."""


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A model folder that `train heads` or `train student` wrote, and what it is asked."""

    folder: Path
    tasks: tuple[str, ...]

    @classmethod
    def of(cls, said: str) -> Teacher:
        """`FOLDER` is asked all tasks that it knows, `FOLDER:task,task` these.

        Raises ValueError for other tasks, OSError where there is no such folder.
        """
        folder, _, named = said.partition(":")
        known = json.loads((Path(folder) / "heads.json").read_text(encoding="utf-8"))["labels"]
        tasks = tuple(named.split(",")) if named else tuple(known)
        if strange := sorted(set(tasks) - set(known)):
            raise ValueError(f"{folder} 没有学过：{'、'.join(strange)}")
        return cls(Path(folder), tasks)


def _mean(said: Sequence[NDArray[np.float16]]) -> NDArray[np.float32]:
    """The mean of the teachers that were asked, task by task. Raises ValueError where none was."""
    mean = np.zeros(said[0].shape, np.float32)
    for task, place in slices().items():
        asked = [one[:, place] for one in said if not np.isnan(one[0, place]).any()]
        if not asked:
            raise ValueError(f"没有一位老师懂 {task}")
        mean[:, place] = np.mean([one.astype(np.float32) for one in asked], axis=0)
    return mean


def slices() -> dict[str, slice]:
    """Columns of each task in `Targets.probabilities`."""
    ends = list(itertools.accumulate(len(names) for names in LABELS.values()))
    starts = [0, *ends[:-1]]
    return {task: slice(a, b) for task, a, b in zip(LABELS, starts, ends, strict=True)}


def make(
    config: TrainConfig, teachers: Sequence[Teacher], texts: int, dims: int, sets: Data,
    progress: Progress,
) -> Targets:  # fmt: skip
    """Read all labelled texts and `texts` unlabelled ones. Raises OSError for a missing folder,

    ValueError where no teacher knows a task.
    """
    config.work.mkdir(parents=True, exist_ok=True)
    examples = [*sets.train, *(Example(text, {}) for text in _unlabelled(config, texts, sets))]
    every = [one.text for one in examples]
    steps = _Steps(progress, len(examples) * (len(teachers) + 1))
    mean = _mean([_teacher(config, one, every, steps) for one in teachers])
    mean = _with_ngrams(config, mean, every, sets)
    base = _base_vectors(config, every, steps)
    axes = np.eye(dims, dtype=np.float32)  # a base as wide as the student: vectors as they are
    if base.shape[1] != dims:
        axes = principal_axes(base[:: max(1, len(base) // 50_000)].astype(np.float32), dims)
    vectors = _turned(base, axes)
    return Targets(examples, len(sets.train), mean.astype(np.float16), vectors, axes)


def principal_axes(vectors: NDArray[np.float32], dims: int) -> NDArray[np.float32]:
    """The `dims` directions that keep most of the vectors' inner products: (width, dims)."""
    _, values = np.linalg.eigh(vectors.T @ vectors)
    return np.ascontiguousarray(values[:, ::-1][:, :dims]).astype(np.float32)


def _turned(base: NDArray[np.float16], axes: NDArray[np.float32]) -> NDArray[np.float16]:
    out = np.zeros((len(base), axes.shape[1]), np.float16)
    for start in range(0, len(base), PART):
        part = base[start : start + PART].astype(np.float32) @ axes
        out[start : start + PART] = part / np.linalg.norm(part, axis=1, keepdims=True).clip(1e-6)
    return out


def _unlabelled(config: TrainConfig, texts: int, sets: Data) -> list[str]:
    known = {one.text for one in sets.train}
    run = pretrain.PretrainConfig(short_texts=texts)
    found = [text for text in pretrain.texts(config, run) if text not in known]
    order = np.random.default_rng(config.seed).permutation(len(found))[:texts]
    return [found[place] for place in order]


class _Steps:
    """Counts texts read over all passes."""

    def __init__(self, progress: Progress, of: int) -> None:
        self._progress, self._of, self._done = progress, of, 0

    def add(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self._of)


def _teacher(
    config: TrainConfig, teacher: Teacher, texts: list[str], steps: _Steps
) -> NDArray[np.float16]:
    """Probabilities (n, OUTPUTS) of a teacher; NaN for what it is not asked."""
    folder = teacher.folder
    encoder = AutoModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=False)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    heads = Heads.load(folder, encoder.config.hidden_size).eval()

    def read(tokens: list[list[int]]) -> NDArray[np.float16]:
        out = np.full((len(tokens), OUTPUTS), np.nan, np.float16)
        for rows, states, mask in _states(encoder, tokens, config):
            logits = heads(states, mask)
            for task, place in slices().items():
                if task in teacher.tasks:
                    shares = torch.softmax(logits[task] / heads.temperatures[task], -1)
                    out[rows, place] = shares.half().numpy()
        return out

    name = "-".join(("teacher", folder.name, *(one for one in LABELS if one in teacher.tasks)))
    return _kept(config, name, OUTPUTS, texts, _tokens(tokenizer, config), read, steps)


def _base_vectors(config: TrainConfig, texts: list[str], steps: _Steps) -> NDArray[np.float16]:
    """Unit sentence vectors of `config.vectors_base` or `base`, read with its own tokenizer."""
    base = config.vectors_base or config.base
    encoder = AutoModel.from_pretrained(base, dtype=torch.float32, add_pooling_layer=False)
    tokenizer = vocabulary.base_tokenizer(export.folder_of(base))
    width = encoder.config.hidden_size

    def read(tokens: list[list[int]]) -> NDArray[np.float16]:
        out = np.zeros((len(tokens), width), np.float16)
        for rows, states, _ in _states(encoder, tokens, config):
            out[rows] = nn.functional.normalize(states[:, 0], dim=-1).half().numpy()
        return out

    return _kept(config, "vectors", width, texts, _tokens(tokenizer, config), read, steps)


def _tokens(tokenizer: Tokenizer, config: TrainConfig) -> Callable[[list[str]], list[list[int]]]:
    return lambda texts: tokenise(tokenizer, texts, config.max_length)


def _states(encoder: BertModel, tokens: list[list[int]], config: TrainConfig):  # type: ignore[no-untyped-def]
    """Yield (rows, last hidden states (b, t, hidden) float32, mask (b, t))."""
    encoder.eval()  # type: ignore[no-untyped-call]
    with torch.inference_mode(), autocast(config):
        for rows in batches.plan(tokens, config.batch_tokens, None):
            ids, mask = batches.pad([tokens[row] for row in rows])
            states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            with torch.autocast("cpu", enabled=False):
                yield rows, states, mask


def _kept(
    config: TrainConfig, name: str, width: int, texts: list[str],
    tokens_of: Callable[[list[str]], list[list[int]]], read: Reader, steps: _Steps,
) -> NDArray[np.float16]:  # fmt: skip
    """(n, width) float16 in `<work>/<name>.npy`, made part by part; a stopped run goes on."""
    path, mark = config.work / f"{name}.npy", config.work / f"{name}.done"
    shape = (len(texts), width)
    of = hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()
    told = mark.read_text().split() if mark.exists() and path.exists() else []
    if told and told[0] != of:
        raise ValueError(f"{path} 是另一批文本的，请删掉它再运行")
    done = int(told[1]) if told else 0
    mode = "r+" if done else "w+"
    kept = np.lib.format.open_memmap(path, mode=mode, dtype=np.float16, shape=shape)
    steps.add(done)
    while done < len(texts):
        part = texts[done : done + PART]
        kept[done : done + len(part)] = read(tokens_of(part))
        kept.flush()
        done += len(part)
        mark.write_text(f"{of} {done}")
        steps.add(len(part))
        log.info("%s %d/%d", name, done, len(texts))
    whole: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return whole


def _with_ngrams(
    config: TrainConfig, mean: NDArray[np.float32], texts: list[str], sets: Data
) -> NDArray[np.float32]:
    """The encoders' mean beside the n-grams', each task by its share of `ngram_shares`."""
    shares = {task: share for task, share in config.ngram_shares.items() if share}
    if not shares:
        return mean
    model = ngrams.fitted(sets.train, config.work)
    places = slices()
    for start in range(0, len(texts), PART):
        found = model.probabilities(texts[start : start + PART])
        for task, share in shares.items():
            part = mean[start : start + PART, places[task]]
            mean[start : start + PART, places[task]] = (1 - share) * part + share * found[task]
    return mean
