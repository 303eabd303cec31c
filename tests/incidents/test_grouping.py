"""Grouping by itself: window, threads, tags, witnesses, bounded memory, exact restoring."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from huiyin.records import AuthorKind, Kind, Post
from nlp.incidents import grouping
from nlp.incidents.board import PREFIX, Board
from nlp.incidents.grouping import Grouper
from nlp.incidents.items import Item, Key
from tests.incidents.helpers import BURST_MAIN, CHATTER, analysed, post
from tests.incidents.streams import stream

HOUR = 3600.0


def new_board(posts: Sequence[Post]) -> Board:
    by_id = {one.id: analysed(one) for one in posts}
    return Board(48 * HOUR, lambda ids: [by_id[one] for one in ids])


def groups(posts: list[Post], board: Board | None = None) -> dict[str, str]:
    board = board or new_board(posts)
    return {
        one.id.removeprefix("t:"): board.decide(analysed(one)).group.removeprefix(f"{PREFIX}t:")
        for one in posts
    }


def test_a_post_outside_the_window_does_not_join() -> None:
    near, far = post("a", BURST_MAIN[0]), post("b", BURST_MAIN[0] + "！", 60 * 47)
    assert groups([near, far])["b"] == "a"
    assert groups([near, post("b", BURST_MAIN[0] + "！", 60 * 49)])["b"] == "b"


def test_a_tag_that_everybody_uses_glues_nothing() -> None:
    posts = [post(f"c{n}", f"#早安城市#{text}", n) for n, text in enumerate(CHATTER)]
    found = groups(posts)
    assert len(set(found.values())) >= len(CHATTER) - 1


def test_replies_go_with_their_thread_but_appeals_under_a_notice_do_not() -> None:
    notice = post("n", "明天起地铁三号线延长运营一小时", author_kind=AuthorKind.GOVERNMENT)
    first, second = post("a", BURST_MAIN[0], 1), post("t", "今天的晚霞真好看", 1)
    appeal = post("x", BURST_MAIN[0] + "，快来人", 2, kind=Kind.COMMENT, root="n")
    thanks = post("y", "太好了，终于延长了，谢谢地铁公司", 3, kind=Kind.COMMENT, root="n")
    reply = post("z", BURST_MAIN[0] + "，快来人啊", 4, kind=Kind.COMMENT, root="t")
    repost = post("r", "转发微博", 5, kind=Kind.REPOST, root="a")
    found = groups([notice, first, second, appeal, thanks, reply, repost])
    assert found["x"] == "a"
    assert found["y"] == "n"
    assert found["z"] == "t"
    assert found["r"] == "a"


def test_a_reply_that_comes_before_its_root_is_joined_by_it() -> None:
    found = groups([post("r", "转发微博", 5, kind=Kind.REPOST, root="a"), post("a", "早上好", 0)])
    assert found["a"] == found["r"]


def test_witnesses_of_one_accident_find_each_other_by_account_and_time() -> None:
    def seen(name: str, text: str, minutes: float, account: str) -> Post:
        return post(name, text, minutes).model_copy(update={"mentions": (account,)})

    one = seen("a", "北门冒出浓烟，好大的火光", 0, "office:fire")
    other = seen("b", "有人抬着伤者跑出来，救护车到了", 6, "office:fire")
    assert groups([one, other])["b"] == "a"
    assert groups([one, seen("b", other.text, 6, "office:water")])["b"] == "b"
    assert groups([one, seen("b", other.text, 60 * 12, "office:fire")])["b"] == "b"
    assert groups([one, seen("b", "请问办护照要带什么材料", 6, "office:fire")])["b"] == "b"


def test_memory_is_bounded_and_nothing_is_left_of_what_expired() -> None:
    grouper = Grouper(HOUR, max_kept=50)
    for number in range(400):
        text = f"第{number}号路灯不亮 #路灯{number % 3}#"
        grouper.add(Item(f"p{number}", number * 10.0, text, keys=(Key("路灯@41"),)))
        grouper.expire(number * 10.0)
        assert len(grouper) <= 51
    grouper.expire(1e9)
    assert len(grouper) == 0
    assert not grouper._keys and not grouper._groups
    assert not grouper.index._seen.any() and not any(grouper.index._terms)


def test_in_a_crowd_the_old_go_before_the_window_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "CROWD", 50)
    day, year = 24 * HOUR, 365 * 24 * HOUR
    grouper = Grouper(year)
    for number in range(40):
        grouper.add(Item(f"p{number}", number * day, f"第{number}号路灯不亮"))
        grouper.expire(number * day)
    assert len(grouper) == 40  # few posts stay as long as the window
    for number in range(40, 100):
        grouper.add(Item(f"p{number}", 40 * day, f"第{number}号路灯不亮"))
    grouper.expire(40 * day)
    assert "p25" not in grouper and "p26" in grouper and len(grouper) == 74


def test_a_restored_board_decides_as_the_first_one() -> None:
    posts = stream(120)
    cut = random.Random(5).randint(40, 80)
    first = new_board(posts)
    steps = [first.decide(analysed(one)) for one in posts[:cut]]
    second = new_board(posts)
    for one, step in zip(posts, steps, strict=False):
        second.follow(analysed(one), step.group if step.joined else "")
    rest = posts[cut:]
    assert groups(rest, first) == groups(rest, second)


def test_a_tag_alone_does_not_bring_a_post_into_its_group() -> None:
    posts = [post(f"p{n}", f"#滨江爆管#{text}", n) for n, text in enumerate(BURST_MAIN)]
    joke = post("joke", "#滨江爆管#主播让大家理性消费，网友偏不，买了十双球鞋", 30)
    found = groups([*posts, joke])
    assert found["joke"] == "joke"
