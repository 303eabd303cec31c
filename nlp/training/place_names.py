"""Short and traditional forms of place names, and the word lists of gazetteer.toml."""

import re
import tomllib
from pathlib import Path
from typing import Any

_PEOPLES = (
    "回族|维吾尔|壮族|藏族|羌族|彝族|苗族|侗族|布依族|傣族|景颇族|傈僳族|哈尼族|白族|土家族|朝鲜族|"
    "蒙古族|蒙古|哈萨克族|哈萨克|柯尔克孜|满族|瑶族|黎族|畲族|土族|撒拉族|东乡族|保安族|裕固族|"
    "纳西族|拉祜族|佤族|布朗族|独龙族|怒族|普米族|水族|仡佬族|毛南族|仫佬族|各族|锡伯|达斡尔族|"
    "鄂温克族|鄂伦春|塔吉克"
)
_AUTONOMOUS = re.compile(rf"(?:{_PEOPLES})+自治[区州县旗]$")
_SUFFIX = re.compile(r"(?:特别行政区|自治区|地区|林区|新区|省|市|盟|县|区|旗)$")


def short_form(name: str) -> str:
    """Name as people write it: 郑州 for 郑州市, 恩施 for 恩施土家族苗族自治州; 辉县 stays 辉县."""
    if name.startswith("内蒙古"):
        return "内蒙古"
    bare = _AUTONOMOUS.sub("", name)
    bare = bare if bare != name else _SUFFIX.sub("", name)
    return bare if len(bare) >= 2 else name


def traditional(name: str) -> str:
    """A province's or city's name in traditional characters."""
    return "".join(TABLE_WORDS["traditional"].get(char, char) for char in name)


def _words() -> dict[str, Any]:
    path = Path(__file__).with_name("gazetteer.toml")
    found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    for name in ("sure", "weak", "words", "never", "not_places"):
        found[name] = frozenset(found[name].split())
    found["traditional"] = {pair[0]: pair[1] for pair in found["traditional"]["pairs"].split()}
    return found


TABLE_WORDS = _words()
