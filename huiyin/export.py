"""`huiyin export`: the whole result of a search, citable and repeatable."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from archive.base import Archive, Filters, SearchRequest
from huiyin import __version__
from huiyin.errors import InputError
from huiyin.records import Post, Scope

PAGE = 1000
COLUMNS = (
    "id", "kind", "created_at", "author_key", "author_kind", "author_name", "text", "url",
    "sentiment", "emotion", "intent", "category", "urgency", "places", "incident",
    "reposts", "comments", "likes",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")
Progress = Callable[[int, int | None], None]


def export_posts(
    archive: Archive, query: str, filters: Filters, output: Path, *,
    now: datetime, progress: Progress, scope: Scope | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write every match to `output` (.jsonl or .csv) and `<output>.about.json` beside it.

    The note names query, filters, time, version, number of posts and the SHA-256 of the file, so
    that the result can be cited and made again. Raises `InputError` for another ending.
    """
    writers = {".jsonl": _write_jsonl, ".csv": _write_csv}
    write = writers.get(output.suffix)
    if write is None:
        raise InputError(f"不认识扩展名“{output.suffix}”", "用 .jsonl 或 .csv", file=str(output))
    part = output.with_name(f".{output.name}.{os.getpid()}")
    posts = _matches(archive, query, filters, scope or Scope.everything(), progress)
    try:
        number = write(posts, part)
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    note = {
        "made_by": f"huiyin {__version__}", "made_at": now.isoformat(), "query": query,
        "since": filters.since.isoformat() if filters.since else None,
        "until": filters.until.isoformat() if filters.until else None,
        "order": "created_at, id, newest first", "posts": number, "sha256": digest,
    }  # fmt: skip
    note_file = output.with_name(output.name + ".about.json")
    note_file.write_text(json.dumps(note, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return {**note, "note_file": str(note_file)}


def _matches(
    archive: Archive, query: str, filters: Filters, scope: Scope, progress: Progress
) -> Iterator[Post]:
    after: str | None = None
    done = 0
    while True:
        request = SearchRequest(query=query, filters=filters, limit=PAGE, after=after)
        result = archive.search(request, scope)
        for hit in result.hits:
            yield hit.post
        done += len(result.hits)
        progress(done, result.total)
        after = result.next_cursor
        if after is None:
            return


def _write_jsonl(posts: Iterator[Post], file: Path) -> int:
    number = 0
    with file.open("w", encoding="utf-8") as stream:
        for number, post in enumerate(posts, start=1):  # noqa: B007  (the last one is returned)
            stream.write(post.model_dump_json(exclude={"analysis": {"vector"}}) + "\n")
    return number


def _write_csv(posts: Iterator[Post], file: Path) -> int:
    number = 0
    # The byte order mark lets spreadsheets read the file as UTF-8.
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for number, post in enumerate(posts, start=1):  # noqa: B007
            writer.writerow([plain(value) for value in _row(post)])
    return number


def plain(value: object) -> object:
    """A cell that no spreadsheet takes for a formula (promise 6): a leading quote defuses it."""
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA):
        return "'" + value
    return value


def _row(post: Post) -> list[object]:
    read = post.analysis
    counts = post.metrics
    return [
        post.id, post.kind, post.created_at.isoformat(), post.author.key or "", post.author.kind,
        post.author.name or "", post.text, post.url or "",
        read.sentiment.label if read else "", read.emotion.label if read else "",
        read.intent.label if read else "", "/".join(read.category.path) if read else "",
        read.urgency.score if read else "", "、".join(p.name for p in read.places) if read else "",
        post.incident or "", *(
            ("", "", "") if counts is None
            else ("" if n is None else n for n in (counts.reposts, counts.comments, counts.likes))
        ),
    ]  # fmt: skip
