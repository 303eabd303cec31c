"""Small makers of posts, analyses and an understanding for the incident tests."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from archive.base import Archive
from huiyin.records import (
    Analysis,
    Author,
    AuthorKind,
    Category,
    Kind,
    Labelled,
    Origin,
    Post,
    Urgency,
    text_sha,
)  # fmt: skip
from huiyin.vectors import pack
from nlp.base import Text

START = datetime(2026, 7, 1, 8, 0, tzinfo=UTC)
DIMS = 256


def vector_of(text: str) -> bytes:
    """A bag of characters: texts with the same characters are near."""
    counts = np.full(DIMS, 0.2)  # unlike texts get about 0.4, as with the shipped model
    for char in text:
        counts[zlib.crc32(char.encode()) % DIMS] += 1
    return pack(counts)


class FakeUnderstanding:
    """Reads words only; deterministic."""

    model = "fake-1"

    def analyse(self, texts: Sequence[Text]) -> list[Analysis]:
        return [analysis(text.title, text.text) for text in texts]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [vector_of(text) for text in texts]


def analysis(title: str | None, text: str) -> Analysis:
    appeal = any(word in text for word in ("求助", "投诉", "什么时候", "没人管", "希望"))
    happy = any(word in text for word in ("谢谢", "感谢", "点赞", "真好"))
    return Analysis(
        model="fake-1",
        text_sha=text_sha(title, text),
        sentiment=Labelled(
            label="positive" if happy else "neutral",
            probabilities={"positive": 0.9 if happy else 0.1, "neutral": 0.1, "negative": 0.0},
        ),
        emotion=Labelled(label="neutral", probabilities={"neutral": 1.0}),
        intent=Labelled(label="投诉" if appeal else "其他", probabilities={}),
        category=Category(path=("城乡建设",), probabilities={"城乡建设": 1.0}),
        needs_answer=0.9 if appeal else 0.1,
        urgency=Urgency(score=0.3 if appeal else 0.0),
        vector=vector_of((title or "") + text),
    )


def post(
    name: str,
    text: str,
    minutes: float = 0.0,
    *,
    author: str | None = None,
    kind: Kind = Kind.POST,
    author_kind: AuthorKind = AuthorKind.ORDINARY,
    root: str | None = None,
    title: str | None = None,
    offices: tuple[str, ...] = ("office:a",),
    late: float = 0.0,
) -> Post:
    """A post `minutes` after START, read `late` minutes after it was written."""
    at = START + timedelta(minutes=minutes)
    read = at + timedelta(minutes=late)
    return Post(
        id=f"t:{name}",
        kind=kind,
        text=text,
        title=title,
        created_at=at,
        collected_at=read,
        read_at=read,
        author=Author(key=author or f"a-{name}", kind=author_kind),
        offices=offices,
        root=f"t:{root}" if root else None,
        source=Origin(spider="test"),
    )


def store(archive: Archive, posts: Sequence[Post]) -> None:
    """Put posts and their analyses in."""
    archive.put_posts(posts)
    archive.write_analyses([(one.id, analysis(one.title, one.text)) for one in posts])


def analysed(one: Post) -> Post:
    """The post as the queue gives it."""
    return one.model_copy(update={"analysis": analysis(one.title, one.text)})


BURST_MAIN = (
    "中山路口自来水主管爆管，水喷了三米高，路面全是水",
    "刚路过中山路口，水管爆了，马路成了河，车都过不去",
    "中山路口爆管，附近小区全停水了，什么时候能修好",
    "家里停水，楼下邻居说是中山路口的主水管爆了",
    "中山路口水管爆裂还在喷水，怎么没人管",
)
CHATTER = (
    "今天天气真好，公园里花都开了",
    "晚饭吃了火锅，真香",
    "这部电影里爆炸的场面太假了，笑死",
    "转发抽奖，抽三位朋友送电影票",
    "谢谢社区工作人员，办事很快，点赞",
    "周末去爬山，有一起的吗",
    "考试终于结束了，回家睡觉",
    "新歌太好听了，一起打call应援",
)


def bcubed(gold: Sequence[str], found: Sequence[str]) -> float:
    """B-cubed F1 (Bagga and Baldwin 1998)."""
    pairs: dict[tuple[str, str], int] = {}
    left: dict[str, int] = {}
    right: dict[str, int] = {}
    for one, other in zip(gold, found, strict=True):
        pairs[one, other] = pairs.get((one, other), 0) + 1
        left[one] = left.get(one, 0) + 1
        right[other] = right.get(other, 0) + 1
    precision = sum(n * n / right[b] for (_, b), n in pairs.items()) / len(gold)
    recall = sum(n * n / left[a] for (a, _), n in pairs.items()) / len(gold)
    return 2 * precision * recall / (precision + recall)
