"""Read the labelled and unlabelled sets into one list of examples, with dev rows kept apart.

The folder is laid out as `labelled/` and `streams/`, one JSON object a line, gzip. A set that is
not there is reported and left out, so that an office can train on its own files alone.
"""

import dataclasses
import gzip
import hashlib
import json
import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nlp.text import clean, join
from nlp.training import segmenting, weak
from nlp.training.config import TrainConfig

log = logging.getLogger(__name__)

CATEGORY_DEV_SHARE = 0.4
SENTIMENT_DEV_SHARE = 0.4
"""Of the hand-labelled sentiment rows, by hash of the text; the rest is learned from."""
_SENTIMENT_OF = {"happy": "positive", "angry": "negative", "sad": "negative", "fear": "negative"}
_EMOTION_OF = {
    "optimism": "happy", "gratitude": "happy", "anger": "angry", "disgust": "angry",
    "sadness": "sad", "surprise": "surprise", "fear": "fear",
}  # fmt: skip
"""Seven emotions of another set as ours; they are drawn differently, so they weigh little."""
_EMOTION7_WEIGHT, _HAND_WEIGHT, _VIRUS_WEIGHT, _FULL_WEIGHT, _KNOWN_WEIGHT = 0.2, 3.0, 1.5, 2.0, 2.0
_SEGMENTED_SHARE = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """A cleaned text and the labels known of it; a head with no label here learns nothing here."""

    text: str
    labels: dict[str, str]
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    """Less than 1 for labels made by rule; heads not named weigh 1."""
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Data:
    """Training examples and the development sets by name; no text is in both."""

    train: list[Example]
    dev: dict[str, list[Example]]


def rows(path: Path) -> Iterator[dict[str, object]]:
    """Yield the objects of a gzipped JSONL file; nothing, with a log line, when it is absent."""
    if not path.exists():
        log.warning("data set absent: %s", path.name)
        return
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def bucket(text: str) -> float:
    """Place a text in [0, 1) by its hash: the same split in every run and on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:6], "big") / 2**48


def load(config: TrainConfig) -> Data:
    """Read every set, hold the dev rows out, and drop training texts that are also dev texts."""
    labelled, streams = config.data / "labelled", config.data / "streams"
    dev: dict[str, list[Example]] = {"emotion/usual": [], "emotion/virus": []}
    train: list[Example] = []
    for split, domain, example in _emotion(labelled):
        (dev[f"emotion/{domain}"] if split == "dev" else train).append(example)
    train += list(_emotion7(labelled))
    by_hand = list(_sentiment(labelled / "sentiment_dev.jsonl.gz", _HAND_WEIGHT))
    dev["sentiment"] = [i for i in by_hand if bucket(i.text) < SENTIMENT_DEV_SHARE]
    train += [i for i in by_hand if bucket(i.text) >= SENTIMENT_DEV_SHARE]
    full = list(_category_full(labelled))
    dev["category"] = [item for item in full if bucket(item.text) < CATEGORY_DEV_SHARE]
    messages = [item for item in full if bucket(item.text) >= CATEGORY_DEV_SHARE]
    messages += _without_copies(_category_segmented(labelled), dev["category"])
    appeals = list(_appeals(labelled))
    dev["intent"] = [i for i in appeals if i.source == "fuzhou" and bucket(i.text) < 0.25]
    kept = {item.text for item in dev["intent"]}
    messages += [item for item in appeals if item.text not in kept]
    messages += list(_message_board(streams))
    train += list(_sentiment(labelled / "sentiment_train.jsonl.gz"))
    train += _openings(messages, config.openings, random.Random(config.seed))
    social = list(_flood(streams)) + list(_comments(streams, config))
    dev["needs_answer"] = [item for item in social if bucket(item.text) < 0.1]
    train += [item for item in social if bucket(item.text) >= 0.1]
    train += list(_unlabelled(streams))
    held = {item.text for items in dev.values() for item in items} | _read_by_hand(config)
    train = [item for item in train if item.text and item.text not in held]
    return Data(train=segmenting.some(train, _SEGMENTED_SHARE, config.seed), dev=dev)


def only(sets: Data, tasks: Sequence[str]) -> Data:
    """The sets with the labels of these tasks alone; texts without any of them are left out."""

    def kept(items: Iterable[Example]) -> list[Example]:
        found = []
        for item in items:
            labels = {task: item.labels[task] for task in tasks if task in item.labels}
            if labels:
                found.append(dataclasses.replace(item, labels=labels))
        return found

    dev = {name: kept(items) for name, items in sets.dev.items()}
    return Data(kept(sets.train), {name: items for name, items in dev.items() if items})


def _read_by_hand(config: TrainConfig) -> set[str]:
    """Texts whose labels were set by readers, for measuring only."""
    from nlp.training import hand

    found = hand.texts(config.data, set(hand.rows("mentions")))
    return {clean(join(one.title, one.text)) for one in found.values()}


def all_texts(config: TrainConfig) -> Iterator[str]:
    """Yield every text of the folder, for counting which characters are used."""
    for path in sorted(config.data.glob("*/*.jsonl.gz")):
        for row in rows(path):
            yield clean(join(str(row.get("title") or ""), str(row.get("text") or "")))
            if row.get("reply"):
                yield clean(str(row["reply"]))


def _emotion(folder: Path) -> Iterator[tuple[str, str, Example]]:
    for row in rows(folder / "emotion.jsonl.gz"):
        text, emotion = clean(str(row["text"])), str(row["emotion"])
        labels, weights = {"emotion": emotion}, {}
        if emotion in _SENTIMENT_OF or emotion == "neutral":
            labels["sentiment"] = _SENTIMENT_OF.get(emotion, "neutral")
            weights["sentiment"] = 0.35
        if weak.is_chatter(text) and bucket(text) < 0.3:
            labels |= {"intent": "其他", "needs_answer": "no"}
            weights |= {"intent": 0.5, "needs_answer": 0.5}
        if row["domain"] == "virus":  # far fewer, and just as important
            weights["emotion"] = _VIRUS_WEIGHT
        yield str(row["split"]), str(row["domain"]), Example(text, labels, weights, "emotion")


def _emotion7(folder: Path) -> Iterator[Example]:
    for row in rows(folder / "emotion7_covid.jsonl.gz"):
        labels = {"emotion": _EMOTION_OF[str(row["emotion7"])]}
        yield Example(clean(str(row["text"])), labels, {"emotion": _EMOTION7_WEIGHT}, "emotion7")


def _sentiment(path: Path, weight: float = 1.0) -> Iterator[Example]:
    for row in rows(path):
        labels = {"sentiment": str(row["sentiment"])}
        source = "sentiment" if weight == 1.0 else "sentiment-hand"
        yield Example(clean(str(row["text"])), labels, {"sentiment": weight}, source)


def _category_full(folder: Path) -> Iterator[Example]:
    for row in rows(folder / "category_full.jsonl.gz"):
        title = str(row["title"])
        labels = {"category": str(row["category"])}
        text = clean(join(title, str(row["text"])))
        labels, weights = _appeal_labels(labels, title)
        yield Example(text, labels, weights | {"category": _FULL_WEIGHT}, "message")


def _category_segmented(folder: Path) -> Iterator[Example]:
    for row in rows(folder / "category_segmented.jsonl.gz"):
        yield Example(clean(str(row["text"])), {"category": str(row["category"])}, {}, "segmented")


def _appeals(folder: Path) -> Iterator[Example]:
    for row in rows(folder / "appeals_with_replies.jsonl.gz"):
        title, source, kind = str(row.get("title") or ""), str(row["source"]), row.get("kind")
        text = clean(join(title, str(row["text"])))
        if kind:
            labels = {"intent": str(kind), "needs_answer": "yes"}
            yield Example(text, labels, {"intent": _KNOWN_WEIGHT, "needs_answer": 0.5}, source)
        else:
            yield Example(text, *_appeal_labels({}, title), source)


def _message_board(folder: Path) -> Iterator[Example]:
    for row in rows(folder / "message_board_unlabelled.jsonl.gz"):
        title = str(row["title"])
        text = clean(join(title, str(row["text"])))
        yield Example(text, *_appeal_labels({}, title), "message")


def _appeal_labels(labels: dict[str, str], title: str) -> tuple[dict[str, str], dict[str, float]]:
    """Add what a message to the authorities shows by being one: it wants an answer."""
    intent = weak.intent_of_title(title)
    labels, weights = {**labels, "needs_answer": "yes"}, {"needs_answer": 0.5}
    if intent is not None:
        labels["intent"] = intent
        weights["intent"] = 0.5
    return labels, weights


def _flood(folder: Path) -> Iterator[Example]:
    for row in rows(folder / "flood_2021.jsonl.gz"):
        label = str(row.get("label") or "")
        if label.startswith("求救"):
            labels = {"intent": "求助", "needs_answer": "yes"}
        elif label.startswith("帮助"):
            labels = {"intent": "其他", "needs_answer": "no"}
        else:
            labels = {}
        yield Example(clean(str(row["text"])), labels, dict.fromkeys(labels, 0.7), "flood")


def _comments(folder: Path, config: TrainConfig) -> Iterator[Example]:
    """Weakly labelled comments: those that state a wish, and as many that plainly have none."""
    wishes, chatter = [], []
    seen: set[str] = set()
    for row in rows(folder / "gov_comments.jsonl.gz"):
        text = clean(str(row["text"]))
        if len(text) < 2 or text in seen:
            continue
        seen.add(text)
        intent = weak.intent_of_comment(text)
        if intent is not None:
            answer = "no" if intent == "表扬" else "yes"
            labels = {"intent": intent, "needs_answer": answer}
            weights = {"intent": 0.5, "needs_answer": 0.5}
            wishes.append(Example(text, labels, weights, "comment"))
        elif weak.is_chatter(text):
            labels = {"intent": "其他", "needs_answer": "no"}
            chatter.append(Example(text, labels, {"intent": 0.5}, "comment"))
    order = random.Random(config.seed)
    order.shuffle(chatter)
    order.shuffle(wishes)
    half = config.comments // 2
    yield from wishes[:half]
    yield from chatter[: config.comments - min(half, len(wishes))]


def _unlabelled(folder: Path) -> Iterator[Example]:
    """Posts of events and of official accounts: they only keep the sentence vector in place."""
    for name in ("event_posts.jsonl.gz", "gov_posts.jsonl.gz"):
        for row in rows(folder / name):
            yield Example(clean(str(row["text"])), {}, {}, "post")


def _openings(messages: Iterable[Example], share: float, order: random.Random) -> list[Example]:
    """Let a share of the long messages be seen by their opening alone: posts are short."""
    found = []
    for item in messages:
        if len(item.text) > 60 and order.random() < share:
            cut = order.randint(18, 60)
            found.append(dataclasses.replace(item, text=item.text[:cut]))
        else:
            found.append(item)
    return found


def _without_copies(items: Iterable[Example], held: list[Example]) -> list[Example]:
    """Drop the segmented copies of held-out messages.

    The segmented set lost its stop words, so copies are found by the share of a text's character
    pairs that lie in the held-out one (half or more), among those sharing most runs of four.
    """
    index: dict[str, set[int]] = {}
    pairs = [_grams(item.text, 2) for item in held]
    for number, item in enumerate(held):
        for gram in _grams(item.text, 4):
            index.setdefault(gram, set()).add(number)
    kept = []
    for item in items:
        own = _grams(item.text, 2)
        votes: dict[int, int] = {}
        for gram in _grams(item.text, 4):
            for number in index.get(gram, ()):
                votes[number] = votes.get(number, 0) + 1
        best = sorted(votes, key=lambda n: -votes[n])[:3]
        if any(len(own & pairs[n]) >= 0.5 * max(1, min(len(own), len(pairs[n]))) for n in best):
            continue
        kept.append(item)
    return kept


def _grams(text: str, size: int) -> set[str]:
    return {text[i : i + size] for i in range(max(1, len(text) - size + 1))}
