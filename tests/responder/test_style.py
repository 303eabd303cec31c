from __future__ import annotations

import pytest

from responder.style import notes

GOOD = "您好，停水两天，确实难受。抢修队今早6点进场，城市供水今晚8点前恢复，有事打88100096。"


def reasons(text: str, **more: str) -> list[str]:
    return [one.reason for one in notes(text, **more)]


def test_a_good_reply_gets_no_note() -> None:
    assert notes(GOOD, intent="投诉", question="停水两天了") == []


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        (GOOD + "我局高度重视。", "官话", "高度重视"),
        (GOOD + "将予以处理。", "官话", "予以"),
        (GOOD + "已向相关部门反映。", "官话", "相关部门"),
        ("您好，我们会尽快处理。", "没有时间", "尽快"),
        (GOOD + "好" * 141, "太长", ""),
        (GOOD + "这" + "件事情需要很多步骤才能够完成" * 5 + "。", "句子太长", ""),
        ("您好，由____在____前处理。", "还有空白", "____"),
    ],
)
def test_notes_name_the_words_and_a_proposal(text: str, reason: str, words: str) -> None:
    found = [one for one in notes(text) if one.reason == reason]
    assert found
    assert words in found[0].words
    assert found[0].proposal


def test_a_time_beside_it_makes_soon_acceptable() -> None:
    assert "没有时间" not in reasons("您好，我们尽快在3月6日12点前处理。")


def test_cold_and_without_who_and_when() -> None:
    assert {"不够亲切", "没写清谁在什么时间做什么"} <= set(reasons("知道了。"))


@pytest.mark.parametrize(
    ("intent", "question", "light"),
    [("投诉", "停水两天", True), ("咨询", "有人受伤了吗", True), ("咨询", "公园几点开门", False)],
)
def test_light_words_only_where_they_fit(intent: str, question: str, light: bool) -> None:
    found = reasons(GOOD + "爱你哦～", intent=intent, question=question)
    assert ("语气轻佻" in found) is light
