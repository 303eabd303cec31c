"""How text is cut for searching, and what "the text contains these words" means.

One definition for every engine: the index, the query and the highlights all use this module.

- Letters are folded (NFKC where it keeps the length, lower case), so `ＡＢＣ` equals `abc`.
- Chinese, kana, hangul and emoji form runs; a run of n characters gives its n-1 pairs and its last
  character. A pair finds words of two and more characters as phrases, and one character alone is
  found as the beginning of a token.
- Other letters and digits form words, found whole.
- Everything else separates; all separators are equal.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from operator import add

VERSION = 1
"""Raised when the cutting changes: an index made by another version must be rebuilt."""

_RUN = "〆〇぀-ヿ㐀-䶿一-鿿가-힣豈-﫿☀-➿\U0001f300-\U0001faff\U00020000-\U0003ffff"
_PIECE = re.compile(rf"[{_RUN}]+|[^\W_{_RUN}]+")
_IN_RUN = re.compile(rf"[{_RUN}]")


@cache
def _odd_letters() -> tuple[re.Pattern[str], dict[int, str]]:
    """Letters that NFKC folds to one other character, and the table that does it."""
    table = {}
    for code in range(0x80, 0x10000):
        char = chr(code)
        if char.isalnum():
            folded = unicodedata.normalize("NFKC", char).lower()
            if folded != char.lower() and len(folded) == 1:
                table[code] = folded
    ranges: list[list[int]] = []  # a class of single characters is searched 250 times slower
    for code in table:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    inside = "".join(f"{re.escape(chr(a))}-{re.escape(chr(b))}" for a, b in ranges)
    return re.compile(f"[{inside}]"), table


def fold(text: str) -> str:
    """Lower case and one width; the length stays, so positions stay."""
    lowered = text.lower()
    if len(lowered) != len(text):  # few letters grow in lower case (İ)
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    odd, table = _odd_letters()
    return lowered.translate(table) if odd.search(lowered) else lowered


def index_tokens(text: str) -> str:
    """The tokens of a text in order, separated by spaces; what the index is fed with."""
    tokens: list[str] = []
    for piece in _PIECE.findall(fold(text)):
        if _is_run(piece):
            tokens.extend(map(add, piece, piece[1:]))
            tokens.append(piece[-1])
        else:
            tokens.append(piece)
    return " ".join(tokens)


def pieces(words: str) -> list[str]:
    """The runs and words of a query's term, folded, in order; empty = nothing to look for."""
    found: list[str] = _PIECE.findall(fold(words))
    return found


def query_tokens(words: str) -> tuple[list[str], bool]:
    """Tokens that must follow one another, and whether the last is only the beginning of one.

    A text contains `words` exactly when its index tokens contain these, adjacent, in this order.
    """
    found = pieces(words)
    tokens: list[str] = []
    begins = False
    for position, piece in enumerate(found):
        last = position == len(found) - 1
        if not _is_run(piece):
            tokens.append(piece)
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
    return [found.span() for found in pattern.finditer(fold(text))] if pattern else []


@cache
def _pattern(words: str, prefix: bool) -> re.Pattern[str] | None:
    """The definition of "contains" as a regular expression over folded text."""
    found = pieces(words)
    if not found:
        return None
    letter = rf"[^\W_{_RUN}]"
    out = ""
    for position, piece in enumerate(found):
        if position:
            # two runs, or two words, are always apart; a run and a word may touch
            apart = _is_run(piece) == _is_run(found[position - 1])
            out += rf"(?:[^\w{_RUN}]|_)" + ("+" if apart else "*")
        if _is_run(piece):
            out += re.escape(piece)
        else:
            goes_on = f"{letter}*" if prefix and position == len(found) - 1 else ""
            out += f"(?<!{letter}){re.escape(piece)}{goes_on}(?!{letter})"
    return re.compile(out)


def _is_run(piece: str) -> bool:
    first = piece[0]
    return "一" <= first <= "鿿" or (not first.isascii() and _IN_RUN.match(first) is not None)
