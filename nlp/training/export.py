"""Write a model folder that transformers and sentence-transformers load without our code."""

import json
import logging
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import snapshot_download
from scipy.special import softmax
from tokenizers import Tokenizer
from transformers import BertModel

from nlp.forward import INT8
from nlp.heads import Heads
from nlp.ngrams import Ngrams
from nlp.training import graph, ngrams, scores
from nlp.training.config import TrainConfig
from nlp.training.data import Data

log = logging.getLogger(__name__)

NOTICES = Path(__file__).parents[1] / "data"
"""Licence of the base model and a note of what was changed; they travel with the weights."""


_BESIDE = ("emotion", "sentiment", "category")
"""Tasks in which n-grams may ship: the other labels are mostly made by rules, which they repeat."""


def folder_of(base: str) -> Path:
    """Local folder of a base model: the folder itself, or the hub id's snapshot."""
    if Path(base).is_dir():
        return Path(base)
    return Path(snapshot_download(base, allow_patterns=["*.json", "*.txt", "*.safetensors"]))


def write(
    encoder: BertModel,
    heads: Heads,
    tokenizer: Tokenizer,
    sets: Data,
    config: TrainConfig,
    beside: Ngrams | None = None,
) -> Path:
    """Set the temperatures on the development sets, then write `config.out`; returns it.

    `beside`: n-grams that answer with the encoder; their shares are set on the same sets.
    """
    beside = calibrate(encoder, heads, tokenizer, sets, config, beside)
    folder = config.out
    folder.mkdir(parents=True, exist_ok=True)
    encoder.config.dtype = torch.float16
    encoder.half().save_pretrained(folder, safe_serialization=True)  # type: ignore[no-untyped-call]
    encoder.float()  # type: ignore[no-untyped-call]
    heads.save(folder)
    if beside is not None:
        beside.save(folder)
    graph.write(encoder, heads, folder / INT8, config.max_length)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(config.max_length))
    _sentence_transformers(folder, encoder.config.hidden_size, config.max_length)
    for name in ("LICENSE", "NOTICE"):
        text = (NOTICES / f"base-model-{name}").read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
    for path in folder.rglob("*"):  # safetensors makes files that only their owner may read
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def calibrate(
    encoder: BertModel, heads: Heads, tokenizer: Tokenizer, sets: Data, config: TrainConfig,
    beside: Ngrams | None = None,
) -> Ngrams | None:  # fmt: skip
    """Fit one temperature a head on its development rows, and the shares of `beside` before.

    Returns `beside` with its shares, or None where it helps no task.
    """
    answers: dict[str, list[np.ndarray]] = {}
    grams: dict[str, list[np.ndarray]] = {}
    gold: dict[str, list[np.ndarray]] = {}
    for name, examples in sets.dev.items():
        task = scores.task_of(name)
        rows, wanted = ngrams.gold_of(examples, task)
        if not rows or task not in heads.labels:
            continue
        texts = [examples[row].text for row in rows]
        values, _ = scores.logits(encoder, heads, tokenizer, texts, config)
        answers.setdefault(task, []).append(softmax(values[task], axis=-1))
        gold.setdefault(task, []).append(wanted)
        if beside is not None and task in _BESIDE:
            grams.setdefault(task, []).append(beside.probabilities(texts)[task])
    if beside is not None:
        shares = {
            task: ngrams.best_share(answers[task], found, gold[task])
            for task, found in grams.items()
        }
        log.info("shares of the n-grams: %s", shares)
        beside = ngrams.only(beside, shares)
    for task, found in answers.items():
        mixed = found
        if beside is not None and task in beside.labels:
            share = beside.shares[task]
            pairs = zip(found, grams[task], strict=True)
            mixed = [(1 - share) * one + share * other for one, other in pairs]
        likely = np.log(np.concatenate(mixed) + 1e-9)
        heads.temperatures[task] = round(
            scores.best_temperature(likely, np.concatenate(gold[task])), 4
        )
    return beside


def _tokenizer_config(max_length: int) -> dict[str, object]:
    return {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": max_length,
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
    }


def _sentence_transformers(folder: Path, width: int, max_length: int) -> None:
    """Describe the [CLS] pooling and the normalisation in sentence-transformers' files."""
    names = ("Transformer", "Pooling", "Normalize")
    modules = [
        {
            "idx": number,
            "name": str(number),
            "path": "" if number == 0 else f"{number}_{name}",
            "type": f"sentence_transformers.models.{name}",
        }
        for number, name in enumerate(names)
    ]
    _write_json(folder / "modules.json", modules)
    about = {"max_seq_length": max_length, "do_lower_case": False}
    _write_json(folder / "sentence_bert_config.json", about)
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "2_Normalize").mkdir(exist_ok=True)
    pooling = {
        "word_embedding_dimension": width,
        "pooling_mode_cls_token": True,
        "pooling_mode_mean_tokens": False,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    _write_json(folder / "1_Pooling" / "config.json", pooling)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
