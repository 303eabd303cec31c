"""Cut a Chinese BERT's vocabulary to the pieces that our texts use.

The table of 21,128 is nearly half of a small encoder's weights; a third of it covers the texts.
Emoji, which the base model does not know, get rows of their own: they carry much of the emotion.
"""

import collections
import itertools
import json
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from nlp.text import clean
from nlp.training import data
from nlp.training.config import TrainConfig

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
EMOJI_SHARE = 200
"""How many of the most frequent emoji get a row (each also as a `##` continuation)."""


def texts(config: TrainConfig) -> Iterable[str]:
    """Every text of the data folder, then lines of the pretraining text, then place names."""
    yield from data.all_texts(config)
    path = config.data / "pretrain" / "short_texts.txt.xz"
    if path.exists():
        with lzma.open(path, "rt", encoding="utf-8") as file:
            for line in itertools.islice(file, config.max_pretrain_lines):
                yield clean(line)
    for path in sorted((config.data / "gazetteer").glob("*s.csv")):
        yield from path.read_text(encoding="utf-8").splitlines()


def choose(tokenizer: Tokenizer, config: TrainConfig) -> tuple[list[str], list[str]]:
    """Return (pieces of the base vocabulary to keep, new emoji pieces), most frequent first."""
    counts: collections.Counter[int] = collections.Counter()
    emoji: collections.Counter[str] = collections.Counter()
    # get_vocab comes in another order each time; the base model's order makes runs repeatable.
    known = dict(sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1]))
    for chunk in _chunks(texts(config), 4096):
        for encoding in tokenizer.encode_batch_fast(chunk, add_special_tokens=False):
            counts.update(encoding.ids)
        emoji.update(c for text in chunk for c in text if _is_emoji(c) and c not in known)
    always = [*SPECIAL, *(p for p in known if p.removeprefix("##").isascii() and len(p) == 1)]
    always += [p for p in known if p.startswith("##") and len(p) == 3 and p.isascii()]
    fresh = [c for c, _ in emoji.most_common(EMOJI_SHARE)]
    fresh += [f"##{c}" for c in fresh]
    order = {piece: number for number, piece in enumerate(dict.fromkeys(always))}
    name = {number: piece for piece, number in known.items()}
    for number, _ in counts.most_common():
        if len(order) >= config.vocabulary - len(fresh):
            break
        order.setdefault(name[number], len(order))
    return list(order), fresh


def cut(tokenizer: Tokenizer, kept: list[str], fresh: list[str]) -> tuple[Tokenizer, list[int]]:
    """Return a tokenizer over kept + fresh, and the base row of each (that of [UNK] for fresh)."""
    known = tokenizer.get_vocab()
    source = [known[piece] for piece in kept] + [known["[UNK]"]] * len(fresh)
    table: dict[str, Any] = json.loads(tokenizer.to_str())
    vocabulary = {piece: number for number, piece in enumerate([*kept, *fresh])}
    table["model"]["vocab"] = vocabulary
    table["normalizer"]["lowercase"] = True
    for token in table["added_tokens"]:
        token["id"] = vocabulary[token["content"]]
    for token in table["post_processor"]["special_tokens"].values():
        token["ids"] = [vocabulary[piece] for piece in token["tokens"]]
    return Tokenizer.from_str(json.dumps(table, ensure_ascii=False)), source


def take_rows(weights: np.ndarray, source: list[int]) -> np.ndarray:
    """Rows of the base embedding table (21128, d) for the new vocabulary: (len(source), d)."""
    return np.ascontiguousarray(weights[np.asarray(source)])


def base_tokenizer(folder: Path) -> Tokenizer:
    """Read tokenizer.json of a base folder, lower-casing as the base model was trained."""
    table = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    table["normalizer"]["lowercase"] = True
    return Tokenizer.from_str(json.dumps(table, ensure_ascii=False))


def _chunks(items: Iterable[str], size: int) -> Iterable[list[str]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def _is_emoji(character: str) -> bool:
    code = ord(character)
    return 0x1F000 <= code <= 0x1FAFF or 0x2600 <= code <= 0x27BF
