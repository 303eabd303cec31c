"""`huiyin train categories` and `huiyin categories`: an office's own classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from huiyin.commands.common import (
    Json,
    err,
    opened,
    out,
    parse_time,
    print_json,
    progress_bar,
)
from huiyin.errors import InputError
from huiyin.records import PERSON, Account, Post, Scope

if TYPE_CHECKING:
    from archive.base import Filters
    from huiyin.app import App
    from nlp.categories.counting import Counts
    from nlp.categories.fitting import LevelScore
    from nlp.training.categories import Categorising, Report
    from nlp.training.categories import Table as Labelled
    from nlp.training.corrections import Comparison

ALL = Scope.everything()
MAPPING = "mapping.csv"
PAGE = 256
REASONS = {
    "better": "新版本更好，已启用", "equal": "新版本没有更好，未启用",
    "worse": "新版本更差，未启用", "forgets": "新版本在原有样本上退步，未启用",
}  # fmt: skip

categories = typer.Typer(
    help="本单位自己的分类：版本、与共用分类的对应、按共用分类计数。", no_args_is_help=True
)


def train_categories(
    file: Annotated[
        Path | None, typer.Argument(help="CSV：text,category；类别写成 城建/道路/路灯。")
    ] = None,
    from_corrections: Annotated[
        bool, typer.Option("--from-corrections", help="用审核员在控制台的改正再训练。")
    ] = False,
    back: Annotated[bool, typer.Option("--back", help="退回上一个版本。")] = False,
    shipped: Annotated[
        bool, typer.Option("--shipped", hidden=True, help="换了随附模型之后，重写随附的默认分类。")
    ] = False,
    json: Json = False,
) -> None:
    """训练本单位自己的分类（每类 8 条起），或用改正再训练；启用新版本，可退回。"""
    if (file is not None) + from_corrections + back + shipped != 1:
        raise InputError("要么给一个 CSV，要么给 --from-corrections 或 --back", "只给其中一样")
    with opened() as app:
        if back:
            name = app.category_versions.back(app.clock())
            _said(json, {"version": name}, f"已退回 {name}；正在运行的程序几秒内换过去。")
        elif from_corrections:
            _from_corrections(app, json)
        elif shipped:
            from nlp.training.categories import ship

            _said(json, {"vectors": ship(_model(app)).vectors}, "已重写随附的默认分类。")
        elif file is not None:
            _from_file(app, file, json)


def _said(json: bool, value: dict[str, Any], text: str) -> None:
    if json:
        print_json(value)
    else:
        out.print(escape(text))


def _model(app: App) -> Categorising:
    understanding = app.understanding
    assert hasattr(understanding, "categories")  # noqa: S101 - load_understanding gives an Analyser
    return understanding  # type: ignore[return-value]


def _from_file(app: App, file: Path, json: bool) -> None:
    from nlp.training.categories import read_table, train_from_table

    table = read_table(file)
    _bad_rows(table)
    with progress_bar("读句子") as bar:
        report = train_from_table(table, _model(app), app.category_versions, app.clock(), bar)
    if json:
        doubled = {"read": table.read, "doubled": table.doubled}
        bad = [str(one) for one in table.bad]
        print_json(report.as_json() | doubled | {"bad": bad})
        return
    out.print(
        f"读到 {table.read} 行，用 {report.rows} 行"
        f"（重复 {table.doubled}，有误 {len(table.bad)}），"
        f"{report.paths} 个末级类别 → 版本 {report.version}，已启用"
    )
    _show_levels(report.levels)
    _show_thin(report)
    out.print("以前的帖子按旧版本分类；要重新归类，运行 huiyin categories refile")


def _bad_rows(table: Labelled) -> None:
    for bad in table.bad[:50]:
        err.print(f"[yellow]{escape(str(bad))}[/]", soft_wrap=True)
    if len(table.bad) > 50:
        err.print(f"[yellow]还有 {len(table.bad) - 50} 行有误[/]")


def _show_levels(levels: tuple[LevelScore, ...]) -> None:
    table = Table("级", "类别数", "行数", "macro-F1", "正确率", title="交叉验证：没见过的行")
    for one in levels:
        table.add_row(
            str(one.level), str(one.classes), str(one.rows),
            f"{one.macro_f1:.3f}", f"{one.accuracy:.3f}",
        )  # fmt: skip
    out.print(table)


def _show_thin(report: Report) -> None:
    from nlp.categories.paths import joined

    if report.thin:
        shown = "、".join(f"{joined(path)}（{rows}）" for path, rows in report.thin[:20])
        more = f" 等 {len(report.thin)} 个" if len(report.thin) > 20 else ""
        out.print(f"不到 8 条的类别，判断会不稳：{escape(shown)}{more}", soft_wrap=True)


def _from_corrections(app: App, json: bool) -> None:
    from nlp.training.corrections import train_from_corrections

    with progress_bar("读句子") as bar:
        found = train_from_corrections(
            app.archive, _model(app), app.category_versions, app.clock(), bar
        )
    if json:
        print_json(found.as_json())
    else:
        _show_comparison(found)


def _show_comparison(found: Comparison) -> None:
    from nlp.categories.paths import joined

    table = Table(
        "版本", "全对", *(f"第 {one.level} 级 macro-F1" for one in found.old.levels),
        "原有样本 macro-F1", title=f"在没学过的 {found.held} 条改正上（学了 {found.learned} 条）",
    )  # fmt: skip
    for side in (found.old, found.new):
        table.add_row(
            side.name, f"{side.right}/{found.held}",
            *(f"{one.macro_f1:.3f}" for one in side.levels), f"{side.base_macro_f1:.3f}",
        )  # fmt: skip
    out.print(table)
    out.print(f"{REASONS[found.reason]}（{found.new.name}）")
    for path, rows in found.left_out:
        err.print(f"[yellow]{rows} 条改正的类别“{escape(joined(path))}”不在现用的分类里，没有用[/]")


@categories.command("list")
def list_(
    tree: Annotated[bool, typer.Option("--tree", help="列出共用分类的全部类别。")] = False,
    json: Json = False,
) -> None:
    """列出版本：哪个在用、从哪来、成绩多少、什么时候换的。"""
    from nlp.categories import default
    from nlp.categories.paths import joined

    if tree:
        for path in default.paths():
            typer.echo(joined(path))
        return
    with opened() as app:
        versions = app.category_versions
        current = versions.current()
        rows: list[dict[str, Any]] = [{"version": default.NAME, "from": "随附的默认分类"}]
        for name in versions.names():
            said = versions.load(name).about
            rows.append({key: said.get(key) for key in ("from", "made_at", "rows", "levels")}
                        | {"version": name})  # fmt: skip
        history = versions.history()
    for row in rows:
        row["in_use"] = row["version"] == current
    if json:
        print_json({"versions": rows, "history": history})
        return
    table = Table("版本", "在用", "来自", "训练时间", "行数", "各级 macro-F1")
    for row in rows:
        levels = row.get("levels") or []
        table.add_row(
            row["version"], "✓" if row["in_use"] else "", escape(str(row.get("from") or "")),
            str(row.get("made_at") or "—")[:19], str(row.get("rows") or "—"),
            " ".join(f"{one['macro_f1']:.3f}" for one in levels) or "—",
        )  # fmt: skip
    out.print(table)
    for one in history:
        out.print(f"{one['at']}  {one['from']} → {one['to']}  {escape(one['why'])}")


@categories.command("use")
def use(version: Annotated[str, typer.Argument(help="版本名，或 default。")]) -> None:
    """启用一个版本。正在运行的程序几秒内换过去。"""
    with opened() as app:
        app.category_versions.switch_on(version, "use", app.clock())
    out.print(f"已启用 {escape(version)}；以前的帖子要重新归类，运行 huiyin categories refile")


@categories.command("refile")
def refile(
    since: Annotated[str | None, typer.Option(help="只归类这之后发的帖子。")] = None,
    json: Json = False,
) -> None:
    """把以前按别的版本分类的帖子重新归类；审核员改过的不动。可中断，再运行接着做。"""
    from archive.base import Filters

    filters = Filters(since=parse_time(since, "--since"))
    done = looked = 0
    with opened() as app, progress_bar("归类") as bar:
        for posts in _pages(app, filters):
            looked += len(posts)
            done += _refiled(app, posts)
            bar(looked, None)
    _said(json, {"looked": looked, "refiled": done}, f"看了 {looked} 条，重新归类 {done} 条")


def _pages(app: App, filters: Filters) -> Iterator[list[Post]]:
    page: list[Post] = []
    for post in app.archive.iter_posts(ALL, filters):
        page.append(post)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def _refiled(app: App, posts: list[Post]) -> int:
    """Decide anew where another version, or another model, decided; the text is read again."""
    from nlp import Text

    model = _model(app)
    due = [
        (post, post.analysis) for post in posts
        if post.deleted_at is None and post.analysis is not None
        and post.analysis.category.by not in (model.categories.name, PERSON)
    ]  # fmt: skip
    fresh = model.analyse([Text(post.text, post.title) for post, _ in due])
    changed = [
        (post.id, old.model_copy(update={"category": new.category}))
        for (post, old), new in zip(due, fresh, strict=True)
    ]
    return app.archive.write_analyses(changed)


@categories.command("map")
def map_(
    file: Annotated[
        Path | None, typer.Option(help=f"对照文件；默认是分类文件夹里的 {MAPPING}。")
    ] = None,
    json: Json = False,
) -> None:
    """写出（或补全）本单位类别与共用分类的对照文件，列出没有对应的。已填的行不动。"""
    from huiyin.vectors import unpack
    from nlp.categories import default, mapping
    from nlp.categories.paths import joined

    with opened() as app:
        versions = app.category_versions
        target = file or versions.folder / MAPPING
        name = versions.current()
        if name == default.NAME:
            raise InputError(
                "现在用的就是共用分类，不需要对照", "先用 huiyin train categories 训练"
            )
        model = _model(app)
        tree = default.load(model.categories.space, model.embed, versions.folder / "cache")
        own = model.categories.classifier
        vectors, paths = versions.rows(name)
        kept = mapping.read(target) if target.exists() else []
        classes = own.paths()
        names = unpack(model.embed([mapping.name_of(path) for path in classes]))
        proposed = mapping.propose(classes, names, vectors, paths, tree)
        rows = mapping.merged(proposed, kept)
        mapping.write(target, rows)
    lost = [joined(row.own) for row in rows if row.shared is None]
    if json:
        print_json({"file": str(target), "classes": len(rows), "unmapped": lost})
        return
    out.print(f"{len(rows)} 个类别，{len(rows) - len(lost)} 个有对应 → {escape(str(target))}")
    if lost:
        out.print(f"没有对应的 {len(lost)} 个（在文件里填上，依据写 人工）：")
        for one in lost:
            out.print(f"  {escape(one)}")


@categories.command("count")
def count_(
    under: Annotated[
        str, typer.Option(help="上级账号编号：只算它和它下面的；不给 = 全部账号。")
    ] = "",
    since: Annotated[str | None, typer.Option(help="从这个时间起（含）。")] = None,
    until: Annotated[str | None, typer.Option(help="到这个时间止（不含）。")] = None,
    level: Annotated[int, typer.Option(min=1, max=3, help="显示到第几级。")] = 1,
    file: Annotated[Path | None, typer.Option(help="对照文件。")] = None,
    json: Json = False,
) -> None:
    """各账号（厅局、街道）的帖子按共用分类计数；没有对应的类别单独列出。"""
    from archive.base import Filters
    from nlp.categories import mapping
    from nlp.categories.counting import count, halls_under

    filters = Filters(since=parse_time(since, "--since"), until=parse_time(until, "--until"))
    with opened() as app:
        target = file or app.category_versions.folder / MAPPING
        rows = mapping.read(target) if target.exists() else []
        halls = halls_under(app.archive, ALL, under) or [app.settings.office.id]
        found = count(app.archive, ALL, halls, rows, filters)
        names = {
            one.record.id: one.record.name
            for one in app.archive.records(Account, ALL, limit=10_000)
        }
    if json:
        print_json(_counts_json(found, names))
    else:
        _show_counts(found, names, level)


def _counts_json(found: Counts, names: dict[str, str]) -> dict[str, Any]:
    from nlp.categories.paths import joined

    return {
        "offices": [
            {"id": office, "name": names.get(office, office), "posts": found.posts[office],
             "classes": {joined(path): number for path, number in sorted(counts.items()) if number}}
            for office, counts in found.by_office.items()
        ],
        "total": {joined(path): number for path, number in sorted(found.total.items()) if number},
        "unmapped": {joined(path): number for path, number in sorted(found.unmapped.items())},
    }  # fmt: skip


def _show_counts(found: Counts, names: dict[str, str], level: int) -> None:
    from nlp.categories.paths import joined

    halls = [office for office in found.by_office if found.posts[office]]
    table = Table("共用类别", "合计", *(escape(names.get(office, office)) for office in halls))
    for path in sorted(found.total):
        if found.total[path] and len(path) <= level:
            own = [found.by_office[office][path] for office in halls]
            label = "　" * (len(path) - 1) + escape(joined(path[-1:]))
            table.add_row(label, str(found.total[path]), *(str(one or "") for one in own))
    out.print(table)
    if found.unmapped:
        out.print("没有对应共用分类（用 huiyin categories map 补上）：")
        for path, number in found.unmapped.most_common():
            out.print(f"  {escape(joined(path))}  {number}")
