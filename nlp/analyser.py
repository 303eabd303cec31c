"""From texts to `Analysis` records: the model's heads, the rules for urgency, and the places."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from huiyin.records import Analysis, Category, Labelled, text_sha
from nlp import places
from nlp.answering import needs_answer
from nlp.base import Text
from nlp.model import Model, Reading
from nlp.text import join
from nlp.urgency import urgency


class Analyser:
    """Implements `nlp.base.Understanding` with a loaded model."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def model(self) -> str:
        return self._model.id

    def analyse(self, texts: Sequence[Text]) -> list[Analysis]:
        """One `Analysis` a text, in order. Raises nothing for any text, however odd."""
        whole = [join(item.title, item.text) for item in texts]
        readings = self._model.read(whole)
        return [
            self._analysis(item, text, reading)
            for item, text, reading in zip(texts, whole, readings, strict=True)
        ]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [reading.vector for reading in self._model.read(texts)]

    def _analysis(self, item: Text, text: str, reading: Reading) -> Analysis:
        shares = reading.probabilities
        category = shares["category"]
        return Analysis(
            model=self.model,
            text_sha=text_sha(item.title, item.text),
            sentiment=_labelled(shares["sentiment"]),
            emotion=_labelled(shares["emotion"]),
            intent=_labelled(shares["intent"]),
            category=Category(path=(top(category),), probabilities=dict(category)),
            needs_answer=needs_answer(text, shares["needs_answer"]["yes"]),
            urgency=urgency(text),
            places=places.find(text, item.region),
            vector=reading.vector,
        )


def top(probabilities: Mapping[str, float]) -> str:
    """The most probable label; of equals, the first in the head's order."""
    return max(probabilities, key=lambda label: probabilities[label])


def load(folder: Path | None = None, *, threads: int = 0) -> Analyser:
    """Load a model folder (None: the shipped one); threads 0 = all cores.

    Raises ModelError when the folder is missing, broken or of the wrong kind.
    """
    return Analyser(Model(folder, threads=threads))


def _labelled(probabilities: Mapping[str, float]) -> Labelled:
    return Labelled(label=top(probabilities), probabilities=dict(probabilities))
