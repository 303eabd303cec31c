"""An office with two drafters, two reviewers, notices, and an appeal that one notice answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from archive import open_archive
from archive.base import Archive
from huiyin import vectors
from huiyin.records import (
    Account,
    Actor,
    Analysis,
    Author,
    AuthorKind,
    Category,
    Kind,
    Labelled,
    Origin,
    Post,
    Role,
    Scope,
    Urgency,
    text_sha,
)
from responder import Desk

NOW = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)
CITY, WATER, OTHER = "weibo:1", "weibo:2", "weibo:9"
OUTAGE = (
    "因纺织路管道改接，3月6日22:00至3月7日6:00，纺织路沿线停水，涉及纺织厂宿舍和桂花苑。"
    "请提前储水，恢复初期如有浑浊放水3分钟即可。送水车停在宿舍南门，咨询电话88100096。"
)
DOGS = "养犬登记请带身份证和狂犬病免疫证明，到街道便民服务中心办理，登记和芯片免费，每年年检一次。"
APPEAL = "纺织厂宿舍这边到底哪天夜里停水，几点能来？要不要提前储水 @城市供水"


class Hashed:
    """Vectors of character bigrams: a real, if simple, embedder without a model."""

    model = "hashed"

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [vectors.pack(self._one(text)) for text in texts]

    def _one(self, text: str) -> np.ndarray:
        vector = np.zeros(256, dtype=np.float32)
        for place in range(len(text) - 1):
            digest = hashlib.md5(text[place : place + 2].encode(), usedforsecurity=False).digest()
            vector[digest[0]] += 1.0
        return vector + 1e-6


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def a_post(
    key: str, text: str, *, kind: Kind = Kind.POST, official: bool = False, name: str | None = None,
    offices: tuple[str, ...] = (WATER, CITY), mentions: tuple[str, ...] = (), days: float = 0.1,
) -> Post:  # fmt: skip
    at = NOW - timedelta(days=days)
    author = Author(
        key=f"k-{key}", name=name,
        kind=AuthorKind.GOVERNMENT if official else AuthorKind.ORDINARY,
    )  # fmt: skip
    return Post(
        id=f"weibo:{key}", kind=kind, text=text, created_at=at, collected_at=at, read_at=at,
        author=author, offices=offices, mentions=mentions, source=Origin(spider="test"),
    )  # fmt: skip


def a_notice(key: str, text: str, *, days: float = 1, name: str = "城市供水") -> Post:
    return a_post(key, text, kind=Kind.NOTICE, official=True, name=name, days=days)


def analysed(
    post: Post, intent: str = "咨询", needs: float = 0.9, urgency: float = 0.1,
    duplicate_of: str | None = None,
) -> tuple[str, Analysis]:  # fmt: skip
    none = Labelled(label="neutral", probabilities={"neutral": 1.0})
    return post.id, Analysis(
        model=Hashed.model, text_sha=text_sha(post.title, post.text), sentiment=none, emotion=none,
        intent=Labelled(label=intent, probabilities={intent: 1.0}),
        category=Category(path=("城乡建设",), probabilities={"城乡建设": 1.0}), needs_answer=needs,
        urgency=Urgency(score=urgency), vector=Hashed().embed([post.text])[0],
        duplicate_of=duplicate_of,
    )  # fmt: skip


def actor(name: str, *roles: Role, offices: tuple[str, ...] = (WATER,)) -> Actor:
    return Actor(name, name, frozenset(roles), Scope.of(*offices))


@dataclass
class Office:
    archive: Archive
    desk: Desk
    clock: Clock
    post: Post
    notice: Post
    writer: Actor
    writer2: Actor
    reviewer: Actor
    reviewer2: Actor
    stranger: Actor


def fill(archive: Archive, clock: Clock) -> Office:
    for account in (
        Account(id=CITY, uid="1", name="城市发布", level=1, offices=(CITY,)),
        Account(
            id=WATER, uid="2", name="城市供水", level=2, parent=CITY, offices=(WATER, CITY),
            duties=("停水", "水表"),
        ),
        Account(id=OTHER, uid="9", name="邻市发布", level=1, offices=(OTHER,)),
    ):  # fmt: skip
        archive.create(account)
    post = a_post("100", APPEAL, mentions=(WATER,))
    notice = a_notice("10", OUTAGE)
    others = [a_notice("11", DOGS, name="城市管理"), a_notice("12", "早安，今天多云，记得带伞。")]
    archive.put_posts([post, notice, *others])
    archive.write_analyses([analysed(one) for one in (post, notice, *others)])
    both = (Role.DRAFTER, Role.REVIEWER)
    return Office(
        archive, Desk(archive, embedder=Hashed(), clock=clock), clock, post, notice,
        actor("li", Role.DRAFTER), actor("wu", Role.DRAFTER), actor("zhao", Role.REVIEWER),
        actor("qian", *both), actor("outsider", *both, offices=(OTHER,)),
    )  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_archive(f"sqlite:///{tmp_path / 'huiyin.db'}")
    yield opened
    opened.close()


@pytest.fixture
def office(archive: Archive) -> Office:
    return fill(archive, Clock())
