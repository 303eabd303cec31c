"""Words of a post for grouping: cleaned text, character bigrams, topic tags, near-copy sketches.

Character bigrams instead of a word segmenter: on the 324 event posts the two are within a point of
B-cubed (docs/incidents.md) and bigrams need neither a dictionary nor its loading time.
"""

from __future__ import annotations

import re
import sys
import unicodedata
import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

MAX_CHARS = 400
"""Long messages are compared by their beginning: what they are about stands there."""
SKETCH = 8
SKETCH_SAME = 5
SHINGLE = 4
COPY_MIN_CHARS = 15
"""Shorter texts that are alike may well be independent (地震了！), so they are never copies."""

TAGLESS_CHARS = 6

_URL = re.compile(r"https?://\S+|\bt\.cn/\w+", re.IGNORECASE)
_MENTION = re.compile(r"@(?:某用户|[\w\-·]{1,30})")
_CHAIN = re.compile(r"//\s*@.*", re.DOTALL)
_FURNITURE = re.compile(
    r"(?<=\s)\S{1,20}的(?:微博视频|秒拍视频|优酷视频)|网页链接|查看图片|\[[^\[\]\s]{1,6}\]|"
    r"【(?:电话|身份证|证件|银行卡|邮箱|手机)[^】]{0,4}】|转发微博|轉發微博|repost"
)
_TAG = re.compile(r"#([^#\s]{2,40})#")
_RUN = re.compile(r"[\u3400-\u9fff]+|[a-z0-9]+(?:\.[0-9]+)?")
_LATIN = re.compile(r"[a-z0-9]+(?:\.[0-9]+)?")
_SPACE = re.compile(r"\s+")


def own_words(text: str) -> str:
    """What the author added: the part before the first `//@` of a repost chain."""
    return _CHAIN.sub("", text) if "//" in text else text


@lru_cache(maxsize=64)
def plain(title: str | None, text: str) -> str:
    """Text to compare: without links, handles, emoticons and platform phrases; lower case."""
    text = own_words(text) or text
    head = (title or "").strip()
    if head and not text.lstrip().startswith(head):
        text = f"{head}\n{text}"
    text = unicodedata.normalize("NFKC", text[: 4 * MAX_CHARS]).lower()
    text = _FURNITURE.sub(" ", _MENTION.sub(" ", _URL.sub(" ", text)))
    return _SPACE.sub(" ", text).strip()[:MAX_CHARS]


def tags(text: str) -> tuple[str, ...]:
    """Topic tags (#...#) of a text, each once, in order."""
    return tuple(dict.fromkeys(sys.intern(tag) for tag in _TAG.findall(text)))


def without_tags(text: str) -> str:
    """The text without its topic tags, unless nearly nothing is left then.

    A tag that everybody uses would glue a day together while the idf has not yet learned it.
    """
    if "#" not in text:
        return text
    rest = _TAG.sub(" ", text)
    return rest if sum(map(len, _RUN.findall(rest))) >= TAGLESS_CHARS else text


def terms(text: str) -> dict[str, int]:
    """Character bigrams of Chinese runs, whole Latin words and numbers, with their counts."""
    counts: dict[str, int] = {}
    for run in _RUN.findall(text):
        if run[0] < "\u3400" or len(run) == 1:
            counts[run] = counts.get(run, 0) + 1
            continue
        for start in range(len(run) - 1):
            pair = run[start : start + 2]
            counts[pair] = counts.get(pair, 0) + 1
    return counts


def has_terms(text: str, least: int) -> bool:
    """Whether `terms` would find at least so many different ones."""
    found: set[tuple[str, ...]] = set()
    for run in _RUN.findall(text):
        if run[0] < "\u3400" or len(run) == 1:
            found.add((run,))
        else:
            found.update(pairwise(run))
        if len(found) >= least:
            return True
    return False


def latin(text: str) -> list[str]:
    """Latin words and numbers of a cleaned text."""
    return _LATIN.findall(text)


def sketch(text: str) -> tuple[int, ...]:
    """The `SKETCH` smallest hashes of the text's 4-character shingles; () for a short text.

    Two texts that share `SKETCH_SAME` of them are near copies (bottom-k sketch of the Jaccard
    similarity, Broder 1997).
    """
    letters = "".join(_RUN.findall(_TAG.sub("", text)))
    if len(letters) < COPY_MIN_CHARS:
        return ()
    hashes = {
        zlib.crc32(letters[start : start + SHINGLE].encode())
        for start in range(len(letters) - SHINGLE + 1)
    }
    return tuple(sorted(hashes)[:SKETCH])


def near_copies(one: Sequence[int], other: Sequence[int]) -> bool:
    """True when two sketches are of nearly the same text."""
    return len(set(one) & set(other)) >= SKETCH_SAME
