"""What is hidden before anything is written: names of ordinary people and their numbers.

`mask` replaces @names that are not official accounts by @某用户, and numbers by their kind:
【电话】【身份证】【银行卡】【邮箱】【微信】【QQ】. Public service numbers (110, 12345, 95xxx,
400/800 hotlines) stay. `Identity` turns an account number into a keyed hash.

Digits may be full-width, circled, keycap emoji or Chinese numerals, and be set apart by spaces,
hyphens or dots. What is masked stays as it is when it is masked again.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from huiyin.errors import SettingsError

SOMEBODY = "@某用户"

PHONE = "【电话】"
ID_CARD = "【身份证】"
EMAIL = "【邮箱】"
BANK_CARD = "【银行卡】"
WECHAT = "【微信】"
QQ = "【QQ】"


@dataclass(frozen=True)
class Identity:
    """Makes author keys with the office's secret (16 to 64 bytes, from `huiyin init`)."""

    secret: bytes

    def __post_init__(self) -> None:
        if not 16 <= len(self.secret) <= hashlib.blake2b.MAX_KEY_SIZE:
            raise SettingsError(
                [("secrets.folder", "作者密钥长度应为 16 至 64 字节", "运行 huiyin init 重新生成")]
            )

    def author_key(self, platform: str, native: str) -> str:
        """`u` and 16 hex digits: keyed BLAKE2b of platform and account number (or name)."""
        text = f"{platform}\0{native}".encode("utf-8", "replace")
        return "u" + hashlib.blake2b(text, key=self.secret, digest_size=8).hexdigest()

    def __repr__(self) -> str:
        return "Identity(secret=…)"


# ---------------------------------------------------------------- @names

_NAME = re.compile(r"[@＠]([\w\-·・]{1,30})")
_WORD = re.compile(r"[\w\-·・]")
# Words that begin a sentence to an account whose name was not closed by a space ("@某市发布请问").
_ADDRESS = re.compile(r"(?=您好|你好|请|求|我|在吗|你们|您|为什么|为何|怎么|能不能|什么时候|快|这)")


def _mask_names(text: str, official: Mapping[str, str]) -> tuple[str, list[str]]:
    mentions: list[str] = []
    parts: list[str] = []
    end = 0
    for match in _NAME.finditer(text):
        name = match[1]
        account = official.get(name)
        stop = match.end()
        if account is None:
            shorter = _official_prefix(name, official)
            if shorter is not None:
                account = official[shorter]
                stop = match.start() + 1 + len(shorter)
        parts.append(text[end : match.start()])
        if account is not None:
            mentions.append(account)
            parts.append(text[match.start() : stop])
        else:
            parts.append(SOMEBODY)
            if _WORD.match(text, stop):  # a name of more than 30 characters: keep it apart
                parts.append(" ")
        end = stop
    parts.append(text[end:])
    return "".join(parts), list(dict.fromkeys(mentions))


def _official_prefix(name: str, official: Mapping[str, str]) -> str | None:
    """The longest official name at the start of `name` that is followed by words of address."""
    lengths = [found.start() for found in _ADDRESS.finditer(name, 2)]
    for length in reversed(lengths):
        if name[:length] in official:
            return name[:length]
    return None


# ---------------------------------------------------------------- numbers

_DIGIT = r"0-9０-９①-⑨⓪⁰¹²³⁴-⁹₀-₉"
_GAP = r"[ \t\u3000\u00a0\-－—–_~·•.．/()（）+\u200b-\u200d\u2060\ufeff\ufe0f\u20e3]"
_SIX = re.compile(f"[{_DIGIT}](?:{_GAP}{{0,3}}[{_DIGIT}]){{6}}")
_RUN = re.compile(f"[{_DIGIT}](?:{_GAP}{{0,3}}[{_DIGIT}])+")
_GROUP = re.compile(f"[{_DIGIT}]+")
_CHINESE = "〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖两"
_CHINESE_DIGITS = dict(zip(_CHINESE, "001234567891" + "1234567892", strict=True))
_MIXED = re.compile(f"[{_CHINESE}{_DIGIT}]{{11,}}")
_MIXED_GAPS = re.compile(f"[{_CHINESE}{_DIGIT}](?:{_GAP}{{0,2}}[{_CHINESE}{_DIGIT}]){{10,}}")
_KEYCAP = "\ufe0f\u20e3"
_MOBILE = re.compile(r"(?:(?:00)?86)?(1[3-9]\d{9})\Z")
_LANDLINE = re.compile(r"0(?:10|2\d|[3-9]\d\d)[2-9]\d{6,7}\Z")
_HOTLINE = re.compile(r"[48]00\d{7}\Z")
_INTRODUCED = re.compile(
    r"(?:电话|热线|座机|手机|联系|致电|拨打|来电|传真|Tel|TEL|tel)[^\d\n]{0,6}\Z"
)
_CARD_WORDS = re.compile(r"(?:卡号|账号|帐号|账户|帐户|银行|汇款)[^\d\n]{0,8}\Z")
# How people split a mobile number; other splits count when all gaps are the same.
_MOBILE_SPLITS = {
    (11,), (3, 4, 4), (3, 8), (3, 3, 5), (4, 3, 4), (4, 4, 3), (7, 4), (5, 6), (6, 5), (1, 10),
    (2, 11), (2, 3, 4, 4), (2, 3, 8), (13,), (4, 11), (4, 3, 4, 4), (15,), (5, 4, 4), (3, 3, 3, 2),
}  # fmt: skip
_LONGEST = 19


def _ascii(digits: str) -> str:
    if digits.isascii():
        return digits
    return "".join(str(unicodedata.digit(one)) for one in digits)


def _mask_numbers(text: str) -> str:
    parts: list[str] = []
    end = 0
    phone = -9
    for run in _RUN.finditer(text):
        if run.end() - run.start() < 7:
            continue
        for start, stop, kind in _numbers(text, run.start(), run.end(), phone):
            parts.append(text[end:start])
            parts.append(kind)
            end = stop
            while end < len(text) and text[end] in _KEYCAP:
                end += 1
            phone = end if kind == PHONE else phone
    if not parts:
        return text
    parts.append(text[end:])
    return "".join(parts)


def _numbers(text: str, start: int, end: int, phone: int) -> list[tuple[int, int, str]]:
    """The (start, end, kind) of numbers to hide inside one run of digit groups.

    `phone` is where the last telephone number before the run ended.
    """
    groups = [(one.start(), one.end()) for one in _GROUP.finditer(text, start, end)]
    digits = [_ascii(text[a:b]) for a, b in groups]
    found: list[tuple[int, int, str]] = []
    first = 0
    while first < len(groups):
        last = first
        joined = ""
        best: tuple[int, str, int] | None = None
        while last < len(groups) and len(joined) + len(digits[last]) <= _LONGEST:
            joined += digits[last]
            stop = groups[last][1]
            if len(joined) >= 7:
                gaps = [text[b:a] for (_, b), (a, _) in pairwise(groups[first : last + 1])]
                split = tuple(len(one) for one in digits[first : last + 1])
                told = groups[first][0] - phone <= 3
                kind, stop = _kind(text, groups[first][0], stop, joined, split, gaps, told)
                if kind:
                    best = (last, kind, stop)
            last += 1
        if best is None:
            first += 1
            continue
        found.append((_with_plus(text, groups[first][0], best[1]), best[2], best[1]))
        phone = best[2] if best[1] == PHONE else phone
        first = best[0] + 1
    return found


def _with_plus(text: str, start: int, kind: str) -> int:
    """Take the + of +86 (or the bracket of an area code) along."""
    if kind == PHONE and start and text[start - 1] in "+＋(（":
        return start - 1
    return start


def _kind(
    text: str, start: int, stop: int, joined: str, split: tuple[int, ...], gaps: list[str],
    told: bool,
) -> tuple[str, int]:  # fmt: skip
    """What a chain of digit groups is ("" = nothing to hide), and where it ends.

    `told`: it follows right after a telephone number, so a short one is a telephone too.
    """
    size = len(joined)
    even = len(set(gaps)) <= 1
    if 11 <= size <= 15 and (even or split in _MOBILE_SPLITS) and _MOBILE.match(joined):
        dotted = any("." in gap or "/" in gap for gap in gaps)
        if not dotted or split in {(3, 4, 4), (1,) * 11}:
            return PHONE, stop
    if size == 17 and stop < len(text) and text[stop] in "xXＸｘ" and _born(joined[6:14]):
        return ID_CARD, stop + 1
    if size == 18 and _born(joined[6:14]):
        return ID_CARD, stop
    if size == 15 and len(split) <= 3 and joined[0] != "0" and _born("19" + joined[6:12]):
        return ID_CARD, stop
    if _landline(text, start, joined, split, told):
        return PHONE, stop
    if 16 <= size <= 19 and _is_card(text, start, joined, split):
        return BANK_CARD, stop
    return "", stop


def _landline(text: str, start: int, joined: str, split: tuple[int, ...], told: bool) -> bool:
    if 10 <= len(joined) <= 12 and len(split) <= 4 and _LANDLINE.match(joined):
        return split[0] >= 3  # not the zero of an enumeration
    if 12 <= len(joined) <= 14 and joined.startswith("86") and len(split) <= 4:
        return bool(_LANDLINE.match("0" + joined[2:]))
    if _HOTLINE.match(joined):
        return False
    if len(joined) not in (7, 8) or len(split) > 2 or joined[0] in "01" or _born(joined):
        return False
    return told or bool(_INTRODUCED.search(text, max(0, start - 12), start))


def _is_card(text: str, start: int, joined: str, split: tuple[int, ...]) -> bool:
    if start and text[start - 1] in "/=":  # the number of a post in a link
        return False
    if _CARD_WORDS.search(text, max(0, start - 16), start) or split[:3] == (4, 4, 4):
        return True
    return len(split) == 1 and (joined.startswith("62") or _luhn(joined))


def _luhn(digits: str) -> bool:
    total = 0
    for place, one in enumerate(reversed(digits)):
        value = int(one) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _born(digits: str) -> bool:
    """True for a date yyyymmdd between 1850 and 2099."""
    if not "1850" <= digits[:4] <= "2099":
        return False
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return True


def _mask_chinese(text: str) -> str:
    """Mobile and ID numbers written wholly or partly in Chinese numerals."""

    def replace(match: re.Match[str]) -> str:
        places: list[int] = []
        digits = ""
        for place, one in enumerate(match[0]):
            digit = _CHINESE_DIGITS.get(one) or (_ascii(one) if _GROUP.match(one) else "")
            if digit:
                digits += digit
                places.append(place)
        found = re.search(r"(?<!\d)(?:[1-9]\d{16}[\dXx]|1[3-9]\d{9})(?!\d)", digits)
        if found is None or (len(found[0]) == 18 and not _born(found[0][6:14])):
            return match[0]
        a, b = places[found.start()], places[found.end() - 1] + 1
        kind = PHONE if len(found[0]) == 11 else ID_CARD
        return match[0][:a] + kind + match[0][b:]

    return _MIXED_GAPS.sub(replace, _MIXED.sub(replace, text))


# ---------------------------------------------------------------- addresses

_EMAIL = re.compile(
    r"[A-Za-z0-9._%+\-]{1,64}\s?(?:[@＠]|[\[(（【](?:at|AT|艾特)[\])）】])\s?"
    r"(?:[A-Za-z0-9\-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![A-Za-z])"
)
_BETWEEN = r"(?:号码|帐号|账号|同号|号)?\s*(?:是|为|加|搜)?\s*[:：=]?\s*[\"“'(（【\[]?\s*"
_WECHAT = re.compile(
    r"(微信|薇信|徽信|V信|v信|(?<![A-Za-z0-9])(?:WeChat|wechat|Wechat|VX|vx|Vx|WX|wx))"
    r"(?!公众号|小程序|支付)(" + _BETWEEN + r")"
    r"([A-Za-z][A-Za-z0-9_\-]{5,19}|1[3-9]\d{9}|[1-9]\d{4,11})(?![A-Za-z0-9_])"
)
_QQ = re.compile(
    r"((?<![A-Za-z0-9])(?:QQ|qq|Qq)|扣扣|企鹅号)((?:群)?" + _BETWEEN + r")([1-9]\d{4,11})(?!\d)"
)
_WEIBO_LINK = re.compile(
    r"(https?://)?((?:www\.|m\.)?weibo\.(?:com|cn)/)(?:u/|n/|p/|profile/)?(\d{5,})(/[0-9A-Za-z]{6,12})?"
)


def _wechat(match: re.Match[str]) -> str:
    # A word after "微信" alone is no account ("微信 WeChatPay"); with a colon or a digit it is.
    told = any(sign in match[2] for sign in "号:：=加搜是为")
    if not told and match[3].isalpha():
        return match[0]
    return match[1] + match[2] + WECHAT


def _weibo_link(match: re.Match[str]) -> str:
    scheme = match[1] or ""
    if match[4]:
        return f"{scheme}m.weibo.cn/status{match[4]}"
    return f"{scheme}{match[2]}u/某用户"


# ---------------------------------------------------------------- all of it


def mask(text: str, official: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Hide people and numbers in `text`; also return the ids of the official accounts it names.

    `official` maps account names to account ids. Quick tests come first: most posts hold neither
    an @ nor a long number, and an import masks 15,000 posts a second.
    """
    mentions: list[str] = []
    if "weibo." in text:
        text = _WEIBO_LINK.sub(_weibo_link, text)
    if "@" in text or "＠" in text or "at" in text or "艾特" in text or "AT" in text:
        text = _EMAIL.sub(EMAIL, text)
        if "@" in text or "＠" in text:
            text, mentions = _mask_names(text, official)
    if not text.isascii() or _SIX.search(text) or "qq" in text or "QQ" in text or "x" in text:
        text = _hide_numbers(text)
    return text, tuple(mentions)


# Each begins with a letter: where the first may be one of several, the
# search takes six times as long.
_ACCOUNT_HINT = re.compile(r"信|QQ|qQ|qq|扣扣|企鹅号|Chat|chat|VX|Vx|vX|vx|WX|Wx|wX|wx")


def _hide_numbers(text: str) -> str:
    if _ACCOUNT_HINT.search(text):
        text = _WECHAT.sub(_wechat, text)
        text = _QQ.sub(lambda found: found[1] + found[2] + QQ, text)
    if _SIX.search(text):
        text = _mask_numbers(text)
    if _MIXED_GAPS.search(text):
        text = _mask_chinese(text)
    return text


def masked(text: str) -> str:
    """`mask` for messages and reports: no name at all is official there."""
    return mask(text, {})[0]
