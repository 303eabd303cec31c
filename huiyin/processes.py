"""The long-running parts: `crawl`, `work`, `watch`; each loops until told to stop.

They share nothing but the archive: each asks it what is to be done, does it, and asks again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import SecretStr

from huiyin.app import ALL, App
from huiyin.clock import monotonic
from huiyin.errors import ArchiveAway, ArchiveBusy, ArchiveMoved, HuiyinError, NotAllowed, NotFound
from huiyin.records import Actor, Case, CaseState, Source
from huiyin.supervise import orphaned

if TYPE_CHECKING:
    from crawler.crawl import CrawlJob

log = structlog.get_logger("huiyin")
DRAFTER = Actor.system("drafter")
CASES_EVERY_SECONDS = 3.0
SWEEP_EVERY_SECONDS = 30.0
DRAFTS = 10
IDLE_SECONDS = 0.5
TROUBLE_SECONDS = 5.0


def work(app: App, stop: Event) -> bool:
    """Analyse what is pending; when there is nothing, open cases and draft replies.

    This and the others return True when they ended because another archive is in use now.
    """
    log.info("work: ready", model=app.understanding.model)
    office = _Office(app)
    try:
        return _loop(app, stop, lambda: app.analysis.run_once() or office.run_once())
    finally:
        with suppress(ArchiveMoved):
            app.analysis.close()  # a standby on another host need not wait for the lease's end


class _Office:
    """Opens cases from appeals and writes first drafts; people do everything after that."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._opened_at = self._swept_at = float("-inf")
        self._refused: set[str] = set()

    def run_once(self) -> int:
        """One pass; returns how many cases were opened and drafts written."""
        opened = 0
        if monotonic() - self._opened_at >= CASES_EVERY_SECONDS:
            opened = len(self._app.case_opener.run_once().opened)
            self._opened_at = monotonic()
        if monotonic() - self._swept_at >= SWEEP_EVERY_SECONDS:
            self._app.contacts.sweep(self._app.clock())
            self._swept_at = monotonic()
        return opened + self._draft()

    def _draft(self) -> int:
        waiting = self._app.archive.records(
            Case, ALL, state=CaseState.OPEN, limit=DRAFTS + len(self._refused), newest_first=True
        )
        written = 0
        for stored in waiting:
            case = stored.record
            if case.id in self._refused:
                continue
            try:
                self._app.desk.draft_for(case.id, DRAFTER)
                written += 1
            except (NotAllowed, NotFound) as error:
                # A deleted post, or none of our accounts: people see the case, no draft helps.
                log.warning("no draft", case=case.id, reason=str(error))
                self._refused.add(case.id)
        return written


def watch(app: App, stop: Event) -> bool:
    """Group posts into incidents and send alerts."""
    log.info("watch: ready")
    over = Event()
    beside = Thread(target=app.following.run, args=(app.moved, over), name="following", daemon=True)
    beside.start()
    try:
        return _loop(app, stop, lambda: _watch_once(app))
    finally:
        over.set()
        beside.join(TROUBLE_SECONDS)


def _watch_once(app: App) -> int:
    report = app.detector.run_once()
    sent = app.alerter.run_once()
    app.following.holds = report.held
    return report.posts + len(sent.messages)


def crawl(app: App, stop: Event) -> bool:
    """Run the Scrapy process over all due sources; it shares them with other hosts by leases."""
    from crawler import ensure_sources, run_crawl
    from crawler.login import TokenStore
    from crawler.pictures.links import collect_into
    from huiyin.looks import answer_in_background
    from huiyin.picturing import links_of

    answer_in_background(app, stop)  # also before there is anything to read
    collect_into(links_of(app.settings), stop)
    settings, weibo = app.settings, app.settings.weibo
    store = TokenStore(settings.path(settings.secrets.folder))

    def tokens() -> Mapping[str, SecretStr]:
        return store.with_settings(weibo)

    while not _ensured(lambda: ensure_sources(app.archive, app.accounts, weibo, tokens())):
        if stop.wait(TROUBLE_SECONDS):
            return False
    if not _has_sources(app, stop):
        return False
    moved = Event()
    Thread(target=_stop_crawl, args=(app, stop, moved), daemon=True).start()
    run_crawl(
        app.archive, weibo=weibo, identity=app.identity, accounts=lambda: app.accounts,
        clock=app.clock, stop=stop, tokens=tokens, beside=lambda job: _doors(app, job),
        ends=store.ends, renewal=lambda: store.renewal(weibo, app.clock()),
        watch_lists=settings.path(settings.collect.watch_lists),
    )  # fmt: skip
    return moved.is_set()


def _has_sources(app: App, stop: Event) -> bool:
    """Wait until there is something to read; False when told to stop before."""
    told = False
    while not app.archive.records(Source, ALL, limit=1):
        if not told:
            log.warning("nothing to read yet: huiyin source login, or huiyin source add")
            told = True
        if stop.wait(TROUBLE_SECONDS) or app.moved():
            return False
    return True


def _doors(app: App, job: CrawlJob) -> Sequence[Any]:
    """Feeds and pages beside Weibo, in the same process."""
    from crawler.doors import DoorJob, start
    from crawler.stores import ArchiveStore

    settings = app.settings
    door = DoorJob(
        ArchiveStore(app.archive), app.identity, job.accounts, app.clock, job.stop,
        settings.path(settings.collect.layouts), mine=lambda source: job.mine(source.id),
        watch_lists=settings.path(settings.collect.watch_lists), secrets=settings.collect.secrets,
    )  # fmt: skip
    return start(door, settings.collect.allow_hosts, settings.collect.contact)


def _ensured(act: Callable[[], object]) -> bool:
    """False while the archive's servers do not answer: without it no cursor is known."""
    try:
        act()
    except ArchiveAway as error:
        log.warning("crawl waits for the archive", error=str(error))
        return False
    return True


def _stop_crawl(app: App, stop: Event, moved: Event) -> None:
    """Scrapy has a loop of its own; this ends it when whoever started us is gone, or the archive

    has moved (which sets `moved`).
    """
    parent = os.getppid()
    while not stop.wait(1.0):
        if app.moved():
            moved.set()
        if moved.is_set() or orphaned(parent):
            stop.set()


def _loop(app: App, stop: Event, step: Callable[[], int]) -> bool:
    """Call `step` until told to stop; rest when it found nothing to do or ran into trouble.

    Returns True when it ended because the archive has moved.
    """
    parent = os.getppid()
    while not stop.is_set() and not orphaned(parent):
        if app.moved():
            return True
        try:
            pause = 0.0 if step() else IDLE_SECONDS
        except ArchiveMoved:
            return True
        except ArchiveBusy as error:
            log.warning("archive busy", error=str(error))
            pause = IDLE_SECONDS
        except HuiyinError as error:
            log.error("step failed", error=str(error))
            pause = TROUBLE_SECONDS
        if pause:
            stop.wait(pause)
    return False
