"""What one text states: numbers, causes, blames, places; and whether its author was there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from huiyin.records import AuthorKind
from nlp.incidents.figures import parts_of, sentences_of, stated
from nlp.incidents.gathering import Member

OFFICIAL = (AuthorKind.GOVERNMENT, AuthorKind.MEDIA)

HEARSAY = re.compile(
    r"听说|据说|听人说|听.{1,6}说|网传|传言|传闻|据传|群里|朋友圈|有人说|都在说|都在传|"
    r"[朋同亲]\w?友?说|"
    r"(?:同学|同事|邻居|亲戚|表姐|朋友|老乡)说|^转[：:]|转发|【转|扩散|转给|帮忙顶|求证|小道消息|"
    r"截图|"
    r"不知真假|真的假的|是真的吗|爆料"
)
"""Words of somebody who passes on what others say."""
WITNESS = re.compile(
    r"亲眼|我看到|我看见|看见|我就在|我在|我们在|我家|我们家|我们小区|我们楼|我们班|我儿子|"
    r"我女儿|我孩子|"
    r"我爸|我妈|我老公|我老婆|我爷|我奶|我叔|刚路过|刚从|路过|现场|楼下|楼上|对面|门口|窗外|眼前|"
    r"此刻|"
    r"我这边|我们这|家里|刚才|正在|拍的|身边|我拍"
)
"""Words of somebody who was there."""
_CAUSE = re.compile(
    r"(?:起因|原因)(?:竟然?)?(?:是|为|系|：|:)(?P<a>[^，。,;；!！?？]{3,30})|"
    r"(?:因为|由于|系因|疑因|疑似因|因)(?P<b>[^，。,;；!！?？]{3,24})"
    r"(?:所致|导致|引起|引发|造成|而|，?(?:导致|引起|引发|造成))|"
    r"(?P<c>[\u4e00-\u9fffA-Za-z0-9]{3,20}?)(?:导致|引起|引发)(?:的|了)?"
    r"(?=[^，。]{0,6}(?:火灾|爆炸|事故|中毒|坍塌|塌|停水|停电|死|伤|泄漏|爆))"
)
_BLAME = re.compile(
    r"隐瞒|瞒报|封锁消息|封口|掩盖|不作为|推诿|踢皮球|偷工减料|豆腐渣|官商勾结|包庇|贪污|黑心|"
    r"违规|违法|无证|"
    r"超载|超标|酒驾|没人管|无人管|见死不救|殴打|打人|强拆|卷款|跑路|收了?钱|不让(?:家长|家属|"
    r"记者|人)|"
    r"责任(?:在|人|方)|都怪|罪魁|失职|渎职|压着不报|删帖|谎报|欺骗|造假|过期|变质"
)
_SITE = (
    "小学|中学|大学|学校|幼儿园|医院|小区|花园|新村|隧道|广场|商场|工地|化工厂|工厂|车站|地铁站|"
    "市场|大厦|路口"
)
_PLACE = re.compile(
    rf"(?P<name>[\u4e00-\u9fffA-Za-z0-9]{{2,9}}?(?:{_SITE}|大桥|立交|街道|大道|村|镇|水库|煤矿|"
    rf"路(?=[^过上边人子途费程灯况]))(?:[\u4e00-\u9fff]{{0,2}}?(?:{_SITE}))?)"
)
_LEAD = re.compile(
    r"^.*(?:在|到|于|从|去|往|路过|就是|我们|听说|的|附近|看到|发生|今天|昨天|昨晚|刚才|这个|"
    r"那个|一个|所有|"
    r"请问|感谢|求|经查|：|，)"
)
_WHERE = re.compile(r"发生|着火|起火|爆|塌|事故|中毒|被困|停水|停电|在|位于|堵|淹|死|伤|出事")
_EMPTY = frozenset(
    (*_SITE.split("|"), "大桥", "立交", "街道", "大道", "村", "镇", "水库", "煤矿", "路")
)
GENERAL = re.compile(r"网传|相关|该|上述|此类|传言|传闻|消息|信息|内容|说法|情况")
"""Words that name no particular claim."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One checkable thing that a post says."""

    about: str
    key: str
    text: str
    """As the claim is shown."""
    sentence: str
    number: int = 0
    name: str = ""
    denied: bool = False


def is_hearsay(text: str) -> bool:
    """True when the author passes on what others say."""
    return HEARSAY.search(text) is not None


def is_witness(one: Member) -> bool:
    """True when an ordinary post speaks of what its author saw."""
    return (
        one.voice
        and one.author_kind not in OFFICIAL
        and not is_hearsay(one.text)
        and WITNESS.search(one.text) is not None
    )


@lru_cache(maxsize=4096)
def statements(text: str) -> tuple[Statement, ...]:
    """What one text states or denies, by kind; numbers first."""
    found = [
        Statement("数字", f"{one.name}:{one.number}", _number(one.name, one.number), one.sentence,
                  one.number, one.name, one.denied)
        for one in stated(text)
    ]  # fmt: skip
    for sentence in sentences_of(text):
        for part, denied in parts_of(sentence):
            found.extend(_causes(part, denied))
            if _BLAME.search(part):
                shown = _short(part)
                found.append(Statement("责任", shown, shown, sentence, denied=denied))
        if _WHERE.search(sentence):
            found.extend(Statement("地点", name, name, sentence) for name in places_in(sentence))
    return tuple(found)


def _number(name: str, number: int) -> str:
    if name == "经济损失":
        return f"经济损失 {number / 10000:g} 亿元" if number >= 10000 else f"经济损失 {number} 万元"
    return f"{name} {number} 人" if number else f"无人{name}"


def _causes(sentence: str, denied: bool) -> list[Statement]:
    found = []
    for match in _CAUSE.finditer(sentence):
        cause = next(part for part in match.groups() if part).strip(" “”\"'")
        if len(cause) >= 3 and not GENERAL.fullmatch(cause):
            found.append(Statement("原因", cause, cause, sentence, denied=denied))
    return found


def places_in(sentence: str) -> list[str]:
    """Names of streets, schools, quarters that a sentence says."""
    names = []
    for match in _PLACE.finditer(sentence):
        name = _LEAD.sub("", match["name"])
        if len(name) >= 3 and name not in _EMPTY:
            names.append(name)
    return list(dict.fromkeys(names))


def _short(sentence: str) -> str:
    text = re.sub(r"https?://\S+|#[^#]{1,40}#|@\S{1,30}|\[[^\[\]]{1,8}\]", " ", sentence)
    text = re.sub(r"\s+", " ", text).strip(" ，,。！!？?；;：:、")
    return text if len(text) <= 60 else text[:59] + "…"
