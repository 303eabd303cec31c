"""The shipped model: one forward pass gives every head's probabilities and the sentence vector.

The folder is plain BERT in the transformers format with our heads beside it (heads.safetensors),
the same weights once more in 8 bits (`nlp/forward.py`), and a linear model over n-grams that
answers with it (`nlp/ngrams.py`), if it was found to help. Nothing is ever fetched. A text gives
the same answer in whatever company it is read: its padded width depends on itself alone, a batch
holds one width, and copies are read once.
"""

import collections
import hashlib
import itertools
import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from huiyin.errors import ModelError
from huiyin.vectors import pack
from nlp import forward, ngrams
from nlp import precision as precisions
from nlp.text import clean, tokenise

SHIPPED = Path(__file__).parent / "model"
CODE_VERSION = 2
"""Raised when cleaning, pooling or rules change what the same weights answer."""
TASKS = ("sentiment", "emotion", "category", "intent", "needs_answer")
ABOUT = "heads.json"
_FILES = ("config.json", "model.safetensors", "tokenizer.json", ABOUT, "heads.safetensors")
_STEP = 16
"""Padded widths are multiples of this many tokens."""
_BATCH_TOKENS = 2048
_CACHE = 20_000
"""Texts whose answer is remembered: about 40 MB."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model made of one text."""

    probabilities: Mapping[str, Mapping[str, float]]
    """Task -> label -> probability, 4 decimals."""
    vector: bytes
    """Unit length, little-endian float16."""


class Model:
    """A loaded model folder. Safe to use from several threads (one forward pass at a time)."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        threads: int = 0,
        precision: precisions.Precision | None = None,
    ) -> None:
        """Load `folder` (None: the shipped one). threads 0 = all cores.

        Raises ModelError when a file is missing or cannot be used.
        """
        self.folder = folder or SHIPPED
        small = (self.folder / forward.INT8).is_file()
        self.precision = precision or precisions.choose(int8=small)
        more = (forward.INT8, ngrams.FILE)
        wanted = (self.precision == "int8", (self.folder / ngrams.FILE).is_file())
        needed = (*_FILES, *itertools.compress(more, wanted))
        missing = [name for name in needed if not (self.folder / name).is_file()]
        if missing:
            raise ModelError(
                f"模型文件夹 {self.folder} 缺少 {'、'.join(missing)}",
                "检查设置 nlp.model，或留空以使用自带模型",
            )
        try:
            self._load(threads or os.cpu_count() or 1)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelError(
                f"模型文件夹 {self.folder} 无法读取：{error}", "重新安装，或检查设置 nlp.model"
            ) from error
        digest = content_hash(self.folder, needed)
        self.id = f"huiyin-{digest}.{CODE_VERSION}-{self.precision}"
        self._cache: collections.OrderedDict[str, Reading] = collections.OrderedDict()
        self._lock = threading.Lock()

    def _load(self, threads: int) -> None:
        about = json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))
        self.labels: Mapping[str, tuple[str, ...]] = {
            task: tuple(names) for task, names in about["labels"].items()
        }
        """Labels of each task, in the order of the head's outputs."""
        absent = [task for task in TASKS if task not in self.labels]
        if absent:
            raise ValueError(f"缺少任务 {'、'.join(absent)}")
        self._temperatures = {task: float(about["temperatures"][task]) for task in self.labels}
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        told = json.loads((self.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        self.max_length = int(told["model_max_length"])
        sizes = {task: len(names) for task, names in self.labels.items()}
        self.encoder = forward.load(self.folder, self.precision, threads, sizes)
        self.dims = self.encoder.dims
        self._ngrams: ngrams.Ngrams | None = None
        if (self.folder / ngrams.FILE).is_file():
            self._ngrams = ngrams.Ngrams.load(self.folder)

    @property
    def ngram_shares(self) -> Mapping[str, float]:
        """Weight of the n-grams' probabilities beside the encoder's, a task; empty without them."""
        return self._ngrams.shares if self._ngrams is not None else {}

    def read(self, texts: Sequence[str]) -> list[Reading]:
        """Read raw texts; one `Reading` each, in order. Copies and known texts cost nothing."""
        cleaned = [clean(text) for text in texts]
        with self._lock:
            known = {text: self._cache[text] for text in set(cleaned) if text in self._cache}
            fresh = [text for text in dict.fromkeys(cleaned) if text not in known]
            known.update(zip(fresh, self._forward(fresh), strict=True))
            for text in dict.fromkeys(cleaned):
                self._cache[text] = known[text]
                self._cache.move_to_end(text)
            while len(self._cache) > _CACHE:
                self._cache.popitem(last=False)
        return [known[text] for text in cleaned]

    def forget(self) -> None:
        """Empty the cache (for measurements)."""
        with self._lock:
            self._cache.clear()

    def _forward(self, cleaned: Sequence[str]) -> list[Reading]:
        if not cleaned:
            return []
        tokens = tokenise(self.tokenizer, cleaned, self.max_length)
        logits = np.zeros((len(cleaned), sum(map(len, self.labels.values()))), dtype=np.float32)
        vectors = np.zeros((len(cleaned), self.dims), dtype=np.float32)
        for rows, width in plan([len(item) for item in tokens]):
            logits[rows], vectors[rows] = self.run([tokens[row] for row in rows], width)
        shares = self._shares(logits, cleaned)
        return [
            Reading(
                {
                    task: dict(zip(self.labels[task], rows[row], strict=True))
                    for task, rows in shares.items()
                },
                pack(vector),
            )
            for row, vector in enumerate(vectors)
        ]

    def run(self, tokens: Sequence[list[int]], width: int) -> forward.Passed:
        """One forward pass over token ids padded to `width`."""
        ids = np.zeros((len(tokens), width), dtype=np.int64)
        mask = np.zeros((len(tokens), width), dtype=np.int64)
        for row, item in enumerate(tokens):
            ids[row, : len(item)] = item
            mask[row, : len(item)] = 1
        return self.encoder.run(ids, mask)

    def _shares(
        self, logits: NDArray[np.float32], cleaned: Sequence[str]
    ) -> dict[str, list[list[float]]]:
        """Probabilities of each task: one list a text, in the order of the labels, 4 decimals."""
        grams = self._ngrams.probabilities(cleaned) if self._ngrams is not None else {}
        shares, at = {}, 0
        for task, names in self.labels.items():
            found = _softmax(logits[:, at : at + len(names)])
            if self._ngrams is not None:
                found = self._ngrams.mixed(task, found, grams)
            found = _softmax(np.log(found + 1e-9) / self._temperatures[task])
            shares[task] = found.round(4).tolist()
            at += len(names)
        return shares


def _softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Along the last axis."""
    found = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return np.asarray(found / found.sum(-1, keepdims=True))


def plan(lengths: Sequence[int]) -> list[tuple[list[int], int]]:
    """Group rows of equal padded width: (rows, width), widths rising, at most 2,048 tokens each."""
    by_width: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        by_width.setdefault(-(-length // _STEP) * _STEP, []).append(row)
    return [
        (rows[start : start + max(1, _BATCH_TOKENS // width)], width)
        for width, rows in sorted(by_width.items())
        for start in range(0, len(rows), max(1, _BATCH_TOKENS // width))
    ]


def content_hash(folder: Path, names: Sequence[str] = _FILES) -> str:
    """First 10 hex digits of SHA-256 over the files that decide the answers."""
    digest = hashlib.sha256()
    for name in names:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:10]
