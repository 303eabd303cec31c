"""From the objects of pages to posts, here or, when many wait, in a process of its own.

Making a post (masking, keys, records) holds Python's lock nearly all the time, and the archive's
writer needs it again and again: in two threads of one process they took longer than one after the
other (docs/decisions/crawler-writing.md). What a process makes it also packs, so that what is left
to do here is SQLite's own work. It knows nothing and keeps nothing: when it ends, whatever the
reason, its pages are made here, and nothing counts before it is on disk.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from subprocess import Popen
from threading import Lock, Thread, Timer
from typing import IO, Any, cast

import structlog

from archive.base import Packer
from crawler import pipes
from crawler.accounts import AccountBook
from crawler.build import Builder
from crawler.importers.base import reason_of
from crawler.partial import read_kept
from crawler.payloads import is_cut_short, posts_of
from crawler.pictures import links
from crawler.privacy import Identity
from huiyin.clock import monotonic
from huiyin.errors import CollectError
from huiyin.records import Account, Post

log = structlog.get_logger("crawler")
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError)
"""What an object of another form than we know leads to."""
_IDLE_SECONDS = 60.0
"""A process that was not asked for so long ends; it takes about 60 MB."""
_AGAIN_SECONDS = 60.0
"""Between two starts: a machine that cannot hold the process is not asked all the time."""
_ANSWER_SECONDS = 60.0
"""A process that does not answer in so long (somebody stopped it) is ended: the writer waits."""

Make = Callable[[Any, Builder], Iterator[Post]]


@dataclass(frozen=True)
class Page:
    """All that making the posts of a page needs beside the office's secret and accounts."""

    objects: Sequence[Mapping[str, Any]] = field(repr=False)
    """None of them: all in `answer`."""
    answer: tuple[bytes, str] | None = field(repr=False)
    """The page as it came, and the name of its list."""
    source: str
    """Id of the source."""
    office: str
    spider: str
    query: str
    read_at: datetime
    now: datetime


@dataclass
class Made:
    """The posts of pages."""

    packed: bytes
    """As the archive's packer made them; without those in `cut`."""
    cut: bytes
    """Those of objects that a list cut short, packed: not for where the whole is stored."""
    bad: list[tuple[str, str]]
    """Source and reason of what could not be understood."""
    noted: list[links.Note]
    """Links of pictures that were seen."""


def make(
    page: Page, identity: Identity, accounts: AccountBook, way: Make = posts_of
) -> tuple[dict[str, Post], list[tuple[str, str]]]:
    """The posts of a page by id, the first of each, and (source, reason) of what was no post."""
    build = Builder(
        identity=identity, accounts=accounts, office=page.office, spider=page.spider,
        at=page.read_at, now=page.now, always=True, query=page.query,
    )  # fmt: skip
    posts: dict[str, Post] = {}
    bad: list[tuple[str, str]] = []
    for one in page.objects:
        try:
            for post in way(one, build):
                posts.setdefault(post.id, post)
        except UNREADABLE as error:
            bad.append((page.source, reason_of(error)))
    return posts, bad


# ---------------------------------------------------------------- the process, from outside


class Maker:
    """Makes posts in a process of its own."""

    def __init__(self, identity: Identity, pack: Packer) -> None:
        self._identity = identity
        self._pack = pack
        self._lock = Lock()
        self._turn = Lock()
        """One question at a time."""
        self._child: Popen[bytes] | None = None
        self._ready: Popen[bytes] | None = None
        """The child, once it has loaded what it needs."""
        self._started = -_AGAIN_SECONDS
        self._accounts: AccountBook | None = None
        """Those that the child was told."""
        self._closed = False

    @property
    def ready(self) -> bool:
        """True when it can be asked."""
        return self._ready is not None and self._ready.poll() is None

    def prepare(self) -> None:
        """Start the process unless it runs or ran a moment ago; returns at once."""
        if (os.cpu_count() or 1) < 2 or self.ready:
            return
        if monotonic() - self._started >= _AGAIN_SECONDS:
            self._started = monotonic()
            Thread(target=self._start, name="post-maker", daemon=True).start()

    def _start(self) -> None:
        self.close_child()
        try:
            child = pipes.start("crawler.making")
        except OSError as error:
            log.warning("posts are made in place", reason=str(error))
            return
        with self._lock:
            if self._closed:
                _end(child)
                return
            self._child, self._accounts = child, None
        try:
            pipes.send(_stdin(child), (self._identity.secret, self._pack, links.wanted()))
            pipes.receive(_stdout(child))
        except (OSError, EOFError) as error:
            log.warning("posts are made in place", reason=repr(error))
            return
        self._ready = child

    def make(self, pages: Sequence[Page], accounts: AccountBook) -> Made | None:
        """The posts of pages, packed; None when the process is not there any more, or an answer is

        broken."""
        with self._turn:
            child = self._ready
            if child is None:
                return None
            told = None if accounts is self._accounts else tuple(accounts.accounts.values())
            patience = Timer(_ANSWER_SECONDS, child.kill)
            patience.daemon = True
            patience.start()
            try:
                pipes.send(_stdin(child), (told, pages))
                made: Made | None = pipes.receive(_stdout(child))
            except (OSError, EOFError, ValueError) as error:  # ValueError: closed meanwhile
                log.info("posts are made in place", reason=repr(error))
                self._ready = None
                return None
            finally:
                patience.cancel()
            self._accounts = accounts
            return made

    def close_child(self) -> None:
        """End the process."""
        with self._lock:
            child, self._child, self._ready = self._child, None, None
        if child is not None:
            _end(child)

    def close(self) -> None:
        """End the process for good."""
        self._closed = True
        self.close_child()


def _end(child: Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:  # what was not sent any more
                continue


def _stdin(child: Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", child.stdin)


def _stdout(child: Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", child.stdout)


# ---------------------------------------------------------------- the process, from inside


def main() -> None:
    """The child: secret and packer on standard input, then pages again and again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    come, go = sys.stdin.buffer, sys.stdout.buffer
    try:
        with pipes.fewer_collections():
            _serve(come, go)
    except EOFError:  # the parent has gone, or has enough
        return
    except BrokenPipeError:
        os._exit(1)


def _serve(come: IO[bytes], go: IO[bytes]) -> None:
    secret, pack, noting = pipes.receive(come)
    identity, accounts = Identity(secret), AccountBook()
    noted = links.Noted()
    links.note_in(noted if noting else None)
    pipes.send(go, None)
    # One question, one answer: so nothing lies in the buffer, where `select` would not see it.
    while select.select([come], [], [], _IDLE_SECONDS)[0]:
        told, pages = pipes.receive(come)
        accounts = accounts if told is None else AccountBook(cast("tuple[Account, ...]", told))
        posts: tuple[list[Post], list[Post]] = [], []
        bad: list[tuple[str, str]] = []
        try:
            for page in pages:
                for part, made in zip(_parts(page), posts, strict=True):
                    found, unreadable = make(part, identity, accounts)
                    made.extend(found.values())
                    bad += unreadable
        except CollectError:  # whoever makes them page by page finds which one is broken
            pipes.send(go, None)
            continue
        pipes.send(go, Made(pack(posts[0]), pack(posts[1]), bad, noted.take()))


def _parts(page: Page) -> Iterator[Page]:
    """Its whole objects, and those cut short. Raises `CollectError` for a broken answer."""
    objects = page.objects
    if page.answer is not None:
        body, key = page.answer
        objects = read_kept(body, key, page.now).items
    for wanted in (False, True):
        part = [one for one in objects if is_cut_short(one) is wanted]
        yield replace(page, objects=part, answer=None)
