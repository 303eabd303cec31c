"""Two texts that belong together: what sentence vectors learn closeness from.

A message's title and its text, its text and the reply, a piece of a message and the rest of it (Lee
et al. 2019, inverse cloze), two posts of one event, two reposts of one root. Half of the messages
(by hash of the title) are kept for measuring and never appear here.
"""

from __future__ import annotations

import itertools
import json
import lzma
import random
from collections.abc import Iterator

from nlp.text import clean
from nlp.training import data
from nlp.training.config import TrainConfig

HELD = 0.5
"""Messages whose title falls below this in `data.bucket` are for measuring."""
ROOTS = 6000
SHORTEST = 6


def held(title: str) -> bool:
    """True for a message that is kept for measuring."""
    return data.bucket(clean(title)) < HELD


def load(config: TrainConfig) -> list[tuple[str, str]]:
    """All pairs, each text at least `SHORTEST` characters, the two different."""
    found = itertools.chain(_messages(config), _pieces(config), _events(config), _reposts(config))
    return [
        (one, other) for one, other in found
        if min(len(one), len(other)) >= SHORTEST and one != other
    ]  # fmt: skip


def _messages(config: TrainConfig) -> Iterator[tuple[str, str]]:
    for name in (
        "streams/message_board_unlabelled", "labelled/category_full",
        "labelled/appeals_with_replies",
    ):  # fmt: skip
        for row in data.rows(config.data / f"{name}.jsonl.gz"):
            title, text = str(row.get("title") or ""), clean(str(row["text"]))
            if title and not held(title):
                yield clean(title), text
            if row.get("reply") and not (title and held(title)):
                yield text, clean(str(row["reply"]))


def _pieces(config: TrainConfig) -> Iterator[tuple[str, str]]:
    """A run of characters, as long as a title, and what stands around it."""
    chance = random.Random(config.seed)
    texts = [text for title, text in _messages(config) if title != text]
    segmented = config.data / "labelled" / "category_segmented.jsonl.gz"
    texts += [clean(str(row["text"])) for row in data.rows(segmented)]
    for text in texts:
        if len(text) < 4 * SHORTEST:
            continue
        size = chance.randint(SHORTEST, min(24, len(text) // 2))
        start = chance.randrange(len(text) - size)
        yield text[start : start + size], f"{text[:start]} {text[start + size :]}"


def _events(config: TrainConfig) -> Iterator[tuple[str, str]]:
    events: dict[str, list[str]] = {}
    for row in data.rows(config.data / "streams" / "event_posts.jsonl.gz"):
        if row.get("event") is not None:
            events.setdefault(str(row["event"]), []).append(clean(str(row["text"])))
    for posts in events.values():
        yield from itertools.pairwise(posts)


def _reposts(config: TrainConfig) -> Iterator[tuple[str, str]]:
    """One pair of what people added to a root, for some thousand roots."""
    path = config.data / "streams" / "cascades_reposts.jsonl.xz"
    if not path.exists():
        return
    added: dict[str, list[str]] = {}
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            text = clean(str(row["text"] or "").split("//@")[0])
            known = added.setdefault(str(row["cascade"]), [])
            if len(text) >= 2 * SHORTEST and len(known) < 40:
                known.append(text)
    chance = random.Random(config.seed)
    for texts in itertools.islice(added.values(), ROOTS):
        if len(texts) >= 2:
            yield tuple(chance.sample(texts, 2))  # type: ignore[misc]
