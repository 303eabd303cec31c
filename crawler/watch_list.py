"""Words and places that are watched for, and words that rule a text out.

A list is a file that staff edit (`watch/NAME.toml`): a text is caught when it names one of the
`units`, or one of the `places` together with one of the `words` (without places: any of the words),
and none of `without`. The first witness of an accident mentions nobody: lists find what names only
the place.
"""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from huiyin.errors import CollectError, FileFormatError, InputError, unreadable
from huiyin.records import Post

SHOWN = 10
MOST = 5000
"""Entries of one part of a list."""
PUSH_MOST, PUSH_LONGEST = 20_000, 36
"""Keywords of one subscription of the push stream, and characters of each (open.weibo.com)."""
_NAME = re.compile(r"[\w-]{1,60}\Z")
_PARTS = ("places", "words", "units", "without", "queries")


@dataclass(frozen=True)
class WatchList:
    """See above; width and case make no difference."""

    words: tuple[str, ...]
    without: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    """What a search is asked for, one question each; what it brings is caught as above."""

    @classmethod
    def of(cls, words: str, without: str = "") -> WatchList:
        """From words between blanks or commas. Raises `InputError`."""
        split = [
            _same(one).replace(",", " ").replace("、", " ").split() for one in (words, without)
        ]
        return cls(*(_checked(one) for one in split))

    @classmethod
    def load(cls, folder: Path, name: str) -> WatchList:
        """Read `folder/name.toml`. Raises `InputError` (no such name), `FileFormatError`."""
        if not _NAME.match(name):
            raise InputError("名单的名称只用字母、数字、汉字和连字符", "改正 watch 参数")
        file = folder / f"{name}.toml"
        try:
            told = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise FileFormatError(f"读不出来：{unreadable(error)}",
                                  "改正，或重新生成：source add … region=行政区划代码",
                                  file=str(file)) from error  # fmt: skip
        if strange := sorted(set(told) - set(_PARTS)):
            raise FileFormatError(f"不认识 {'、'.join(strange)}", f"可用的是 {'、'.join(_PARTS)}",
                                  file=str(file))  # fmt: skip
        parts: dict[str, tuple[str, ...]] = {}
        for part in _PARTS:
            rows = told.get(part, [])
            if not isinstance(rows, list) or not all(isinstance(one, str) for one in rows):
                raise FileFormatError(f"{part} 应是一串词", '写成 ["词一", "词二"]', file=str(file))
            try:
                parts[part] = _checked(_same(one).strip() for one in rows)
            except InputError as error:
                raise FileFormatError(
                    f"{part}：{error.message}", error.mend, file=str(file)
                ) from error
        if not parts["words"] and not parts["units"]:
            raise FileFormatError("words 和 units 都是空的", "至少写一样", file=str(file))
        return cls(**parts)

    @classmethod
    def in_parameters(
        cls, parameters: Mapping[str, str], folder: Path | None = None
    ) -> WatchList | None:
        """The list of a source, None when it keeps everything. Raises `InputError`,

        `FileFormatError`. Without `folder` a list in a file is not read.
        """
        words, name = parameters.get("words", ""), parameters.get("watch", "")
        if words.strip():
            return cls.of(words, parameters.get("without", ""))
        return cls.load(folder, name) if name and folder is not None else None

    def caught_by(self, text: str) -> tuple[str, ...]:
        """The places and words that catch a text; none when it is ruled out."""
        same = _same(text)
        return () if any(one in same for one in self.without) else self._found(same)

    def _found(self, same: str) -> tuple[str, ...]:
        units = tuple(one for one in self.units if one in same)
        words = tuple(one for one in self.words if one in same)
        if not self.places:
            return (*units, *words)
        places = tuple(one for one in self.places if one in same) if words else ()
        return (*units, *places, *words) if places else units

    def rules_out(self, text: str) -> bool:
        """True when words catch the text and an exclusion lets it go."""
        same = _same(text)
        return bool(self._found(same)) and not self.caught_by(text)

    def push_keywords(self) -> Iterator[str]:
        """The list as keywords of the push stream: a blank is AND, " -" is NOT."""
        if self.places:
            pairs: Iterator[str] = (
                f"{place} {word}" for place, word in product(self.places, self.words)
            )
        else:
            pairs = iter(self.words)
        yield from self.units
        yield from pairs


def list_of(parameters: Mapping[str, str], folder: Path | None) -> WatchList | None:
    """`WatchList.in_parameters` for a source that is being read. Raises `CollectError`."""
    try:
        return WatchList.in_parameters(parameters, folder)
    except (InputError, FileFormatError) as error:
        name = parameters.get("watch", "")
        raise CollectError(f"盯看名单 {name} 用不了：{error.message}", error.mend) from error


def write_list(
    file: Path,
    parts: Mapping[str, Iterable[str]],
    *,
    head: Iterable[str],
    aside: Iterable[str] = (),
) -> None:
    """A list as a file to edit: a comment at its head, eight entries a line, `aside` commented out.

    Raises `InputError` when the file is there already.
    """
    lines = [f"# {one}" for one in head]
    for part in _PARTS:
        rows = list(parts.get(part, ()))
        lines.append(f"{part} = [")
        lines += [f"  {', '.join(said)}," for said in _eights(rows)]
        lines.append("]")
    if aside := list(aside):
        lines.append("# 别处也有同名，没有放进 places；要盯就移上去：")
        lines += [f"#  {', '.join(said)}," for said in _eights(aside)]
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")
    except FileExistsError:
        raise InputError(f"{file} 已经有了", "直接用 watch= 这个名称，或改名后再来") from None


def _eights(rows: list[str]) -> Iterator[list[str]]:
    said = [json.dumps(one, ensure_ascii=False) for one in rows]
    for start in range(0, len(said), 8):
        yield said[start : start + 8]


def _checked(words: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(one for one in words if one))
    if any(len(one) < 2 for one in found):
        raise InputError("名单里的词至少要两个字", "单个字会什么都抓到")
    if len(found) > MOST:
        raise InputError(f"名单里一样最多 {MOST} 个", "分成几份")
    return found


def _same(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


@dataclass
class Preview:
    """What a list would have caught among posts."""

    looked: int = 0
    caught: int = 0
    ruled_out: int = 0
    unaddressed: int = 0
    """Caught, and mentioning none of our accounts: reading mentions alone would miss them."""
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
            found.unaddressed += not post.mentions
            found.by_word.update(words)
            found.shown = [post, *found.shown[: SHOWN - 1]]
        elif watch.without and watch.rules_out(text):
            found.ruled_out += 1
            found.let_go = [post, *found.let_go[: SHOWN - 1]]
    return found
