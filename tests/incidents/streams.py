"""A made stream of six days and what an archive holds after it."""

from __future__ import annotations

import random

from archive import Archive
from huiyin.records import Batch, Incident, Post, Scope
from tests.incidents.helpers import BURST_MAIN, CHATTER, post

ALL = Scope.everything()


def incidents(archive: Archive) -> list[Incident]:
    return [stored.record for stored in archive.records(Incident, ALL)]


def marks(archive: Archive) -> dict[str, str | None]:
    return {one.id: one.incident for one in archive.iter_posts(ALL)}


def dump(archive: Archive) -> tuple[object, ...]:
    return (
        marks(archive),
        {one.id: one.model_dump() for one in incidents(archive)},
        [stored.record.members for stored in archive.records(Batch, ALL)],
    )


def stream(count: int = 160) -> list[Post]:
    random_ = random.Random(7)
    posts = []
    for n in range(count):
        minute = random_.uniform(0, 60 * 24 * 6)
        if n % 3:
            gate = random_.choice("东西南北")
            text = f"{random_.choice(BURST_MAIN)}，{gate}门{n % 40}号"
        else:
            text = f"{random_.choice(CHATTER)}{n}"
        posts.append(post(f"s{n}", text, minute, author=f"a{n % 90}"))
    return sorted(posts, key=lambda one: (one.created_at, one.id))
