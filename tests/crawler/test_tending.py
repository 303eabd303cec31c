"""Leases, allowances, health, coverage, the table of fields, and the search's windows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from alerts import Alerter, Message, Receipt
from archive.base import Archive
from crawler.budget import Budget, next_due, paced_day, plan, told_limit
from crawler.build import Builder
from crawler.coverage import blind_spots, coverage
from crawler.health import HEALTH, add_hour, is_silent, lasting, standing
from crawler.leases import SourceLeases
from crawler.login import TokenStore, code_of
from crawler.payload_table import fate, paths_of, unknown_paths
from crawler.privacy import Identity
from crawler.sources import after_reading
from crawler.spiders.weibo_search import Search
from crawler.tending import alerts_of_sleepers, alerts_of_sources, alerts_of_tokens
from crawler.weibo_api import ENDPOINTS, read_page
from huiyin.errors import InputError, QuotaExceeded
from huiyin.records import Gap, Person, Quota, Role, Scope, Source
from huiyin.settings import AlertSettings, WeiboSettings
from tests.crawler.reader import source
from tests.platforms.weibo import Platform, number_at

NOW = datetime(2026, 3, 5, 4, 20, tzinfo=UTC)
ALL = Scope.everything()


class Hosts:
    """Crawl processes on hosts of their own, each with its own monotonic clock."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.seconds: dict[str, float] = {}

    def start(self, name: str, begins: float) -> SourceLeases:
        self.seconds[name] = begins
        return SourceLeases(self.archive, monotonic=lambda: self.seconds[name], owner=f"{name}:1:x")

    def pass_(self, seconds: float) -> None:
        for name in self.seconds:
            self.seconds[name] += seconds


def test_sources_are_shared_and_a_dead_hosts_sources_move_within_30_s(archive: Archive) -> None:
    hosts, sources = Hosts(archive), [f"s{n}" for n in range(9)]
    one, two = hosts.start("one", 5.0), hosts.start("two", 900.0)
    one.turn(sources)
    assert all(one.holds(each) for each in sources)
    for _ in range(4):
        hosts.pass_(2)
        two.turn(sources)
        one.turn(sources, busy=lambda each: each == "s8")
    assert not [each for each in sources if one.holds(each) == two.holds(each)]  # exactly one
    assert 4 <= sum(map(two.holds, sources)) <= 5 and one.holds("s8")
    took = 0.0  # `one` is dead from here
    while not all(map(two.holds, sources)):
        hosts.pass_(2)
        took += 2
        two.turn(sources)
        assert took <= 30
    assert took >= 10  # not a process of this host: its silence is all that is known
    hosts.pass_(2)
    one.turn(sources)  # it was only asleep
    hosts.pass_(2)
    two.turn(sources)
    one.turn(sources)
    assert not [each for each in sources if one.holds(each) and two.holds(each)]


def test_a_host_that_ends_gives_its_sources_back_at_once(archive: Archive) -> None:
    hosts = Hosts(archive)
    one, two = hosts.start("one", 0.0), hosts.start("two", 0.0)
    one.turn(["a", "b"])
    one.release()
    two.turn(["a", "b"])
    assert two.holds("a") and two.holds("b") and not one.holds("a")


# ---------------------------------------------------------------- allowances


def test_a_small_allowance_goes_where_it_matters_most() -> None:
    sources = [source(name, every_seconds=60) for name in
               ("mentions", "comments_to_me", "comments_mentions", "timeline")]  # fmt: skip
    quota = Quota(id="q", limit=100, window_seconds=86400, resets_at=NOW)
    plans = {one.parameters["endpoint"]: plan(one, sources, quota) for one in sources}
    assert sum(one.calls_a_day for one in plans.values()) == pytest.approx(90, rel=0.01)
    assert plans["mentions"].day_seconds * 4 == pytest.approx(plans["timeline"].day_seconds)
    assert plans["mentions"].night_seconds > 3 * plans["mentions"].day_seconds
    rich = Quota(id="q", limit=50_000, window_seconds=3600, resets_at=NOW)
    assert plan(sources[0], sources, rich).day_seconds == 60  # the wish
    assert plan(sources[0], sources, None).calls_a_day == 1440


def test_a_day_of_due_times_keeps_inside_the_plan() -> None:
    quota = Quota(id="q", limit=100, window_seconds=86400, resets_at=NOW)
    one = source("mentions", every_seconds=60)
    planned = plan(one, [one], quota)
    midnight, calls = datetime(2026, 3, 4, 16, 0, tzinfo=UTC), 0
    at = midnight
    while at < midnight + timedelta(days=1):
        at, calls = next_due(at, planned), calls + 1
    assert 60 <= calls <= 92
    assert paced_day() == 16 * 3600 + 0.3 * 8 * 3600


@pytest.mark.parametrize("limit", [100, 400])
def test_what_a_page_promises_is_kept_all_day(limit: int) -> None:
    """Each post of the day is stored at most so long after it was made as its source's page says.

    (What is made so shortly before the night that its reading falls into it has the night's.)
    """
    quota = Quota(id="q", limit=limit, window_seconds=86400, resets_at=NOW)
    names = ("mentions", "comments_to_me", "comments_mentions", "timeline", "counts")
    sources = [source(name, every_seconds=60, answer_seconds=0.8) for name in names]
    midnight = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)  # in Shanghai
    for one in sources:
        planned = plan(one, sources, quota)
        begins = [midnight]
        while begins[-1] < midnight + timedelta(days=2):
            # the loop looks each 50 ms, and the reading begins when the call before has ended
            begins.append(next_due(begins[-1], planned) + timedelta(seconds=0.05))
        answered = timedelta(seconds=1.5 + 0.8)
        stored = timedelta(seconds=planned.reading_seconds)
        for minute in range(24 * 60):
            made = midnight + timedelta(minutes=minute)
            seen = next(at for at in begins if at + answered >= made) + stored
            by_day = minute >= 7 * 60 and minute * 60 + planned.day_seconds < 23 * 3600
            promise = planned.seen_by_day if by_day else planned.seen_by_night
            assert (seen - made).total_seconds() <= promise + 0.1, (one.id, made, seen)


def test_the_books_survive_a_kill_and_a_second_process(archive: Archive) -> None:
    one, other = Budget(archive, 5), Budget(archive, 5)
    for budget in (one, other, one):
        budget.check("101", NOW)
        budget.count("101", NOW)
    again = Budget(archive, 5)
    for _ in range(2):
        again.count("101", NOW)
    with pytest.raises(QuotaExceeded) as caught:
        again.check("101", NOW)
    assert caught.value.until == datetime(2026, 3, 5, 16, 0, tzinfo=UTC)  # midnight in Shanghai
    later = datetime(2026, 3, 5, 16, 1, tzinfo=UTC)
    again.check("101", later)
    assert again.quota("102", NOW) is not again.quota("101", NOW)


def test_what_the_platform_says_of_its_limit() -> None:
    said = {"user_limit": 150, "remaining_user_hits": 120, "limit_time_unit": "HOURS",
            "reset_time_in_seconds": 1795}  # fmt: skip
    quota = told_limit(said, "101", NOW)
    assert quota is not None and (quota.limit, quota.used, quota.window_seconds) == (150, 30, 3600)
    others: list[Any] = [None, [], {}, {**said, "user_limit": "x"}, {**said, "limit_time_unit": 1}]
    for wrong in others:
        assert told_limit(wrong, "101", NOW) is None


# ---------------------------------------------------------------- health and coverage


def test_silence_is_told_from_a_quiet_hour() -> None:
    hours: tuple[tuple[int, int], ...] = ()
    start = NOW - timedelta(days=6)
    for hour in range(6 * 24):
        at = start + timedelta(hours=hour)
        hours = add_hour(hours, at, 30 if 0 <= at.hour < 14 else 0)  # by day in China
    assert not is_silent(hours, NOW)
    quiet = hours
    for hour in range(3):
        quiet = add_hour(quiet, NOW + timedelta(hours=hour), 0)
    assert is_silent(quiet, NOW + timedelta(hours=3))
    night = NOW.replace(hour=15)
    for hour in range(4, 15):
        hours = add_hour(hours, NOW.replace(hour=hour), 30 if hour < 14 else 0)
    for hour in range(15, 20):
        hours = add_hour(hours, NOW.replace(hour=hour), 0)
    assert not is_silent(hours, night.replace(hour=20))  # at night nobody writes
    assert not is_silent(hours[:20], NOW)  # too little is known


def test_every_state_has_a_mend_and_lasting_ones_are_told() -> None:
    for name, state in HEALTH.items():
        assert state.title and (state.mend or name == "ok")
    one = source("mentions", state="blocked", state_since=NOW - timedelta(minutes=31))
    assert lasting(one, NOW) is HEALTH["blocked"]
    assert lasting(one.model_copy(update={"paused": True}), NOW) is None
    assert lasting(one, NOW - timedelta(minutes=5)) is None


def test_the_timeline_of_a_source_has_no_overlaps_and_no_holes() -> None:
    def at(hour: float) -> datetime:
        return NOW + timedelta(hours=hour)

    one = source(
        "mentions", covered_since=at(1), last_ok_at=at(9),
        gaps=(
            Gap(starts_at=at(2), ends_at=at(4), reason="授权已失效", state="login_expired",
                caught_up_at=at(5)),
            Gap(starts_at=at(3), ends_at=at(3.5), reason="太多", state="cut_off", missed=12),
            Gap(starts_at=at(8), reason="被挡住", state="blocked"),
        ),
    )  # fmt: skip
    found = coverage(one, at(0), at(10))
    assert [(part.state, part.blind) for part in found] == [
        ("unknown", True), ("covered", False), ("caught_up", False), ("cut_off", True),
        ("caught_up", False), ("covered", False), ("blocked", True),
    ]  # fmt: skip
    assert found[0].start == at(0) and found[-1].end == at(10) and found[3].missed == 12
    assert all(a.end == b.start for a, b in pairwise(found))
    assert len(blind_spots([one], at(0), at(10))) == 3
    stale = source("mentions", covered_since=at(1), last_ok_at=at(2))
    assert coverage(stale, at(1), at(5))[-1].state == "behind"  # not read since: not "nothing"


def test_lasting_trouble_ending_tokens_and_sleepy_accounts_are_told_once(
    archive: Archive, build: Builder, identity: Identity
) -> None:
    bad = source("mentions", state="blocked", reason="HTTP 418", state_since=NOW)
    (told,) = alerts_of_sources([bad], NOW + timedelta(hours=1))
    assert told.id == next(alerts_of_sources([bad], NOW + timedelta(hours=2))).id
    assert "HTTP 418" in told.text and HEALTH["blocked"].mend in told.text
    assert not list(alerts_of_sources([bad], NOW))
    end = NOW + timedelta(days=7)
    days = [list(alerts_of_tokens({"101": end}, end - timedelta(days=n))) for n in (8, 7, 3, 1, 0)]
    assert [len(one) for one in days] == [0, 1, 1, 1, 1]
    assert len({one[0].id for one in days[1:]}) == 2  # one at 7 days, one at 1
    links = iter(["https://api.weibo.com/oauth2/authorize?state=x"])
    (linked,) = alerts_of_tokens({"101": end}, end - timedelta(days=3), (), lambda: next(links))
    assert "state=x" in linked.text and "--pasted" in linked.text
    assert not list(alerts_of_tokens({"101": end}, end - timedelta(days=3), {linked.id}))
    own = source("timeline", state="ok", covered_since=NOW - timedelta(days=30))
    assert [one.id[-2:] for one in alerts_of_sleepers(archive, identity, [own], NOW)] == ["12"]
    post = build.post(platform="weibo", native="5", text="公告", uid="101", query="comments_to_me",
                      created_at=NOW - timedelta(days=8))  # fmt: skip
    archive.put_posts([post])
    assert [one.id[-2:] for one in alerts_of_sleepers(archive, identity, [own], NOW)] == [":7"]
    blind = own.model_copy(update={"state": "login_expired"})
    assert not list(alerts_of_sleepers(archive, identity, [blind], NOW))


def test_the_address_that_a_renewal_link_leads_to_is_known_for_ten_days(tmp_path: Path) -> None:
    store, back = TokenStore(tmp_path / "secrets"), "https://example.gov.cn/back"
    assert store.renewal(WeiboSettings(), NOW) == ""  # no app: nothing to open
    weibo = WeiboSettings(app_key="k", app_secret=SecretStr("s"), redirect_uri=back)
    (word,) = parse_qs(urlsplit(store.renewal(weibo, NOW)).query)["state"]
    again = TokenStore(tmp_path / "secrets")  # the operator's command, days later
    known = again.states(NOW + timedelta(days=6))
    assert code_of(f"{back}?state={word}&code=c", "new one", *known) == "c"
    assert not again.states(NOW + timedelta(days=11))
    with pytest.raises(InputError):
        code_of(f"{back}?state=slipped&code=c", "new one", *known)
    assert (tmp_path / "secrets/weibo-login-states.json").stat().st_mode & 0o077 == 0


def test_such_an_alert_reaches_the_officer_on_call(archive: Archive) -> None:
    """`watch` delivers what `crawl` wrote, though no incident stands behind it."""
    archive.create(
        Person(id="li", name="李", roles=(Role.ON_CALL,), offices=("weibo:101",), password_hash="-")
    )
    bad = source("mentions", state="blocked", reason="HTTP 418", state_since=NOW)
    archive.create(next(alerts_of_sources([bad], NOW + timedelta(hours=1))))
    sent: list[Message] = []

    class Phone:
        @property
        def name(self) -> str:
            return "phone"

        def send(self, message: Message) -> Receipt:
            sent.append(message)
            return Receipt("phone", message.id, NOW)

    alerter = Alerter(
        archive, [Phone()], settings=AlertSettings(), clock=lambda: NOW,
        link=lambda incident: "",
    )  # fmt: skip
    for _ in range(3):
        alerter.run_once()
    assert len(sent) == 1 and "被平台挡住" in sent[0].text and sent[0].recipient == "li"


# ---------------------------------------------------------------- the table of fields


def test_every_payload_path_is_kept_or_has_a_reason(real_data: Path) -> None:
    kept, left = 0, 0
    for file in sorted((real_data / "payloads").rglob("*.json")):
        for path in paths_of(json.loads(file.read_text(encoding="utf-8"))):
            said = fate(path)
            assert said is not None, path
            kept, left = kept + said.startswith("Post."), left + said.startswith("not kept: ")
    assert kept > 10_000 and left > 10_000


def test_unknown_fields_are_named_without_their_values() -> None:
    item = {"id": 1, "text": "x", "user": {"id": 2, "secret": "13812345678"}, "new": {"a": "me"},
            "retweeted_status": {"id": 2, "strange_one": 1}}  # fmt: skip
    assert sorted(unknown_paths(item)) == ["new", "strange_one"]


# ---------------------------------------------------------------- search


def search(platform: Platform, one: Search) -> Iterator[tuple[dict[str, str], Any]]:
    more = bool(one.windows)
    while more:
        query = one.parameters()
        status, body = platform.answer(
            "/2/search/statuses/limited.json", {**query, "access_token": "token-1"}
        )
        page = read_page(body, status, "statuses", NOW)
        more, covers = one.take(page)
        one.page_stored(0, covers)
        yield query, page
        assert one.pages < 3000


def test_a_search_that_is_cut_off_is_split_by_hour_and_by_region() -> None:
    """9,000 posts in one hour of a day of 19,000: the platform gives 2,500 a question."""
    busy = NOW.replace(minute=0) - timedelta(hours=6)
    numbers = {number_at(NOW - timedelta(seconds=n * 8), n) for n in range(10_000)}
    numbers |= {number_at(busy + timedelta(seconds=n % 3600), 20_000 + n) for n in range(9000)}
    platform = Platform(lists={"search": sorted(numbers)})
    watched = source("weibo_search", spider="weibo_search",
                     parameters={"q": "停水", "provinces": "11 31 41 44"})  # fmt: skip
    one = Search(watched, NOW, provinces=(11, 31, 41, 44), limit=5000)
    one.plan(1.0)
    seen: set[int] = set()
    questions = []
    for query, page in search(platform, one):
        seen |= {int(item["idstr"]) for item in page.items}
        questions.append(query)
    day = (number_at(NOW - timedelta(days=1)), number_at(NOW))
    inside = {n for n in numbers if day[0] <= n < day[1]}
    assert inside <= seen and not one.gaps and not one.backlog
    assert sum("province" in query for query in questions) >= 4 * 45
    after = after_reading(watched, NOW, one)
    assert int(after.cursor) == int(NOW.timestamp()) - 600 and not after.ahead
    # the next reading begins there, and asks one small window
    again = Search(after, NOW + timedelta(minutes=5))
    again.plan(1.0)
    assert len(again.windows) == 1 and again.window.end - again.window.start == 900


def test_what_a_search_cannot_give_even_so_is_told_with_its_number() -> None:
    at = NOW.replace(minute=0) - timedelta(hours=2)
    numbers = {number_at(at + timedelta(seconds=n % 3600), n * 4) for n in range(4000)}
    platform = Platform(lists={"search": sorted(numbers)}, regions=(41,))
    watched = source("weibo_search", spider="weibo_search", parameters={"q": "停水"})
    one = Search(watched, NOW, provinces=(41,), limit=5000)
    one.plan(1.0)
    list(search(platform, one))
    (gap,) = one.gaps
    assert gap.missed == 1500 and (gap.starts_at, gap.ends_at) == (at, at + timedelta(hours=1))
    after = after_reading(watched, NOW, one)
    assert gap in after.gaps and after.state == "ok"


def test_endpoints_on_both_hosts() -> None:
    own = source("mentions", parameters={"host": "commercial"})
    other = source("timeline", parameters={"of": "555"})
    assert ENDPOINTS["mentions"].path_for(own).endswith("mentions/biz.json")
    assert ENDPOINTS["timeline"].path_for(other).endswith("user_timeline/other.json")
    assert ENDPOINTS["timeline"].count_for(other) == 25
    assert ENDPOINTS["mentions"].path_for(Source(id="s", spider="x", account="a")) == (
        "/2/statuses/mentions.json"
    )


@pytest.mark.parametrize(
    ("spider", "state", "reason", "mend"),
    [
        ("feed", "refused", "网址不存在了（HTTP 404）（换成新的网址）", "换成新的网址"),
        ("message_board", "refused", "没有这个文件（放进 /a（b），或重新 learn）",
         "放进 /a（b），或重新 learn"),
        ("message_board", "layout", "找不到条目", "重新运行 huiyin source learn"),
        ("notices", "login_expired", "", "请换成公开的网址"),
        ("feed", "quota", "太频繁（HTTP 429）（过些时候会自动再读）", "过些时候会自动再读"),
        ("weibo_official", "refused", "没有权限（核对）", HEALTH["refused"].mend),
    ],
)  # fmt: skip
def test_a_site_is_not_mended_at_the_platform(
    spider: str, state: str, reason: str, mend: str
) -> None:
    one = source("mentions", state=state, reason=reason).model_copy(update={"spider": spider})
    found = standing(one)
    assert found is not None and found.mend.startswith(mend)
    if spider != "weibo_official":
        assert not any(word in found.title + found.mend for word in ("平台", "接口", "开发者"))
