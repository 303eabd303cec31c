"""Is somebody's life at stake now? One such post is enough for an alarm (险情).

Two ways to it: a kind of danger named with what shows that it happens here and now (fire, gas,
somebody lost, suicide, trapped, poisoned, attacked, a patient without help), or the learned model
of nlp/calling.py, which knows calls from a flood. Films, drills, advice, old events, figures of
speech and what is over block the first way; films, drills and jokes both.
"""

import itertools
import re
from dataclasses import dataclass

from nlp import cues
from nlp.calling import Calling, calling, prepare

REASON = "眼下有人有生命危险"
"""How `Analysis.urgency` names an alarm."""
ALARM = 0.5
"""From this probability on a post alone is an alarm."""
_NAMED = 0.9
"""Probability where a kind of danger is named here and now; set by hand."""


@dataclass(frozen=True)
class Danger:
    """Probability 0..1 that life is at stake now, and why, in simple Chinese."""

    probability: float
    reasons: tuple[str, ...] = ()

    @property
    def alarm(self) -> bool:
        return self.probability >= ALARM


def _any(words: str) -> re.Pattern[str]:
    return re.compile(words, re.VERBOSE)


_KINDS = {
    "火灾或爆炸": (
        _any(r"""
            起火|(?<![不打])着火|失火|大火|火灾|火势|明火|(?:楼|车|屋|房|家|厂房|仓库).{0,6}冒(?:着)?(?:浓|
            黑)?烟|浓烟|爆炸|爆燃|烧起来
        """),
        _any(r"""
            被困|里面.{0,6}人|有人.{0,4}(?:没|在里)|浓烟|黑烟|火势|蔓延|快来|救(?!助站)|消防车|
            烧到|119|跑不|出不来|下不来|没跑出|爆炸声|冒烟|刚刚|刚才|正在|玻璃.{0,4}碎
        """),
    ),
    "燃气泄漏": (
        _any(r"""
            (?:燃气|煤气|天然气|液化气|瓦斯).{0,10}(?:泄[漏露]|漏气?|味|爆)|(?:泄[漏露]|
            漏).{0,4}(?:燃气|煤气|天然气|液化气)|闻到.{0,6}(?:煤气|燃气|天然气)
        """),
        _any(r"""
            现在|正在|刚刚|突然|还在|很大|特别|严重|浓|没人|没来|打不通|快来|赶紧|晕|中毒
        """),
    ),
    "有人走失或失联": (
        _any(r"""
            (?:孩子|小孩|女儿|儿子|男孩|女孩|男童|女童|老人|老太太|母亲|父亲|妈妈?|爸爸?|奶奶|
            爷爷|弟弟|妹妹|学生|\d+岁).{0,24}(?:走失|走丢|失踪|丢了|不见了|失联|找不到了?|
            没有?回家|没回来|未归|被拐|被抱走|被抢走)|(?:走失|走丢|失踪|失联|寻找|寻人|
            急寻).{0,16}(?:孩子|小孩|女儿|儿子|男孩|女孩|男童|女童|老人|\d+岁)
        """),
        _any(r"""
            电话|联系(?!上)|看[到见].{0,8}(?:请|人|告|联)|身穿|上身|穿着?.{0,3}(?:红|黑|白|蓝|黄|
            绿|灰|粉)|最后|特征|扩散|帮忙|帮转|寻|线索|报警
        """),
    ),
    "轻生": (
        _any(r"""
            (?:要|准备|打算|正在|站在.{0,12})(?:跳楼|跳河|跳桥|跳江|轻生|割腕|自杀|上吊)|(?:楼顶|
            天台|桥上|窗台).{0,12}(?:要跳|想跳|往下跳|跳下)|遗书|(?:吃|吞|喝)了?.{0,6}(?:安眠药|
            农药|百草枯)|已经?割腕|烧炭自杀|有人.{0,6}轻生
        """),
        _any(r"""
            快来人|报警|110|地址|定位|位置|小区|号楼|求(?:助|救|扩|帮)|救[救人她他]|联系|帮忙|
            谁认识|楼顶|天台|桥上|消防|朋友|同学|网友
        """),
    ),
    "有人被困、被埋或落水": (
        _any(r"""
            被困|受困|困在|困住|被埋|埋在|埋压|埋了|落水|溺水|掉进|掉到|坠井|掉下去|卡在|塌方|
            坍塌|垮塌|倒塌|塌了|滑坡|泥石流|山洪|翻车|翻到|侧翻|连环相?撞|水.{0,4}(?:到|
            没过).{0,3}(?:胸|脖|腰)
        """),
        _any(r"""
            快来|求救|救人|救命|救援|还有人|有人|几个人|多人|人受伤|孩子|小孩|老人|司机|工人|乘客|
            车厢|下面.{0,3}人|几辆车
        """),
    ),
    "集体中毒或发病": (
        _any(r"上吐下泻|呕吐|中毒|腹泻|拉肚子|发烧|晕倒|昏迷|流鼻血"),
        _any(r"""
            (?:多|好几|几|十几|几十|上百|数十|\d+)\s*(?:多|余)?(?:名|位|个).{0,6}(?:学生|孩子|
            小孩|同学|幼儿|工人|人|小朋友)|(?:很多|好多|许多).{0,3}(?:学生|孩子|同学|小朋友|工人)|
            集体|全班|一个班
        """),
    ),
    "有人行凶": (
        _any(r"""
            (?:有人|一男子|男的|正在|疯子|歹徒|邻居|拿刀|持刀).{0,10}(?:持刀|拿刀|拿着刀|砍人|
            捅人|行凶|砍)|劫持|被人?砍
        """),
        _any(r"现在|正在|刚刚|已经|快|报警|倒下|别过来|救|孩子"),
    ),
    "病人情况危急": (
        _any(r"""
            昏迷|晕倒|心梗|脑梗|大出血|抽搐|休克|羊水.{0,3}破|早产|临产|快(?:要)?生了|呼吸困难|
            喘不上气|喘不过气|透析|断药|救命药|呼吸机|断氧|没有意识|没有呼吸|吐血|快不行了|
            危在旦夕|等死|高烧不退|奄奄一息|病危
        """),
        _any(r"""
            求救|求助|急需|急求|救护车|120|进不[来去]|无法(?:收治|入院|住院)|住不(?:上|进|了)院|收不了|出不[来去]|没有?(?:床位|车|医院)|不(?:收|
            接诊)|求.{0,6}(?:床位|帮|救)|救救|停电|撑不住
        """),
    ),
}
"""Name of the kind -> (what happens, what must be said with it)."""
_NOW = _any(r"""
    现在|正在|刚刚|刚才|突然|还在|仍在|目前|快来|赶紧|快点|马上|急|！|!|等不及|来不及|还没|没有人|
    没人|没有救援|已经|看到|一直|到胸|打不通|半个?多?小时
""")
_HERE = _any(r"""
    地址|位置|坐标|定位|小区|花园|号楼|\d+\s*栋|单元|[路街道]\s*\d+|路口|[一-鿿]{2}路|我家|我们|
    隔壁|楼[上下道]|[一二三四五六七八九十\d]楼|家属院|村|酒店|宾馆|商场|市场|厂|工地|学校|小学|
    中学|幼儿园|医院|桥|地铁|车站|公园|河[边里堤]|水库|国道|高速|附近|宿舍
""")
_CALL = _any(r"""
    求救|求助|求问|救命|救救|快救|救人|帮帮|帮忙|帮转|请.{0,4}(?:救|派|来)|报警|119|110|120|消防|
    救护车|电话|联系|扩散|快来|医院|寻
""")
_NOT_NOW = _any(
    r"""
    演练|演习|模拟|电影|电视剧|剧情|小说|游戏|动漫|综艺|追剧|影片|培训|讲座|科普|安全知识|
    温馨提示|提醒|预防|防火|易发|注意事项|注意做|如何|假如|如果|要是|万一|假设|避免|谣言|辟谣|
    不实|造谣|记者|获悉|据悉|日报|晚报|通报|案件|告破|判刑|被判|凶手|已(?:经)?(?:扑灭|获救|救出|
    脱险|找到|控制|解救|安全|被?送到)|报平安|都平安|全部获救|被?救(?:出|下|起)|找到了|联系上了|去年|前年|当年|
    那年|那时|小时候|以前|历史|\d{4}年|纪念|周年|遇难者|致敬|感动|英雄|像.{0,8}(?:一样|似的)|比喻|
    仿佛|简直|笑|哈哈|爱豆|粉丝|哥哥|演唱会|新歌|梦|心态|人气|流量|颜值|爆炸好|股票|股市|基金|
    房价|作业|建议|加装|安装|怕(?!爆|火|人|炸)|担心|尽快维修|请维修|智能|气的|气得|忘记|一定请|
    为什么|凭什么|隐患|稍有不慎|一旦|容易|可能会|烟囱|油烟|焚烧|污染|作坊|排放|判决|法院|补助|
    补贴|低保|医保|报销|拆迁|整治|修建|改造|英国|美国|日本|澳洲|澳大利亚|印度|韩国
"""
)
_LONG = 300
"""Letters longer than this tell a history: every sign must stand beside the kind of danger."""
_LETTER = _any(r"""
    尊敬的|敬爱的|现年|身份证号|反映人|投诉人|举报人|此致|敬礼|年前|患病|诊断为|合同|赔偿|
    (?:领导|市长|书记|县长|区长|镇长|局长|部门)(?:们|大人)?[:：,，！!]|的业主
""")
"""A letter to an office: it tells of hardship, of what was and what may come."""
_JUST = _any(r"""
    刚刚|刚才|正在|此刻|眼下|快来|快救|救人|今[天早晚晨]|现在还|还在里面|还没救|马上就|撑不住
""")
_SENTENCE = re.compile(r"[^。！!？?\n；;]+[。！!？?\n；;]*")
_UNREAL = _any(
    r"""
    (?<!不是)演练|(?<!不是)演习|模拟|剧情|电影|电视剧|小说|游戏|追剧|综艺|动漫|影片|做梦|梦到|梦见|
    笑死|哈哈|如何(?:自救|避险|预防)|困死我|作业
    """
)
_UNREAL_FACTOR = 0.3
_LETTER_FACTOR = 0.5
_CUE_NAMES = {
    "dike": "堤坝出险",
    "trapped": "有人被困",
    "deep": "水深危险",
    "rising": "水位上涨",
    "missing": "有人失联",
    "ill": "有伤病、孕妇或行动不便的人",
    "cut_off": "断水断电或断粮",
    "rescue": "等待救援",
    "call": "求救",
    "boat": "需要船艇",
}
_NO_LIFE = frozenset({"水位上涨", "断水断电或断粮", "需要船艇"})
"""Cues that by themselves tell of no life at stake."""
_HARDSHIP = ALARM * 0.9


def danger(text: str, read: Calling | None = None) -> Danger:
    """Judge one post, raw or cleaned; `read`: what `calling` made of it, if that is known."""
    plain = prepare(text)
    tells = _LETTER.search(plain) is not None and _JUST.search(plain) is None
    kinds = () if tells else tuple(_kinds(plain))
    learned = (read or calling(text)).danger * (_UNREAL_FACTOR if unreal(plain) else 1.0)
    learned *= _LETTER_FACTOR if tells else 1.0
    reasons = kinds
    if learned >= ALARM:
        found = cues.read(plain)
        named = [name for cue, name in _CUE_NAMES.items() if found[cue]]
        if named and _NO_LIFE.issuperset(named):  # no water, no boat: hardship, no danger to life
            learned = min(learned, _HARDSHIP)
        else:
            reasons += tuple(named[:4])
    return Danger(max(learned, _NAMED) if kinds else learned, tuple(dict.fromkeys(reasons)))


def not_now(text: str) -> bool:
    """A film, a drill, advice, an old event, a figure of speech, or what is over."""
    return _NOT_NOW.search(text) is not None


def unreal(text: str) -> bool:
    """What does not happen, whoever calls in it: a film, a drill, a game, a joke."""
    return _UNREAL.search(text) is not None


def _kinds(text: str) -> list[str]:
    """Kinds of danger that are named as happening here and now."""
    if len(text) <= _LONG:
        return _named(text, 1)
    sentences = _SENTENCE.findall(text)
    pairs = ("".join(pair) for pair in itertools.pairwise([*sentences, ""]))
    return list(dict.fromkeys(name for pair in pairs for name in _named(pair, 3)))


def _named(text: str, least: int) -> list[str]:
    """Kinds with at least so many signs of time, place and call beside them."""
    found = [
        name for name, (what, beside) in _KINDS.items() if what.search(text) and beside.search(text)
    ]
    if not found or not_now(text):
        return []
    signs = sum(pattern.search(text) is not None for pattern in (_NOW, _HERE, _CALL))
    return found if signs >= least else []
