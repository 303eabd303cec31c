"""Numbers of people (and of money lost) that a text names, and whether it names or denies them.

死亡 受伤 重伤 轻伤 中毒 失踪 被困 确诊 聚集 转移 in persons, 经济损失 in units of 10,000 yuan. A
vague number counts as the least that it can mean: 几十 = 20, 上百 = 100, 数百 = 200.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"两": 2, "俩": 2, "仨": 3}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_VAGUE = {
    "十几": 11, "十来": 10, "十多": 11, "几十": 20, "数十": 20, "上百": 100, "近百": 90,
    "百余": 100, "几百": 200, "数百": 200, "好几百": 200, "上千": 1000, "近千": 900,
    "几千": 2000, "数千": 2000, "上万": 10000, "好几十": 20,
}  # fmt: skip

NAMES = (
    "死亡", "重伤", "受伤", "中毒", "失踪", "被困", "确诊", "聚集", "轻伤", "转移", "经济损失",
)  # fmt: skip
"""In the order in which they are shown, the gravest first."""
MOST = 100_000_000
"""Above this a number is a slip of the pen or a joke."""

_N = (
    r"(?P<n>\d{1,3}(?:,\d{3})+|\d{1,7}(?:\.\d{1,4})?|"
    + "|".join(sorted(_VAGUE, key=len, reverse=True))
    + r"|[一二两三四五六七八九十百千零俩仨]{1,7})(?P<w>[万亿]?)"
)
_MORE = r"(?:多|余|来|几)?"
_WHO = (
    r"(?:[人名位个例口户条](?!月|小时|多月|星期|工作日|点|半|季度|路口|车道|方向)|"
    r"(?=工人|学生|孩子|乘客|居民|村民|群众|业主|师生|旅客|游客|患者))"
)
_GAP = r"[^，。,!！?？；;\d]{0,%d}?"
_DIED = (
    r"(?:死亡|遇难|身亡|丧生|死了|没了|没救过来|去世|离世|牺牲|罹难|丧命|溺亡|盖着白布|"
    r"死(?![机心活角者里亡了的]))"
)
_SICK = r"(?:中毒|呕吐|腹泻|上吐下泻|拉肚子|恶心|身体不适|出现不适|不适|出现症状)"
_CROWD = r"(?:聚集|围堵|堵路|堵门|讨薪|罢工|罢课|静坐|游行|上访|维权|拉横幅|讨说法|讨要)"
_THEN = (
    r"(?:人数|者|人员)?(?:已经?|总数)?(?:达到?|升至|上升至|增至|增加到|至|为|有)?"
    r"(?:至少|约|了|超过|近)?"
)
_NOT_OTHER = r"(?![^，。,\d]{0,2}?(?:受|失踪|失联|被困|重伤|轻伤|中毒|送|住院|昏|确诊|聚集))"

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("死亡", rf"{_N}{_MORE}{_WHO}{_GAP % 7}{_DIED}"),
        ("死亡", rf"(?:死亡|遇难|身亡|丧生|死了|死|罹难|夺走|造成){_THEN}{_N}{_MORE}"
                 rf"(?:[人名位个例]|条人命){_NOT_OTHER}"),
        ("死亡", rf"{_N}死(?=[{'零一二两三四五六七八九十百'}\d]+伤|[，,]?\d*伤)"),
        ("受伤", rf"死{_N}(?:重)?伤"),
        ("重伤", rf"{_N}{_MORE}{_WHO}{_GAP % 4}(?:重伤|伤势严重|危重)"),
        ("重伤", rf"(?:重伤|危重){_THEN}{_N}{_MORE}[人名位例]"),
        ("轻伤", rf"{_N}{_MORE}{_WHO}{_GAP % 4}(?:轻伤|轻微伤|擦伤|皮外伤)"),
        ("轻伤", rf"(?:轻伤|轻微伤){_THEN}{_N}{_MORE}[人名位例]"),
        ("中毒", rf"{_N}{_MORE}{_WHO}{_GAP % 10}{_SICK}"),
        ("中毒", rf"{_SICK}{_THEN}{_N}{_MORE}[人名位例个]"),
        ("受伤", rf"{_N}{_MORE}{_WHO}{_GAP % 6}(?:受伤|负伤|挂彩|送医|住院|入院|就诊|抢救)"),
        ("受伤", rf"(?:受伤|伤者|送医){_THEN}{_N}{_MORE}[人名位例]"),
        ("失踪", rf"{_N}{_MORE}{_WHO}{_GAP % 4}(?:失踪|失联|下落不明)"),
        ("失踪", rf"(?:失踪|失联){_THEN}{_N}{_MORE}[人名位]"),
        ("失踪", rf"(?:冲走|卷走)(?:了)?{_N}{_MORE}{_WHO}"),
        ("被困", rf"{_N}{_MORE}{_WHO}{_GAP % 6}(?:被困|受困|困在|围困|被埋)"),
        ("被困", rf"(?:被困|受困|困着|困了|被埋){_THEN}{_N}{_MORE}[人名口户个位]"),
        ("确诊", rf"(?:确诊|新增)(?:病例)?{_THEN}{_N}{_MORE}[例人名]"),
        ("聚集", rf"{_N}{_MORE}{_WHO}{_GAP % 8}{_CROWD}"),
        ("聚集", rf"(?:聚集|围)(?:了|着)?(?:至少|约|近)?{_N}{_MORE}[人名位个]"),
        ("转移", rf"{_N}{_MORE}{_WHO}{_GAP % 8}(?:转移|疏散|撤离|安置)"),
        ("转移", rf"(?:转移|疏散|撤离|安置)(?:群众|居民|村民|人员|"
            rf"师生)?{_THEN}{_N}{_MORE}[人名户]"),
        ("经济损失", rf"损失[^，。,\d]{{0,6}}?{_N}{_MORE}元"),
    )
)  # fmt: skip
_NONE = re.compile(
    r"(?:无|没有|未造成|未发现|未接到|暂无|没|不存在)(?:任何)?(?:人员|人)?"
    r"(?P<what>伤亡|死伤|死亡|遇难|受伤|被困|失踪|生命危险)"
)
_NONE_OF = {
    "伤亡": ("死亡", "受伤"), "死伤": ("死亡", "受伤"), "死亡": ("死亡",), "遇难": ("死亡",),
    "受伤": ("受伤",), "被困": ("被困",), "失踪": ("失踪",), "生命危险": (),
}  # fmt: skip
_HINT = re.compile(r"[\d一二两三四五六七八九十百千几数上近俩仨]")
_ABOUT = re.compile(
    "死|遇难|身亡|丧|没了|没救|去世|离世|牺牲|罹难|溺亡|白布|夺走|造成|伤|危重|挂彩|送医|住院|入院|"
    "就诊|抢救|中毒|呕吐|泻|拉肚子|恶心|不适|症状|失踪|失联|下落不明|冲走|卷走|困|被埋|确诊|新增|"
    "聚集|围|堵|讨|罢|静坐|游行|上访|维权|横幅|转移|疏散|撤离|安置|损失"
)
"""Without one of these neither `_PATTERNS` nor `_NONE` can match: one look instead of many."""
_CLAUSE = re.compile(r"[^。！？!?；;\n…]+[。！？!?；;\n…]*")

DENIES = re.compile(
    r"辟谣|不实|谣言|不属实|谣传|没有发生|未发生|虚假|并非|不是真的|是假的|假消息|瞎传|乱传|造谣|"
    r"别瞎传|别乱传|不信谣|勿信|哪有|哪来的|夸大|纯属|子虚乌有|以讹传讹|还在传|没有的事|不存在"
)
"""Words by which a sentence denies what it names."""


_OPENER = re.compile(
    r"网传|网上|网络|有人|有媒体|传言|传闻|所谓|关于|流传|谣传|[有据]\w{0,4}称|说法"
)
"""Words that introduce what is then denied."""
_COMMA = re.compile(r"[^，,：:]+[，,：:]*")


@dataclass(frozen=True, slots=True)
class Stated:
    """A number in a sentence. `denied`: the sentence says that it is not so."""

    name: str
    number: int
    denied: bool
    sentence: str


def sentences_of(text: str) -> list[str]:
    """Sentences with their end marks."""
    return [one.strip() for one in _CLAUSE.findall(text) if one.strip()]


def parts_of(sentence: str) -> list[tuple[str, bool]]:
    """A sentence in at most three parts, in order, each with whether it is denied.

    "事故造成2人死亡，网传死亡40人不属实，系误传" says the first and denies the second.
    """
    clauses = _COMMA.findall(sentence)
    denied = [False] * len(clauses)
    for place, clause in enumerate(clauses):
        if not DENIES.search(clause):
            continue
        opened = [n for n in range(place + 1) if _OPENER.search(clauses[n])]
        bare = len(DENIES.sub("", clause)) <= 8
        start = opened[-1] if opened else 0 if bare else place
        denied[start : place + 1] = [True] * (place + 1 - start)
    found: list[tuple[str, bool]] = []
    for clause, no in zip(clauses, denied, strict=True):
        if found and found[-1][1] == no:
            found[-1] = (found[-1][0] + clause, no)
        else:
            found.append((clause, no))
    return found


@lru_cache(maxsize=4096)
def stated(text: str) -> tuple[Stated, ...]:
    """All numbers that a text names; "无人伤亡" is 死亡 0 and 受伤 0."""
    if not _ABOUT.search(text):
        return ()
    found: dict[tuple[str, int, bool], Stated] = {}
    for sentence in sentences_of(text):
        for part, denied in parts_of(sentence):
            for name, number in _numbers(part):
                found.setdefault((name, number, denied), Stated(name, number, denied, sentence))
    return tuple(found.values())


def _numbers(sentence: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for match in _NONE.finditer(sentence):
        found.extend((name, 0) for name in _NONE_OF[match["what"]])
    if not _HINT.search(sentence):
        return found
    taken: dict[int, str] = {}
    for name, pattern in _PATTERNS:
        for match in pattern.finditer(sentence):
            number = _value(match["n"], match["w"], money=name == "经济损失")
            place = match.start("n")
            if 0 < number <= MOST and place not in taken:
                taken[place] = name
                found.append((name, number))
    return found


def _value(words: str, scale: str, *, money: bool) -> int:
    """Persons, or units of 10,000 yuan."""
    words = words.replace(",", "")
    number: float = _VAGUE.get(words) or (
        float(words) if words[0].isdigit() else float(read_number(words))
    )
    number *= {"万": 1e4, "亿": 1e8}.get(scale, 1.0)
    return int(number / 1e4) if money else int(number)


def read_number(words: str) -> int:
    """十二 -> 12, 三百 -> 300, 27 -> 27; 0 when it is no number."""
    if words.isdigit():
        return int(words)
    total, current = 0, 0
    for char in words:
        if char in _DIGITS:
            current = _DIGITS[char]
        elif char in _UNITS:
            total += (current or 1) * _UNITS[char]
            current = 0
        else:
            return 0
    return total + current
