"""Closed lists of Chinese words that the other modules read."""

from __future__ import annotations


def _words(lines: str) -> tuple[str, ...]:
    return tuple(lines.split())


COMMON = frozenset(
    _words("""
    请问 你好 您好 谢谢 怎么 怎么办 怎样 什么 如何 哪里 哪儿 多少 可以 现在
    今天 昨天 明天 一直 一下 已经 没有 不能 不是 这个 那个 我们 你们 他们
    大家 自己 相关 部门 有关 领导 政府 市民 居民 希望 问题 情况 反映 投诉
    咨询 建议 举报 求助 回复 解决 处理 是不是 能不能 有没有 还有 需要 知道
    时候 有人 为什么 到底 真的 微博 网友 某用户 官方 麻烦 请教 想问 办理
    一个 几天 这样 那么 因为 所以 但是 如果 就是 还是
    """)
)
"""Words that appeals have in common whatever they are about."""

UNITS = _words("""
    个工作日 工作日 个小时 小时 分钟 秒 个月 万人次 人次 万元 亿元 元 块钱
    块 角 公里 千米 毫米 厘米 平方米 平方公里 立方米 米 吨 公斤 千克 克 升
    度 级 岁 周岁 户 栋 楼 层 单元 室 号线 路 号 日 月 年 天 周 人 名
    位 个 次 家 所 辆 台 件 间 处 条 起 例 份 张 套 座 支 队 班 列
    打 折 剂 倍 %
    """)
"""Measure words that make a numeral an amount."""

SAME_UNIT = {
    "个小时": "小时", "个工作日": "工作日", "块": "元", "块钱": "元", "号": "日",
    "名": "人", "位": "人", "千克": "公斤", "千米": "公里", "周岁": "岁",
}  # fmt: skip
"""Units that mean the same, to one of them."""

RELATIVE_DAYS = {
    "前天": -2, "昨天": -1, "昨日": -1, "昨晚": -1, "今天": 0, "今日": 0, "今晚": 0, "今晨": 0,
    "今早": 0, "明天": 1, "明日": 1, "明早": 1, "明晚": 1, "后天": 2,
}  # fmt: skip
"""Days from the day of speaking."""

GENERAL_NAMES = frozenset(
    _words("""
    我市 本市 全市 我区 本区 全区 小区 社区 学校 医院 街道 公司 有关单位
    有关部门 相关部门 现场 道路 马路 路 街 站 车站 地铁站 地铁 办公室 中心
    大厅 营业厅 地区 片区 城市 市区 城区 我局 本局 我院 我校 我司 家里 这里
    那里 哪里 手里 心里 夜里 村 市 区 县 镇 乡 局 处 所 院 桥 网站 市里
    区里 厂里 城里 公里 单位 部门 好处 难处 用处
    """)
)
"""Words that end like a place or a unit and name none."""
