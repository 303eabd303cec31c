"""Pictures are shown from our own server, to who may see the post and to nobody else."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from crawler.pictures.store import PictureStore, picture_id
from huiyin.clock import system_clock
from huiyin.people import People
from huiyin.records import Media, Picture, PictureFile, Scope, with_picture_text
from tests.ui.conftest import Console, page_html
from tests.ui.seed import CITY, INCIDENT, PASSWORD
from ui.kept import KEEPER, cookie_name
from ui.markup import picture
from ui.pictures import PATH, ROUTES

ALL = Scope.everything()
POST = "weibo:4000"


@pytest.fixture
def sha(console: Console) -> str:
    """A key post with a picture that was fetched and read."""
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, "WEBP")
    made = PictureStore(console.home / "var/pictures").put(out.getvalue())
    one = console.archive.get_posts([POST], ALL)[POST]
    text = with_picture_text(one.text, "停水<b>通知</b>")
    media = (Media(kind="picture", url="u", was_read=True),)
    update = {"text": text, "media": media, "read_at": one.read_at + timedelta(seconds=1)}
    console.archive.put_posts([one.model_copy(update=update)])
    files = (PictureFile(sha256=made, width=40, height=30, bytes=len(out.getvalue()),
                         was_read=True),)  # fmt: skip
    console.archive.create(
        Picture(id=picture_id(POST), offices=(CITY,), post=POST, files=files,
                refused=("图片太大",), fetched_at=console.seeded.now)
    )  # fmt: skip
    return made


def test_a_key_post_shows_its_picture_and_what_stands_in_it(console: Console, sha: str) -> None:
    html = page_html(console.sign_in("lin", "incidents", id=INCIDENT))
    assert f'src="{PATH}/{POST}/{sha}"' in html and "图中文字见正文" in html
    assert "【图中文字】" in html and "停水&lt;b&gt;通知&lt;/b&gt;" in html
    assert "另有 1 张没有取到" in html
    console.archive.delete_posts([POST], console.seeded.now)
    assert sha not in page_html(console.sign_in("lin", "incidents", id=INCIDENT))


def test_the_server_gives_it_to_who_may_see_the_post(console: Console, sha: str) -> None:
    client = TestClient(Starlette(routes=list(ROUTES)))
    people = People(console.archive, system_clock)
    address = f"{PATH}/{POST}/{sha}"
    assert client.get(address).status_code == 404

    def signed_in(name: str) -> dict[str, str]:
        now = system_clock()
        taken = KEEPER.take(KEEPER.offer(people.sign_in(name, PASSWORD), now), now)
        assert taken is not None
        return {"Cookie": f"{cookie_name(8501)}={taken[0]}"}

    lin, yuan = signed_in("lin"), signed_in("yuan")
    answer = client.get(address, headers=lin)
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "private" in answer.headers["cache-control"]
    assert client.get(address, headers=yuan).status_code == 404
    for wrong in (f"{PATH}/weibo:4001/{sha}", f"{PATH}/{POST}/{'0' * 64}",
                  f"{PATH}/{POST}/..%2f..%2fhuiyin.db"):  # fmt: skip
        assert client.get(wrong, headers=lin).status_code == 404
    people.deactivate("lin", by="system:test")
    assert client.get(address, headers=lin).status_code == 404
    assert system_clock() - console.seeded.now < timedelta(hours=8)


def test_only_our_own_addresses_become_pictures() -> None:
    for wrong in ("https://evil.example/x", "//evil.example/x", "javascript:x", "/\\evil"):
        with pytest.raises(ValueError, match="server"):
            picture(wrong, 1, 1, "x")
    assert 'alt="&lt;b&gt;"' in picture("/pictures/x", 1, 1, "<b>")
