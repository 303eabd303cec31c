"""In which language and script a text is written: by its letters, without a model.

A city's accounts are also written to in traditional characters, in English and in the languages of
the nationalities; a Chinese model must not pretend to have read those. Traditional characters are
folded to simplified ones, character by character, before anything is read.
"""

import re
from functools import cache
from typing import NamedTuple

from archive import traditional_letters

MAX_CHARACTERS = 4000
"""Characters of a text that are looked at."""
SIMPLIFIED, TRADITIONAL = "zh-Hans", "zh-Hant"
READ = frozenset({SIMPLIFIED, TRADITIONAL, None})
"""What our own model reads; None is a text without letters that tell: numbers, emoji, "ok"."""

_NOISE = re.compile(
    r"https?://\S+|\bt\.cn/\w+|@[\w·-]{1,30}(?=[\s:：,，。!！?？]|$)|\[[^\[\]\s]{1,8}\]|【[^】]{1,4}】"
)
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]{2,}")
_OTHER = re.compile(r"[^\W\d_A-Za-z\u00c0-\u024f\u1e00-\u1eff\u3400-\u9fff\uf900-\ufaff]")
_SCRIPTS: tuple[tuple[str, str], ...] = (
    ("ja", "\u3041-\u3096\u30a1-\u30cd\u30cf-\u30fa\u30fc"),  # ノ ヽ ゞ are drawn into faces
    ("ko", "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"),
    ("bo", "\u0f00-\u0fff"),
    ("mn", "\u1800-\u18af"),
    ("Arab", "\u0620-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc"),
    ("Cyrl", "\u0400-\u052f"),
    ("ii", "\ua000-\ua4cf"),
    ("khb", "\u1980-\u19df\u1a20-\u1aaf"),
    ("tdd", "\u1950-\u197f"),
    ("th", "\u0e00-\u0e7f"),
    ("hi", "\u0900-\u097f"),
    ("el", "\u0370-\u03ff"),
    ("he", "\u0590-\u05ff"),
    ("my", "\u1000-\u109f"),
    ("km", "\u1780-\u17ff"),
    ("lo", "\u0e80-\u0eff"),
)
_LETTERS = tuple((code, re.compile(f"[{letters}]")) for code, letters in _SCRIPTS)
_A_WORD = 3
"""Letters of an alphabet that say about as much as one Chinese character."""
_KANA_SHARE = 0.2
"""Share of kana among kana and Chinese characters from which a text is Japanese; the の of a shop
sign stays below it. Half where a character is there that only simplified Chinese has."""
_FEW_WORDS = 3
"""Latin words from which a text without other letters counts as written in their language."""
_LATIN_SHARE = 0.8
"""Share of Latin words among them and Chinese characters from which a text is not Chinese."""
_ENGLISH = re.compile(
    r"the|of|and|to|in|is|are|was|were|you|that|it|for|on|with|as|be|have|this|not|we|my|your|but|"
    r"what|all|can|will|from|they|do|so|if|me|at|by|an|or|there|how|why|please|when|no|just|has|"
    r"had|our|who|love|good|like|go|take|best",
    re.IGNORECASE,
)
_RUSSIAN = re.compile(r"\b(?:и|в|не|на|что|с|по|для|это|как|мы|вы|я)\b", re.IGNORECASE)
_ALSO_TRADITIONAL = "於後"
"""In the simplified standard's table of rare names, yet a sure sign in running text."""


class _Letters(NamedTuple):
    traditional: re.Pattern[str]
    simplified: re.Pattern[str]
    chinese: re.Pattern[str]
    """Simplified characters that Japanese does not share."""
    fold: dict[int, str]
    """Sure traditional characters; in a text that is traditional, `fold_all`."""
    fold_all: dict[int, str]


def identify(text: str) -> str | None:
    """Language as in BCP 47, or None when no letters tell it."""
    text = _NOISE.sub(" ", text[:MAX_CHARACTERS])
    han, words = len(_HAN.findall(text)), _WORD.findall(text)
    others = _OTHER.findall(text)
    if others:
        found = _other(text, others, han, len(words))
        if found is not None:
            return found
    if len(words) >= _FEW_WORDS and len(words) >= _LATIN_SHARE * (len(words) + han):
        return _latin(words)
    if not han:
        return None
    letters = _letters()
    old, new = len(letters.traditional.findall(text)), len(letters.simplified.findall(text))
    return TRADITIONAL if old > new else SIMPLIFIED


def fold(text: str, language: str | None) -> str:
    """A Chinese text in simplified characters, of the same length; others as they are."""
    if language not in READ or not _letters().traditional.search(text):
        return text
    return text.translate(_letters().fold_all if language == TRADITIONAL else _letters().fold)


def _other(text: str, others: list[str], han: int, words: int) -> str | None:
    """The language of the alphabet that prevails over Chinese and Latin, if one does."""
    joined = "".join(others)
    counts = {code: len(pattern.findall(joined)) for code, pattern in _LETTERS}
    code = max(counts, key=lambda one: counts[one])
    count = counts[code]
    if code == "ja":
        share = 0.5 if _letters().chinese.search(text) else _KANA_SHARE
        prevails = count >= 2 and count >= share * (count + han) and count / _A_WORD > words / 2
        return "ja" if prevails else None
    if count < 2 or count / _A_WORD <= max(han, words / 2):
        return None
    if code == "Arab":
        return _arabic(joined)
    return _cyrillic(joined.lower(), text) if code == "Cyrl" else code


def _arabic(letters: str) -> str:
    if "\u0674" in letters:  # the high hamza is Kazakh's alone
        return "kk"
    return "ug" if re.search("[\u06d5\u06d0\u06c6\u06c8\u0626]", letters) else "und-Arab"


def _cyrillic(letters: str, text: str) -> str:
    if re.search("[әғқұі]", letters):
        return "kk"
    if "ң" in letters:
        return "ky"
    if re.search("[өү]", letters):
        return "mn"
    return "ru" if _RUSSIAN.search(text) else "und-Cyrl"


def _latin(words: list[str]) -> str:
    if sum(any("\u1ea0" <= c <= "\u1ef9" or c in "ăđơưĂĐƠƯ" for c in one) for one in words) >= 2:
        return "vi"
    known = sum(_ENGLISH.fullmatch(one) is not None for one in words)
    plain = sum(one.isascii() for one in words)
    return "en" if known >= 0.1 * len(words) and plain >= 0.9 * len(words) else "und-Latn"


@cache
def _letters() -> _Letters:
    """Sure signs: a traditional form outside GB 2312, a simplified one outside Big5."""
    table = traditional_letters()
    # one plane only: a class of single characters there is a bitmap, ten times as fast
    sure = [
        c for c in table if c < "\U00010000" and (c in _ALSO_TRADITIONAL or not _has(c, "gb2312"))
    ]
    new = sorted({c for c in table.values() if not _has(c, "big5") and _has(c, "gb2312")})
    return _Letters(
        re.compile(f"[{''.join(sure)}]"),
        re.compile(f"[{''.join(new)}]"),
        re.compile(f"[{''.join(c for c in new if not _has(c, 'shift_jis'))}你们吗吧呢这]"),
        {ord(char): table[char] for char in sure},
        {ord(char): simple for char, simple in table.items()},
    )


def _has(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
