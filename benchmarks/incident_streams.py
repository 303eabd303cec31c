"""Streams for benchmarks/incidents.py: real rows, a flood laid over background, kept analyses.

    python -m benchmarks.incident_streams mix --rate 20 --minutes 40 -o mix.jsonl

`mix` writes a stream for `huiyin replay`: posts of the flood over reposts of cascades and comments
under official accounts, with shifted times and made ids. The same seed gives the same file.
Reads the streams under HUIYIN_REAL_DATA.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import lzma
import os
import pickle
import random
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from huiyin.clock import system_clock
from huiyin.records import Analysis, Post
from nlp.base import Shares, Text, Understanding

Row = dict[str, Any]
CACHE = Path("build/incidents")
START = datetime.fromisoformat("2021-07-21T09:00:00+08:00")
"""When the background begins; the flood's first post comes `WARM` later."""
WARM = timedelta(minutes=10)
REPOSTS_SHARE = 0.8
_SECRET = b"benchmark"


class Kept:
    """An understanding that keeps what it read, by model and text, in `CACHE`."""

    def __init__(self, inner: Understanding | None = None) -> None:
        """`inner`: the model to ask; None = the shipped one."""
        if inner is None:
            from nlp import load_understanding

            inner = load_understanding()
        self._inner = inner
        CACHE.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(inner.model.encode()).hexdigest()[:16]
        self._store = sqlite3.connect(CACHE / f"analyses-{name}.db", isolation_level=None)
        self._store.execute("CREATE TABLE IF NOT EXISTS kept (key BLOB PRIMARY KEY, value BLOB)")
        self._memory: dict[bytes, Analysis] = {}

    @property
    def model(self) -> str:
        """Id of the model that reads."""
        return self._inner.model

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Not kept."""
        return self._inner.embed(texts)

    def shares(self, texts: Sequence[str]) -> list[Shares]:
        """Not kept."""
        return self._inner.shares(texts)

    def analyse(self, texts: Sequence[Text]) -> list[Analysis]:
        """Kept analyses; what is new is read by the model and kept."""
        keys = [_key(text) for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if not self._have(key)}
        wanted = list(new.items())
        for start in range(0, len(wanted), 256):
            part = wanted[start : start + 256]
            found = self._inner.analyse([text for _, text in part])
            rows = [(key, pickle.dumps(one)) for (key, _), one in zip(part, found, strict=True)]
            self._store.executemany("INSERT OR REPLACE INTO kept VALUES (?,?)", rows)
            self._memory.update((key, one) for (key, _), one in zip(part, found, strict=True))
        return [self._memory[key] for key in keys]

    def _have(self, key: bytes) -> bool:
        if key not in self._memory:
            row = self._store.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone()
            if row is None:
                return False
            self._memory[key] = pickle.loads(row[0])  # noqa: S301  (our own file)
        return True


def _key(text: Text) -> bytes:
    whole = "\0".join((text.title or "", text.text, text.region or ""))
    return hashlib.sha256(whole.encode()).digest()


def folder() -> Path:
    """The folder of real streams. Raises `SystemExit` where none is named."""
    found = Path(os.environ.get("HUIYIN_REAL_DATA", "")) / "streams"
    if not os.environ.get("HUIYIN_REAL_DATA") or not found.is_dir():
        raise SystemExit("HUIYIN_REAL_DATA names no folder with real data")
    return found


@cache
def rows(name: str) -> list[Row]:
    """Rows of a stream in time order (of cascades: as they lie)."""
    file = next(folder().glob(f"{name}.jsonl.*"))
    reader = gzip.open if file.suffix == ".gz" else lzma.open
    with reader(file, "rt", encoding="utf-8") as lines:
        found = [row for row in map(json.loads, lines) if row["text"].strip()]
    if found and "id" in found[0] and not name.startswith("cascades"):
        found.sort(key=lambda row: (row["created_at"], row["id"]))
    return found


def prepare() -> Any:
    """Row -> `Post`, as `huiyin replay` makes them; author keys from a fixed secret."""
    from crawler import AccountBook, Identity, row_reader

    identity = Identity(_SECRET * 4)
    return row_reader(identity, AccountBook([]), "office:default", system_clock())


def posts(rows: Sequence[Row], understanding: Understanding) -> list[Post]:
    """Analysed posts of the rows, in (created_at, id) order."""
    read = prepare()
    made = [read(row) for row in rows]
    found = understanding.analyse([Text(text=post.text, title=post.title) for post in made])
    both = [
        post.model_copy(update={"analysis": analysis, "collected_at": post.created_at})
        for post, analysis in zip(made, found, strict=True)
    ]
    return sorted(both, key=lambda post: (post.created_at, post.id))


def background(rate: float, seconds: float, seed: int = 1) -> list[Row]:
    """About `rate` posts/s: whole cascades and threads with their own delays, moved in time."""
    random_ = random.Random(seed)
    wanted = int(rate * seconds)
    found: list[Row] = []
    chains = _chains()
    order = list(chains)
    random_.shuffle(order)
    reposts = comments = 0
    for name in order:
        is_thread = name.startswith("gov")
        if (comments if is_thread else reposts) >= wanted * (
            (1 - REPOSTS_SHARE) if is_thread else REPOSTS_SHARE
        ):
            continue
        begin = random_.uniform(-0.5 * seconds, seconds)
        for delay, row in chains[name]:
            if 0 <= begin + delay < seconds:
                at = START + timedelta(seconds=begin + delay)
                found.append({**row, "created_at": at.isoformat()})
                comments, reposts = comments + is_thread, reposts + (not is_thread)
    random_.shuffle(found)
    found = found[:wanted]
    return sorted(found, key=lambda row: (row["created_at"], row["id"]))


@cache
def _chains() -> dict[str, list[tuple[float, Row]]]:
    """Cascade or thread -> (seconds since its first post, row with made ids)."""
    chains: dict[str, list[tuple[float, Row]]] = {}
    first: dict[str, tuple[float, str]] = {}
    for row in rows("cascades_posts"):
        if row["created_at"][:1] != "2":  # a few have lost their year
            continue
        at = seconds(row)
        first[row["cascade"]] = (at, f"bg-{row['id']}")
        made = {"id": f"bg-{row['id']}", "text": row["text"], "author": f"c{row['id']}"}
        chains[f"cascade {row['cascade']}"] = [(0.0, made)]
    for row in rows("cascades_reposts"):
        if row["cascade"] in first and row["text"] and row["created_at"][:1] == "2":
            at, root = first[row["cascade"]]
            made = {"id": f"bg-{row['id']}", "text": row["text"], "author": row["author"],
                    "root": root}  # fmt: skip
            chains[f"cascade {row['cascade']}"].append((max(0.0, seconds(row) - at), made))
    for number, row in enumerate(rows("gov_comments")):
        thread = chains.setdefault(f"gov {row['post']}", [])
        made = {"id": f"bg-g{number}", "text": row["text"], "author": row["author"],
                "root": f"bg-gov-{row['post']}"}  # fmt: skip
        thread.append((seconds(row), made))
    for name, thread in chains.items():
        if name.startswith("gov"):
            begin = min(at for at, _ in thread)
            chains[name] = [(at - begin, row) for at, row in thread]
    return chains


def seconds(row: Row) -> float:
    """Time of a row, seconds since the epoch; without zone Asia/Shanghai."""
    at = datetime.fromisoformat(row["created_at"])
    if at.tzinfo is None:
        at = at.replace(tzinfo=START.tzinfo)
    return at.timestamp()


def flood(begin: int, most: float, longest_gap: float = 1e9) -> Iterator[Row]:
    """Flood posts from number `begin` on for `most` seconds, moved to `START` + `WARM`.

    A gap longer than `longest_gap` seconds is shortened to it.
    """
    found = rows("flood_2021")[begin:]
    passed, before = 0.0, seconds(found[0])
    for row in found:
        passed += min(longest_gap, seconds(row) - before)
        before = seconds(row)
        if passed > most:
            return
        at = START + WARM + timedelta(seconds=passed)
        yield {"id": f"flood-{row['id']}", "text": row["text"], "created_at": at.isoformat()}


def mix(rate: float, minutes: float, begin: int, longest_gap: float, seed: int = 1) -> list[Row]:
    """The flood over the background, in time order."""
    whole = minutes * 60
    both = [*background(rate, whole, seed)]
    both += flood(begin, whole - WARM.total_seconds(), longest_gap)
    return sorted(both, key=lambda row: (datetime.fromisoformat(row["created_at"]), row["id"]))


def main() -> None:
    """Write a mix."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["mix"])
    parser.add_argument("--rate", type=float, default=1.0, help="background posts a second")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--begin", type=int, default=5, help="number of the first flood post")
    parser.add_argument("--longest-gap", type=float, default=1800.0, help="seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, required=True)
    given = parser.parse_args()
    made = mix(given.rate, given.minutes, given.begin, given.longest_gap, given.seed)
    with given.out.open("w", encoding="utf-8") as out:
        for row in made:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{len(made)} posts -> {given.out}")


if __name__ == "__main__":
    main()
