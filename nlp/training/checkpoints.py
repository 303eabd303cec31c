"""Where a training run has come, in one file that is whole or not there; and its learning rate."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import nn

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


def keep(path: Path, step: int, optimizer: torch.optim.Optimizer, **modules: nn.Module) -> None:
    """`save` of the weights of `modules` by name."""
    weights = {name: module.state_dict() for name, module in modules.items()}
    save(path, step, optimizer, **weights)


def resume(path: Path, optimizer: torch.optim.Optimizer, **modules: nn.Module) -> int:
    """The step that comes next, after what `keep` kept is loaded; 0 at a beginning."""
    state = load(path, optimizer)
    if state is None:
        return 0
    for name, module in modules.items():
        module.load_state_dict(state[name])
    return int(state["step"])


def set_rate(optimizer: torch.optim.Optimizer, peak: float, share: float, warmup: float) -> None:
    """Linear: up to `peak` over the first `warmup` of the steps (a share), then down to 0."""
    rising = share / warmup if warmup else 1.0
    for group in optimizer.param_groups:
        group["lr"] = peak * min(rising, (1 - share) / (1 - warmup))
