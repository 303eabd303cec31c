"""The tree that stands when an office has fitted none: government messages, 15/118/517 classes.

A classifier is fitted on the names of its classes and one invented example beside most of them, so
that it needs no labels and works with any model's vectors. Seven of its main classes have a trained
head as well, which knows them far better: `blend` joins the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path as File
from tempfile import NamedTemporaryFile

import numpy as np

from huiyin.errors import ModelError
from huiyin.vectors import unpack
from nlp.categories.classifier import Classifier, Floats
from nlp.categories.paths import NONE, Path

NAME = "default"
DATA = File(__file__).parent / "data"
SHIPPED = DATA / "default.npz"
"""Fitted to the shipped model's vectors; another model's are computed when first needed."""
EDITION = 1
"""Raised when the tree, its examples or the way they are fitted change."""
OTHER = "其他"
TEMPERATURES = (1.0, 0.32, 0.22)
"""A level each; the lower two give 251 and 212 labelled messages the highest likelihood."""

Embed = Callable[[Sequence[str]], list[bytes]]


@dataclass(frozen=True)
class Blend:
    """How the head's probabilities h and the tree's q for the main classes are joined.

    A class without head, or 无, wins over those with one where others * q^share is larger than the
    head's best h * q^share; the sharpness makes a probability of how much larger. Among the
    head's own classes the odds are h * q^inside. Chosen on category_full (its 317 development
    rows lose 0.2 points of macro-F1 against the head alone) with the 300 labelled messages in view.
    """

    inside: float = 0.1
    share: float = 0.25
    others: float = 0.5
    sharpness: float = 3.0

    def __call__(self, head: Floats, tree: Floats, known: Sequence[int]) -> Floats:
        """Probabilities (n, mains) from the head's (n, known) and the tree's (n, mains)."""
        tree = np.maximum(tree, 1e-6)
        rest = [column for column in range(tree.shape[1]) if column not in known]
        head, mine = np.maximum(head, 1e-6), tree[:, known]
        own: Floats = head * mine**self.inside
        own /= own.sum(1, keepdims=True)
        if not rest:
            return own
        other = self.others * tree[:, rest] ** self.share
        margin = np.log((head * mine**self.share).max(1)) - np.log(other.max(1))
        within = 1 / (1 + np.exp(-self.sharpness * margin))
        sharp = tree[:, rest] / tree[:, rest].sum(1, keepdims=True)
        found = np.zeros_like(tree)
        found[:, known] = within[:, None] * own
        found[:, rest] = (1 - within)[:, None] * sharp
        return found


@cache
def paths() -> tuple[Path, ...]:
    """Every class of the lowest level, in the order of the source; without 无."""
    return tuple(dict.fromkeys(path for path, _ in _lines() if path))


@cache
def examples() -> tuple[tuple[Path, str], ...]:
    """(path, text) to fit on: the classes' names and the invented examples; () = none."""
    names = [(path, _name(path)) for path in paths()]
    return (*names, *((path, text) for path, text in _lines() if text))


def _name(path: Path) -> str:
    """The words of a path, each once, without 其他."""
    words = [one for one in dict.fromkeys(path) if one != OTHER]
    return " ".join(words)


@cache
def _lines() -> tuple[tuple[Path, str], ...]:
    found: list[tuple[Path, str]] = []
    above: Path = ()
    for line in (DATA / "taxonomy.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            above = tuple(line[1:-1].split("/"))
            continue
        name, _, text = line.partition("\t")
        found.append(((*above, name) if name else (), text))
    return tuple(found)


def build(space: str, embed: Embed) -> Classifier:
    """Fit the tree to the vectors of the model that `embed` stands for."""
    from nlp.categories.fitting import fit

    rows = examples()
    vectors = unpack(embed([text for _, text in rows]))
    return finished(fit(vectors, [path for path, _ in rows], space))


def finished(classifier: Classifier, blend: Blend | None = None) -> Classifier:
    """Add what fitting on two rows a class cannot tell."""
    said = blend or Blend()
    return replace(
        classifier,
        temperatures=TEMPERATURES,
        about={
            "name": NAME,
            "edition": EDITION,
            "blend": [said.inside, said.share, said.others, said.sharpness],
        },
    )


def blend_of(classifier: Classifier) -> Blend | None:
    """How its main classes join with the head's; None = the head is not asked."""
    said = classifier.about.get("blend")
    return Blend(*map(float, said)) if isinstance(said, list | tuple) else None


def load(space: str, embed: Embed, cache_folder: File | None = None) -> Classifier:
    """The tree for a model's vectors: as shipped, from the cache, or fitted now (about a second).

    What was fitted is kept in `cache_folder`; a folder that cannot be written is no fault.
    """
    own = cache_folder / f"{NAME}-{_plain(space)}-{EDITION}.npz" if cache_folder else None
    for file in (SHIPPED, own):
        if file is None or not file.is_file():
            continue
        with suppress(ModelError):
            kept = Classifier.load(file)
            if kept.vectors == space and kept.about.get("edition") == EDITION:
                return kept
    built = build(space, embed)
    if own is not None:
        with suppress(OSError):
            own.parent.mkdir(parents=True, exist_ok=True)
            save(built, own)
    return built


def save(classifier: Classifier, file: File) -> None:
    """Write whole or not at all: two processes may start at once."""
    with NamedTemporaryFile(dir=file.parent, suffix=".part", delete=False) as part:
        name = File(part.name)
    try:
        classifier.save(name)
        name.chmod(0o644)  # a temporary file is for its owner alone
        name.replace(file)
    finally:
        name.unlink(missing_ok=True)


def _plain(space: str) -> str:
    return "".join(one if one.isalnum() or one in ".-" else "_" for one in space)


def head_rows(heads: Sequence[Mapping[str, float]], mains: Sequence[str]) -> Floats:
    """(n, mains) of the head's probabilities for those main classes."""
    return np.array([[head.get(main, 0.0) for main in mains] for head in heads], np.float32)


__all__ = ["NONE", "Blend", "blend_of", "build", "examples", "load", "paths"]
