"""From texts to `Analysis` records: the model's heads, the rules for urgency, and the places.

A task may be answered by a model of others instead of our head. What is written in a language that
our model does not read gets no opinion from it: equal probabilities, the label that claims least,
no category and no vector, and a mark that says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huiyin.records import Analysis, Category, Labelled, Place, text_sha
from huiyin.settings import ModelChoices
from nlp import foreign, languages, places
from nlp.answering import here, needs_answer
from nlp.base import Shares, Text
from nlp.categories.classifier import vector_space
from nlp.categories.deciding import Categories
from nlp.foreign import Foreign
from nlp.model import Model
from nlp.text import clean, join
from nlp.urgency import urgency

_CLAIMS_LEAST = {"sentiment": "neutral", "emotion": "neutral", "intent": "其他"}


@dataclass(frozen=True)
class _Understood:
    """One text after all models and the rule for answers."""

    text: str
    """Title and text, in simplified characters; positions are those of the original."""
    original: str
    language: str | None
    shares: Shares
    vector: bytes
    withheld: frozenset[str]
    """Tasks that nobody could answer for want of the language."""


class Analyser:
    """Implements `nlp.base.Understanding` with a loaded model."""

    def __init__(
        self, model: Model, others: Foreign | None = None, categories: Path | None = None
    ) -> None:
        """`others`: models that answer single tasks instead of `model`.

        `categories`: folder of the office's own categories; None = the default tree.
        """
        self._model = model
        self._others = others or Foreign()
        embedder = self._others.embedder
        space = vector_space(model.id) if embedder is None else embedder.id
        self.categories = Categories(space, self.embed, categories)

    @property
    def model(self) -> str:
        return self._model.id + self._others.id

    def analyse(self, texts: Sequence[Text]) -> list[Analysis]:
        """One `Analysis` a text, in order. Raises nothing for any text, however odd."""
        understood = self._understand([join(item.title, item.text) for item in texts])
        categories = self._categories(understood)
        return [
            self._analysis(item, one, category)
            for item, one, category in zip(texts, understood, categories, strict=True)
        ]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        folded = [languages.fold(text, languages.identify(text)) for text in texts]
        if self._others.embedder is not None:
            return self._others.embedder.read([clean(text) for text in folded])
        return [reading.vector for reading in self._model.read(folded)]

    def shares(self, texts: Sequence[str]) -> list[Shares]:
        return [one.shares for one in self._understand(texts)]

    def _understand(self, texts: Sequence[str]) -> list[_Understood]:
        known = [languages.identify(text) for text in texts]
        folded = [languages.fold(text, one) for text, one in zip(texts, known, strict=True)]
        readings = self._model.read(folded)
        cleaned = [clean(text) for text in folded] if self._others.id else []
        theirs = {task: one.read(cleaned) for task, one in self._others.classifiers.items()}
        embedder = self._others.embedder
        vectors = embedder.read(cleaned) if embedder is not None else None
        found = []
        for row, (text, language, reading) in enumerate(zip(folded, known, readings, strict=True)):
            is_read = language in languages.READ
            shares = {
                task: share if is_read else dict.fromkeys(share, round(1 / len(share), 4))
                for task, share in reading.probabilities.items()
            }
            shares |= {task: answers[row] for task, answers in theirs.items()}
            withheld = frozenset() if is_read else frozenset(shares) - frozenset(theirs)
            if "needs_answer" not in withheld:
                wants = needs_answer(text, shares["needs_answer"]["yes"])
                shares["needs_answer"] = {"no": round(1 - wants, 4), "yes": wants}
            own = reading.vector if is_read else b""
            vector = own if vectors is None else vectors[row]
            found.append(_Understood(text, texts[row], language, shares, vector, withheld))
        return found

    def _categories(self, understood: Sequence[_Understood]) -> list[Category]:
        """By head and vector; a text that has no vector, or was not read, belongs to none."""
        known = [one for one in understood if one.vector and "category" not in one.withheld]
        decided = iter(
            self.categories.decide(
                [one.shares["category"] for one in known], [one.vector for one in known]
            )
        )
        read, name = set(map(id, known)), self.categories.name
        return [
            next(decided)
            if id(one) in read
            else Category(path=(), probabilities=dict(one.shares["category"]), by=name)
            for one in understood
        ]

    def _analysis(self, item: Text, one: _Understood, category: Category) -> Analysis:
        named = places.find(one.text, item.region)
        return Analysis(
            model=self.model,
            text_sha=text_sha(item.title, item.text),
            sentiment=_labelled("sentiment", one),
            emotion=_labelled("emotion", one),
            intent=_labelled("intent", one),
            category=category,
            needs_answer=here(one.shares["needs_answer"]["yes"], named, item.region),
            urgency=urgency(one.text),
            places=tuple(_as_written(place, one) for place in named),
            vector=one.vector,
            language=one.language,
        )


def top(probabilities: Mapping[str, float]) -> str:
    """The most probable label; of equals, the first in the head's order."""
    return max(probabilities, key=lambda label: probabilities[label])


def load(
    folder: Path | None = None,
    *,
    threads: int = 0,
    others: ModelChoices | None = None,
    home: Path | None = None,
    categories: Path | None = None,
) -> Analyser:
    """Load a model folder (None: the shipped one); threads 0 = all cores.

    `others`: what the settings name for single tasks; relative folders start from `home`.
    `categories`: folder of the office's own categories (None: the default tree).
    Raises ModelError when a folder is missing, broken or of the wrong kind.
    """
    model = Model(folder, threads=threads)
    chosen = foreign.load(others or ModelChoices(), model.labels, home or Path())
    return Analyser(model, chosen, categories)


def _labelled(task: str, one: _Understood) -> Labelled:
    share = one.shares[task]
    label = _CLAIMS_LEAST[task] if task in one.withheld else top(share)
    return Labelled(label=label, probabilities=dict(share))


def _as_written(place: Place, one: _Understood) -> Place:
    """The words that gave a place, as the author wrote them."""
    start = one.text.find(place.text)
    if one.text == one.original or start < 0:
        return place
    return place.model_copy(update={"text": one.original[start : start + len(place.text)]})
