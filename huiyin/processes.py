"""The long-running parts: `crawl`, `work`, `watch`; each loops until told to stop.

They share nothing but the archive: each asks it what is to be done, does it, and asks again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Event

import structlog

from huiyin.app import App
from huiyin.errors import ArchiveBusy, HuiyinError
from huiyin.supervise import orphaned

log = structlog.get_logger("huiyin")
IDLE_SECONDS = 0.5
TROUBLE_SECONDS = 5.0


def work(app: App, stop: Event) -> None:
    """Analyse what is pending; when there is nothing, open cases and draft replies."""
    app.understanding  # noqa: B018  (load the model before the first post waits for it)
    log.info("work: ready", model=app.understanding.model)
    _loop(stop, lambda: _work_once(app))


def _work_once(app: App) -> int:
    done = app.analysis.run_once()
    if done:
        return done
    return app.desk.open_cases() + app.desk.draft_pending(limit=10)


def watch(app: App, stop: Event) -> None:
    """Group posts into incidents and send alerts."""
    log.info("watch: ready")
    _loop(stop, lambda: _watch_once(app))


def _watch_once(app: App) -> int:
    report = app.detector.run_once()
    sent = app.alerter.run_once()
    return report.posts + sent.sent


def crawl(app: App, stop: Event) -> None:
    """Run the Scrapy process over all due sources."""
    from crawler import ensure_sources, run_crawl

    weibo = app.settings.weibo
    if not weibo.tokens:
        log.warning("weibo_official disabled: weibo.tokens is empty")
        stop.wait()
        return
    ensure_sources(app.archive, app.accounts, weibo)
    run_crawl(
        app.archive, weibo=weibo, identity=app.identity, accounts=app.accounts, clock=app.clock,
        stop=stop,
    )  # fmt: skip


def _loop(stop: Event, step: Callable[[], int]) -> None:
    """Call `step` until told to stop; rest when it found nothing to do or ran into trouble."""
    parent = os.getppid()
    while not stop.is_set() and not orphaned(parent):
        try:
            pause = 0.0 if step() else IDLE_SECONDS
        except ArchiveBusy as error:
            log.warning("archive busy", error=str(error))
            pause = IDLE_SECONDS
        except HuiyinError as error:
            log.error("step failed", error=str(error))
            pause = TROUBLE_SECONDS
        if pause:
            stop.wait(pause)
