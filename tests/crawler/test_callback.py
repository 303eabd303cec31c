"""Private messages that the platform posts: its own example, repetitions, replays, lost times."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from archive.base import Archive
from crawler import AccountBook, Identity
from crawler.callback import SOURCE, Callback, Refused, route_of
from huiyin.errors import ArchiveBusy
from huiyin.records import Kind, Post, Scope, Source

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
SECRET = "xyz123xyz"
ALL = Scope.everything()


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def callback(archive: Archive, identity: Identity, book: AccountBook, clock: Clock) -> Callback:
    return Callback(archive, identity, lambda: book, "weibo:101", SECRET, clock)


@pytest.fixture
def web(callback: Callback) -> TestClient:
    return TestClient(Starlette(routes=[route_of(callback)]))


def signed(at: datetime = NOW, nonce: str = "57155157", secret: str = SECRET) -> dict[str, str]:
    """As the platform's page describes it; written anew, nothing of crawler/ is used."""
    stamp = str(int(at.timestamp() * 1000))
    whole = "".join(sorted([secret, stamp, nonce]))
    return {"timestamp": stamp, "nonce": nonce,
            "signature": hashlib.sha1(whole.encode()).hexdigest()}  # noqa: S324  # fmt: skip


def message(text: str = "路灯坏了", kind: str = "text", **more: Any) -> bytes:
    told = {"type": kind, "receiver_id": 102, "sender_id": 2489518277,
            "created_at": "Sun Nov 22 11:58:20 +0800 2026", "text": text, "data": {}}  # fmt: skip
    return json.dumps(told | more, ensure_ascii=False).encode()


def stored(archive: Archive) -> list[Post]:
    return list(archive.iter_posts(ALL))


def test_the_platforms_own_example(archive: Archive, identity: Identity, book: AccountBook) -> None:
    """open.weibo.com, Messages_api_start: these values and this signature."""
    at = datetime.fromtimestamp(1397022061.823, UTC)
    one = Callback(archive, identity, lambda: book, "weibo:101", SECRET, lambda: at)
    query = {"nonce": "57155157", "timestamp": "1397022061823", "echostr": "dnPdpTZz85",
             "signature": "90e4c22c90a58f26526c2dd5b6c56c8822edeaa1"}  # fmt: skip
    with TestClient(Starlette(routes=[route_of(one)])) as web:
        assert web.get("/weibo", params=query).text == "dnPdpTZz85"
        answer = web.get("/weibo", params=query | {"signature": "9" * 40})
        assert (answer.status_code, answer.text) == (403, "")


def test_a_message_is_stored_masked_once(web: TestClient, archive: Archive) -> None:
    said = "我是@张小明 电话13812345678，路灯坏了"
    for _ in range(3):  # the platform tries three times
        answer = web.post("/weibo", params=signed(), content=message(said))
        assert (answer.status_code, answer.text) == (200, "")
    (one,) = stored(archive)
    assert one.kind is Kind.MESSAGE and one.text == "我是@某用户 电话【电话】，路灯坏了"
    assert one.offices[0] == "weibo:102" and one.author.key and one.author.name is None
    assert "2489518277" not in one.model_dump_json()
    assert one.created_at == datetime(2026, 11, 22, 3, 58, 20, tzinfo=UTC)
    picture = message("发了一张图片", "image", data={"vfid": 1, "tovfid": 2})
    web.post("/weibo", params=signed(nonce="2"), content=picture)
    # asked again under a new address: the same message
    web.post("/weibo", params=signed(nonce="3"), content=message(said))
    assert len(stored(archive)) == 2
    assert [len(one.media) for one in stored(archive)] in ([0, 1], [1, 0])


@pytest.mark.parametrize(
    "query",
    [{}, signed(secret="other"), signed(NOW - timedelta(minutes=11)), signed(NOW - timedelta(1)),
     signed(NOW + timedelta(minutes=11)), {**signed(), "nonce": "1"},
     {**signed(), "timestamp": "1e9"}, {**signed(), "signature": "é" * 40},
     signed(NOW - timedelta(minutes=2))],
)  # fmt: skip
def test_what_is_not_the_platforms_is_refused(
    web: TestClient, archive: Archive, query: dict[str, str]
) -> None:
    """The last one is rightly signed, but from before this process began."""
    assert web.post("/weibo", params=query, content=message()).status_code == 403
    assert web.get("/weibo", params=query | {"echostr": "a"}).status_code == 403
    assert not stored(archive)


def test_a_seen_address_takes_no_other_words(web: TestClient, archive: Archive) -> None:
    assert web.post("/weibo", params=signed(), content=message("真的")).status_code == 200
    assert web.post("/weibo", params=signed(), content=message("假的")).status_code == 403
    assert [one.text for one in stored(archive)] == ["真的"]


def test_without_a_secret_nothing_is_right(
    archive: Archive, identity: Identity, book: AccountBook, clock: Clock
) -> None:
    one = Callback(archive, identity, lambda: book, "weibo:101", "", clock)
    with pytest.raises(Refused):
        one.check(signed(secret=""))


def test_what_is_no_message(web: TestClient, archive: Archive) -> None:
    follow = message("关注事件消息", "event", data={"subtype": "follow"})
    assert web.post("/weibo", params=signed(nonce="1"), content=follow).status_code == 200
    for place, body in enumerate((b"{", b"[]", b'{"type": "text"}', b"\xff", b"[" * 50_000)):
        answer = web.post("/weibo", params=signed(nonce=f"n{place}"), content=body)
        assert answer.status_code == 400, body[:20]
    large = web.post("/weibo", params=signed(nonce="2"), content=message("长" * 40_000))
    assert large.status_code == 413 and not stored(archive)


def test_lost_times_are_gaps(
    callback: Callback, web: TestClient, archive: Archive, clock: Clock, monkeypatch: Any
) -> None:
    def told() -> Source:
        found = archive.get(Source, SOURCE, ALL)
        assert found is not None
        return found.record

    callback.listen()
    clock.now += timedelta(minutes=1)
    callback.listen()
    assert told().gaps == () and told().state == "ok"
    clock.now += timedelta(hours=2)  # nobody listened
    callback.listen()
    assert told().gaps[0].ends_at == clock.now
    assert told().gaps[0].starts_at == NOW + timedelta(minutes=1)

    def full(_: object) -> None:
        raise ArchiveBusy("忙", "等")

    with monkeypatch.context() as patched:
        patched.setattr(archive, "put_posts", full)
        answer = web.post("/weibo", params=signed(clock.now, "a"), content=message())
        assert answer.status_code == 503
    # the same call again, when the archive is back, is no replay
    assert web.post("/weibo", params=signed(clock.now, "a"), content=message()).status_code == 200
    assert len(stored(archive)) == 1
    clock.now += timedelta(seconds=30)
    callback.listen()
    assert "档案存不进" in told().gaps[1].reason and told().gaps[1].missed is None
