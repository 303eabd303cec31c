"""Places: longest match, and which of several places of one name is meant."""

import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp import places
from nlp.places import find, prefix
from nlp.training.gazetteer import build
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("内蒙和呼市", ["150000", "150100"]),
        ("恩施州、延边州", ["422800", "222400"]),
        ("浦东机场", ["310115"]),
        ("郑东新区积水", ["410100"]),
        ("京津冀协同", ["110000", "120000", "130000"]),
        ("援鄂医疗队", ["420000"]),
        ("江干区停水", ["330102"]),
        ("莱芜市", ["370116"]),
        ("臺灣和廣州", ["710000", "440100"]),
        ("临潼区北田街办", ["610115"]),
        ("开封，河南", ["410200", "410000"]),
    ],
)
def test_other_names(text: str, expected: list[str]) -> None:
    assert [code[:6] for code in codes(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "会同有关部门", "交口称赞", "公安机关", "大方地说", "资源紧张", "延长开放时间",
        "解放思想", "大城市", "三明治", "哈密瓜", "出海口", "武功山", "南岗社区",
        "非常熟悉", "台风天水位上涨", "李长春", "湖南卫视", "北京时间八点", "从化学角度看",
    ],
)  # fmt: skip
def test_ordinary_words_hold_no_places(text: str) -> None:
    assert codes(text) == []


def test_a_word_counts_with_its_suffix_or_straight_after_its_parent() -> None:
    assert codes("会同县停水") == ["431225"]
    assert codes("湖南会同停水") == ["431225"]
    assert codes("天津和平区") == codes("天津和平") == ["120101"]
    assert codes("天津，和平") == ["120000"]
    assert codes("荆州公安通报") == ["421000"]
    assert codes("公安县") == ["421022"]
    assert codes("公安通报", "421000") == []


def test_rivers_estates_and_people_are_no_places() -> None:
    assert codes("大庆河接驳整治") == []
    assert codes("天津河北区") == ["120105"]
    assert codes("武汉，张昌平") == ["420100"]
    assert codes("北京昌平") == ["110114"]


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


def test_the_shipped_table_is_what_the_command_builds(real_data: Path, tmp_path: Path) -> None:
    build(real_data / "gazetteer", tmp_path / "places.tsv.xz")
    built = lzma.decompress((tmp_path / "places.tsv.xz").read_bytes())
    assert built == lzma.decompress(places.TABLE.read_bytes())
