"""Models of others, in transformers' or sentence-transformers' format, in place of a head of ours.

The settings `nlp.models.<task>` name a folder or a hub id for each task. Such a model is read like
ours: no code that comes with it runs, a text gives the same answer in any company, and what it
was (a hash of its files, the labels' map, the kind of processor) is part of the model id.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from huiyin.settings import ModelChoices
from nlp.foreign.classifier import Classifier
from nlp.foreign.vectors import Embedder


@dataclass(frozen=True)
class Foreign:
    """The models of others that are in use; none by default."""

    classifiers: Mapping[str, Classifier] = field(default_factory=dict)
    """By task."""
    embedder: Embedder | None = None

    @property
    def id(self) -> str:
        """What is added to our model's id; empty when there are none."""
        parts = [self.classifiers[task].id for task in sorted(self.classifiers)]
        parts += [self.embedder.id] if self.embedder is not None else []
        return "".join(f"+{part}" for part in parts)


def load(choices: ModelChoices, labels: Mapping[str, tuple[str, ...]], home: Path) -> Foreign:
    """Load what the settings name. `labels`: ours by task; relative folders start from `home`.

    Raises `ModelError` with the setting's name and the mend.
    """
    classifiers = {
        task: Classifier(task, choice, labels[task], home)
        for task, choice in choices.by_task().items()
        if choice.path
    }
    vectors = choices.vectors.path
    return Foreign(classifiers, Embedder(vectors, home) if vectors else None)


__all__ = ["Classifier", "Embedder", "Foreign", "load"]
