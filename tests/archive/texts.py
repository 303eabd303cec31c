"""Texts to search in: real ones where HUIYIN_REAL_DATA names them, else the sample city's."""

from __future__ import annotations

import gzip
import itertools
import json
import lzma
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILES = (
    "streams/gov_comments.jsonl.gz", "streams/gov_posts.jsonl.gz", "streams/flood_2021.jsonl.gz",
    "streams/event_reactions.jsonl.gz", "streams/message_board_unlabelled.jsonl.gz",
    "labelled/emotion.jsonl.gz", "labelled/category_full.jsonl.gz",
    "streams/cascades_reposts.jsonl.xz", "pretrain/short_texts.txt.xz",
)  # fmt: skip
SAMPLES = Path(__file__).parents[2] / "samples"
VARIANTS = (
    "颱風來了 ＡＢＣ１２３", "我❤️你👍🏽", "👩🏽\u200d🚒来救火", "救\u200b命啊",
    "İstanbul ΟΔΟΣ Ⅷ ﾃﾚﾋﾞ", "𠮷野家 𝐀𝐁", "", "！！！", "cafe\u0301 café naïve",
    "5G网络iPhone15 t.cn/RxYz", "Москва 서울 東京タワー", "🇨🇳1️⃣㊗️⭐",
)  # fmt: skip


def real_folder() -> Path | None:
    folder = Path(os.environ.get("HUIYIN_REAL_DATA", ""))
    return folder if (folder / "streams").is_dir() else None


def texts(count: int) -> list[str]:
    """`count` texts, from all files alike, the difficult ones first."""
    folder = real_folder()
    found = list(VARIANTS)
    if folder is None:
        known = [text for file in sorted(SAMPLES.rglob("*.json")) for text in _texts_of(file)]
        chance = random.Random(4)
        while len(found) < count:
            found.append("".join(chance.choices(known, k=chance.randint(1, 2)))[:300])
        return found[:count]
    each = -(-count // len(FILES))
    for name in FILES:  # the last one is long enough to fill what short ones leave
        wanted = count - len(found) if name == FILES[-1] else each
        found += itertools.islice(_lines(folder / name), wanted)
    return found[:count]


def _lines(file: Path) -> Iterator[str]:
    opened = gzip.open if file.suffix == ".gz" else lzma.open
    with opened(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            text = line.strip() if ".txt" in file.name else json.loads(line).get("text")
            if text:
                yield text


def _texts_of(file: Path) -> list[str]:
    return _strings(json.loads(file.read_text(encoding="utf-8")))


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for item in value.values() for text in _strings(item)]
    return [text for item in value for text in _strings(item)] if isinstance(value, list) else []
