"""How pressing a post is, with named reasons, so that a person can see why.

Each reason that holds adds its weight as independent evidence, score = 1 - prod(1 - weight).
Whether somebody calls for help is learned (nlp/calling.py), whether life is at stake now is judged
by nlp/danger.py; the rest are rules. The weights are set by hand and checked for order on flood
appeals (docs/model-card.md).
"""

import re
from dataclasses import dataclass

from huiyin.records import Urgency
from nlp.calling import Calling, calling
from nlp.danger import REASON, danger, not_now, unreal

MAX_CHARACTERS = 20_000
_ASKS = 0.5
"""From this probability on a post counts as a call for help."""
_LEAST = 0.05
_UNREAL = 0.25
"""Factor of films, drills, games and jokes."""
_LONG, _LETTER = 400, 0.6
"""Letters longer than this many characters tell a history: their words weigh this much."""
_SHARE = 0.3
"""Factor where an appeal's words are there and nobody calls: an offer, thanks, a report."""
_IDLE = 0.4
"""Factor of haste, age and numbers where nobody calls and no danger is named."""
_DANGER = 0.6
_DAMPED = 0.35
"""Factor for texts that report rescues, drills, films or rumours rather than call for help."""


@dataclass(frozen=True)
class Rule:
    """One reason: `pattern` must be found; `weight` 0..1."""

    reason: str
    weight: float
    pattern: re.Pattern[str]


_LIFE = Rule(
    "涉及生命安全",
    0.5,
    re.compile(
        r"被困|受困|困在|失联|溺水|落水|坠楼|跳楼|轻生|自杀|自残|昏迷|晕倒|抽搐|心梗|脑梗|窒息|触电|"
        r"生命危险|有生命|命悬|奄奄一息|意识不清|没有意识|呼吸困难|大出血|早产|临产|待产|断氧|缺氧|"
        r"透析|呼吸机|救命药|死亡|身亡|遇难|死了人|出人命|人命关天|埋压|被埋|砸伤|砸到人|砸中|重伤|"
        r"烧伤|烫伤|伤员|伤亡|食物中毒|上吐下泻|集体(?:呕吐|腹泻|发烧|发热)|中毒|休克"
    ),
)
_SAFETY = Rule(
    "涉及公共安全",
    0.4,
    re.compile(
        r"爆炸|起火|(?<![不打])着火|火灾|火情|浓烟|坍塌|塌方|塌陷|垮塌|倒塌|滑坡|泥石流|决堤|溃坝|溃口|管涌|"
        r"漫堤|内涝|倒灌|洪水|被淹|淹了|泡水|积水|水位|齐腰|及腰|没过|爆管|水管爆|爆裂|燃气泄漏|"
        r"煤气泄漏|天然气泄漏|漏气|漏电|有毒|毒气|化工厂|危房|裂缝|井盖|高空抛物|踩踏|持刀|砍人|"
        r"打群架|行凶|拐卖|抢孩子|电梯(?:坠|故障|困)|停运|脱轨|追尾|车祸|连环相撞"
    ),
)
_ASKED = re.compile(r"救|帮助|需要|物资|捐|支援|志愿")
"""Words of an appeal: where the model hears no call in them, somebody offers, thanks or reports."""
_ADDRESS = re.compile(
    r"地址|位置|坐标|定位|[区县镇乡道][\u4e00-\u9fff]{2,6}(?:路|街|大道|巷|村)|(?:路|街|大道|巷|弄)\s*\d+\s*号|[\u4e00-\u9fff]{2,10}(?:小区|花园|家园|公寓|"
    r"社区|村|医院|学校|中学|小学|大厦|广场)|\d+\s*(?:号楼|栋|单元|楼|层|室)"
)
_CONTACT = re.compile(
    r"【电话】|【手机】|联系(?:电话|方式|人)|电话[:：]|1[\d*]{10}|\*{4,}|微信号?[:：]"
)
_TIME = Rule(
    "时间紧迫",
    0.3,
    re.compile(
        r"紧急|十万火急|火急|急急|急！|急!|加急|马上|立刻|立即|尽快|刻不容缓|撑不住|坚持不住|坚持不了|"
        r"快不行|来不及|正在(?:上涨|蔓延|扩大|漏|冒|下沉|倒)|越来越(?:高|深|大|严重)|还在(?:涨|上涨|漏|烧)|"
        r"(?:已经|已)?\s*\d+\s*(?:多)?(?:个)?小时(?:没|未|无|了)|一夜(?:没|未)|快要|随时(?:可能|会|都)|"
        r"(?:断|停)(?:水|电|网|气|粮|奶)(?:了)?"
    ),
)
_VULNERABLE = Rule(
    "有老人、儿童、孕妇或病人",
    0.25,
    re.compile(
        r"老人|老年人|老太|老奶奶|老爷爷|(?:[6-9]\d|1\d\d)\s*(?:多)?岁|孩子|小孩|儿童|婴儿|婴幼儿|宝宝|"
        r"新生儿|幼儿园|小学生|孕妇|产妇|怀孕|月子|病人|病患|患者|残疾|瘫痪|卧床|坐轮椅|盲人|聋哑|"
        r"(?:[1-9]|[一二两三四五六七八九])个月大|孤寡|独居"
    ),
)
_CROWD = Rule(
    "涉及多人",
    0.2,
    re.compile(
        r"(?:\d{2,}|[一二三四五六七八九十几]十|几?百|上百|数百|上千|数千|几千|许多|好多|很多|大量|多)"
        r"\s*(?:多|余|来)?(?:名|位|个|户|口)?(?:人|居民|业主|村民|群众|乘客|学生|工人|家长|户|住户)|"
        r"全(?:村|小区|班|校|楼)|整(?:村|栋|个小区)|集体|聚集|堵(?:路|门)|拉横幅|围堵"
    ),
)
_UNREST = Rule(
    "可能引发聚集冲突",
    0.4,
    re.compile(
        r"讨薪|罢工|罢课|堵路|堵门|堵(?:了|住)?(?:大门|马路)|拉(?:起)?横幅|围堵|爬(?:上)?塔吊|集体上访|静坐|打群架|"
        r"(?:工人|业主|家长|村民|司机|商户|职工|群众).{0,16}聚集(?!性|感染)|聚集.{0,8}(?:讨|维权|抗议|示威)|"
        r"(?:拖欠|欠).{0,6}(?:工资|工钱|血汗钱).{0,40}(?:聚集|跳楼|走投无路|过年|没法活)"
    ),
)
_OTHER_TONE = re.compile(
    r"已(?:经)?(?:获救|救出|脱险|脱困|解决|撤离|"
    r"安全转移|恢复|得到控制|扑灭)|报平安|平安了|辟谣|谣言|不实信息|致敬|点赞|感谢|提醒您|注意事项|"
    r"预防|回顾|纪念"
)
_GRAVE = {_LIFE.reason, _SAFETY.reason, _UNREST.reason}


def urgency(text: str, read: Calling | None = None) -> Urgency:
    """Score 0..1, rounded to 3 decimals, and the reasons in the order of their weight.

    `read`: what `calling` made of the post, if that is known. Words such as 救命 or 急 alone, as in
    chatter, weigh little: they count fully only beside a call for help or a danger that is named.
    """
    text = text[:MAX_CHARACTERS]
    read = calling(text) if read is None else read
    found = [
        rule for rule in (_LIFE, _SAFETY, _UNREST, _TIME, _VULNERABLE, _CROWD) if _holds(rule, text)
    ]
    weights = {rule.reason: rule.weight for rule in found}
    now = danger(text, read)
    asks, factor = read.asks, 1.0
    if not now.alarm:
        asks *= _UNREAL if unreal(text) else 1.0
        asks *= _LETTER if len(text) > _LONG else 1.0
    called = asks >= _ASKS
    if not now.alarm:
        factor = _SHARE + (1 - _SHARE) * asks if _ASKED.search(text) else 1.0
        factor *= _LETTER if len(text) > _LONG else 1.0
        if not called and not _GRAVE & weights.keys():
            factor = min(factor, _IDLE)
        if not called and _elsewhere(text):
            factor = min(factor, _DAMPED)
        factor = min(factor, _UNREAL) if unreal(text) else factor
    weights = {reason: weight * factor for reason, weight in weights.items()}
    if asks >= _LEAST:
        reason, weight = _call(text)
        weights[reason] = weight * asks
    if now.alarm:
        weights[REASON] = _DANGER * now.probability
    rest = 1.0
    for weight in weights.values():
        rest *= 1 - weight
    ordered = sorted(weights, key=lambda reason: (-weights[reason], reason))
    return Urgency(score=round(1 - rest, 3), reasons=tuple(ordered))


def _elsewhere(text: str) -> bool:
    """It reports, thanks, denies, advises, or speaks of what is over."""
    return _OTHER_TONE.search(text) is not None or not_now(text)


def _call(text: str) -> tuple[str, float]:
    """How a call for help is made, and what it weighs."""
    contact, address = bool(_CONTACT.search(text)), bool(_ADDRESS.search(text))
    if contact and address:
        return "求助并留有地址和联系方式", 0.8
    if contact:
        return "求助并留有联系方式", 0.75
    return ("求助并说明地点", 0.7) if address else ("求助", 0.6)


def _holds(rule: Rule, text: str) -> bool:
    return rule.pattern.search(text) is not None
