"""Sentence vectors from a sentence-transformers (or plain transformers) model of others."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.utils import logging as transformers_logging

from huiyin.errors import ModelError
from huiyin.vectors import pack
from nlp.foreign.classifier import FAULTS
from nlp.foreign.rows import limit_of, run, tokens_of
from nlp.foreign.source import content_hash, device, locate, unreadable

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_SETTING = "nlp.models.vectors.path"


class Embedder:
    """Unit vectors in float16, computed in float32. Safe to use from several threads.

    The library loads the modules and runs them; cutting and padding are ours, because its own
    batches pad to their longest text, which would make a vector depend on its company.
    """

    def __init__(self, path: str, home: Path) -> None:
        """Raises `ModelError` when the folder cannot be used or wants to run its own code."""
        from sentence_transformers import SentenceTransformer  # seconds: not for a usual start

        self.folder = locate(_SETTING, path, home)
        self.device = device()
        self._refuse_code()
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            self._model = SentenceTransformer(
                str(self.folder), device=str(self.device), local_files_only=True,
                trust_remote_code=False, model_kwargs={"dtype": torch.float32},
            ).eval()  # fmt: skip
            self._tokenizer = self._model.tokenizer
            limit = limit_of(self._tokenizer, _config(self._model))
        except FAULTS as error:
            raise unreadable(_SETTING, self.folder, error) from error
        own = self._model.max_seq_length
        self.limit = min(limit, int(own)) if own else limit
        self._prompt = self._model.prompts.get(self._model.default_prompt_name or "") or ""
        self.id = f"vectors-{content_hash(self.folder)}-{self.device.type}"
        self._lock = threading.Lock()

    def read(self, texts: Sequence[str]) -> list[bytes]:
        """One packed vector a cleaned text, in order."""
        fresh = list(dict.fromkeys(texts))
        if not fresh:
            return []
        with self._lock:
            rows = tokens_of(self._tokenizer, [self._prompt + one for one in fresh], self.limit)
            values = run(self._tokenizer, rows, self.limit, self.device, self._forward)
        known = {text: pack(one) for text, one in zip(fresh, values.numpy(), strict=True)}
        return [known[text] for text in texts]

    def _forward(self, features: dict[str, Tensor]) -> Tensor:
        vectors: Tensor = self._model(features)["sentence_embedding"]
        return vectors

    def _refuse_code(self) -> None:
        """Older versions of the library run a folder's own modules unasked."""
        file = self.folder / "modules.json"
        if not file.is_file():
            return
        try:
            kinds = [str(one["type"]) for one in json.loads(file.read_text(encoding="utf-8"))]
        except (ValueError, KeyError, TypeError) as error:
            raise unreadable(_SETTING, self.folder, error) from error
        foreign = [one for one in kinds if not one.startswith("sentence_transformers.")]
        if foreign:
            raise ModelError(
                f"设置 {_SETTING}：{self.folder} 要运行它自带的程序（{'、'.join(foreign[:3])}）",
                "这不允许；换一个只用标准模块的模型",
            )


def _config(model: "SentenceTransformer") -> Any:
    """Configuration of the encoder inside; AttributeError where the first module is none."""
    first: Any = model[0]
    return first.auto_model.config
