"""Does a post want an answer from the office? The head's probability, corrected by what is said.

Cues that a reader would name (asks when or how, demands, proposes; or talks to another user, calls
for punishment, praises, retells news) add their weight to the head's log-odds, which are held
between -2.5 and 2.5 so that the head alone decides nothing. The weights come from a logistic
regression on half of the mentions labelled by hand, rounded. Bare reposts, adverts and fan talk
want no answer whatever the head says, unless they also ask.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from huiyin.records import Place
from nlp.places import prefix
from nlp.text import clean

_BARE_REPOST = re.compile(
    r"^(?:转发微博|转发|轉發微博|repost|转|快转|扩|帮转|转!*|mark|马克|\W)*$", re.IGNORECASE
)
_ADVERT = re.compile(
    r"转发抽|抽奖|抽取?\d+(?:位|名|人)|关注\+|关注并转发|转评赞|优惠券|领券|满\d+减|秒杀|包邮|代购|"
    r"加(?:我)?(?:微信|v信|vx|薇)|私信我(?:领|要)|点击链接|扫码(?:进群|领)|招代理|兼职日结|刷单|超话|打榜|"
    r"应援|投票.{0,6}(?:爱豆|哥哥|姐姐)"
)
_ASKS = re.compile(
    r"投诉|举报|求助|求救|请问|咨询|什么时候|何时|怎么办|谁来管|没人管|请.{0,8}(?:处理|解决|答复|回复)"
)
_MOST, _SLOPE, _START = 2.5, 0.4, -1.2
"""Bounds of the head's log-odds, what they weigh, and the log-odds of a post without any cue."""
_LETTER = 120
"""Longer texts than this many characters thank, blame and quote on their way to what they want."""
_ELSEWHERE = 0.4
"""Factor for a post that names only places outside the office's city."""


@dataclass(frozen=True)
class Answer:
    """Probability 0..1 that an answer from the office is wanted, and the first reasons for it."""

    probability: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Cue:
    reason: str
    weight: float
    words: re.Pattern[str]


def _cue(reason: str, weight: float, words: str) -> _Cue:
    return _Cue(reason, weight, re.compile(words, re.VERBOSE))


_CUES = (
    _cue(
        "问什么时候、怎么办",
        1.0,
        r"""
        请问|想问|问一下|问下|咨询|什么时候|啥时候|何时|几号|多久|怎么(?:办|联系|申请|报名|办理|
        查|去)|咋(?:办|整)|如何(?:办理|申请)|哪里(?:看|买|查|可以|有)|在哪|哪儿买|有信吗|
        能不能(?:进|出|回|去|办)|可不可以|要不要|会不会被|是不是(?:不让|可以|要)|需要.{0,8}吗
        """,
    ),
    _cue(
        "要求说明或处理",
        1.25,
        r"""
        请(?:公开|公布|讲清|说清|解释|回应|回复|答复|处理|解决|官方|政府|领导|有关|严格|求|加强)|
        给个(?:说法|解释|回复|答复)|什么说法|解释(?:一下|了)|查一?查|彻查|严查|还.{0,6}(?:公道|
        清白)|说清楚|讲清楚|公布(?:一下|具体)|不(?:发布|公布)|没人管|不管了?|不作为|
        没(?:有)?(?:人)?(?:处理|解决)|装聋作哑|无人(?:管|治|处理|问|救)|望.{0,14}(?:处理|解决|
        重视|关注|落实|答复|回复|查处|治理)|(?:尽快|及时|早日).{0,6}(?:处理|解决|修|治理|答复)|
        引起.{0,4}(?:关注|重视)|谁来管
        """,
    ),
    _cue(
        "提建议或请求",
        1.25,
        r"""
        建议(?!.{0,8}(?:你|判|抓|拘|枪毙|关(?:起|进|押)|送|拉黑|严惩|直接|自己|百度|看看))|
        希望(?:政府|有关|相关|能|可以|加|官方|领导|国家)|恳请|恳求|拜托|求求|强烈(?:要求|建议|
        呼吁)|请求|呼吁|能(?:先|否)|应(?:该|当)(?:加强|尽快|马上|全面)
        """,
    ),
    _cue(
        "求助",
        1.25,
        r"""
        求助|求救|救救|帮帮|帮我|急寻|SOS|被骗|被人?(?:威胁|打|软禁)|报案|走投无路|无法(?:收治|
        入院)|收不到|等死|帮忙(?:转发|扩散)
        """,
    ),
    _cue(
        "投诉或举报",
        0.45,
        r"""
        实名举报|举报.{0,8}(?:政府|干部|书记|主任|医院|公司|企业|局|所|法官|校|老板|人员)|控告|
        贪官|冤案|敛财|村霸|投诉|拖欠|欠薪|乱收费
        """,
    ),
    _cue("提问", 0.3, r"[?？吗呢啊]\s*$"),
    _cue("提问", 0.3, r"[?？]|吗|么[，。！!]?$"),
    _cue(
        "对单位说话",
        0.7,
        r"""
        警官|领导|官方|政府|书记|市长|网警|你们|发布|教育局|卫健委|公安|交警|防控|街道|社区|学校|
        医院
        """,
    ),
    _cue(
        "说到办事、出行或管控",
        0.7,
        r"""
        封(?:省|城|村|路|小区|了吧)|停(?:课|工|运)|开学|复工|限行|口罩|消毒|隔离|健康码|高速|停水|
        来水|停电|公交|地铁|车牌|返岗|孕妇
        """,
    ),
    _cue("回复的是别的网友", -0.8, r"^\s*(?:回复|//)\s*@"),
    _cue(
        "只是主张处罚谁",
        -0.7,
        r"""
        抓(?:起来|进去|了|人|的好)|拘留|拘\d日|判(?:刑|个)?|枪毙|严惩|死刑|坐牢|关(?:起来|进)|
        罚款|该死|活该|拉黑|造谣(?:者|的人|一时|可耻)|起诉|行拘|干的漂亮|大快人心
        """,
    ),
    _cue(
        "与网友争论",
        -0.4,
        r"""
        建议你|你(?:又|才|是不是|自己|懂|脑子|算|说的|的)|百度|楼上|层主|呵呵|二愣子|喷|杠|键盘
        """,
    ),
    _cue(
        "像写给单位的信",
        0.9,
        r"""
        尊敬的|领导.{0,3}(?:您|你)?好|[您你]好[！!，, ：:]|反映|投诉|咨询|特此|百姓|业主|居民|
        村民|本人|我是.{2,20}(?:业主|村民|居民|人)|我们小区
        """,
    ),
    _cue(
        "表扬或打气",
        -0.4,
        r"""
        点赞|赞|支持|辛苦|加油|感谢|谢谢|平安|致敬|厉害|棒|👍|哈哈|笑死|好样
        """,
    ),
    _cue("整页复制来的", -0.25, r"举报 赞\[|来自网页|来自微博|收起全文|展开全文"),
    _cue("转述新闻", -0.8, r"^\s*(?:【|\#[^\#]*\#\s*【)|记者|日报|报道|转载|【.{8,}】"),
    _cue(
        "反问，发议论",
        -0.45,
        r"""
        难道|凭什么|什么居心|什么资格|为啥要|为什么要|不是.{0,10}吗|天灾还是人祸|多了吗|就\d+块|
        有本事|呢？呢|长记性
        """,
    ),
    _cue("太短，没有事由", -0.55, r"^.{0,9}$"),
)


def needs_answer(text: str, head: float) -> float:
    """Probability 0..1, 4 decimals, from a cleaned or raw text and the head's probability."""
    return answer(text, head).probability


def answer(text: str, head: float) -> Answer:
    """Judge one post, cleaned or raw; `head`: the model's probability that an answer is wanted."""
    bare = clean(text).split("//", 1)[0].strip()
    if _BARE_REPOST.match(bare):
        return Answer(min(round(head, 4), 0.02), ("只是转发，没有自己的话",))
    if _ADVERT.search(text) and not _ASKS.search(bare):
        return Answer(min(round(head, 4), 0.05), ("广告、抽奖或追星",))
    odds = math.log((head + 1e-4) / (1 - head + 1e-4))
    score = _START + _SLOPE * max(-_MOST, min(_MOST, odds))
    found = [cue for cue in _CUES if cue.words.search(text)]
    if len(bare) > _LETTER:
        found = [cue for cue in found if cue.weight > 0]
    score += sum(cue.weight for cue in found)
    spoke = [cue for cue in found if (cue.weight > 0) == (score >= 0)]
    spoke.sort(key=lambda cue: -abs(cue.weight))
    reasons = tuple(dict.fromkeys(cue.reason for cue in spoke))[:3]
    return Answer(
        round(1 / (1 + math.exp(-score)), 4),
        reasons or ("像要答复的帖文" if score >= 0 else "没有问题或诉求",),
    )


def elsewhere(places: Sequence[Place], region: str | None) -> bool:
    """Whether a post names places and all lie outside the city of the office's `region` (adcode).

    A place that contains the city, such as its province, is not elsewhere; nor is anything for an
    office without a region or for one of the whole country.
    """
    city = prefix(region)[:4] if region else ""
    if not city or not places:
        return False
    return not any(
        place.adcode.startswith(city) or city.startswith(prefix(place.adcode)) for place in places
    )


def here(probability: float, places: Sequence[Place], region: str | None) -> float:
    """The probability, lowered when the post speaks only of places elsewhere."""
    return round(probability * _ELSEWHERE, 4) if elsewhere(places, region) else probability
