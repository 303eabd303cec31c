"""What an office teaches by confirming and dismissing: a higher bar for what it always dismisses.

For each kind of incident (`kind_of`) with `LEAST` dismissals or more, the score that an alert needs
rises just above the highest score of the dismissed ones, but never above `SAFE` of the lowest score
of a confirmed one of that kind, and never above `MOST` times the setting. An alarm of one post
(life at stake) does not ask here. A function of the incident records, so that any detector and any
replay over the same archive learns the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from archive.base import Archive
from huiyin.records import Incident, Scope
from nlp.incidents.burst import Burst, assess
from nlp.incidents.gathering import Gathering, Member, voice_of

CONFIRMED, DISMISSED = "confirmed", "dismissed"
LEAST = 5
"""Fewer dismissals teach nothing: they may be chance."""
ABOVE = 1.05
SAFE = 0.9
MOST = 4.0
PEAK_VOICES = 400
"""Voices of an incident whose burst is followed for its highest score."""


@dataclass(frozen=True)
class Learned:
    """Score that an alert of a kind needs at least; kinds that are not named follow the setting."""

    bars: Mapping[str, float] = field(default_factory=dict)

    def bar(self, kind: str, setting: float) -> float:
        """The score that an incident of this kind needs."""
        return max(setting, min(self.bars.get(kind, 0.0), MOST * setting))


def kind_of(members: Sequence[Member]) -> str:
    """Kind of the content and its most frequent grave word, such as 社会安全/打人 or 一般议论."""
    kinds = Counter(one.content.kind.name for one in members if one.voice)
    if not kinds:
        return ""
    kind = min(kinds, key=lambda name: (-kinds[name], name))
    words = Counter(
        word
        for one in members
        if one.voice and one.content.kind.name == kind
        for word in set(one.content.words)
    )
    if not words:
        return kind
    return f"{kind}/{min(words, key=lambda word: (-words[word], word))}"


def peak_of(gathering: Gathering) -> float:
    """Highest burst score on the way, looked at after each independent voice."""
    voices = [voice_of(posts) for posts in gathering.independent().values()]
    voices.sort(key=lambda voice: voice.time)
    scores = [assess(voices[:count]).total for count in range(1, min(len(voices), PEAK_VOICES) + 1)]
    return round(max([gathering.burst().total, *scores]), 4)


def learn(incidents: Iterable[Incident]) -> Learned:
    """The bars that follow from what people said of incidents."""
    dismissed: dict[str, list[float]] = {}
    confirmed: dict[str, list[float]] = {}
    for one in incidents:
        if one.verdict in (CONFIRMED, DISMISSED) and one.verdict_kind:
            peaks = confirmed if one.verdict == CONFIRMED else dismissed
            peaks.setdefault(one.verdict_kind, []).append(one.verdict_peak)
    bars = {}
    for kind, scores in dismissed.items():
        if len(scores) < LEAST:
            continue
        bar = ABOVE * max(scores)
        if kind in confirmed:
            bar = min(bar, SAFE * min(confirmed[kind]))
        bars[kind] = round(bar, 4)
    return Learned(bars)


def learned_from(archive: Archive) -> Learned:
    """The bars of an archive. Raises `ArchiveError`."""
    return learn(_incidents(archive))


def _incidents(archive: Archive) -> Iterator[Incident]:
    after = ""
    while page := archive.records(Incident, Scope.everything(), limit=1000, after=after):
        after = page[-1].record.id
        for stored in page:
            yield stored.record


def holds(
    gathering: Gathering, burst: Burst, learned: Learned, min_authors: int, min_score: float
) -> bool:
    """The burst rule with the bar that the office taught for this kind."""
    if not burst.holds(min_authors, min_score):
        return False
    if not learned.bars:
        return True
    return burst.holds(min_authors, learned.bar(kind_of(gathering.evidence), min_score))
