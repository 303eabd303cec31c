"""来源: how each source is, adding, trying, stopping, and the timeline of what was not seen."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from streamlit.testing.v1 import AppTest

from archive import open_archive
from huiyin.app import open_app
from huiyin.errors import NotAllowed
from huiyin.looks import answer_in_background, answer_once, ask, end_old, look_id
from huiyin.records import Gap, Look, Scope, Source
from huiyin.secret import author_secret
from huiyin.settings import load_settings
from tests.ui.conftest import Console, go, labels, page_html, press
from tests.ui.console_driver import ConsoleDriver, chromium_browser, served
from tests.ui.seed import PASSWORD, seed_home

ALL = Scope.everything()
GOOD = "source:1001:mentions"
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
FEED = """<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>云州</title>
<item><title>停水了</title><link>http://127.0.0.1/1</link><guid>g1</guid>
<pubDate>{at}</pubDate><description>东城停水，电话13812345678</description></item>
<item><link>http://127.0.0.1/2</link><guid>g2</guid></item>
</channel></rss>"""


def sources_of(console: Console) -> list[Source]:
    return [one.record for one in console.archive.records(Source, ALL)]


def test_each_source_says_how_it_is_and_how_fresh(console: Console) -> None:
    html = page_html(console.sign_in("lin", "sources"))
    assert "正常" in html and "登录已过期" in html
    assert "怎么办：需要账号保管人重新授权" in html
    assert re.search(r"发出后 1[56] 分钟内", html), "15 minutes, and what the reading takes"
    assert "额度 0/100" in html and "每天约读" in html


def test_a_site_is_told_its_own_mend(console: Console) -> None:
    good = console.archive.get(Source, GOOD, ALL).record
    console.archive.create(Source(
        id="source:feed:gone", spider="feed", parameters={"url": "https://news.example.cn/rss"},
        account=good.account, offices=good.offices, state="refused",
        reason="网址不存在了（HTTP 404）（换成新的网址）",
    ))  # fmt: skip
    for more in ({}, {"id": "source:feed:gone"}):
        html = page_html(console.sign_in("gao", "sources", **more))
        assert "怎么办：换成新的网址" in html and "原因：网址不存在了（HTTP 404）<" in html
        assert "平台不允许这个请求" not in html and "平台拒绝" not in html


def test_the_first_page_names_a_source_that_cannot_be_read(console: Console) -> None:
    console.archive.create(Source(
        id="source:feed:gone", spider="feed", account="office:default", state="refused",
        parameters={"url": "https://news.example.cn/rss"}, offices=("office:default",),
    ))  # fmt: skip
    html = page_html(console.sign_in("gao", "today"))
    assert "news.example.cn（读不了）" in html and "office:default" not in html


def test_only_the_operator_may_change_sources(console: Console) -> None:
    at = console.sign_in("lin", "sources")
    assert "加上" not in labels(at)
    go(at, "sources", id=GOOD)
    assert not {"试读一页", "暂停"} & set(labels(at))
    from ui.session import Visit, the_app
    from ui.views import sources

    session = at.session_state["huiyin.session"]
    visit = Visit(the_app(), session.actor(console.seeded.now), console.seeded.now)
    with pytest.raises(NotAllowed):
        sources._add(visit, "feed")
    assert "经三路" not in page_html(go(console.sign_in("yuan"), "sources", id=GOOD))


def fill(at: AppTest, spider: str, **values: str) -> AppTest:
    at.selectbox(key="source-kind").set_value(spider).run()
    for name, value in values.items():
        key = f"source-{spider}-{name}"
        inputs = [one for one in (*at.text_input, *at.selectbox) if one.key == key]
        inputs[0].set_value(value)
    return press(at, "加上")


def test_the_operator_adds_a_source_and_is_told_what_is_wrong(console: Console) -> None:
    at = console.sign_in("gao", "sources")
    before = len(sources_of(console))
    fill(at, "feed")
    assert "feed 来源缺少 url" in page_html(at) and len(sources_of(console)) == before
    fill(at, "feed", url="https://example.gov.cn/rss?token=abc")
    assert "不能存进档案" in page_html(at) and len(sources_of(console)) == before
    fill(at, "weibo_search", uid="1001", q="停水")
    assert "加好了" in page_html(at)
    (made,) = [one for one in sources_of(console) if one.spider == "weibo_search"]
    assert (made.account, made.acts[0].actor, made.every_seconds) == ("weibo:1001", "gao", 900.0)
    at = console.sign_in("gao", "sources")
    fill(at, "weibo_search", uid="1001", q="停水")
    assert "已经有了" in page_html(at)


def test_a_region_gives_a_watch_list(console: Console) -> None:
    at = console.sign_in("gao", "sources")
    folder = console.home / "watch"
    for wrong in ("../../etc", "999999", "41"):
        fill(at, "weibo_search", uid="1001", **{" region": wrong})
        assert "行政区划代码" in page_html(at) and not list(console.home.glob("**/*.toml"))[1:]
    fill(at, "weibo_search", uid="1001", q="停水", **{" region": "410105"})
    assert "只写一个" in page_html(at)
    fill(at, "weibo_search", uid="1001", q="", **{" region": "410105"})
    assert "加好了" in page_html(at) and (folder / "410105.toml").exists()
    (made,) = [one for one in sources_of(console) if one.spider == "weibo_search"]
    assert made.parameters == {"uid": "1001", "watch": "410105"}
    assert made.every_seconds == 60  # what its few questions allow, not the 15 minutes of a list
    html = page_html(at)
    assert "盯看名单" in html and "source preview --list 410105" in html
    assert re.search(r"[1-9]\d* 个地名、[1-9]\d* 个词、[1-9]\d* 个单位", html)
    (folder / "410105.toml").unlink()
    assert "读不了名单" in page_html(at.run())


def test_pause_and_resume_leave_a_gap_and_a_name(console: Console) -> None:
    at = console.sign_in("gao", "sources", id=GOOD)
    press(at, "暂停")
    stopped = console.archive.get(Source, GOOD, ALL).record
    assert stopped.paused and stopped.gaps[-1].state == "paused"
    assert "人为暂停" in page_html(at) and "高管理 暂停" in page_html(at)
    press(at, "接着读")
    again = console.archive.get(Source, GOOD, ALL).record
    assert not again.paused and [one.what for one in again.acts] == ["pause-source",
                                                                     "resume-source"]  # fmt: skip


def test_the_timeline_tells_cut_off_failed_and_caught_up(console: Console) -> None:
    now = console.seeded.now
    hour = timedelta(hours=1)
    gaps = (
        Gap(starts_at=now - 9 * hour, ends_at=now - 8 * hour, state="cut_off", missed=230,
            reason="新内容太多，超过平台一次能给出的页数，中间这一段没有读到，约 230 条"),
        Gap(starts_at=now - 6 * hour, ends_at=now - 5 * hour, state="quota",
            reason="接口次数已用完（100/100）", caught_up_at=now - 4 * hour),
        Gap(starts_at=now - 3 * hour, ends_at=now - 2 * hour, state="layout", reason="格式变了"),
    )  # fmt: skip
    console.archive.change(Source, GOOD, ALL, lambda one: one.model_copy(update={"gaps": gaps}))
    html = page_html(console.sign_in("lin", "sources", id=GOOD))
    assert "约 230 条" in html and "超出平台页数" in html
    assert "后来补齐" in html and "补齐</td>" in html and "接口次数已用完" in html
    assert "返回格式变了" in html and "还没有开始读" in html
    assert html.count('class="blind"') >= 3 and 'role="img"' in html  # two gaps and the legend


def test_nothing_there_says_what_to_do(console: Console) -> None:
    at = console.sign_in("yuan", "sources")
    assert "还没有来源" in page_html(at) and "huiyin source login" in page_html(at)


# ---------------------------------------------------------------- one page on trial


class _Feed(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        stamp = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
        found = self.path == "/feed"
        body = FEED.format(at=stamp).encode() if found else b""
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/rss+xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def feed() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Feed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def with_feed(home: Path, feed: str) -> None:
    host = feed.removeprefix("http://")
    with (home / "huiyin.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'[collect]\nallow_hosts = ["{host}"]\n')
    author_secret(home / "var/secrets", create=True)


def test_a_trial_shows_what_would_be_stored_and_stores_nothing(console: Console, feed: str) -> None:
    with_feed(console.home, feed)
    at = console.sign_in("gao", "sources")
    before = console.archive.counts()["posts"]
    fill(at, "feed", url=f"{feed}/feed")
    (made,) = [one for one in sources_of(console) if one.spider == "feed"]
    go(at, "sources", id=made.id)
    press(at, "试读一页")
    assert "等采集进程来读" in page_html(at)
    app = open_app(load_settings(console.home))
    assert answer_once(app) == 1 and answer_once(app) == 0
    go(at, "sources", id=made.id)
    html = page_html(at)
    assert "会存下 1 条，读不懂 1 条" in html
    assert "东城停水，电话【电话】" in html
    assert "13812345678" not in html and console.archive.counts()["posts"] == before
    stored = console.archive.get(Look, look_id(made.id), ALL).record
    assert "13812345678" not in stored.model_dump_json() and stored.asked_by == "gao"
    later = app.clock() + timedelta(hours=2)
    app.clock = lambda: later  # type: ignore[method-assign]
    end_old(app)
    emptied = console.archive.get(Look, look_id(made.id), ALL).record
    assert (emptied.state, emptied.posts) == ("old", ())
    app.archive.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [("import sys; print('错误：授权已过期', file=sys.stderr); sys.exit(1)", "授权已过期"),
     ("import os; os.abort()", "没有读成"), ("print('{}')", "回答看不懂")],
)  # fmt: skip
def test_a_trial_that_fails_says_why(console: Console, code: str, words: str) -> None:
    app = open_app(load_settings(console.home))
    ask(app, GOOD, ("weibo:1001",), "gao")
    answer_once(app, [sys.executable, "-c", code])
    look = console.archive.get(Look, look_id(GOOD), ALL).record
    assert look.state == "failed" and words in look.problem
    assert words in page_html(console.sign_in("gao", "sources", id=GOOD))
    app.archive.close()


def test_a_question_that_nobody_takes_is_said(console: Console) -> None:
    app = open_app(load_settings(console.home))
    ask(app, GOOD, ("weibo:1001",), "gao")
    old = {"asked_at": datetime.now(UTC) - timedelta(minutes=1)}
    console.archive.change(Look, look_id(GOOD), ALL, lambda one: one.model_copy(update=old))
    assert "采集进程没有来取" in page_html(console.sign_in("gao", "sources", id=GOOD))
    app.archive.close()


# ---------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with chromium_browser(chromium) as opened:
        yield opened


@pytest.mark.timeout(600)
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_the_operator_at_a_screen(
    browser: Browser, tmp_path: Path, feed: str, phone: bool
) -> None:  # fmt: skip
    home = tmp_path / "home"
    seed_home(home, datetime.now(UTC))
    with_feed(home, feed)
    app, stop = open_app(load_settings(home)), threading.Event()
    thread = answer_in_background(app, stop)
    with served(load_settings(home), tmp_path / "console.log") as url:
        driver = ConsoleDriver(browser, url, SHOTS, phone=phone)
        driver.open("sources")
        driver.sign_in("gao", PASSWORD)
        driver.shot("sources-operator")
        assert driver.sideways_scroll() == 0
        driver.press("加一个来源") if driver.has_button("加一个来源") else driver.text(
            "加一个来源"
        ).click()
        driver.page.get_by_role("combobox").first.click()
        driver.page.get_by_role("option", name="订阅源").click()
        driver.settle()
        driver.page.get_by_label("url（必填）").fill(f"{feed}/feed")
        driver.shot("sources-add")
        driver.press("加上")
        driver.text("加好了").wait_for()
        driver.press("试读一页")
        driver.text("会存下 1 条").wait_for()
        assert driver.page.get_by_text("东城停水，电话【电话】").count()
        driver.shot("source-tested")
        assert driver.sideways_scroll() == 0
        driver.press("← 返回列表")
        driver.open_row("授权已过期")
        driver.text("登录已过期").wait_for()
        driver.shot("source-expired")
        assert driver.sideways_scroll() == 0
    stop.set()
    thread.join()
    archive = open_archive(f"sqlite:///{home / 'var/huiyin.db'}")
    assert [one.record.acts[0].actor for one in archive.records(Source, ALL)
            if one.record.spider == "feed"] == ["gao"]  # fmt: skip
    archive.close()
    app.archive.close()
