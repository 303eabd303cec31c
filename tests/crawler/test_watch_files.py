"""Watch lists as files: proposed for an area, edited, used by the search, feeds and the preview."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from archive import open_archive
from crawler.build import Builder
from crawler.spiders.weibo_search import Search
from crawler.watch_list import PUSH_LONGEST, WatchList, list_of, write_list
from crawler.weibo_api import read_page
from huiyin.cli import app
from huiyin.errors import CollectError, FileFormatError, InputError
from huiyin.records import Scope, Source
from tests.crawler.doors_conftest import Doors, source
from tests.crawler.test_platform import Reader
from tests.platforms.sites import Page, Site
from tests.platforms.sites import running as site_running
from tests.platforms.weibo import STATUS, Platform, number_at, running, template

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
LIST = 'places = ["金水区", "大学路街道"]\nwords = ["起火", "被困"]\nunits = ["云渡水务"]\n'
WITHOUT = 'without = ["演练"]\nqueries = ["金水区", "大学路街道"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch/zz.toml").write_text(LIST + WITHOUT, encoding="utf-8")
    return tmp_path / "watch"


def test_a_place_and_a_word_or_a_unit(folder: Path) -> None:
    watch = WatchList.load(folder, "zz")
    assert watch.caught_by("金水区有楼起火，有人被困") == ("金水区", "起火", "被困")
    assert watch.caught_by("云渡水务怎么没人接") == ("云渡水务",)
    assert watch.caught_by("金水区天气好") == watch.caught_by("某地起火") == ()
    assert watch.caught_by("金水区起火演练") == () and watch.rules_out("金水区起火演练")
    assert not watch.rules_out("演练结束")
    keywords = list(watch.push_keywords())
    assert keywords[0] == "云渡水务" and "金水区 起火" in keywords and len(keywords) == 5
    assert max(map(len, keywords)) <= PUSH_LONGEST


@pytest.mark.parametrize(
    "text",
    ["words = [", 'words = "起火"', 'words = ["火"]', "words = []", 'place = ["金水区"]',
     'words = ["起火"]\nqueries = [1]'],
)  # fmt: skip
def test_a_broken_list_says_what_is_wrong(folder: Path, text: str) -> None:
    (folder / "b.toml").write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError) as told:
        WatchList.load(folder, "b")
    assert told.value.mend and "b.toml" in str(told.value.file)
    with pytest.raises(CollectError, match="名单 b"):
        list_of({"watch": "b"}, folder)
    with pytest.raises(InputError):
        WatchList.load(folder, "../zz")


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    words = [f"词{n:03}" for n in range(20)]
    write_list(tmp_path / "w/a.toml", {"words": words}, head=["说明"], aside=['"怪"名'])
    assert WatchList.load(tmp_path / "w", "a").words == tuple(words)
    with pytest.raises(InputError, match="已经有了"):
        write_list(tmp_path / "w/a.toml", {"words": words}, head=[])


def test_a_search_asks_each_question_and_covers_when_all_are_answered(folder: Path) -> None:
    texts = ["金水区起火了", "金水区天气好", "大学路街道有人被困", "外地起火"]
    platform = Platform(templates=[template({**STATUS, "text": text}) for text in texts],
                        matches=True)  # fmt: skip
    for n in range(400):
        number = number_at(NOW - timedelta(minutes=3 * n + 1), n)
        platform.lists.setdefault("search", []).append(number)
    platform.lists["search"].sort()
    told = Source(id="source:s", spider="weibo_search", account="weibo:101",
                  parameters={"watch": "zz", "uid": "101"})  # fmt: skip
    one = Search(told, NOW, watch=WatchList.load(folder, "zz"))
    one.plan(1.0)
    asked, covered, more = [], [], True
    while more:
        query = one.parameters()
        asked.append(query["q"])
        body = platform.answer("/2/search/statuses/limited.json",
                               {**query, "access_token": "token-1"})  # fmt: skip
        more, covers = one.take(read_page(body[1], body[0], "statuses", NOW))
        covered += [covers] if covers else []
    assert set(asked) == {"金水区", "大学路街道"} and len(asked) == 4 + 2
    assert len(covered) == 1  # not before the second question was answered


@pytest.fixture
def platform() -> Iterator[Platform]:
    with running(Platform()) as one:
        yield one


def test_a_search_with_a_list_as_a_process(
    tmp_path: Path, folder: Path, platform: Platform
) -> None:
    """What the list catches is stored, what it does not is not; a broken list is a failing source,

    never an empty one.
    """
    texts = ["金水区起火了", "金水区天气好", "金水区起火演练", "大学路街道有人被困"]
    platform.templates = [template({**STATUS, "text": text}) for text in texts]
    platform.matches = True
    now = datetime.now(UTC)
    platform.lists["search"] = sorted(number_at(now - timedelta(minutes=9 * n + 20), n)
                                      for n in range(80))  # fmt: skip
    told = {"spider": "weibo_search", "account": "weibo:101"}
    good = {**told, "id": "source:a", "parameters": {"watch": "zz", "uid": "101"}}
    gone = {**told, "id": "source:b", "parameters": {"watch": "no", "uid": "101"}}
    reader = Reader(tmp_path, platform)
    reader.run(endpoints=[], sources=[good, gone], watch_lists=str(folder))
    found = reader.posts().values()
    assert {one.text for one in found} == {texts[0], texts[3]} and len(found) == 40
    assert all(one.source.query == "watch:zz" for one in found)
    archive = open_archive(reader.url)
    states = {one: archive.get(Source, one, Scope.everything()) for one in ("source:a", "source:b")}
    archive.close()
    assert states["source:a"].record.state == "ok"  # type: ignore[union-attr]
    broken = states["source:b"].record  # type: ignore[union-attr]
    assert broken.state == "failing" and "名单 no" in broken.reason and broken.gaps


def test_a_feed_with_a_list_that_is_edited(tmp_path: Path, folder: Path) -> None:
    items = "".join(
        f"<item><guid>{n}</guid><description>{text}</description></item>"
        for n, text in enumerate(["金水区起火了", "上街区起火了", "风和日丽"])
    )
    rss = (
        f'<?xml version="1.0"?><rss version="2.0"><channel><title>站</title>{items}</channel></rss>'
    )
    with site_running(Site({"/f": Page(rss.encode(), "application/rss+xml")})) as site:
        doors = Doors(tmp_path)
        told = {"allowed": [site.host], "kinds": ["feed"], "watch_lists": str(folder)}
        doors.run([source("f", "feed", url=f"{site.url}/f", watch="zz")], **told)
        assert [one.text for one in doors.posts().values()] == ["金水区起火了"]
        file = folder / "zz.toml"
        file.write_text(file.read_text().replace('"金水区",', '"金水区", "上街区",'))
        doors.run([], **told)  # the feed has not changed; the list has
        assert len(doors.posts()) == 2
        file.unlink()
        doors.run([], **told)
    one = doors.source("source:f")
    assert one.state not in ("ok", "new") and "名单 zz" in one.reason


# ---------------------------------------------------------------- as staff use it

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("HUIYIN_HOME", str(tmp_path))

    def act(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return act


def test_an_area_proposes_a_list_and_the_preview_tries_it(
    run: Run, tmp_path: Path, build: Builder
) -> None:
    assert run("init").exit_code == 0
    added = run("source", "add", "weibo_search", "uid=101", "region=410100", "--json")
    assert added.exit_code == 0, added.output
    told = Source.model_validate(json.loads(added.stdout))
    assert told.parameters == {"uid": "101", "watch": "410100"} and told.every_seconds >= 60
    watch = WatchList.load(tmp_path / "watch", "410100")
    assert {"郑州市", "金水区", "杜岭街道"} <= set(watch.places) and "被困" in watch.words
    assert "城关镇" not in watch.places  # every province has one
    assert "城关镇" in (tmp_path / "watch/410100.toml").read_text()
    assert 50 < len(watch.queries) < 300
    archive = open_archive(f"sqlite:///{tmp_path / 'var/huiyin.db'}")
    texts = ["金水区一栋楼起火，里面有人被困", "@云渡发布 金水区起火", "金水区起火演练", "吃了吗"]
    archive.put_posts([
        build.post(platform="web", native=str(n), text=text, created_at=build.now)
        for n, text in enumerate(texts)
    ])  # fmt: skip
    archive.close()
    shown = json.loads(run("source", "preview", "--list", "410100", "--json").stdout)
    assert (shown["looked"], shown["caught"], shown["ruled_out"]) == (4, 2, 1)
    assert shown["unaddressed"] == 1 and shown["by_word"]["金水区"] == 2
    assert "没有@我们的账号" in run("source", "preview", "--list", "410100").stdout
    lines = run("source", "preview", "--list", "410100", "--push").stdout.splitlines()
    assert "金水区 被困" in lines
    again = run("source", "add", "feed", "url=https://a.example/f", "region=410100", "--json")
    assert again.exit_code == 0, again.output  # the list is there and is used


@pytest.mark.parametrize(
    "wrong",
    [("weibo_search", "uid=101", "region=999999"), ("weibo_search", "uid=101"),
     ("weibo_search", "uid=101", "q=停水", "watch=a"),
     ("feed", "url=https://a.example/f", "words=停水", "watch=a")],
)  # fmt: skip
def test_what_cannot_be(run: Run, wrong: tuple[str, ...]) -> None:
    assert run("init").exit_code == 0
    done = run("source", "add", *wrong)
    assert done.exit_code and isinstance(done.exception, InputError) and done.exception.mend
