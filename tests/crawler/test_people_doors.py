"""Added by hand and the public form: what people bring themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from archive.base import Archive
from crawler import AccountBook, Identity
from crawler.build import Builder
from crawler.by_hand import post_by_hand
from crawler.form_pages import web_app
from crawler.public_form import Form, poster
from huiyin.contacts import Sealer, make_keys
from huiyin.errors import InputError
from huiyin.records import AuthorKind, Case, CaseState, Contact, Kind, Post, Scope

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
EVERYTHING = Scope.everything()


@pytest.fixture
def add(book: AccountBook, identity: Identity) -> Callable[..., Post]:
    def act(text: str, how: str = "phone", **more: object) -> Post:
        told = {"office": "weibo:101", "by": "li", "now": NOW} | more
        return post_by_hand(text=text, how=how, identity=identity, accounts=book, **told)  # type: ignore[arg-type]

    return act


def test_by_hand(add: Callable[..., Post]) -> None:
    one = add("来电说东城停水三天，电话13812345678 @张小明", said_at=NOW - timedelta(hours=1))
    assert (one.kind, one.text) == (Kind.MESSAGE, "来电说东城停水三天，电话【电话】 @某用户")
    assert one.offices == ("weibo:101",) and one.created_at == NOW - timedelta(hours=1)
    assert one.source.spider == "by_hand" and one.source.query == "li" and one.author.key is None
    assert add(one.text).id != add("另一件").id and add("同一件").id == add("同一件").id
    linked = add("停水了", "link", link="https://weibo.com/5987654321/K3fnuEfZK?token=x")
    assert linked.id == "weibo:4607741009594608" and "5987654321" not in linked.model_dump_json()
    page = add("楼道灯坏", "link", link="https://a.example/t?id=3&uid=9&access_token=s")
    assert page.url == "https://a.example/t?id=3" and page.kind is Kind.POST
    for wrong in ({"text": " "}, {"text": "a" * 20_001}, {"how": "fax"}, {"link": "javascript:1"},
                  {"said_at": NOW + timedelta(hours=1)}):  # fmt: skip
        with pytest.raises(InputError):
            add(**({"text": "停水"} | wrong))


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def form(archive: Archive, identity: Identity, book: AccountBook) -> Form:
    return Form(archive, identity, lambda: book, "weibo:101", Clock())


@pytest.fixture
def web(form: Form) -> TestClient:
    return TestClient(web_app(form, title="云渡市", per_hour=8, per_address=5))


def send(web: TestClient, text: str, **more: str) -> tuple[int, str, str]:
    answer = web.post("/", data={"text": text, "hall": "weibo:102", **more})
    number = re.search(r"编号 <b>(.*?)</b>", answer.text)
    code = re.search(r"查询码 <b>(.*?)</b>", answer.text)
    return answer.status_code, number[1] if number else "", code[1] if code else ""


def test_a_message_and_its_answer(web: TestClient, form: Form, archive: Archive) -> None:
    page = web.get("/?h=weibo:102")
    assert 'name="phone"' not in page.text  # no key, no promise
    assert "给云渡水务留言" in page.text and "script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    status, number, code = send(web, "<b>东城</b>停水，我叫@张小明 13812345678")
    assert status == 200 and number and len(code) == 8
    post = archive.get_posts([f"form:{number}"], EVERYTHING)[f"form:{number}"]
    assert post.text == "<b>东城</b>停水，我叫@某用户 【电话】" and post.kind is Kind.MESSAGE
    assert set(post.offices) == {"weibo:101", "weibo:102"} and post.author.key is None

    def asked(n: str = number, c: str = code) -> str:
        return web.post("/q", data={"number": n, "code": c}).text

    assert "已收到" in asked() and "不对" in asked(c="AAAAAAAA") and "不对" in asked(n="1")
    archive.create(
        Case(id="case:1", post=post.id, account="weibo:102", state=CaseState.OPEN, opened_at=NOW,
             due_at=NOW, offices=("weibo:102",))
    )  # fmt: skip
    assert "正在办理" in asked()
    build = Builder(identity=form.identity, accounts=form.accounts(), office="weibo:101",
                    spider="t", at=NOW, now=NOW)  # fmt: skip
    archive.put_posts([
        build.post(platform="form", native="a1", text="今晚恢复<script>", created_at=NOW,
                   kind=Kind.NOTICE, author=AuthorKind.GOVERNMENT, parent=post.id, root=post.id)
    ])  # fmt: skip
    assert "已答复" in asked() and "今晚恢复&lt;script&gt;" in asked()


def test_a_number_is_sealed_where_there_is_a_key(
    archive: Archive, identity: Identity, book: AccountBook, tmp_path: Path
) -> None:
    make_keys(tmp_path / "secrets")
    form = Form(archive, identity, lambda: book, "weibo:101", Clock(),
                Sealer.of(tmp_path / "secrets"))  # fmt: skip
    web = TestClient(web_app(form, title="云渡市", per_hour=8, per_address=5))
    assert 'name="phone"' in web.get("/").text
    status, number, _ = send(web, "东城停水三天", phone="13812345678")
    assert status == 200
    stored = archive.get(Contact, f"contact:form:{number}", EVERYTHING)
    assert stored is not None and stored.record.offices == ("weibo:102", "weibo:101")
    assert "13812345678" not in stored.record.model_dump_json()
    assert send(web, "东城停水三天", phone="打我电话")[0] == 400
    status, number, _ = send(web, "没有留电话")
    assert status == 200 and archive.get(Contact, f"contact:form:{number}", EVERYTHING) is None
    assert archive.counts()["posts"] == 2


def test_limits_of_the_form(web: TestClient, form: Form, archive: Archive) -> None:
    assert send(web, "短")[0] == 400 and send(web, "长" * 2001)[0] == 400
    assert web.post("/", content=b"x" * 100_000).status_code == 413
    assert web.post("/", json={"text": "停水停水"}).status_code == 413
    assert send(web, "机器人填的内容", website="x")[1] == ""  # the field nobody sees
    assert [send(web, f"第{n}条停水")[0] for n in range(7)] == [200] * 5 + [429] * 2
    clock = form.clock
    assert isinstance(clock, Clock)
    clock.now = NOW + timedelta(minutes=61)
    assert send(web, "过了一小时再来")[0] == 200
    assert len(list(archive.iter_posts(EVERYTHING))) == 6
    assert web.get("/nothing").status_code == 404


def test_a_full_archive_is_said_and_no_number_given(
    web: TestClient, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huiyin.errors import ArchiveBusy

    def busy(*_: object) -> None:
        raise ArchiveBusy("忙")

    monkeypatch.setattr(type(archive), "put_posts", busy)
    assert send(web, "存不进的留言") == (503, "", "")


def test_the_poster_can_be_printed(tmp_path: Path) -> None:
    page = poster("https://form.example", "weibo:102", "云渡<水务>", "云渡市")
    assert "<svg" in page and "云渡&lt;水务&gt;" in page and "h=weibo%3A102" in page
