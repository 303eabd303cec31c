"""How a post lies in a document, and back.

Each owner's fields stand beside each other; an owner's write is a partial document of its fields.
What is only read with the whole post lies in strings of JSON (`rest`, `analysis`, `failures`): a
partial write replaces a string as a whole, while it would mix the keys of an object.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydantic_core import from_json, to_json

from archive.base import Failure
from archive.merging import COUNTS, CountedAt, category_path, erased, first_counted
from huiyin.records import Analysis, Post, text_sha

Json = dict[str, Any]

_REST = {"url", "author", "media", "source", "edited_at"}
_OWN = ("id", "kind", "text", "title", "created_at", "collected_at", "read_at", "offices",
        "mentions", "parent", "root", "region", "incident", "deleted_at")  # fmt: skip
LARGEST_VECTOR = 4096
"""Dimensions that the server can compare."""
ATTEMPTS = 3
"""After so many failed attempts of a stage a post leaves its queue."""


def document(post: Post) -> Json:
    """A new post as a document: the crawler's fields only."""
    if post.deleted_at is not None:
        post = erased(post, post.deleted_at)
    return {
        "id": post.id,
        "platform": post.platform,
        "created_at": post.created_at,
        "collected_at": post.collected_at,
        "slice": zlib.crc32(post.id.encode()),
        **crawled(post, first_counted(post.metrics)),
    }


def crawled(post: Post, counted_at: CountedAt) -> Json:
    """What a reading may change, in a new document or a partial one."""
    fields: Json = {
        "kind": post.kind._value_,
        "author_kind": post.author.kind._value_,
        "read_at": post.read_at,
        "text": post.text,
        "text_sha": text_sha(post.title, post.text),
        "offices": post.offices,
        "mentions": post.mentions,
        "rest": post.__pydantic_serializer__.to_json(
            post, include=_REST, exclude_defaults=True
        ).decode(),
    }
    optional = {
        "title": post.title, "author": post.author.key, "parent": post.parent,
        "root": post.root, "region": post.region, "deleted_at": post.deleted_at,
    }  # fmt: skip
    fields.update((name, value) for name, value in optional.items() if value is not None)
    if post.metrics is not None:
        counts: Json = {"read_at": post.metrics.read_at}
        for name, at in zip(COUNTS, counted_at, strict=True):
            if at is not None:
                counts[name], counts[f"{name}_at"] = getattr(post.metrics, name), at
        fields["metrics"] = counts
    return fields


def tombstone(post: Post, counted_at: CountedAt) -> Json:
    """The partial document that erases a post: everything said of it and understood is gone."""
    return {
        **crawled(post, counted_at),
        "title": None,
        **dict.fromkeys((*_UNDERSTOOD, *_FAILING)),
        "vectors": None,
    }


_UNDERSTOOD = ("model", "analysed_sha", "stale", "sentiment", "emotion", "intent", "category",
               "needs_answer", "urgency", "analysis", "vector_key")  # fmt: skip
_FAILING = ("failing", "failed", "failed_at", "failures")


def understood(analysis: Analysis, stored: Mapping[str, Any]) -> Json:
    """nlp's fields; `stored`: the document that they are written into."""
    fields: Json = {
        "model": analysis.model,
        "analysed_sha": analysis.text_sha,
        "stale": analysis.text_sha != stored["text_sha"],
        "sentiment": analysis.sentiment.label,
        "emotion": analysis.emotion.label,
        "intent": analysis.intent.label,
        "category": category_path(analysis.category.path),
        "needs_answer": analysis.needs_answer,
        "urgency": analysis.urgency.score,
        "analysis": analysis.model_dump_json(exclude={"vector"}),
    }
    key, values = vector_field(analysis.vector)
    fields["vector_key"] = key
    vectors: Json = {}
    was = stored.get("vector_key")
    if was and not was.startswith("raw:") and was != key:
        vectors[was] = None
    if values is not None:
        vectors[key] = values
    if vectors:
        fields["vectors"] = vectors
    return fields


def vector_field(vector: bytes) -> tuple[str, list[float] | None]:
    """Name below `vectors` and its values; a vector that cannot be compared is kept in its name.

    The server compares by cosine and refuses vectors without length. The field carries the number
    of dimensions, so that models of different sizes may lie in one index.
    """
    if not vector:
        return "", None
    array = np.frombuffer(vector, dtype="<f2") if len(vector) % 2 == 0 else np.zeros(0, "<f2")
    wide = array.astype(np.float64)
    if not 0 < len(wide) <= LARGEST_VECTOR or not np.isfinite(wide).all() or not wide.any():
        return f"raw:{vector.hex()}", None
    # float16 numbers lie at least 6e-8 apart, so eight decimals give each one back
    return f"d{len(wide)}", np.round(wide, 8).tolist()


def vector_name(vector: bytes) -> str:
    """The field that holds vectors of this one's size, for searches."""
    return f"vectors.d{len(vector) // 2}"


def to_vector(source: Mapping[str, Any]) -> bytes:
    """The vector of a document, exactly as it was given."""
    key = source.get("vector_key") or ""
    if key.startswith("raw:"):
        return bytes.fromhex(key[4:])
    values = (source.get("vectors") or {}).get(key) if key else None
    return np.asarray(values, dtype="<f2").tobytes() if values else b""


def to_post(source: Mapping[str, Any]) -> Post:
    """A document as a post."""
    fields: Json = {name: source[name] for name in _OWN if source.get(name) is not None}
    fields.update(from_json(source["rest"]))
    if (metrics := source.get("metrics")) is not None:
        fields["metrics"] = {
            "read_at": metrics["read_at"], **{name: metrics.get(name) for name in COUNTS},
        }  # fmt: skip
    if source.get("analysis") is not None:
        fields["analysis"] = {**from_json(source["analysis"]), "vector": to_vector(source)}
    return Post.model_validate(fields)


def counted_at(source: Mapping[str, Any]) -> CountedAt:
    """When each count of a document was read last."""
    metrics = source.get("metrics") or {}
    times = [to_time(metrics.get(f"{name}_at")) for name in COUNTS]
    return times[0], times[1], times[2]


def to_time(value: str | datetime | None) -> datetime | None:
    """A time as documents carry it, or as the change before in the same list left it."""
    if value is None:
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.astimezone(UTC)


def failures_of(source: Mapping[str, Any]) -> list[Failure]:
    """What stages could not do with a post."""
    kept: dict[str, list[Any]] = from_json(source.get("failures") or "{}")
    return [
        Failure(stage, source["id"], attempts, reason, _time(at), attempts >= ATTEMPTS)
        for stage, (attempts, reason, at) in kept.items()
    ]


def failing(failures: list[Failure]) -> Json:
    """The stages' fields of a post with these failures."""
    if not failures:
        return dict.fromkeys(_FAILING)
    kept = {one.stage: [one.attempts, one.reason, one.at] for one in failures}
    return {
        "failing": [one.stage for one in failures],
        "failed": [one.stage for one in failures if one.attempts >= ATTEMPTS],
        "failed_at": max(one.at for one in failures),
        "failures": to_json(kept).decode(),
    }


def _time(value: str) -> datetime:
    found = to_time(value)
    assert found is not None  # noqa: S101 - `value` is a string
    return found
