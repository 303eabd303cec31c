"""Places: longest match, and which of several places of one name is meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp import places
from nlp.places import find, prefix
from nlp.training.place_names import short_form


def codes(text: str, region: str | None = None) -> list[str]:
    return [place.adcode for place in find(text, region)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("郑州暴雨", ["410100"]),
        ("河南省郑州市金水区农业路积水", ["410105"]),
        ("上海南站人太多", ["310000"]),
        ("台湾、香港和澳门", ["710000", "810000", "820000"]),
        ("恩施州利川市", ["422802"]),
        ("内蒙古自治区呼和浩特市", ["150100"]),
        ("从北京到广州", ["110000", "440100"]),
        ("郑州，还是郑州", ["410100"]),
        ("辉县孟庄镇被淹", ["410782104"]),
        ("海南和吉林", ["460000", "220000"]),
    ],
)
def test_named_places(text: str, expected: list[str]) -> None:
    assert codes(text) == expected


@pytest.mark.parametrize(
    "text", ["北京路堵车", "南京东路步行街", "重庆小面", "长治久安", "平安就好", "和平年代", ""]
)
def test_words_that_only_look_like_places(text: str) -> None:
    assert codes(text) == []


def test_a_parent_named_nearby_decides() -> None:
    assert codes("长春朝阳一小区停水") == ["220104"]
    assert codes("北京市朝阳区停水") == ["110105"]
    assert codes("我在长春，朝阳区这边停水了") == ["220100", "220104"]


def test_the_offices_region_decides_when_the_text_does_not() -> None:
    assert codes("朝阳区停水", "220100") == ["220104"]
    assert codes("朝阳区停水", "110000") == ["110105"]
    assert codes("北京朝阳停水", "220100") == ["110105"]
    assert codes("孟庄镇被淹", "410782") == ["410782104"]


def test_no_place_is_better_than_the_wrong_one() -> None:
    assert codes("朝阳区停水") == []
    assert codes("孟庄镇被淹") == []


def test_the_words_that_gave_it_are_kept() -> None:
    (place,) = find("在河南省郑州市金水区")
    assert (place.name, place.text) == ("金水区", "河南省郑州市金水区")


def test_short_forms_and_prefixes() -> None:
    assert short_form("郑州市") == "郑州"
    assert short_form("恩施土家族苗族自治州") == "恩施"
    assert short_form("广西壮族自治区") == "广西"
    assert short_form("辉县市") == "辉县"
    assert short_form("杞县") == "杞县"
    assert [prefix(c) for c in ("410000", "410100", "410105", "410105001")] == [
        "41", "4101", "410105", "410105001",
    ]  # fmt: skip


def test_the_table_is_whole() -> None:
    names = places._table().names
    assert sum(code.endswith("0000") for code in names) == 34
    assert len([code for code in names if len(code) == 6]) > 3200
    assert len([code for code in names if len(code) == 9]) > 40_000
    assert places.TABLE.stat().st_size < 400_000


@given(st.text(alphabet="北京上海朝阳区郑州市金水路镇县省，。 a1", max_size=60))
def test_any_text_is_answered_with_words_that_occur_in_it(text: str) -> None:
    for place in find(text, "410100"):
        assert place.text in text
        assert place.adcode in places._table().names
