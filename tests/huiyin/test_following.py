"""Searches that follow an incident: begun with it within what is spare, ended with it, one each."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from archive import Archive, open_archive
from crawler.budget import COMMERCIAL, Budget, plan, quota_id, spare_calls
from crawler.coverage import coverage
from crawler.health import lasting
from crawler.managing import pause
from crawler.sources import after_failure, known_sources
from crawler.temporary import LONGEST, OFTEN, SELDOM, source_id
from huiyin.cli import app
from huiyin.errors import CollectError, InputError, QuotaExceeded
from huiyin.following import Following
from huiyin.records import (
    Actor,
    Incident,
    IncidentState,
    Quota,
    Role,
    Scope,
    Source,
    first_broken_act,
)
from huiyin.settings import IncidentSettings, Settings
from nlp.incidents import Detector, IncidentDesk
from nlp.incidents.search_words import search_words, things_of
from tests.incidents.helpers import BURST_MAIN, START, post, store

ALL = Scope.everything()
WANG = Actor("wang", "王值班", frozenset({Role.ON_CALL, Role.OPERATOR}), Scope.of("office:a"))
ON = Settings(incidents=IncidentSettings(search=True))
MAIN = "incident:t:w0"


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(START + timedelta(minutes=30))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_archive(f"sqlite:///{tmp_path / 'a.db'}")
    yield opened
    opened.close()


@pytest.fixture
def following(archive: Archive, clock: Clock) -> Following:
    """An office with a search and one active incident."""
    archive.create(standing())
    burst(archive, clock, "w", BURST_MAIN)
    return Following(archive, ON, clock)


def standing(**more: Any) -> Source:
    said = {"id": "source:weibo_search:s", "spider": "weibo_search", "account": "office:a",
            "offices": ("office:a",), "parameters": {"uid": "101", "q": "云州", "province": "41"},
            "state": "ok", "every_seconds": 60.0}  # fmt: skip
    return Source.model_validate(said | more)


def burst(archive: Archive, clock: Clock, name: str, texts: tuple[str, ...]) -> None:
    store(archive, [post(f"{name}{n}", text, n) for n, text in enumerate(texts)])
    found = Detector(archive, settings=IncidentSettings(), clock=clock, lease=False)
    while found.run_once().posts:
        pass


def incident(archive: Archive, identity: str = MAIN) -> Incident:
    stored = archive.get(Incident, identity, ALL)
    assert stored is not None
    return stored.record


def source(archive: Archive, identity: str = MAIN) -> Source:
    stored = archive.get(Source, source_id(identity), ALL)
    assert stored is not None
    return stored.record


def put(archive: Archive, identity: str = MAIN, **update: Any) -> None:
    archive.change(Incident, identity, ALL, lambda one: one.model_copy(update=update))


def temporary(archive: Archive) -> list[Source]:
    return [one for one in known_sources(archive, None) if one.incident]


# ---------------------------------------------------------------- begun


def test_an_active_incident_is_searched_for_with_its_own_words(
    archive: Archive, following: Following, clock: Clock
) -> None:
    (done,) = following.run_once()
    assert (done.incident, done.what) == (MAIN, "begun")
    one = source(archive)
    assert one.parameters["q"] == "中山路口 水管爆" and "watch" not in one.parameters
    assert one.parameters["uid"] == "101" and one.parameters["province"] == "41"
    assert (one.incident, one.account, one.offices) == (MAIN, "office:a", ("office:a",))
    assert one.every_seconds == OFTEN and "5 个互不相干的发帖人里 3 个" in one.why
    assert float(one.parameters["since_days"]) * 24 == pytest.approx(1.5)
    assert [act.what for act in one.acts] == ["begin-source"] and first_broken_act(one.acts) is None
    assert following.run_once() == [] and temporary(archive) == [one]


def test_nothing_is_searched_for_unless_the_office_wants_it(
    archive: Archive, following: Following, clock: Clock
) -> None:
    assert not Settings().incidents.search
    assert Following(archive, Settings(), clock).run_once() == []
    following.run_once()
    (done,) = Following(archive, Settings(), clock).run_once()  # switched off while it ran
    assert (done.what, source(archive).ended) == ("ended", "off")
    assert Following(archive, ON, clock).run_once()[0].what == "reopened"


@pytest.mark.parametrize(
    "there",
    [{"offices": ("office:z",)}, {"paused": True}, {"state": "login_expired"}, {"spider": "feed"},
     {"spider": "weibo_official", "parameters": {"uid": "101", "endpoint": "mentions"}}],
)  # fmt: skip
def test_without_a_search_of_the_same_office_there_is_none(
    archive: Archive, clock: Clock, there: dict[str, Any]
) -> None:
    archive.create(standing(**there))
    burst(archive, clock, "w", BURST_MAIN)
    assert Following(archive, ON, clock).run_once() == [] and temporary(archive) == []


def test_an_emerging_or_dismissed_incident_waits(archive: Archive, following: Following) -> None:
    put(archive, state=IncidentState.EMERGING)
    assert following.run_once() == []
    put(archive, state=IncidentState.ACTIVE, verdict="dismissed")
    assert following.run_once() == []


def test_so_many_at_a_time_the_gravest_first(archive: Archive, clock: Clock) -> None:
    archive.create(standing())
    names = [f"incident:x{n}" for n in range(5)]
    for n, name in enumerate(names):
        posts = [post(f"x{n}-{k}", f"滨河小区{word}停水了，{k}单元", k)
                 for k, word in enumerate("甲乙丙")]  # fmt: skip
        store(archive, posts)
        archive.mark_incidents({one.id: name for one in posts})
        level = "疑似重大" if n == 4 else None
        archive.create(
            Incident(id=name, offices=("office:a",), title=name, state=IncidentState.ACTIVE,
                     suspected_level=level, posts=3, first_post_at=START, last_post_at=START,
                     opened_at=START + timedelta(minutes=n))
        )  # fmt: skip
    following = Following(archive, ON, clock)
    following.run_once()
    assert {one.incident for one in temporary(archive)} == {names[4], names[0], names[1]}
    put(archive, names[0], state=IncidentState.CLOSED)
    following.run_once()
    assert {one.incident for one in temporary(archive)} == {names[4], names[1], names[2]}


# ---------------------------------------------------------------- ended


@pytest.mark.parametrize(
    ("update", "ended"),
    [({"state": IncidentState.CLOSED}, "closed"), ({"verdict": "dismissed"}, "dismissed"),
     ({"state": IncidentState.MERGED, "merged_into": "incident:other"}, "merged")],
)  # fmt: skip
def test_it_ends_with_the_incident_and_keeps_its_timeline(
    archive: Archive, following: Following, clock: Clock, update: dict[str, Any], ended: str
) -> None:
    following.run_once()
    failed = CollectError("连不上平台", "检查网络")
    archive.change(Source, source_id(MAIN), ALL, lambda one: after_failure(one, clock.now, failed))
    clock.now += timedelta(hours=1)
    put(archive, **update)
    (done,) = following.run_once()
    one = source(archive)
    assert (done.what, one.ended, one.ended_at) == ("ended", ended, clock.now)
    assert [gap.ends_at for gap in one.gaps] == [clock.now]  # nothing stays open for ever
    assert temporary(archive) == [] and following.run_once() == []
    late = after_failure(one, clock.now, failed)  # a reading that was under way
    assert late == one and lasting(one, clock.now + timedelta(days=1)) is None
    parts = coverage(one, clock.now - timedelta(hours=2), clock.now + timedelta(hours=2))
    assert [part.state for part in parts][-1] == "ended" and parts[-1].blind
    with pytest.raises(InputError, match="随事件结束"):
        pause(archive, one.id, ALL, resume=True, by="gao", now=clock.now)


def test_dismissed_confirmed_and_merged_by_hand(
    archive: Archive, following: Following, clock: Clock
) -> None:
    desk = IncidentDesk(archive, settings=IncidentSettings(), clock=clock)
    following.run_once()
    desk.dismiss(MAIN, WANG, "演练")
    assert following.run_once()[0].why == "判为不算事件"
    clock.now += timedelta(hours=2)
    desk.confirm(MAIN, WANG, "问过了")
    (done,) = following.run_once()
    again = source(archive)
    assert done.what == "reopened" and again.ended_at is None and not again.ended
    gap = again.gaps[-1]
    assert (gap.state, gap.ends_at, gap.caught_up_at) == ("ended", None, None)
    assert clock.now - gap.starts_at == timedelta(hours=2)
    words = ("没通知", "等了一天", "打不通电话", "谁管")
    burst(archive, clock, "v", tuple(f"开发区化工厂夜里冒黄烟，{word}" for word in words))
    (second,) = {stored.record.id for stored in archive.records(Incident, ALL)} - {MAIN}
    desk.merge(MAIN, second, WANG)
    following.run_once()
    assert source(archive).ended == "merged"
    assert [one.incident for one in temporary(archive)] in ([second], [])


def test_a_persons_pause_stays_over_end_and_reopening(
    archive: Archive, following: Following, clock: Clock
) -> None:
    following.run_once()
    pause(archive, source_id(MAIN), ALL, resume=False, by="gao", now=clock.now)
    put(archive, state=IncidentState.CLOSED)
    following.run_once()
    put(archive, state=IncidentState.ACTIVE)
    following.run_once()
    one = source(archive)
    assert one.paused and one.ended_at is None and one.resting


def test_it_grows_rare_and_ends_for_good_after_a_week(
    archive: Archive, following: Following, clock: Clock
) -> None:
    following.run_once()
    put(archive, state=IncidentState.EASING)
    assert following.run_once() == [] and source(archive).every_seconds == SELDOM
    put(archive, state=IncidentState.ACTIVE)
    following.run_once()
    assert source(archive).every_seconds == OFTEN
    clock.now += LONGEST
    assert following.run_once()[0].why == "满 7 天"
    assert following.run_once() == [] and source(archive).ended == "age"


def test_it_ends_where_the_standing_search_is_stopped(
    archive: Archive, following: Following, clock: Clock
) -> None:
    following.run_once()
    pause(archive, standing().id, ALL, resume=False, by="gao", now=clock.now)
    following.run_once()
    assert source(archive).ended == "standing"


# ---------------------------------------------------------------- the allowance


def allowance(archive: Archive, clock: Clock, limit: int, used: int, left: float = 1800.0) -> None:
    archive.create(
        Quota(id=quota_id(COMMERCIAL), limit=limit, window_seconds=3600, used=used,
              resets_at=clock.now + timedelta(seconds=left))
    )  # fmt: skip


@pytest.mark.parametrize(("limit", "used"), [(60, 0), (1000, 1000), (1000, 950)])
def test_where_the_allowance_has_no_room_none_is_begun(
    archive: Archive, following: Following, clock: Clock, limit: int, used: int
) -> None:
    """60 an hour: the standing search alone wants all of them."""
    allowance(archive, clock, limit, used)
    assert following.run_once() == [] and temporary(archive) == []


def test_it_spends_only_what_the_standing_ones_let_lapse(
    archive: Archive, following: Following, clock: Clock
) -> None:
    allowance(archive, clock, 1000, 0)
    budget = Budget(archive, 100)
    spent = 0
    with pytest.raises(QuotaExceeded) as told:
        for _ in range(1000):
            budget.check_spare(COMMERCIAL, clock.now)
            budget.count(COMMERCIAL, clock.now)
            spent += 1
    assert spent == 450  # half of the hour is over: half of all but the reserve
    assert told.value.until is None  # which would stop the standing ones too
    for _ in range(550):
        budget.check(COMMERCIAL, clock.now)
        budget.count(COMMERCIAL, clock.now)
    with pytest.raises(QuotaExceeded):
        budget.check(COMMERCIAL, clock.now)


def test_the_standing_ones_plan_as_if_there_were_none(
    archive: Archive, following: Following, clock: Clock
) -> None:
    alone = plan(standing(), [standing()], quota := _hourly(clock, 30))
    following.run_once()
    beside = known_sources(archive, None)
    assert len(beside) == 2 and plan(standing(), beside, quota) == alone
    assert plan(source(archive), beside, quota).day_seconds == 3600  # none is spare: an hour
    wide = _hourly(clock, 1000)
    assert spare_calls(beside, wide) == pytest.approx(900 - 60)
    assert plan(source(archive), beside, wide).day_seconds == OFTEN


def _hourly(clock: Clock, limit: int) -> Quota:
    return Quota(id="q", limit=limit, window_seconds=3600, resets_at=clock.now)


# ---------------------------------------------------------------- several, and kills


class Killed(BaseException):
    pass


class Fragile:
    """An archive whose process is killed before or after a write."""

    def __init__(self, inner: Archive, at: int, after: bool) -> None:
        self._inner, self._left, self._after = inner, at, after

    def __getattr__(self, name: str) -> Any:
        act = getattr(self._inner, name)
        return self._writing(act) if name in ("create", "change", "replace") else act

    def _writing(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def write(*given: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Killed
            done = act(*given)
            if self._left == 0:
                raise Killed
            return done

        return write


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_write_and_started_again(
    archive: Archive, following: Following, clock: Clock, after: bool
) -> None:
    """Begin, end, reopen; each with a kill at its write, then a new process."""
    steps: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["begin-source"]),
        ({"state": IncidentState.CLOSED}, ["begin-source", "end-source"]),
        ({"state": IncidentState.ACTIVE}, ["begin-source", "end-source", "reopen-source"]),
    ]
    for update, acts in steps:
        put(archive, **update)
        fragile: Any = Fragile(archive, 1, after)
        with pytest.raises(Killed):
            Following(fragile, ON, clock).run_once()
        Following(archive, ON, clock).run_once()
        Following(archive, ON, clock).run_once()
        one = source(archive)
        assert [act.what for act in one.acts] == acts and len(archive.records(Source, ALL)) == 2


def test_two_at_the_same_moment_make_one(
    archive: Archive, following: Following, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second goes by while the first has chosen its words, and closes what the first opens."""
    second = Following(archive, ON, clock)
    first_words = following._words

    def slow(*given: Any, **more: Any) -> Any:
        chosen = first_words(*given, **more)
        second.run_once()
        put(archive, state=IncidentState.CLOSED)
        second.run_once()
        return chosen

    monkeypatch.setattr(following, "_words", slow)
    assert following.run_once() == []  # it was made, and ended, by the second
    assert source(archive).ended == "closed" and len(source(archive).acts) == 2


def test_what_is_done_is_decided_at_the_moment_of_the_write(
    archive: Archive, following: Following, clock: Clock
) -> None:
    """A process saw the incident active again, slept, and goes on after it was closed again."""
    following.run_once()
    put(archive, state=IncidentState.CLOSED)
    following.run_once()
    put(archive, state=IncidentState.ACTIVE)
    (wanted,) = following._wanting()
    put(archive, state=IncidentState.CLOSED)
    assert list(following._settle(source_id(wanted.id))) == []
    assert source(archive).ended_at is not None


def test_years_of_ended_ones_cost_a_turn_of_the_crawler_nothing(archive: Archive) -> None:
    for n in range(600):
        archive.create(
            Source(id=f"source:incident:{n:04d}", spider="weibo_search", account="office:a",
                   incident=f"incident:{n:04d}", ended_at=None if n == 550 else START)
        )  # fmt: skip
    archive.create(standing())
    archive.create(standing(id="source:feed:a", spider="feed"))
    asked: list[dict[str, Any]] = []

    class Counting:
        def records(self, *given: Any, **more: Any) -> Any:
            found = archive.records(*given, **more)
            asked.append({**more, "found": len(found)})
            return found

    counting: Any = Counting()
    known = known_sources(counting, None)
    assert [one.id for one in known] == ["source:feed:a", "source:incident:0550", standing().id]
    assert sum(one["found"] for one in asked) < 510


def test_the_list_shows_what_ended_apart(
    archive: Archive, following: Following, clock: Clock, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "huiyin.toml").write_text('[archive]\nurl = "sqlite:///a.db"\n')
    monkeypatch.setenv("HUIYIN_HOME", str(tmp_path))

    def rows(*more: str) -> list[dict[str, Any]]:
        said = CliRunner().invoke(app, ["source", "list", "--json", *more])
        structlog.reset_defaults()  # the command's log went to a stream that is closed now
        assert said.exit_code == 0, said.output
        return list(json.loads(said.stdout))

    following.run_once()
    one, other = rows()
    assert (one["temporary"], one["incident"], other["temporary"]) == (True, MAIN, False)
    assert one["incident_title"] == incident(archive).title and one["why"]
    assert rows("--ended") == []
    put(archive, state=IncidentState.CLOSED)
    following.run_once()
    assert [row["id"] for row in rows()] == [standing().id]
    (gone,) = rows("--ended")
    assert gone["id"] == one["id"] and gone["state_title"] == "随事件结束" and gone["ended_at"]


# ---------------------------------------------------------------- the words


def chosen(archive: Archive, *texts: str, **more: Any) -> tuple[str, ...]:
    name = f"incident:c{next(_NUMBERS)}"
    posts = [post(f"{name}-{n}", text, n) for n, text in enumerate(texts)]
    store(archive, posts)
    archive.mark_incidents({one.id: name for one in posts})
    one = Incident(id=name, title="", first_post_at=START, last_post_at=START, opened_at=START)
    found = search_words(archive, one, **more)
    assert found.why
    return found.words


_NUMBERS = itertools.count()


def test_words_name_a_place_and_what_happened_never_a_person(archive: Archive) -> None:
    missing = (
        "寻找走失儿童李小明，在滨河小区门口走失",
        "求扩散，@平安云州 李小明，五岁，今天在滨河小区走失",
        "滨河小区张伟家的孩子李小明走失了，电话13812345678",
        "王建国说滨河小区有个孩子走失，叫李小明",
    )
    assert chosen(archive, *missing) == ("滨河小区", "走失")
    for text in missing:
        assert not {"李小明", "小明", "张伟", "王建国", "建国", "平安云州"} & things_of(text)


def test_one_persons_word_is_not_enough(archive: Archive) -> None:
    assert chosen(archive, "中山路口水管爆了") == ()
    same = "中山路口水管爆了，水喷得老高，整条街都淹了"
    assert chosen(archive, same, same, same) == ()  # copies are one voice
    assert chosen(archive, "中山路口水管爆了", "东门大街着火了", "今天真热") == ()


def test_without_a_place_only_beside_the_offices_own(archive: Archive) -> None:
    texts = ("停水三天了，什么时候来水", "停水没人管，老人都没水喝", "又停水，饭都做不了")
    assert chosen(archive, *texts) == ()
    assert chosen(archive, *texts, home="云州") == ("云州", "停水")


def test_ordinary_words_do_not_go_with_a_whole_city_unless_the_archive_can_judge(
    archive: Archive,
) -> None:
    """As real posts have it: a place that thousands name, and a word of every day."""
    said = ("云州健康码崩了，什么时候能修好", "云州的码能不能修好", "在云州等着它修好")
    assert chosen(archive, *said, home="云州") == ()
    spot = tuple(one.replace("云州", "滨河小区") for one in said)
    assert chosen(archive, *spot) == ("滨河小区", "修好")


def test_what_is_always_said_here_is_no_word(archive: Archive) -> None:
    """The archive of the week before decides: four posts are many where there are few."""
    texts = ("滨河小区停水了", "滨河小区又停水", "滨河小区停水没人管")
    assert chosen(archive, *texts) == ("滨河小区", "停水")
    store(archive, [post(f"old{n}", f"滨河小区停水{n}天", -60 - n) for n in range(4)])
    assert chosen(archive, *texts) == ()


def test_a_topic_for_lists_that_know_only_these(archive: Archive) -> None:
    texts = ("#云州经三路爆管# 水好大", "#云州经三路爆管# 都停水了", "#云州经三路爆管# 车都过不去")
    assert chosen(archive, *texts, topic=True) == ("云州经三路爆管",)
    person = tuple(f"#李小明在经三路走失# {word}" for word in ("帮转", "求线索", "愿平安"))
    assert chosen(archive, *person, topic=True) == ()
