"""`huiyin source learn` and `preview`: what a page, or a list of words, would bring."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from archive.base import Filters
from huiyin.commands.common import Json, err, opened, out, parse_time, print_json, shown_time
from huiyin.errors import InputError
from huiyin.records import Scope


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
    words: Annotated[str, typer.Argument(help="盯着的词，空格隔开：提到任一个就算。")],
    without: Annotated[str, typer.Option(help="排除的词：提到任一个就不算。")] = "",
    since: Annotated[str | None, typer.Option(help="从（含）；默认全部。")] = None,
    json: Json = False,
) -> None:
    """一份词表在档案里会抓到什么、放过什么，先看再用。什么都不改。"""
    from crawler.watch_list import WatchList
    from crawler.watch_list import preview as try_out

    watch = WatchList.of(words, without)
    with opened() as app:
        filters = Filters(since=parse_time(since, "--since"))
        found = try_out(watch, app.archive.iter_posts(Scope.everything(), filters))
    if json:
        print_json(
            {
                "looked": found.looked, "caught": found.caught, "ruled_out": found.ruled_out,
                "by_word": dict(found.by_word),
                "caught_newest": [one.id for one in found.shown],
                "ruled_out_newest": [one.id for one in found.let_go],
            }
        )  # fmt: skip
        return
    out.print(f"看了 {found.looked} 条：抓到 {found.caught}，被排除词放过 {found.ruled_out}")
    for word in watch.words:
        out.print(Text(f"　{word}　{found.by_word[word]}"))
    for head, posts in (("抓到的（最新）", found.shown), ("放过的（最新）", found.let_go)):
        if posts:
            out.print(head)
        for one in posts:
            said = one.text[:60].replace("\n", " ")
            out.print(Text(f"　{shown_time(one.created_at)}　{one.id}　{said}"))


def _target(folder: Path, name: str) -> Path:
    name = name.removesuffix(".toml")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise InputError("名称只用字母、数字、汉字和连字符", "改名")
    file = folder / f"{name}.toml"
    if file.exists():
        raise InputError(f"{file} 已经有了", "换个名称，或先改名、删除旧的")
    return file
