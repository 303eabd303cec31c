"""Words that say what kind of thing a post speaks of, and how grave that kind is.

Ours, written for the project from the classes of 国家突发公共事件总体应急预案 (自然灾害, 事故灾难,
公共卫生, 社会安全) and from reading the development streams. Weights are 0..1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of content; the first kind that matches a post with the highest weight counts."""

    name: str
    weight: float
    hourly: float
    """Posts an hour about one such matter that are nothing special (prior, before any history)."""
    words: re.Pattern[str]


def _any(words: str) -> re.Pattern[str]:
    return re.compile("|".join(words.split()))


DANGER_WORDS = (
    "被困 受困 困在 围困 困住 爆炸 爆燃 坍塌 倒塌 垮塌 塌陷 塌方 溺水 落水 中毒 起火 着火 "
    "着大火 火灾 失火 大火 燃气泄漏 煤气泄漏 天然气泄漏 燃气味 泄漏 车祸 翻车 追尾 撞人 坠楼 "
    "坠落 踩踏 滑坡 泥石流 决堤 溃坝 溃堤 管涌 洪水 山洪 洪灾 被淹 淹了 水淹 淹没 灌水 进水 "
    "倒灌 内涝 积水很深 触电 昏迷 晕倒 呕吐 腹泻 拉肚子 食物中毒 失踪 失联 跳楼 轻生 自杀 "
    "砍人 捅人 伤人 行凶 死亡 遇难 身亡 死了 伤亡 求救 救命 求救援 请求救援 紧急求助 "
    "浓烟 黑烟 火苗 明火 火光 撞上 撞进 撞到 撞伤 撞倒 撞飞 受伤 伤者 重伤 骨折 流血 救护车 "
    "等待救援 脱轨 地震 龙卷风 急需救 断粮 围攻 绑架 走失 送医 住院 抢救"
)
"""What is said of people in danger, without patterns: watch lists are made of it too."""
_DANGER = DANGER_WORDS.replace(" 着火 ", " 着(?<![不打]着)火 ")  # 打不着火 is a stove
# (the check stands behind the first character: by that a search skips what cannot match)
DANGER = Kind("险情", 1.0, 0.005, _any(_DANGER))
DISASTER = Kind(
    "自然灾害", 0.6, 0.01,
    _any(
        "(?:暴雨|降雨|洪|汛|地震|台风|灾).{0,12}(?:互助|求助|救援|救灾|受灾|抢险|转移|物资|安置) "
        "抗洪 抗震救灾 救灾 灾情 灾区"
    ),
)  # fmt: skip
OUTAGE = Kind(
    "公共服务中断", 0.8, 0.008,
    _any(
        "爆管 水管爆 管道爆 管道破裂 水管破裂 主管网 喷水 大面积停水 大面积停电 停水 停电 断水 "
        "断电 没水 没电 停气 断气 停暖 停运 停摆 限流封站 路面塌 塌了 恶臭 异味 刺鼻 污染 "
        "发黄 自来水浑 水质 污水横流 积水 淹水"
    ),
)  # fmt: skip
HEALTH = Kind(
    "公共卫生", 0.7, 0.02,
    _any(
        "确诊 疑似病例 疫情 封城 封控 传染 感染 病毒 变质 发霉 过期食品 食品安全 食堂 异物 狂犬"
    ),
)  # fmt: skip
ORDER = Kind(
    "社会安全", 0.7, 0.01,
    _any(
        "群体 聚集 堵路 堵门 拉横幅 罢工 讨薪 欠薪 拖欠工资 强拆 暴力 殴打 打人 被打 维权 上访 "
        "血汗钱 工钱 没发工资 不发工资 工资没发 爬塔吊 讨说法 堵大门 条幅 横幅 "
        "集体投诉 跑路 卷款 猥亵 性侵 虐待 体罚 霸凌 持刀"
    ),
)  # fmt: skip
KINDS = (DANGER, DISASTER, OUTAGE, HEALTH, ORDER)

COMPLAINT = Kind("投诉求助", 0.35, 0.05, _any("投诉 举报 求助 反映 扰民 无人管 没人管 不作为"))
QUESTION = Kind("咨询建议", 0.25, 0.1, _any("(?!)"))
TALK = Kind("一般议论", 0.08, 0.2, _any("(?!)"))
PROMOTION = Kind("广告抽奖应援", 0.0, 0.5, _any(
    "抽奖 转发抽 转发并 抽一 抽送 抽取 中奖 锦鲤 关注并转发 关注我 优惠券 秒杀 包邮 打call 应援 "
    "新歌 首播 演唱会 超话 直播间 下单 代购 福利 粉丝福利 限时 生日快乐 爱豆 榜单 投票链接"
))  # fmt: skip

UNREAL = _any(
    "电影 电视剧 小说 游戏 剧情 动漫 综艺 演练 演习 培训 讲座 安全知识 知识竞赛 科普 纪念 周年 "
    "历史上 如何预防 预防 防溺水 防火宣传 消防宣传 安全提示 提醒您 温馨提示 逃生技巧 笑死 累死 "
    "热死 困死 气死 饿死 冷死 烦死 爱死 想死 吓死 美死 帅炸 爆炸好看 好吃到 心态爆炸 颜值"
)
"""Films, drills, advice, figures of speech: a grave word there reports nothing."""
UNREAL_FACTOR = 0.25
REAL = 0.3
"""Content of less weight than this reports nothing whose numbers count."""
PRAISE_FACTOR = 0.3
PRAISE_PROBABILITY = 0.7
"""Above this probability of positive sentiment a post thanks or praises."""

DENIAL = _any("辟谣 不实 谣言 不属实 系谣传 没有发生 未发生 虚假信息 不信谣 勿信 并非事实")

_NUMBER = r"(?P<n>\d{1,6}|[一二两三四五六七八九十百千]{1,6})"
FIGURES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern.replace("N", _NUMBER)))
    for name, pattern in (
        ("死亡", r"N(?:多|余|几)?[人名个位][^，。,!！\d]{0,4}?(?:死亡|遇难|身亡|死了|丧生)"),
        ("死亡", r"(?:死亡|遇难|身亡|丧生|死了|造成)N(?:多|余)?[人名](?:死亡|遇难)?(?![受失被])"),
        (
            "受伤",
            r"N(?:多|余|几)?[人名个位][^，。,!！\d]{0,4}?(?:受伤|重伤|轻伤|送医|住院|中毒|呕吐)",
        ),
        ("受伤", r"(?:受伤|重伤|轻伤|中毒)N(?:多|余)?[人名]"),
        ("失踪", r"N(?:多|余|几)?[人名个位][^，。,!！\d]{0,3}?(?:失踪|失联)"),
        ("被困", r"N(?:多|余|几)?(?:[人名个位]|口人|户)[^，。,!！\d]{0,6}?(?:被困|受困|困在|围困)"),
        ("被困", r"(?:被困|受困|困着|困了)N(?:多|余)?(?:人|名|口|户|个)"),
        ("确诊", r"(?:确诊|新增)(?:病例)?N(?:例|人|名)"),
    )
)
