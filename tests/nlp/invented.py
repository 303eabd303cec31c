"""Short complaints made of invented parts, with an office's own three-level tree."""

from __future__ import annotations

import random

TREE: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {
    ("城建", "道路", "路灯"): (
        ("路灯", "街灯", "照明灯"),
        ("坏了", "不亮", "一闪一闪", "晚上全黑"),
    ),
    ("城建", "道路", "坑洼"): (
        ("路面", "马路", "人行道"),
        ("坑坑洼洼", "破了大洞", "塌陷", "全是坑"),
    ),
    ("城建", "供水"): (
        ("自来水", "水管", "家里的水"),
        ("停了三天", "发黄", "没有水压", "爆了"),
    ),
    ("环境", "噪声"): (
        ("广场舞", "工地夜里施工", "楼下酒吧"),
        ("太吵", "吵得睡不着", "噪音很大", "扰民"),
    ),
    ("环境", "垃圾"): (
        ("垃圾桶", "生活垃圾", "建筑垃圾"),
        ("没人清运", "堆成山", "臭气熏天", "到处都是"),
    ),
    ("劳动", "工资"): (
        ("工地", "公司", "工厂"),
        ("拖欠工资", "三个月没发工资", "不给工钱", "克扣工资"),
    ),
    ("劳动", "社保"): (
        ("单位", "老板", "公司"),
        ("不交社保", "社保断缴", "不办养老保险", "没交医保"),
    ),
    ("教育", "收费"): (
        ("学校", "幼儿园", "补习班"),
        ("乱收费", "强制买教辅", "不退学费", "收赞助费"),
    ),
}
_WHERE = (
    "望湖路",
    "三里村",
    "春江小区",
    "人民东路",
    "北门街道",
    "我们镇上",
    "新城花园",
    "老车站那边",
)
_ENDS = (
    "",
    "，请尽快处理",
    "，没有人管",
    "，打电话也没用",
    "，请领导看看",
    "，怎么办",
    "，已经半个月了",
)


def invented_rows(
    each: int, order: random.Random, without: set[str] | None = None
) -> list[tuple[str, tuple[str, ...]]]:
    """`each` different (text, path) a class, none of `without`."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(without or (), ())
    rows = []
    for path, (things, faults) in TREE.items():
        made = 0
        while made < each:
            text = order.choice(_WHERE) + order.choice(things) + order.choice(faults)
            text += order.choice(_ENDS)
            if text not in found:
                found[text] = path
                rows.append((text, path))
                made += 1
    return rows
