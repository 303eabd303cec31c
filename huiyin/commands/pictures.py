"""`huiyin pictures`: fetches pictures of appeals and key posts, and deletes them in time."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from huiyin.clock import monotonic
from huiyin.commands.common import opened, out
from huiyin.errors import HuiyinError
from huiyin.picturing import worker_of
from huiyin.supervise import stop_on_signals

if TYPE_CHECKING:
    from crawler.pictures.keeping import Pictures

EVERY_SECONDS = 5.0
EXPIRE_SECONDS = 600.0


def pictures(
    once: Annotated[bool, typer.Option("--once", help="取完现在要的就结束。")] = False,
) -> None:
    """取诉求和关键帖子的图片，读图中文字（装了识别库才读），到期删除。"""
    from structlog import get_logger  # brings twisted along, which light commands do without

    from crawler.pictures.decoding import can_read

    with stop_on_signals() as stop, opened() as app:
        worker = worker_of(app)
        worker.stopping = stop.is_set  # a host may be slow, and many pictures may wait
        if app.settings.pictures.read and not can_read():
            get_logger("huiyin").warning(
                "no text is read in pictures", missing="rapidocr-onnxruntime"
            )
        if once:
            out.print(f"取了 {worker.run_once()} 条帖子的图片，删了 {worker.expire()} 条的。")
            return
        _loop(worker, stop)


def _loop(worker: Pictures, stop: Event) -> None:
    from structlog import get_logger

    expired_at = float("-inf")
    while not stop.is_set():
        try:
            worker.run_once()
            if monotonic() - expired_at >= EXPIRE_SECONDS:
                worker.expire()
                expired_at = monotonic()
        except HuiyinError as error:
            get_logger("huiyin").error("pictures", error=str(error))
        stop.wait(EVERY_SECONDS)
