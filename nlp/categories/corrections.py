"""A reviewer sets a post's category: kept as an example, seen at once, and kept by later readings.

The correction names the post; its words stay in the post, so that a deletion reaches the example.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archive.base import Archive, Stored
from huiyin.clock import Clock, system_clock
from huiyin.errors import Conflict, InputError, NotFound
from huiyin.records import (
    PERSON,
    Actor,
    Analysis,
    Category,
    Correction,
    Post,
    Role,
    Scope,
    append_act,
    text_sha,
)
from nlp.categories.paths import Path, joined, prefixes
from nlp.text import join

ALL = Scope.everything()
_PAGE = 1000


@dataclass(frozen=True)
class Example:
    """A corrected post as an example to fit on."""

    post: str
    text: str
    path: Path
    """What the reviewer said; empty = none."""


class Corrections:
    """Reviewers' corrections of categories, over the archive."""

    def __init__(self, archive: Archive, clock: Clock = system_clock) -> None:
        self._archive = archive
        self._clock = clock

    def of(self, post: str, scope: Scope) -> Stored[Correction] | None:
        """The correction of a post, if there is one in scope."""
        return self._archive.get(Correction, correction_id(post), scope)

    def correct(
        self, post: str, path: Path, actor: Actor, version: int = 0, *, known: Sequence[Path] = ()
    ) -> Stored[Correction]:
        """Set the category of a post; the same path as the machine's confirms it.

        `version` is the correction's that was on the screen, 0 when there was none; `known` are the
        paths that may be chosen (empty: any). Raises NotAllowed for others than reviewers, NotFound
        for a post that is deleted, not analysed or out of scope, InputError for an unknown path,
        Conflict when somebody corrected it meanwhile.
        """
        actor.require(Role.REVIEWER)
        found = self._archive.get_posts([post], actor.scope).get(post)
        if found is None or found.deleted_at is not None or found.analysis is None:
            raise NotFound("找不到这条帖子，或它已删除、还没有分析", "请刷新页面")
        if known and path not in known:
            raise InputError(f"分类里没有“{joined(path)}”", "从列表中选一个类别")
        stored = self.of(post, actor.scope)
        if (stored.version if stored else 0) != version:
            raise Conflict("别人刚刚改过这条的类别", "请看过最新内容再操作")
        kept = self._keep(stored, found, found.analysis.category, path, actor)
        self._archive.write_analyses([(post, corrected(found.analysis, kept.record))])
        return kept

    def _keep(
        self,
        stored: Stored[Correction] | None,
        post: Post,
        machine: Category,
        path: Path,
        actor: Actor,
    ) -> Stored[Correction]:
        now = self._clock()
        acts = append_act(
            stored.record.acts if stored else (), at=now, actor=actor.id, what="correct-category",
            why=joined(path), digests={"post": text_sha(post.title, post.text)},
        )  # fmt: skip
        if stored is not None:
            changed = stored.record.model_copy(update={"category": path, "acts": acts})
            return self._archive.replace(stored, changed)
        return self._archive.create(
            Correction(
                id=correction_id(post.id), offices=post.offices, post=post.id, category=path,
                was=machine.path, was_by=machine.by, acts=acts,
            )
        )  # fmt: skip

    def everything(self) -> Iterator[Correction]:
        """All corrections, by id; for fitting and counting."""
        after = ""
        while page := self._archive.records(Correction, ALL, limit=_PAGE, after=after):
            yield from (one.record for one in page)
            after = page[-1].record.id

    def examples(self) -> list[Example]:
        """Corrected posts that are still there, by id; deleted ones are no longer examples."""
        found: list[Example] = []
        said = list(self.everything())
        for start in range(0, len(said), _PAGE):
            page = said[start : start + _PAGE]
            posts = self._archive.get_posts([one.post for one in page], ALL)
            for one in page:
                post = posts.get(one.post)
                if post is not None and post.deleted_at is None and post.text.strip():
                    found.append(Example(post.id, join(post.title, post.text), one.category))
        return found

    def kept(self, analyses: Sequence[tuple[Post, Analysis]]) -> list[tuple[str, Analysis]]:
        """(post id, analysis) to be written: what a person set stays when a post is read again."""
        found = []
        for post, analysis in analyses:
            # Only what was shown with a category can have been corrected: the first reading of a
            # post asks nothing.
            stored = self.of(post.id, ALL) if post.analysis is not None else None
            found.append((post.id, corrected(analysis, stored.record) if stored else analysis))
        return found


def correction_id(post: str) -> str:
    """The one correction of a post."""
    return f"correction:{post}"


def corrected(analysis: Analysis, correction: Correction) -> Analysis:
    """The analysis with the category that a person set."""
    path = correction.category
    shares = {joined(one): 1.0 for one in (prefixes(path) or [()])}
    category = Category(path=path, probabilities=shares, by=PERSON)
    return analysis.model_copy(update={"category": category})
