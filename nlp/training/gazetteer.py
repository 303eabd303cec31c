"""Build the table of places that ships as nlp/data/places.tsv.xz, from public code lists.

    python -m nlp.training.gazetteer FOLDER OUT

FOLDER holds provinces.csv, cities.csv, areas.csv, streets.csv (modood's Administrative-divisions-
of-China, WTFPL) and cpca_adcodes.csv (cpca, MIT; it adds Taiwan, Hong Kong and Macao). The table
has a line a place: code, name, and "1" where the short form of the name stands by itself.
"""

import csv
import lzma
import sys
from collections.abc import Iterator
from pathlib import Path

import jieba

from nlp.places import short_form

_PLACEHOLDERS = {"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"}
_ORDINARY = (
    "大同 中山 东方 白银 安康 长治 来宾 平安 和平 三明 大理 朝阳 西安区 "
    "南海 东港 安定 新区 城区 郊区 矿区 高新 开发 经济 市中 新城 新华 "
    "江南 江北 河东 河西 大安 长安 青山 南山 宝山 黄山 东山 西山 北海 "
    "中原 红旗 向阳 前进 建设 团结 胜利 友好 爱民 爱辉 东风 永远 太平 "
    "安宁 普安 武功 华容 静安 新兴 广丰 通道 民权 太子 合作 光明 清水 "
    "温泉 天台 天河 保安 天元 雨花 岳麓 文明 共和 兴宁 大兴 高明 高要 "
    "金山 金湖 新建 平和 永和 东明 长清 兰花 武安 安义 公主"
)
_ORDINARY_WORDS = frozenset(_ORDINARY.split())
"""Short forms that are ordinary words too: they count only beside a parent or in the own region."""


def places(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (code, name): 6 digits down to the county, 9 for streets and towns."""
    seen: set[str] = set()
    for name, width in (("provinces", 2), ("cities", 4), ("areas", 6), ("streets", 9)):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                code = row["code"].ljust(6, "0") if width <= 6 else row["code"]
                if row["name"] not in _PLACEHOLDERS and code not in seen:
                    seen.add(code)
                    yield code, row["name"]
    with (folder / "cpca_adcodes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            code = row["adcode"][:6]
            if code not in seen and row["name"] not in _PLACEHOLDERS:
                seen.add(code)
                yield code, row["name"]


def stands_alone(code: str, name: str, once: bool) -> bool:
    """Say whether the short form of a name is a place without a parent beside it.

    Provinces and cities: unless it is an ordinary word. Counties: if no other has the name, and the
    dictionary of a segmenter has it as a place (its tag `ns`) or not at all.
    """
    short = short_form(name)
    if short == name or short in _ORDINARY_WORDS or len(code) > 6:
        return False
    if code.endswith("00"):
        return True
    known = jieba.get_FREQ(short)
    return once and (not known or _tags().get(short) == "ns")


def build(folder: Path, out: Path) -> int:
    """Write the table; returns the number of places."""
    found = sorted(places(folder))
    names: dict[str, int] = {}
    for code, name in found:
        if len(code) == 6:
            names[short_form(name)] = names.get(short_form(name), 0) + 1
    lines = [
        f"{code}\t{name}\t{int(stands_alone(code, name, names.get(short_form(name)) == 1))}\n"
        for code, name in found
    ]
    with lzma.open(out, "wt", encoding="utf-8", preset=9) as file:
        file.writelines(lines)
    return len(lines)


_TAGS: dict[str, str] = {}


def _tags() -> dict[str, str]:
    if not _TAGS:
        with jieba.get_dict_file() as file:
            for line in file:
                word, _, tag = line.decode("utf-8").split()
                _TAGS[word] = tag
    return _TAGS


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), Path(sys.argv[2])))
