"""Understand: what one post says and wants, where, how pressing; and (incidents) many posts.

Importing this loads no model and no torch; the names below are fetched when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from nlp.base import Text, Understanding

if TYPE_CHECKING:
    from nlp.analyser import load as load_understanding
    from nlp.batch import BadLine, BatchReport, analyse_file
    from nlp.danger import danger
    from nlp.incidents.lexicon import DANGER_WORDS
    from nlp.places import find as find_places
    from nlp.places import written_forms
    from nlp.stage import AnalysisStage
    from nlp.urgency import urgency

_HOMES = {
    "DANGER_WORDS": ("nlp.incidents.lexicon", "DANGER_WORDS"),
    "AnalysisStage": ("nlp.stage", "AnalysisStage"),
    "BadLine": ("nlp.batch", "BadLine"),
    "BatchReport": ("nlp.batch", "BatchReport"),
    "analyse_file": ("nlp.batch", "analyse_file"),
    "danger": ("nlp.danger", "danger"),
    "find_places": ("nlp.places", "find"),
    "load_understanding": ("nlp.analyser", "load"),
    "urgency": ("nlp.urgency", "urgency"),
    "written_forms": ("nlp.places", "written_forms"),
}

__all__ = [
    "DANGER_WORDS", "AnalysisStage", "BadLine", "BatchReport", "Text", "Understanding",
    "analyse_file", "danger", "find_places", "load_understanding", "urgency", "written_forms",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
