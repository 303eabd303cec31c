"""No fetch reaches inside addresses, follows for ever or reads without end."""

from __future__ import annotations

import gzip
import io
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.bombs import check_xml, check_zip
from crawler.guard import Guard, is_public
from huiyin.errors import CollectError, SourceRefused
from tests.crawler.doors_conftest import Doors, source
from tests.platforms.sites import Page, Site, running

RSS = (
    '<?xml version="1.0"?><rss version="2.0"><channel><title>站</title>'
    "<item><guid>1</guid><title>通知</title><description>停水</description></item></channel></rss>"
)
INSIDE = [
    "http://127.0.0.1/", "http://[::1]/", "http://10.1.2.3/", "http://192.168.0.1:8080/a",
    "http://172.16.5.4/", "http://169.254.169.254/latest/meta-data/", "http://0.0.0.0/",
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:a00:1]/", "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/", "http://[fe80::1]/", "http://[fd00::1]/", "http://100.64.0.1/",
    "http://224.0.0.1/",
]  # fmt: skip
NOT_HTTP = ["file:///etc/passwd", "ftp://example.com/", "data:text/plain,a", "gopher://a/",
            "http://user:word@example.com/", "http:///nothing", "http://a:99999/"]  # fmt: skip


@pytest.mark.parametrize("url", INSIDE + NOT_HTTP)
def test_written_addresses(url: str) -> None:
    with pytest.raises(SourceRefused) as told:
        Guard().check_url(url)
    assert told.value.mend


def test_allowed_hosts_may_lie_inside_and_only_they() -> None:
    guard = Guard(["127.0.0.1:8000", "Intranet.example", "10.0.0.5"])
    guard.check_url("http://127.0.0.1:8000/a")
    guard.check_url("http://10.0.0.5:99/")
    assert guard.check_address("intranet.example", 80, "10.1.1.1")
    assert not guard.check_address("other.example", 80, "10.1.1.1")
    assert guard.check_address("other.example", 80, "93.184.216.34")
    with pytest.raises(SourceRefused):
        guard.check_url("http://127.0.0.1:8001/a")


@pytest.mark.parametrize(("address", "public"), [
    ("8.8.8.8", True), ("2400:3200::1", True), ("127.0.0.1", False), ("::ffff:10.0.0.1", False),
    ("fe80::1%eth0", False), ("198.18.0.1", False), ("2001:0:1::", False), ("nonsense", False),
    ("::ffff:8.8.8.8", True),
])  # fmt: skip
def test_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site({"/feed": Page(RSS.encode(), "application/rss+xml")})) as one:
        yield one


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    return Doors(tmp_path)


def test_names_and_spellings_of_this_machine_are_refused(site: Site, doors: Doors) -> None:
    """By the answer of the resolver: such spellings are no addresses as they are written."""
    spellings = ["localhost", "127.0.0.1", "2130706433", "0x7f000001", "127.1", "0177.0.0.1",
                 socket.gethostname()]  # fmt: skip
    sources = [
        source(f"s{number}", "feed", url=f"http://{host}:{site.port}/feed")
        for number, host in enumerate(spellings)
    ]
    doors.run(sources, kinds=["feed"])
    assert not site.asked and doors.posts() == {}
    for number in range(len(spellings)):
        one = doors.source(f"source:s{number}")
        assert one.gaps and one.gaps[0].ends_at is None
        # an unusual spelling may be no name at all for this machine's resolver
        assert (one.state == "refused" and "内部网络" in one.reason) or "域名" in one.reason
    assert doors.source("source:s0").state == "refused"


def test_a_redirect_cannot_lead_inside(site: Site, doors: Doors) -> None:
    there = {"Location": f"http://127.0.0.1:{site.port}/feed"}
    named = {"Location": f"http://localhost:{site.port}/feed"}
    disk = {"Location": "file:///etc/hostname"}
    with running(Site()) as outside:
        outside.pages = {
            "/a": Page(status=302, headers=there), "/b": Page(status=307, headers=named),
            "/c": Page(status=302, headers=disk),
            "/d": Page(f'<meta http-equiv="refresh" content="0;url={site.url}/feed">'.encode()),
            "/e": Page(status=302, headers={"Location": "/e"}),
        }  # fmt: skip
        names = "abcde"
        sources = [source(name, "feed", url=f"{outside.url}/{name}") for name in names]
        doors.run(sources, kinds=["feed"], allowed=[outside.host])
        assert outside.asked["/e"] <= 7
    assert not site.asked
    for name in names:
        assert doors.source(f"source:{name}").state != "ok"
        assert doors.source(f"source:{name}").gaps
    assert {doors.source(f"source:{name}").state for name in "ab"} == {"refused"}
    assert doors.posts() == {}


def test_an_allowed_host_is_read(site: Site, doors: Doors) -> None:
    doors.run([source("a", "feed", url=f"{site.url}/feed")], kinds=["feed"], allowed=[site.host])
    assert len(doors.posts()) == 1 and doors.source("source:a").state == "ok"


def test_size_and_time_have_an_end(site: Site, doors: Doors) -> None:
    packed = gzip.compress(b"\0" * (64 << 20))
    site.pages |= {
        "/large": Page(b"x" * (3 << 20)), "/slow": Page(RSS.encode(), slow=1.0),
        "/bomb": Page(packed, headers={"Content-Encoding": "gzip"}),
        "/cut": Page(RSS.encode() * 50, cut=600),
        "/entities": Page(b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbb">]><rss>&b;</rss>'),
        "/deep": Page(b"<rss>" + b"<div>" * 200_000),
    }  # fmt: skip
    names = ["large", "slow", "bomb", "cut", "entities", "deep"]
    sources = [source(one, "feed", url=f"{site.url}/{one}") for one in names]
    doors.run(sources, kinds=["feed"], allowed=[site.host], timeout=4, largest=1 << 20)
    for name in names:
        one = doors.source(f"source:{name}")
        assert one.state in ("failing", "layout") and one.gaps[0].ends_at is None, (name, one)
    reasons = {name: doors.source(f"source:{name}").reason for name in names}
    assert "太大" in reasons["large"] and "太大" in reasons["bomb"], reasons
    assert "太慢" in reasons["slow"] and "断" in reasons["cut"] and "炸弹" in reasons["entities"]


def packed(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return stream.getvalue()


def test_bombs() -> None:
    check_zip(packed(a=b"text" * 1000))
    for bad in (packed(a=b"\0" * (64 << 20)), packed(a=b"a")[:-10], b"PK\x03\x04 nothing"):
        with pytest.raises(CollectError):
            check_zip(bad)
    check_xml("<rss/>")
    with pytest.raises(CollectError):
        check_xml('<!DOCTYPE a [<!entity b "c">]>')
