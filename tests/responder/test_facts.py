"""Promise 4: a fact that no cited source supports is found, however it is written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from responder.facts import Evidence, dated, facts, support

NOW = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)  # 12:00 on the 5th in Shanghai
PIPE = Evidence(
    "n1",
    "望湖路水管3月5日早上破裂。抢修队6点到场，预计今晚8点恢复供水。望湖新村南门有2辆送水车。"
    "咨询电话88100096，24小时有人接。本次停水不收取任何费用。",
    NOW, "城市供水",
)  # fmt: skip
FEES = Evidence(
    "n2",
    "渡口区采暖补贴每户1200元，10月15日前交清的优惠2%，补助三分之二。"
    "东湾小区9点恢复供暖，西湾小区18点恢复供暖。年满65周岁可以免费乘公交。",
    NOW, "城市供热",
)  # fmt: skip
BOTH = [PIPE, FEES]


def values(text: str) -> set[tuple[str, str]]:
    return {(one.kind, one.value) for one in facts(text, NOW) if one.kind != "名称"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("晚上8点", "20:00"), ("今天", "3月5日"), ("明天", "3月6日"), ("三月五号", "3月5日"),
        ("两天", "2天"), ("二十个工作日", "20个工作日"), ("1.2万元", "12000元"),
        ("１２００元", "1,200元"),
        ("百分之二", "2%"), ("上午8时30分", "8点半"), ("三十多人", "30名"), ("星期三", "周三"),
        ("3块钱", "3元"), ("三分之二", "3分之2"),
    ],
)  # fmt: skip
def test_one_fact_in_two_forms(one: str, other: str) -> None:
    assert values(one) == values(other) != set()


@pytest.mark.parametrize(
    "words", ["一定会好的", "我们一起努力", "第一时间", "十分抱歉", "万一", "一下"]
)
def test_idioms_are_no_numbers(words: str) -> None:
    assert values(words) == set()


@pytest.mark.parametrize(
    "sentence",
    [
        "抢修队6点到场，预计3月5日20点恢复供水。",
        "预计3月5日晚上8点恢复供水。",
        "望湖新村南门有两辆送水车。",
        "电话88100096，24小时有人接。",
        "停水不收取任何费用。",
        "采暖补贴每户一千二百元。",
        "10月15日前交清优惠百分之二。",
        "西湾小区18:00恢复供暖。",
        "您好，谢谢您告诉我们。",
        "还有不明白的，可以接着问我们。",
        "给您添麻烦了。",
    ],
)
def test_what_the_sources_say_holds(sentence: str) -> None:
    held = support(sentence, BOTH, NOW)
    assert held.supported, held.missing


@pytest.mark.parametrize(
    "sentence",
    [
        "预计今晚9点恢复供水。",
        "预计明晚8点恢复供水。",
        "预计3月6日20点恢复供水。",
        "电话88100097，24小时有人接。",
        "望湖新村南门有三辆送水车。",
        "望湖新村南门有十几辆送水车。",
        "停水收取费用。",
        "采暖补贴每户1500元。",
        "采暖补贴每户1.2万元。",
        "东湾小区18点恢复供暖。",
        "北湾小区9点恢复供暖。",
        "年满60周岁可以免费乘公交。",
        "年满65周岁不可以免费乘公交。",
        "已经修好了。",
        "水质合格，可以放心喝。",
        "是因为施工单位挖断了水管造成的。",
        "事故造成3人死亡。",
        "没有人员伤亡。",
        "此消息不属实。",
        "由____在____前处理。",
        "请到幸福路派出所办理。",
        "您可以领取补贴。",
        "明天答复您。",
    ],
)
def test_what_they_do_not_say_does_not(sentence: str) -> None:
    held = support(sentence, BOTH, NOW)
    assert not held.supported
    assert held.missing


def test_a_number_of_one_thing_does_not_support_another() -> None:
    assert not support("采暖补贴2辆送水车，每户8点。", BOTH, NOW).supported


def test_what_the_citizen_said_is_no_source() -> None:
    """Rule: every number of dead or injured needs an official source; a post is never one."""
    citizen = "听说死了3人，是不是真的"
    assert not support("事故造成3人死亡。", [], NOW, citizen=citizen).supported
    assert support("您问的“是不是真的”我们看到了。", [], NOW, citizen=citizen).supported
    assert not support("专家说“死了5人”。", [], NOW, citizen=citizen).supported


def test_today_in_an_old_notice_is_its_day() -> None:
    assert dated("预计今晚8点恢复", NOW) == "预计3月5日晚8点恢复。"
    tomorrow = datetime(2026, 3, 6, 4, 0, tzinfo=UTC)
    assert not support("今晚8点恢复供水。", [PIPE], tomorrow).supported
    assert support("预计昨晚8点恢复供水。", [PIPE], tomorrow).supported
