"""An incident's temporary search in the console: told as such, paused by hand, ended, no alarm."""

from __future__ import annotations

from datetime import timedelta

from huiyin.app import App
from huiyin.records import Gap, Scope, Source
from tests.ui.conftest import Console, go, labels, page_html, press
from tests.ui.seed import CITY, INCIDENT
from ui import lookup
from ui.session import Visit

ALL = Scope.everything()
SOURCE = "source:incident:water-main"


def follow(console: Console, **more: object) -> None:
    now = console.seeded.now
    said = {
        "id": SOURCE, "offices": (CITY,), "spider": "weibo_search", "account": CITY,
        "parameters": {"uid": "1001", "q": "经三路 爆管"}, "incident": INCIDENT, "state": "quota",
        "reason": "剩下的次数留给常设来源（已用 9/10）", "every_seconds": 300.0,
        "why": "7 个互不相干的发帖人里 5 个这样说", "covered_since": now - timedelta(days=9),
        "last_ok_at": now - timedelta(hours=1),
        "gaps": (Gap(starts_at=now - timedelta(hours=1), state="quota",
                     reason="次数留给常设来源"),),
    }  # fmt: skip
    console.archive.create(Source.model_validate(said | more))


def test_the_list_and_the_incident_say_what_is_searched_for_and_why(console: Console) -> None:
    follow(console)
    at = console.sign_in("gao", "sources")
    html = page_html(at)
    assert "临时" in html and "跟着事件“经三路水管爆裂，沿街积水 &lt;b&gt;半米" in html
    assert "找“经三路 爆管”：7 个互不相干的发帖人里 5 个这样说" in html
    go(at, "sources", id=SOURCE)
    assert "跟着事件“经三路" in page_html(at)
    press(at, "暂停")
    stored = console.archive.get(Source, SOURCE, ALL)
    assert stored is not None and stored.record.paused
    assert "临时搜索" in page_html(go(at, "incidents", id=INCIDENT))


def test_one_that_ended_is_kept_and_cannot_be_started_by_hand(console: Console) -> None:
    now = console.seeded.now
    follow(console, ended_at=now, ended="dismissed", gaps=())
    at = console.sign_in("gao", "sources")
    html = page_html(at)
    assert "判为不算事件" in html and "发出后" in html
    go(at, "sources", id=SOURCE)
    assert "随事件结束" in page_html(at) and not {"暂停", "接着读"} & set(labels(at))


def test_its_gaps_hatch_its_own_incident_and_alarm_nobody(console: Console) -> None:
    def gaps(incident: str = "") -> list[str]:
        session = at.session_state["huiyin.session"]
        from ui.session import the_app

        app: App = the_app()
        visit = Visit(app, session.actor(console.seeded.now), console.seeded.now)
        return [gap.reason for gap in lookup.blind(visit, incident)]

    at = console.sign_in("lin", "today")
    before, told = gaps(), page_html(at)
    follow(console)
    assert gaps() == before and page_html(at.run()).count("读不到") == told.count("读不到")
    assert any("次数留给常设来源" in one for one in gaps(INCIDENT))
    assert gaps("incident:parking") == before


def test_nobody_elses(console: Console) -> None:
    follow(console)
    at = console.sign_in("yuan", "sources")
    assert "经三路" not in page_html(at) and "经三路" not in page_html(go(at, "sources", id=SOURCE))
