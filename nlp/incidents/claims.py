"""What posts claim, one statement at a time, and how each stands.

A claim is a number (数字), a cause (原因), a place (地点), a blame (责任), or what an official
denial denies as a whole (经过). It is judged by itself:

- 有依据: a government or media post says it, and none of them says the contrary;
- 已辟谣: a government or media post says the contrary, and fewer than two independent people say
  that they saw it;
- 有争议: such a denial against two or more independent eyewitnesses, officials against officials,
  or as many independent people against it as for it;
- 未证实: everything else, a likeness with a debunked claim of the archive included (it is
  attached; a machine's likeness alone never makes a claim 已辟谣).

Nothing here raises or lowers a level: the level reads numbers by who saw them (`said_by`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from huiyin.records import AuthorKind, Claim
from nlp.incidents import lexicon
from nlp.incidents.figures import DENIES, NAMES, sentences_of, stated
from nlp.incidents.gathering import Gathering, Member
from nlp.incidents.rumour import Telling, risk
from nlp.incidents.severity import Figure
from nlp.incidents.statements import GENERAL, Statement, is_hearsay, is_witness, statements
from nlp.incidents.terms import own_words, terms

MOST_CLAIMS = 16
MOST_POSTS = 10
"""Posts that a claim names for and against."""
ALIKE = 0.5
"""Share of the shorter one's bigrams from which two causes or blames are one claim."""
WITNESSES = 2
EXCEEDS = 1.5
"""A number of people more than this many times the official one contradicts it."""
PLACES = 4
GENERIC = 25
"""A denying sentence of at most so many characters may mean everything said before it."""

_KIND_WORDS = {
    "死亡": re.compile(r"死|遇难|身亡|丧生"), "受伤": re.compile(r"伤"),
    "重伤": re.compile(r"重伤"), "中毒": re.compile(r"中毒|呕吐|腹泻"),
    "失踪": re.compile(r"失踪|失联"), "被困": re.compile(r"被困"),
    "确诊": re.compile(r"确诊|病例"), "聚集": re.compile(r"聚集|围堵"),
}  # fmt: skip
_ORDER = ("数字", "原因", "责任", "地点", "经过")

FindDebunk = Callable[[str, float], str | None]
"""Id of an earlier official denial in the archive that is like a text, before a time; or None."""


@dataclass(slots=True)
class _Draft:
    """A claim being gathered."""

    first: Statement
    time: float
    said: list[Member] = field(default_factory=list)
    denied: list[Member] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    words: dict[str, int] = field(default_factory=dict)


def judge_claims(
    gathering: Gathering,
    topic: str = "",
    find_debunk: FindDebunk | None = None,
) -> tuple[Claim, ...]:
    """The claims of an incident, numbers first, each with its standing, evidence and risk.

    `topic`: sentence that tells what the incident is about; judged too once officials deny.
    """
    members = sorted(gathering.evidence, key=lambda one: (one.time, one.id))
    voice_of = voices_of(gathering)
    drafts = _gather(members)
    if topic and any(one.official and one.content.denies for one in members):
        drafts.append(_whole(topic, members))
    _deny(drafts, members)
    _contradict(drafts)
    claims = [_judge(draft, voice_of, find_debunk) for draft in drafts if draft.said]
    return tuple(sorted(claims, key=_rank)[:MOST_CLAIMS])


def voices_of(gathering: Gathering) -> dict[str, object]:
    """Author -> independent voice; authors of copies of one text are one voice."""
    return {one.author: voice for voice, posts in gathering.independent().items() for one in posts}


def _rank(claim: Claim) -> tuple[int, int, int, str]:
    name = next((n for n, one in enumerate(NAMES) if claim.text.startswith(one)), len(NAMES))
    return (_ORDER.index(claim.about), name, -len(claim.posts_for), claim.text)


def _gather(members: Sequence[Member]) -> list[_Draft]:
    """Statements that say the same, together."""
    exact: dict[tuple[str, str], _Draft] = {}
    loose: dict[str, list[_Draft]] = {"原因": [], "责任": []}
    for one in members:
        for said in statements(own_words(one.text)):
            if said.about in loose:
                words = terms(said.text.lower())
                draft = next((d for d in loose[said.about] if _alike(words, d.words)), None)
                if draft is None:
                    draft = _Draft(said, one.time, words=words)
                    loose[said.about].append(draft)
            else:
                draft = exact.setdefault((said.about, said.key), _Draft(said, one.time))
            _take(draft, one, said)
    numbers = [draft for (about, _), draft in exact.items() if about == "数字"]
    places = [
        draft for (about, _), draft in exact.items()
        if about == "地点" and (len(draft.said) >= 2 or any(one.official for one in draft.said))
    ]  # fmt: skip
    places.sort(key=lambda draft: (-len(draft.said), draft.time, draft.first.key))
    return [
        *(draft for draft in numbers if draft.first.number or len(draft.said) > 1 or draft.denied
          or any(one.official for one in draft.said)),
        *loose["原因"], *loose["责任"], *places[:PLACES],
    ]  # fmt: skip


def _take(draft: _Draft, one: Member, said: Statement) -> None:
    posts = draft.denied if said.denied else draft.said
    if one not in posts:
        posts.append(one)
    if len(draft.sentences) < 5 and said.sentence not in draft.sentences and not said.denied:
        draft.sentences.append(said.sentence)


def _alike(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    if min(len(one), len(other)) < 2:
        return one.keys() == other.keys()
    return len(one.keys() & other.keys()) >= ALIKE * min(len(one), len(other))


def _whole(topic: str, members: Iterable[Member]) -> _Draft:
    draft = _Draft(Statement("经过", topic, topic, topic), 0.0, sentences=[topic])
    draft.said = [one for one in members if one.voice and not one.official
                  and not DENIES.search(own_words(one.text))]  # fmt: skip
    return draft


def _deny(drafts: Sequence[_Draft], members: Sequence[Member]) -> None:
    """Sentences that deny: each goes to the claims whose words it names, else to all before it."""
    for one in members:
        for sentence in sentences_of(own_words(one.text)):
            if not DENIES.search(sentence):
                continue
            words = terms(sentence.lower())
            named = [draft for draft in drafts if _names(draft, sentence, words)]
            if one.official and not any(draft.first.about != "经过" for draft in named):
                named += [draft for draft in drafts if _meant(draft, one, sentence, words)]
            for draft in named:
                if one not in draft.denied and one not in draft.said:
                    draft.denied.append(one)


def _names(draft: _Draft, sentence: str, words: Mapping[str, int]) -> bool:
    """True when a denying sentence names the claim."""
    first = draft.first
    if first.about == "数字":
        numbers = [one.number for one in stated(sentence) if one.name == first.name]
        kind = _KIND_WORDS.get(first.name)
        return first.number in numbers if numbers else bool(kind and kind.search(sentence))
    if first.about == "地点":
        return False
    if first.about == "经过":
        return True
    claim = terms(first.text.lower())
    return len(claim.keys() & words.keys()) >= 0.4 * max(2, len(claim))


def _meant(draft: _Draft, one: Member, sentence: str, words: Mapping[str, int]) -> bool:
    """A denial that names nothing (网传消息不实) means what was said before it."""
    if draft.first.about in ("地点", "经过") or draft.time > one.time:
        return False
    if any(other.official for other in draft.said):
        return False
    if len(sentence) <= GENERIC and GENERAL.search(sentence):
        return True
    claim = terms(draft.first.sentence.lower())
    return len(claim.keys() & words.keys()) >= 0.25 * max(4, len(claim))


def _contradict(drafts: Sequence[_Draft]) -> None:
    """Official numbers stand against much larger ones of the same kind."""
    for draft in drafts:
        first = draft.first
        if first.about != "数字" or not first.number:
            continue
        official = [
            (other.first.number, one)
            for other in drafts
            if other.first.about == "数字" and other.first.name == first.name
            for one in other.said
            if one.official
        ]
        if not official or any(one.official for one in draft.said):
            continue
        latest = max(number for number, _ in official)
        if first.number > EXCEEDS * latest:
            for number, one in official:
                if number == latest and one not in draft.denied:
                    draft.denied.append(one)


def _judge(draft: _Draft, voice_of: Mapping[str, object], find_debunk: FindDebunk | None) -> Claim:
    said = draft.said
    officials = [one for one in said if one.official]
    against = [one for one in draft.denied if one.official]
    people = {voice_of.get(one.author, one.id) for one in said if not one.official}
    seen = {voice_of.get(one.author, one.id) for one in said if is_witness(one)}
    doubts = {voice_of.get(one.author, one.id) for one in draft.denied if not one.official}
    doubts -= people
    debunk = None
    if find_debunk is not None and not officials:
        texts = draft.sentences or [draft.first.text]
        debunk = next((hit for one in texts if (hit := find_debunk(one, draft.time))), None)
    standing = _standing(bool(officials), bool(against), len(people), len(seen), len(doubts))
    return Claim(
        text=draft.first.text,
        standing=standing,
        about=draft.first.about,
        posts_for=tuple(one.id for one in _first(said)),
        posts_against=tuple(one.id for one in _first(draft.denied)),
        evidence=_evidence(said, against, people, seen, doubts, debunk),
        debunk=debunk,
        risk=None if officials and not against else risk(
            Telling(
                texts=tuple(one.text for one in said if not one.official),
                unverified=sum(one.author_kind is AuthorKind.ORDINARY for one in said) / len(said),
                voices=len(people),
                witnesses=len(seen),
                doubts=len(doubts),
                denied=bool(against),
                debunked=debunk is not None,
            )
        ),
    )  # fmt: skip


def _first(members: Sequence[Member]) -> list[Member]:
    """Officials first, then the earliest."""
    return sorted(members, key=lambda one: (not one.official, one.time, one.id))[:MOST_POSTS]


def _standing(official: bool, against: bool, people: int, seen: int, doubts: int) -> str:
    if official:
        return "有争议" if against else "有依据"
    if against:
        return "有争议" if seen >= WITNESSES else "已辟谣"
    return "有争议" if people and doubts >= max(2, people) else "未证实"


def _evidence(
    said: Sequence[Member],
    against: Sequence[Member],
    people: set[object],
    seen: set[object],
    doubts: set[object],
    debunk: str | None,
) -> tuple[str, ...]:
    """Why it stands so, in words."""
    found = []
    officials = [one for one in said if one.official]
    if officials:
        found.append(f"官方或媒体帖子这样说（{officials[0].id}）")
    elif all(one.author_kind is AuthorKind.ORDINARY for one in said):
        found.append("只有未认证的个人账号在说")
    if len(said) > 1 and len(people) == 1:
        found.append(f"{len(said)} 条文字相同或出自一人，按一个来源算")
    if not officials and said and all(is_hearsay(one.text) for one in said):
        found.append("全是转述，没有人说亲眼所见")
    if seen:
        found.append(f"{len(seen)} 名互不相干的人说亲眼所见")
    if against:
        found.append(f"官方或媒体帖子与它矛盾（{'、'.join(one.id for one in against[:3])}）")
    if doubts:
        found.append(f"{len(doubts)} 人质疑或反驳")
    if debunk:
        found.append(f"与档案中已辟谣的说法相似（{debunk}）")
    return tuple(found)


def said_by(gathering: Gathering) -> list[Figure]:
    """Numbers that posts name without denying, the gravest kind and the largest first.

    Posts whose content is no real happening (a film, a drill, an anniversary) are left out.
    """
    voice_of = voices_of(gathering)
    found: dict[tuple[str, int], list[Member]] = {}
    refused = _refused(gathering.evidence)
    for one in gathering.evidence:
        if one.content.weight < lexicon.REAL and not one.official:
            continue
        if lexicon.UNREAL.search(one.text):
            continue
        for said in stated(own_words(one.text)):
            if not said.denied and said.number and ((said.name, said.number) not in refused
                                                    or one.official):  # fmt: skip
                members = found.setdefault((said.name, said.number), [])
                if one not in members:
                    members.append(one)
    figures = [
        Figure(
            name, number,
            tuple(one.id for one in sorted(posts, key=lambda kept: (kept.time, kept.id))),
            len({voice_of.get(one.author, one.id) for one in posts if one.voice}),
            any(one.official for one in posts),
            len({voice_of.get(one.author, one.id) for one in posts if is_witness(one)}),
        )
        for (name, number), posts in found.items()
    ]  # fmt: skip
    return sorted(figures, key=lambda one: (NAMES.index(one.name), -one.number))


def _refused(members: Iterable[Member]) -> set[tuple[str, int]]:
    """Numbers that an official or media post denies."""
    return {
        (said.name, said.number)
        for one in members
        if one.official
        for said in stated(own_words(one.text))
        if said.denied
    }
