"""Words that are watched for, and words that rule a text out."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from huiyin.errors import InputError
from huiyin.records import Post

SHOWN = 10


@dataclass(frozen=True)
class WatchList:
    """`words`: any of them; `without`: none of them. Width and case make no difference."""

    words: tuple[str, ...]
    without: tuple[str, ...] = ()

    @classmethod
    def of(cls, words: str, without: str = "") -> WatchList:
        """From words between blanks or commas. Raises `InputError`."""
        split = [tuple(dict.fromkeys(_same(one).replace(",", " ").replace("、", " ").split()))
                 for one in (words, without)]  # fmt: skip
        if any(len(one) < 2 for part in split for one in part):
            raise InputError("名单里的词至少要两个字", "单个字会什么都抓到")
        return cls(*split)

    @classmethod
    def in_parameters(cls, parameters: Mapping[str, str]) -> WatchList | None:
        """The list of a source, None when it keeps everything."""
        words = parameters.get("words", "")
        return cls.of(words, parameters.get("without", "")) if words.strip() else None

    def caught_by(self, text: str) -> tuple[str, ...]:
        """The words that catch a text; none when it is ruled out."""
        same = _same(text)
        if any(one in same for one in self.without):
            return ()
        return tuple(one for one in self.words if one in same)

    def rules_out(self, text: str) -> bool:
        """True when words catch the text and an exclusion lets it go."""
        same = _same(text)
        return any(one in same for one in self.words) and not self.caught_by(text)


def _same(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


@dataclass
class Preview:
    """What a list would have caught among posts."""

    looked: int = 0
    caught: int = 0
    ruled_out: int = 0
    by_word: Counter[str] = field(default_factory=Counter)
    shown: list[Post] = field(default_factory=list)
    """The newest that were caught."""
    let_go: list[Post] = field(default_factory=list)
    """The newest that exclusion words let go: to see whether they rule out too much."""


def preview(watch: WatchList, posts: Iterable[Post]) -> Preview:
    """Try a list on posts in order of time."""
    found = Preview()
    for post in posts:
        found.looked += 1
        text = f"{post.title or ''}\n{post.text}"
        words = watch.caught_by(text)
        if words:
            found.caught += 1
            found.by_word.update(words)
            found.shown = [post, *found.shown[: SHOWN - 1]]
        elif watch.without and watch.rules_out(text):
            found.ruled_out += 1
            found.let_go = [post, *found.let_go[: SHOWN - 1]]
    return found
