"""Feeds as sites really write them, read by the real spider over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crawler.feeds import feed_time, read_feed
from crawler.page_text import decode, html_text, public_url
from crawler.spiders.doors import next_reading, retry_after
from huiyin.errors import CollectError, LayoutChanged, LoginExpired, QuotaExceeded
from huiyin.records import AuthorKind, Kind, Source
from tests.crawler.doors_conftest import Doors, source
from tests.platforms.sites import Page, Site, running

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
PHONE, PERSON, UID = "13812345678", "张小明", "5987654321"


def item(number: int, **more: str) -> str:
    told = {
        "title": f"通知{number}", "guid": f"https://a.example/{number}",
        "link": f"https://a.example/{number}", "description": f"第{number}号停水通知",
        "pubDate": f"Sun, 22 Nov 2026 0{number % 10}:00:00 +0800",
    } | more  # fmt: skip
    return "<item>" + "".join(f"<{k}>{v}</{k}>" for k, v in told.items() if v) + "</item>"


def rss(*items: str, head: str = '<?xml version="1.0" encoding="utf-8"?>') -> str:
    return f'{head}<rss version="2.0"><channel><title>云渡</title>{"".join(items)}</channel></rss>'


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site()) as one:
        yield one


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    return Doors(tmp_path)


@pytest.mark.parametrize(("said", "code"), [
    ("utf-8", "utf-8"), ("gb2312", "utf-8"), ("utf-8", "gb18030"), ("gb2312", "gb18030"),
    ("", "gb18030"), ("utf-16", "utf-16"), ("iso-8859-1", "gb18030"), ("nonsense", "utf-8"),
])  # fmt: skip
def test_wrong_charsets(said: str, code: str) -> None:
    head = f'<?xml version="1.0" encoding="{said}"?>' if said else ""
    feed = read_feed(rss(item(1), head=head).encode(code), f"text/xml; charset={said}")
    assert [one.title for one in feed.items] == ["通知1"]


def test_times_without_zone_are_chinese() -> None:
    at = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
    for text in ("Sun, 22 Nov 2026 09:30:00 +0800", "Sun, 22 Nov 2026 01:30:00 GMT",
                 "Sun, 22 Nov 2026 09:30:00", "22 Nov 2026 09:30:00", "2026-11-22T09:30:00+08:00",
                 "2026-11-22 09:30:00", "2026-11-22T01:30:00Z", "2026年11月22日 9:30"):  # fmt: skip
        assert feed_time(text, NOW) == at, text
    assert feed_time("5分钟前", NOW) == NOW - timedelta(minutes=5)


def test_what_is_no_feed_is_told_apart() -> None:
    with pytest.raises(LayoutChanged):
        read_feed(b"<html><title>x</title><body>" + b"news " * 300)
    with pytest.raises(LoginExpired):
        read_feed("<html><title>用户登录</title><form></form>".encode())
    with pytest.raises(LayoutChanged):
        read_feed(b'{"code": 0}')
    for broken in (b"", b'{"items": [{"id": "1"'):
        with pytest.raises(CollectError):
            read_feed(broken)
    assert not read_feed(rss(item(1), item(2)).encode()[:-60]).whole


def test_an_odd_item_of_a_json_feed_stops_no_other() -> None:
    odd = [
        {"authors": {"name": "甲"}}, {"authors": 7}, {"authors": True}, {"authors": [{}, 3]},
        {"author": "甲"}, {"attachments": 5}, {"attachments": {"mime_type": "image/png"}},
        {"title": {"a": 1}}, {"id": [1]}, {"id": "\ud83d"}, {"url": True}, {"content_text": 8},
    ]  # fmt: skip
    told = [{"id": str(n), "content_text": "停水"} | one for n, one in enumerate(odd)]
    feed = read_feed(json.dumps({"items": [*told, 3, None]}).encode())
    assert (len(feed.items), feed.bad) == (len(odd), 2)
    assert [one.author for one in feed.items][:5] == ["甲", "", "", "", ""]
    assert feed.items[6].pictures == 1 and feed.items[7].title == "" and feed.items[11].text == "8"
    assert all(one.key.encode() for one in feed.items)


def test_an_entry_that_cannot_be_read_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def text(html: str) -> str:
        if "第2号" in html:
            raise ValueError
        return html_text(html)

    monkeypatch.setattr("crawler.feeds.html_text", text)
    feed = read_feed(rss(item(1), item(2), item(3)).encode())
    assert [one.title for one in feed.items] == ["通知1", "通知3"] and feed.bad == 1


def test_a_site_that_says_when_to_ask_again_is_heard() -> None:
    day = timedelta(days=1)
    for said, wait in (("120", timedelta(minutes=2)), (" 99999999999 ", day), ("0", None),
                       ("Sun, 22 Nov 2026 05:00:00 GMT", timedelta(hours=1)), ("soon", None),
                       ("Sun, 22 Nov 2037 05:00:00 GMT", day), ("-5", None), ("²", None),
                       ("Sun, 22 Nov 2015 05:00:00 GMT", None), ("", None)):  # fmt: skip
        assert retry_after(said, NOW) == (wait and NOW + wait), said
    one = Source(id="source:a", spider="feed", account="weibo:101", every_seconds=60)
    for error, seconds in ((None, 60), (CollectError(""), 60), (QuotaExceeded(""), 600),
                           (QuotaExceeded("", until=NOW + day), 86400),
                           (QuotaExceeded("", until=NOW + timedelta(seconds=5)), 60),
                           (CollectError("", until=NOW + day), 86400)):  # fmt: skip
        assert next_reading(one, error, NOW) == NOW + timedelta(seconds=seconds)


def test_retry_after_keeps_a_source_away(site: Site, doors: Doors) -> None:
    busy = {"429": Page(status=429, headers={"Retry-After": "300"}),
            "503": Page(status=503, headers={"Retry-After": "300"})}  # fmt: skip
    site.pages = {f"/{name}": page for name, page in busy.items()}
    sources = [source(name, "feed", url=f"{site.url}/{name}") for name in busy]
    doors.run(sources, kinds=["feed"], allowed=[site.host], seconds=8)
    assert (site.asked["/429"], site.asked["/503"]) == (1, 3)
    assert [doors.source(f"source:{name}").state for name in busy] == ["quota", "failing"]


def test_a_feed_that_is_empty_all_at_once_is_not_well(site: Site, doors: Doors) -> None:
    one = source("f", "feed", url=f"{site.url}/f")
    run = {"kinds": ["feed"], "allowed": [site.host]}
    for items in ((), (item(1), item(2)), ()):
        site.pages["/f"] = Page(rss(*items).encode())
        before = doors.source("source:f") if items == () and site.asked["/f"] else None
        doors.run([one], **run)
    empty = doors.source("source:f")
    assert before and empty.state == "layout" and "一条也没有了" in empty.reason
    assert empty.cursor == before.cursor and empty.gaps[-1].ends_at is None
    site.pages["/f"] = Page(rss(item(2), item(3)).encode())
    doors.run([one], **run)
    assert doors.source("source:f").gaps[-1].caught_up_at


def test_text_of_html() -> None:
    assert html_text("<p>甲<br>乙</p><table><tr><td>一</td><td>二</td></tr></table>") == (
        "甲\n乙\n一 | 二"
    )
    assert html_text('<a href="https://weibo.com/n/a">张三</a>:说<script>x</script>') == "@张三:说"
    assert html_text("a &lt;b&gt; &amp; c") == "a <b> & c"
    assert html_text("<div>" * 5000 + "深" + "</div>" * 5000) == "深"
    assert decode("水费".encode("gbk"), "text/html; charset=utf-8") == "水费"


def test_kept_addresses_open_no_doors() -> None:
    told = "https://a.example:8/b;jsessionid=77?id=3&access_token=s&uid=9&page=2#x"
    assert public_url(told) == "https://a.example:8/b?id=3&page=2"
    assert public_url("javascript:alert(1)") == "" == public_url("https://[broken")


def test_rss_atom_json_and_rsshub_are_read(site: Site, doors: Doors) -> None:
    atom = (
        '<feed xmlns="http://www.w3.org/2005/Atom"><title>a</title><entry><id>tag:1</id>'
        f"<title>甲</title><updated>2026-11-22T08:00:00+08:00</updated><author><name>{PERSON}</name>"
        '</author><link href="https://a.example/x?token=abc"/><content type="html">&lt;p&gt;正文 '
        f"{PHONE}&lt;/p&gt;&lt;img src='a'&gt;</content></entry></feed>"
    )
    told = {"version": "https://jsonfeed.org/version/1.1", "title": "j", "items": [
        {"id": "9", "content_text": "a<b 积水", "date_published": "2026-11-22T08:00:00Z",
         "authors": [{"name": PERSON}]},
        {"id": "10", "title": "无日期", "content_html": "<p>没有日期也没有链接</p>"},
    ]}  # fmt: skip
    hub = rss(item(
        3, guid=f"https://weibo.com/{UID}/K3fnuEfZK", link=f"https://weibo.com/{UID}/K3fnuEfZK",
        title="我家停水了求", author=PERSON,
        description=f'我家停水了求助@{PERSON} <blockquote><a href="https://weibo.com/{UID}">'
        f"{PERSON}</a>: 转".replace("<", "&lt;"),
    ))  # fmt: skip
    site.pages = {
        "/rss": Page(rss(item(1), item(2, pubDate="", guid="", link="")).encode(), "text/xml"),
        "/atom": Page(atom.encode()), "/json": Page(json.dumps(told).encode()),
        "/weibo/user/1": Page(hub.encode("gb18030"), "text/xml; charset=utf-8"),
    }  # fmt: skip
    sources = [
        source("rss", "feed", url=f"{site.url}/rss", kind="notice", unit="云渡市人民政府"),
        source("atom", "feed", url=f"{site.url}/atom"),
        source("json", "feed", url=f"{site.url}/json"),
        source("hub", "feed", url=f"{site.url}/weibo/user/1"),
    ]
    doors.run(sources, kinds=["feed"], allowed=[site.host])
    posts = doors.posts()
    assert len(posts) == 6
    by_source = {name: [one for one in posts.values() if one.source.query == name]
                 for name in ("rss", "atom", "json", "hub")}  # fmt: skip
    assert all(one.kind is Kind.NOTICE and one.author.kind is AuthorKind.GOVERNMENT
               and one.author.name == "云渡市人民政府" for one in by_source["rss"])  # fmt: skip
    (one,) = by_source["atom"]
    assert (one.title, one.text, one.url) == ("甲", "正文 【电话】", "https://a.example/x")
    assert len(one.media) == 1 and not one.media[0].was_read and one.author.name is None
    assert one.author.key and one.offices == ("weibo:101",)
    assert {each.text for each in by_source["json"]} == {"a<b 积水", "没有日期也没有链接"}
    (one,) = by_source["hub"]
    assert one.id == "weibo:4607741009594608" and one.url == "https://m.weibo.cn/status/K3fnuEfZK"
    assert one.text == "我家停水了求助@某用户\n@某用户: 转" and one.title is None
    before = set(posts)
    doors.run(sources, kinds=["feed"], allowed=[site.host])
    assert set(doors.posts()) == before  # also those without id or date
    assert not any(doors.source(f"source:{name}").gaps for name in by_source)


def test_only_what_changed_is_asked_for_and_what_was_pushed_out_is_told(
    site: Site, doors: Doors
) -> None:
    site.pages["/f"] = Page(rss(item(1), item(2)).encode(), etag='"1"')
    one = source("f", "feed", url=f"{site.url}/f")
    run = {"kinds": ["feed"], "allowed": [site.host]}
    doors.run([one], **run)
    doors.run([one], **run)
    assert [h.get("If-None-Match") for p, h in site.seen if p == "/f"] == [None, '"1"']
    site.pages["/f"] = Page(rss(item(2), item(3)).encode(), etag='"2"')
    doors.run([one], **run)
    assert len(doors.posts()) == 3 and not doors.source("source:f").gaps
    soon = (datetime.now(UTC) + timedelta(minutes=5)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    site.pages["/f"] = Page(rss(item(8, pubDate=soon), item(9, pubDate=soon)).encode(), etag='"3"')
    doors.run([one], **run)
    (gap,) = doors.source("source:f").gaps
    assert gap.ends_at and "挤出" in gap.reason and gap.state == "cut_off"
    assert doors.source("source:f").state == "ok"


def test_an_outage_is_caught_up_when_known_items_are_met_again(site: Site, doors: Doors) -> None:
    whole = Page(rss(item(1), item(2)).encode(), etag='"1"')
    after = {
        "same": whole, "met": Page(rss(item(2), item(3)).encode()),
        "past": Page(rss(item(8), item(9)).encode()), "list": whole, "moved": whole,
    }  # fmt: skip
    sources = {name: source(name, "feed", url=f"{site.url}/{name}") for name in after}
    run = {"kinds": ["feed"], "allowed": [site.host]}
    for pages in (dict.fromkeys(after, whole), dict.fromkeys(after, Page(status=418))):
        site.pages = {f"/{name}": page for name, page in pages.items()}
        doors.run(list(sources.values()), **run)
    site.pages = {f"/{name}": page for name, page in after.items()}
    site.pages["/new"] = Page(rss(item(1)).encode())
    doors.change("source:list", parameters={"url": f"{site.url}/list", "words": "停水"})
    doors.change("source:moved", parameters={"url": f"{site.url}/new"})
    for _ in range(2):
        doors.run(list(sources.values()), **run)
    for name in after:
        gaps = doors.source(f"source:{name}").gaps
        assert gaps[0].state == "blocked" and gaps[0].ends_at
        cut = [gap for gap in gaps if gap.state == "cut_off"]
        assert len(cut) == (name in ("past", "moved")), name
        assert all(gap.caught_up_at is None for gap in cut), name
        assert (gaps[0].caught_up_at is None) == (name in ("past", "moved")), name


def test_bad_days_are_never_nothing_new(site: Site, doors: Doors) -> None:
    good = Page(rss(item(1)).encode())
    days = {
        "robots": (good, "refused"), "gone": (Page(status=404), "refused"),
        "busy": (Page(status=429), "quota"), "broken": (Page(status=503), "failing"),
        "login": (Page("<html><title>登录</title></html>".encode()), "login_expired"),
        "page": (Page("<html><title>新版</title>".encode() + b"<p>a b c</p>" * 200), "layout"),
        "empty": (Page(b""), "failing"), "half": (Page(rss(item(1)).encode()[:-80]), "failing"),
    }  # fmt: skip
    site.robots = "User-agent: *\nDisallow: /robots"
    site.pages = {f"/{name}": page for name, (page, _) in days.items()}
    site.pages["/robots-not"] = good
    sources = [source(name, "feed", url=f"{site.url}/{name}") for name in days]
    doors.run(sources, kinds=["feed"], allowed=[site.host])
    assert not site.asked["/robots"]
    for name, (_page, state) in days.items():
        one = doors.source(f"source:{name}")
        assert (one.state, one.last_ok_at, one.cursor) == (state, None, ""), (name, one.reason)
        assert one.gaps[0].ends_at is None and one.gaps[0].state == state and one.reason
    assert site.asked["/broken"] == 3  # asked again by Scrapy, then left in peace
    site.pages = {f"/{name}": good for name in days}
    site.robots = ""
    doors.run(sources, kinds=["feed"], allowed=[site.host])
    for name in days:
        one = doors.source(f"source:{name}")
        assert one.state == "ok" and one.gaps[0].ends_at is not None


def test_a_watch_list_keeps_only_what_it_names(site: Site, doors: Doors) -> None:
    site.pages["/f"] = Page(
        rss(*(item(n) for n in range(1, 5)), item(9, description="晴")).encode()
    )
    watched = source("w", "feed", url=f"{site.url}/f", words="停水 爆管", without="第2号 第3号")
    doors.run([watched], kinds=["feed"], allowed=[site.host])
    assert {one.title for one in doors.posts().values()} == {"通知1", "通知4"}
    site.pages["/f"] = Page(rss(item(4), item(5, description="晴")).encode())
    doors.run([watched], kinds=["feed"], allowed=[site.host])
    assert not doors.source("source:w").gaps  # nothing kept is not nothing seen
