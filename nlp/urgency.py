"""How pressing a post is: rules with named reasons, so that a person can see why.

Each reason that holds adds its weight as independent evidence, score = 1 - prod(1 - weight). The
weights are set by hand and checked for order on flood appeals (docs/model-card.md).
"""

import re
from dataclasses import dataclass

from huiyin.records import Urgency

MAX_CHARACTERS = 20_000
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
        r"爆炸|起火|着火|火灾|火情|浓烟|坍塌|塌方|塌陷|垮塌|倒塌|滑坡|泥石流|决堤|溃坝|溃口|管涌|"
        r"漫堤|内涝|倒灌|洪水|被淹|淹了|泡水|积水|水位|齐腰|及腰|没过|爆管|水管爆|爆裂|燃气泄漏|"
        r"煤气泄漏|天然气泄漏|漏气|漏电|有毒|毒气|化工厂|危房|裂缝|井盖|高空抛物|踩踏|持刀|砍人|"
        r"打群架|行凶|拐卖|抢孩子|电梯(?:坠|故障|困)|停运|脱轨|追尾|车祸|连环相撞"
    ),
)
_HELP = re.compile(
    r"求救|求助|求援|救援|救命|救救|急需|急求|急缺|请求支援|需要(?:转移|救助|支援|物资|帮助|船|"
    r"冲锋舟|皮划艇|药|水|食物)|谁能(?:帮|救)|快来人|请帮|帮帮|跪求|恳请.{0,12}(?:帮|救|解决)|SOS|🆘"
)
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
_OTHER_TONE = re.compile(
    r"演练|演习|模拟|剧情|电影|电视剧|小说|游戏|追剧|综艺|已(?:经)?(?:获救|救出|脱险|脱困|解决|撤离|"
    r"安全转移|恢复|得到控制|扑灭)|报平安|平安了|辟谣|谣言|不实信息|致敬|点赞|感谢|科普|提醒您|"
    r"注意事项|如何(?:自救|避险|预防)|预防|回顾|纪念|周年"
)


def urgency(text: str) -> Urgency:
    """Score 0..1, rounded to 3 decimals, and the reasons in the order of their weight.

    Words such as 救命 or 急 alone, as in chatter, weigh little: they count fully only beside an
    address, a contact, or a danger that is named.
    """
    text = text[:MAX_CHARACTERS]
    found = [rule for rule in (_LIFE, _SAFETY, _TIME, _VULNERABLE, _CROWD) if _holds(rule, text)]
    weights = {rule.reason: rule.weight for rule in found}
    danger = _LIFE in found or _SAFETY in found
    if _HELP.search(text):
        contact = bool(_CONTACT.search(text))
        if contact and _ADDRESS.search(text):
            weights["求助并留有地址和联系方式"] = 0.55
        elif contact:
            weights["求助并留有联系方式"] = 0.45
        elif _ADDRESS.search(text):
            weights["求助并说明地点"] = 0.4
        elif danger:
            weights["求助"] = 0.3
        else:
            weights["求助"] = 0.1
    called = any(reason.startswith("求助并") for reason in weights)
    if not danger and not called:
        weights = {reason: weight * 0.4 for reason, weight in weights.items()}
    if weights and _OTHER_TONE.search(text) and not called:
        weights = {reason: weight * _DAMPED for reason, weight in weights.items()}
    rest = 1.0
    for weight in weights.values():
        rest *= 1 - weight
    ordered = sorted(weights, key=lambda reason: (-weights[reason], reason))
    return Urgency(score=round(1 - rest, 3), reasons=tuple(ordered))


def _holds(rule: Rule, text: str) -> bool:
    return rule.pattern.search(text) is not None
