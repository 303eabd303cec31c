"""Makes the incident record of a group: title, summary, places, claims, life cycle."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

from huiyin.records import Incident, IncidentState, Level, Place, Sentence
from nlp.incidents import lexicon
from nlp.incidents.burst import Burst
from nlp.incidents.claims import FindDebunk, judge_claims, said_by
from nlp.incidents.gathering import Gathering, Member
from nlp.incidents.levels import Levels, read_levels
from nlp.incidents.severity import suspect
from nlp.incidents.terms import tags, terms

TITLE_CHARS = 30
SUMMARY_SENTENCES = 3
KEY_POSTS = 5
SCAN = 60
"""Posts of the evidence that titles and summaries are taken from."""
EASING_AFTER = timedelta(hours=6)
ACTIVE_AUTHORS = 10

_NOISE = re.compile(
    r"https?://\S+|#[^#\n]{1,40}#|@\S{1,30}|\[[^\[\]\s]{1,8}\]|网页链接|【(?:转|求|急|"
    r"紧急)?扩[^】]*】|"
    r"转发微博|\S{1,20}的(?:微博|秒拍|优酷)视频|//.*|&quot;?|[\u2600-\u27bf\ufe0f\u200d\u20e3]|"
    r"[\U0001f000-\U0001faff]"
)
_CONTACT = re.compile(r"电话|手机|联系人|微信|【电话】|\*{4}|\d{7}|位置[:：]|地址[:：]")
"""A sentence with a contact tells whom to call, not what happened."""
_SENTENCE = re.compile(r"[^。！？!?；;\n…]+")
_EDGE = " \t，,、:：.。~～-—“”\"'()（）【】《》『』「」·"


def build(
    group: str, gathering: Gathering, *, jurisdiction: str, opened_at: datetime,
    alerted_at: datetime | None, burst: Burst, window: timedelta, now: datetime,
    levels: Levels | None = None, find_debunk: FindDebunk | None = None,
) -> Incident:  # fmt: skip
    """The incident record of a group as it stands.

    `levels`: the office's table; `find_debunk`: looks a claim up among what was debunked before.
    """
    level, reasons = _level(gathering, burst, levels or read_levels())
    sentences = _sentences(_tellers(gathering))
    accounts, last = _accounts(gathering), _time(gathering.last)
    topic = sentences[0][0] if sentences else ""
    return Incident(
        id=group,
        offices=accounts,
        jurisdiction=jurisdiction,
        state=state_of(last, alerted_at, burst.voices, window, now),
        title=_title(gathering.evidence, sentences),
        summary=_summary(sentences),
        suspected_level=level,
        level_reasons=(*reasons, *burst.reasons()),
        score=burst.terms(),
        key_posts=tuple(one.id for one in gathering.evidence[:KEY_POSTS]),
        places=_places(gathering.evidence),
        claims=judge_claims(gathering, topic, find_debunk),
        accounts=accounts,
        posts=gathering.posts,
        authors=burst.voices,
        first_post_at=_time(gathering.first),
        last_post_at=last,
        opened_at=opened_at,
        alerted_at=alerted_at,
        reading_delay_seconds=float(median(one.delay for one in gathering.members())),
    )


def _level(
    gathering: Gathering, burst: Burst, table: Levels
) -> tuple[Level | None, tuple[str, ...]]:
    return suspect(
        burst.severity, burst.voices, burst.kinds, said_by(gathering),
        levels=table, matters=matters_of(gathering.evidence, table),
    )  # fmt: skip


def _summary(sentences: Sequence[tuple[str, str]]) -> tuple[Sentence, ...]:
    return tuple(Sentence(text=text, posts=(post,)) for text, post in sentences[:SUMMARY_SENTENCES])


def _accounts(gathering: Gathering) -> tuple[str, ...]:
    """Official accounts, those that most posts name first."""
    counts = Counter(account for one in gathering.members() for account in one.accounts)
    return tuple(sorted(counts, key=lambda account: (-counts[account], account)))


def matters_of(members: Sequence[Member], table: Levels) -> set[str]:
    """Kinds of happening that a third of the posts, or an official one, speak of."""
    counts: dict[str, float] = {}
    for one in members:
        for matter in table.matters_of(f"{one.title or ''} {one.text}"):
            counts[matter] = counts.get(matter, 0) + (len(members) if one.official else 1)
    return {matter for matter, count in counts.items() if 3 * count >= len(members)}


def state_of(
    last: datetime, alerted: datetime | None, voices: int, window: timedelta, now: datetime
) -> IncidentState:
    """Emerging, then active (alerted or many voices), easing (6 h quiet), closed (window over)."""
    if now - last > window:
        return IncidentState.CLOSED
    if now - last > EASING_AFTER:
        return IncidentState.EASING
    if alerted is not None or voices >= ACTIVE_AUTHORS:
        return IncidentState.ACTIVE
    return IncidentState.EMERGING


KEPT = (
    "level", "warning", "opinion_level", "lowered_from", "title_by", "verdict", "verdict_at",
    "verdict_kind", "verdict_peak", "acts", "merged_into", "deadlines",
)  # fmt: skip
"""Fields that only people set."""


def kept_by_people(old: Incident, fresh: Incident) -> dict[str, object]:
    """What a newer reading must leave: people's fields, their title, and a level they lowered."""
    kept: dict[str, object] = {name: getattr(old, name) for name in KEPT}
    if old.title_by:
        kept["title"] = old.title
    order = tuple(Level)
    if old.lowered_from is not None:
        rises = fresh.suspected_level is not None and order.index(
            fresh.suspected_level
        ) < order.index(old.lowered_from)
        kept["suspected_level"] = fresh.suspected_level if rises else old.suspected_level
        kept["lowered_from"] = None if rises else old.lowered_from
    return kept


def clean_sentence(text: str) -> str:
    """Without tags, handles, links, emoticons and stray punctuation at the edges."""
    text = re.sub(r"\s+(?=[，。、：；！？]|$)", "", _NOISE.sub(" ", text))
    return re.sub(r"\s+", " ", text).strip(_EDGE)


def _tellers(gathering: Gathering) -> list[Member]:
    """Posts to take sentences from: originals where there are any."""
    first = gathering.evidence[:SCAN]
    return [one for one in first if one.original] or first


def _sentences(members: Sequence[Member]) -> list[tuple[str, str]]:
    """(sentence, post id), the most telling first; no two that say the same."""
    counts: dict[str, int] = {}
    found: list[tuple[str, str, int, dict[str, int]]] = []
    placed: dict[str, bool] = {}
    topics = dict.fromkeys(tag for one in members for tag in tags(one.text))
    for place, one in enumerate(members):
        seen: dict[str, int] = {}
        whole = _NOISE.sub(" ", one.text)
        names = tuple(dict.fromkeys(where.text for where in one.places if where.text in whole))
        for raw in _SENTENCE.findall(whole):
            text = _without(clean_sentence(raw), topics)
            if 6 <= len(text) <= 120 and not _CONTACT.search(text):
                words = terms(text.lower())
                placed.update({text: any(name in text for name in names)})
                found.append((text, one.id, place, words))
                seen.update(words)
        for word in seen:
            counts[word] = counts.get(word, 0) + 1
    scored = sorted(
        ((_telling(text, words, counts, len(members), placed[text]), -place, text, post, words)
         for text, post, place, words in found),
        key=lambda row: (-row[0], -row[1], row[2]),
    )  # fmt: skip
    chosen: list[tuple[str, str, dict[str, int]]] = []
    for _, _, text, post, words in scored:
        if all(_overlap(words, other) < 0.5 for _, _, other in chosen):
            chosen.append((text, post, words))
        if len(chosen) >= SUMMARY_SENTENCES:
            break
    return [(text, post) for text, post, _ in chosen]


def _telling(
    text: str, words: dict[str, int], counts: dict[str, int], posts: int, placed: bool
) -> float:
    """How many posts share its words; ahead: grave words, a place, a good length."""
    if not words:
        return 0.0
    shared = sum(counts[word] for word in words if counts[word] > 1) / (len(words) * max(1, posts))
    grave = 0.3 if lexicon.DANGER.words.search(text) else 0.0
    grave += 0.2 if lexicon.OUTAGE.words.search(text) or lexicon.ORDER.words.search(text) else 0.0
    length = 0.2 if 10 <= len(text) <= 45 else 0.0
    return shared + grave + length + (0.2 if placed else 0.0)


def _without(text: str, topics: Iterable[str]) -> str:
    """A sentence that begins with the bare name of a topic tag loses it."""
    for topic in topics:
        if text.startswith(topic):
            return text.removeprefix(topic).strip(_EDGE)
    return text


def _overlap(one: dict[str, int], other: dict[str, int]) -> float:
    return len(one.keys() & other.keys()) / max(1, min(len(one), len(other)))


def title_of(gathering: Gathering) -> str:
    """A telling sentence (or the title) of one of the posts, at most `TITLE_CHARS` characters."""
    return _title(gathering.evidence, _sentences(_tellers(gathering)))


def _title(members: Sequence[Member], sentences: Sequence[tuple[str, str]]) -> str:
    titles = [one.title for one in members if one.title and one.voice]
    if titles:
        return shorten(clean_sentence(titles[0]) or titles[0])
    if sentences:
        return shorten(sentences[0][0])
    raw = next((one.text for one in members if one.text.strip()), "")
    return shorten(clean_sentence(raw) or re.sub(r"[#\s]+", " ", raw).strip()) or "内容未读"


def shorten(text: str) -> str:
    """At most `TITLE_CHARS` characters, cut at punctuation where that leaves enough."""
    if len(text) <= TITLE_CHARS:
        return text
    cut = max(text.rfind(mark, 0, TITLE_CHARS) for mark in "，,、：: ")
    return text[:cut] if cut >= 12 else text[: TITLE_CHARS - 1] + "…"


def _places(members: Sequence[Member]) -> tuple[Place, ...]:
    counts: dict[str, int] = {}
    first: dict[str, Place] = {}
    for one in members:
        body = _NOISE.sub(" ", f"{one.title or ''} {one.text}")
        named = [place for place in one.places if place.text in body]  # not in a topic tag alone
        for adcode in dict.fromkeys(place.adcode for place in named):
            counts[adcode] = counts.get(adcode, 0) + 1
        for place in named:
            first.setdefault(place.adcode, place)
    order = sorted(counts, key=lambda adcode: (-counts[adcode], adcode))
    return tuple(first[adcode] for adcode in order[:5])


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
