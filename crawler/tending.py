"""What goes on beside the reading: leases, new sources, accounts and tokens, alerts of health."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import structlog
from pydantic import SecretStr

from crawler.leases import SourceLeases
from crawler.sources import ensure_sources, known_sources
from huiyin.errors import ArchiveError

if TYPE_CHECKING:
    from crawler.accounts import AccountBook
    from crawler.crawl import CrawlJob

log = structlog.get_logger("crawler")
EVERY_SECONDS = 2.0
_ACCOUNTS_EVERY = 5
"""Accounts and tokens are read again every so many turns."""


class Tender:
    """A thread that keeps a `CrawlJob` up to date with the archive until `end`."""

    def __init__(
        self,
        job: CrawlJob,
        tokens: Callable[[], Mapping[str, SecretStr]],
        accounts: Callable[[], AccountBook] | None,
        monotonic: Callable[[], float],
    ) -> None:
        self._job, self._tokens, self._accounts = job, tokens, accounts
        self._leases = SourceLeases(job.archive, monotonic=monotonic)
        self._ended = threading.Event()
        self._turns = 0
        job.mine = self._leases.holds
        self._thread = threading.Thread(target=self._run, name="crawl-tender", daemon=True)

    def start(self) -> None:
        """Take the first leases, then go on in the background."""
        self._turn()
        self._thread.start()

    def end(self) -> None:
        """Stop, and give the leases back."""
        self._ended.set()
        self._thread.join()
        try:
            self._leases.release()
        except ArchiveError as error:
            log.warning("leases not given back", error=str(error))

    def _run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            self._turn()

    def _turn(self) -> None:
        job = self._job
        try:
            if self._turns % _ACCOUNTS_EVERY == 0:
                self._look_around()
            job.sources = tuple(known_sources(job.archive, None))
            self._leases.turn(
                (one.id for one in job.sources if not one.paused), lambda one: one in job.reading
            )
        except ArchiveError as error:
            log.warning("sources not looked at", error=str(error))
        self._turns += 1

    def _look_around(self) -> None:
        job = self._job
        tokens = self._tokens()
        if self._accounts is not None:
            job.accounts = self._accounts()
        if tokens.keys() != job.tokens.keys():
            ensure_sources(job.archive, job.accounts, job.weibo, tokens)
        job.tokens = tokens
