"""One forward pass, by torch or by ONNX Runtime: token ids in, logits of all heads and vectors out.

Which of the two runs follows from the precision (`nlp/precision.py`): bfloat16 and float32 by torch
from `model.safetensors`, 8 bits by ONNX Runtime from `model.int8.onnx`, the same weights rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nlp.precision import Precision

INT8 = "model.int8.onnx"
Ids = NDArray[np.int64]


class Passed(NamedTuple):
    """What one pass over b texts gives."""

    logits: NDArray[np.float32]
    """(b, all labels): tasks in the order of heads.json."""
    vectors: NDArray[np.float32]
    """(b, dims): [CLS] states, not normalised."""


class Forward(Protocol):
    """A loaded encoder with its heads. One pass at a time."""

    dims: int

    def run(self, ids: Ids, mask: Ids) -> Passed:
        """Token ids and 0/1 mask, (b, t) each."""


def load(folder: Path, precision: Precision, threads: int, labels: Mapping[str, int]) -> Forward:
    """Load the encoder of a model folder; `labels`: task -> how many the head tells apart.

    Raises OSError, ValueError, KeyError, TypeError or RuntimeError when a file cannot be used.
    """
    if precision == "int8":
        return _Onnx(folder / INT8, threads, sum(labels.values()))
    return _Torch(folder, precision, threads)


class _Torch:
    """The transformers encoder and our heads, in bfloat16 or float32."""

    def __init__(self, folder: Path, precision: Precision, threads: int) -> None:
        import torch
        from transformers import AutoModel
        from transformers.utils import logging

        from nlp.heads import Heads

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        torch.set_num_threads(threads)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self._encoder = AutoModel.from_pretrained(
            folder, dtype=dtype, add_pooling_layer=False, local_files_only=True
        ).eval()
        self.dims = int(self._encoder.config.hidden_size)
        self._heads = Heads.load(folder, self.dims).eval()

    def run(self, ids: Ids, mask: Ids) -> Passed:
        import torch

        with torch.inference_mode():
            seen = torch.from_numpy(mask)
            states = self._encoder(
                input_ids=torch.from_numpy(ids), attention_mask=seen
            ).last_hidden_state.float()
            logits = torch.cat(list(self._heads(states, seen).values()), dim=-1)
        return Passed(logits.numpy(), states[:, 0].numpy())


class _Onnx:
    """One ONNX file that holds encoder and heads."""

    def __init__(self, path: Path, threads: int, labels: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions share no base but Exception
            raise OSError(f"{path.name}: {error}") from error
        shapes = {one.name: one.shape for one in self._session.get_outputs()}
        if shapes.get("logits", [0])[-1] != labels or "vector" not in shapes:
            raise ValueError(f"{path.name} 的输出与 heads.json 不符")
        self.dims = int(shapes["vector"][-1])

    def run(self, ids: Ids, mask: Ids) -> Passed:
        logits, vectors = self._session.run(
            ["logits", "vector"], {"input_ids": ids, "attention_mask": mask}
        )
        return Passed(logits, vectors)
