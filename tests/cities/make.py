"""Writes the second city, Shuanghe, from rows.txt: platform JSON and the key of the tests.

    python tests/cities/make.py

Nobody and nothing in it exists. Run again after a change of rows.txt; the same rows give the same
files. The city was written without a look at any word list of the project.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CITY = HERE / "shuanghe"
KEY = HERE / "shuanghe_key.json"
DAY = "10-29"
CHINA = timezone(timedelta(hours=8))
EPOCH = 515_483_463
"""Ids hold the time: (id >> 22) + EPOCH is the second of creation."""
INCIDENTS = ("fire", "bus", "wages")
LIVELY = "football"
ACCOUNTS = (
    ("霜河发布", 1, "", "霜河市人民政府新闻办公室", "政务公开 权威发布 综合", "霜河市"),
    ("铁北区发布", 2, "霜河发布", "铁北区人民政府办公室", "铁北区 街道 民生", "铁北区"),
    ("江湾区发布", 2, "霜河发布", "江湾区人民政府办公室", "江湾区 公园 冰场", "江湾区"),
    ("霜河12345", 2, "霜河发布", "霜河市政务服务便民热线中心", "热线 工单 投诉", "霜河市"),
    ("平安霜河", 2, "霜河发布", "霜河市公安局", "户口 治安 报警 身份证", "霜河市"),
    ("霜河交警", 2, "霜河发布", "霜河市公安局交通管理支队", "道路 驾驶证 车辆", "霜河市"),
    ("霜河消防", 2, "霜河发布", "霜河市消防救援支队", "火灾 救援", "霜河市"),
    ("霜河应急", 2, "霜河发布", "霜河市应急管理局", "安全生产 突发事件", "霜河市"),
    ("霜河教育", 2, "霜河发布", "霜河市教育局", "学校 转学 看护 幼儿园", "霜河市"),
    ("霜河人社", 2, "霜河发布", "霜河市人力资源和社会保障局", "社保 失业 工资 就业", "霜河市"),
    ("霜河医保", 2, "霜河发布", "霜河市医疗保障局", "医保 报销 慢病", "霜河市"),
    ("霜河住建", 2, "霜河发布", "霜河市住房和城乡建设局", "物业 公租房 工地", "霜河市"),
    ("霜河生态环境", 2, "霜河发布", "霜河市生态环境局", "空气 异味 噪声 河水", "霜河市"),
    ("霜河供热", 2, "霜河发布", "霜河供热集团", "暖气 热费 室温", "霜河市"),
    ("霜河公交", 2, "霜河发布", "霜河公共交通公司", "公交 线路 末班", "霜河市"),
    ("霜河水务", 2, "霜河发布", "霜河水务集团", "停水 水表 下水", "霜河市"),
    ("机修厂街道", 3, "铁北区发布", "机修厂街道办事处", "低保 平房 取暖煤", "铁北区"),
    ("红砖里社区", 4, "机修厂街道", "红砖里社区居民委员会", "社区 小区", "铁北区"),
)
UIDS = {row[0]: 9_900_001_101 + n for n, row in enumerate(ACCOUNTS)}
FIRST = (
    "阿泽", "小北", "老韩", "豆包", "雪糕", "南瓜", "二丫", "大东", "冰棱", "松塔", "铁锅", "小满",
    "阿宁", "榛子", "老白", "米粒", "毛豆", "可乐",
)  # fmt: skip
LAST = (
    "不吃葱", "在路上", "的日常", "Z", "1988", "爱遛弯", "呀", "晒太阳", "要早睡", "小铺", "__",
    "看世界", "2026", "她妈",
)  # fmt: skip


@dataclass
class Row:
    """One line of rows.txt, with the id it got."""

    section: str
    at: datetime
    flags: dict[str, str]
    text: str
    id: int
    author: int


def read(file: Path) -> list[Row]:
    """All rows of the file, in its order."""
    rows: list[Row] = []
    section = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif line and not line.startswith("#"):
            when, flags, text = line.split("|", 2)
            stamp = when if " " in when else f"{DAY} {when}"
            at = datetime.strptime(f"2026-{stamp}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
            pairs = (flag.partition("=") for flag in flags.split(",") if flag)
            number = int.from_bytes(hashlib.sha256(line.encode()).digest()[:8])
            rows.append(
                Row(section, at, {name: value for name, _, value in pairs}, text,
                    (int(at.timestamp()) - EPOCH) << 22 | number % (1 << 22), len(rows))
            )  # fmt: skip
    return rows


def stamp(at: datetime) -> str:
    """As the platform writes time."""
    return at.strftime("%a %b %d %H:%M:%S %z %Y")


def official(name: str) -> dict[str, Any]:
    """An account of the matrix as the platform shows it."""
    return {"id": UIDS[name], "screen_name": name, "verified": True, "verified_type": 1,
            "location": "北陵 霜河", "followers_count": 60_000}  # fmt: skip


def person(row: Row) -> dict[str, Any]:
    """The author of a row: somebody else each time."""
    media = row.flags.get("media")
    n = row.author
    name = media or f"{FIRST[n % len(FIRST)]}{LAST[n // len(FIRST) % len(LAST)]}"
    return {"id": 9_800_500_000 + 37 * n, "screen_name": name, "verified": bool(media),
            "verified_type": 3 if media else -1, "location": "北陵 霜河",
            "followers_count": 90_000 if media else 20 + 13 * n % 700}  # fmt: skip


def status(row: Row) -> dict[str, Any]:
    """A post or notice, without what it reposts."""
    user = official(row.flags["by"]) if "n" in row.flags else person(row)
    heat = 3 if row.section in (*INCIDENTS, LIVELY) else 1
    return {"created_at": stamp(row.at), "id": row.id, "idstr": str(row.id), "text": row.text,
            "user": user, "reposts_count": heat * (row.id % 7), "comments_count": heat * 2,
            "attitudes_count": heat * (row.id % 11)}  # fmt: skip


def build(rows: list[Row]) -> dict[str, list[dict[str, Any]]]:
    """The contents of the JSON files by name."""
    labelled = {row.flags[flag]: row for row in rows for flag in ("n", "l") if flag in row.flags}
    files: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("notices", "statuses", "comments", "messages")
    }
    for row in sorted(rows, key=lambda one: one.id, reverse=True):
        if "to" in row.flags:
            files["messages"].append(
                {"created_at": stamp(row.at), "id": row.id, "text": row.text,
                 "sender": person(row), "recipient": official(row.flags["to"])}
            )  # fmt: skip
        elif "on" in row.flags:
            files["comments"].append(
                {"created_at": stamp(row.at), "id": row.id, "text": row.text,
                 "user": person(row), "status": {"id": labelled[row.flags["on"]].id}}
            )  # fmt: skip
        else:
            made = status(row)
            if "rt" in row.flags:
                made["retweeted_status"] = status(labelled[row.flags["rt"]])
            files["notices" if "n" in row.flags else "statuses"].append(made)
    return files


def key_of(rows: list[Row]) -> dict[str, Any]:
    """What the tests compare with; ids as in the folder."""
    notices = {row.flags["n"]: row.id for row in rows if "n" in row.flags}
    posts = {name: [row.id for row in rows if row.section == name] for name in (*INCIDENTS, LIVELY)}
    said = {
        name: [row.id for row in rows if row.section == f"{name} official"] for name in INCIDENTS
    }
    under = {
        name: [row.id for row in rows if notices.get(row.flags.get("on", "")) in said[name]]
        for name in INCIDENTS
    }
    return {
        "incidents": {
            name: {"posts": posts[name], "official": said[name], "comments": under[name]}
            for name in INCIDENTS
        },
        "lively": posts[LIVELY],
        "appeals": {str(r.id): notices[r.flags["ans"]] for r in rows if "ans" in r.flags},
    }


def accounts() -> list[dict[str, Any]]:
    """The matrix."""
    return [
        {"uid": str(UIDS[name]), "name": name, "level": level,
         "parent": f"weibo:{UIDS[above]}" if above else None, "unit": unit,
         "duties": duties.split(), "region": region}
        for name, level, above, unit, duties, region in ACCOUNTS
    ]  # fmt: skip


def main() -> None:
    """Write everything."""
    rows = read(HERE / "rows.txt")
    for name, content in {**build(rows), "accounts": accounts()}.items():
        lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in content)
        (CITY / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    KEY.write_text(json.dumps(key_of(rows), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
