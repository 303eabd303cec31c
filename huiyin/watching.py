"""Watch lists proposed for an area: its places x words of danger, and the office's own units.

Places come from the gazetteer, words from what the incident detector calls danger, units from the
official accounts: three rooms that do not know each other meet here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huiyin.errors import InputError
from huiyin.settings import Settings

if TYPE_CHECKING:
    from crawler import AccountBook

_REGION = re.compile(r"[0-9]{6}\Z")
UNREAL = ("演练", "演习", "电影", "电视剧", "小说", "游戏", "剧情", "培训", "科普", "招聘")
"""Words that a list leaves out at first: drills and stories report nothing."""


@dataclass(frozen=True)
class Proposal:
    """A list as a file, and what reading it costs."""

    name: str
    file: Path
    places: int
    shared: int
    """Names that other places bear too: written down, not watched."""
    queries: int


def propose_list(settings: Settings, accounts: AccountBook, region: str) -> Proposal:
    """Write `watch/REGION.toml`. Raises `InputError` (no such area, the file is there)."""
    from crawler.watch_list import write_list
    from nlp import DANGER_WORDS, written_forms

    try:
        forms = written_forms(region)
    except KeyError:
        raise InputError(f"没有 {region} 这个行政区划代码", "六位，例如 410100") from None
    own = [form for form, (_, only_here) in forms.items() if only_here]
    shared = sorted(form for form, (_, only_here) in forms.items() if not only_here)
    units = sorted({name for one in accounts.accounts.values() for name in (one.name, one.unit)
                    if len(name) >= 2})  # fmt: skip
    queries = _queries({form: forms[form][0] for form in own})
    name = region
    file = settings.path(settings.collect.watch_lists) / f"{name}.toml"
    write_list(
        file,
        {"places": sorted(own, key=lambda form: (forms[form][0], len(form))),
         "words": DANGER_WORDS.split(), "units": units, "without": UNREAL, "queries": queries},
        head=(
            "盯看名单：提到 units 之一，或 places 之一加 words 之一，就留下；",
            "提到 without 之一就不要。",
            "queries 是搜索时一个一个去问的词，每个每次至少花一次调用。",
            f"先试再用：huiyin source preview --list {name}　改了文件立即生效。",
        ),
        aside=shared,
    )  # fmt: skip
    return Proposal(name, file, len(own), len(shared), len(queries))


@dataclass(frozen=True)
class Listed:
    """The list that a source watches by, after somebody asked for an area's."""

    name: str
    file: Path
    queries: int
    made: Proposal | None
    """None = it was there already."""


def list_for(settings: Settings, accounts: AccountBook, region: str) -> Listed:
    """The list of an area: proposed, unless it is there. Raises `InputError`, `FileFormatError`."""
    from crawler.watch_list import WatchList

    if not _REGION.match(region):
        raise InputError(f"{region} 不是行政区划代码", "六位数字，例如 410100")
    folder = settings.path(settings.collect.watch_lists)
    file = folder / f"{region}.toml"
    made = None if file.exists() else propose_list(settings, accounts, region)
    return Listed(region, file, len(WatchList.load(folder, region).queries), made)


def _queries(forms: Mapping[str, str]) -> list[str]:
    """One question a place: the shortest form that only it has; larger places first."""
    shortest: dict[str, str] = {}
    for form, code in sorted(forms.items(), key=lambda one: (len(one[0]), one[0])):
        shortest.setdefault(code, form)
    return [shortest[code] for code in sorted(shortest, key=lambda code: (len(code), code))]


def pause_for(queries: int) -> float:
    """Seconds between readings that spend at most half of the commercial host's calls."""
    return max(60.0, queries * 3600 / 25_000)
