"""What a post is about: the default tree of government messages, or the office's own one.

Importing this loads no model; the names below are fetched when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nlp.categories.corrections import Corrections
    from nlp.categories.deciding import Categories, choices
    from nlp.categories.versions import Versions

_HOMES = {
    "choices": "nlp.categories.deciding",
    "Categories": "nlp.categories.deciding",
    "Corrections": "nlp.categories.corrections",
    "Versions": "nlp.categories.versions",
}

__all__ = ["Categories", "Corrections", "Versions", "choices"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
