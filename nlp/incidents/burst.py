"""Is it a burst? score = novelty x growth x independent authors x severity of content.

Each term is visible in `Incident.score` and explained in Chinese. Growth is the tail of a Poisson
distribution: how unlikely so many independent voices are in a span, if nothing special were going
on. The expected number is a prior for that kind of content, in a quiet stream the share of one
matter in all that is said there where that is less, and the group's own earlier rate where that is
higher. So a new office without history is judged sanely, three complaints about one matter are much
on a board with four messages a day, and a matter that is always talked about needs more than usual.
Where more than all that is normal for this account, category, city and hour of the week
(`baselines.py`), the tail is that of a negative binomial with the learned mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy.special import betainc

HOUR = 3600.0
SPANS = (HOUR, 6 * HOUR, 24 * HOUR, 48 * HOUR)
QUIET_SPANS = (*SPANS, 168 * HOUR, 720 * HOUR, 1440 * HOUR)
"""Where a stream is so quiet that a matter's share of it is less than the prior of its kind."""
MATTER_SHARE = 1 / 2000
"""Share of a quiet stream's posts that speak of one matter which is nothing special."""
GROWTH_UNIT = 3.0
"""-log10 of the probability that counts as 1: one in a thousand."""
TERM_LIMIT = 2.0
GRAVE = 0.3
"""Severity from which a post complains, appeals or reports something; below is talk."""
ASKS = 0.2
"""The same in a quiet stream: on a board where people write to the office, three who ask about one
matter within weeks are as much as three who complain."""
AUTHORS_UNIT = 3.0
SIZE = 6.0
"""Scatter of what is normal from week to week: variance = mean + mean^2 / SIZE."""
Normal = Callable[[float, float], float]
"""Authors of one matter that are normal in (begin, end], seconds since the epoch."""
ATTESTED = 2
"""So many voices that speak of one disaster at one place attest it: a flood or an earthquake is
nobody's private matter. Then who praises the rescuers weighs as a witness, not as talk."""
ATTESTED_WITHIN = 6 * HOUR


@dataclass(frozen=True, slots=True)
class Voice:
    """One independent author of a group."""

    time: float
    """Of the first post, seconds since the epoch."""
    weight: float
    """Severity of the gravest post, 0..1."""
    kind: str
    hourly: float
    """Expected posts an hour about one matter of that kind."""
    struck: frozenset[str] = frozenset()
    """Disasters that strike whole cities which it speaks of (`Member.struck`)."""
    bare: float = 0.0
    """Severity before praise and thanks lower it."""


@dataclass(frozen=True, slots=True)
class Burst:
    novelty: float
    growth: float
    authors: float
    severity: float
    voices: int
    span: float
    """Seconds of the span with the strongest growth."""
    seen: int
    expected: float
    grave: int
    """Voices that say something grave (`bar`), not mere talk."""
    kinds: tuple[str, ...]
    """Kinds of content by number of voices."""
    attested: int = 0
    """Voices of the last hours that speak of the same disaster at the same place."""
    disaster: str = ""
    """Which one that is: 洪涝@4101."""
    learned: bool = False
    """True: `expected` was learned from the weeks before (`baselines.py`)."""
    bar: float = GRAVE
    """Severity from which content counts: `GRAVE`, in a quiet stream `ASKS`."""

    @property
    def total(self) -> float:
        return self.novelty * self.growth * self.authors * self.severity

    @property
    def slow(self) -> bool:
        """It took weeks, as on a quiet board: then it is told only if it has a name (`names`)."""
        return self.span > SPANS[-1]

    def holds(self, min_voices: int, min_score: float) -> bool:
        """The rule for an alert: enough voices that say something grave, and the score.

        A large crowd alone is no alert: the content as a whole must be grave too. One voice fewer
        is enough, but never one alone, where they speak of one disaster at one place.
        """
        attested = self.attested >= max(ATTESTED, least_voices(min_voices))
        enough = attested or self.grave >= min_voices
        return enough and self.severity >= self.bar and self.total >= min_score

    def terms(self) -> dict[str, float]:
        """For `Incident.score`."""
        return {
            "novelty": round(self.novelty, 4),
            "growth": round(self.growth, 4),
            "authors": round(self.authors, 4),
            "severity": round(self.severity, 4),
            "total": round(self.total, 4),
        }

    def reasons(self) -> tuple[str, ...]:
        """The four terms in words."""
        return (
            f"新近度 {self.novelty:.2f}：近 {self.span / HOUR:.0f} 小时的声音所占比例",
            f"增长 {self.growth:.2f}：{self.span / HOUR:.0f} 小时内 {self.seen} 名独立发布者，"
            f"平常约 {self.expected:.2f} 名"
            + ("（由前几周同一账号、类别、地区、同一时段学得）" if self.learned else ""),
            f"独立发布者 {self.authors:.2f}：共 {self.voices} 名（相同文字和转发只算一次）",
            f"内容严重性 {self.severity:.2f}：{'、'.join(self.kinds) or '一般议论'}",
            *self._disaster(),
        )

    def _disaster(self) -> tuple[str, ...]:
        if self.attested < ATTESTED:
            return ()
        what, _, where = self.disaster.partition("@")
        hours = ATTESTED_WITHIN / HOUR
        return (f"{hours:.0f} 小时内 {self.attested} 名独立发布者说到同一地（{where}）的{what}",)


def least_voices(min_voices: int) -> int:
    """With fewer voices `Burst.holds` is never true."""
    return min(min_voices, max(ATTESTED, min_voices - 1))


def assess(
    voices: Sequence[Voice], stream_hourly: float | None = None, normal: Normal | None = None
) -> Burst:
    """Judge a group by its independent voices, at the moment of its latest one.

    `stream_hourly`: posts an hour of the whole stream, None = not known. `normal`: what was learned
    from the weeks before, None = too little history.
    """
    if not voices:
        return Burst(0.0, 0.0, 0.0, 0.0, 0, HOUR, 0, 0.0, 0, ())
    times = sorted(voice.time for voice in voices)
    now = times[-1]
    attested = _attested(voices, now)
    weights = [voice.weight if voice.struck.isdisjoint(attested)
               else max(voice.weight, voice.bare) for voice in voices]  # fmt: skip
    severity = sum(weights) / len(voices)
    prior = sum(voice.hourly for voice in voices) / len(voices)
    spans: tuple[float, ...] = SPANS
    bar = GRAVE
    if stream_hourly is not None:
        share = max(stream_hourly, 1 / 24) * MATTER_SHARE
        if share < prior:
            prior, spans, bar = share, QUIET_SPANS, ASKS
    found = [_growth(times, now, span, prior, normal) for span in spans]
    # Of the spans the one for which novelty times growth is largest.
    best = max(found, key=lambda one: (min(TERM_LIMIT, one[0] / GROWTH_UNIT) * one[2], one))
    growth, span, seen, expected, learned = best
    return Burst(
        novelty=seen / len(times),
        growth=min(TERM_LIMIT, growth / GROWTH_UNIT),
        authors=min(TERM_LIMIT, len(voices) / AUTHORS_UNIT),
        severity=severity,
        voices=len(voices),
        span=span,
        seen=seen,
        expected=expected,
        grave=sum(weight >= bar for weight in weights),
        kinds=_kinds(voices),
        attested=max(attested.values(), default=0),
        disaster=min(attested, key=lambda key: (-attested[key], -len(key), key), default=""),
        learned=learned,
        bar=bar,
    )


def _kinds(voices: Sequence[Voice]) -> tuple[str, ...]:
    """Kinds of content by number of voices."""
    counts: dict[str, int] = {}
    for voice in voices:
        counts[voice.kind] = counts.get(voice.kind, 0) + 1
    return tuple(sorted(counts, key=lambda kind: (-counts[kind], kind)))


def _attested(voices: Sequence[Voice], now: float) -> dict[str, int]:
    """Disasters that enough voices spoke of within the last hours, with the number of voices."""
    counts: dict[str, int] = {}
    for voice in voices:
        if voice.time > now - ATTESTED_WITHIN:
            for key in voice.struck:
                counts[key] = counts.get(key, 0) + 1
    return {key: count for key, count in counts.items() if count >= ATTESTED}


def _growth(
    times: Sequence[float], now: float, span: float, prior: float, normal: Normal | None
) -> tuple[float, float, int, float, bool]:
    seen = sum(time > now - span for time in times)
    earlier = len(times) - seen
    hours_before = max(0.0, now - span - times[0]) / HOUR
    own = earlier / hours_before if hours_before >= 1.0 else 0.0
    expected = max(prior, own) * span / HOUR
    usual = normal(now - span, now) if normal is not None else 0.0
    if usual > expected:
        return -log10_scattered_tail(seen, usual), span, seen, usual, True
    return -log10_tail(seen, expected), span, seen, expected, False


def log10_scattered_tail(seen: int, mean: float) -> float:
    """log10 of P(X >= seen) for a negative binomial with this mean and `SIZE`."""
    if seen <= 0:
        return 0.0
    return math.log10(max(1e-300, float(betainc(seen, SIZE, mean / (mean + SIZE)))))


def log10_tail(seen: int, expected: float) -> float:
    """log10 of P(X >= seen) for X ~ Poisson(expected)."""
    if seen <= 0:
        return 0.0
    if seen <= expected:
        return math.log10(_upper(seen, expected))
    log_first = seen * math.log(expected) - expected - math.lgamma(seen + 1)
    term, total, number = 1.0, 1.0, seen
    while term > 1e-12 * total:
        number += 1
        term *= expected / number
        total += term
    return (log_first + math.log(total)) / math.log(10)


def _upper(seen: int, expected: float) -> float:
    below, term = 0.0, math.exp(-expected)
    for number in range(seen):
        below += term
        term *= expected / (number + 1)
    return max(1e-300, 1.0 - below)
