"""`huiyin add`, `inbox`, `form`, `collect`: the doors that people and other networks come by."""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from huiyin.commands.common import Json, err, opened, out, parse_time, print_json
from huiyin.errors import ArchiveError, InputError
from huiyin.settings import load_settings
from huiyin.supervise import orphaned, start_anew, stop_on_signals

if TYPE_CHECKING:
    import uvicorn

    from crawler.callback import Callback
    from huiyin.app import App
    from huiyin.records import Post


def add(
    text: Annotated[
        str, typer.Argument(help="内容：贴上正文，或记下电话里说的；- 表示从标准输入读。")
    ],
    how: Annotated[str, typer.Option(help="phone text letter visit link")] = "text",
    link: Annotated[str, typer.Option(help="它在网上的地址；回音不去打开它。")] = "",
    title: Annotated[str, typer.Option(help="标题。")] = "",
    at: Annotated[str | None, typer.Option(help="什么时候说的；默认现在。")] = None,
    office: Annotated[str | None, typer.Option(help="归哪个账号；默认 office.id。")] = None,
    phone: Annotated[
        str, typer.Option(help="对方的电话：封存，只有经办人能看（huiyin contact），办结后销毁。")
    ] = "",
    json: Json = False,
) -> None:
    """手工添加一条：链接、文字，或电话里说的。姓名请不要写，电话和身份证号会被遮蔽。"""
    from crawler.by_hand import post_by_hand

    said_at = parse_time(at, "--at")
    if text == "-":
        text = typer.get_text_stream("stdin").read()
    with opened() as app:
        app.init()
        post = post_by_hand(
            text=text, how="link" if link and how == "text" else how, link=link, title=title,
            said_at=said_at, office=office or app.settings.office.id, by="cli",
            identity=app.identity, accounts=app.accounts, now=app.clock(),
        )  # fmt: skip
        if phone:
            _seal(app, phone, post)
        done = app.archive.put_posts([post])
    if json:
        print_json({"id": post.id, "new": bool(done.new), "text": post.text})
    else:
        out.print(Text(f"{'已添加' if done.new else '早已有了'} {post.id}　{post.text[:80]}"))


def _seal(app: App, phone: str, post: Post) -> None:
    from huiyin.contacts import Sealer

    sealer = Sealer.of(app.settings.path(app.settings.secrets.folder))
    if sealer is None:
        raise InputError("没有封存用的密钥", "运行 huiyin init")
    app.contacts.keep(sealer.seal(phone, post, app.clock()))


def contact(
    case: Annotated[str, typer.Argument(help="办件的编号。")],
    user: Annotated[str, typer.Option(help="您的登录名；密码另外问。")],
    why: Annotated[str, typer.Option(help="为什么要看，记入办理记录。")],
) -> None:
    """看来件人封存的电话：只有经办人能看，每看一次记一笔；办结后销毁。"""
    with opened() as app:
        password = typer.prompt("密码", hide_input=True)
        session = app.people.sign_in(user, password)
        if session.person.must_change_password:
            raise InputError("一次性密码还没有改过", "先在控制台登录一次，改成自己的密码")
        actor = session.actor(app.clock())
        number = app.contacts.open(case, actor, why, app.clock())
    out.print(Text(f"电话：{number}　已记录：{actor.name} 看了一次。请不要抄进办件或草稿。"))


def inbox(
    once: Annotated[bool, typer.Option("--once", help="看到没有可做的就结束。")] = False,
    skip: Annotated[
        str | None, typer.Option(help="放弃一个再也不会到的采集包：站名:编号。")
    ] = None,
    json: Json = False,
) -> None:
    """看着一个文件夹（collect.inbox），放进来的文件自动导入，每个一次。"""
    from huiyin.doors import inbox_of, stations_of

    with stop_on_signals() as stop, opened() as app:
        app.init()
        if skip is not None:
            stations, (name, _, number) = stations_of(app), skip.partition(":")
            if stations is None or not number.isdigit():
                raise InputError("写成 站名:编号，并在 collect.stations 登记该站", "改正")
            stations.skip(name, int(number))
            out.print(f"已放弃 {name} 的第 {number} 号；这段时间留作没有看到的。")
            return
        box, reports, idle, parent = inbox_of(app), [], 0, os.getppid()
        while not stop.is_set() and not orphaned(parent) and not app.moved():
            try:
                found = box.run_once()
            except ArchiveError as error:  # away, busy or full: the files wait where they are
                if once:
                    raise
                err.print(Text(str(error), "yellow"))
                stop.wait(5.0)
                continue
            reports += found if once else []
            for one in found:
                if not json:
                    out.print(Text(f"{one.file}：新增 {one.new}，更新 {one.updated}，"
                                   f"跳过 {one.skipped}"))  # fmt: skip
                    for reason in one.reasons[:5]:
                        err.print(Text(f"　{reason['reason']}", "yellow"))
            idle = 0 if found else idle + 1
            if once and idle >= 7:  # files need two looks, five seconds apart
                break
            stop.wait(1.0)
        moved = app.moved()
    if moved and not once:
        start_anew()
    if json:
        print_json([one.as_dict() for one in reports])


def form(
    posters: Annotated[
        Path | None, typer.Option(help="不开表单，只把每个账号的二维码页写进这个文件夹。")
    ] = None,
) -> None:
    """公众留言表单（form.port），单独的进程；不登录，不要姓名，电话可以不留，凭编号和查询码看答复。"""
    from crawler.callback import route_of
    from crawler.form_pages import web_app
    from crawler.public_form import poster
    from huiyin.doors import callback_of, form_of

    settings = load_settings()
    told = settings.form
    with opened() as app:
        app.init()
        made = form_of(app)
        if posters is not None:
            if not told.url:
                raise InputError("不知道表单的网址", "在 huiyin.toml 写 form.url")
            posters.mkdir(parents=True, exist_ok=True)
            halls = made.halls() or {"": settings.office.name}
            for number, (hall, name) in enumerate(halls.items(), 1):
                page = poster(told.url, hall, name, settings.office.name)
                (posters / f"{number:03d}.html").write_text(page, encoding="utf-8")
            out.print(Text(f"写了 {len(halls)} 页 → {posters}，用浏览器打开后打印。"))
            return
        if not told.port:
            raise InputError("表单没有开", "在 huiyin.toml 写 form.port 和 form.url")
        import uvicorn

        callback = callback_of(app)
        pages = web_app(made, title=settings.office.name, per_hour=told.per_hour,
                        per_address=told.per_address,
                        more=[route_of(callback)] if callback else [])  # fmt: skip
        out.print(f"表单：http://{told.host}:{told.port}　Ctrl-C 停下。")
        server = uvicorn.Server(uvicorn.Config(
            pages, host=told.host, port=told.port, log_level="warning", access_log=False,
            server_header=False, limit_concurrency=200, timeout_keep_alive=5,
            proxy_headers=False,
        ))  # fmt: skip
        Thread(target=_end_with, args=(server, app, os.getppid(), callback), daemon=True).start()
        server.run()
        moved = app.moved()
    if moved:
        start_anew()


def _end_with(server: uvicorn.Server, app: App, parent: int, callback: Callback | None) -> None:
    """End the form when whoever started it is gone, or the archive has moved; meanwhile write down

    that messages are listened for.
    """
    due = 0.0
    while not server.should_exit:
        if callback is not None and time.monotonic() >= due:
            due = time.monotonic() + 60
            try:
                callback.listen()
            except ArchiveError as error:
                err.print(Text(str(error), "yellow"))
        time.sleep(1.0)
        server.should_exit = server.should_exit or orphaned(parent) or app.moved()


def collect(
    outbox: Annotated[Path, typer.Option(help="采集包写进这个文件夹。")],
    station: Annotated[str, typer.Option(help="站名：小写字母、数字、连字符。")] = "outside",
    sources: Annotated[Path, typer.Option(help="要读的来源（TOML）。")] = Path("sources.toml"),
    accounts: Annotated[
        Path | None, typer.Option(help="官方账号表（docs/importing.md），免得官方名称被遮蔽。")
    ] = None,
    every: Annotated[float, typer.Option(min=1, help="多少秒封一个包。")] = 300.0,
    once: Annotated[bool, typer.Option("--once", help="各读一遍就结束。")] = False,
) -> None:
    """在另一个网络上采集，不需要档案：写出签名、编号的采集包，带进内网放进 collect.inbox。"""
    from crawler import AccountBook, Identity, load_accounts
    from crawler.outbox import public_key, station_key
    from huiyin.clock import system_clock
    from huiyin.doors import run_station
    from huiyin.secret import author_secret

    settings = load_settings()
    secrets = settings.path(settings.secrets.folder)
    identity = Identity(author_secret(secrets, create=True))
    out.print(Text(f"公钥（写进内网的 collect.stations）：\"{station}\" = "
                   f"\"{public_key(station_key(secrets))}\""), soft_wrap=True)  # fmt: skip
    book = AccountBook(load_accounts(accounts) if accounts else ())
    begin = time.monotonic()
    with stop_on_signals() as stop:
        run_station(
            settings, folder=settings.path(outbox), station=station,
            sources=settings.path(sources), accounts=book, identity=identity, clock=system_clock,
            stop=stop, every=every, once=once,
        )  # fmt: skip
    out.print(f"采集了 {time.monotonic() - begin:.0f} 秒，采集包在 {outbox}")
