"""Search by meaning: words (BM25) and sentence vectors together, on any engine.

Both halves are asked for their best; each candidate gets both scores on a scale of 0 to 1 and the
weighted sum decides. The vector's half is worked out exactly for every candidate that has a vector,
also for those that only their words brought in.

Measured (benchmarks/hybrid.py): a title finds its own text among 3,469 citizens' messages. Fusing
ranks instead of scores (reciprocal rank fusion) was worse than words alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archive.base import Archive, Filters, Hit
from huiyin.records import Post, Scope

CANDIDATES = 50
"""Best hits of each half that are looked at; 100 found no more."""
WORDS_WEIGHT = 0.4
"""Of the words, as a share of the best hit's BM25; the cosine (0 below 0) has the rest."""


def hybrid(
    archive: Archive, text: str, vector: bytes, model: str, scope: Scope, *,
    filters: Filters | None = None, limit: int = 10,
) -> list[Hit]:  # fmt: skip
    """Posts that say what `text` says, best first; `Hit.score` is between 0 and 1.

    `vector`: the text's own by `model`; empty = only words count.
    """
    wide = max(CANDIDATES, limit)
    by_words = archive.like(text, scope, filters=filters, limit=wide)
    by_vector = archive.similar(vector, model, scope, filters=filters, limit=wide) if vector else []
    return fuse(by_words, by_vector, vector, model)[:limit]


def fuse(
    by_words: Sequence[Hit], by_vector: Sequence[Hit], vector: bytes, model: str,
    words_weight: float = WORDS_WEIGHT,
) -> list[Hit]:  # fmt: skip
    """All candidates of both halves, by the weighted sum of their scores."""
    posts = {hit.post.id: hit.post for hit in (*by_words, *by_vector)}
    words = {hit.post.id: hit.score for hit in by_words}
    most = max(words.values(), default=0.0)
    cosines = _cosines(posts.values(), vector, model)
    scores = {
        post_id: words_weight * (words.get(post_id, 0.0) / most if most else 0.0)
        + (1 - words_weight) * max(cosines.get(post_id, 0.0), 0.0)
        for post_id in posts
    }
    order = sorted(posts, key=lambda post_id: (-scores[post_id], post_id))
    return [Hit(posts[post_id], scores[post_id]) for post_id in order]


def _cosines(posts: Iterable[Post], vector: bytes, model: str) -> dict[str, float]:
    """Of those that have a vector of this model."""
    known = {
        post.id: post.analysis.vector
        for post in posts
        if post.analysis is not None
        and post.analysis.model == model
        and vector
        and len(post.analysis.vector) == len(vector)
    }
    if not known:
        return {}
    from huiyin.vectors import unpack  # numpy: not for a light start

    scores = unpack(list(known.values())) @ unpack([vector])[0]
    return {post_id: min(float(one), 1.0) for post_id, one in zip(known, scores, strict=True)}
