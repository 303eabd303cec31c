"""Danger: a life at stake here and now is an alarm; films, drills, advice and the past are not."""

import csv
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.calling import NOTHING, calling
from nlp.danger import danger
from nlp.training.calling import LABELS, digest, learned

NOW = [
    ("幸福小区3号楼起火了，六楼浓烟滚滚，快来人啊", "火灾或爆炸"),
    ("楼下电动车充电起火，火势蔓延到二楼了，老人下不来", "火灾或爆炸"),
    ("我们这栋楼天然气泄漏了，闻着味道很大，燃气公司还没来", "燃气泄漏"),
    ("孩子走丢了！6岁男孩，穿红色上衣，在万达广场附近，看到的请联系【电话】", "有人走失或失联"),
    ("有个女孩站在建设大厦楼顶要跳楼，快报警！", "轻生"),
    ("电梯故障，我和孩子被困在里面半个多小时了，没人来，阳光花园2号楼", "有人被困、被埋或落水"),
    ("实验小学十几个孩子吃完午饭上吐下泻，都送医院了，学校不让说", "集体中毒或发病"),
    ("菜市场有人持刀砍人，已经倒下两个了，大家别过来", "有人行凶"),
    ("我爸在家突然昏迷，打120打不通，求救，地址在青山路12号", "病人情况危急"),
]
NOT_NOW = [
    "昨天看的电影里大楼起火那段太震撼了",
    "消防队来我们小区搞演练，模拟六楼着火有人被困",
    "致敬消防员，被困工人已全部获救",
    "我要跳楼了，作业写不完哈哈哈",
    "救命！哥哥太帅了我晕倒了",
    "去年小区起火以后，消防通道还是没人管",
    "【警方通报】男子持刀伤人案告破",
    "困死我了，被困在公司加班",
    "路口井盖坏了，怕有人掉进去，请尽快维修",
    "如何预防孩子溺水？家长请注意",
    "建议小区加装燃气泄漏报警器",
    "工人工资被拖欠半年，大家聚集在项目部讨薪，请政府解决",
    "家里停水三天了，请尽快处理",
    "",
]


@pytest.mark.parametrize(("text", "kind"), NOW)
def test_a_danger_named_here_and_now_is_an_alarm(text: str, kind: str) -> None:
    found = danger(text)
    assert found.alarm
    assert kind in found.reasons


@pytest.mark.parametrize("text", NOT_NOW)
def test_what_only_sounds_dangerous_is_none(text: str) -> None:
    assert not danger(text).alarm


def test_a_call_from_a_flood_is_an_alarm_and_goods_are_not() -> None:
    assert danger(
        "位置：牧野区丰乐里村，水深到脖子，许多老人小孩被困，急需快艇，电话【电话】"
    ).alarm
    assert not danger("万达广场3号门这里还需被褥，希望爱心人士捐赠。电话【电话】").alarm
    assert not danger("我们酒店免费提供住宿，救援队可以来休息，电话【电话】").alarm


def test_a_hashtag_alone_says_nothing() -> None:
    assert calling("#暴雨求救互助#") == NOTHING


@given(st.text(max_size=300))
def test_any_text_gets_a_probability(text: str) -> None:
    found = danger(text)
    assert 0 <= found.probability <= 1
    assert not found.alarm or found.reasons


def test_marked_posts_of_the_half_that_was_not_learned(real_data: Path) -> None:
    with LABELS.open(encoding="utf-8", newline="") as file:
        marked = {row["sha256_16"] for row in csv.DictReader(file) if row["danger"] == "yes"}
    with gzip.open(real_data / "streams/flood_2021.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [str(json.loads(line)["text"]) for line in file]
    own = [text for text in texts if digest(text) in marked and not learned(text)]
    assert len(own) >= 20
    assert sum(danger(text).alarm for text in own) / len(own) >= 0.9


def test_false_alarms_in_ordinary_posts_that_were_not_learned(real_data: Path) -> None:
    texts = []
    for name in ("streams/gov_comments", "labelled/emotion"):
        with gzip.open(real_data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            texts += [str(json.loads(line)["text"]) for line in file]
    others = [text for text in texts if not learned(text)][::4]
    assert sum(danger(text).alarm for text in others) / len(others) <= 5 / 10_000


@pytest.mark.parametrize(
    "text",
    [
        "尊敬的市长：我父亲现年六十五岁，因脑梗住院，昏迷多日，求助各级领导救救我们这个家，请帮帮我们",
        "去年合同到期，仓库火灾烧到我家，一楼有人受伤，至今没有赔偿，请有关部门，帮忙解决！",
    ],
)
def test_a_letter_that_tells_of_hardship_is_no_alarm(text: str) -> None:
    assert not danger(text).alarm


def test_a_letter_about_what_happens_just_now_is_one() -> None:
    assert danger("各位领导：我们小区5号楼正在起火，浓烟很大，楼上有人出不来，快来救人！").alarm
