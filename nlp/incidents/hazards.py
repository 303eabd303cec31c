"""Dangers that strike a place: posts about the same one there belong together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from huiyin.records import Place
from nlp.incidents.items import Key

HOUR = 3600.0
MUNICIPALITIES = ("11", "12", "31", "50")


@dataclass(frozen=True)
class Hazard:
    """What may be seen by many people at once."""

    name: str
    words: re.Pattern[str]
    fades: float
    """Seconds after which the bond between two posts has fallen to 1/e."""
    wide: bool = False
    """True: it strikes whole cities and provinces; else one spot."""


def _any(words: str) -> re.Pattern[str]:
    return re.compile("|".join(words.split()))


HAZARDS = (
    Hazard(
        "洪涝",
        _any("暴雨 洪水 洪灾 水灾 内涝 洪涝 防汛 抗洪 汛情 被淹 淹了 水淹 淹没 决堤 决口 溃坝 溃堤 "
             "管涌 泄洪 山洪 泥石流 倒灌 强降雨"),
        24 * HOUR, wide=True,
    ),
    Hazard("地震", _any("地震 余震 震感 抗震"), 12 * HOUR, wide=True),
    Hazard(
        "火灾",
        _any("起火 着(?<![不打]着)火 失火 大火 火灾 火光 火势 浓烟 黑烟 冒烟 明火 火苗 救火 爆炸 "
             "爆燃 烧起来"),
        2 * HOUR,
    ),
    Hazard("车祸", _any("车祸 追尾 翻车 侧翻 相撞 撞上 撞进 撞到 撞倒 撞飞 撞了 脱轨"), 2 * HOUR),
    Hazard("中毒", _any("食物中毒 中毒 上吐下泻 呕吐 腹泻 拉肚子"), 6 * HOUR),
    Hazard("停水停电", _any("停水 停电 断水 断电 没水 没电 爆管 水管爆"), 6 * HOUR),
    Hazard("欠薪", _any("讨薪 欠薪 血汗钱 工钱 不发工资 没发工资 拖欠.{0,6}工资"), 6 * HOUR),
)  # fmt: skip
_FIGURATIVE = re.compile(
    "电影|电视剧|小说|游戏|演练|演习|笑死|心态爆炸|爆炸好|火锅|好火|火爆|纪念|周年|科普|预防"
)


_MASKED = re.compile(r"([A-Z])\s?(\d{0,2})\s?[市县区]")


def stems(text: str, places: Sequence[Place]) -> tuple[str, ...]:
    """Stems of the places of a text: a place begins with the stem of every place that holds it.

    410100 -> 4101. Masked names as public data sets have them count too: A市 -> A/, A7县 -> A/7/.
    """
    found = [_stem(place.adcode) for place in places]
    for city, county in _MASKED.findall(text[:400]):
        found.append(f"{city}/{county}/" if county else f"{city}/")
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=8192)
def _stem(adcode: str) -> str:
    while adcode.endswith("00"):
        adcode = adcode[:-2]
    return adcode


def hazard_keys(text: str, places: Sequence[Place], *, named: bool = False) -> tuple[Key, ...]:
    """Keys of a post: each hazard that it speaks of at each city (or province) that it names.

    `named`: the post names an official account; then a post without a place belongs to the
    account's place, whichever that is.
    """
    found = [hazard for hazard in HAZARDS if hazard.words.search(text)]
    if not found or _FIGURATIVE.search(text):
        return ()
    keys: dict[str, Key] = {}
    for hazard in found:
        for region in _regions([place.adcode for place in places], wide=hazard.wide):
            name = f"{hazard.name}@{region}"
            keys.setdefault(name, Key(name, hazard.fades, wide=hazard.wide))
        if named and not places:
            name = f"{hazard.name}@here"
            keys[name] = Key(name, hazard.fades)
    return tuple(keys.values())


def _regions(adcodes: Sequence[str], *, wide: bool) -> list[str]:
    """Cities as 4 digits (municipalities 2), for what is wide provinces as 2 digits too."""
    regions: dict[str, None] = {}
    for code in adcodes:
        if code[:2] in MUNICIPALITIES:
            regions[code[:2]] = None
            continue
        if code[2:4] != "00":
            regions[code[:4]] = None
        if wide:
            regions[code[:2]] = None
    return list(regions)
