"""The tokens of many texts at once: the same as `archive.tokens.index_tokens`, in arrays.

Written for bulk imports: an import of 100,000 posts takes 10 % less time than text by text
(docs/decisions/archive-sqlite-writes.md). A test compares the two on any text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from archive.tokens import RUN, folding, index_tokens, shown

_BORDER = 0x10FFFF
"""Stands between texts; no character is assigned there."""
_LETTERS_END = 0x40000
"""Above are no letters: planes without characters, tags, private use."""
_CASES_END = 0x1F000
"""Above are no capitals."""
_HIDDEN = 0x110000
"""Stands for a character that shows nothing; no character at all."""
_SPACE = ord(" ")
_WORD, _RUN = 1, 2


def index_tokens_of(texts: Sequence[str]) -> list[str]:
    """`index_tokens` of each text, in order."""
    border = chr(_BORDER)
    whole = border.join(texts) + border
    if not texts or whole.count(border) != len(texts):  # a text holds the border itself
        return [index_tokens(text) for text in texts]
    written = np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    codes = _shown()[written]
    codes = codes[codes != _HIDDEN]
    kinds = _kinds()[codes]
    follows = np.append(kinds[1:], np.uint8(0))
    ends = codes == _BORDER
    in_run, in_word = kinds == _RUN, kinds == _WORD
    # each character gives up to three: itself, the second of its pair, what stands after it
    out = np.empty((len(codes), 3), dtype="<u4")
    out[:, 0] = codes
    out[:-1, 1] = codes[1:]
    out[:, 2] = np.where(ends, _BORDER, _SPACE)
    kept = np.stack(
        [kinds > 0, in_run & (follows == _RUN), in_run | (in_word & (follows != _WORD)) | ends],
        axis=1,
    )
    tokens = out[kept].tobytes().decode("utf-32-le", "surrogatepass")
    return [one.rstrip(" ") for one in tokens.split(border)[:-1]]


@cache
def _shown() -> NDArray[np.uint32]:
    """What `archive.tokens.shown` makes of each character, `_HIDDEN` of what it leaves out; 4.4 MB.

    `str.translate` looks each character up in a dictionary: 15.0 us a text of 100 became 4.0.
    """
    table = np.arange(0x110000, dtype="<u4")
    capitals = [code for code in range(_CASES_END) if chr(code).lower() != chr(code)]
    for code in (*capitals, *folding().all):
        seen = shown(chr(code))
        table[code] = ord(seen) if seen else _HIDDEN
    return table


@cache
def _kinds() -> NDArray[np.uint8]:
    """What each character is: part of a run, part of a word, or neither; 1.1 MB, 0.04 s once."""
    kinds = np.zeros(0x110000, dtype=np.uint8)
    codes = np.arange(_LETTERS_END, dtype="<u4")
    every = np.delete(codes, slice(0xD800, 0xE000)).tobytes().decode("utf-32-le")  # no surrogates
    for kind, pattern in ((_WORD, rf"[^\W_{RUN}]+"), (_RUN, f"[{RUN}]+")):
        for found in re.finditer(pattern, every):
            kinds[np.frombuffer(found[0].encode("utf-32-le"), dtype="<u4")] = kind
    return kinds
