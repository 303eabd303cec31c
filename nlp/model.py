"""The shipped model: one forward pass gives every head's probabilities and the sentence vector.

The folder is plain BERT in the transformers format with our heads beside it (heads.safetensors).
Nothing is ever fetched. A text gives the same answer in whatever company it is read: its padded
width depends on itself alone, a batch holds one width, and copies are read once.
"""

import collections
import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from huiyin.errors import ModelError
from huiyin.vectors import pack
from nlp import precision as precisions
from nlp.heads import ABOUT, WEIGHTS, Heads
from nlp.text import clean, tokenise

SHIPPED = Path(__file__).parent / "model"
CODE_VERSION = 2
"""Raised when cleaning, pooling or rules change what the same weights answer."""
TASKS = ("sentiment", "emotion", "category", "intent", "needs_answer")
_FILES = ("config.json", "model.safetensors", "tokenizer.json", ABOUT, WEIGHTS)
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
        self.precision = precision or precisions.choose()
        missing = [name for name in _FILES if not (self.folder / name).is_file()]
        if missing:
            raise ModelError(
                f"模型文件夹 {self.folder} 缺少 {'、'.join(missing)}",
                "检查设置 nlp.model，或留空以使用自带模型",
            )
        torch.set_num_threads(threads or os.cpu_count() or 1)
        try:
            self._load()
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ModelError(
                f"模型文件夹 {self.folder} 无法读取：{error}", "重新安装，或检查设置 nlp.model"
            ) from error
        self.id = f"huiyin-{content_hash(self.folder)}.{CODE_VERSION}-{self.precision}"
        self._cache: collections.OrderedDict[str, Reading] = collections.OrderedDict()
        self._lock = threading.Lock()

    def _load(self) -> None:
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        self.encoder = AutoModel.from_pretrained(
            self.folder, dtype=dtype, add_pooling_layer=False, local_files_only=True
        ).eval()
        self.max_length = int(self.tokenizer.model_max_length)
        self.dims = int(self.encoder.config.hidden_size)
        self.heads = Heads.load(self.folder, self.dims).eval()
        absent = [task for task in TASKS if task not in self.heads.labels]
        if absent:
            raise ValueError(f"缺少任务 {'、'.join(absent)}")

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """Labels of each task, in the order of the head's outputs."""
        return self.heads.labels

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
        tokens = tokenise(self.tokenizer.backend_tokenizer, cleaned, self.max_length)
        found: list[Reading | None] = [None] * len(cleaned)
        with torch.inference_mode():
            for rows, width in plan([len(item) for item in tokens]):
                logits, vectors = self.run([tokens[row] for row in rows], width)
                for row, reading in zip(rows, self._readings(logits, vectors), strict=True):
                    found[row] = reading
        return [reading for reading in found if reading is not None]

    def run(self, tokens: Sequence[list[int]], width: int) -> tuple[dict[str, Tensor], Tensor]:
        """One forward pass over token ids padded to `width`.

        Returns logits (b, labels) by task and [CLS] states (b, dims), all float32.
        """
        ids = np.zeros((len(tokens), width), dtype=np.int64)
        mask = np.zeros((len(tokens), width), dtype=np.int64)
        for row, item in enumerate(tokens):
            ids[row, : len(item)] = item
            mask[row, : len(item)] = 1
        attention = torch.from_numpy(mask)
        states = self.encoder(
            input_ids=torch.from_numpy(ids), attention_mask=attention
        ).last_hidden_state.float()
        return self.heads(states, attention), states[:, 0]

    def _readings(self, logits: dict[str, Tensor], vectors: Tensor) -> list[Reading]:
        shares = {
            task: torch.softmax(value / self.heads.temperatures[task], dim=-1).tolist()
            for task, value in logits.items()
        }
        return [
            Reading(
                {
                    task: {
                        label: round(value, 4)
                        for label, value in zip(self.labels[task], shares[task][row], strict=True)
                    }
                    for task in shares
                },
                pack(vector),
            )
            for row, vector in enumerate(vectors.numpy())
        ]


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


def content_hash(folder: Path) -> str:
    """First 10 hex digits of SHA-256 over the files that decide the answers."""
    digest = hashlib.sha256()
    for name in _FILES:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:10]
