"""`huiyin evaluate` and `huiyin train`: measure and make the model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from huiyin.commands.common import out, progress_bar
from huiyin.errors import InputError
from huiyin.settings import load_settings

if TYPE_CHECKING:
    from nlp.training import TrainConfig

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


def _training_config(path: Path | None, **overrides: object) -> TrainConfig:
    from nlp.training import TrainConfig

    try:
        return TrainConfig.load(path, **overrides)
    except (ValueError, OSError) as error:
        raise InputError(f"训练配置有误：{error}", "改正后再试", file=str(path)) from error


@train.command("encoder")
def train_encoder(
    output: Annotated[Path, typer.Option("-o", "--output", help="编码器写到哪个文件夹。")],
    data: Data = None,
    config: Annotated[Path | None, typer.Option(help="TOML 配置；默认用随附的。")] = None,
    base: Annotated[str | None, typer.Option(help="底座：文件夹或模型名。")] = None,
    tokens: Annotated[int, typer.Option(min=1, help="最多读多少个词片。")] = 12_000_000,
    work: Annotated[Path, typer.Option(help="检查点放在哪里；换一个就从头训练。")] = Path(
        "build/pretrain"
    ),
) -> None:
    """让底座在本领域的文字上接着做填空训练，供 train heads --base 使用。可中断后接着训练。"""
    from nlp.training.pretrain import PretrainConfig, pretrain

    chosen = _training_config(
        config, data=_data_folder(data), out=output, work=work, base=base or None
    )
    with progress_bar("填空训练") as progress:
        folder = pretrain(chosen, PretrainConfig(tokens=tokens), progress)
    out.print(f"编码器写在 {escape(str(folder))}")


@train.command("heads")
def train_heads(
    output: Annotated[Path, typer.Option("-o", "--output", help="模型写到哪个文件夹。")],
    data: Data = None,
    config: Annotated[Path | None, typer.Option(help="TOML 配置；默认用随附的。")] = None,
    base: Annotated[str | None, typer.Option(help="底座：文件夹或模型名。")] = None,
    vectors_base: Annotated[
        str | None, typer.Option(help="句向量向哪个模型看齐；默认是底座自己。")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="随机种子。")] = None,
    work: Annotated[Path, typer.Option(help="检查点放在哪里；换一个就从头训练。")] = Path(
        "build/train"
    ),
) -> None:
    """从底座微调出随附的模型：各任务的头和句向量。可中断后接着训练。"""
    from nlp.training import train as run

    chosen = _training_config(
        config, data=_data_folder(data), out=output, work=work, base=base or None,
        vectors_base=vectors_base, seed=seed,
    )  # fmt: skip
    with progress_bar("训练") as progress:
        folder = run(chosen, progress)
    out.print(f"模型写在 {escape(str(folder))}")


@train.command("vectors")
def train_vectors(
    output: Annotated[Path, typer.Option("-o", "--output", help="编码器写到哪个文件夹。")],
    data: Data = None,
    config: Annotated[Path | None, typer.Option(help="TOML 配置；默认用随附的。")] = None,
    base: Annotated[str | None, typer.Option(help="底座：文件夹或模型名。")] = None,
    steps: Annotated[int, typer.Option(min=1, help="学多少步。")] = 400,
    work: Annotated[Path, typer.Option(help="检查点放在哪里；换一个就从头训练。")] = Path(
        "build/vectors"
    ),
) -> None:
    """让成对的文字（标题和正文、诉求和答复）的句向量靠近，供 --vectors-base 使用。可接着训练。"""
    from nlp.training.vectors import VectorsConfig
    from nlp.training.vectors import train as run

    chosen = _training_config(
        config, data=_data_folder(data), out=output, work=work, base=base or None
    )
    with progress_bar("句向量") as progress:
        try:
            folder = run(chosen, VectorsConfig(steps=steps), progress)
        except ValueError as error:
            raise InputError(str(error), "检查数据文件夹") from error
    out.print(f"编码器写在 {escape(str(folder))}")


@train.command("student")
def train_student(
    teachers: Annotated[
        list[str],
        typer.Argument(help="train heads 写出的文件夹，可几个；文件夹:任务,任务 只问这些。"),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="模型写到哪个文件夹。")],
    data: Data = None,
    config: Annotated[Path | None, typer.Option(help="TOML 配置；默认用随附的。")] = None,
    vectors_base: Annotated[str | None, typer.Option(help="句向量向哪个模型看齐。")] = None,
    layers: Annotated[int, typer.Option(min=1, help="学生有几层。")] = 4,
    hidden: Annotated[int, typer.Option(min=16, help="学生每层多宽，也是句向量的维数。")] = 256,
    texts: Annotated[int, typer.Option(min=0, help="读多少条没有标注的文字。")] = 500_000,
    epochs: Annotated[int, typer.Option(min=1, help="每条读几遍。")] = 1,
    steps: Annotated[int, typer.Option(min=0, help="学到多少步为止；0 是全部读完。")] = 0,
    learning_rate: Annotated[float, typer.Option(min=0, help="学习率的最高值。")] = 6e-4,
    pair_every: Annotated[int, typer.Option(min=1, help="每多少步学一次成对的文字。")] = 16,
    pair_batch: Annotated[int, typer.Option(min=2, help="一次学多少对。")] = 96,
    labelled_times: Annotated[int, typer.Option(min=1, help="有标注的每遍读几次。")] = 4,
    hold: Annotated[float, typer.Option(min=0, help="句向量守住底座的力度。")] = 1.0,
    start: Annotated[
        Path | None, typer.Option(help="从以前的学生接着教：一样宽，不比它浅。")
    ] = None,
    work: Annotated[Path, typer.Option(help="检查点放在哪里；换一个就从头训练。")] = Path(
        "build/student"
    ),
) -> None:
    """让几个大模型教出一个小而快的：学它们的概率和底座的句向量。可中断后接着训练。"""
    from nlp.training.student import StudentConfig
    from nlp.training.student import train as run
    from nlp.training.targets import Teacher

    chosen = _training_config(
        config, data=_data_folder(data), out=output, work=work, vectors_base=vectors_base
    )
    student = StudentConfig(
        layers=layers, hidden=hidden, attention_heads=max(1, hidden // 64), texts=texts,
        epochs=epochs, steps=steps, learning_rate=learning_rate, pair_every=pair_every,
        pair_batch=pair_batch, labelled_times=labelled_times, hold=hold, start=start,
    )  # fmt: skip
    try:
        asked = [Teacher.of(one) for one in teachers]
    except (ValueError, OSError) as error:
        raise InputError(f"老师用不了：{error}", "改正后再试") from error
    with progress_bar("学生训练") as progress:
        folder = run(chosen, student, asked, progress)
    out.print(f"模型写在 {escape(str(folder))}")


def evaluate(
    data: Data = None,
    model: Annotated[Path | None, typer.Option(help="模型文件夹；默认按设置，或随附的。")] = None,
    card: Annotated[Path | None, typer.Option(help="把模型卡写到这个文件。")] = None,
    baselines: Annotated[
        bool, typer.Option(help="与 TF-IDF + SVM 和 SnowNLP 比（第一次要现训几分钟）。")
    ] = True,
) -> None:
    """在开发集和人工标注上量各任务的成绩：区间、逐类、校准误差，与基线比。"""
    from nlp.training.evaluate import evaluate as run

    settings = load_settings()
    others = settings.nlp.models
    if card is not None and others != type(others)():
        raise InputError("模型卡只写随附的模型，设置里却有别的模型", "先去掉设置 nlp.models，再写")
    if model is None and settings.nlp.model and card is None:
        model = settings.path(Path(settings.nlp.model))
    with progress_bar("评测") as progress:
        report = run(
            _data_folder(data), model=model, others=others, home=settings.home, card=card,
            progress=progress, with_baseline=baselines,
        )  # fmt: skip
    typer.echo(report.table())
