"""A classification model of others, its labels mapped to ours."""

import hashlib
import json
import pickle
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from huiyin.errors import ModelError
from huiyin.settings import ModelChoice
from nlp.foreign.rows import limit_of, run, tokens_of
from nlp.foreign.source import content_hash, device, locate, unreadable

FAULTS = (
    OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError,
    SafetensorError, pickle.UnpicklingError,
)  # fmt: skip
"""What the libraries raise over folders that they cannot load."""


class Classifier:
    """Answers one task of ours with a sequence classification model, in float32.

    Safe to use from several threads (one forward pass at a time).
    """

    def __init__(self, task: str, choice: ModelChoice, labels: tuple[str, ...], home: Path) -> None:
        """`labels`: ours, in their order. Raises `ModelError`."""
        self.task, self.labels = task, labels
        self._setting = f"nlp.models.{task}"
        self.folder = locate(f"{self._setting}.path", choice.path, home)
        self.device = device()
        self._load()
        names: dict[int, str] = self._model.config.id2label
        theirs = [names[number] for number in range(len(names))]
        mapped = self._mapped(theirs, choice.labels)
        self._target = torch.tensor([labels.index(label) for label in mapped])
        table = json.dumps(mapped, ensure_ascii=False).encode()
        digest = hashlib.sha256(content_hash(self.folder).encode() + table).hexdigest()[:10]
        self.id = f"{task}-{digest}-{self.device.type}"
        self._lock = threading.Lock()

    def read(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Probability of each of our labels, 4 decimals, one mapping a cleaned text, in order.

        Labels of theirs that mean the same label of ours are added; one that they do not have
        gets 0.
        """
        fresh = list(dict.fromkeys(texts))
        if not fresh:
            return []
        with self._lock:
            rows = tokens_of(self._tokenizer, fresh, self.limit)
            logits = run(self._tokenizer, rows, self.limit, self.device, self._forward)
        shares = torch.zeros((len(fresh), len(self.labels))).index_add(
            1, self._target, self._shares(logits)
        )
        known = {
            text: dict(zip(self.labels, (round(value, 4) for value in row), strict=True))
            for text, row in zip(fresh, shares.tolist(), strict=True)
        }
        return [known[text] for text in texts]

    def _load(self) -> None:
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(self.folder, **local)
            self._model, about = AutoModelForSequenceClassification.from_pretrained(
                self.folder, dtype=torch.float32, output_loading_info=True, **local
            )
        except FAULTS as error:
            raise unreadable(f"{self._setting}.path", self.folder, error) from error
        missing = sorted(about["missing_keys"])
        if missing:
            raise ModelError(
                f"设置 {self._setting}.path：{self.folder} 没有训练好的分类头"
                f"（缺少 {'、'.join(missing[:3])}）",
                "写一个为分类微调过的模型；只有编码器的，可写在 nlp.models.vectors",
            )
        if self._model.config.num_labels < 2:
            raise ModelError(
                f"设置 {self._setting}.path：{self.folder} 只有一个输出，不是分类模型", "换一个"
            )
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
            self._model.config.pad_token_id = self._tokenizer.pad_token_id
        self._model.to(self.device).eval()
        self.limit = limit_of(self._tokenizer, self._model.config)

    def _forward(self, features: dict[str, Tensor]) -> Tensor:
        logits: Tensor = self._model(**features).logits
        return logits

    def _shares(self, logits: Tensor) -> Tensor:
        if self._model.config.problem_type == "multi_label_classification":
            apart = torch.sigmoid(logits)  # each label by itself; ours exclude one another
            return apart / apart.sum(-1, keepdim=True)
        return torch.softmax(logits, dim=-1)

    def _mapped(self, theirs: list[str], given: Mapping[str, str]) -> list[str]:
        """Our label for each of theirs; all faults of the map are told at once."""
        faults = []
        if strange := [name for name in given if name not in theirs]:
            faults.append(f"模型没有标签 {'、'.join(strange)}（它有 {'、'.join(theirs[:20])}）")
        if wrong := sorted({name for name in given.values() if name not in self.labels}):
            faults.append(f"{'、'.join(wrong)} 不是本任务的类")
        ours = [given.get(name, name if name in self.labels else name.lower()) for name in theirs]
        open_ones = [
            name for name, own in zip(theirs, ours, strict=True)
            if own not in self.labels and name not in given
        ]  # fmt: skip
        if open_ones:
            faults.append(f"模型的标签 {'、'.join(open_ones[:20])} 没有写对应哪一类")
        if faults:
            first = (open_ones or theirs)[0]
            raise ModelError(
                f"设置 {self._setting}.labels：{'；'.join(faults)}",
                f"在 [{self._setting}.labels] 里逐个写上，例如 "
                f'"{first}" = "{self.labels[-1]}"；可用的类：{"、".join(self.labels)}',
            )
        return ours
