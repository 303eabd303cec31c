"""A large archive to measure on, made once and kept under build/ (1,000,000 posts: about 6 GB).

Texts are real ones: reposts and short posts, in a shuffled order, each once as long as they last.
Everything else is invented with skewed shares, because the texts come without it: times rise with
the order of arrival (jitter of a day) over two years, authors, offices, regions and categories
follow Zipf's law. Every post is analysed. Vectors: the shipped model's own of `REAL_VECTORS` of the
texts; the other posts mix two of them and some noise, so that each real vector has about 17
relatives around it. `HELD_OUT` more real vectors are kept out of the archive, to ask with.
"""

from __future__ import annotations

import json
import lzma
import random
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archive import Archive, open_archive
from huiyin.records import (
    Analysis,
    Author,
    AuthorKind,
    Category,
    Kind,
    Labelled,
    Metrics,
    Origin,
    Post,
    Urgency,
    text_sha,
)

VERSION = 1
"""Raised when the posts change: an archive made by another version is made anew."""
FOLDER = Path(__file__).resolve().parent.parent / "build" / "archive-benchmark"
START = datetime(2024, 3, 1, tzinfo=UTC)
SPAN = timedelta(days=730)
REAL_VECTORS, HELD_OUT = 59_000, 1_000
MODEL = "huiyin-benchmark"
BATCH = 5000
Half = npt.NDArray[np.float16]
Say = Callable[[str], None]


def _lines(data: Path) -> tuple[list[str], list[str]]:
    """All reposts and all short posts."""
    with lzma.open(data / "streams" / "cascades_reposts.jsonl.xz", "rt", encoding="utf-8") as lines:
        reposts = [json.loads(line)["text"] or "转发微博" for line in lines]
    with lzma.open(data / "pretrain" / "short_texts.txt.xz", "rt", encoding="utf-8") as lines:
        return reposts, [line.strip() for line in lines]


def real_texts(data: Path, count: int) -> list[str]:
    """`count` shuffled texts: two in five are reposts, the others short posts; repeated if few."""
    reposts, shorts = _lines(data)
    chance = random.Random(7)
    chance.shuffle(reposts)
    chance.shuffle(shorts)
    some = reposts[: count * 2 // 5]
    texts = some + shorts[: count - len(some)]
    while len(texts) < count:
        texts += texts[: count - len(texts)]
    chance.shuffle(texts)
    return texts


class Skewed:
    """Values drawn by Zipf's law: the k-th is drawn 1/k as often as the first."""

    def __init__(self, values: Sequence[str], power: float = 1.0) -> None:
        self._values = list(values)
        self._weights = list(accumulate((k + 1) ** -power for k in range(len(values))))

    def draw(self, chance: random.Random) -> str:
        return chance.choices(self._values, cum_weights=self._weights)[0]


def _categories(data: Path) -> list[str]:
    file = data / "labelled" / "taxonomy.csv"
    rows = [line.split(",")[:2] for line in file.read_text("utf-8-sig").splitlines()[1:]]
    return list(dict.fromkeys("/".join(one.strip() for one in row) for row in rows if row[0]))


def _regions(data: Path) -> list[str]:
    rows = (data / "gazetteer" / "areas.csv").read_text("utf-8-sig").splitlines()[1:]
    codes = [row.replace('"', "").split(",")[0] for row in rows]
    random.Random(3).shuffle(codes)
    return [code.ljust(6, "0")[:6] for code in codes]


class Maker:
    """Posts and their analyses, the same for the same number."""

    def __init__(self, data: Path) -> None:
        self._platform = Skewed(("weibo", "douyin", "board", "toutiao", "wechat"), 1.6)
        self._kind = Skewed((Kind.POST, Kind.REPOST, Kind.COMMENT, Kind.MESSAGE, Kind.NOTICE))
        kinds = (AuthorKind.ORDINARY, AuthorKind.VERIFIED, AuthorKind.ORGANISATION,
                 AuthorKind.MEDIA, AuthorKind.GOVERNMENT)  # fmt: skip
        self._author_kind = Skewed(kinds, 2.0)
        self._author = Skewed([f"{zlib.crc32(b'%d' % k):08x}" * 4 for k in range(300_000)], 0.7)
        self._office = Skewed([f"weibo:{1000 + k}" for k in range(96)])
        self._region = Skewed(_regions(data), 0.8)
        self._category = Skewed(_categories(data), 0.8)
        self._sentiment = Skewed(("neutral", "negative", "positive"))
        self._emotion = Skewed(("neutral", "angry", "happy", "sad", "fear", "surprise"))
        self._intent = Skewed(("其他", "投诉", "求助", "咨询", "建议", "表扬", "举报"), 1.4)

    def post(self, n: int, text: str, count: int) -> Post:
        chance = random.Random(n)
        at = START + SPAN * (n / count) + timedelta(seconds=chance.randrange(86_400))
        offices = {self._office.draw(chance) for _ in range(1 + (chance.random() < 0.2))}
        metrics = Metrics(
            likes=int(chance.paretovariate(0.9)) - 1, comments=chance.randrange(9), reposts=0,
            read_at=at,
        )  # fmt: skip
        return Post(
            id=f"{self._platform.draw(chance)}:{4_500_000_000_000 + n * 37}", text=text,
            kind=Kind(self._kind.draw(chance)), created_at=at, collected_at=at, read_at=at,
            offices=tuple(sorted(offices)), source=Origin(spider="benchmark"),
            author=Author(
                key=self._author.draw(chance), kind=AuthorKind(self._author_kind.draw(chance))
            ),
            region=self._region.draw(chance) if chance.random() < 0.6 else None,
            url=f"https://weibo.com/detail/{n}", metrics=metrics,
        )  # fmt: skip

    def analysis(self, n: int, text: str, vector: bytes) -> Analysis:
        chance = random.Random(-n - 1)
        return Analysis(
            model=MODEL, text_sha=text_sha(None, text), needs_answer=round(chance.random(), 3),
            sentiment=Labelled(label=self._sentiment.draw(chance), probabilities={}),
            emotion=Labelled(label=self._emotion.draw(chance), probabilities={}),
            intent=Labelled(label=self._intent.draw(chance), probabilities={}),
            category=Category(path=tuple(self._category.draw(chance).split("/")), probabilities={}),
            urgency=Urgency(score=round(chance.random(), 3)), vector=vector,
        )  # fmt: skip


def real_vectors(data: Path, say: Say) -> Half:
    """(REAL_VECTORS + HELD_OUT, dims) vectors of the shipped model, kept in a file."""
    file = FOLDER / "vectors.npy"
    if not file.exists():
        from nlp.model import Model  # torch: only when it is needed

        reposts, shorts = _lines(data)
        texts = sorted({one for one in shorts + reposts if len(one) >= 6})
        random.Random(7).shuffle(texts)
        model, found = Model(), []
        for start in range(0, REAL_VECTORS + HELD_OUT, 2000):
            part = texts[start : min(start + 2000, REAL_VECTORS + HELD_OUT)]
            found += [one.vector for one in model.read(part)]
            model.forget()
            say(f"vectors: {len(found):,}")
        FOLDER.mkdir(parents=True, exist_ok=True)
        np.save(file, np.frombuffer(b"".join(found), "<f2").reshape(len(found), -1))
    loaded: Half = np.load(file)
    return loaded


def mixed(real: Half, first: int, count: int) -> list[bytes]:
    """Vectors of the posts `first` and following: the real ones once, then mixtures."""
    chance = np.random.default_rng(first)
    pool = real[:REAL_VECTORS].astype(np.float32)
    one, two = (chance.integers(0, len(pool), count) for _ in range(2))
    share = chance.uniform(0.5, 0.9, (count, 1)).astype(np.float32)
    noise = chance.standard_normal((count, pool.shape[1]), dtype=np.float32)
    out = share * pool[one] + (1 - share) * pool[two] + noise * (0.2 / pool.shape[1] ** 0.5)
    own = np.arange(first, first + count)
    out[own < len(pool)] = pool[own[own < len(pool)]]
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    return [row.tobytes() for row in out.astype("<f2")]


def batches(
    data: Path, count: int, say: Say
) -> Iterator[tuple[list[Post], list[tuple[str, Analysis]]]]:
    """Posts and their analyses in parts of `BATCH`."""
    real, maker, texts = real_vectors(data, say), Maker(data), real_texts(data, count)
    for start in range(0, count, BATCH):
        part = texts[start : start + BATCH]
        posts = [maker.post(n, text, count) for n, text in enumerate(part, start)]
        vectors = mixed(real, start, len(part))
        yield (
            posts,
            [
                (post.id, maker.analysis(n, post.text, vector))
                for n, (post, vector) in enumerate(zip(posts, vectors, strict=True), start)
            ],
        )


def build(data: Path, count: int, say: Say) -> Path:
    """The archive's file, made now if this version of it is not there yet."""
    file = FOLDER / f"posts-{count}-v{VERSION}.db"
    about = file.with_suffix(".json")
    if about.exists():
        return file
    for old in FOLDER.glob(f"posts-{count}-v*"):
        old.unlink()
    FOLDER.mkdir(parents=True, exist_ok=True)
    archive: Archive = open_archive(f"sqlite:///{file}")
    spent, done = [0.0, 0.0], 0
    for posts, analyses in batches(data, count, say):
        started = time.perf_counter()
        archive.put_posts(posts)
        between = time.perf_counter()
        archive.write_analyses(analyses)
        spent[0] += between - started
        spent[1] += time.perf_counter() - between
        done += len(posts)
        if done % 50_000 == 0:
            say(f"posts: {done:,} ({done / spent[0]:,.0f}/s in, {done / spent[1]:,.0f}/s analysed)")
    archive.close()
    about.write_text(json.dumps({"posts": done, "put_s": spent[0], "analyses_s": spent[1]}))
    return file


def held_out(data: Path, say: Say) -> Half:
    """Real vectors that no post of the archive has."""
    return real_vectors(data, say)[-HELD_OUT:]


__all__ = ["FOLDER", "MODEL", "build", "held_out", "real_texts"]
