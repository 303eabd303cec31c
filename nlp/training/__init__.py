"""How the shipped model is made and measured, from data to model card.

`train` makes a model folder, `evaluate.evaluate` measures one and writes its card. Nothing here is
imported when the model is only used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlp.training.config import TrainConfig

if TYPE_CHECKING:
    from nlp.training.finetune import train

__all__ = ["TrainConfig", "train"]


def __getattr__(name: str) -> object:
    if name != "train":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nlp.training.finetune import train

    return train
