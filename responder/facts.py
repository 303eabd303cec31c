"""The checkable facts in a sentence, and whether official words support them.

A sentence is taken clause by clause. A clause that states a fact (number, date, time, phone line,
money, place, unit) or makes a claim (something is done, caused, free, allowed, true ...) needs
words of evidence: all its facts and claim words there, most of its content words, and the same yes
or no. A clause with neither (a greeting, thanks, an invitation to ask) needs none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from responder.lexicon import GENERAL_NAMES, RELATIVE_DAYS, SAME_UNIT, UNITS
from responder.words import clauses, content_words, plain, sentences, squeeze, tagged

SHANGHAI = ZoneInfo("Asia/Shanghai")
COVERAGE = 0.6
"""Share of a clause's content words that the evidence must have."""
NAME = "名称"
_PART = re.compile(r"[，,；;、]")
BLANK = "__"
"""Something still to be filled in; never supported."""


@dataclass(frozen=True)
class Fact:
    """One checkable statement: `kind`, its normal form, and the words that gave it."""

    kind: str
    value: str
    words: str


@dataclass(frozen=True)
class Evidence:
    """Official words that may support a sentence. `at`: what 今天 means in them."""

    source: str
    text: str
    at: datetime
    author: str = ""


@dataclass(frozen=True)
class Support:
    """Whether a sentence holds, by which source and quote, and the words that nobody supports."""

    supported: bool
    sources: tuple[str, ...] = ()
    quote: str = ""
    missing: tuple[str, ...] = ()


_CN = "零〇一二两三四五六七八九十百千"
_DIGIT = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_SCALE = {"十": 10, "百": 100, "千": 1000}
_UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
_N = rf"(?:\d+(?:\.\d+)?|[{_CN}]+)"
_FRACTION = re.compile(rf"(百|[{_CN}]+|\d+)分之([{_CN}]+|\d+)")
_DATE = re.compile(rf"(?:({_N})年)?({_N})月({_N})[日号]?(?!\d)")
_TIME = re.compile(
    rf"(凌晨|清晨|早上|早|上午|中午|下午|傍晚|晚上|今晚|明晚|昨晚|晚|夜里)?"
    rf"(?:(\d{{1,2}}):(\d{{2}})|({_N})(?:点|时(?![间段候限代期长速]))(?:({_N})分?|(半)|(一刻)|整)?)"
)
_NUMBER = re.compile(
    rf"(\d+(?:,\d{{3}})*(?:\.\d+)?|[{_CN}]*[{_CN}])([万亿]?)(?:多|余|几|来)?(?:个(?=工作日|小时|月))?({_UNIT})?"
)
_PART_OF_DAY = {"晚": "晚", "晨": "早晨", "早": "早上"}
_RELATIVE_DAY = re.compile("|".join(RELATIVE_DAYS))
_WEEKDAY = re.compile(r"(?:每|本|这|下|上)?(?:周|星期|礼拜)([一二三四五六日天末])")
_HALF = re.compile(r"半(年|天|个月|小时|个小时)")
_IDIOM = re.compile(
    r"一(?:个|下|些|样|起|直|定|时|次|点|律|般|切|家人|方面|边|旦|位|一)|万一|十分|千万(?!元)|第一时间|"
    r"三三两两|四处|百姓|一百(?=姓)|百分百"
)
_NAME_END = re.compile(
    r"(?:省|市|区|县|街道|镇|乡|村|社区|小区|路|街|巷|大道|大桥|隧道|桥|站|号线|医院|学校|幼儿园|中学|小学|大学|局|委|办|"
    r"办公室|中心|公司|集团|支队|大队|派出所|所|厅|院|处|馆|公园|广场|大厦|营业厅|新村|花园|苑|里)$"
)
_CLAIM = re.compile(
    r"已经?(?:[^，。]{0,6}?)(恢复|修复|修好|解决|处理|完成|整改|开通|通车|停止|关闭|供水|供电|到位|到达|抢修|查封|立案|赔付|发放)|"
    r"(恢复|修好|停运|停课|停水|停电|停气|封闭|封路|关闭|免费|不收费|收费|罚款|赔偿|补贴|减免|退还|退费)|"
    r"(因为|由于|原因是|系因|所致|造成|导致|引发|引起)|"
    r"(属实|谣言|合格|达标|超标|安全|无毒|中毒|死亡|受伤|伤亡|失踪|不存在|编造)|"
    r"(可以|不能|不可|无需|不用|必须|应当|禁止|允许|不得|符合|保证|确保|承诺|一定会)"
)
_COURTESY = re.compile(
    r"可以(?:随时|继续|接着|直接|再)?(?:问|私信|留言|联系我们|告诉我们|找我们|补充)|不用谢|不用客气|"
    r"(?:给您|给大家|为您).{0,4}造成.{0,6}(?:不便|麻烦|困扰)|一定会?(?:记下|转告)"
)
_NOT = re.compile(
    r"不(?![仅但过如])|没有?|无(?!锡|人机|线|论)|非(?!常|法)|禁止|勿|未|别(?=[再去来])|否(?=认|定)|拒绝"
)
_QUOTED = re.compile(r"“[^”]*”")


def dated(sentence: str, published: datetime) -> str:
    """A notice's sentence as it may be said later: 今天 and the like become dates.

    今天 in a notice of yesterday is not today. The rest stays word for word.
    """

    def date(match: re.Match[str]) -> str:
        word = match[0]
        day = published.astimezone(SHANGHAI) + timedelta(days=RELATIVE_DAYS[word])
        return f"{day.month}月{day.day}日{_PART_OF_DAY.get(word[-1], '')}"

    words = _RELATIVE_DAY.sub(date, plain(sentence))
    return words if words.endswith(tuple("。！？!?")) else words.rstrip("；;，,") + "。"


@lru_cache(maxsize=8192)
def facts(text: str, at: datetime) -> frozenset[Fact]:
    """All checkable facts of a text; `at` is the moment that 今天 and the like refer to."""
    whole = unicodedata.normalize("NFKC", text).replace(" ", "")
    found: list[Fact] = []
    rest = whole
    rest = _take(_IDIOM, rest, lambda match: None)
    rest = _take(_FRACTION, rest, lambda match: found.extend(_fraction(match)))
    rest = _take(_RELATIVE_DAY, rest, lambda match: found.extend(_relative(match, at)), keep=True)
    rest = _take(_DATE, rest, lambda match: found.extend(_date(match)))
    rest = _take(_WEEKDAY, rest, lambda match: found.append(_weekday(match)))
    rest = _take(_TIME, rest, lambda match: found.extend(_time(match)))
    rest = _take(
        _HALF, rest, lambda match: found.append(Fact("数", f"0.5{_unit(match[1])}", match[0]))
    )
    _take(_NUMBER, rest, lambda match: found.extend(_number(match)))
    found.extend(Fact(NAME, name, name) for name in _names(whole))
    return frozenset(found)


def claims(clause: str) -> frozenset[str]:
    """Words by which a clause claims that something is done, caused, free, allowed or true."""
    rest = _COURTESY.sub("", _QUOTED.sub("", clause))
    return frozenset(word for match in _CLAIM.finditer(rest) for word in match.groups() if word)


def negated(clause: str) -> bool:
    """True when the clause says no (an even number of negations says yes)."""
    return len(_NOT.findall(_QUOTED.sub("", clause))) % 2 == 1


def support(
    sentence: str, evidence: Sequence[Evidence], at: datetime, *, citizen: str = ""
) -> Support:
    """Check one sentence against all the evidence.

    `citizen`: the text that is answered; its words between “ ” may be repeated as they stand.
    """
    for one in evidence:
        for quote in sentences(one.text):
            if squeeze(dated(quote, one.at)) == squeeze(sentence):
                return Support(True, (one.source,), quote.strip())
    sources: list[str] = []
    quotes: list[str] = []
    missing: list[str] = []
    for clause in clauses(_without_quotes(sentence, citizen)):
        if BLANK in clause:
            missing.append("待填写")
            continue
        wanted, claimed = facts(clause, at), claims(clause)
        if not wanted and not claimed:
            continue
        held = _held(clause, wanted, claimed, evidence)
        if held is None:
            words = sorted({fact.words for fact in _unheld(wanted, evidence)} or {clause})
            missing.extend(words)
        else:
            sources.append(held[0])
            quotes.append(held[1])
    return Support(
        not missing, tuple(dict.fromkeys(sources)), "".join(dict.fromkeys(quotes)),
        tuple(dict.fromkeys(missing)),
    )  # fmt: skip


def _held(
    clause: str, wanted: frozenset[Fact], claimed: frozenset[str], evidence: Sequence[Evidence]
) -> tuple[str, str] | None:
    """(source, quote) of the first words that hold the clause."""
    for one in evidence:
        for quote in sentences(one.text):
            if _facts_in(wanted, quote, one) and _said_by(clause, claimed, quote):
                return one.source, quote.strip()
    return None


def _facts_in(wanted: frozenset[Fact], quote: str, one: Evidence) -> bool:
    """True when the quote has all the facts, and not each about a different place."""
    values = {(fact.kind, fact.value) for fact in wanted if fact.kind != NAME}
    names = {squeeze(fact.value) for fact in wanted if fact.kind == NAME}
    published = one.at.astimezone(SHANGHAI)
    own_day = {("日期", f"{published.month}-{published.day}")}
    if not values <= own_day | _values(quote, one.at):
        return False
    squeezed = squeeze(quote)
    others = {fact.value for fact in facts(quote, one.at) if fact.kind == NAME}
    # A notice often names the place once, in the sentence before.
    near = squeezed + squeeze(one.author) + ("" if others else squeeze(one.text))
    if not all(name in near for name in names):
        return False
    if names and values and len(others) > 1:
        return any(
            all(name in squeeze(part) for name in names) and values <= _values(part, one.at)
            for part in _PART.split(quote)
        )
    return True


def _values(text: str, at: datetime) -> set[tuple[str, str]]:
    return {(fact.kind, fact.value) for fact in facts(text, at) if fact.kind != NAME}


def _said_by(clause: str, claimed: frozenset[str], quote: str) -> bool:
    """True when the quote has the claim's words, most content words, and the same yes or no."""
    squeezed, words = squeeze(quote), content_words(clause)
    if not all(word in squeezed for word in claimed):
        return False
    hit = [word for word in words if squeeze(word) in squeezed or _is_fact_word(word)]
    if len(hit) < COVERAGE * len(words):
        return False
    best = max(clauses(quote), key=lambda part: _overlap(words, part), default="")
    return negated(best) == negated(clause)


def _unheld(wanted: frozenset[Fact], evidence: Sequence[Evidence]) -> list[Fact]:
    """Facts that no evidence has anywhere: the words to show as unsupported."""
    there = {(f.kind, f.value) for one in evidence for f in facts(one.text, one.at)}
    texts = "".join(squeeze(one.text + one.author) for one in evidence)
    return [
        fact
        for fact in wanted
        if (fact.kind, fact.value) not in there
        and not (fact.kind == NAME and squeeze(fact.value) in texts)
    ]


def _overlap(words: Sequence[str], part: str) -> int:
    squeezed = squeeze(part)
    return sum(len(word) for word in words if squeeze(word) in squeezed)


def _is_fact_word(word: str) -> bool:
    return bool(re.search(r"\d", word)) or word in RELATIVE_DAYS


def _without_quotes(sentence: str, citizen: str) -> str:
    """Take out “…” whose words the citizen wrote; made-up quotations stay and are checked."""
    said = squeeze(citizen)

    def keep(match: re.Match[str]) -> str:
        return "" if said and squeeze(match[0]).rstrip("…") in said else match[0]

    return _QUOTED.sub(keep, sentence)


def _take(
    pattern: re.Pattern[str], text: str, use: Callable[[re.Match[str]], object], keep: bool = False
) -> str:
    """Hand each match to `use` and blank it out, so that no later pattern reads it again."""
    for match in pattern.finditer(text):
        use(match)
    return text if keep else pattern.sub(lambda match: "|" * len(match[0]), text)


def number(words: str) -> float | None:
    """Value of digits or Chinese numerals below ten thousand; None when it is neither."""
    try:
        return float(words.replace(",", ""))
    except ValueError:
        pass
    total = current = 0
    for char in words:
        if char in _DIGIT:
            current = _DIGIT[char]
        elif char in _SCALE:
            total += (current or 1) * _SCALE[char]
            current = 0
        else:
            return None
    return float(total + current)


def _plain(value: float | None) -> str:
    return "?" if value is None else f"{value:g}" if value < 1e15 else str(value)


def _unit(words: str | None) -> str:
    return SAME_UNIT.get(words or "", words or "")


def _fraction(match: re.Match[str]) -> list[Fact]:
    if match[1] == "百":
        return [Fact("数", f"{_plain(number(match[2]))}%", match[0])]
    return [Fact("数", f"{_plain(number(match[2]))}/{_plain(number(match[1]))}", match[0])]


def _relative(match: re.Match[str], at: datetime) -> list[Fact]:
    day = at.astimezone(SHANGHAI) + timedelta(days=RELATIVE_DAYS[match[0]])
    return [Fact("日期", f"{day.month}-{day.day}", match[0])]


def _date(match: re.Match[str]) -> list[Fact]:
    day = f"{_plain(number(match[2]))}-{_plain(number(match[3]))}"
    year = [Fact("年", _plain(number(match[1])), f"{match[1]}年")] if match[1] else []
    return [Fact("日期", day, match[0]), *year]


def _weekday(match: re.Match[str]) -> Fact:
    return Fact("星期", match[1].replace("天", "日"), match[0])


def _time(match: re.Match[str]) -> list[Fact]:
    hour = number(match[2] or match[4])
    minute = number(match[3] or match[5] or ("30" if match[6] else "15" if match[7] else "0"))
    if hour is None or minute is None:
        return []
    if (match[1] or "") in {
        "下午",
        "傍晚",
        "晚上",
        "今晚",
        "明晚",
        "昨晚",
        "晚",
        "夜里",
    } and hour < 12:
        hour += 12
    return [Fact("时刻", f"{hour:02.0f}:{minute:02.0f}", match[0])]


def _number(match: re.Match[str]) -> list[Fact]:
    digits = match[1][0].isdigit()
    unit = match[3] or ""
    if not digits and not unit and not match[2]:
        return []  # a numeral inside a word, not an amount
    value = number(match[1])
    if value is None:
        return []
    scale = {"万": 1e4, "亿": 1e8}
    for sign in (match[2], unit[:1] if unit in {"万元", "亿元", "万人次"} else ""):
        value *= scale.get(sign, 1)
    unit = unit[1:] if unit in {"万元", "亿元", "万人次"} else unit
    kind = "电话" if digits and not unit and len(match[1]) in {3, 5, 7, 8, 11} else "数"
    return [Fact(kind, f"{match[1] if kind == '电话' else _plain(value)}{_unit(unit)}", match[0])]


def _names(text: str) -> list[str]:
    """Runs of nouns that end like a place or a unit; general words (本市, 小区) do not count."""
    found: list[str] = []
    run = ""
    for word, flag in (*tagged(text), ("。", "x")):
        nominal = flag[:1] in {"n", "j", "s", "f", "b", "m", "q", "a"} or flag in {"l", "i", "eng"}
        if nominal and re.fullmatch(r"[\w·]+", word) and flag not in {"m", "q"}:
            run += word
            if _NAME_END.search(run) and run not in GENERAL_NAMES and len(run) >= 3:
                found.append(run)
        elif flag in {"m", "q"} and run:
            run += word
        else:
            run = ""
    # Of runs that grow (建新, 建新路, 建新路派出所) the longest says it all.
    return [name for name in found if not any(o != name and o.startswith(name) for o in found)]
