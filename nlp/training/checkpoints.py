"""Where a training run has come, in one file that is whole or not there."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)


def save(path: Path, step: int, optimizer: torch.optim.Optimizer, **parts: Any) -> None:
    """Keep `parts` with the step, the optimizer and the state of chance."""
    state = {
        **parts, "step": step, "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
    }  # fmt: skip
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def load(path: Path, optimizer: torch.optim.Optimizer) -> dict[str, Any] | None:
    """What `save` kept, the optimizer and chance set as they were; None at a beginning."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True)
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    log.info("resuming at step %d", state["step"])
    return state
