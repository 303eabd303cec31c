"""How text is cut for searching, and what "the text contains these words" means.

One definition for every engine: the index, the query and the highlights all use this module.

- Letters are folded (NFKC where it keeps the length, lower case, traditional to simplified), so
  `ＡＢＣ` equals `abc` and `臺灣` equals `台湾`.
- What shows nothing of its own is left out: variation selectors, skin tones, joiners and other
  characters without width. So 👍🏽 equals 👍, ❤️ equals ❤, and 👩‍🚒 equals 👩🚒.
- Chinese, kana, hangul and emoji form runs; a run of n characters gives its n-1 pairs and its last
  character. A pair finds words of two and more characters as phrases, and one character alone is
  found as the beginning of a token.
- Other letters and digits form words, found whole.
- Everything else separates; all separators are equal.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from functools import cache
from operator import add
from pathlib import Path
from typing import NamedTuple

VERSION = 2
"""Raised when the cutting changes: an index made by another version must be rebuilt."""

RUN = (
    "〆〇぀-ヿ㐀-䶿一-鿿가-힣\uf900-\ufaff⌀-⏿☀-➿⬀-⯿\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff"
    "\U00020000-\U0003ffff"
)
"""The characters that form runs, as the inside of a character class."""
HIDDEN = "\u00ad\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff\U0001f3fb-\U0001f3ff"
"""The characters that are left out, likewise."""
TRADITIONAL = Path(__file__).parent / "data" / "traditional.txt"

_FOLDED_BLOCKS = (range(0x80, 0x10000), range(0x1D400, 0x1D800), range(0x2F800, 0x2FA20))
"""Where NFKC may fold; above the first, mathematical letters and compatibility ideographs."""
_PIECE = re.compile(rf"[{RUN}]+|[^\W_{RUN}]+")
_IN_RUN = re.compile(rf"[{RUN}]")
_HIDDEN = re.compile(f"[{HIDDEN}]")
_MODIFIER = re.compile("[\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]*")
"""What belongs to the emoji before it."""


class Folding(NamedTuple):
    """Characters that are not as they should be, and what becomes of them after lower case."""

    odd: re.Pattern[str]
    """Finds any that is folded or left out."""
    letters: dict[int, str]
    """One character each, so that positions stay."""
    all: dict[int, str | None]
    """`letters`, and None for what is left out."""


@cache
def folding() -> Folding:
    """The tables; made at the first use (about 40 ms)."""
    table = {ord("ς"): "σ", ord("İ"): "i"}  # where lower case depends on the place or grows
    for code in itertools.chain(*_FOLDED_BLOCKS):
        char = chr(code)
        if char.isalnum():
            folded = unicodedata.normalize("NFKC", char).lower()
            if folded != char.lower() and len(folded) == 1:
                table[code] = folded
    table.update((ord(char), simplified) for char, simplified in traditional_letters().items())
    for code, char in table.items():  # a compatibility form of a traditional character
        while ord(char) in table:
            char = table[ord(char)]  # noqa: PLW2901
        table[code] = char
    hidden = [code for code in range(0x80, 0x20000) if _HIDDEN.match(chr(code))]
    # single characters below 0x10000 become one bitmap; above, few ranges are quicker
    plain = "".join(chr(code) for code in (*table, *hidden) if code < 0x10000)
    odd = re.compile(f"[{plain}\U0001d400-\U0001d7ff\U0001f3fb-\U0001f3ff\U00020000-\U0003ffff]")
    return Folding(odd, table, {**table, **dict.fromkeys(hidden)})


@cache
def traditional_letters() -> dict[str, str]:
    """Traditional character -> its simplified one."""
    table = {}
    for line in TRADITIONAL.read_text(encoding="utf-8").splitlines():
        simplified, _, traditional = line.partition(" ")
        if simplified != "#":
            table.update(dict.fromkeys(traditional, simplified))
    return table


def fold(text: str) -> str:
    """Lower case, one width, simplified; the length stays, so positions stay."""
    lowered = _lower(text)
    tables = folding()
    return lowered.translate(tables.letters) if tables.odd.search(lowered) else lowered


def _lower(text: str) -> str:
    lowered = text.lower()
    if len(lowered) != len(text):  # few letters grow in lower case (İ)
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return lowered


def shown(text: str) -> str:
    """The folded text without what is left out."""
    lowered = _lower(text)
    tables = folding()
    return lowered.translate(tables.all) if tables.odd.search(lowered) else lowered


def index_tokens(text: str) -> str:
    """The tokens of a text in order, separated by spaces; what the index is fed with."""
    tokens: list[str] = []
    for piece in _PIECE.findall(shown(text)):
        if _is_run(piece):
            tokens.extend(map(add, piece, piece[1:]))
            tokens.append(piece[-1])
        else:
            tokens.append(piece)
    return " ".join(tokens)


def pieces(words: str) -> list[str]:
    """The runs and words of a query's term, folded, in order; empty = nothing to look for."""
    found: list[str] = _PIECE.findall(shown(words))
    return found


def query_tokens(words: str, *, prefix: bool = False) -> tuple[list[str], bool]:
    """Tokens that must follow one another, and whether the last is only the beginning of one.

    A text contains `words` exactly when its index tokens contain these, adjacent, in this order.
    `prefix`: the last word may go on (`ipho*`).
    """
    found = pieces(words)
    tokens: list[str] = []
    begins = False
    for position, piece in enumerate(found):
        last = position == len(found) - 1
        if not _is_run(piece):
            tokens.append(piece)
            begins = last and prefix
        elif len(piece) == 1:
            tokens.append(piece)
            begins = last
        else:
            tokens.extend(map(add, piece, piece[1:]))
            if not last:
                tokens.append(piece[-1])
    return tokens, begins


def spans(text: str, words: str, *, prefix: bool = False) -> list[tuple[int, int]]:
    """[start, end) positions where `text` contains `words`; the definition by regular expression.

    `prefix`: the last word may go on (`ipho*`).
    """
    pattern = _pattern(words, prefix)
    if pattern is None:
        return []
    folded = fold(text)
    if not _HIDDEN.search(folded):
        return [found.span() for found in pattern.finditer(folded)]
    places = [place for place, char in enumerate(folded) if not _HIDDEN.match(char)]
    shown = "".join(folded[place] for place in places)
    found = [one.span() for one in pattern.finditer(shown)]
    return [(places[start], _end(folded, places[end - 1] + 1)) for start, end in found]


def _end(text: str, end: int) -> int:
    """The end of a match together with the modifiers of its last emoji."""
    modifiers = _MODIFIER.match(text, end)
    return modifiers.end() if modifiers else end


@cache
def _pattern(words: str, prefix: bool) -> re.Pattern[str] | None:
    """The definition of "contains" as a regular expression over folded text."""
    found = pieces(words)
    if not found:
        return None
    letter = rf"[^\W_{RUN}]"
    out = ""
    for position, piece in enumerate(found):
        if position:
            # two runs, or two words, are always apart; a run and a word may touch
            apart = _is_run(piece) == _is_run(found[position - 1])
            out += rf"(?:[^\w{RUN}]|_)" + ("+" if apart else "*")
        if _is_run(piece):
            out += re.escape(piece)
        else:
            goes_on = f"{letter}*" if prefix and position == len(found) - 1 else ""
            out += f"(?<!{letter}){re.escape(piece)}{goes_on}(?!{letter})"
    return re.compile(out)


def _is_run(piece: str) -> bool:
    first = piece[0]
    return "一" <= first <= "鿿" or (not first.isascii() and _IN_RUN.match(first) is not None)
