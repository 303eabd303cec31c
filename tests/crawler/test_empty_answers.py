"""A platform that answers emptily: lists, or everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.crawler.reader import source
from tests.crawler.test_platform import Reader, platform, reader
from tests.platforms.weibo import Platform

__all__ = ["platform", "reader"]
NUMBERED = source("topic", parameters={"q": "停水"}).model_dump(mode="json")


@pytest.mark.parametrize("endpoint", ["mentions", "comments_to_me", "timeline", "topic"])
@pytest.mark.parametrize("mode", ["empty_list", "empty_object"])
@pytest.mark.parametrize("singles", [False, True])
def test_a_platform_that_answers_nothing_closes_no_gap(
    platform: Platform, reader: Reader, endpoint: str, mode: str, singles: bool
) -> None:
    """Whether it answers everything so, or lists alone."""
    wanted: dict[str, Any] = {"endpoints": [], "sources": [NUMBERED]}
    wanted = wanted if endpoint == "topic" else {"endpoints": [endpoint]}
    platform.post(endpoint, 3)
    reader.run(**wanted)
    good = reader.source(endpoint)
    platform.mode = "expired"
    reader.run(**wanted)
    platform.post(endpoint, 3)
    answer = platform.answer

    def lists_only(path: str, query: Any) -> Any:
        platform.mode = "good" if "/show" in path else mode
        return answer(path, query)

    if singles:
        platform.answer = lists_only  # type: ignore[method-assign]
    platform.mode = mode
    reader.run(**wanted)
    bad = reader.source(endpoint)
    assert (bad.state, bad.cursor) == ("blocked", good.cursor) and "空页" in bad.reason
    assert [gap.state for gap in bad.gaps] == ["login_expired", "blocked"]
    assert not any(gap.caught_up_at for gap in bad.gaps)
    platform.answer, platform.mode = answer, "good"  # type: ignore[method-assign]
    reader.run(**wanted)
    healed = reader.source(endpoint)
    assert healed.state == "ok" and all(gap.caught_up_at for gap in healed.gaps)
    assert reader.numbers() >= platform.everything()


@pytest.mark.parametrize(("mode", "state"), [("http403", "refused"), ("http500", "failing")])
def test_an_error_about_the_stored_post_is_the_rounds_error(
    platform: Platform, reader: Reader, mode: str, state: str
) -> None:
    platform.post("mentions", 2)
    reader.run()
    answer = platform.answer

    def answers(path: str, query: Any) -> Any:
        platform.mode = mode if "/show" in path else "empty_list"
        return answer(path, query)

    platform.answer = answers  # type: ignore[method-assign]
    reader.run()
    assert reader.source().state == state and reader.source().gaps[-1].ends_at is None


def test_deleted_comments_are_told_from_a_platform_that_answers_nothing(
    platform: Platform, reader: Reader
) -> None:
    platform.post("comments_to_me", 2, datetime.now(UTC) - timedelta(days=3))
    platform.post("comments_to_me", 1)
    reader.run(endpoints=["comments_to_me"])
    platform.gone.add(platform.lists["comments_to_me"][-1])
    platform.hidden.update(platform.lists["comments_to_me"][:2])
    reader.run(endpoints=["comments_to_me"])
    assert reader.source("comments_to_me").state == "ok"  # the batch still shows the older two


@pytest.mark.parametrize("mode", ["empty_list", "empty_object"])
def test_a_search_that_answers_nothing_is_blocked_and_a_quiet_one_is_not(
    platform: Platform, reader: Reader, mode: str
) -> None:
    watched = source(
        "search", spider="weibo_search", parameters={"q": "停水"}, every_seconds=0.2
    ).model_dump(mode="json")
    wanted: dict[str, Any] = {"endpoints": [], "sources": [watched]}
    platform.post("search", 3, datetime.now(UTC) - timedelta(hours=1))
    reader.run(**wanted)
    reader.run(**wanted)  # nothing new
    quiet = reader.source("search")
    assert quiet.state == "ok" and quiet.cursor and not quiet.gaps
    platform.mode = mode
    reader.run(**wanted)
    bad = reader.source("search")
    assert (bad.state, bad.cursor) == ("blocked", quiet.cursor) and bad.gaps[-1].ends_at is None
    platform.mode = "good"
    reader.run(**wanted)
    healed = reader.source("search")
    assert healed.state == "ok" and int(healed.cursor) >= int(quiet.cursor)
