"""`huiyin user`, `huiyin oncall`, `huiyin account`: people, rota, official accounts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from huiyin.commands.common import Json, opened, out, print_json, shown_time
from huiyin.errors import InputError
from huiyin.records import Account, Role, Scope, Shift

user = typer.Typer(help="管理能登录的人。", no_args_is_help=True)
oncall = typer.Typer(help="值班表。", no_args_is_help=True)
account = typer.Typer(help="官方账号（矩阵）。", no_args_is_help=True)


@user.command("add")
def user_add(
    person_id: Annotated[str, typer.Argument(help="登录名：英文字母、数字、下划线。")],
    name: Annotated[str, typer.Option(help="姓名。")],
    role: Annotated[list[Role], typer.Option(help="角色，可多次给出。")],
    office: Annotated[
        list[str] | None, typer.Option(help="可见的账号编号，可多次；不给 = 全部。")
    ] = None,
) -> None:
    """加一个人，打印一次性密码（只显示这一次）。"""
    with opened() as app:
        password = app.people.add(
            person_id, name, tuple(role), tuple(office or ("*",)), by="system:cli"
        )
    out.print(f"{name}（{person_id}）的一次性密码：[bold]{password}[/]　首次登录须改密码。")


@user.command("reset")
def user_reset(person_id: str) -> None:
    """重置密码并解锁，打印新的一次性密码。"""
    with opened() as app:
        out.print(f"新的一次性密码：[bold]{app.people.reset(person_id, by='system:cli')}[/]")


@user.command("off")
def user_off(person_id: str) -> None:
    """停用一个人；记录保留，因为历史里有他的名字。"""
    with opened() as app:
        app.people.deactivate(person_id, by="system:cli")
    out.print("已停用。")


@user.command("list")
def user_list(json: Json = False) -> None:
    """列出所有人。"""
    with opened() as app:
        people = app.people.everyone()
    rows = [
        {"id": one.id, "name": one.name, "roles": list(one.roles), "offices": list(one.offices),
         "active": one.active}
        for one in people
    ]  # fmt: skip
    if json:
        print_json(rows)
        return
    if not rows:
        out.print("还没有人。用 huiyin user add 登录名 --name 姓名 --role 拟稿员 加一个。")
        return
    table = Table("登录名", "姓名", "角色", "可见账号", "状态")
    for one in people:
        state = "在用" if one.active else "停用"
        table.add_row(one.id, one.name, "、".join(one.roles), "、".join(one.offices), state)
    out.print(table)


@oncall.command("load")
def oncall_load(file: Annotated[Path, typer.Argument(help="rota.toml")]) -> None:
    """从文件读入值班表；同一班次再读一次就更新。"""
    from alerts import load_rota, save_rota

    with opened() as app:
        changed = save_rota(app.archive, load_rota(file, app.clock))
    out.print(f"读入完成，新增或改动 {changed} 班。")


@oncall.command("list")
def oncall_list(json: Json = False) -> None:
    """列出值班表，标出现在是谁。"""
    with opened() as app:
        shifts = [one.record for one in app.archive.records(Shift, Scope.everything())]
        now = app.clock()
    shifts.sort(key=lambda one: (one.starts_at, one.order))
    if json:
        print_json([one.model_dump(mode="json") for one in shifts])
        return
    if not shifts:
        out.print("还没有值班表：所有值班员都会收到告警。用 huiyin oncall load rota.toml 读入。")
        return
    table = Table("起", "止", "顺序", "值班员", "渠道", "")
    for one in shifts:
        current = "现在" if one.starts_at <= now < one.ends_at else ""
        table.add_row(
            shown_time(one.starts_at), shown_time(one.ends_at), str(one.order), one.person,
            "、".join(one.channels), current,
        )  # fmt: skip
    out.print(table)


@account.command("load")
def account_load(
    file: Annotated[Path, typer.Argument(help="accounts.json 或 CSV（name,uid）")],
) -> None:
    """读入官方账号矩阵；同一账号再读一次就更新。"""
    from crawler import load_accounts

    with opened() as app:
        accounts = load_accounts(file)
        if not accounts:
            raise InputError("文件里没有账号", "至少要有一个 name 和 uid", file=str(file))
        for one in accounts:
            stored = app.archive.get(Account, one.id, Scope.everything())
            if stored is None:
                app.archive.create(one)
            elif stored.record != one:
                app.archive.replace(stored, one)
    out.print(f"官方账号 {len(accounts)} 个。")


@account.command("list")
def account_list(json: Json = False) -> None:
    """列出官方账号。"""
    with opened() as app:
        found = [one.record for one in app.archive.records(Account, Scope.everything())]
    if json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    if not found:
        out.print("还没有官方账号。用 huiyin account load accounts.json 读入。")
        return
    table = Table("编号", "名称", "级", "上级", "单位")
    for one in sorted(found, key=lambda one: (one.level, one.id)):
        table.add_row(one.id, one.name, str(one.level), one.parent or "—", one.unit)
    out.print(table)
