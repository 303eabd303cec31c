"""A telephone number, an ID number, a name, a uid and a token are planted in every door, on good

days and bad; afterwards every file that was written is searched for them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from archive import open_archive
from archive.base import Archive
from archive.keeping.backup import Backups
from archive.keeping.base import DeadLetter
from archive.keeping.sqlite_file import SqliteKeeper
from archive.spool import waiting_in
from crawler import AccountBook, Identity
from crawler.by_hand import post_by_hand
from crawler.callback import Callback, route_of
from crawler.doors import check_parameters
from crawler.folder import Inbox
from crawler.form_pages import web_app
from crawler.outbox import Outbox, public_key, station_key
from crawler.privacy import masked
from crawler.public_form import Form
from crawler.stations import Stations
from huiyin.contacts import Contacts, Sealer, make_keys
from huiyin.errors import InputError
from huiyin.records import Actor, Case, Role, Scope, Source
from tests.archive.faulty import open_faulty
from tests.crawler.doors_conftest import Doors, source
from tests.crawler.test_platform import Reader
from tests.crawler.test_push import Push
from tests.platforms.boards import Board, Letter, board_layout
from tests.platforms.push import Stream
from tests.platforms.push import running as stream_running
from tests.platforms.sites import Page, Site, running
from tests.platforms.weibo import STATUS, Platform, spread, template
from tests.platforms.weibo import running as platform_running

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
PHONE, ID_CARD, PERSON = "13987654321", "11010519491231002X", "欧阳植树"
UID, TOKEN = "5987612345", "planted-token-7f3a"
PLANTED = (PHONE, ID_CARD, PERSON, UID, TOKEN)
SAID = f"停水了，找@{PERSON} 电话{PHONE} 身份证{ID_CARD} https://weibo.com/u/{UID}"


def feed(number: int) -> str:
    link = f"https://a.example/i/{number}?uid={UID}&amp;access_token={TOKEN}"
    return (
        f'<?xml version="1.0"?><rss version="2.0"><channel><title>{PERSON}的动态</title><item>'
        f"<guid>{link}</guid><link>{link}</link><author>{PERSON}</author><title>{SAID}</title>"
        f'<description>{SAID} 又 &lt;a href="https://weibo.com/{UID}"&gt;{PERSON}&lt;/a&gt;'
        f"</description><pubDate>Sun, 22 Nov 2026 09:0{number}:00</pubDate></item></channel></rss>"
    )


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=20)
        return self.now


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    (tmp_path / "layouts").mkdir()
    return Doors(tmp_path)


def test_spiders_on_good_days_and_bad(doors: Doors) -> None:
    board = Board([Letter(n, f"{SAID}{n}", SAID, "2026-11-21 08:00", SAID if n == 2 else "",
                          author=PERSON) for n in (4, 3, 2, 1)], broken={3})  # fmt: skip
    site = Site()
    with running(site), running(board.site):
        board.publish()
        body = feed(1).encode()
        site.pages = {
            "/good": Page(body), "/cut": Page(body, cut=300), "/half": Page(body[:-60]),
            "/wrong": Page(body, status=500), "/login": Page(f"<title>登录{SAID}</title>".encode()),
            "/html": Page(f"<html><p>{SAID}</p></html>".encode() * 9),
            "/away": Page(status=302, headers={
                "Location": f"http://localhost:{site.port}/x?token={TOKEN}&uid={UID}"}),
        }  # fmt: skip
        layout = board_layout(board.site.url).replace('date = "span.asked"', 'author = "p.info"')
        (doors.folder / "layouts/board.toml").write_text(layout)
        place = "access_token={secret:hub}"
        sources = [source(path[1:], "feed", url=f"{site.url}{path}?{place}")
                   for path in site.pages]  # fmt: skip
        sources.append(source("b", "message_board", layout="board"))
        run = {
            "allowed": [site.host, board.site.host], "secrets": {"hub": TOKEN},
            "layouts": str(doors.folder / "layouts"), "kinds": ["feed", "message_board"],
        }  # fmt: skip
        doors.run(sources, **run)
        assert any(TOKEN in path for path in site.asked)  # it was sent,
        (doors.folder / "crawl.log").write_text(doors.output)  # and all it says goes to the log
        doors.run(sources, **run)
        (doors.folder / "crawl2.log").write_text(doors.output)
    (doors.folder / "job.json").unlink()  # the settings of the test, secrets and all
    posts = doors.posts().values()
    assert len(posts) >= 6 and all("停水" in one.text for one in posts)
    assert doors.source("source:wrong").state == "failing"
    search(doors.folder)


def test_people_files_and_stations(
    tmp_path: Path, book: AccountBook, identity: Identity, capfd: pytest.CaptureFixture[str]
) -> None:
    archive = open_archive(f"sqlite:///{tmp_path / 'huiyin.db'}")
    clock = Clock()
    _people(archive, book, identity, tmp_path / "secrets")
    keys = {"north": public_key(station_key(tmp_path / "keys"))}
    takes = Stations(archive, identity, lambda: book, "weibo:101", clock, keys, "inside").take
    box = Inbox(tmp_path / "in", archive, identity, lambda: book, "weibo:101", clock, 0, takes)
    box.folder.mkdir()
    row = {"id": "1", "text": SAID, "created_at": "2026-11-21 08:00:00", "author": UID,
           "name": PERSON, "extra": TOKEN}  # fmt: skip
    (box.folder / f"{PHONE}.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n")
    (box.folder / f"坏{PHONE}.csv").write_text(f"姓名,电话,{PHONE}\n{PERSON},{PHONE},x\n")
    out = Outbox(tmp_path / "out", "north", station_key(tmp_path / "keys"), author_mark="other",
                 sources=[Source(id="source:a", spider="feed", account="weibo:101")],
                 clock=clock)  # fmt: skip
    out.put([post_by_hand(text=SAID, how="letter", office="weibo:101", by="li", identity=identity,
                          accounts=book, now=NOW)])  # fmt: skip
    bundle = out.close_bundle()
    assert bundle is not None
    (box.folder / bundle.name).write_bytes(bundle.read_bytes())
    for _ in range(3):
        box.run_once()
    left = [one for one in box.folder.rglob("*") if one.is_file()]
    # the refused file itself is the office's own; everything that we wrote is searched
    assert {one.name for one in left} == {f"坏{PHONE}.csv", "坏【电话】.csv.报告.txt"}
    (box.folder / f"坏{PHONE}.csv").unlink()
    archive.close()
    printed = capfd.readouterr()
    (tmp_path / "printed.log").write_text(printed.out + printed.err)
    search(tmp_path)


def _people(archive: Archive, book: AccountBook, identity: Identity, keys: Path) -> None:
    """What staff add, the form with a number to seal, the platform's call; and a handler's look."""
    make_keys(keys)
    sealer = Sealer.of(keys)
    assert sealer is not None
    post = post_by_hand(
        text=SAID, how="link", link=f"https://weibo.com/{UID}/K3fnuEfZK?token={TOKEN}",
        title=SAID, office="weibo:101", by=PHONE, identity=identity, accounts=book, now=NOW,
    )  # fmt: skip
    archive.put_posts([post])
    Contacts(archive, keys).keep(sealer.seal(PHONE, post, NOW))
    form = Form(archive, identity, lambda: book, "weibo:101", Clock(), sealer)
    web = TestClient(web_app(form, title="云渡市", per_hour=9, per_address=9))
    page = web.post("/", data={"text": SAID, "hall": SAID, "phone": PHONE})
    assert "编号" in page.text and PHONE not in page.text
    assert PHONE not in web.post("/", data={"text": SAID, "phone": SAID}).text  # no number at all
    _messages(archive, book, identity)
    case = Case(id="case:1", offices=post.offices, post=post.id, account="weibo:101",
                opened_at=NOW, due_at=NOW)  # fmt: skip
    archive.create(case)
    actor = Actor("li", "李", frozenset({Role.DRAFTER}), Scope.everything())
    assert Contacts(archive, keys).open("case:1", actor, "回电", NOW) == PHONE


def _messages(archive: Archive, book: AccountBook, identity: Identity) -> None:
    """The platform's call, good, repeated, broken, and with a signature that is none."""
    callback = Callback(archive, identity, lambda: book, "weibo:101", TOKEN, lambda: NOW)
    callback.listen()
    web = TestClient(Starlette(routes=[route_of(callback)]))
    told = {"type": "text", "sender_id": int(UID), "receiver_id": 101, "text": SAID,
            "created_at": "Sun Nov 22 11:58:20 +0800 2026", "data": {"tovfid": PHONE}}  # fmt: skip
    stamp = str(int(NOW.timestamp() * 1000))
    for nonce in ("1", "2"):
        whole = "".join(sorted([TOKEN, stamp, nonce]))
        query = {"timestamp": stamp, "nonce": nonce,
                 "signature": hashlib.sha1(whole.encode()).hexdigest()}  # noqa: S324  # fmt: skip
        body = json.dumps(told, ensure_ascii=False).encode()
        for content in (body if nonce == "1" else body[:-9], body, SAID.encode()):
            answer = web.post("/weibo", params=query, content=content)
            assert answer.text == ""
    assert web.post("/weibo", params={"signature": TOKEN}, content=body).status_code == 403


def test_what_waits_what_was_refused_and_what_was_backed_up(
    tmp_path: Path, book: AccountBook, identity: Identity, capfd: pytest.CaptureFixture[str]
) -> None:
    """The archive away while people write, letters that it refused, a backup packed and not."""
    archive, engine = open_faulty(tmp_path)
    _people(archive, book, identity, tmp_path / "secrets")
    engine.away.touch()
    post = post_by_hand(text=SAID, how="phone", office="weibo:101", by="li", title=SAID,
                        identity=identity, accounts=book, now=NOW)  # fmt: skip
    archive.put_posts([post])
    _search_message(archive, book, identity)
    assert waiting_in(archive) is not None
    search(tmp_path)
    engine.away.unlink()
    engine.inner.restore_dead_letters([DeadLetter(post, NOW, masked(SAID))])
    archive.close()
    for compress in (True, False):
        folder = tmp_path / f"backups{compress}"
        keeper = SqliteKeeper(tmp_path / "archive.db", folder, compress=compress)
        Backups(folder, keeper, key_fingerprint="", program="test").make(NOW, prove=True)
    printed = capfd.readouterr()
    (tmp_path / "printed.log").write_text(printed.out + printed.err)
    search(tmp_path)


def _search_message(archive: Archive, book: AccountBook, identity: Identity) -> None:
    form = Form(archive, identity, lambda: book, "weibo:101", Clock())
    web = TestClient(web_app(form, title="云渡市", per_hour=9, per_address=9))
    assert web.post("/", data={"text": SAID}).status_code in (200, 503)


def test_search_and_push_on_good_days_and_bad(tmp_path: Path) -> None:
    planted = {
        "text": f"金水区起火 {SAID}", "geo": {"name": PERSON}, "url_objects": [{"a": PHONE}],
        "user": {**STATUS["user"], "id": int(UID), "idstr": UID, "screen_name": PERSON,
                 "name": PERSON, "location": PHONE, "token": TOKEN},
    }  # fmt: skip
    watched = {"spider": "weibo_search", "account": "weibo:101",
               "id": "source:s", "parameters": {"q": "停水", "uid": "101"}}  # fmt: skip
    platform = Platform(templates=[template({**STATUS, **planted})], fault_rate=0.3)
    platform.lists["search"] = spread(60, 60)
    with platform_running(platform):
        reader = Reader(tmp_path, platform)
        reader.run(endpoints=[], sources=[watched])
        platform.mode = "layout"
        reader.run(endpoints=[], sources=[watched])
    _push(tmp_path, planted)
    assert len(reader.posts()) >= 80  # of both
    assert all("【电话】" in one.text for one in reader.posts().values())
    search(tmp_path, (*PLANTED, "token-1"))


def _push(folder: Path, planted: dict[str, Any]) -> None:
    """A stream with lines that are no records, in another charset, byte by byte; then refused."""
    with stream_running(Stream(faults=("junk", "gb18030", "trickle"), fault_rate=1.0)) as stream:
        for _ in range(20):
            stream.push(**planted)
        push = Push(folder, stream)  # type: ignore[arg-type]
        push.once()
        stream.refuses = "10014"
        push.once()


def contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for file in folder.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            yield file, data
            place = data.find(b"\x1f\x8b")
            if place >= 0:
                try:
                    yield file, gzip.decompress(data[place:])
                except (OSError, EOFError, zlib.error):
                    continue


def search(folder: Path, planted: tuple[str, ...] = PLANTED) -> None:
    """No planted word in any file, its name, its unpacked form, or any field of the archive."""
    looked = 0
    for file, data in contents(folder):
        looked += 1
        for word in planted:
            for code in ("utf-8", "gb18030", "utf-16-le", "unicode_escape"):
                assert word.encode(code) not in data, (file, word)
            assert word not in str(file.relative_to(folder)), (file, word)
    assert looked >= 2  # an archive of one file, and the stream's or a spool's


def test_a_token_in_an_address_is_not_taken() -> None:
    for query in (f"access_token={TOKEN}", f"a=1&key={TOKEN}", f"sign={TOKEN}"):
        with pytest.raises(InputError, match="令牌"):
            check_parameters("feed", {"url": f"https://a.example/f?{query}"})
    with pytest.raises(InputError, match="用户名或密码"):
        check_parameters("feed", {"url": " http://a:b@a.example/f"})
    check_parameters("feed", {"url": "https://a.example/f?key={secret:hub}&page=2"})
