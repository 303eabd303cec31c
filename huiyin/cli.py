"""The command line: `huiyin`. Help and light commands import neither torch nor Scrapy."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.text import Text

from huiyin import __version__
from huiyin.commands import (
    archive,
    categories,
    data,
    doors,
    learn,
    models,
    operate,
    people,
    pictures,
    sources,
)
from huiyin.commands.common import err
from huiyin.commands.usage import usage_error
from huiyin.errors import HuiyinError, InputError, SettingsError

app = typer.Typer(
    name="huiyin",
    help="回音：听人们对政务账号说了什么，几秒内发现苗头，叫醒该醒的人，当天用平实的话答复。",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(operate.demo)
app.command()(operate.run)
app.command()(operate.crawl)
app.command()(operate.work)
app.command()(operate.watch)
app.command()(operate.console)
app.command()(operate.init)
app.command()(operate.doctor)
app.command("import")(data.import_)
app.command()(doors.add)
app.command()(doors.inbox)
app.command()(pictures.pictures)
app.command()(doors.form)
app.command()(doors.contact)
app.command()(doors.collect)
app.command()(data.analyse)
app.command()(data.replay)
app.command()(data.search)
app.command()(data.export)
app.command()(data.draft)
app.command()(models.evaluate)
models.train.command("categories")(categories.train_categories)
app.add_typer(models.train, name="train")
app.add_typer(categories.categories, name="categories")
app.add_typer(people.user, name="user")
app.add_typer(people.oncall, name="oncall")
app.add_typer(people.account, name="account")
sources.source.command("learn")(learn.learn)
sources.source.command("preview")(learn.preview)
app.add_typer(sources.source, name="source")
app.add_typer(archive.archive, name="archive")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"huiyin {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="版本。")
    ] = False,
) -> None:
    """回音。"""
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


def run() -> None:
    """Run the command line; our errors become one clear message and an exit code."""
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except typer.Abort:
        err.print("已中断。")
        sys.exit(1)
    except HuiyinError as error:
        # The message may hold words of a file or a person: text, never markup.
        err.print(Text("错误：", style="red") + Text(str(error), style="default"), soft_wrap=True)
        sys.exit(2 if isinstance(error, InputError | SettingsError) else 1)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ != "NoArgsIsHelpError":  # that one has printed the help
            said = usage_error(error)
            err.print(Text("错误：", style="red") + Text(said, style="default"), soft_wrap=True)
        sys.exit(getattr(error, "exit_code", 2))
