"""Which pictures are wanted, where they lie, what was read in them, and when they go.

Wanted are pictures of appeals (posts with a case) and of the key posts of incidents that are not
closed. Files lie by their hash in the folder of pictures; a `Picture` record names those of a post.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from archive.base import Archive
from crawler.accounts import AccountBook
from crawler.pictures.decoding import draw
from crawler.pictures.fetching import Fetcher, Refused
from crawler.pictures.links import LinkQueue
from crawler.pictures.store import PictureStore, picture_id
from crawler.privacy import mask
from huiyin.clock import Clock
from huiyin.errors import CollectError, Conflict
from huiyin.records import (
    Case,
    Incident,
    IncidentState,
    Picture,
    PictureFile,
    Post,
    Scope,
    with_picture_text,
)

log = structlog.get_logger("crawler")
ALL = Scope.everything()
MOST_TRIES = 5
_ENDED = (IncidentState.CLOSED, IncidentState.MERGED)


@dataclass
class Pictures:
    """One worker over the queue of links."""

    archive: Archive
    queue: LinkQueue
    store: PictureStore
    fetcher: Fetcher
    accounts: Callable[[], AccountBook]
    clock: Clock
    keep: timedelta
    read: bool = True
    """Read the text in them, where the library is installed."""
    stopping: Callable[[], bool] = lambda: False
    """True = begin with no further post."""
    _waits: dict[str, datetime] = field(default_factory=dict, repr=False)

    def run_once(self) -> int:
        """Fetch what is wanted by now; returns how many posts were done."""
        done, after = 0, ""
        key_posts = self._key_posts()
        self.queue.drop_old(self.clock())
        while ids := self.queue.posts(after):
            after = ids[-1]
            posts = self.archive.get_posts(ids, ALL)
            self.queue.drop(one for one, post in posts.items() if post.deleted_at is not None)
            for post in posts.values():
                if self.stopping():
                    return done
                if post.deleted_at is None and self._is_wanted(post, key_posts):
                    done += self._do(post)
        return done

    def _key_posts(self) -> set[str]:
        found = self.archive.records(Incident, ALL, limit=2000, newest_first=True)
        return {
            post for one in found if one.record.state not in _ENDED for post in one.record.key_posts
        }

    def _is_wanted(self, post: Post, key_posts: set[str]) -> bool:
        if self._waits.get(post.id, self.clock()) > self.clock():
            return False
        if self.archive.get(Picture, picture_id(post.id), ALL) is not None:
            self.queue.drop([post.id])  # noted again by a later reading
            return False
        if post.id in key_posts:
            return True
        return self.archive.get(Case, f"case:{post.id}", ALL) is not None

    def _do(self, post: Post) -> int:
        files: list[PictureFile] = []
        texts: list[str] = []
        refused: list[str] = []
        try:
            for url in self.queue.links(post.id):
                self._one(url, files, texts, refused)
        except CollectError as error:
            tries = self.queue.tried(post.id)
            if tries < MOST_TRIES:
                self._waits[post.id] = self.clock() + timedelta(minutes=2**tries)
                log.warning("picture not fetched", post=post.id, reason=error.message)
                return 0
            refused.append(error.message)
        self._waits.pop(post.id, None)
        self._keep(post, files, "\n".join(texts), tuple(refused))
        self.queue.drop([post.id])
        return 1

    def _one(
        self, url: str, files: list[PictureFile], texts: list[str], refused: list[str]
    ) -> None:
        try:
            data = self.fetcher.fetch(url)
        except Refused as error:
            refused.append(error.message)
            return
        try:
            drawn = draw(data, read=self.read)
        except CollectError as error:
            refused.append(error.message)
            return
        sha = self.store.put(drawn.webp)
        text = mask(drawn.text, self.accounts().by_name)[0] if drawn.text else ""
        made = PictureFile(sha256=sha, width=drawn.width, height=drawn.height,
                           bytes=len(drawn.webp), was_read=drawn.text is not None)  # fmt: skip
        files.append(made)
        texts += [text] if text else []

    def _keep(
        self, post: Post, files: list[PictureFile], text: str, refused: tuple[str, ...]
    ) -> None:
        record = Picture(
            id=picture_id(post.id), offices=post.offices, post=post.id, files=tuple(files),
            refused=refused, fetched_at=self.clock(), state="stored" if files else "failed",
        )  # fmt: skip
        try:
            self.archive.create(record)
        except Conflict:
            self.archive.change(Picture, record.id, ALL, lambda _: record)
        read = sum(one.was_read for one in files)
        if read:
            self.archive.put_posts([_told(post, read, text)])

    # ---- the end

    def expire(self) -> int:
        """Delete pictures of posts that are gone or too old; returns of how many posts."""
        gone, needed, after = 0, set[str](), ""
        while page := self.archive.records(Picture, ALL, state="stored", limit=500, after=after):
            after = page[-1].record.id
            posts = self.archive.get_posts([one.record.post for one in page], ALL)
            for stored in page:
                if self._is_over(stored.record, posts):
                    empty = {"files": (), "state": "gone"}
                    self.archive.change(
                        Picture, stored.record.id, ALL, lambda one, to=empty: one.model_copy(
                            update=to)  # type: ignore[misc]
                    )  # fmt: skip
                    gone += 1
                else:
                    needed |= {one.sha256 for one in stored.record.files}
        for sha in list(self.store.hashes()):
            if sha not in needed and self._is_old(sha):
                self.store.remove(sha)
        return gone

    def _is_over(self, record: Picture, posts: Mapping[str, Post]) -> bool:
        post = posts.get(record.post)
        if post is None or post.deleted_at is not None:
            return True
        return self.clock() - record.fetched_at > self.keep

    def _is_old(self, sha: str) -> bool:
        """A file whose record is just being written is not to be swept away."""
        try:
            written = self.store.path(sha).stat().st_mtime
        except OSError:
            return False
        return self.clock().timestamp() - written > 60.0


def _told(post: Post, read: int, text: str) -> Post:
    """The post with what its pictures say, so that it is searched and understood with it."""
    left = read
    media = []
    for one in post.media:
        is_read = one.kind == "picture" and left > 0
        left -= is_read
        media.append(one.model_copy(update={"was_read": True}) if is_read else one)
    return post.model_copy(
        update={"text": with_picture_text(post.text, text), "media": tuple(media)}
    )
