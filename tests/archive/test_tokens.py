"""One definition of "the text contains these words" for index, query and highlights."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.many_tokens import index_tokens_of
from archive.tokens import fold, folding, index_tokens, query_tokens, spans
from tests.archive.texts import texts

TEXT = st.text(st.sampled_from("郑州鄭雨ab1Ａ，。 _é👍🏽\ufe0f\u200dカ"), max_size=14)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("郑州暴雨", "郑州 州暴 暴雨 雨"), ("雨", "雨"), ("郑州，雨", "郑州 州 雨"),
        ("iPhone15手机", "iphone15 手机 机"), ("ＡＢ c_d", "ab c d"), ("！？…", ""), ("", ""),
        ("5号线", "5 号线 线"), ("😷好", "😷好 好"), ("臺灣", "台湾 湾"), ("❤️好", "❤好 好"),
        ("👍🏽", "👍"), ("👩🏽\u200d🚒", "👩🚒 🚒"), ("1️⃣楼", "1 楼"), ("\ufe0f🏽", ""),
        ("🇨🇳", "🇨🇳 🇳"),
    ],
)  # fmt: skip
def test_cutting(text: str, tokens: str) -> None:
    assert index_tokens(text) == tokens


@given(st.lists(st.text(max_size=20) | TEXT, max_size=8))
def test_many_at_once_are_cut_as_one_by_one(texts: list[str]) -> None:
    assert index_tokens_of(texts) == [index_tokens(text) for text in texts]


def test_many_real_texts_at_once() -> None:
    many = [*texts(3000), "", "\U0010ffff好", "ΟΔΟΣ"]
    for start in range(0, len(many), 700):
        part = many[start : start + 700]
        assert index_tokens_of(part) == [index_tokens(text) for text in part]


@given(st.text(max_size=40))
def test_folding_keeps_every_position(text: str) -> None:
    folded = fold(text)
    assert len(folded) == len(text)
    assert fold(folded) == folded or any(len(c.lower()) != 1 for c in text)


def test_width_and_case_do_not_matter() -> None:
    assert fold("ＡＢＣ１２３ Ⅷ ﾃ") == "abc123 ⅷ テ"
    assert fold("İ") == "i"  # grows in lower case
    assert fold("ΟΔΟΣ ΟΔΟΣΑ") == "οδοσ οδοσα"


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("颱風來了，臺風", "台风", [(0, 2), (5, 7)]), ("台风", "颱風", [(0, 2)]),
        ("我❤️你", "❤", [(1, 3)]), ("我❤你", "❤️你", [(1, 3)]), ("我❤️你", "我❤你", [(0, 4)]),
        ("👍🏽👍🏿好", "👍好", [(2, 5)]), ("👍", "👍🏽", [(0, 1)]),
        ("救\u200b命", "救命", [(0, 3)]), ("iPho\xadne", "iphone", [(0, 7)]),
        ("👩🏽\u200d🚒来", "👩🚒", [(0, 4)]),
    ],
)  # fmt: skip
def test_variants_are_found_where_they_stand(
    text: str, words: str, expected: list[tuple[int, int]]
) -> None:
    assert spans(text, words) == expected


def test_traditional_letters_are_opencc_s() -> None:
    """The table is frozen with the index; the package says when it has become old."""
    opencc = pytest.importorskip("opencc")
    letters = [chr(code) for code in range(0x2E80, 0x40000) if not 0xD800 <= code < 0xE000]
    simplified = opencc.OpenCC("t2s").convert("\n".join(letters)).split("\n")
    wrong = [
        (letter, simple)
        for letter, simple in zip(letters, simplified, strict=True)
        if fold(letter) != fold(simple)
    ]
    assert wrong == []
    assert fold("髮發複覆裡麼灣") == "发发复覆里么湾"
    assert all(len(char) == 1 for char in folding().letters.values())


@given(TEXT, TEXT)
def test_index_and_expression_agree(text: str, words: str) -> None:
    """A text's tokens contain the query's, adjacent, exactly when the definition finds a place."""
    tokens, begins = query_tokens(words)
    if not tokens:
        assert spans(text, words) == []
        return
    index = index_tokens(text).split()
    size = len(tokens)

    def same(part: list[str]) -> bool:
        last = part[-1].startswith(tokens[-1]) if begins else part[-1] == tokens[-1]
        return last and part[:-1] == tokens[:-1]

    by_index = any(same(index[start : start + size]) for start in range(len(index) - size + 1))
    assert by_index == bool(spans(text, words))


@given(
    st.text(st.sampled_from("郑州暴雨，"), max_size=10),
    st.text(st.sampled_from("郑州暴雨"), min_size=1, max_size=4),
)
def test_chinese_words_are_found_exactly_where_they_stand(text: str, word: str) -> None:
    expected = [found.span() for found in re.finditer(re.escape(word), text)]
    assert spans(text, word) == expected


def test_only_letters_fold() -> None:
    assert unicodedata.normalize("NFKC", "，") == ","
    assert fold("，") == "，"
