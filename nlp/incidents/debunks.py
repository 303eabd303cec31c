"""What officials and media denied before: is a claim like one that was debunked already.

Words only: the share of a claim's character bigrams that stand in the denial, rare ones counting
more. A likeness is shown with the denial attached; it never settles a claim by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from archive.base import Archive, Filters, SearchRequest
from huiyin.records import AuthorKind, Post, Scope
from nlp.incidents.figures import DENIES
from nlp.incidents.terms import own_words, plain, terms

KINDS = (AuthorKind.GOVERNMENT, AuthorKind.MEDIA)
MOST = 2000
"""Denials kept, the newest."""
PAGE = 500
LIKE = 0.4
"""Weighted share of the claim's bigrams that the denial must hold."""
LEAST_TERMS = 6
"""Bigrams that must be shared: a shorter statement is like everything."""
_QUERY = "辟谣 OR 谣言 OR 谣传 OR 不实 OR 不属实 OR 虚假"


class Debunks:
    """Denials of the archive, kept in memory; `find` looks a text up."""

    def __init__(self, posts: Iterable[Post] = ()) -> None:
        self._texts: dict[str, tuple[float, frozenset[str]]] = {}
        self._holding: dict[str, set[str]] = {}
        for post in posts:
            self.note(post)

    @classmethod
    def of(cls, archive: Archive) -> Debunks:
        """Those of an archive, at most `MOST`. Raises `ArchiveError`."""
        found = cls()
        after: str | None = None
        for _ in range(MOST // PAGE):
            page = archive.search(
                SearchRequest(
                    query=_QUERY, filters=Filters(author_kinds=KINDS), limit=PAGE, after=after
                ),
                Scope.everything(),
            )
            for hit in page.hits:
                found.note(hit.post)
            after = page.next_cursor
            if after is None:
                break
        return found

    def __len__(self) -> int:
        return len(self._texts)

    def note(self, post: Post) -> None:
        """Keep a post that denies something; any other is passed over."""
        if post.author.kind not in KINDS or post.id in self._texts or post.deleted_at is not None:
            return
        text = own_words(post.text)
        if not DENIES.search(text):
            return
        words = frozenset(terms(plain(post.title, text)))
        self._texts[post.id] = (post.created_at.timestamp(), words)
        for word in words:
            self._holding.setdefault(word, set()).add(post.id)
        if len(self._texts) > MOST:
            self._forget(min(self._texts, key=lambda one: (self._texts[one][0], one)))

    def _forget(self, post_id: str) -> None:
        for word in self._texts.pop(post_id)[1]:
            self._holding[word].discard(post_id)
            if not self._holding[word]:
                del self._holding[word]

    def find(self, text: str, before: float) -> str | None:
        """The denial, older than `before` (seconds since the epoch), that is most like a text."""
        words = set(terms(plain(None, text)))
        if len(words) < LEAST_TERMS:
            return None
        weights = {
            word: math.log(1 + (len(self._texts) + 1) / (1 + len(self._holding.get(word, ()))))
            for word in words
        }
        gains: dict[str, float] = {}
        shared: dict[str, int] = {}
        for word in sorted(words):
            for post_id in self._holding.get(word, ()):
                if self._texts[post_id][0] < before:
                    gains[post_id] = gains.get(post_id, 0.0) + weights[word]
                    shared[post_id] = shared.get(post_id, 0) + 1
        gains = {post_id: gain for post_id, gain in gains.items() if shared[post_id] >= LEAST_TERMS}
        best = max(gains, key=lambda one: (round(gains[one], 6), one), default=None)
        if best is None or gains[best] < LIKE * sum(weights.values()):
            return None
        return best
