"""`huiyin source learn` and `preview`: what a page, or a list of words, would bring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from archive.base import Filters
from huiyin.commands.common import Json, err, opened, out, parse_time, print_json, shown_time
from huiyin.errors import InputError
from huiyin.records import Scope

if TYPE_CHECKING:
    from crawler.watch_list import Preview, WatchList

MOST_TOLD = 30


def learn(
    url: Annotated[str, typer.Argument(help="列表页的网址（有多条标题链接的那一页）。")],
    detail: Annotated[
        str | None, typer.Option(help="一条已有答复的详情页；默认用列表里的第一条。")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="写成 layouts/名称.toml；不给只显示。")
    ] = None,
    json: Json = False,
) -> None:
    """看一个留言板或通知公告页面，提出页面说明文件，并显示照它会存下什么。什么都不入库。"""
    from crawler.looking import learn as look

    with opened() as app:
        app.init()
        settings = app.settings
        file = _target(settings.path(settings.collect.layouts), output) if output else None
        found = look(
            url, detail, identity=app.identity, accounts=app.accounts, clock=app.clock,
            office=settings.office.id, allowed=settings.collect.allow_hosts,
            contact=settings.collect.contact,
        )  # fmt: skip
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(found.proposal.toml, encoding="utf-8")
    if json:
        print_json(
            {
                "toml": found.proposal.toml, "doubts": list(found.proposal.doubts),
                "file": str(file) if file else None,
                "posts": [one.model_dump(mode="json") for one in found.posts],
            }
        )  # fmt: skip
        return
    out.print(Text(found.proposal.toml))
    for one in found.posts:
        out.print(Text(f"会存下　{one.id}　{one.kind}　{shown_time(one.created_at)}", "bold"))
        for line in (one.title, one.text):
            if line:
                out.print(Text(f"　{line[:400]}"))
    for doubt in found.proposal.doubts:
        err.print(Text(f"请看一下：{doubt}", "yellow"))
    if file is not None:
        spider = "notices" if found.proposal.layout.kind == "notice" else "message_board"
        out.print(Text(f"已写入 {file}；核对后：huiyin source add {spider} layout={file.stem}"))


def preview(
    words: Annotated[str, typer.Argument(help="盯着的词，空格隔开：提到任一个就算。")] = "",
    without: Annotated[str, typer.Option(help="排除的词：提到任一个就不算。")] = "",
    since: Annotated[str | None, typer.Option(help="从（含）；默认全部。")] = None,
    name: Annotated[
        str, typer.Option("--list", help="试 collect.watch_lists 里的这份名单，不写词。")
    ] = "",
    push: Annotated[
        bool, typer.Option("--push", help="只把名单写成商业推送订阅的关键词，一行一个。")
    ] = False,
    json: Json = False,
) -> None:
    """一份词表在档案里会抓到什么、放过什么，先看再用。什么都不改。"""
    from crawler.watch_list import WatchList
    from crawler.watch_list import preview as try_out

    with opened() as app:
        if bool(words.strip()) == bool(name):
            raise InputError("写词，或用 --list 给名单的名称", "二者选一")
        folder = app.settings.path(app.settings.collect.watch_lists)
        watch = WatchList.load(folder, name) if name else WatchList.of(words, without)
        if push:
            _push_keywords(watch)
            return
        filters = Filters(since=parse_time(since, "--since"))
        found = try_out(watch, app.archive.iter_posts(Scope.everything(), filters))
    if json:
        print_json(
            {
                "looked": found.looked, "caught": found.caught, "ruled_out": found.ruled_out,
                "unaddressed": found.unaddressed, "by_word": dict(found.by_word),
                "caught_newest": [one.id for one in found.shown],
                "ruled_out_newest": [one.id for one in found.let_go],
            }
        )  # fmt: skip
        return
    out.print(f"看了 {found.looked} 条：抓到 {found.caught}，被排除词放过 {found.ruled_out}")
    out.print(f"抓到的里面有 {found.unaddressed} 条没有@我们的账号：只看@是看不到的。")
    for word, count in _told(watch, found):
        out.print(Text(f"　{word}　{count}"))
    for head, posts in (("抓到的（最新）", found.shown), ("放过的（最新）", found.let_go)):
        if posts:
            out.print(head)
        for one in posts:
            said = one.text[:60].replace("\n", " ")
            out.print(Text(f"　{shown_time(one.created_at)}　{one.id}　{said}"))


def _told(watch: WatchList, found: Preview) -> list[tuple[str, int]]:
    """Each word of a short list with its count; of a long one those that caught most."""
    if not watch.places and not watch.units:
        return [(word, found.by_word[word]) for word in watch.words]
    return found.by_word.most_common(MOST_TOLD)


def _push_keywords(watch: WatchList) -> None:
    from crawler.watch_list import PUSH_LONGEST, PUSH_MOST

    lines = list(watch.push_keywords())
    for line in lines:
        typer.echo(line)
    if len(lines) > PUSH_MOST:
        err.print(Text(f"有 {len(lines)} 个，一个订阅最多 {PUSH_MOST} 个：分成几个订阅", "yellow"))
    if any(len(line) > PUSH_LONGEST for line in lines):
        err.print(Text(f"有的超过 {PUSH_LONGEST} 个字，平台不收", "yellow"))


def _target(folder: Path, name: str) -> Path:
    name = name.removesuffix(".toml")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise InputError("名称只用字母、数字、汉字和连字符", "改名")
    file = folder / f"{name}.toml"
    if file.exists():
        raise InputError(f"{file} 已经有了", "换个名称，或先改名、删除旧的")
    return file
