"""The sample city's appeals: drafts cite the notice that answers. And real official posts."""

from __future__ import annotations

import gzip
import json
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from huiyin.records import (
    Account,
    Analysis,
    Author,
    AuthorKind,
    Category,
    Kind,
    Labelled,
    Origin,
    Post,
    Role,
    Urgency,
    text_sha,
)  # fmt: skip
from huiyin.vectors import unpack
from responder import Desk
from responder.facts import Evidence, facts, support
from responder.words import sentences
from tests.responder.conftest import Clock, actor

ROOT = Path(__file__).parents[2]
CITY = ROOT / "samples" / "yundu"
KEY = ROOT / "tests" / "samples" / "appeals_key.json"
SHARE = 0.75
"""15 of 20."""


def pages(name: str) -> list[dict]:
    data = json.loads((CITY / name).read_text(encoding="utf-8"))
    return [one for value in data.values() if isinstance(value, list) for one in value]


def a_post(status: dict, shift: timedelta, uids: dict[str, str], *, notice: bool) -> Post:
    at = datetime.strptime(status["created_at"], "%a %b %d %H:%M:%S %z %Y") + shift
    named = re.findall(r"@([\w·]+)", status["text"])
    mentions = tuple(f"weibo:{uids[one]}" for one in named if one in uids)
    author = Author(key="a", kind=AuthorKind.ORDINARY)
    if notice:
        author = Author(key="g", kind=AuthorKind.GOVERNMENT, name=status["user"]["name"])
        mentions = (f"weibo:{uids[status['user']['name']]}",)
    return Post(
        id=f"weibo:{status['idstr']}", kind=Kind.NOTICE if notice else Kind.POST,
        text=status["text"], created_at=at, collected_at=at, read_at=at, author=author,
        offices=mentions or ("weibo:9900000101",), mentions=() if notice else mentions,
        source=Origin(spider="test"),
    )  # fmt: skip


def analysis(post: Post, model: str, vector: bytes) -> tuple[str, Analysis]:
    none = Labelled(label="咨询", probabilities={})
    return post.id, Analysis(
        model=model, text_sha=text_sha(post.title, post.text), sentiment=none, emotion=none,
        intent=none, category=Category(path=(), probabilities={}), needs_answer=0.9,
        urgency=Urgency(score=0.1), vector=vector,
    )  # fmt: skip


def test_three_drafts_of_four_cite_the_right_notice(archive) -> None:  # type: ignore[no-untyped-def]
    from huiyin.app import load_model
    from huiyin.errors import ModelError
    from huiyin.settings import Settings

    try:
        model = load_model(Settings())
        assert unpack(model.embed(["停水"])).shape[0] == 1
    except ModelError as error:
        pytest.skip(f"model: {error}")
    key = json.loads(KEY.read_text(encoding="utf-8"))
    accounts = json.loads((CITY / "accounts.json").read_text(encoding="utf-8"))
    uids = {one["name"]: one["uid"] for one in accounts}
    for one in accounts:
        parent = f"weibo:{one['parent']}" if one["parent"] else None
        archive.create(
            Account(
                id=f"weibo:{one['uid']}", uid=one["uid"], name=one["name"], level=one["level"],
                parent=parent, duties=tuple(one["duties"]),
                offices=tuple(filter(None, (f"weibo:{one['uid']}", parent))),
            )
        )  # fmt: skip
    statuses = pages("notices.json")
    clock = Clock()
    last = max(datetime.strptime(one["created_at"], "%a %b %d %H:%M:%S %z %Y") for one in statuses)
    shift = clock().astimezone(UTC) - timedelta(minutes=5) - last
    by_id = {
        one["idstr"]: one
        for name in ("statuses.json", "comments.json", "messages.json")
        for one in pages(name)
    }
    posts = [a_post(one, shift, uids, notice=True) for one in statuses]
    posts += [a_post(by_id[one], shift, uids, notice=False) for one in key]
    archive.put_posts(posts)
    vectors = model.embed([one.text for one in posts])
    archive.write_analyses(
        [analysis(one, model.model, vector) for one, vector in zip(posts, vectors, strict=True)]
    )
    desk = Desk(archive, embedder=model, clock=clock)
    who = actor("li", Role.DRAFTER, offices=("*",))
    right = 0
    for appeal, wanted in key.items():
        draft = desk.draft_for(f"weibo:{appeal}", who).record
        cited = {source for line in draft.sentences for source in line.sources}
        answers = wanted if isinstance(wanted, list) else [wanted]
        right += any(f"weibo:{one}" in cited for one in answers)
        assert all(line.sources or "【待核实】" in line.text for line in draft.sentences)
    print(f"cited {right} of {len(key)}")
    assert right >= SHARE * len(key), f"{right} of {len(key)}"


def real_sentences(real_data: Path, most: int) -> list[tuple[Evidence, str]]:
    chance = random.Random(5)
    file = real_data / "streams" / "gov_posts.jsonl.gz"
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    chance.shuffle(rows)
    at = datetime(2020, 6, 1, 4, tzinfo=UTC)
    found = []
    for row in rows:
        evidence = Evidence(row["id"], row["text"], at, row["account"])
        plain = [one.strip() for one in sentences(row["text"]) if re.search(r"\d", one)]
        found.extend((evidence, one) for one in plain[:1] if 12 < len(one) < 120)
    return found[:most]


def test_real_official_sentences_hold_and_changed_numbers_do_not(real_data: Path) -> None:
    """Of 300 real sentences: with another beginning they hold; with one digit changed not."""
    at = datetime(2020, 6, 1, 4, tzinfo=UTC)
    held = caught = changed = 0
    pairs = real_sentences(real_data, 300)
    for evidence, sentence in pairs:
        held += support(f"您好，{sentence}", [evidence], at).supported
        altered = re.sub(r"\d(?=\D*$)", lambda m: str((int(m[0]) + 1) % 10), sentence, count=1)
        digits = {one.value for one in facts(altered, at)} - {
            one.value for one in facts(sentence, at)
        }
        if digits and altered.strip() not in evidence.text:
            changed += 1
            caught += not support(altered, [evidence], at).supported
    print(f"held {held} of {len(pairs)}, caught {caught} of {changed}")
    assert changed > 100
    assert held >= 0.9 * len(pairs)
    assert caught >= 0.97 * changed
