"""Real streams through the online path: events found, a flood alerted, complaints left in peace."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from archive import open_archive
from huiyin.records import Author, Origin, Post
from huiyin.settings import IncidentSettings
from nlp import load_understanding
from nlp.base import Understanding
from nlp.incidents import replay
from nlp.incidents.grouping import Grouper
from nlp.incidents.items import Item
from nlp.incidents.terms import plain
from tests.incidents.helpers import bcubed

WINDOW = IncidentSettings().window_hours * 3600
FLOOR = 0.75


@pytest.fixture(scope="module")
def understanding() -> Understanding:
    return load_understanding()


def prepare(row: Mapping[str, Any]) -> Post:
    at = datetime.fromisoformat(row["created_at"])
    return Post(
        id=f"t:{row['id']}", text=row["text"], title=row.get("title"), created_at=at,
        collected_at=at, read_at=at, author=Author(key=row.get("author")),
        source=Origin(spider="replay"),
    )  # fmt: skip


def read(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return sorted(rows, key=lambda row: (row["created_at"], row["id"]))


def gold(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] if row["event"] is None else f"event {row['event']}" for row in rows]


def play(file: Path, out: Path, understanding: Understanding) -> list[dict[str, Any]]:
    replay(
        file, out, understanding=understanding, settings=IncidentSettings(), prepare=prepare,
        open_archive=open_archive,
    )  # fmt: skip
    text = (out / "incidents.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_event_posts_through_replay(
    real_data: Path, tmp_path: Path, understanding: Understanding
) -> None:
    file = real_data / "streams" / "event_posts.jsonl.gz"
    rows = read(file)
    found = play(file, tmp_path / "out", understanding)
    group = {post: one["id"] for one in found for post in one["posts"]}
    assert bcubed(gold(rows), [group.get(row["id"], row["id"]) for row in rows]) >= 0.85
    alerted = [one for one in found if one["alerted_at"]]
    assert 1 <= len(alerted) <= 12, "a year of rumours: about one alert a month"


def test_words_alone_reach_the_floor(real_data: Path) -> None:
    rows = read(real_data / "streams" / "event_posts.jsonl.gz")
    grouper = Grouper(WINDOW)
    found = []
    for row in rows:
        moment = datetime.fromisoformat(row["created_at"]).timestamp()
        found.append(grouper.add(Item(row["id"], moment, plain(None, row["text"])))[0])
        grouper.expire(moment)
    assert bcubed(gold(rows), found) >= FLOOR


def test_the_first_calls_of_the_flood_alert(
    real_data: Path, tmp_path: Path, understanding: Understanding
) -> None:
    rows = read(real_data / "streams" / "flood_2021.jsonl.gz")[:200]
    file = tmp_path / "flood.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = play(file, tmp_path / "out", understanding)
    first = min(one["alerted_at"] for one in found if one["alerted_at"])
    before = [row for row in rows if row["created_at"] < first]
    assert len(before) <= 20, "within the first calls of the flood"
    assert len(found) <= 30, "no thousands of pieces"
