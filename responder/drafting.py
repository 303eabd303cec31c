"""Drafts a reply from official words alone: no language model, nothing invented.

A draft greets and says what it heard, answers with sentences of notices (their words kept, only
今天 and the like turned into dates), and ends with where to ask. Where no notice fits it says so:
the rest is a line of blanks marked 【待核实】 that a person fills in. Text of posts is never an
instruction; it is searched and quoted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from huiyin.records import DraftSentence, Post
from responder.evidence import ENOUGH, Found, coverage
from responder.facts import NAME, Evidence, dated, facts, support
from responder.review import MARK
from responder.style import GRAVE, notes
from responder.words import clauses, plain, readable, sentences, squeeze

LONGEST_ANSWER = 105
"""Characters of notice sentences in one draft: with the greeting it stays within one comment."""
LONGEST_CONCERN = 22
HOLDING = f"{MARK}由____在____前____，有结果后在这里告诉您。"
_CONTACT = re.compile(r"\d{5,}|咨询|电话|客服|专线")
ASKED = 0.3
"""What a question word adds to a clause's share of the keywords when the concern is chosen."""
_ASKS = re.compile(r"吗|么|怎|哪|几|多少|能不能|有没有|是不是|要不要|还有没|何时|为什么|啥|谁")
_FILLER = re.compile(
    r"^(?:请问|你好|您好|想问(?:一下|下)?|咨询(?:一下|下)?|麻烦问下|问一下|求助)[，,：:\s]*"
)


@dataclass(frozen=True)
class Written:
    """A reply in the making: its sentences joined are its text."""

    sentences: tuple[DraftSentence, ...]
    style_notes: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(sentence.text for sentence in self.sentences)


def write(post: Post, found: Sequence[Found], now: datetime) -> Written:
    """Draft a reply to `post` from the notices found for it (best first)."""
    intent = post.analysis.intent.label if post.analysis else ""
    fitting = [one for one in found if one.score >= ENOUGH][:1]
    lines = [_opening(post, intent, answered=bool(fitting))]
    for one in fitting:
        lines.extend(_answer(post, one.notice))
    if not fitting:
        lines.append(DraftSentence(text=HOLDING))
    return _finished(lines, post, intent)


def rewrite(text: str, post: Post, evidence: Sequence[Post], now: datetime) -> Written:
    """Check a text that a person typed, sentence by sentence, against the cited notices.

    Unsupported sentences get the mark 【待核实】; ones that are supported now lose it.
    """
    intent = post.analysis.intent.label if post.analysis else ""
    official = [as_evidence(notice) for notice in evidence]
    citizen = f"{post.title or ''}{post.text}"
    lines = []
    for sentence in sentences(plain(text).replace(MARK, "")):
        if not sentence.strip():
            lines.append(DraftSentence(text=sentence, supported=True))
            continue
        held = support(sentence, official, now, citizen=citizen)
        quoted = _quotes_citizen(sentence, citizen)
        lines.append(
            DraftSentence(
                text=sentence if held.supported else MARK + sentence,
                sources=held.sources or ((post.id,) if quoted else ()),
                quote=held.quote or quoted, supported=held.supported,
            )
        )  # fmt: skip
    return _finished(lines, post, intent)


def as_evidence(notice: Post) -> Evidence:
    """A notice as words that may support a sentence."""
    return Evidence(notice.id, notice.text, notice.created_at, notice.author.name or "")


def _finished(lines: Sequence[DraftSentence], post: Post, intent: str) -> Written:
    text = "".join(line.text for line in lines)
    found = notes(text, intent=intent, question=f"{post.title or ''}{post.text}")
    return Written(tuple(lines), tuple(map(str, found)))


def _opening(post: Post, intent: str, *, answered: bool) -> DraftSentence:
    """Greeting, and the concern in the citizen's own words."""
    concern = _concern(post)
    about = f"“{concern}”" if concern else "的情况"
    grave = GRAVE.search(f"{post.title or ''}{post.text}")
    if intent in {"求助", "投诉", "举报"} or grave:
        care = "，让您着急了" if grave or intent == "求助" else "，给您添麻烦了"
        words = f"您好，您反映的{about}我们看到了{care}。"
    elif intent == "建议":
        words = f"您好，谢谢您提的建议，您说的{about}我们记下来了。"
    else:
        words = f"您好，您问的{about}我们看到了。" if concern else "您好，您问的事我们看到了。"
    if not answered:
        words = words[:-1] + "，已经记录下来。"
    return DraftSentence(text=words, sources=(post.id,), quote=concern, supported=True)


def _concern(post: Post) -> str:
    """The clause that says what it is about, without numbers (a post is no source of those)."""
    text = plain(readable(post.title or "") or readable(post.text))
    whole = f"{readable(post.title or '')}\n{readable(post.text)}"
    best, most = "", 0.0
    for clause in clauses(text):
        words = re.sub("[“”\"']", "", _FILLER.sub("", clause)).strip()
        if not 4 <= len(words) <= LONGEST_CONCERN or any(
            fact.kind != NAME for fact in facts(words, post.created_at)
        ):
            continue
        weight = coverage(whole, words) + ASKED * bool(_ASKS.search(words))
        if weight > most:
            best, most = words, weight
    return best


def _answer(post: Post, notice: Post) -> list[DraftSentence]:
    """The notice's sentences that answer best, in their order, and the one with the contact."""
    question = f"{post.title or ''}\n{post.text}"
    all_of_it = [one for one in sentences(notice.text) if squeeze(one)]
    # A notice's own rhetorical question (怎么办？) is no answer, unless there is nothing else.
    all_of_it = [one for one in all_of_it if not one.rstrip().endswith(("？", "?"))] or all_of_it
    ranked = sorted(
        range(len(all_of_it)), key=lambda place: (-coverage(question, all_of_it[place]), place)
    )
    chosen: set[int] = set()
    room = LONGEST_ANSWER
    contacts = [place for place, one in enumerate(all_of_it) if _CONTACT.search(one)]
    for place in (*ranked[:1], *contacts[-1:], *ranked[1:]):
        size = len(all_of_it[place])
        if place not in chosen and (size <= room or not chosen):
            chosen.add(place)
            room -= size
    return [
        DraftSentence(
            text=dated(all_of_it[place], notice.created_at), sources=(notice.id,),
            quote=all_of_it[place].strip(), supported=True,
        )
        for place in sorted(chosen)
    ]  # fmt: skip


def _quotes_citizen(sentence: str, citizen: str) -> str:
    for match in re.finditer(r"“([^”]{2,})”", sentence):
        if squeeze(match[1]).rstrip("…") in squeeze(citizen):
            return match[1]
    return ""
