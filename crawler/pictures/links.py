"""Where the pictures of posts are to be fetched, until it is known which of them are wanted.

A platform's picture address carries its author's number, so it must not lie in the archive, nor on
disk as it is: links are sealed (Fernet) with a key of this host, wait here until the post was
understood, and go when the picture was fetched or after three days.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Lock, Thread

import structlog
from cryptography.fernet import Fernet, InvalidToken

from huiyin.errors import SettingsError

log = structlog.get_logger("crawler")
KEY = "pictures.key"
LASTS = timedelta(days=3)
MOST = 18
"""Links of one post."""
_REMEMBERED = 20_000
Note = tuple[str, Sequence[str], datetime]
"""Post, links, when they were seen."""
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS links (post TEXT PRIMARY KEY, at REAL NOT NULL,"
    " tries INTEGER NOT NULL DEFAULT 0, sealed BLOB NOT NULL) WITHOUT ROWID"
)


class LinkQueue:
    """Sealed links by post. Opens the file anew each time: several threads and processes use it."""

    def __init__(self, folder: Path, secrets: Path) -> None:
        """`folder`: of the pictures. Raises `SettingsError` for a key that cannot be used."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "links.db"
        self._box = Fernet(_key(secrets))
        with closing(self._open()) as db, db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(_SCHEMA)

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._file, timeout=30)
        db.execute("PRAGMA secure_delete=ON")
        db.execute("PRAGMA synchronous=NORMAL")
        return db

    def add(self, links: Iterable[tuple[str, Sequence[str]]], now: datetime) -> None:
        """Keep the links of posts; those of a known post stay as they are."""
        rows = [
            (post, now.timestamp(), self._box.encrypt(json.dumps(list(urls[:MOST])).encode()))
            for post, urls in links
        ]
        with closing(self._open()) as db, db:
            db.executemany("INSERT OR IGNORE INTO links (post, at, sealed) VALUES (?,?,?)", rows)

    def posts(self, after: str = "", limit: int = 500) -> list[str]:
        """Ids of posts whose links wait, in id order."""
        with closing(self._open()) as db:
            asked = "SELECT post FROM links WHERE post > ? ORDER BY post LIMIT ?"
            return [row[0] for row in db.execute(asked, (after, limit))]

    def links(self, post: str) -> tuple[str, ...]:
        """The links of a post; none when they are gone or were sealed with another key."""
        with closing(self._open()) as db:
            row = db.execute("SELECT sealed FROM links WHERE post = ?", (post,)).fetchone()
        if row is None:
            return ()
        try:
            return tuple(json.loads(self._box.decrypt(row[0])))
        except (InvalidToken, ValueError):
            return ()

    def tried(self, post: str) -> int:
        """Count a fetch that may succeed later; returns how many there were."""
        with closing(self._open()) as db, db:
            db.execute("UPDATE links SET tries = tries + 1 WHERE post = ?", (post,))
            row = db.execute("SELECT tries FROM links WHERE post = ?", (post,)).fetchone()
        return int(row[0]) if row else 0

    def drop(self, posts: Iterable[str]) -> None:
        """Forget links."""
        with closing(self._open()) as db, db:
            db.executemany("DELETE FROM links WHERE post = ?", [(one,) for one in posts])

    def drop_old(self, now: datetime) -> int:
        """Forget what nobody wanted in time; returns how many posts that were."""
        with closing(self._open()) as db, db:
            limit = (now - LASTS).timestamp()
            return db.execute("DELETE FROM links WHERE at < ?", (limit,)).rowcount


def _key(secrets: Path) -> bytes:
    file = secrets / KEY
    try:
        secrets.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            part = file.with_suffix(f".{os.getpid()}")
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(Fernet.generate_key())
            try:
                os.link(part, file)  # another process may be first: then its key counts
            except FileExistsError:
                pass
            finally:
                part.unlink()
        key = file.read_bytes().strip()
        Fernet(key)
    except (OSError, ValueError) as error:
        raise SettingsError(
            [("secrets.folder", f"{file} 读不出来或已损坏：{error}", "删去它，会重新生成")]
        ) from error
    return key


class Notes:
    """Links as the makers of posts see them, handed to the queue each second by a thread.

    What a kill loses is noted again when the post is read again.
    """

    def __init__(self, queue: LinkQueue) -> None:
        self._queue = queue
        self._lock = Lock()
        self._waiting: dict[str, tuple[Sequence[str], datetime]] = {}
        self._known: dict[str, None] = {}

    def note(self, post: str, links: Sequence[str], now: datetime) -> None:
        """Keep the links of a post, unless they were noted lately."""
        with self._lock:
            if post not in self._known:
                self._waiting[post] = (links, now)

    def flush(self) -> None:
        """Hand over what was noted."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            self._known |= dict.fromkeys(waiting)
            while len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
        if waiting:
            latest = max(now for _, now in waiting.values())
            self._queue.add([(post, links) for post, (links, _) in waiting.items()], latest)


class Noted:
    """Links that were seen in a process that has no queue, for one that has."""

    def __init__(self) -> None:
        self._seen: list[Note] = []

    def note(self, post: str, links: Sequence[str], now: datetime) -> None:
        """Keep the links of a post."""
        self._seen.append((post, links, now))

    def take(self) -> list[Note]:
        """What was seen since the last time."""
        seen, self._seen = self._seen, []
        return seen


_notes: Notes | Noted | None = None


def note_in(notes: Notes | Noted | None) -> None:
    """Where `note` puts links from now on in this process; None = nowhere."""
    global _notes  # noqa: PLW0603 - as with a logger: every maker of posts tells the same place
    _notes = notes


def wanted() -> bool:
    """False while nobody wants links: then they need not be looked for."""
    return _notes is not None


def collect_into(queue: LinkQueue | None, stop: Event) -> None:
    """Put links into the queue from now on, until `stop`; None = nowhere."""
    notes = Notes(queue) if queue is not None else None
    note_in(notes)
    if notes is None:
        return

    def go_on() -> None:
        while True:
            ends = stop.wait(1.0)
            try:
                notes.flush()
            except sqlite3.Error as error:
                log.warning("links of pictures not kept", error=str(error))
            if ends:
                return

    Thread(target=go_on, name="picture-links", daemon=True).start()


def note(post: str, links: Sequence[str], now: datetime) -> None:
    """A maker of posts has seen the links of a post."""
    if _notes is not None and links:
        _notes.note(post, links, now)
