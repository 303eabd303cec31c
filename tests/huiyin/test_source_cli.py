"""`huiyin source`: add, list, test, pause, coverage, login, against a platform on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest
from pydantic import SecretStr
from rich.console import Console
from typer.testing import CliRunner, Result

from archive import open_archive
from crawler.accounts import AccountBook
from crawler.build import Builder
from crawler.login import Token, TokenStore, ending
from crawler.looking import Looked
from crawler.privacy import Identity
from huiyin.cli import app
from huiyin.errors import FileFormatError
from huiyin.records import Quota, Scope, Source
from tests.platforms.weibo import Platform, running

ALL = Scope.everything()
Run = Callable[..., Result]


@pytest.fixture
def platform() -> Iterator[Platform]:
    with running(Platform()) as one:
        yield one


@pytest.fixture
def home(tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "huiyin.toml").write_text(
        f'[weibo]\nurl = "{platform.url}"\ncommercial_url = "{platform.url}"\n'
        'app_key = "key"\napp_secret = "hush"\nredirect_uri = "https://example.gov.cn/back"\n'
        '[weibo.tokens]\n"101" = "token-1"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("HUIYIN_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    return tmp_path


@pytest.fixture
def run(home: Path) -> Run:
    def act(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, ["source", *arguments])
        if code:
            assert result.exit_code or result.exception
        else:
            assert result.exit_code == 0, result.output + repr(result.exception)
        return result

    return act


def added(run: Run, *arguments: str) -> Source:
    return Source.model_validate(json.loads(run("add", *arguments, "--json").stdout))


@pytest.mark.parametrize(
    "given",
    [
        ("url=javascript:alert(1)",),
        ("url=file:///etc/passwd",),
        ("url=https://",),
        ("url=https://x.cn/a", "--every", "nan"),
        ("url=https://x.cn/a", "--every", "inf"),
        ("url=https://x.cn/a", "--every", "-5"),
        ("url=https://x.cn/a", "watch=not-there"),
        ("url=https://x.cn/a", "watch=../../etc/passwd"),
    ],
)
def test_what_cannot_be_a_source_is_refused_and_leaves_nothing(
    run: Run, given: tuple[str, ...]
) -> None:
    run("add", "feed", *given, code=2)
    assert json.loads(run("list", "--json").stdout) == []


def test_add_test_list_pause(run: Run, platform: Platform, home: Path) -> None:
    platform.post("mentions", 3)
    one = added(run, "weibo_official", "endpoint=mentions", "uid=101")
    assert one.account == "weibo:101" and one.every_seconds == 900
    shown = json.loads(run("test", one.id, "--json").stdout)
    assert len(shown["posts"]) == 3 and shown["not_understood"] == []
    assert all(post["author"]["name"] is None for post in shown["posts"])
    assert "普通人甲乙丙" not in json.dumps(shown, ensure_ascii=False)
    archive = open_archive(f"sqlite:///{home / 'var/huiyin.db'}")
    assert archive.counts()["posts"] == 0  # looked at, not stored
    stored = archive.get(Source, one.id, ALL)
    assert stored is not None and stored.record.cursor == ""
    archive.close()
    (row,) = json.loads(run("list", "--json").stdout)
    assert row["quota"]["limit"] == 100 and 70 <= row["calls_a_day"] <= 90
    assert row["delay_seconds"] == 900 and row["seen_after"].endswith("）")
    run("pause", one.id)
    (row,) = json.loads(run("list", "--json").stdout)
    assert row["paused"] and row["state_title"] == "人为暂停" and row["gaps"]
    parts = json.loads(run("coverage", one.id, "--json").stdout)
    assert parts[-1]["blind"]
    run("pause", one.id, "--resume")
    (row,) = json.loads(run("list", "--json").stdout)
    assert not row["paused"] and "读" in run("list").stdout


def test_a_board_that_cannot_be_read_is_told_its_own_mend(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("list")
    archive = open_archive(f"sqlite:///{home / 'var/huiyin.db'}")
    archive.create(Source(
        id="source:message_board:x", spider="message_board", parameters={"layout": "board"},
        account="office:default", state="layout",
        reason="列表页里找不到条目（重新运行 huiyin source learn，更新页面说明文件）",
    ))  # fmt: skip
    archive.close()
    (row,) = json.loads(run("list", "--json").stdout)
    assert row["mend"].startswith("重新运行 huiyin source learn")
    told = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    (one,) = [found for found in told if found["what"] == "来源 source:message_board:x"]
    assert one["mend"] == row["mend"]
    monkeypatch.setattr("huiyin.commands.sources.out", Console(width=80))
    lines = run("list").stdout.splitlines()
    assert "source:message_board:x" in lines and "　留言板：board" in lines
    assert any(line.startswith("　列表页里找不到条目　→ 重新运行") for line in lines)


def test_lines_of_a_trial_keep_title_and_text_apart(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = added(run, "feed", "url=https://news.example.cn/rss")
    build = Builder(identity=Identity(b"s" * 32), accounts=AccountBook(()), office="office:default",
                    spider="test", at=datetime.now(UTC), now=datetime.now(UTC))  # fmt: skip
    post = build.post(platform="web", native="1", title="停水通告", text="明日停水", url=None,
                      created_at=datetime.now(UTC))  # fmt: skip
    monkeypatch.setattr("crawler.looking.look_at", lambda *_, **__: Looked((post,), 2))
    said = run("test", one.id).stdout
    assert "　停水通告\n　明日停水" in said and "读不懂 2 条" in said


def test_what_is_no_address_is_not_learned(run: Run) -> None:
    assert "不是网址" in str(run("learn", "foo", code=2).exception)


def test_the_commercial_host_has_an_allowance_of_its_own(run: Run, platform: Platform) -> None:
    earlier = datetime.now(UTC) - timedelta(minutes=1)  # a search ends at this very second
    platform.lists["search"] = platform.post("other", 4, at=earlier)
    one = added(run, "weibo_search", "uid=101", "q=停水", "--every", "60")
    again = run("add", "weibo_search", "uid=101", "q=停水", code=1)
    assert "已经有了" in str(again.exception)
    (row,) = json.loads(run("list", "--json").stdout)
    assert row["quota"]["limit"] == 50_000 and row["delay_seconds"] == 60
    assert len(json.loads(run("test", one.id, "--json").stdout)["posts"]) == 4


@pytest.mark.parametrize(
    "wrong",
    [("nothing", "a=b"), ("weibo_official", "endpoint=mentions"), ("weibo_search", "uid=1", "停水"),
     ("weibo_official", "endpoint=nowhere", "uid=1"), ("weibo_search", "uid=1", "q=停水", "x=1"),
     ("weibo_search", "uid=1", 'q="停水"'), ("feed", "kind=post"),
     ("feed", "url=http://a:b@host.example/f"), ("feed", "url=http://10.0.0.8/rss"),
     ("feed", "url=http://localhost/rss"), ("message_board", "layout=no-such"),
     ("message_board", "layout=../../etc/passwd"), ("weibo_search", "uid=abc", "q=停水"),
     ("weibo_official", "endpoint=topic", "uid=1")],
)  # fmt: skip
def test_a_wrong_source_says_what_is_wrong(run: Run, wrong: tuple[str, ...]) -> None:
    error = run("add", *wrong, code=2).exception
    assert getattr(error, "mend", ""), repr(error)
    assert json.loads(run("list", "--json").stdout) == []


def test_an_inside_address_that_the_settings_allow_is_taken(run: Run, home: Path) -> None:
    with (home / "huiyin.toml").open("a", encoding="utf-8") as settings:
        settings.write('[collect]\nallow_hosts = ["10.0.0.8"]\n')
    added(run, "feed", "url=http://10.0.0.8/rss")


def test_what_the_platform_refuses_is_told(run: Run, platform: Platform) -> None:
    one = added(run, "weibo_official", "endpoint=mentions", "uid=101")
    for mode, words in [("expired", "授权"), ("captcha", "验证"), ("layout", "格式")]:
        platform.mode = mode
        result = run("test", one.id, code=1)
        assert words in str(result.exception) and "token-1" not in repr(result.exception)


class _Grant(BaseHTTPRequestHandler):
    forms: list[dict[str, str]]

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.forms.append(form)
        good = form.get("code") == "fine" and form.get("client_secret") == "hush"
        body: dict[str, Any] = {"error": "invalid_grant", "error_code": 21325}
        if good:
            body = {"access_token": "new-token", "remind_in": "86400", "expires_in": 86400,
                    "uid": "102"}  # fmt: skip
        data = json.dumps(body).encode()
        self.send_response(200 if good else 400)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def test_login(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler.login.new_state", lambda: "s1")
    _Grant.forms = []
    server = HTTPServer(("127.0.0.1", 0), _Grant)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HUIYIN_WEIBO__URL", f"http://127.0.0.1:{server.server_address[1]}")
    back = "https://example.gov.cn/back"
    try:
        result = run("login", "--pasted", f"{back}?state=s1&code=fine")
        assert "new-token" not in result.output and "hush" not in result.output
        link = next(part for part in result.output.split() if "authorize" in part)
        assert parse_qs(link.partition("?")[2])["state"] == ["s1"]
        for wrong in ("?state=other&code=fine", "?state=s1", "?error=access_denied&state=s1",
                      "?state=s1&code=old"):  # fmt: skip
            assert getattr(run("login", "--pasted", back + wrong, code=1).exception, "mend", "")
    finally:
        server.shutdown()
        server.server_close()
    file = home / "var/secrets/weibo-tokens.json"
    assert file.stat().st_mode & 0o077 == 0
    store = TokenStore(home / "var/secrets")
    assert store.read()["102"].secret.get_secret_value() == "new-token"
    assert "new-token" not in repr(store.read())
    shown = run("list")
    assert "102" in shown.output and "到期" in shown.output  # a day is left


def test_tokens_that_end_soon() -> None:
    now = datetime(2026, 3, 5, tzinfo=UTC)
    tokens = {
        str(days): Token(str(days), SecretStr("x"), now + timedelta(days=days, hours=1))
        for days in (-1, 0, 1, 6, 8)
    }
    assert [uid for uid, _ in ending(tokens, now)] == ["-1", "0", "1", "6"]


def test_the_spent_calls_are_shown(run: Run, home: Path) -> None:
    one = added(run, "weibo_official", "endpoint=mentions", "uid=101")
    archive = open_archive(f"sqlite:///{home / 'var/huiyin.db'}")
    archive.create(
        Quota(id="quota:weibo:101", limit=150, window_seconds=3600, used=30,
              resets_at=datetime.now(UTC) + timedelta(minutes=5))
    )  # fmt: skip
    archive.close()
    (row,) = json.loads(run("list", "--json").stdout)
    assert row["id"] == one.id and row["quota_text"] == "30/150"


def test_names_between_colons_are_no_pictures(run: Run, home: Path) -> None:
    archive = open_archive(f"sqlite:///{home / 'var/huiyin.db'}")
    archive.create(Source(id="source:cat:heart:x", spider="feed", account="office:default"))
    archive.close()
    shown = run("list").stdout
    assert "source:cat:heart:x" in shown and "🐱" not in shown


def test_a_push_stream_cannot_be_tried_and_asks_for_no_token(run: Run) -> None:
    result = run("test", added(run, "weibo_push", "subid=10001").id, code=2)
    said = str(result.exception) + result.output
    assert "不能只读一页来试" in said and "preview" in said and "没有授权" not in said


def test_files_that_cannot_be_read_are_told_in_chinese(tmp_path: Path) -> None:
    from crawler.accounts import load_accounts
    from huiyin.doors import read_sources

    broken = tmp_path / "broken.toml"
    broken.write_text("name = = 1")
    for act, file, words in (
        (read_sources, tmp_path / "no.toml", "没有这个文件"),
        (read_sources, broken, "第 1 行第 8 个字符处写法不对"),
        (load_accounts, tmp_path / "no.json", "没有这个文件"),
    ):
        with pytest.raises(FileFormatError, match=words) as caught:
            act(file)
        assert "Errno" not in str(caught.value) and "Invalid" not in str(caught.value)
