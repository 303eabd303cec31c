"""Category paths for texts that a model has read: by the office's own tree or the default one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path as File

import structlog

from huiyin.clock import monotonic
from huiyin.errors import ModelError
from huiyin.records import Category
from huiyin.vectors import unpack
from nlp.categories import default
from nlp.categories.classifier import Classifier, Floats
from nlp.categories.paths import NONE, Path, joined, prefixes
from nlp.categories.versions import Versions

LOOK_EVERY_SECONDS = 5.0
MOST_MAINS = 20
"""Main classes whose probability is kept with a post; of more, the likeliest."""
HEAD = "head"
"""Decided by the model's head alone: its classes are not those of the tree."""

log = structlog.get_logger(__name__)


class Categories:
    """The version that is switched on. Notices a switch within 5 s, in any process."""

    def __init__(
        self,
        space: str,
        embed: default.Embed,
        folder: File | None = None,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`space`: the model whose vectors are decided on; `embed` reads texts with it.

        `folder`: where the versions lie (None: the default tree alone).
        """
        self.space = space
        self._embed = embed
        self._versions = Versions(folder) if folder is not None else None
        self._cache = folder / "cache" if folder is not None else None
        self._clock = clock
        self._lock = threading.Lock()
        self._name = ""
        self._looked_at = float("-inf")
        self._classifier: Classifier | None = None

    @property
    def name(self) -> str:
        """Name of the version in use: `default`, `v0001`, ..."""
        return str(self.classifier.about.get("name", default.NAME))

    @property
    def classifier(self) -> Classifier:
        """The tree in use; loads or fits it when it is first asked for."""
        with self._lock:
            now = self._clock()
            if self._classifier is None or now - self._looked_at >= LOOK_EVERY_SECONDS:
                self._looked_at = now
                self._look()
            assert self._classifier is not None  # noqa: S101
            return self._classifier

    def _look(self) -> None:
        wanted = self._versions.current() if self._versions is not None else default.NAME
        if self._classifier is not None and wanted == self._name:
            return
        self._name = wanted
        self._classifier = self._own(wanted) or default.load(self.space, self._embed, self._cache)

    def _own(self, wanted: str) -> Classifier | None:
        """The office's own version, unless it was fitted to another model's vectors."""
        if wanted == default.NAME or self._versions is None:
            return None
        try:
            found = self._versions.load(wanted)
        except ModelError as error:
            log.error("categories: version cannot be read, default tree used", error=str(error))
            return None
        if found.vectors == self.space:
            return found
        log.error(
            "categories: version was fitted to another model's vectors, default tree used; "
            "run huiyin train categories again",
            version=wanted, fitted_to=found.vectors, model=self.space,
        )  # fmt: skip
        return None

    def decide(
        self, heads: Sequence[Mapping[str, float]], vectors: Sequence[bytes]
    ) -> list[Category]:
        """A category for each text from the head's probabilities and its vector, in order."""
        if not vectors:
            return []
        return decide(self.classifier, heads, unpack(vectors))


def choices(versions: Versions) -> list[Path]:
    """Every path a person may choose now, in the order of the tree; the empty one, 无, first.

    Needs no model. Raises ModelError when the version in use cannot be read.
    """
    return list(_choices(versions, versions.current()))


@lru_cache(maxsize=4)
def _choices(versions: Versions, name: str) -> tuple[Path, ...]:
    """A version never changes under its name."""
    leaves = default.paths() if name == default.NAME else versions.load(name).paths()
    found = {one: None for path in leaves if path != (NONE,) for one in prefixes(path)}
    return ((), *sorted(found))


def decide(
    classifier: Classifier, heads: Sequence[Mapping[str, float]], vectors: Floats
) -> list[Category]:
    """As `Categories.decide`, by one classifier. vectors: (n, dims)."""
    blend = default.blend_of(classifier)
    labels = tuple(heads[0])
    if blend is not None and not set(labels) <= set(classifier.mains):
        return [_of_head(head) for head in heads]
    decisions = classifier.decisions(vectors)
    shares = decisions[()]
    if blend is not None:
        known = [classifier.mains.index(label) for label in labels]
        shares = blend(default.head_rows(heads, labels), shares, known)
    name = str(classifier.about.get("name", ""))
    found = []
    for row, share in enumerate(shares):
        best = int(share.argmax())
        main = classifier.mains[best]
        steps = classifier.descend(decisions, row, main, float(share[best]))
        path = () if main == NONE else steps[-1][0]
        found.append(Category(path=path, probabilities=_kept(classifier, share, steps), by=name))
    return found


def _kept(
    classifier: Classifier, share: Floats, steps: Sequence[tuple[Path, float]]
) -> dict[str, float]:
    """The main classes, likeliest first (they add up to 1), then each deeper level of the path."""
    order = [int(one) for one in (-share).argsort(kind="stable")[:MOST_MAINS]]
    found = {classifier.mains[one]: round(float(share[one]), 4) for one in order}
    return found | {joined(path): round(probability, 4) for path, probability in steps[1:]}


def _of_head(head: Mapping[str, float]) -> Category:
    best = max(head, key=lambda label: head[label])
    return Category(path=(best,), probabilities=dict(head), by=HEAD)
