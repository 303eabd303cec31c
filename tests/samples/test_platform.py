"""The sample platform over real HTTP: what a spider can rely on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from crawler.sample_platform import SamplePlatform, load_city, start_server
from crawler.sample_platform.city import parse_time
from crawler.sample_platform.playback import Warp, id_seconds
from huiyin.errors import InputError
from tests.samples.conftest import BASE, YUNDU, FakeClock

CITY, METRO, SCHOOLS, COMMUNITY = "9900000101", "9900000122", "9900000107", "9900000127"
ROOT = YUNDU.parents[1]
MENTIONS = "/2/statuses/mentions.json"


@contextmanager
def _serve(
    clock: FakeClock, folder: Path = YUNDU, now: datetime = BASE, live_seconds: float = 0.0
) -> Iterator[tuple[SamplePlatform, httpx.Client]]:
    running = start_server(folder, now=now, live_seconds=live_seconds, clock=clock)
    with running, httpx.Client(base_url=running.url, trust_env=False, timeout=10) as client:
        yield running, client


def ask(client: httpx.Client, path: str, account: str = CITY, **params: Any) -> Any:
    answer = client.get(path, params={"access_token": f"sample-{account}", **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def refusal(client: httpx.Client, path: str, **params: Any) -> dict[str, Any]:
    answer = client.get(path, params=params)
    assert answer.status_code >= 400
    body: dict[str, Any] = answer.json()
    assert set(body) == {"request", "error_code", "error"} and body["request"] == path
    return body


def test_day_ends_now_and_ids_encode_the_moved_time(client: httpx.Client) -> None:
    newest = 0.0
    for uid in (CITY, METRO, SCHOOLS):
        for status in ask(client, MENTIONS, uid, count=200)["statuses"]:
            created = parse_time(status["created_at"]).timestamp()
            assert id_seconds(status["id"]) == created <= BASE.timestamp()
            assert status["idstr"] == status["mid"] == str(status["id"])
            newest = max(newest, created)
    assert newest == BASE.timestamp()


def test_moved_times_keep_their_distances(client: httpx.Client) -> None:
    shown = ask(client, "/2/statuses/user_timeline.json", count=200)["statuses"]
    own = [row for row in _file("notices.json") if str(row["user"]["id"]) == CITY]
    own_times = [parse_time(row["created_at"]) for row in own]
    times = [parse_time(row["created_at"]) for row in shown]
    assert [a - times[0] for a in times] == [a - own_times[0] for a in own_times]


def test_mentions_are_those_that_name_the_account(client: httpx.Client) -> None:
    for status in ask(client, MENTIONS, METRO, count=200)["statuses"]:
        original = status.get("retweeted_status", {}).get("user", {}).get("screen_name")
        assert "@云渡地铁" in status["text"] or original == "云渡地铁"


def test_a_post_that_names_two_accounts_is_in_both_lists(client: httpx.Client) -> None:
    metro = {row["id"] for row in ask(client, MENTIONS, METRO, count=200)["statuses"]}
    rescue = {row["id"] for row in ask(client, MENTIONS, "9900000114", count=200)["statuses"]}
    assert metro & rescue


def test_pages_follow_one_another_without_hole_or_repeat(client: httpx.Client) -> None:
    whole = [row["id"] for row in ask(client, MENTIONS, count=200)["statuses"]]
    assert whole == sorted(whole, reverse=True)
    paged: list[int] = []
    for page in range(1, 50):
        body = ask(client, MENTIONS, count=7, page=page)
        paged += [row["id"] for row in body["statuses"]]
        if not body.get("next_cursor"):
            break
    assert paged == whole


def test_max_id_is_inclusive_and_next_cursor_walks_down(client: httpx.Client) -> None:
    whole = [row["id"] for row in ask(client, MENTIONS, count=200)["statuses"]]
    walked: list[int] = []
    cursor = whole[0]
    while cursor:
        body = ask(client, MENTIONS, count=7, max_id=cursor)
        assert body["statuses"][0]["id"] <= cursor
        walked += [row["id"] for row in body["statuses"]]
        cursor = body["next_cursor"]
    assert walked == whole
    assert ask(client, MENTIONS, count=1, max_id=whole[3])["statuses"][0]["id"] == whole[3]


def test_since_id_is_exclusive(client: httpx.Client) -> None:
    whole = [row["id"] for row in ask(client, MENTIONS, count=200)["statuses"]]
    newer = ask(client, MENTIONS, count=200, since_id=whole[5])["statuses"]
    assert [row["id"] for row in newer] == whole[:5]


def test_default_page_has_twenty(client: httpx.Client) -> None:
    assert len(ask(client, MENTIONS)["statuses"]) <= 20


def test_both_empty_forms(client: httpx.Client) -> None:
    newest = ask(client, MENTIONS)["statuses"][0]["id"]
    assert ask(client, MENTIONS, since_id=newest) == {"statuses": []}
    assert ask(client, "/2/comments/mentions.json", COMMUNITY) == []


def test_timeline_is_only_ones_own(client: httpx.Client) -> None:
    rows = ask(client, "/2/statuses/user_timeline.json", METRO, uid=METRO)["statuses"]
    assert {row["user"]["screen_name"] for row in rows} == {"云渡地铁"}
    token = f"sample-{METRO}"
    body = refusal(client, "/2/statuses/user_timeline.json", access_token=token, uid=CITY)
    assert body["error_code"] == 21335


def test_comments_carry_their_post_and_the_comment_they_answer(client: httpx.Client) -> None:
    body = ask(client, "/2/comments/to_me.json", count=200)
    assert {row["status"]["user"]["screen_name"] for row in body["comments"]} == {"云渡发布"}
    answers = [row for row in body["comments"] if "reply_comment" in row]
    assert answers and all(
        row["reply_comment"]["id"] < row["id"] and row["reply_comment"]["created_at"]
        for row in answers
    )
    named = ask(client, "/2/comments/mentions.json", count=200)["comments"]
    assert named and all("@云渡发布" in row["text"] for row in named)


def test_messages_have_sender_and_recipient(client: httpx.Client) -> None:
    rows = ask(client, "/2/direct_messages.json", METRO, count=200)["direct_messages"]
    assert len(rows) >= 4
    assert {row["recipient"]["id"] for row in rows} == {int(METRO)}
    assert all(row["sender_id"] == row["sender"]["id"] for row in rows)


def test_header_token_works_too(client: httpx.Client) -> None:
    answer = client.get(MENTIONS, headers={"Authorization": f"OAuth2 sample-{CITY}"})
    assert answer.status_code == 200 and answer.json()["statuses"]


def test_token_info_and_limits(client: httpx.Client, platform: SamplePlatform) -> None:
    info = client.post("/oauth2/get_token_info", data={"access_token": f"sample-{METRO}"}).json()
    assert info["uid"] == int(METRO) and info["expire_in"] == 30 * 86400
    platform.faults.calls_per_hour = 5
    ask(client, MENTIONS, METRO)
    limits = ask(client, "/2/account/rate_limit_status.json", METRO)
    assert (limits["user_limit"], limits["remaining_user_hits"]) == (5, 4)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, 10006),
        ({"access_token": "stolen"}, 21332),
        ({"access_token": "sample-1"}, 21332),
        ({"access_token": f"sample-{CITY}", "count": 201}, 10017),
        ({"access_token": f"sample-{CITY}", "since_id": "x"}, 10017),
        ({"access_token": f"sample-{CITY}", "page": 0}, 10017),
    ],
)
def test_refusals_have_the_platforms_form(
    client: httpx.Client, params: dict[str, Any], code: int
) -> None:
    assert refusal(client, MENTIONS, **params)["error_code"] == code


def test_unknown_paths_and_methods_are_refused(client: httpx.Client) -> None:
    assert refusal(client, "/2/statuses/update.json")["error_code"] == 10020
    answer = client.post(MENTIONS, data={"access_token": f"sample-{CITY}"})
    assert (answer.status_code, answer.json()["error_code"]) == (405, 10021)
    assert client.get("/robots.txt").text.startswith("User-agent: *")


def test_expired_token(client: httpx.Client, platform: SamplePlatform) -> None:
    platform.faults.expired_tokens = frozenset({f"sample-{METRO}"})
    assert refusal(client, MENTIONS, access_token=f"sample-{METRO}")["error_code"] == 21327
    assert ask(client, MENTIONS, CITY)["statuses"]


def test_rate_limit_is_by_token_and_hour(
    client: httpx.Client, platform: SamplePlatform, clock: FakeClock
) -> None:
    platform.faults.calls_per_hour = 2
    ask(client, MENTIONS)
    ask(client, MENTIONS)
    assert refusal(client, MENTIONS, access_token=f"sample-{CITY}")["error_code"] == "10023"
    ask(client, MENTIONS, METRO)
    clock.forward(3600)
    ask(client, MENTIONS)


def test_server_errors_truncation_and_slowness(
    client: httpx.Client, platform: SamplePlatform
) -> None:
    params = {"access_token": f"sample-{CITY}"}
    platform.faults.server_errors = 1
    assert client.get(MENTIONS, params=params).status_code == 500
    platform.faults.truncated = 1
    with pytest.raises(json.JSONDecodeError):
        client.get(MENTIONS, params=params).json()
    platform.faults.delay_seconds = 0.3
    start = time.monotonic()
    assert ask(client, MENTIONS)["statuses"]
    assert time.monotonic() - start >= 0.3
    assert platform.calls[MENTIONS] == 3


def test_deleted_posts_leave_lists_and_reposts(client: httpx.Client) -> None:
    removed = "听说学府路小学死了一个孩子"
    assert not any(removed in row["text"] for row in _all_mentions(client))
    reposts = [row for row in _all_mentions(client) if "retweeted_status" in row]
    gone = [row["retweeted_status"] for row in reposts
            if row["retweeted_status"].get("deleted") == "1"]  # fmt: skip
    assert len(gone) >= 3
    assert all(set(one) >= {"id", "idstr", "mid", "text"} and "user" not in one for one in gone)
    assert all(one["created_at"] == "" for one in gone)


def test_a_deletion_is_seen_when_it_happens(clock: FakeClock) -> None:
    # Four hours before the day's end the rumour still stands.
    with _serve(clock, now=BASE + timedelta(hours=4)) as (_, client):
        rows = ask(client, MENTIONS, CITY, count=200)["statuses"]
        rumour = next(row for row in rows if "听说学府路小学死了一个孩子" in row["text"])
        assert ask(client, "/2/statuses/show.json", id=rumour["id"])["id"] == rumour["id"]
        clock.forward(4 * 3600)
        token = f"sample-{CITY}"
        body = refusal(client, "/2/statuses/show.json", access_token=token, id=rumour["id"])
        assert body["error_code"] == 20101


def test_hidden_posts_answer_20112(clock: FakeClock) -> None:
    with _serve(clock, now=BASE + timedelta(hours=4)) as (_, client):
        row = next(row for row in _all_mentions(client) if "谁的快递放我家门口了" in row["text"])
        clock.forward(4 * 3600)
        body = refusal(client, "/2/statuses/show.json", access_token=f"sample-{CITY}", id=row["id"])
        assert body["error_code"] == 20112


def test_edits_keep_the_id_and_count(client: httpx.Client) -> None:
    edited = [row for row in _all_mentions(client) if row.get("edit_count")]
    assert len({row["id"] for row in edited}) == 4
    for row in edited:
        assert parse_time(row["edit_at"]) > parse_time(row["created_at"])


def test_counts_grow_between_two_readings(client: httpx.Client, clock: FakeClock) -> None:
    before = {row["id"]: row for row in ask(client, MENTIONS, METRO, count=200)["statuses"]}
    clock.forward(3600)
    after = {row["id"]: row for row in ask(client, MENTIONS, METRO, count=200)["statuses"]}
    grown = 0
    for number, row in before.items():
        for name in ("reposts_count", "comments_count", "attitudes_count"):
            assert after[number][name] >= row[name]
            grown += after[number][name] > row[name]
    assert grown >= 5
    ids = ",".join(str(number) for number in list(after)[:50])
    counted = ask(client, "/2/statuses/count.json", METRO, ids=ids)
    assert all(after[row["id"]]["reposts_count"] == row["reposts"] for row in counted)


def test_long_text_comes_only_when_asked_for(client: httpx.Client) -> None:
    rows = ask(client, MENTIONS, "9900000110", count=200)["statuses"]
    short = next(row for row in rows if row["isLongText"])
    assert "longText" not in short and "全文" in short["text"]
    params = {"id": short["id"], "isGetLongText": 1}
    full = ask(client, "/2/statuses/show.json", **params)["longText"]["longTextContent"]
    assert len(full) > len(short["text"]) and full.startswith(short["text"][:100])


def test_reposts_and_comments_of_one_post(client: httpx.Client) -> None:
    rows = ask(client, "/2/statuses/user_timeline.json", count=200)["statuses"]
    report = next(row for row in rows if "26名学生" in row["text"])
    reposts = ask(client, "/2/statuses/repost_timeline.json", id=report["id"])["reposts"]
    assert len(reposts) == 2
    comments = ask(client, "/2/comments/show.json", id=report["id"], count=200)["comments"]
    assert len(comments) >= 10


# ---------------------------------------------------------------- live


def test_live_part_arrives_in_order_while_one_watches(clock: FakeClock) -> None:
    with _serve(clock, live_seconds=50) as (_, client):
        cursor = ask(client, MENTIONS, METRO, count=200)["statuses"][0]["id"]
        arrived: list[int] = []
        for _ in range(11):
            clock.forward(5)
            body = ask(client, MENTIONS, METRO, count=200, since_id=cursor)
            fresh = body["statuses"]
            arrived.append(len(fresh))
            for row in fresh:
                assert cursor < row["id"]
                assert BASE <= parse_time(row["created_at"]) <= clock.now
            cursor = fresh[0]["id"] if fresh else cursor
        assert sum(arrived) >= 20
        assert sum(map(bool, arrived)) >= 7
        assert arrived[-1] == 0
        clock.forward(3600)
        whole = ask(client, MENTIONS, METRO, count=200)["statuses"]
        assert len(whole) >= sum(arrived)


def test_before_the_live_part_everything_else_is_there(clock: FakeClock) -> None:
    city = load_city(YUNDU)
    limit = city.ends_at - timedelta(minutes=city.info.playback.live_minutes)
    expected = [entry for entry in city.of("notice") if entry.created_at <= limit]
    with _serve(clock, live_seconds=50) as (live, client):
        found = 0
        for uid in live.tokens:
            body = ask(client, "/2/statuses/user_timeline.json", uid, count=200)
            found += len(body["statuses"]) if body else 0
    assert found == len(expected)


def test_same_base_time_gives_the_same_answers_after_a_restart(clock: FakeClock) -> None:
    answers = []
    for _ in range(2):
        with start_server(YUNDU, now=BASE, live_seconds=50, clock=clock) as running:
            clock.now = BASE + timedelta(seconds=30)
            with httpx.Client(base_url=running.url, trust_env=False) as client:
                answers.append(ask(client, MENTIONS, METRO, count=200))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("live_seconds", [0.0, 50.0])
def test_warp_is_rising_and_invertible(live_seconds: float) -> None:
    warp = Warp.of(load_city(YUNDU), BASE, live_seconds)
    samples = [warp.live_from + seconds for seconds in range(-9000, 9000, 37)]
    reals = [warp.real(sample) for sample in samples]
    assert reals == sorted(set(reals))
    assert [warp.sample(real) for real in reals] == pytest.approx(samples)


# ---------------------------------------------------------------- another city, and the port


def test_another_city_of_the_same_form(tmp_path: Path, clock: FakeClock) -> None:
    folder = _tiny_city(tmp_path)
    with _serve(clock, folder) as (_, client):
        rows = ask(client, MENTIONS, "9900000901")["statuses"]
        assert [row["text"] for row in rows] == ["@沙洲发布 路灯不亮"]
        assert ask(client, "/2/comments/to_me.json", "9900000901") == []


def test_taken_port_is_an_error_of_ours(platform: SamplePlatform) -> None:
    with pytest.raises(InputError, match="换一个端口"):
        start_server(YUNDU, int(platform.url.rsplit(":", 1)[1]))


def test_listens_on_loopback_only_and_stops(clock: FakeClock) -> None:
    running = start_server(YUNDU, now=BASE, clock=clock)
    assert running.url.startswith("http://127.0.0.1:")
    with httpx.Client(base_url=running.url, trust_env=False) as client:
        ask(client, MENTIONS)
        running.close()
        with pytest.raises(httpx.TransportError):
            client.get(MENTIONS)


def test_command_serves_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "crawler.sample_platform", "--live-seconds", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        with httpx.Client(base_url=line.split()[1], trust_env=False, timeout=10) as client:
            assert ask(client, MENTIONS)["statuses"]
        process.terminate()
        assert process.wait(10) == 0
    assert "云渡市" in line and "30 个账号" in line


def _tiny_city(tmp_path: Path) -> Path:
    folder = tmp_path / "shazhou"
    folder.mkdir()
    when = datetime.fromisoformat("2026-03-02T09:00:00+08:00").strftime("%a %b %d %H:%M:%S %z %Y")
    office = {"id": 9900000901, "screen_name": "沙洲发布"}
    person = {"id": 9800000901, "screen_name": "路人"}
    (folder / "city.toml").write_text('name = "沙洲市"\nday = 2026-03-02\n', encoding="utf-8")
    contents = {
        "accounts.json": [{"uid": "9900000901", "name": "沙洲发布", "level": 1}],
        "notices.json": [{"id": 11, "created_at": when, "text": "路灯报修", "user": office}],
        "statuses.json": [
            {"id": 12, "created_at": when, "text": "@沙洲发布 路灯不亮", "user": person}
        ],
    }
    for name, rows in contents.items():
        (folder / name).write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return folder


def _file(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((YUNDU / name).read_text(encoding="utf-8"))["statuses"]
    return rows


def _all_mentions(client: httpx.Client) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for account in load_city(YUNDU).accounts:
        body = ask(client, MENTIONS, account.uid, count=200)
        rows += body["statuses"] if body else []
    return rows
