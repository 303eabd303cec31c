"""`huiyin source`: where we look, how often, with which allowance, and what was not seen."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from huiyin.app import ALL, App
from huiyin.commands.common import Json, err, opened, out, parse_time, print_json, shown_time
from huiyin.errors import Conflict, InputError, NotFound
from huiyin.records import Incident, Source

if TYPE_CHECKING:
    from crawler.login import TokenStore

source = typer.Typer(help="来源：加、列、试、停；授权；哪些时间没有看到。", no_args_is_help=True)


@source.command("add")
def add(
    spider: Annotated[str, typer.Argument(help="weibo_official、weibo_search、feed、notices…")],
    parameters: Annotated[list[str], typer.Argument(help="参数，写成 名称=值，可以多个。")],
    account: Annotated[
        str | None, typer.Option(help="为哪个官方账号看；默认微博用 uid 的账号，其余用本单位。")
    ] = None,
    every: Annotated[float | None, typer.Option(help="最短多少秒读一次。")] = None,
    json: Json = False,
) -> None:
    """加一个来源。例：huiyin source add weibo_search uid=5000000001 q=停水 province=41

    写 region=410100 就按这个行政区划提出一份盯看名单（地名 × 险情词、本单位账号），可以改。
    """
    from crawler.managing import new_source

    with opened() as app:
        given = _parameters(parameters)
        if region := given.pop("region", ""):
            every = _propose(app, given, region, every)
        wanted = new_source(
            spider, given, accounts=app.accounts, office=app.settings.office.id,
            every_seconds=app.settings.weibo.every_seconds, account=account, every=every,
            by="system:cli", now=app.clock(),
            watch_lists=app.settings.path(app.settings.collect.watch_lists),
            layouts=app.settings.path(app.settings.collect.layouts),
            allowed=app.settings.collect.allow_hosts,
        )  # fmt: skip
        try:
            app.archive.create(wanted)
        except Conflict:
            raise InputError("这个来源已经有了", f"huiyin source test {wanted.id}") from None
    if json:
        print_json(wanted.model_dump(mode="json"))
        return
    out.print(Text(f"加好了：{wanted.id}。先看一眼会存下什么：huiyin source test {wanted.id}"))


def _propose(app: App, given: dict[str, str], region: str, every: float | None) -> float | None:
    """Write a watch list for the area, unless it is there; how often its questions can be asked."""
    from huiyin.watching import list_for, pause_for

    listed = list_for(app.settings, app.accounts, region)
    given["watch"] = listed.name
    if (made := listed.made) is None:
        err.print(Text(f"用已有的名单 {listed.file}"))
    else:
        err.print(Text(
            f"提出了名单 {made.file}：{made.places} 个地名（{made.shared} 个别处同名，没放进），"
            f"每次搜索问 {made.queries} 次。请打开核对，再 huiyin source preview --list {region}"
        ))  # fmt: skip
    return every if every is not None or "uid" not in given else pause_for(listed.queries)


def _parameters(given: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    if wrong := [name for name, sign, _ in pairs if not sign or not name]:
        raise InputError(f"参数“{wrong[0]}”没有写成 名称=值", "例如 q=停水")
    return {name: value for name, _, value in pairs}


@source.command("list")
def list_(
    ended: Annotated[
        bool, typer.Option("--ended", help="只列随事件结束了的临时来源（最近 50 个）。")
    ] = False,
    json: Json = False,
) -> None:
    """列出来源：状态、额度、打算每天读几次、最迟多久看到、还没看到的时间。

    临时来源是事件的临时搜索（incidents.search），写明跟着哪个事件、找什么词、为什么。
    """
    with opened() as app:
        rows = [_row(app, one) for one in (_ended(app) if ended else _all(app))]
        ends = _token_ends(app)
    if json:
        print_json(rows)
        return
    for uid, days in ends:
        left = f"{days} 天后到期" if days >= 1 else "一天内到期或已过期"
        err.print(Text(f"账号 {uid} 的授权{left}：请保管人运行 huiyin source login", "yellow"))
    if not rows:
        out.print("还没有来源。先 huiyin source login 授权，或 huiyin source add。")
        return
    for row in rows:
        _show(row)


def _show(row: dict[str, Any]) -> None:
    """A source on lines of its own: an id is longer than a column of a table."""
    out.print(Text(row["id"], "bold"), soft_wrap=True)
    out.print(Text(f"　{row['name']}"), soft_wrap=True)
    gaps = f" · {len(row['gaps'])} 段时间没看到" if row["gaps"] else ""
    out.print(Text(
        f"　{row['state_title']} · 额度 {row['quota_text']} · 每天约 {row['calls_a_day']:.0f} 次 · "
        f"最迟 {row['seen_after']}看到 · 上次读到 {shown_time(_time(row['last_ok_at']))}{gaps}"
    ))  # fmt: skip
    if row["temporary"]:
        out.print(Text(f"　临时，跟着事件“{row['incident_title']}”。{row['why']}"))
    if row["mend"]:
        said = f"{_what(row)}　" if row["reason"] else ""
        out.print(Text(f"　{said}→ {row['mend']}"))


def _what(row: dict[str, Any]) -> str:
    """What happened, without the mend that is shown apart."""
    from crawler.health import parted

    what, mend = parted(row["reason"])
    return what if mend == row["mend"] else str(row["reason"])


def _all(app: App) -> list[Source]:
    from crawler.sources import known_sources

    return known_sources(app.archive, None)


def _ended(app: App) -> list[Source]:
    stored = app.archive.records(Source, ALL, state="ended", newest_first=True, limit=50)
    return [one.record for one in stored]


def _row(app: App, one: Source) -> dict[str, Any]:
    from crawler.coverage import open_gaps
    from crawler.managing import name_of, outlook

    seen = outlook(
        one, _all(app), app.archive, calls_per_day=app.settings.weibo.calls_per_day,
        now=app.clock(),
    )  # fmt: skip
    state, planned, quota = seen.state, seen.plan, seen.quota
    incident = app.archive.get(Incident, one.incident, ALL) if one.incident else None
    return {
        "id": one.id, "name": name_of(one), "spider": one.spider,
        "parameters": dict(one.parameters), "account": one.account,
        "state": one.state, "paused": one.paused,
        "state_title": state.title if state else one.state, "reason": one.reason,
        "mend": state.mend if state and one.state not in ("ok",) else "",
        "quota": quota.model_dump(mode="json") if quota else None,
        "quota_text": seen.quota_words,
        "calls_a_day": round(planned.calls_a_day, 1),
        "delay_seconds": round(planned.day_seconds), "night_seconds": round(planned.night_seconds),
        "seen_after": seen.seen_after,
        "last_ok_at": one.last_ok_at.isoformat() if one.last_ok_at else None,
        "gaps": [gap.model_dump(mode="json") for gap in open_gaps([one])],
        "unknown_fields": dict(one.unknown_fields),
        "temporary": bool(one.incident), "incident": one.incident, "why": one.why,
        "incident_title": incident.record.title if incident else "",
        "ended_at": one.ended_at.isoformat() if one.ended_at else None,
    }  # fmt: skip


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


@source.command("test")
def test(
    source_id: Annotated[str, typer.Argument(help="来源的编号，见 huiyin source list。")],
    json: Json = False,
) -> None:
    """读一页，显示会存下什么；什么都不入库，读到哪里也不变。"""
    from crawler.doors import KINDS

    with opened() as app:
        app.init()
        one = _get(app, source_id)
        bad: tuple[str, ...] = ()
        strange: tuple[str, ...] = ()
        total = None
        if one.spider in KINDS:
            from crawler.looking import look_at

            settings = app.settings
            looked = look_at(
                one, identity=app.identity, accounts=app.accounts, clock=app.clock,
                layouts=settings.path(settings.collect.layouts),
                allowed=settings.collect.allow_hosts, contact=settings.collect.contact,
                secrets=settings.collect.secrets,
                watch_lists=settings.path(settings.collect.watch_lists),
            )  # fmt: skip
            posts, bad = list(looked.posts), ("这一条读不懂，跳过了",) * looked.bad
        else:
            from crawler.asking import ask_weibo

            uid = one.parameters.get("uid", "")
            token = _store(app).with_settings(app.settings.weibo).get(uid)
            sight = ask_weibo(
                one, token.get_secret_value() if token else "", weibo=app.settings.weibo,
                identity=app.identity, accounts=app.accounts, clock=app.clock,
                watch_lists=app.settings.path(app.settings.collect.watch_lists),
            )  # fmt: skip
            posts, bad = list(sight.posts), sight.not_understood
            strange, total = sight.unknown_fields, sight.total
    if json:
        print_json(
            {"posts": [post.model_dump(mode="json") for post in posts], "total": total,
             "not_understood": list(bad), "unknown_fields": list(strange)}
        )  # fmt: skip
        return
    for post in posts:
        head = f"{shown_time(post.created_at)}　{post.id}　{post.kind}"
        out.print(Text(head, "bold"))
        for line in (post.title, post.text):
            if line:
                out.print(Text(f"　{line[:300]}"))
    out.print(f"会存下 {len(posts)} 条，读不懂 {len(bad)} 条。什么都没有入库。")
    if strange:
        out.print(Text("平台多给的、不保存的字段：" + "、".join(strange)))


@source.command("pause")
def pause(
    source_id: Annotated[str, typer.Argument(help="来源的编号。")],
    resume: Annotated[bool, typer.Option("--resume", help="接着读。")] = False,
) -> None:
    """暂停一个来源（停的时间记为没看到），或用 --resume 接着读。

    来源不能删除：它没看到的时间要留作记录。不再要的，暂停即可。
    """
    from crawler.managing import pause as stop_or_resume

    with opened() as app:
        _get(app, source_id)
        stop_or_resume(app.archive, source_id, ALL, resume=resume, by="system:cli", now=app.clock())
    out.print(
        "接着读。" if resume
        else "已暂停；这段时间在图上是“没有看到”，恢复后会补读。来源不能删除，不再要的就这样停着。"
    )  # fmt: skip


@source.command("coverage")
def coverage_(
    source_id: Annotated[str, typer.Argument(help="来源的编号。")],
    since: Annotated[str | None, typer.Option(help="从何时起，默认七天前。")] = None,
    until: Annotated[str | None, typer.Option(help="到何时止，默认现在。")] = None,
    json: Json = False,
) -> None:
    """这个来源的时间线：读到了、后来补齐、平台没给全、没能读到及原因。"""
    from crawler.coverage import coverage

    with opened() as app:
        one, now = _get(app, source_id), app.clock()
    end = parse_time(until, "--until") or now
    start = parse_time(since, "--since") or end - timedelta(days=7)
    found = coverage(one, start, end)
    if json:
        print_json([
            {"start": part.start.isoformat(), "end": part.end.isoformat(), "state": part.state,
             "blind": part.blind, "reason": part.reason, "missed": part.missed,
             "caught_up_at": part.caught_up_at.isoformat() if part.caught_up_at else None}
            for part in found
        ])  # fmt: skip
        return
    table = Table("起", "止", "", "原因")
    for part in found:
        table.add_row(shown_time(part.start), shown_time(part.end), part.title, Text(part.reason))
    out.print(table)


@source.command("login")
def login(
    pasted: Annotated[
        str | None, typer.Option("--pasted", help="授权后浏览器地址栏里的整个地址。")
    ] = None,
) -> None:
    """给一个官方微博账号授权：打开链接、同意、把浏览器跳到的地址粘贴回来。"""
    from crawler.login import authorize_url, code_of, exchange, new_state

    with opened() as app:
        app.init()
        weibo, state = app.settings.weibo, new_state()
        out.print("请账号保管人在浏览器里打开（不要用个人账号）：")
        out.print(Text(authorize_url(weibo, state)), soft_wrap=True)
        answer = pasted or typer.prompt("同意之后，把地址栏里的整个地址粘贴到这里")
        known = _store(app).states(app.clock())
        token = exchange(weibo, code_of(answer, state, *known), app.clock)
        _store(app).keep(token)
    ends = shown_time(token.expires_at)
    out.print(f"账号 {token.uid} 已授权，{ends} 到期；运行中的采集几秒内自己换上。")


def _store(app: App) -> TokenStore:
    from crawler.login import TokenStore

    return TokenStore(app.settings.path(app.settings.secrets.folder))


def _token_ends(app: App) -> list[tuple[str, int]]:
    from crawler.login import ending

    return ending(_store(app).read(), app.clock())


def _get(app: App, source_id: str) -> Source:
    stored = app.archive.get(Source, source_id, ALL)
    if stored is None:
        raise NotFound(f"没有 {source_id} 这个来源", "huiyin source list 看编号")
    return stored.record
