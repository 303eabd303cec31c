"""Official notices that may answer an appeal: words and vectors together, the fitting ones first.

Notices are official accounts' own posts and public, so the whole archive of them is searched,
whatever offices the asker works for. Deleted and outdated ones are left out, with a named reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np

from archive.base import Archive, Filters, Hit, SearchRequest
from huiyin.records import Account, AuthorKind, Kind, Post, Scope
from huiyin.vectors import unpack
from responder.base import Embedder
from responder.facts import number
from responder.lexicon import LEAST_RANGE, PAIRS
from responder.words import keywords, readable, squeeze

ALL = Scope.everything()
SHANGHAI = ZoneInfo("Asia/Shanghai")
CANDIDATES = 30
OLDEST = timedelta(days=3 * 365)
"""Older notices are taken as outdated: most rules that they tell of are reviewed within it."""
WEIGHT_WORDS = 0.4
WEIGHT_VECTOR = 0.6
WEIGHT_OWN = 0.2
"""Bonus of the answering account's own notices; its ancestors and siblings get a quarter."""
WORDS_ALONE = 3.3
"""Instead of the first two where there are no vectors."""
ENOUGH = 0.5
"""Fused score from which a notice is used in a draft.

Weights and bar are measured, see docs/decisions/responder-evidence.md. BM25 finds the candidates,
but its score relative to the best candidate is left out: any weight of it made things worse.
"""
_CN = "一二三四五六七八九十"
_END = re.compile(
    rf"(?:至|到|截至|截止|止于|—|-|~|～)(?:(\d{{4}})年)?(?:(\d{{1,2}}|[{_CN}]+)月)(\d{{1,2}}|[{_CN}]+)[日号]"
    rf"|(?:(\d{{4}})年)?(?:(\d{{1,2}}|[{_CN}]+)月)(\d{{1,2}}|[{_CN}]+)[日号]?(?:之?前|截止|止)"
)


class Standing(StrEnum):
    """Whether a notice may be used, by name."""

    CURRENT = "current"
    DELETED = "deleted"
    EXPIRED = "expired"
    OLD = "old"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Found:
    """A notice with its fused score (about 0..1.5) and the parts that made it."""

    notice: Post
    score: float
    words: float
    vector: float
    near: float
    """1 = the answering account's own, 0.25 = its ancestors' and siblings', 0 = others'"""


class Retriever:
    """Finds evidence in an archive. Without embedder (or vectors) by words alone."""

    def __init__(self, archive: Archive, embedder: Embedder | None = None) -> None:
        self._archive = archive
        self._embedder = embedder
        self._scale: tuple[float, float] | None = None

    def find(self, post: Post, account: str, now: datetime, *, limit: int = 5) -> list[Found]:
        """The notices that fit the post best, best first, at most `limit`."""
        question = "\n".join(part for part in (post.title, post.text) if part)
        lexical = self._by_words(question)
        dense = self._by_vector(post, question)
        posts = {hit.post.id: hit.post for hit in (*lexical, *dense)}
        vectors = {hit.post.id: self._stretched(hit.score) for hit in dense}
        family = self._family(account)
        found = [
            _fused(notice, coverage(question, notice.text), vectors, family)
            for notice in posts.values()
            if standing(notice, now) is Standing.CURRENT
        ]
        found.sort(key=lambda one: (-one.score, one.notice.id))
        return _without_superseded(found)[:limit]

    def _by_words(self, question: str) -> Sequence[Hit]:
        words = keywords(question)
        if not words:
            return ()
        query = " OR ".join(f'"{_escaped(word)}"' for word in words)
        request = SearchRequest(query, NOTICES, newest_first=False, limit=CANDIDATES)
        return self._archive.search(request, ALL).hits

    def _by_vector(self, post: Post, question: str) -> Sequence[Hit]:
        if self._embedder is None:
            return ()
        model = self._embedder.model
        analysis = post.analysis
        if analysis is not None and analysis.vector and analysis.model == model:
            vector = analysis.vector
        else:
            vector = self._embedder.embed([readable(question)])[0]
        return self._archive.similar(vector, model, ALL, filters=NOTICES, limit=CANDIDATES)

    def _stretched(self, cosine: float) -> float:
        """0 = as near as texts that do not match, 1 = as near as a short question and answer.

        Not cut at 1: longer texts come nearer, and their order must stay.
        """
        if self._scale is None:
            if self._embedder is None:
                return 0.0
            texts = [text for pair in PAIRS for text in pair]
            matrix = unpack(self._embedder.embed(texts))
            cosines = matrix[0::2] @ matrix[1::2].T
            same = np.eye(len(PAIRS), dtype=bool)
            self._scale = float(cosines[~same].mean()), float(cosines[same].mean())
        low, high = self._scale
        return max(0.0, (cosine - low) / max(high - low, LEAST_RANGE))

    def _family(self, account: str) -> dict[str, float]:
        """Names of accounts whose notices are near: its own 1, those above and beside it 0.25."""
        stored = self._archive.get(Account, account, ALL)
        if stored is None:
            return {}
        kin = [self._archive.get(Account, one, ALL) for one in stored.record.offices]
        if stored.record.parent:
            kin.append(self._archive.get(Account, stored.record.parent, ALL))
            kin.extend(self._archive.records(Account, ALL, ref=stored.record.parent))
        near = {one.record.name: 0.25 for one in kin if one is not None}
        return {**near, stored.record.name: 1.0}


def _fused(
    notice: Post, words: float, vectors: Mapping[str, float], family: Mapping[str, float]
) -> Found:
    vector = vectors.get(notice.id, 0.0)
    near = family.get(notice.author.name or "", 0.0)
    both = WEIGHT_WORDS * words + WEIGHT_VECTOR * vector
    total = both if vectors else WORDS_ALONE * words
    return Found(notice, total + WEIGHT_OWN * near * (total > 0), words, vector, near)


NOTICES = Filters(kinds=(Kind.NOTICE,), author_kinds=(AuthorKind.GOVERNMENT,))


def coverage(question: str, notice: str) -> float:
    """Share of the question's keywords that the notice has, earlier (weightier) ones count more."""
    words = keywords(question)
    weights = [1.0 / (1 + position) ** 0.5 for position in range(len(words))]
    plain = squeeze(notice)
    held = sum(
        weight for word, weight in zip(words, weights, strict=True) if squeeze(word) in plain
    )
    return held / sum(weights) if weights else 0.0


def standing(notice: Post, now: datetime) -> Standing:
    """Whether a notice may be used at `now`.

    Expired: it names an end (至9月19日, 10月31日前) that lay after its publication and has passed.
    An end before its publication tells of something else.
    """
    if notice.deleted_at is not None or not notice.text:
        return Standing.DELETED
    if now - notice.created_at > OLDEST:
        return Standing.OLD
    published = notice.created_at.astimezone(SHANGHAI).date()
    today = now.astimezone(SHANGHAI).date()
    ends = [day for day in _ends(notice.text, notice.created_at) if day >= published]
    return Standing.EXPIRED if ends and max(ends) < today else Standing.CURRENT


def _ends(text: str, published: datetime) -> list[date]:
    found = []
    local = published.astimezone(SHANGHAI)
    for match in _END.finditer(text):
        groups = match.groups()
        year, month, day = groups[:3] if groups[1] else groups[3:]
        try:
            end = local.replace(
                year=int(year or local.year), month=int(number(month) or 0),
                day=int(number(day) or 0),
            ).date()  # fmt: skip
        except ValueError:  # no such day: not a date
            continue
        if not year and (local.date() - end).days > 180:
            end = end.replace(year=end.year + 1)  # 至1月26日, published in autumn
        found.append(end)
    return found


def _without_superseded(found: Sequence[Found]) -> list[Found]:
    """Of nearly equal notices of one author only the newest stays."""
    kept: list[Found] = []
    for one in found:
        grams = _grams(one.notice.text)
        newer = any(
            other.notice.author.name == one.notice.author.name
            and other.notice.created_at > one.notice.created_at
            and _jaccard(grams, _grams(other.notice.text)) > 0.7
            for other in found
        )
        if not newer:
            kept.append(one)
    return kept


def _grams(text: str) -> frozenset[str]:
    plain = squeeze(text)
    return frozenset(plain[place : place + 2] for place in range(len(plain) - 1))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, len(one | other))


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"')
