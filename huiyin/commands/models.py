"""`huiyin evaluate` and `huiyin train`: measure and make the model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from huiyin.commands.common import err, out, progress_bar
from huiyin.errors import InputError

train = typer.Typer(
    help="训练随附的模型（docs/model-card.md 写着命令和结果）。", no_args_is_help=True
)

Data = Annotated[
    Path | None,
    typer.Option("--data", help="数据文件夹；默认取环境变量 HUIYIN_REAL_DATA。"),
]


def _data_folder(given: Path | None) -> Path:
    folder = given or Path(os.environ.get("HUIYIN_REAL_DATA", ""))
    if not (folder / "labelled").is_dir():
        raise InputError(
            f"“{folder}”不是数据文件夹：里面没有 labelled/",
            "用 --data 指定，或设置 HUIYIN_REAL_DATA",
        )
    return folder


@train.command("heads")
def train_heads(
    output: Annotated[Path, typer.Option("-o", "--output", help="模型写到哪个文件夹。")],
    data: Data = None,
    config: Annotated[Path | None, typer.Option(help="TOML 配置；默认用随附的。")] = None,
    base: Annotated[str | None, typer.Option(help="底座：文件夹或模型名。")] = None,
    work: Annotated[Path, typer.Option(help="检查点放在哪里；换一个就从头训练。")] = Path(
        "build/train"
    ),
) -> None:
    """从底座微调出随附的模型：各任务的头和句向量。可中断后接着训练。"""
    from nlp.training import TrainConfig
    from nlp.training import train as run

    overrides: dict[str, object] = {"data": _data_folder(data), "out": output, "work": work}
    if base:
        overrides["base"] = base
    try:
        chosen = TrainConfig.load(config, **overrides)
    except (ValueError, OSError) as error:
        raise InputError(f"训练配置有误：{error}", "改正后再试", file=str(config)) from error
    with progress_bar("训练") as progress:
        folder = run(chosen, progress)
    out.print(f"模型写在 {escape(str(folder))}")


def evaluate(
    data: Data = None,
    model: Annotated[Path | None, typer.Option(help="模型文件夹；默认随附的。")] = None,
    card: Annotated[Path | None, typer.Option(help="把模型卡写到这个文件。")] = None,
) -> None:
    """在开发集上量各任务的成绩，与 TF-IDF + SVM 比，逐类列出。"""
    from nlp.training.evaluate import evaluate as run

    err.print("评测要几分钟（基线要现训）。")
    with progress_bar("评测") as progress:
        report = run(_data_folder(data), model=model, card=card, progress=progress)
    typer.echo(report.table())
