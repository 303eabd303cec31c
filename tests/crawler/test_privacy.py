from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.privacy import Identity, mask, masked
from huiyin.errors import SettingsError

OFFICIAL = {"云渡发布": "weibo:101", "云渡水务": "weibo:102"}
FULL = str.maketrans("0123456789", "０１２３４５６７８９")
CHINESE = str.maketrans("0123456789", "零一二三四五六七八九")
CIRCLED = str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")

mobiles = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
chinese_text = st.text("今天家里停水了请问什么时候恢复啊，。！", min_size=1, max_size=12)


def ways(number: str) -> list[str]:
    a, b, c = number[:3], number[3:7], number[7:]
    return [
        number, f"{a} {b} {c}", f"{a}-{b}-{c}", f"{a}.{b}.{c}", f"{a}—{b}—{c}", " ".join(number),
        "-".join(number), f"+86{number}", f"+86 {a} {b} {c}", f"86-{number}", f"0086{number}",
        number.translate(FULL), number.translate(CHINESE), number.translate(CIRCLED),
        number[:5] + number[5:].translate(CHINESE), "".join(f"{d}\ufe0f\u20e3" for d in number),
        f"{a}\u200b{b}\u200b{c}",
    ]  # fmt: skip


@given(mobiles, chinese_text, chinese_text, st.integers(0, 16))
def test_no_way_of_writing_a_mobile_number_survives(
    number: str, before: str, after: str, way: int
) -> None:
    written = ways(number)[way]
    text, _ = mask(f"{before}{written}{after}", OFFICIAL)
    assert "【电话】" in text
    assert written not in text
    digits = "".join(re.findall(r"\d", text))
    assert number[3:] not in digits
    assert mask(text, OFFICIAL)[0] == text


@given(
    st.dates(), st.integers(100000, 999999), st.integers(0, 999), st.sampled_from("0123456789Xx")
)
def test_id_numbers_with_a_birthday_are_hidden(day, region, order, check) -> None:  # type: ignore[no-untyped-def]
    if not 1900 <= day.year <= 2026:
        day = day.replace(year=1990, day=1)
    number = f"{region}{day:%Y%m%d}{order:03d}{check}"
    assert mask(f"身份证{number}。", {})[0] == "身份证【身份证】。"
    short = f"{region}{day:%y%m%d}{order:03d}"
    hidden = mask(f"证号{short}", {})[0]
    assert short not in hidden


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("电话0371-67776999", "电话【电话】"),
        ("(0371)67776999", "【电话】"),
        ("010 6666 8888 是座机", "【电话】 是座机"),
        ("联系电话：67776999", "联系电话：【电话】"),
        ("电话64990572 64988002", "电话【电话】 【电话】"),
        ("手机13800138000转13900139000", "手机【电话】转【电话】"),
        ("zhang.san+1@qq.com 来信", "【邮箱】 来信"),
        ("zhang＠163.com", "【邮箱】"),
        ("卡号6222 0202 0000 1234 567", "卡号【银行卡】"),
        ("打到6222020200001234567", "打到【银行卡】"),
        ("微信abc_12345", "微信【微信】"),
        ("加微信：zhangsan", "加微信：【微信】"),
        ("微信号是13800138000", "微信号是【微信】"),
        ("VX：abc12345", "VX：【微信】"),
        ("QQ 12345678", "QQ 【QQ】"),
        ("QQ群：987654321", "QQ群：【QQ】"),
        ("身份证 410105 19900101 123X", "身份证 【身份证】"),
    ],
)
def test_kinds(text: str, expected: str) -> None:
    assert mask(text, OFFICIAL)[0] == expected
    assert mask(expected, OFFICIAL)[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "请打110、119、120、122或12345", "12306订票，95598报修，12315投诉，96196热线",
        "客服400-800-8820，4008208820，8008205555", "2021-07-20 17:50:15", "2021/07/20 15:20",
        "全市13,800,138,000元", "坐标112.372966,32.539623", "2020年12月31日138人",
        "国办发〔2016〕61号", "两千三百四十五万六千七百八十九",
        "https://m.weibo.cn/detail/4661092925573026", "编号2023112233", "微信公众号里的通知",
        "一二三四五六七八九十一", "3.1415926535897", "第 1 2 3 4 5 6 条",
    ],
)  # fmt: skip
def test_what_is_nobodys_number_stays(text: str) -> None:
    assert mask(text, OFFICIAL)[0] == text


@pytest.mark.parametrize(
    ("text", "expected", "mentions"),
    [
        ("@云渡发布 停水了 @张三", "@云渡发布 停水了 @某用户", ("weibo:101",)),
        ("＠李四：看这里", "@某用户：看这里", ()),
        ("转//@王五:真的//@云渡水务:通知", "转//@某用户:真的//@云渡水务:通知", ("weibo:102",)),
        ("回复@zhao_6-7:好", "回复@某用户:好", ()),
        ("@云渡发布请尽快处理", "@云渡发布请尽快处理", ("weibo:101",)),
        ("@云渡发布的小粉丝 你好", "@某用户 你好", ()),
        ("@云渡水务@云渡发布@云渡水务", "@云渡水务@云渡发布@云渡水务", ("weibo:102", "weibo:101")),
        ("@13800138000 你好", "@某用户 你好", ()),
        ("看 https://weibo.com/1234567890/IqXpDAotn", "看 https://m.weibo.cn/status/IqXpDAotn", ()),
        ("主页 https://weibo.com/u/1234567890", "主页 https://weibo.com/u/某用户", ()),
    ],
)
def test_names(text: str, expected: str, mentions: tuple[str, ...]) -> None:
    assert mask(text, OFFICIAL) == (expected, mentions)
    assert mask(expected, OFFICIAL)[0] == expected


names = st.text(st.characters(categories=["L", "N"], max_codepoint=0x9FFF), min_size=2, max_size=30)


@given(names.filter(lambda name: not name.startswith(("云渡", "某用户"))), chinese_text)
def test_names_of_people_never_stay(name: str, rest: str) -> None:
    text, mentions = mask(f"@{name} {rest}", OFFICIAL)
    assert text.startswith("@某用户 ")
    assert mentions == ()


@given(st.text(max_size=80))
def test_masking_twice_is_masking_once_and_never_fails(text: str) -> None:
    once, mentions = mask(text, OFFICIAL)
    assert mask(once, OFFICIAL) == (once, mentions)


@given(st.text("@＠云渡发布水务张三 138001：:。/微信qQ【】某用户电话-+86.", max_size=60))
def test_masking_is_stable_on_what_looks_like_it(text: str) -> None:
    once, _ = mask(text, OFFICIAL)
    assert mask(once, OFFICIAL)[0] == once


def test_no_input_makes_masking_slow() -> None:
    for text in ("1" * 50_000, "1 " * 10_000, "a" * 200_000, "@" * 100_000, "一" * 50_000,
                 "微信" * 50_000, "a.b-" * 50_000 + "@", "138-" * 50_000):  # fmt: skip
        masked(text)  # the test's time limit is the assertion: quadratic work takes hours


def test_author_keys_depend_on_secret_platform_and_number() -> None:
    one, other = Identity(b"a" * 32), Identity(b"b" * 32)
    key = one.author_key("weibo", "123")
    assert re.fullmatch(r"u[0-9a-f]{16}", key)
    assert key == Identity(b"a" * 32).author_key("weibo", "123")
    assert len({key, other.author_key("weibo", "123"), one.author_key("douyin", "123"),
                one.author_key("weibo", "124")}) == 4  # fmt: skip
    assert "61" * 4 not in repr(one) and "aaaa" not in repr(one)
    with pytest.raises(SettingsError):
        Identity(b"short")
