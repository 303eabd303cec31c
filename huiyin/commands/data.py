"""`huiyin import`, `analyse`, `replay`, `search`, `export`, `draft`: work on posts and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text as RichText

from archive import hybrid
from archive.base import FACETS, Filters, Hit, SearchRequest, SearchResult
from huiyin.commands.common import (
    Json,
    err,
    opened,
    out,
    parse_time,
    print_json,
    progress_bar,
    shown_time,
)
from huiyin.errors import InputError
from huiyin.records import Actor, Kind, Scope
from huiyin.settings import load_settings

if TYPE_CHECKING:
    from crawler import FileReport
    from huiyin.app import App

ALL = Scope.everything()


def import_(
    files: Annotated[list[Path], typer.Argument(help="其他工具导出的文件，可多个；.gz .xz 也行。")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="文件没写读取时间时，以此为准。")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--map", help="任意 CSV/XLSX 的对照文件（docs/importing.md）。")
    ] = None,
    office: Annotated[
        str | None, typer.Option(help="帖文没提到已知账号时归哪个账号；默认 office.id。")
    ] = None,
    json: Json = False,
) -> None:
    """导入帖文。同一文件导两次不变；更新的导出只刷新计数。坏行报出行号和原因，其余照常进。"""
    from crawler import FileReport, import_files

    read_at = parse_time(as_of, "--as-of")
    reports: list[FileReport] = []
    with opened() as app, progress_bar("导入") as bar:
        app.init()

        def progress(_file: Path, done: int, share: float) -> None:
            bar(done, round(done / share) if share else None)

        refused = False
        for file in files:  # one at a time: a file that is no export stops none of the others
            try:
                reports += import_files(
                    [file], archive=app.archive, identity=app.identity, accounts=app.accounts,
                    office=office or app.settings.office.id, as_of=read_at, mapping=mapping,
                    progress=progress, clock=app.clock,
                )  # fmt: skip
            except InputError as error:
                refused = True
                reasons = [{"line": error.line, "reason": str(error)}]
                reports.append(FileReport(file=str(file), reasons=reasons))
        waiting = app.waiting
    if json:
        print_json([one.as_dict() for one in reports])
    else:
        _show_reports(reports)
    if waiting is not None:
        err.print(f"[yellow]档案连不上，{waiting.posts} 条帖文存在本机，恢复后自动写入。[/]")
    if refused:
        raise typer.Exit(2)


def _show_reports(reports: list[FileReport]) -> None:
    table = Table("文件", "读到", "新增", "更新", "跳过")
    for one in reports:
        table.add_row(escape(one.file), *map(str, (one.read, one.new, one.updated, one.skipped)))
    out.print(table)
    for one in reports:
        for reason in one.reasons:
            place = f"{one.file} 第 {reason['line']} 行：" if reason["line"] else ""
            err.print(RichText(f"{place}{reason['reason']}", style="yellow"), soft_wrap=True)


def analyse(
    file: Annotated[Path, typer.Argument(help="JSONL：每行 {id, text, title?, created_at?}")],
    output: Annotated[Path, typer.Option("-o", "--output", help="结果 JSONL。")],
    groups: Annotated[
        bool, typer.Option(help="同时写 <结果>.groups.jsonl：说同一件事的帖文分组。")
    ] = True,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="每个判断附上起作用的词，慢约 40 倍。"),
    ] = False,
    json: Json = False,
) -> None:
    """批量理解：情感、情绪、意图、类别、紧急程度、地点，各带概率；并把说同一件事的帖文归组。"""
    from huiyin.batch import analyse_and_group

    settings = load_settings()
    with progress_bar("分析") as progress:
        report = analyse_and_group(
            settings, file, output, groups=groups, explained=explain, progress=progress
        )
    if json:
        print_json(report)
        return
    out.print(f"读到 {report['read']} 行，写出 {report['written']} 行 → {escape(str(output))}")
    if groups:
        out.print(f"其中说同一件事的有 {report['groups']} 组 → {escape(report['groups_file'])}")
    for bad in report["bad"]:
        err.print(f"[yellow]{escape(bad)}[/]")


def replay(
    file: Annotated[Path, typer.Argument(help="过去的帖文流（JSONL，可 .gz .xz）。")],
    output: Annotated[Path, typer.Option("-o", "--output", help="结果文件夹。")],
    as_collected: Annotated[bool, typer.Option(help="按采集先后，而不是按发帖时间。")] = False,
    tune: Annotated[
        float | None,
        typer.Option("--tune", help="想要的每天告警数：建议 min_authors 和 min_score。"),
    ] = None,
    json: Json = False,
) -> None:
    """把一段过去按当时的时间重放：incidents.jsonl、alerts.jsonl、report.html。"""
    if tune is not None and tune <= 0:
        raise typer.BadParameter("须大于 0，例如 --tune 2", param_hint="--tune")
    from huiyin.batch import replay_stream

    settings = load_settings()
    with progress_bar("重放") as progress:
        report = replay_stream(
            settings, file, output, as_collected=as_collected, progress=progress, tune=tune
        )
    if json:
        print_json(report)
        return
    out.print(
        f"帖文 {report['posts']}，事件 {report['incidents']}，告警 {report['alerts']}"
        f" → {escape(str(output))}/report.html"
    )
    if report["tuning"] is not None:
        _show_tuning(report["tuning"])
    for bad in report["bad"]:
        err.print(f"[yellow]{escape(bad)}[/]")


def _show_tuning(tuning: dict[str, Any]) -> None:
    table = Table("独立发布者", "分数", "告警", "每天", "告警时已有帖子", "现在会报而它不报")
    for one in (tuning["now"], *tuning["choices"]):
        mark = "（现在）" if one is tuning["now"] else "（建议）" if one == tuning["best"] else ""
        table.add_row(
            f"{one['authors']}{mark}", f"{one['score']:g}", str(one["alerts"]),
            f"{one['a_day']:.2f}", "—" if one["posts_seen"] is None else f"{one['posts_seen']:g}",
            str(one["lost"]),
        )  # fmt: skip
    out.print(table)
    best = tuning["best"]
    if best is None:
        out.print("没有一组阈值能做到这个数。")
    else:
        out.print(
            f"建议：incidents.min_authors = {best['authors']}，"
            f"incidents.min_score = {best['score']:g}"
        )


def search(
    query: Annotated[
        str, typer.Argument(help='Lucene 语法：词、"短语"、AND OR NOT、字段:值。')
    ] = "",
    since: Annotated[str | None, typer.Option(help="从（含）。")] = None,
    until: Annotated[str | None, typer.Option(help="到（不含）。")] = None,
    sentiment: Annotated[list[str] | None, typer.Option(help="positive neutral negative")] = None,
    intent: Annotated[
        list[str] | None, typer.Option(help="求助 投诉 举报 咨询 建议 表扬 其他")
    ] = None,
    kind: Annotated[list[Kind] | None, typer.Option(help="帖文种类。")] = None,
    platform: Annotated[list[str] | None, typer.Option(help="平台，例如 weibo。")] = None,
    relevance: Annotated[bool, typer.Option(help="按相关度排，默认新的在前。")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    after: Annotated[str | None, typer.Option(help="上一页给出的 next_cursor。")] = None,
    facet: Annotated[list[str] | None, typer.Option(help="分面：" + " ".join(FACETS))] = None,
    timeline: Annotated[str | None, typer.Option(help="hour day week month")] = None,
    meaning: Annotated[
        str | None,
        typer.Option(help="按意思找：写一句话，词和语义一起排；不与检索式、分面、翻页同用。"),
    ] = None,
    json: Json = False,
) -> None:
    """检索整个档案。"""
    if meaning is not None and (query or after or facet or timeline):
        raise typer.BadParameter(
            "不能与检索式、--after、--facet、--timeline 同用", param_hint="--meaning"
        )
    filters = Filters(
        since=parse_time(since, "--since"), until=parse_time(until, "--until"),
        sentiments=tuple(sentiment or ()), intents=tuple(intent or ()), kinds=tuple(kind or ()),
        platforms=tuple(platform or ()),
    )  # fmt: skip
    request = SearchRequest(
        query=query, filters=filters, newest_first=not relevance, limit=limit, after=after,
        facets=_known(facet, FACETS, "--facet"),
        timeline=_known([timeline], ("hour", "day", "week", "month"), "--timeline")[0]
        if timeline else None,
    )  # fmt: skip
    with opened() as app:
        if meaning is None:
            result = app.archive.search(request, ALL)
        else:
            result = _by_meaning(app, meaning, filters, limit)
    if json:
        print_json(_search_json(result))
    else:
        _show_result(result)


def _by_meaning(app: App, text: str, filters: Filters, limit: int) -> SearchResult:
    """The posts that say what `text` says, as a result of their number."""
    [vector], model = app.understanding.embed([text]), app.understanding.model
    hits = hybrid(app.archive, text, vector, model, ALL, filters=filters, limit=limit)
    return SearchResult(tuple(hits), len(hits))


def _known(values: list[str] | None, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    for value in values or ():
        if value not in known:
            raise typer.BadParameter(
                f"“{value}”不认识，可用：{'、'.join(known)}", param_hint=option
            )
    return tuple(values or ())


def _search_json(result: SearchResult) -> dict[str, Any]:
    return {
        "total": result.total,
        "hits": [
            {
                "post": hit.post.model_dump(mode="json", exclude={"analysis": {"vector"}}),
                "score": round(hit.score, 6),
                "highlights": [list(span) for span in hit.highlights],
            }
            for hit in result.hits
        ],
        "facets": {name: [list(pair) for pair in pairs] for name, pairs in result.facets.items()},
        "timeline": [[start.isoformat(), count] for start, count in result.timeline],
        "next_cursor": result.next_cursor,
        "authors": result.authors,
        "authors_estimated": result.authors_estimated,
    }


def _show_result(result: SearchResult) -> None:
    if not result.total:
        out.print(
            "没有找到。放宽时间或去掉一个条件再试；档案是空的话，先 huiyin import 或 huiyin demo。"
        )
        return
    about = "约 " if result.authors_estimated else ""
    out.print(
        f"共 {result.total} 条" + (f"，{about}{result.authors} 位作者" if result.authors else "")
    )
    for hit in result.hits:
        out.print(_headline(hit))
    for name, pairs in result.facets.items():
        out.print(f"[bold]{name}[/]　" + "　".join(f"{escape(v)} {n}" for v, n in pairs[:10]))
    peak = max((count for _start, count in result.timeline), default=0)
    for start, count in result.timeline:
        out.print(
            f"{shown_time(start)[:16]} {'█' * round(40 * count / peak) if peak else ''} {count}"
        )
    if result.next_cursor:
        out.print(f"下一页：--after {result.next_cursor}")


def _headline(hit: Hit) -> RichText:
    post = hit.post
    line = RichText(f"{shown_time(post.created_at)}  {post.id}  ", style="dim")
    shown = RichText(post.text, style="default")
    for start, end in hit.highlights:
        shown.stylize("bold red", start, end)
    return line + shown[:120]


def export(
    output: Annotated[Path, typer.Option("-o", "--output", help="JSONL 或 CSV，按扩展名。")],
    query: Annotated[str, typer.Argument(help="检索式；不给 = 全部。")] = "",
    since: Annotated[str | None, typer.Option(help="从（含）。")] = None,
    until: Annotated[str | None, typer.Option(help="到（不含）。")] = None,
) -> None:
    """导出全部检索结果，旁边附一份能照着重做的说明（检索式、时间、条数、摘要）。"""
    from huiyin.export import export_posts

    filters = Filters(since=parse_time(since, "--since"), until=parse_time(until, "--until"))
    with opened() as app, progress_bar("导出") as progress:
        note = export_posts(app.archive, query, filters, output, now=app.clock(), progress=progress)
    out.print(
        f"导出 {note['posts']} 条 → {escape(str(output))}；说明在 {escape(note['note_file'])}"
    )


def draft(post_id: str, json: Json = False) -> None:
    """为一条帖文拟稿：带依据和文风提示；从不发布。"""
    with opened() as app:
        made = app.desk.draft_for(post_id, Actor.system("cli")).record
    if json:
        print_json(made.model_dump(mode="json"))
        return
    out.print(f"[bold]{made.id}[/]　回复 {made.target}　以 {made.account} 的名义", soft_wrap=True)
    out.print("（未发布，须另一人审核）\n")
    for sentence in made.sentences:
        marked = sentence.supported or "【待核实】" in sentence.text
        mark = "" if marked else "[red]【待核实】[/]"
        sources = f"  [dim]← {'、'.join(sentence.sources)}[/]" if sentence.sources else ""
        out.print(f"{mark}{escape(sentence.text)}{sources}", soft_wrap=True)
    for note in made.style_notes:
        out.print(f"[yellow]文风[/] {escape(note)}")
