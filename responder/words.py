"""Chinese text in sentences, clauses and words."""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import lru_cache

from responder.lexicon import COMMON

_SENTENCE = re.compile(r"[^。！？!?\n]*[。！？!?\n]+[”』」）]*\s*|[^。！？!?\n]+$")
_CLAUSE = re.compile(r"(?:[，,；;。！？!?\n]|(?<!\d)[:：]|[:：](?!\d))+")
_NOISE = re.compile(r"https?://\S+|@[\w\-·]+|【|】|#|\[[^\]]{1,8}\]")
_HAN_OR_WORD = re.compile(r"[\u4e00-\u9fffA-Za-z0-9]")


def sentences(text: str) -> list[str]:
    """Cut after 。！？ and line ends; joined again they are exactly `text`."""
    return _SENTENCE.findall(text)


def clauses(text: str) -> list[str]:
    """Cut at commas too; empty ones are dropped."""
    return [part.strip() for part in _CLAUSE.split(text) if part.strip()]


def squeeze(text: str) -> str:
    """For comparing words: compatibility forms unified, white space and quotes gone."""
    unified = unicodedata.normalize("NFKC", text)
    return re.sub(r"[\s“”\"'‘’「」『』]", "", unified)


def plain(text: str) -> str:
    """A reply is plain text: no control characters, no mark-up brackets."""
    kept = "".join(char for char in text if char == "\n" or char.isprintable())
    return kept.replace("<", "＜").replace(">", "＞").strip()


def readable(text: str) -> str:
    """Without links, @names, topic marks and emoji codes."""
    return " ".join(_NOISE.sub(" ", text).split())


@lru_cache(maxsize=4096)
def content_words(text: str) -> tuple[str, ...]:
    """Words that carry meaning, each once, in order of first use."""
    words = (word.strip() for word in _jieba().cut(readable(text)))
    kept = (
        word for word in words if len(word) > 1 and word not in COMMON and _HAN_OR_WORD.search(word)
    )
    return tuple(dict.fromkeys(kept))


@lru_cache(maxsize=2048)
def keywords(text: str, most: int = 16) -> tuple[str, ...]:
    """The words of the text that say most about it: TF-IDF, jieba's own table, best first."""
    import jieba.analyse

    _jieba()
    tags = jieba.analyse.extract_tags(readable(text), topK=most * 2)
    return tuple(tag for tag in tags if tag not in COMMON)[:most]


@lru_cache(maxsize=2048)
def tagged(text: str) -> tuple[tuple[str, str], ...]:
    """(word, part of speech) in order, as jieba tags them."""
    import jieba.posseg

    _jieba()
    return tuple((pair.word, pair.flag) for pair in jieba.posseg.cut(text))


@lru_cache(maxsize=1)
def _jieba():  # type: ignore[no-untyped-def]  # jieba has no types
    import jieba

    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()
    return jieba
