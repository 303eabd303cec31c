"""Posts and analyses for the contract, small and explicit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from archive.base import Archive
from huiyin.records import (
    Analysis,
    Category,
    Labelled,
    Metrics,
    Origin,
    Post,
    Scope,
    Urgency,
    text_sha,
)
from huiyin.vectors import pack

START = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
OFFICE = "weibo:1000"
ALL = Scope.everything()
MODEL = "model-a"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def post(number: int, text: str = "", **fields: Any) -> Post:
    """Post `weibo:<number>`, created `number` seconds after START, read at START."""
    values: dict[str, Any] = {
        "id": f"weibo:{number}",
        "text": text or f"第{number}条",
        "created_at": at(number),
        "collected_at": at(0),
        "read_at": at(0),
        "offices": (OFFICE,),
        "source": Origin(spider="test"),
    }
    return Post(**{**values, **fields})


def counts(read: float, **values: int | None) -> Metrics:
    return Metrics(read_at=at(read), **values)


def analysis(
    text: str, *, title: str | None = None, model: str = MODEL, sentiment: str = "negative",
    path: tuple[str, ...] = ("城乡建设", "供水"), vector: list[float] | None = None, **fields: Any,
) -> Analysis:  # fmt: skip
    values: dict[str, Any] = {
        "model": model,
        "text_sha": text_sha(title, text),
        "sentiment": Labelled(label=sentiment, probabilities={sentiment: 0.9}),
        "emotion": Labelled(label="angry", probabilities={"angry": 0.7}),
        "intent": Labelled(label="投诉", probabilities={"投诉": 0.6}),
        "category": Category(path=path, probabilities={path[0]: 0.8} if path else {}),
        "needs_answer": 0.75,
        "urgency": Urgency(score=0.5, reasons=("测试",)),
        "vector": pack(vector or [1.0, 0.0, 0.0, 0.0]),
    }
    return Analysis(**{**values, **fields})


def stored(archive: Archive, post_id: str) -> Post:
    return archive.get_posts([post_id], ALL)[post_id]
