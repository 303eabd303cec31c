"""What the server is told about words, so that its tokens are exactly ours (archive/tokens.py).

    text ─▶ folding (a mapping made from our own table) ─▶ pattern tokenizer ─▶ lower case (ASCII)

The tokenizer's expression stands in a lookahead, so that pairs may overlap: it matches nothing,
goes on by one character and gives group 1. `text.starts` has at each place the beginnings of the
token that `text` has there: of a run its first character, of a word 1 to 20 letters. So one
character, or `ipho*`, is a term like any other and can end a phrase; nothing is expanded.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from archive.tokens import RUN, fold, folding

WORDS, STARTS = "huiyin_words", "huiyin_starts"
"""Names of the analyzers."""
LONGEST_START = 20
"""Letters; a longer beginning is looked for among the words themselves."""
_LONGEST_TOKEN = 8000
"""UTF-16 units; the server refuses documents with terms above 32,766 bytes."""


@cache
def analysis() -> dict[str, Any]:
    """The `analysis` block of an index's settings."""
    run = "".join(_java(char) for char in RUN)
    word = rf"[\p{{L}}\p{{N}}&&[^{run}]]"
    return {
        "char_filter": {"huiyin_folding": {"type": "mapping", "mappings": _mappings()}},
        "tokenizer": {
            WORDS: {
                "type": "pattern", "group": 1,
                "pattern": rf"(?=([{run}][{run}]?|(?<!{word}){word}+))",
            },
            STARTS: {"type": "pattern", "group": 0, "pattern": rf"[{run}]|{word}+"},
        },
        "filter": {
            "huiyin_longest": {"type": "truncate", "length": _LONGEST_TOKEN},
            STARTS: {"type": "edge_ngram", "min_gram": 1, "max_gram": LONGEST_START},
        },
        "analyzer": {
            WORDS: _analyzer(WORDS, "huiyin_longest"), STARTS: _analyzer(STARTS, STARTS),
        },
    }  # fmt: skip


def text_mapping() -> dict[str, Any]:
    """The mapping of a field with words: `text` and `title`."""
    # queries bring our own tokens, separated by spaces
    return {
        "type": "text", "analyzer": WORDS, "search_analyzer": "whitespace",
        "fields": {
            "starts": {"type": "text", "analyzer": STARTS, "search_analyzer": "whitespace"}
        },
    }  # fmt: skip


def _analyzer(tokenizer: str, last: str) -> dict[str, Any]:
    return {
        "type": "custom", "char_filter": ["huiyin_folding"], "tokenizer": tokenizer,
        "filter": ["lowercase", last],
    }  # fmt: skip


def _mappings() -> list[str]:
    """`from=>to` of every letter that folds (ASCII is left to the lower case filter)."""
    pairs = {code: char or "" for code, char in folding().all.items()}
    for code in range(0x80, 0x20000):
        char = chr(code)
        if code not in pairs and not 0xD800 <= code < 0xE000 and fold(char) != char:
            pairs[code] = fold(char)
    return [f"{_rule(chr(code))}=>{_rule(to)}" for code, to in sorted(pairs.items())]


def _rule(text: str) -> str:
    """A side of a rule; what shows nothing is written as a number, in UTF-16 as Java counts."""
    if not text or text.isalnum():
        return text
    units = text.encode("utf-16-be").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def _java(char: str) -> str:
    """A character of a class as Java's expressions read it; ranges keep their hyphen."""
    return char if char == "-" else f"\\x{{{ord(char):x}}}"
