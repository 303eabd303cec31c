"""Watch lists: what they catch, what exclusion words let go, and the preview on the archive."""

from __future__ import annotations

import pytest

from crawler.build import Builder
from crawler.doors import check_parameters
from crawler.watch_list import WatchList, preview
from huiyin.errors import InputError


def test_words_and_exclusions() -> None:
    watch = WatchList.of("停水 爆管、WiFi", "演练，招聘")
    assert watch.words == ("停水", "爆管", "wifi") and watch.without == ("演练", "招聘")
    assert watch.caught_by("东城停水，ＷＩＦＩ也断了") == ("停水", "wifi")
    assert watch.caught_by("停水应急演练") == () and watch.rules_out("停水应急演练")
    assert watch.caught_by("一切正常") == () and not watch.rules_out("演练结束")
    for wrong in ("水", "停水 电"):
        with pytest.raises(InputError):
            WatchList.of(wrong)
    assert WatchList.in_parameters({"url": "a"}) is None
    with pytest.raises(InputError):
        check_parameters("feed", {"url": "http://a.example/", "words": "水"})


def test_preview_counts_what_it_would_have_caught(build: Builder) -> None:
    texts = ["东城停水", "停水演练通知", "西城爆管停水", "天气不错"]
    posts = [build.post(platform="web", native=str(n), text=text, created_at=build.now)
             for n, text in enumerate(texts)]  # fmt: skip
    found = preview(WatchList.of("停水 爆管", "演练"), posts)
    assert (found.looked, found.caught, found.ruled_out) == (4, 2, 1)
    assert found.by_word == {"停水": 2, "爆管": 1}
    assert [one.text for one in found.shown] == ["西城爆管停水", "东城停水"]
    assert [one.text for one in found.let_go] == ["停水演练通知"]
