"""Pictures: fetched with limits, drawn anew, kept by hash, read, masked, found, deleted."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from PIL import Image, ImageDraw, ImageFont

from archive import open_archive
from archive.base import Archive, SearchRequest
from archive.merging import merge_words
from crawler import AccountBook
from crawler.payloads import picture_links
from crawler.pictures import decoding
from crawler.pictures.decoding import can_read, draw
from crawler.pictures.fetching import Fetcher, Refused
from crawler.pictures.keeping import Pictures
from crawler.pictures.links import LinkQueue, collect_into, note
from crawler.pictures.store import PictureStore, picture_id
from huiyin.errors import CollectError
from huiyin.records import (
    Author,
    Case,
    Incident,
    Media,
    Origin,
    Picture,
    Post,
    Scope,
    split_picture_text,
    with_picture_text,
)

ALL = Scope.everything()
NOW = datetime.now(UTC).replace(microsecond=0)
FONTS = sorted(Path("/usr/share/fonts").rglob("NotoSansCJK-Regular.ttc"))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
MOST = 200_000


def drawn(*lines: str, exif: bool = False) -> bytes:
    """A small PNG with black words on white."""
    image = Image.new("RGB", (640, 120 + 70 * len(lines)), "white")
    if lines:
        font = ImageFont.truetype(str(FONTS[0]), 34)
        for number, line in enumerate(lines):
            ImageDraw.Draw(image).text((20, 30 + 70 * number), line, font=font, fill="black")
    out, told = io.BytesIO(), Image.Exif()
    told[0x010E] = "secret place"
    image.save(out, "PNG", **({"exif": told} if exif else {}))
    return out.getvalue()


def bomb(side: int = 60_000) -> bytes:
    """A PNG of a few bytes that says it has 3.6 thousand million pixels."""

    def part(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head)
            + part(b"IDAT", zlib.compress(bytes(1000))) + part(b"IEND", b""))  # fmt: skip


class _Host(BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, str, bytes]]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, kind, body = self.answers.get(self.path, (404, "text/plain", b""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if self.path == "/moved":
            self.send_header("Location", "/good")
        if self.path != "/endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    class Host(_Host):
        answers: ClassVar = {
            "/good": (200, "image/png", drawn(exif=True)),
            "/svg": (200, "image/svg+xml", SVG), "/svg-as-png": (200, "image/png", SVG),
            "/page": (200, "text/html", b"<html></html>"),
            "/page-as-jpeg": (200, "image/jpeg; charset=x", b"<html>" + bytes(500)),
            "/large": (200, "image/png", bytes(MOST + 1)),
            "/endless": (200, "image/png", bytes(3 * MOST)),
            "/bomb": (200, "image/png", bomb()), "/busy": (503, "text/html", b""),
            "/moved": (302, "image/png", b""),
        }  # fmt: skip
        asked: ClassVar = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server_url = f"http://127.0.0.1:{server.server_port}"
    _Host.asked = Host.asked
    yield server_url
    server.shutdown()
    server.server_close()


def fetcher(host: str) -> Fetcher:
    return Fetcher(["127.0.0.1"], [host.removeprefix("http://")], MOST)


@pytest.mark.parametrize(
    ("path", "words"),
    [("/svg", "不收的格式"), ("/page", "不收的格式"), ("/large", "太大"), ("/endless", "太大"),
     ("/moved", "302"), ("/nothing", "404")],
)  # fmt: skip
def test_what_is_no_picture_or_too_large_is_refused(host: str, path: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        fetcher(host).fetch(host + path)


def test_a_busy_host_may_be_asked_again(host: str) -> None:
    with pytest.raises(CollectError) as failed:
        fetcher(host).fetch(f"{host}/busy")
    assert not isinstance(failed.value, Refused)


def test_only_allowed_hosts_and_nothing_inside(host: str) -> None:
    port = host.rpartition(":")[2]
    for hosts, url in (
        (["sinaimg.cn"], f"{host}/good"), (["127.0.0.1"], f"{host}/good"),
        (["localhost"], f"http://localhost:{port}/good"), (["sinaimg.cn"], "file:///etc/passwd"),
        (["sinaimg.cn"], "http://evilsinaimg.cn/x"), (["sinaimg.cn"], "http://[bad"),
    ):  # fmt: skip
        with pytest.raises(Refused):
            Fetcher(hosts, (), MOST).fetch(url)
    assert not _Host.asked  # not one request was sent


@pytest.mark.parametrize(
    "data", [SVG, b"<html>" + bytes(500), bomb(), b"", drawn()[:200], b"%PDF-1.4"]
)
def test_what_cannot_be_opened_is_refused(data: bytes) -> None:
    with pytest.raises(CollectError):
        draw(data, read=False)


def test_a_picture_is_drawn_anew_without_what_its_maker_left() -> None:
    hidden = drawn(exif=True) + b"<script>hidden</script>"
    made = draw(hidden, read=False)
    again = Image.open(io.BytesIO(made.webp))
    assert again.format == "WEBP" and not again.getexif() and made.text is None
    assert b"secret" not in made.webp and b"hidden" not in made.webp
    assert (made.width, made.height) == (640, 120)


# ---------------------------------------------------------------- the whole way


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_archive(f"sqlite:///{tmp_path / 'huiyin.db'}")
    yield opened
    opened.close()


def post(number: int, **update: object) -> Post:
    one = Post(
        id=f"weibo:{number}", text=f"停水第{number}天", created_at=NOW, collected_at=NOW,
        read_at=NOW, offices=("weibo:1",), author=Author(key="k"), source=Origin(spider="s"),
        media=(Media(kind="picture", url="https://m.weibo.cn/status/1"),),
    )  # fmt: skip
    return one.model_copy(update=update)


def appeal(archive: Archive, one: Post) -> None:
    archive.create(Case(id=f"case:{one.id}", offices=one.offices, post=one.id, account="weibo:1",
                        intent="求助", opened_at=NOW, due_at=NOW))  # fmt: skip


def worker(archive: Archive, tmp_path: Path, host: str, **more: object) -> Pictures:
    told = {"keep": timedelta(days=90), "read": False, **more}
    return Pictures(
        archive, LinkQueue(tmp_path / "pictures", tmp_path / "secrets"),
        PictureStore(tmp_path / "pictures"), fetcher(host), lambda: AccountBook([]),
        lambda: datetime.now(UTC), **told,  # type: ignore[arg-type]
    )  # fmt: skip


def files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "pictures").rglob("*.webp"))


def test_appeals_and_key_posts_get_their_pictures_and_lose_them_with_the_post(
    archive: Archive, tmp_path: Path, host: str
) -> None:
    posts = [post(n) for n in range(4)]
    archive.put_posts(posts)
    appeal(archive, posts[0])
    archive.create(Incident(id="incident:1", offices=("weibo:1",), title="停水", posts=1, authors=1,
                            key_posts=("weibo:1",), first_post_at=NOW, last_post_at=NOW,
                            opened_at=NOW))  # fmt: skip
    works = worker(archive, tmp_path, host)
    good = f"{host}/good"
    works.queue.add([("weibo:0", [good, f"{host}/svg-as-png", f"{host}/bomb"]),
                     ("weibo:1", [good]), ("weibo:2", [good])], NOW)  # fmt: skip
    assert works.run_once() == 2 and works.run_once() == 0
    kept = archive.get(Picture, picture_id("weibo:0"), Scope.of("weibo:1"))
    assert kept is not None and kept.record.state == "stored" and len(kept.record.refused) == 2
    assert archive.get(Picture, picture_id("weibo:0"), Scope.of("weibo:2")) is None
    assert works.queue.posts() == ["weibo:2"]  # it may still become an appeal
    assert len(files(tmp_path)) == 1  # the same picture twice is one file
    assert not archive.get_posts(["weibo:0"], ALL)["weibo:0"].media[0].was_read  # 图片内容未读
    works.queue.add([("weibo:0", [f"{host}/good"])], NOW)  # read again by the spider
    asked = len(_Host.asked)
    assert works.run_once() == 0 and len(_Host.asked) == asked and len(works.queue.posts()) == 1
    archive.delete_posts(["weibo:0"], NOW)
    later = datetime.now(UTC) + timedelta(minutes=5)
    works.clock = lambda: later
    assert works.expire() == 1 and len(files(tmp_path)) == 1  # the other post still has it
    archive.delete_posts(["weibo:1"], NOW)
    assert works.expire() == 1 and files(tmp_path) == []
    gone = archive.get(Picture, picture_id("weibo:1"), ALL)
    assert gone is not None and (gone.record.state, gone.record.files) == ("gone", ())
    works.clock = lambda: NOW + timedelta(days=4)
    works.run_once()
    assert works.queue.posts() == []  # what nobody wanted is forgotten


def test_pictures_go_when_their_time_is_over(archive: Archive, tmp_path: Path, host: str) -> None:
    archive.put_posts([post(0)])
    appeal(archive, post(0))
    works = worker(archive, tmp_path, host, keep=timedelta(days=1))
    works.queue.add([("weibo:0", [f"{host}/good"])], NOW)
    assert works.run_once() == 1 and works.expire() == 0
    later = datetime.now(UTC) + timedelta(days=2)
    works.clock = lambda: later
    assert works.expire() == 1 and files(tmp_path) == []


def test_a_host_that_fails_is_tried_again_and_then_given_up(
    archive: Archive, tmp_path: Path, host: str
) -> None:
    archive.put_posts([post(0)])
    appeal(archive, post(0))
    works = worker(archive, tmp_path, host)
    works.queue.add([("weibo:0", [f"{host}/busy"])], NOW)
    for hours in range(5):
        works.clock = lambda hours=hours: datetime.now(UTC) + timedelta(hours=hours)
        works.run_once()
    record = archive.get(Picture, picture_id("weibo:0"), ALL)
    assert record is not None and record.record.state == "failed" and record.record.refused
    assert works.queue.posts() == []


def test_addresses_of_pictures_lie_nowhere_in_the_clear(tmp_path: Path) -> None:
    status = {"pic_urls": [{"thumbnail_pic": "https://wx1.sinaimg.cn/thumbnail/5f00uid7.jpg"}],
              "original_pic": "https://wx1.sinaimg.cn/large/5f00uid7.jpg"}  # fmt: skip
    (link,) = picture_links(status)
    assert link == "https://wx1.sinaimg.cn/large/5f00uid7.jpg"
    pics = {"pics": [{"url": "https://x/s.jpg", "large": {"url": "https://x/l.jpg"}}, "odd", None]}
    assert picture_links(pics) == ("https://x/l.jpg",) and picture_links({"pic_urls": {}}) == ()
    queue, stop = LinkQueue(tmp_path / "pictures", tmp_path / "secrets"), threading.Event()
    collect_into(queue, stop)
    note("weibo:7", (link,), NOW)
    stop.set()
    for _ in range(100):
        if queue.posts():
            break
        threading.Event().wait(0.05)
    collect_into(None, stop)
    note("weibo:8", (link,), NOW)
    assert queue.posts() == ["weibo:7"] and queue.links("weibo:7") == (link,)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"5f00uid7" not in file.read_bytes(), file
    assert (tmp_path / "secrets/pictures.key").stat().st_mode & 0o077 == 0


def test_what_was_read_in_pictures_stays_over_later_readings() -> None:
    seen = (Media(kind="picture", url="u", was_read=True),)
    first, told = post(1), post(1, text=with_picture_text("停水第1天", "通知"), media=seen)
    later = post(1, text="停水第1天，还没来", read_at=NOW + timedelta(minutes=1))
    one = merge_words(merge_words(first, told), later)
    other = merge_words(merge_words(first, later), told)
    assert one == other and split_picture_text(one.text) == ("停水第1天，还没来", "通知")
    assert one.media[0].was_read and merge_words(first, told).edited_at is None


@pytest.mark.skipif(not can_read(), reason="rapidocr-onnxruntime is not installed")
@pytest.mark.skipif(not FONTS, reason="no Chinese font to draw with")
@pytest.mark.timeout(600)
def test_words_in_a_picture_are_read_masked_and_found(
    archive: Archive, tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "LONGEST", 500)
    notice = drawn("东城区停水通知", "联系电话13812345678", "身份证110101199003078515")
    monkeypatch.setattr(Fetcher, "fetch", lambda *_: notice)
    archive.put_posts([post(0)])
    appeal(archive, post(0))
    works = worker(archive, tmp_path, host, read=True)
    works.queue.add([("weibo:0", [f"{host}/good"])], NOW)
    assert works.run_once() == 1
    stored = archive.get_posts(["weibo:0"], ALL)["weibo:0"]
    said, pictured = split_picture_text(stored.text)
    assert said == "停水第0天" and "东城区停水通知" in pictured and "【电话】" in pictured
    assert "13812345678" not in stored.text and "110101199003078515" not in stored.text
    assert stored.media[0].was_read
    for query in ("图中文字 AND 东城区停水通知", '"停水通知"'):
        found = archive.search(SearchRequest(query), ALL)
        assert [hit.post.id for hit in found.hits] == ["weibo:0"], query
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"13812345678" not in file.read_bytes(), file
