"""Category paths: main class first, `("城建", "道路", "路灯")`; written 城建/道路/路灯."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

Path = tuple[str, ...]

SEPARATOR = "/"
NONE = "无"
"""Main class of a text that belongs to none; its path is empty."""
SEPARATORS = ("/", ">", "|", "\\", "→", "»")
"""What offices write between the levels; full-width forms count as these."""
_NARROW = str.maketrans({"／": "/", "＞": ">", "｜": "|", "＼": "\\", "﹥": ">"})
_ARROW = re.compile(r"[-=—]+>")
_SPACE = re.compile(r"\s+")
_FORMULA = "=+-@"
"""How a cell begins that a spreadsheet runs: class names come out in tables again."""
LONGEST = 60
"""Characters of one class name."""


def joined(path: Sequence[str]) -> str:
    """城建/道路/路灯; 无 for the empty path."""
    return SEPARATOR.join(path) or NONE


def parse(text: str, separator: str = SEPARATOR) -> Path:
    """The path that somebody wrote with `separator` (one of `SEPARATORS`); 无 is the empty path.

    Raises ValueError, in words for the person, when a level is empty or too long. A slash inside
    a name (where another separator stands between the levels) becomes a full-width one, because
    the archive keeps paths with slashes.
    """
    parts = [_SPACE.sub(" ", part).strip() for part in narrow(text).split(separator)]
    while parts and not parts[-1]:
        parts.pop()
    while parts and not parts[0]:
        parts.pop(0)
    if not parts:
        raise ValueError("类别为空")
    if any(not part for part in parts):
        raise ValueError("类别中间有一级是空的")
    if any(len(part) > LONGEST for part in parts):
        raise ValueError(f"类别名超过 {LONGEST} 个字，像是把正文填进了类别")
    if any(part[0] in _FORMULA for part in parts):
        raise ValueError("类别名以 = + - @ 开头，表格软件会把它当公式")
    if parts == [NONE]:
        return ()
    return tuple(part.replace("/", "／") for part in parts)


def narrow(text: str) -> str:
    """Separators in their usual width; -> and => as >."""
    return _ARROW.sub(">", text.translate(_NARROW))


def separator_of(texts: Iterable[str]) -> str:
    """The separator that most of the texts use; the slash when none does."""
    counts = dict.fromkeys(SEPARATORS, 0)
    for text in texts:
        plain = narrow(text)
        for one in SEPARATORS:
            counts[one] += one in plain
    return max(SEPARATORS, key=lambda one: counts[one])


def prefixes(path: Path) -> list[Path]:
    """The path's levels from the main class down: `(a,), (a, b), (a, b, c)`."""
    return [path[: level + 1] for level in range(len(path))]
