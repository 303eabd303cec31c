"""Answering: plain cases that want no answer, cues with reasons, places elsewhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huiyin.records import Place
from nlp.answering import answer, elsewhere, here, needs_answer
from nlp.places import find


@pytest.mark.parametrize("text", ["转发微博", "//@某用户:停水三天了没人管", "mark", "快转！！", ""])
def test_a_bare_repost_wants_none_whatever_the_head_says(text: str) -> None:
    assert needs_answer(text, 0.99) <= 0.02
    assert answer(text, 0.99).reasons == ("只是转发，没有自己的话",)


def test_adverts_and_fans_want_none_unless_they_ask() -> None:
    assert needs_answer("关注并转发，抽3位送手机", 0.99) <= 0.05
    assert needs_answer("哥哥新剧打榜冲呀，超话集合", 0.9) <= 0.05
    assert needs_answer("投诉：超市抽奖是假的，请处理", 0.7) >= 0.5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("请问天津路小学什么时候开学？", "问什么时候、怎么办"),
        ("小区停水三天没人管，请有关部门尽快处理", "要求说明或处理"),
        ("建议学校推迟开学，公交上人太多了", "提建议或请求"),
        ("求助，我被骗了三万元，怎么联系网警", "求助"),
    ],
)
def test_what_asks_wants_an_answer_and_says_why(text: str, reason: str) -> None:
    found = answer(text, 0.5)
    assert found.probability >= 0.5
    assert reason in found.reasons


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("回复@u12ab34:呵呵，你懂什么，杠精", "回复的是别的网友"),
        ("【网民造谣被行拘5日！】活该", "转述新闻"),
        ("抓起来，判三年！", "只是主张处罚谁"),
        ("点赞，辛苦了", "表扬或打气"),
    ],
)
def test_talk_wants_none_and_says_why(text: str, reason: str) -> None:
    found = answer(text, 0.6)
    assert found.probability < 0.4
    assert reason in found.reasons


def test_a_long_letter_may_thank_and_blame_on_its_way() -> None:
    letter = (
        "尊敬的领导您好，感谢多年的支持。"
        + "小区门口的路坏了很久，晚上看不见。" * 8
        + "望尽快处理。"
    )
    assert needs_answer(letter, 0.5) >= 0.5


def test_a_place_of_the_same_name_elsewhere() -> None:
    there = find("长春朝阳区停水了")
    assert elsewhere(there, "110105")
    assert not elsewhere(there, "220100")
    assert not elsewhere(find("吉林省停水了"), "220104")
    assert not elsewhere(there, None)
    assert not elsewhere((), "110105")
    assert here(0.9, there, "110105") < 0.5
    assert here(0.9, there, "220104") == 0.9


@given(st.text(max_size=200), st.floats(0, 1))
def test_any_text_gets_a_probability_and_a_reason(text: str, head: float) -> None:
    found = answer(text, head)
    assert 0 <= found.probability <= 1
    assert found.reasons


def test_a_higher_head_never_lowers_the_answer() -> None:
    texts = ["路灯坏了", "什么时候来水", "好样的", "回复@u12ab34:是吗"]
    for text in texts:
        values = [needs_answer(text, head / 10) for head in range(11)]
        assert values == sorted(values)


def test_a_country_has_no_elsewhere() -> None:
    assert not elsewhere((Place(adcode="110000", name="北京市", text="北京"),), "")
