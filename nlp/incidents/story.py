"""What an incident's posts tell over time: moments, mood, official words, what the last hour added.

A function of the posts and of the moment at which one looks; nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from huiyin.records import Author, AuthorKind, Incident, Post
from nlp.incidents.gathering import Gathering, member
from nlp.incidents.statements import statements
from nlp.incidents.terms import own_words

OFFICIAL = (AuthorKind.GOVERNMENT, AuthorKind.MEDIA)
LAST = timedelta(hours=1)
MOODS = ("positive", "neutral", "negative")
MOST_MOMENTS = 24
READ = 3000
"""Posts whose words are read for moments and news; the mood counts all that are given."""
STEPS = tuple(timedelta(minutes=m) for m in (10, 30, 60, 180, 360, 1440, 10080))
MOST_BARS = 36


@dataclass(frozen=True)
class Moment:
    """Something that happened, and the post that shows it (None: our own step)."""

    at: datetime
    what: str
    post: str | None = None


@dataclass(frozen=True)
class Mood:
    """Analysed posts of one stretch of time by sentiment, in the order of `MOODS`."""

    start: datetime
    counts: tuple[int, int, int]


@dataclass(frozen=True)
class News:
    """What the last hour before the moment of looking brought."""

    since: datetime
    posts: int
    voices: int
    """Independent authors heard in it for the first time."""
    said: tuple[Moment, ...]
    """Numbers, causes, places and blames first said in it."""
    official: tuple[Moment, ...]


@dataclass(frozen=True)
class Story:
    moments: tuple[Moment, ...]
    moods: tuple[Mood, ...]
    step: timedelta
    """Width of a stretch in `moods`."""
    news: News
    voices: int
    first_answer: Moment | None
    """First word of a government account."""


def tell(incident: Incident, posts: Iterable[Post], now: datetime) -> Story:
    """The story of an incident's posts as seen at `now`; later posts are left out."""
    ordered = sorted(
        (one for one in posts if one.created_at <= now), key=lambda one: (one.created_at, one.id)
    )
    read = ordered[:READ]
    firsts = _firsts(read)
    answers = [_words(one) for one in ordered if one.author.kind is AuthorKind.GOVERNMENT]
    step = _step(ordered)
    return Story(
        moments=_moments(incident, read, firsts),
        moods=_moods(ordered, step),
        step=step,
        news=_news(read, ordered, firsts, now),
        voices=_voices(read),
        first_answer=answers[0] if answers else None,
    )


def _firsts(posts: Sequence[Post]) -> list[Moment]:
    """When each checkable thing was first said."""
    seen: set[tuple[str, str]] = set()
    found = []
    for one in posts:
        for said in statements(own_words(one.text)):
            if said.denied or said.about == "地点" or (said.about, said.key) in seen:
                continue
            seen.add((said.about, said.key))
            found.append(Moment(one.created_at, f"首次有人说：{said.text}", one.id))
    return found


def _words(one: Post) -> Moment:
    who = one.author.name or ("政务账号" if one.author.kind is AuthorKind.GOVERNMENT else "媒体")
    words = " ".join(one.text.split())
    return Moment(one.created_at, f"{who}：{words[:60]}{'…' if len(words) > 60 else ''}", one.id)


def _moments(
    incident: Incident, posts: Sequence[Post], firsts: Sequence[Moment]
) -> tuple[Moment, ...]:
    found = [Moment(incident.opened_at, "系统发现")]
    if posts:
        found.append(Moment(posts[0].created_at, "首帖", posts[0].id))
    if incident.alerted_at is not None:
        found.append(Moment(incident.alerted_at, "系统预警"))
    for kind, name in ((AuthorKind.MEDIA, "媒体"), (AuthorKind.GOVERNMENT, "官方")):
        words = [_words(one) for one in posts if one.author.kind is kind]
        found += [
            Moment(one.at, f"{'首次' if not n else ''}{name}发声 · {one.what}", one.post)
            for n, one in enumerate(words[:4])
        ]
    numbers = [one for one in firsts if one.what.endswith("人")]
    found += numbers[: MOST_MOMENTS - len(found)]
    return tuple(sorted(found, key=lambda one: (one.at, one.what))[:MOST_MOMENTS])


def _step(posts: Sequence[Post]) -> timedelta:
    if not posts:
        return STEPS[0]
    length = posts[-1].created_at - posts[0].created_at
    return next((step for step in STEPS if length / step < MOST_BARS), STEPS[-1])


def _moods(posts: Sequence[Post], step: timedelta) -> tuple[Mood, ...]:
    if not posts:
        return ()
    first = posts[0].created_at
    start = first - timedelta(seconds=first.timestamp() % min(3600.0, step.total_seconds()))
    counts: dict[int, list[int]] = {}
    for one in posts:
        if one.analysis is not None and one.analysis.sentiment.label in MOODS:
            row = counts.setdefault((one.created_at - start) // step, [0, 0, 0])
            row[MOODS.index(one.analysis.sentiment.label)] += 1
    return tuple(
        Mood(start + place * step, (row[0], row[1], row[2]))
        for place, row in sorted(counts.items())
    )


def _voices(posts: Iterable[Post]) -> int:
    return len(Gathering(member(one) for one in posts).independent())


def _news(
    read: Sequence[Post], posts: Sequence[Post], firsts: Sequence[Moment], now: datetime
) -> News:
    since = now - LAST
    fresh = [one for one in posts if one.created_at > since]
    before = [one for one in read if one.created_at <= since]
    new = len({_who(one) for one in fresh} - {_who(one) for one in before})
    if len(read) == len(posts) and fresh:  # copies of older texts are no new voices
        new = min(new, max(0, _voices(read) - _voices(before)))
    return News(
        since=since,
        posts=len(fresh),
        voices=new,
        said=tuple(one for one in firsts if one.at > since),
        official=tuple(_words(one) for one in fresh if one.author.kind in OFFICIAL),
    )


def _who(one: Post) -> str:
    author: Author = one.author
    return author.key or one.id
