"""Answers what the console asks: "what would this source bring?" (`Look` records).

The console starts no spider. The crawl process reads one page in a process of its own, by the same
command that a person would type, and writes down what it said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import structlog

from archive.base import Stored
from huiyin.app import ALL, App
from huiyin.errors import Conflict, HuiyinError
from huiyin.records import Look

log = structlog.get_logger("huiyin")
EVERY_SECONDS = 1.0
END_OLD_EVERY = 60
"""Turns."""
LONGEST = 120
"""Seconds that one reading may take."""
KEPT = timedelta(hours=1)
"""An answer holds texts that are not in the archive otherwise, so it goes after this time."""
SHOWN = 10
TEXT = 300
COMMAND = (sys.executable, "-m", "huiyin", "source", "test")
_ERROR = "错误："


def look_id(source: str) -> str:
    """Id of the question about a source; there is one at a time."""
    return f"look:{source}"


def ask(app: App, source: str, offices: tuple[str, ...], by: str) -> Look:
    """Write the question down, in place of the one before. Raises `ArchiveError`."""
    asked = Look(
        id=look_id(source), offices=offices, source=source, asked_by=by, asked_at=app.clock()
    )
    try:
        return app.archive.create(asked).record
    except Conflict:
        return app.archive.change(Look, asked.id, ALL, lambda _: asked).record


def answer_in_background(app: App, stop: Event) -> Thread:
    """Answer questions until `stop`, in a thread of its own."""

    def go_on() -> None:
        turn = 0
        while not stop.wait(EVERY_SECONDS):
            try:
                answer_once(app)
                if turn % END_OLD_EVERY == 0:
                    end_old(app)
                turn += 1
            except HuiyinError as error:  # the archive is away or busy: asked again
                log.warning("looks not answered", error=str(error))

    thread = Thread(target=go_on, name="looks", daemon=True)
    thread.start()
    return thread


def answer_once(app: App, command: Sequence[str] = COMMAND) -> int:
    """Answer what waits; returns how many were answered."""
    answered = 0
    for stored in app.archive.records(Look, ALL, state="waiting", limit=20):
        with suppress(Conflict):  # somebody else took it
            mine = app.archive.replace(
                stored, stored.record.model_copy(update={"state": "reading"})
            )
            _write(app, mine, _read(app, stored.record.source, command))
            answered += 1
    return answered


def end_old(app: App) -> None:
    """Empty answers that are old, and give up what a killed process was reading."""
    now = app.clock()
    lost = now - timedelta(seconds=2 * LONGEST)
    for stored in app.archive.records(Look, ALL, state="reading", limit=100):
        if stored.record.asked_at < lost:  # whoever read it was killed
            _write(
                app, stored, {"state": "failed", "problem": "读的进程中断了", "mend": "再试一次"}
            )
    for state in ("done", "failed"):
        for stored in app.archive.records(Look, ALL, state=state, limit=100):
            at = stored.record.answered_at or stored.record.asked_at
            if now - at > KEPT:
                gone = {"state": "old", "posts": (), "unknown_fields": ()}
                with suppress(Conflict):
                    app.archive.replace(stored, stored.record.model_copy(update=gone))


def _write(app: App, mine: Stored[Look], answer: Mapping[str, Any]) -> None:
    update = {**answer, "answered_at": app.clock()}
    with suppress(Conflict):  # asked anew meanwhile: the new question is answered next
        app.archive.replace(mine, mine.record.model_copy(update=update))


def _read(app: App, source: str, command: Sequence[str]) -> dict[str, Any]:
    environment = {
        **os.environ, "HUIYIN_HOME": str(app.settings.home.resolve()),
        "PYTHONIOENCODING": "utf-8",
    }  # fmt: skip
    try:
        done = subprocess.run(
            [*command, source, "--json"], capture_output=True, timeout=LONGEST, check=False,
            env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return _failed(f"读了 {LONGEST} 秒还没有读完", "看网络和平台是否拥堵，再试一次")
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode != 0:
        found = said.rpartition(_ERROR)[2] if _ERROR in said else ""
        if not found:
            log.error("look failed", source=source, code=done.returncode)
        return _failed(" ".join(found.split()) or "没有读成", "" if found else "看日志 crawl.log")
    try:
        return _seen(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError):
        return _failed("回答看不懂", "请报告给开发者")


def _failed(problem: str, mend: str) -> dict[str, Any]:
    return {"state": "failed", "problem": problem, "mend": mend}


def _seen(answer: Mapping[str, Any]) -> dict[str, Any]:
    posts = tuple(
        {
            "id": post["id"], "kind": post["kind"], "created_at": post["created_at"],
            "title": post.get("title") or "", "text": post["text"][:TEXT],
        }
        for post in answer["posts"][:SHOWN]
    )  # fmt: skip
    return {
        "state": "done", "posts": posts, "bad": len(answer.get("not_understood", ())),
        "unknown_fields": tuple(answer.get("unknown_fields", ())[:50]),
        "total": answer.get("total"),
    }  # fmt: skip
