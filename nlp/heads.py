"""The classification heads: one linear layer a task over the encoder's last hidden states.

Kept apart from the encoder, whose folder stays plain BERT that any library loads. Each head reads
the [CLS] state beside the mean of all states; the sentence vector is the [CLS] state alone, so
that the heads can learn without bending the vector.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

WEIGHTS = "heads.safetensors"
ABOUT = "heads.json"


class Heads(nn.Module):
    """Heads over hidden states of width `hidden`; `labels` names each head's outputs."""

    def __init__(self, hidden: int, labels: dict[str, tuple[str, ...]], dropout: float = 0.0):
        super().__init__()
        self.labels = labels
        self.temperatures = dict.fromkeys(labels, 1.0)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleDict(
            {task: nn.Linear(2 * hidden, len(names)) for task, names in labels.items()}
        )

    def forward(self, states: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Turn states (b, t, hidden) and mask (b, t) of 0/1 into logits (b, labels) by task."""
        joined = self.dropout(self.pool(states, mask))
        return {task: layer(joined) for task, layer in self.layers.items()}

    @staticmethod
    def pool(states: Tensor, mask: Tensor) -> Tensor:
        """[CLS] state beside the mean of all states: (b, 2 * hidden)."""
        weights = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return torch.cat([states[:, 0], mean], dim=-1)

    def save(self, folder: Path) -> None:
        """Write heads.safetensors (float16) and heads.json (labels, temperatures)."""
        state = {key: value.half().contiguous() for key, value in self.state_dict().items()}
        save_file(state, folder / WEIGHTS)
        about = {"labels": self.labels, "temperatures": self.temperatures}
        text = json.dumps(about, ensure_ascii=False, indent=1)
        (folder / ABOUT).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, hidden: int) -> "Heads":
        """Read what `save` wrote, in float32. Raises OSError or KeyError on a broken folder."""
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        labels = {task: tuple(names) for task, names in about["labels"].items()}
        heads = cls(hidden, labels)
        state = {key: value.float() for key, value in load_file(folder / WEIGHTS).items()}
        heads.load_state_dict(state)
        heads.temperatures = {task: float(about["temperatures"][task]) for task in labels}
        return heads
