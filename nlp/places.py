"""Which places a text names: longest match in a table of provinces, cities, counties and streets.

A name shared by several places ("朝阳") goes to the one whose parent is named in the text, else to
the one in the office's own region, else to a municipality's or provincial capital's; else it is
left out: no place is better than the wrong one. A short name that is an ordinary word too counts
only near or straight after its parent. Names inside road names ("北京路") do not count.

nlp/training/gazetteer.py builds the table and says where its levels come from.
"""

import functools
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huiyin.records import Place

TABLE = Path(__file__).parent / "data" / "places.tsv.xz"
MAX_CHARACTERS = 20_000
"""Characters of a text that are searched; the rest of longer ones is not."""
WORD, NEARBY, SURE = 0, 1, 2
"""What a form needs to count: its parent right before it; a parent nearby or the own region; no
more than to be one place."""
_ADJACENT = 2
"""Characters between a word's place and its parent, which stands before it."""
_NEAR = 40
"""Characters between a weak name and the parent that decides it."""
_FAR = 400
"""Characters between a full name shared by several places and the parent that decides it."""
_BEHIND = 10
"""A parent named after the place counts as that many characters farther away."""

_CAPITAL_CODES = (
    "11 12 31 50 1301 1401 1501 2101 2201 2301 3201 3301 3401 3501 3601 "
    "3701 4101 4201 4301 4401 4501 4601 5101 5201 5301 5401 6101 6201 6301 6401 6501"
)
_CAPITALS = frozenset(_CAPITAL_CODES.split())
_ROAD = re.compile(
    r"[东西南北中]?[一二三四五六七八九十]?"
    r"(?:路(?![过面况人透途])|大街|街(?![道镇头坊办拍])|大道|巷|弄|胡同|高架|立交|隧道|小面|烩面|拉面)"
)
_NATURE = re.compile(
    r"[山河江湖海](?![东西南北苏])|[寺庙戏村苑桥]|社区|小区|新村|家园|花园|花苑|公寓|山庄|福地"
)
"""Straight after a county's short name these make another name: 武功山, 南岗社区."""
_RIVER = re.compile(r"河(?![东西南北间源口])")
_SURNAMES = frozenset(
    "李王张刘陈杨赵黄周吴徐孙胡朱郭罗宋郑谢韩唐冯邓曹彭曾萧董袁潘蒋蔡杜魏吕姚卢姜崔谭汪廖贾邹孟熊"
    "邱薛阎侯陶黎贺郝龚邵钱严覃戴"
)
_GAP = " ·-—省市县区"


@dataclass(frozen=True, slots=True)
class _Form:
    """A written form: the places that it may mean, or (`all`) that it covers together."""

    codes: tuple[str, ...]
    level: int
    all: bool = False

    @property
    def is_one(self) -> bool:
        """One place only, or a province or city whose short form smaller places share (新乡)."""
        return len(self.codes) == 1 or _is_large(self.codes[0])


@dataclass(frozen=True, slots=True)
class _Found:
    start: int
    end: int
    form: _Form


_Named = tuple[_Found, str]


def prefix(code: str) -> str:
    """The digits that all places under a code share: 41 for 410000, 4101 for 410100."""
    if len(code) > 6 or not code.endswith("00"):
        return code
    return code[:2] if code.endswith("0000") else code[:4]


def find(text: str, region: str | None = None) -> tuple[Place, ...]:
    """Places named in a text, in order, each code once; `region`: adcode of the office's area."""
    found = list(_matches(text[:MAX_CHARACTERS]))
    if not found:
        return ()
    sure = [(m, m.form.codes[0]) for m in found if m.form.level == SURE and m.form.is_one]
    named: list[_Named] = []
    for match in found:
        if match.form.all:
            named += [(match, code) for code in match.form.codes]
        elif (code := _decide(text, match, sure + named, region)) is not None:
            named.append((match, code))
    return _deepest(named, text)


def _decide(text: str, match: _Found, others: list[_Named], region: str | None) -> str | None:
    """The code that a match stands for, or None when nothing decides it."""
    form = match.form
    if form.level == SURE and form.is_one:
        return (_by_parent(text, match, others, 0) if len(form.codes) > 1 else None) or form.codes[
            0
        ]
    under = _by_parent(text, match, others, (_ADJACENT, _NEAR, _FAR)[form.level])
    if under is not None or form.level == WORD:
        return under
    if region:
        known = prefix(region)
        for width in (6, 4, 2) if form.level == SURE else (6, 4):
            own = [c for c in form.codes if len(known) >= width and c[:width] == known[:width]]
            if len(own) == 1:
                return own[0]
    if form.level == NEARBY:
        return None
    large = [c for c in form.codes if len(c) == 6 and (c[:2] in _CAPITALS or c[:4] in _CAPITALS)]
    return large[0] if len(large) == 1 else None


def _by_parent(text: str, match: _Found, others: list[_Named], reach: int) -> str | None:
    """The one of the match's places that lies in a place named near enough, the nearest first."""
    near = []
    for other, code in others:
        before = match.start - other.end
        if reach <= _ADJACENT and (before < 0 or text[other.end : match.start].strip(_GAP)):
            continue
        distance = before if before >= 0 else other.start - match.end + _BEHIND
        if other is not match and distance <= reach:
            near.append((distance, prefix(code)))
    for _, parent in sorted(near):
        under = [c for c in match.form.codes if c.startswith(parent) and prefix(c) != parent]
        if under and len({c[:6] for c in under}) == 1:
            return under[0]
    return None


def _deepest(named: list[_Named], text: str) -> tuple[Place, ...]:
    """Join runs such as 河南省郑州市金水区 into their last member, and drop repeats."""
    names, places, seen = _table().names, [], set()
    start = None
    for number, (match, code) in enumerate(named):
        start = match.start if start is None else start
        if number + 1 < len(named):
            after, below = named[number + 1]
            gap = text[match.end : after.start]
            if len(gap) <= 2 and not gap.strip(_GAP) and below.startswith(prefix(code)):
                continue
        if code not in seen:
            seen.add(code)
            places.append(Place(adcode=code, name=names[code], text=text[start : match.end]))
        start = None
    return tuple(places)


def written_forms(region: str) -> dict[str, tuple[str, bool]]:
    """How the places of an area are written, itself among them: form -> (adcode, only here).

    Without forms that are ordinary words too. `only here`: no place elsewhere is written so. Raises
    `KeyError` for a code that is not in the table.
    """
    table, inside = _table(), prefix(region)
    if region not in table.names:
        raise KeyError(region)
    found: dict[str, tuple[str, bool]] = {}
    for form, meant in table.forms.items():
        here = [code for code in meant.codes if code.startswith(inside)]
        if here and meant.level == SURE and not meant.all:
            found[form] = (here[0], len(here) == len(meant.codes))
    return found


@dataclass(frozen=True)
class _Table:
    names: dict[str, str]
    forms: dict[str, _Form]
    """Written form -> what it means; no codes: it is no place and hides what it contains."""
    lengths: dict[str, tuple[int, ...]]
    """First two characters of a form -> lengths of the forms that begin so, longest first."""


@functools.cache
def _table() -> _Table:
    names: dict[str, str] = {}
    full: dict[str, list[str]] = {}
    forms: dict[str, _Form] = {}
    for line in lzma.decompress(TABLE.read_bytes()).decode("utf-8").splitlines():
        first, second, *more = line.split("\t")
        if more:
            codes = tuple(re.split(r"[+,]", second)) if second else ()
            forms[first] = _Form(codes, int(more[0]), "+" in second)
        else:
            names[first] = second
            full.setdefault(second, []).append(first)
    for name, found in full.items():
        found.sort(key=lambda code: (not _is_large(code), len(code), code))
        form = forms.setdefault(name, _Form(tuple(found), SURE))
        if name.endswith("街道"):
            forms.setdefault(name[:-1] + "办", form)
    lengths: dict[str, set[int]] = {}
    for written in forms:
        lengths.setdefault(written[:2], set()).add(len(written))
    return _Table(names, forms, {k: tuple(sorted(v, reverse=True)) for k, v in lengths.items()})


def _is_large(code: str) -> bool:
    """A province or a city."""
    return len(code) == 6 and code.endswith("00")


def _matches(text: str) -> Iterator[_Found]:
    """Leftmost longest matches that are not part of another kind of name."""
    table, position, last = _table(), 0, -1
    lengths, forms = table.lengths, table.forms
    while position < len(text) - 1:
        for length in lengths.get(text[position : position + 2], ()):
            form = forms.get(text[position : position + length])
            if form is not None:
                break
        else:
            position += 1
            continue
        end = min(position + length, len(text))
        if form.codes and not _is_other(text, position, end, form, last):
            yield _Found(position, end, form)
        position = last = end


def _is_other(text: str, start: int, end: int, form: _Form, last: int) -> bool:
    """Part of a road's, mountain's or person's name; `last`: where the match before ended."""
    if _ROAD.match(text, end):
        return True
    if end - start != 2 or form.codes[0].endswith("0000"):
        return False
    if (_RIVER if _is_large(form.codes[0]) else _NATURE).match(text, end) and start != last:
        return True
    return 0 < start != last and text[start - 1] in _SURNAMES
