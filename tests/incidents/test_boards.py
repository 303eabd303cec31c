"""Issues on a quiet board: names that are rare in general, months apart, told by the third."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks.dense_boards import FOLDER
from huiyin.records import Labelled, Post
from nlp.incidents import commonness
from nlp.incidents.board import Board
from nlp.incidents.burst import ASKS, GRAVE
from nlp.incidents.gathering import Gathering, member
from nlp.incidents.names import named_groups
from nlp.incidents.packing import BUCKETS, PACK, term_ids
from tests.incidents.helpers import analysed, post

DAY = 24 * 60.0
QUIET = 4 / 24
"""Messages an hour of the whole board."""


def weight(term: str) -> float:
    """The mean weight of a word's pairs of characters."""
    return float(commonness.weights()[term_ids(term) // PACK].mean())


def test_names_weigh_more_than_what_everybody_writes() -> None:
    assert commonness.weights().shape == (BUCKETS,)
    ordinary = [weight(one) for one in ("我们", "什么", "现在", "大家", "没有")]
    names = [weight(one) for one in ("鑫固", "翰林华府", "枫桥郡")]
    assert max(ordinary) < 0.6 < 1.0 < min(names)


def test_the_table_keeps_counts_to_an_eighth() -> None:
    counts = np.array([0, 1, 7, 300, 10**6, 10**9], dtype=np.int64)
    levels = commonness.pressed(counts)
    assert list(levels) == sorted(levels) and levels[0] == 0
    kept = np.expm1(levels / commonness.STEPS)
    assert kept[1:5] == pytest.approx(counts[1:5], rel=0.125)
    found = commonness.weights_of(levels, 10**10)
    assert list(found) == sorted(found, reverse=True)


def board(posts: list[Post]) -> Board:
    by_id = {one.id: analysed(one) for one in posts}
    made = Board(365 * 24 * 3600.0, lambda ids: [by_id[one] for one in ids])
    for one in by_id.values():
        made.decide(one)
    return made


def test_like_words_months_later_are_another_matter() -> None:
    first = post("a", "云溪澜湾的物业又涨价，业主不交就停电梯卡，请有关部门管管")
    text = "云溪澜湾物业涨价乱收费，不交钱就停业主的电梯卡，谁来管管"
    soon, late = post("b", text, 3 * DAY), post("b", "物业涨价乱收费，谁来管管", 300 * DAY)
    assert board([first, soon]).group_of("t:b") == "incident:t:a"
    assert board([first, late]).group_of("t:b") == "incident:t:b"


def issue(name: str, number: int) -> list[Post]:
    """Messages of an issue of `benchmarks/boards`, in their order."""
    with (FOLDER / f"{name}.jsonl").open(encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["id"].startswith(f"{name}-{number}-")]
    return [
        post(row["id"], row["title"] + "\n" + row["text"], row["day"] * DAY, author=row["id"])
        for row in rows
    ]


def asking(one: Post) -> Post:
    """The post as the model reads a question that wants an answer."""
    read = analysed(one)
    assert read.analysis is not None
    intent = Labelled(label="咨询", probabilities={"咨询": 1.0})
    analysis = read.analysis.model_copy(update={"intent": intent, "needs_answer": 0.9})
    return read.model_copy(update={"analysis": analysis})


def test_three_who_ask_the_same_within_days_are_told_on_a_quiet_board_only() -> None:
    texts = ("枫桥郡划到哪所小学？", "请问枫桥郡今年读哪个小学", "枫桥郡的孩子到底读哪里")
    asked = [asking(post(f"q{n}", text, n * DAY)) for n, text in enumerate(texts)]
    gathering = Gathering(member(one) for one in asked)
    quiet, busy = gathering.burst(QUIET), gathering.burst(500.0)
    assert (quiet.bar, busy.bar) == (ASKS, GRAVE)
    assert quiet.holds(3, 0.5)
    assert not busy.holds(3, 0.5)


def test_a_complaint_about_orders_is_no_advertisement() -> None:
    text = "公司不派单，司机天天在线没有订单，下单的人也找不到我们，押金不退，请管管"
    one = asking(post("a", text))
    complaint = Labelled(label="投诉", probabilities={"投诉": 1.0})
    assert one.analysis is not None
    read = one.analysis.model_copy(update={"intent": complaint})
    assert member(one.model_copy(update={"analysis": read})).content.weight >= GRAVE


def test_a_written_issue_is_mostly_one_group(tmp_path: Path) -> None:
    """Ten people without water within three days, as written for the benchmark."""
    posts = issue("b", 5)
    if len({one.text for one in posts}) < 5:
        pytest.fail("benchmarks/boards/b.jsonl has changed")
    made = board(posts)
    names = [made.group_of(one.id) for one in posts]
    largest = max(names.count(one) for one in names)
    assert largest >= 0.6 * len(posts)
    assert timedelta(minutes=1) < posts[-1].created_at - posts[0].created_at


ROAD = (
    "金鹤路修了一年还在围挡，从双河路口到鹤鸣洲天天堵车，到底什么时候完工",
    "从双河路口到鹤鸣洲的金鹤路围挡一年了，没有看到几个工人，什么时候完工",
    "请问金鹤路的围挡什么时候拆，双河路口到鹤鸣洲修了一年多，天天堵车",
)
OTHERS = [
    "垃圾站太臭了",
    "公交车总是不来",
    "小区停水三天",
    "路灯坏了没人修",
    "学校食堂涨价",
    "医院排队太久",
]


def played(*more: str) -> Board:
    texts = [*OTHERS, *ROAD, *more]
    return board([post(f"p{n}", text, n * 3 * DAY) for n, text in enumerate(texts)])


def test_a_name_brings_what_says_it_in_other_words() -> None:
    road = f"incident:t:p{len(OTHERS)}"
    muddy = "孩子上学走烂泥，{}挖开的地方掉进去一个学生，腿缝了六针，请重视"
    named, unnamed = (played(muddy.format(where)) for where in ("金鹤路", "我们那条路"))
    last = f"t:p{len(OTHERS) + len(ROAD)}"
    assert named.group_of(last) == road
    assert unnamed.group_of(last) != road


def test_a_group_is_named_by_what_most_of_it_and_few_others_say() -> None:
    made = played()
    assert made.is_named(f"incident:t:p{len(OTHERS)}")
    rows = list(range(len(OTHERS)))
    assert not made.grouper.index.share_a_name(rows)
    assert not made.grouper.index.share_a_name(rows[:3])


def test_a_name_must_be_mostly_of_one_group() -> None:
    def size(group: str) -> int:
        return {"a": 4, "b": 40}.get(group, 1)

    assert named_groups([["a", "a", "a", "c"]], size, 24) == ["a"]
    assert named_groups([["a", "a", "a", "c", "d", "e"]], size, 24) == []
    assert named_groups([["a", "a"]], size, 24) == []
    assert named_groups([["b", "b", "b"]], size, 24) == []  # three of forty are no name
