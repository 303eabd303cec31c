"""An account without a token: its sources say so."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from archive.base import Archive, Stored
from crawler.budget import Budget
from crawler.crawl import CrawlJob
from crawler.privacy import Identity
from crawler.tending import Tender
from huiyin.records import Scope, Source
from huiyin.settings import WeiboSettings
from tests.crawler.reader import BOOK, source
from tests.crawler.test_platform import Reader, platform, reader
from tests.platforms.weibo import Platform

__all__ = ["platform", "reader"]
NOW = datetime(2026, 3, 5, 4, 20, tzinfo=UTC)
ALL = Scope.everything()


def test_an_account_without_a_token_is_told_and_read_once_it_has_one(
    platform: Platform, reader: Reader
) -> None:
    platform.post("mentions", 3)
    reader.run()
    platform.post("mentions", 3)
    calls = sum(platform.calls.values())
    for _ in range(2):
        reader.run(tokens={})
    told = reader.source()
    assert told.state == "login_expired" and "没有授权" in told.reason
    assert [gap.state for gap in told.gaps] == ["login_expired"] and told.gaps[0].ends_at is None
    assert sum(platform.calls.values()) == calls
    reader.run()
    healed = reader.source()
    assert healed.state == "ok" and healed.gaps[0].caught_up_at is not None
    assert reader.numbers() == platform.everything()


def test_only_the_host_that_holds_a_source_tells_that_its_account_has_no_token(
    archive: Archive, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = source("timeline", paused=True)
    for one in (source("mentions"), paused, source("push", spider="weibo_push")):
        archive.create(one)

    def host(name: str, now: datetime) -> Tender:
        monkeypatch.setattr("crawler.leases.this_process", lambda: f"{name}:1:x")
        job = CrawlJob(
            archive, identity, BOOK, lambda: now, WeiboSettings(), threading.Event(),
            Budget(archive, 0),
        )  # fmt: skip
        return Tender(job, dict, None, lambda: 0.0)

    def stored(name: str = "mentions") -> Stored[Source]:
        found = archive.get(Source, f"source:weibo:101:{name}", ALL)
        assert found is not None
        return found

    first = host("one", NOW)
    first.start()
    told = stored()
    assert told.record.state == "login_expired" and told.record.gaps[0].ends_at is None
    other = host("other", NOW + timedelta(minutes=5))
    for tender in (other, first, other):
        tender.turn()
    assert stored() == told  # said once
    assert stored("timeline").record == paused and stored("push").record.state == "new"
    well = told.record.model_copy(update={"state": "ok", "gaps": ()})
    archive.replace(told, well)  # as if it had been read with a token that `other` lacks
    other.turn()
    assert stored().record == well
    first.end()
