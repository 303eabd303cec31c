"""Which words spoke for a decision: those whose removal lowers its probability most.

The text is read again without each word (occlusion, Zeiler & Fergus 2014), then without the best
word and each of the next best, and so on, because words that say the same hide one another. That
asks nothing of the model's inside, so rules and models of others are explained as well.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jieba

from nlp.base import Shares, Text, Understanding
from nlp.text import join

WORDS = 3
"""Words named for a decision at most."""
_CANDIDATES = 8
"""Words tried together with those chosen before, the best by themselves."""
_MOST_WORDS = 40
"""Longer texts are first read without each clause; the words of the best clauses are tried."""
_CLAUSE_WORDS = 16
"""Words of the best clauses that are tried for each task."""
_MOST_CLAUSES = 60
_MOST_CHARACTERS = 4000
"""Characters in which words are looked for."""

_TOKEN = re.compile(
    r"(?P<whole>https?://[A-Za-z0-9_./%?=&#:-]+|@[\w·-]{1,30}(?=[\s:：,，。!！?？]|$)|\[[^\[\]\s]{1,8}\]|【[^【】\s]{1,4}】"
    r"|[A-Za-z\u00c0-\u024f][A-Za-z\u00c0-\u024f0-9_'’-]*|\d+(?:[.:：/-]\d+)*%?"
    r"|[\U0001f1e6-\U0001f1ff]{2}"
    r"|[\u2600-\u27bf\u2b00-\u2bff\U0001f300-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]?"
    r"(?:\u200d[\u2600-\u27bf\u2b00-\u2bff\U0001f300-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]?)*)"
    r"|(?P<han>[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+)"
    r"|(?P<other>[^\W\d_]+)"
)
_CLAUSE = re.compile(r"[^，。！？；,!?;…\n]+[，。！？；,!?;…\n]*")

jieba.setLogLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the text as read (title, line break, text); `weight` is what it adds.

    The weights of a decision's words add up to what removing all of them takes from it.
    """

    word: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int


Explanation = dict[str, list[Word]]
"""Task -> the words that spoke for its decision, the weightiest first; none where none did."""


def explain(understanding: Understanding, texts: Sequence[Text]) -> list[Explanation]:
    """Explain what was decided about each text, in order."""
    cases = [_Case(join(one.title, one.text)) for one in texts]
    _decide(understanding, cases)
    _ask(understanding, [(case, (span,)) for case in cases for span in case.clauses()])
    _ask(understanding, [(case, (span,)) for case in cases for span in case.choose_words()])
    for _ in range(1, WORDS):
        _ask(understanding, [(case, spans) for case in cases for spans in case.next_sets()])
    return [case.explanation() for case in cases]


def words(text: str) -> list[tuple[int, int]]:
    """Where the words of a text begin and end; punctuation is none.

    Emoji, [泪], links, numbers and Latin words stay whole; Chinese is cut by jieba.
    """
    return [(span.start, span.end) for span in _words(text)]


class _Case:
    """One text, what was decided, and what was seen without some of its words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = list(_words(text[:_MOST_CHARACTERS]))
        self.decided: dict[str, str] = {}
        self.full: dict[str, float] = {}
        self.seen: dict[frozenset[_Span], Shares] = {}
        self._clauses: list[_Span] = []
        self._tried: list[_Span] = []

    def decide(self, shares: Shares) -> None:
        """Note the most probable label of each task; of one without an opinion there is none."""
        for task, share in shares.items():
            if max(share.values()) > min(share.values()):
                label = max(share, key=lambda one: share[one])
                self.decided[task], self.full[task] = label, share[label]

    def without(self, spans: Sequence[_Span]) -> str:
        kept, position = [], 0
        for span in sorted(spans, key=lambda one: one.start):
            kept.append(self.text[position : span.start])
            position = span.end
        return "".join([*kept, self.text[position:]])

    def clauses(self) -> list[_Span]:
        """The clauses of a text that is too long to try each word; none of a short one."""
        if len(self.words) <= _MOST_WORDS or not self.decided:
            return []
        found = [_Span(*one.span()) for one in _CLAUSE.finditer(self.text[:_MOST_CHARACTERS])]
        step = -(-len(found) // _MOST_CLAUSES)
        parts = [found[n : n + step] for n in range(0, len(found), step)]
        self._clauses = [_Span(part[0].start, part[-1].end) for part in parts]
        return self._clauses

    def choose_words(self) -> list[_Span]:
        """The words to try: all, or those of the clauses that spoke most for each decision."""
        if not self.decided:
            return []
        if not self._clauses:
            self._tried = self.words
            return self._tried
        chosen: set[_Span] = set()
        for task in self.decided:
            room = _CLAUSE_WORDS
            for clause in sorted(self._clauses, key=lambda one: -self._drop(task, (one,))):
                inside = [w for w in self.words if clause.start <= w.start < clause.end][:room]
                chosen.update(inside)
                room -= len(inside)
                if room <= 0:
                    break
        self._tried = [word for word in self.words if word in chosen]
        return self._tried

    def next_sets(self) -> list[tuple[_Span, ...]]:
        """What was chosen so far with each of the best others, for every task, each set once."""
        found: dict[frozenset[_Span], tuple[_Span, ...]] = {}
        for task in self.decided:
            chosen = self._chosen(task)
            for word in self._best(task):
                if chosen and word not in chosen:
                    found.setdefault(frozenset((*chosen, word)), (*chosen, word))
        return [spans for key, spans in found.items() if key not in self.seen]

    def explanation(self) -> Explanation:
        found: Explanation = {}
        for task in self.decided:
            chosen, before = self._chosen(task), 0.0
            named = []
            for number, span in enumerate(chosen):
                drop = self._drop(task, chosen[: number + 1])
                word = self.text[span.start : span.end]
                named.append(Word(word, span.start, span.end, round(drop - before, 4)))
                before = drop
            found[task] = sorted(named, key=lambda one: -one.weight)
        return found

    def _drop(self, task: str, spans: Sequence[_Span]) -> float:
        return self.full[task] - self.seen[frozenset(spans)][task][self.decided[task]]

    def _best(self, task: str) -> list[_Span]:
        return sorted(self._tried, key=lambda one: -self._drop(task, (one,)))[:_CANDIDATES]

    def _chosen(self, task: str) -> tuple[_Span, ...]:
        """Greedily, as far as has been seen: each lowers the probability further."""
        chosen: tuple[_Span, ...] = ()
        candidates, reached = self._best(task), 0.0
        while len(chosen) < WORDS:
            sets = [(*chosen, one) for one in candidates if one not in chosen]
            known = [spans for spans in sets if frozenset(spans) in self.seen]
            best = max(known, key=lambda spans: self._drop(task, spans), default=None)
            if best is None or self._drop(task, best) <= reached:
                break
            chosen, reached = best, self._drop(task, best)
        return chosen


def _decide(understanding: Understanding, cases: Sequence[_Case]) -> None:
    found = understanding.shares([case.text for case in cases])
    for case, shares in zip(cases, found, strict=True):
        case.decide(shares)


def _ask(understanding: Understanding, asked: Sequence[tuple[_Case, tuple[_Span, ...]]]) -> None:
    """Read the texts without the named spans, all together."""
    found = understanding.shares([case.without(spans) for case, spans in asked])
    for (case, spans), shares in zip(asked, found, strict=True):
        case.seen[frozenset(spans)] = shares


def _words(text: str) -> Iterator[_Span]:
    for match in _TOKEN.finditer(text):
        if match["han"] is None:
            yield _Span(*match.span())
            continue
        for _, start, end in jieba.tokenize(match["han"]):
            yield _Span(match.start() + start, match.start() + end)
