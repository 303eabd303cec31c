"""Which places a text names: longest match in a table of provinces, cities, counties and streets.

A name shared by several places ("朝阳") goes to the one whose parent is named in the text, else to
the one in the office's own region, else to a municipality's or provincial capital's; else it is
left out: no place is better than the wrong one. Names inside road names ("北京路") do not count.
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
_NEAR = 40
"""Characters between a name and the parent that decides it."""

_CAPITAL_CODES = (
    "11 12 31 50 1301 1401 1501 2101 2201 2301 3201 3301 3401 3501 3601 "
    "3701 4101 4201 4301 4401 4501 4601 5101 5201 5301 5401 6101 6201 6301 6401 6501"
)
_CAPITALS = frozenset(_CAPITAL_CODES.split())
_PEOPLES = (
    "回族|维吾尔|壮族|藏族|羌族|彝族|苗族|侗族|布依族|傣族|景颇族|傈僳族|哈尼族|白族|土家族|朝鲜族|"
    "蒙古族|蒙古|哈萨克族|哈萨克|柯尔克孜|满族|瑶族|黎族|畲族|土族|撒拉族|东乡族|保安族|裕固族|"
    "纳西族|拉祜族|佤族|布朗族|独龙族|怒族|普米族|水族|仡佬族|毛南族|仫佬族|各族|锡伯|达斡尔族|"
    "鄂温克族|鄂伦春|塔吉克"
)
_AUTONOMOUS = re.compile(rf"(?:{_PEOPLES})+自治[区州县旗]$")
_SUFFIX = re.compile(r"(?:特别行政区|自治区|地区|省|市|盟|县|区|旗|林区)$")
_ROAD = re.compile(
    r"[东西南北中]?(?:路|大街|街(?!道|镇)|大道|巷|胡同|高架|立交|隧道|小面|烩面|拉面)"
)


@dataclass(frozen=True, slots=True)
class _Found:
    start: int
    end: int
    codes: tuple[str, ...]
    weak: bool
    """True: the words are a place only if a parent or the own region says so."""


def short_form(name: str) -> str:
    """Name as people write it: 郑州 for 郑州市, 恩施 for 恩施土家族苗族自治州; 辉县 stays 辉县."""
    if name.startswith("内蒙古"):
        return "内蒙古"
    bare = _AUTONOMOUS.sub("", name)
    bare = bare if bare != name else _SUFFIX.sub("", name)
    return bare if len(bare) >= 2 else name


def prefix(code: str) -> str:
    """The digits that all places under a code share: 41 for 410000, 4101 for 410100."""
    if len(code) > 6:
        return code
    return (
        code.removesuffix("00").removesuffix("00")
        if code.endswith("0000")
        else (code.removesuffix("00"))
    )


def find(text: str, region: str | None = None) -> tuple[Place, ...]:
    """Places named in a text, in order, each code once; `region`: adcode of the office's area."""
    found = list(_matches(text[:MAX_CHARACTERS]))
    sure: list[tuple[_Found, str]] = [
        (match, match.codes[0]) for match in found if not match.weak and _is_one(match.codes)
    ]
    named: list[tuple[_Found, str]] = []
    for match in found:
        code = _decide(match, sure + named, region)
        if code is not None:
            named.append((match, code))
    return _deepest(named, text)


def _decide(match: _Found, others: list[tuple[_Found, str]], region: str | None) -> str | None:
    """The code that a match stands for, or None when nothing decides it."""
    near = sorted(
        (abs(other.start - match.start), prefix(code))
        for other, code in others
        if other is not match and abs(other.start - match.start) <= _NEAR
    )
    for _, parent in near:
        under = [c for c in match.codes if c.startswith(parent) and prefix(c) != parent]
        if len(under) == 1 or (under and len({c[:6] for c in under}) == 1):
            return under[0]
    if region:
        for width in (6, 4, 2):
            own = [c for c in match.codes if len(prefix(region)) >= 2 and _same(c, region, width)]
            if len(own) == 1 and (width > 2 or not match.weak):
                return own[0]
    if match.weak:
        return None
    if _is_one(match.codes):
        return match.codes[0]
    large = [c for c in match.codes if len(c) == 6 and (c[:2] in _CAPITALS or c[:4] in _CAPITALS)]
    return large[0] if len(large) == 1 else None


def _is_one(codes: tuple[str, ...]) -> bool:
    """One place only, or a province or city whose short form smaller places share (新乡, 海南)."""
    return len(codes) == 1 or (len(codes[0]) == 6 and codes[0].endswith("00"))


def _same(code: str, region: str, width: int) -> bool:
    known = prefix(region)
    return len(known) >= width and code[:width] == known[:width]


def _deepest(named: list[tuple[_Found, str]], text: str) -> tuple[Place, ...]:
    """Join runs such as 河南省郑州市金水区 into their last member, and drop repeats."""
    names, places, seen = _table().names, [], set()
    start = None
    for number, (match, code) in enumerate(named):
        start = match.start if start is None else start
        if number + 1 < len(named):
            after, below = named[number + 1]
            gap = text[match.end : after.start].strip(" ·-—省市县区")
            if not gap and after.start - match.end <= 2 and below.startswith(prefix(code)):
                continue
        if code not in seen:
            seen.add(code)
            places.append(Place(adcode=code, name=names[code], text=text[start : match.end]))
        start = None
    return tuple(places)


@dataclass(frozen=True)
class _Table:
    names: dict[str, str]
    forms: dict[str, tuple[tuple[str, ...], bool]]
    """Written form -> (codes, weak)."""
    lengths: dict[str, tuple[int, ...]]
    """First two characters of a form -> lengths of the forms that begin so, longest first."""


@functools.cache
def _table() -> _Table:
    names: dict[str, str] = {}
    full: dict[str, list[str]] = {}
    short: dict[str, list[str]] = {}
    alone: set[str] = set()
    for line in lzma.decompress(TABLE.read_bytes()).decode("utf-8").splitlines():
        code, name, flag = line.split("\t")
        names[code] = name
        full.setdefault(name, []).append(code)
        if len(code) != 6:
            continue
        form = short_form(name)
        if form != name:
            short.setdefault(form, []).append(code)
            if flag == "1":
                alone.add(form)
            if _AUTONOMOUS.search(name):  # 恩施州 for 恩施土家族苗族自治州
                full.setdefault(form + name[-1], []).append(code)
    forms = {form: (_upper_first(codes), form not in alone) for form, codes in short.items()}
    for name, codes in full.items():
        forms[name] = (_upper_first(codes), len(name) < 2)
    lengths: dict[str, set[int]] = {}
    for form in forms:
        lengths.setdefault(form[:2], set()).add(len(form))
    return _Table(names, forms, {k: tuple(sorted(v, reverse=True)) for k, v in lengths.items()})


def _upper_first(codes: list[str]) -> tuple[str, ...]:
    """A short form shared by a province or city and smaller places means the larger one."""
    large = [code for code in codes if code.endswith("0000")] or [
        code for code in codes if code.endswith("00") and len(code) == 6
    ]
    return tuple(large[:1] + [code for code in codes if code not in large[:1]])


def _matches(text: str) -> Iterator[_Found]:
    """Leftmost longest matches that are not part of a road's or dish's name."""
    table, position = _table(), 0
    while position < len(text) - 1:
        for length in table.lengths.get(text[position : position + 2], ()):
            form = text[position : position + length]
            if form in table.forms:
                break
        else:
            position += 1
            continue
        if not _ROAD.match(text, position + length):
            codes, weak = table.forms[form]
            yield _Found(position, position + length, codes, weak)
        position += length
