"""The answering desk: what the console and the command line call.

Every question takes the asker's scope, every act the actor and the version that was on the screen;
a record outside the scope does not exist, a stale version is a `Conflict`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from archive.base import Archive, Stored
from huiyin.clock import Clock, system_clock
from huiyin.errors import Conflict, InputError, NotAllowed, NotFound
from huiyin.records import (
    Account,
    Actor,
    AuthorKind,
    Case,
    CaseState,
    Draft,
    DraftState,
    Kind,
    Post,
    Role,
    Scope,
    append_act,
)  # fmt: skip
from responder import cases, drafting
from responder.base import Embedder, Published, Publisher
from responder.evidence import Found, Retriever
from responder.publishing import Clipboard
from responder.review import Review, acted, digest_of, require_person, stale

ALL = Scope.everything()
DRAFTER = Actor.system("drafter")


@dataclass(frozen=True)
class CaseView:
    """A case with what belongs to it, as the console shows it."""

    case: Stored[Case]
    post: Post | None
    draft: Stored[Draft] | None
    duplicate_of: str
    """Id of an earlier case with the same words, or empty."""
    overdue: bool


class Desk:
    """Cases, drafts, review and publishing for people; see `responder.review` for the rule."""

    def __init__(
        self,
        archive: Archive,
        *,
        embedder: Embedder | None = None,
        clock: Clock = system_clock,
        publisher: Publisher | None = None,
        own_accounts: Sequence[str] = (),
    ) -> None:
        """`own_accounts`: official accounts of the office that have no `Account` record."""
        self._archive = archive
        self._clock = clock
        self._review = Review(archive, clock)
        self._retriever = Retriever(archive, embedder)
        self._publisher = publisher or Clipboard(self._review, clock)
        self._own = frozenset(own_accounts)

    # ---- questions

    def inbox(
        self, scope: Scope, *, state: CaseState | None = None, limit: int = 200
    ) -> list[CaseView]:
        """Cases in scope, nearest deadline first; without `state` those not published or closed."""
        states = (state,) if state else (
            CaseState.OPEN, CaseState.DRAFTED, CaseState.IN_REVIEW, CaseState.APPROVED,
        )  # fmt: skip
        found: list[Stored[Case]] = []
        for one in states:
            found.extend(self._archive.records(Case, scope, state=one, limit=10_000))
        chosen = cases.by_urgency(found)[:limit]
        posts = self._archive.get_posts([one.record.post for one in chosen], scope)
        now = self._clock()
        return [self._view(one, posts, scope, now) for one in chosen]

    def case(self, case_id: str, scope: Scope) -> CaseView:
        """One case with its post and draft. `NotFound` outside the scope."""
        stored = self._archive.get(Case, case_id, scope)
        if stored is None:
            raise NotFound(f"没有这个办件：{case_id}", "检查编号和可见范围")
        posts = self._archive.get_posts([stored.record.post], scope)
        return self._view(stored, posts, scope, self._clock())

    def draft(self, draft_id: str, scope: Scope) -> Stored[Draft]:
        """One draft as it is now. `NotFound` outside the scope."""
        stored = self._archive.get(Draft, draft_id, scope)
        if stored is None:
            raise NotFound(f"没有这份拟稿：{draft_id}", "检查编号和可见范围")
        return stored

    def evidence(self, case_id: str, scope: Scope, *, limit: int = 5) -> list[Found]:
        """Notices that may answer the case, best first, whether or not a draft uses them."""
        view = self.case(case_id, scope)
        if view.post is None:
            return []
        return self._retriever.find(view.post, view.case.record.account, self._clock(), limit=limit)

    # ---- drafting

    def draft_for(self, reference: str, actor: Actor) -> Stored[Draft]:
        """The draft of a case or post id; written by the machine when there is none yet.

        Opens the case when the post has none. Raises `NotFound` outside the actor's scope and
        `NotAllowed` for a deleted post or one without an account that could answer.
        """
        case = self._case_for(reference, actor)
        known = self._archive.get(Draft, draft_id(case.id), actor.scope)
        if known is not None:
            return known
        if case.state is CaseState.CLOSED:
            raise NotAllowed("这个办件已经办结", "需要重开请找管理员", reason="closed")
        post = self._post(case, actor.scope)
        now = self._clock()
        written = drafting.write(post, self._retriever.find(post, case.account, now), now)
        extra = self._about_duplicate(case)
        draft = Draft(
            id=draft_id(case.id), offices=case.offices, case=case.id, target=post.id,
            account=case.account, text=written.text, sentences=written.sentences,
            style_notes=(*extra, *written.style_notes), written_by=DRAFTER.id, created_at=now,
        )  # fmt: skip
        draft = acted(
            draft, DRAFTER, now, "create", why=f"由 {actor.id} 要求",
            digests={"draft": digest_of(draft)},
        )  # fmt: skip
        try:
            stored = self._archive.create(draft)
        except Conflict:  # somebody asked at the same moment: theirs counts
            return self.draft(draft.id, actor.scope)
        cases.follow(self._archive, stored.record, now)
        return stored

    def edit(
        self, draft_id: str, text: str, actor: Actor, version: int,
        *, cite: Sequence[str] | None = None,
    ) -> Stored[Draft]:  # fmt: skip
        """Replace the text; every sentence is checked again. An approval or submission is void.

        `cite`: ids of official notices to rest on; None = those cited before and those found for
        the case now (a sentence that one supports then cites it). Raises `Conflict` for a stale
        version, `InputError` for an empty text or a source that is no official notice.
        """
        require_person(actor, Role.DRAFTER, Role.REVIEWER)
        if not text.strip():
            raise InputError("拟稿不能是空的", "写几句话，或把办件转办、办结")

        def change(draft: Draft, now: datetime) -> Draft:
            if draft.state is DraftState.PUBLISHED:
                raise NotAllowed("已经发布的回复不能再改", "需要补充请另写一条", reason="state")
            case = self.case(draft.case, actor.scope).case.record
            post = self._post(case, actor.scope)
            evidence = self._evidence_for(draft, case, post, cite, now)
            written = drafting.rewrite(text, post, evidence, now)
            edited = draft.model_copy(
                update={
                    "text": written.text, "sentences": written.sentences,
                    "style_notes": written.style_notes, "state": DraftState.DRAFT,
                    "written_by": actor.id, "submitted_by": actor.id, "reviewed_by": None,
                    "approved_digest": None,
                }
            )  # fmt: skip
            return acted(edited, actor, now, "edit", digests={"draft": digest_of(edited)})

        return self._followed(self._review.write(draft_id, actor, version, change))

    # ---- review and publishing

    def submit(self, draft_id: str, actor: Actor, version: int) -> Stored[Draft]:
        """Ask for review; see `Review.submit`."""
        return self._followed(self._review.submit(draft_id, actor, version))

    def return_(self, draft_id: str, actor: Actor, version: int, why: str) -> Stored[Draft]:
        """Send back with a reason; see `Review.return_`."""
        return self._followed(self._review.return_(draft_id, actor, version, why))

    def approve(self, draft_id: str, actor: Actor, version: int) -> Stored[Draft]:
        """Agree to exactly what `version` says; see `Review.approve`.

        Refused as `unsupported` too when a notice it rests on has been deleted meanwhile.
        """
        draft = self.draft(draft_id, actor.scope).record
        sources = _sources(draft)
        there = self._archive.get_posts(sources, ALL)
        if any(one not in there or there[one].deleted_at is not None for one in sources):
            raise NotAllowed("所引的依据已被删除", "退回修改，换一个依据", reason="unsupported")
        return self._followed(self._review.approve(draft_id, actor, version))

    def publish(
        self, draft_id: str, actor: Actor, version: int, *, looked_for: str = ""
    ) -> Published:
        """Hand the approved text over for pasting, and record that it was.

        A second time needs `looked_for`: in a person's words, that the first is not on the
        platform. Raises `NotAllowed`: `not-approved`, `account`, `published`, `deleted`, `closed`.
        """
        require_person(actor, Role.DRAFTER, Role.REVIEWER)
        stored = self.draft(draft_id, actor.scope)
        ticket = self._review.ticket(draft_id, actor.scope)
        self._may_go_out(stored.record, actor, looked_for)

        def change(draft: Draft, now: datetime) -> Draft:
            again = draft.state is DraftState.PUBLISHED
            return acted(
                draft, actor, now, "publish-again" if again else "publish", why=looked_for,
                digests={"draft": digest_of(draft)}, state=DraftState.PUBLISHED,
                published_at=draft.published_at or now,
            )  # fmt: skip

        # Recorded before the text leaves: of two people at once one gets it, and a kill in
        # between means looking on the platform first, never a second reply.
        self._followed(self._review.write(draft_id, actor, version, change))
        return self._publisher.publish(ticket)

    # ---- the case itself

    def hand_over(
        self, case_id: str, actor: Actor, version: int, to: str, why: str
    ) -> Stored[Case]:
        """Give the case to another official account, which answers from now on.

        Refused once a draft is approved or published: approval names the account.
        """
        require_person(actor, Role.DRAFTER, Role.REVIEWER)
        target = self._archive.get(Account, to, ALL)
        if target is None:
            raise InputError(f"账号矩阵里没有 {to}", "从账号列表里选一个")
        draft = self._archive.get(Draft, draft_id(case_id), actor.scope)
        if draft is not None:
            raise NotAllowed("已有拟稿，不能再转办", "先办结，再由对方另开", reason="drafted")
        offices = (to, *target.record.offices)

        def edit(case: Case, now: datetime) -> Case:
            acts = append_act(
                case.acts, at=now, actor=actor.id, what="hand-over", why=f"{to}：{why}"
            )
            united = tuple(dict.fromkeys((*case.offices, *offices)))
            return case.model_copy(update={"account": to, "offices": united, "acts": acts})

        return self._change_case(case_id, actor, version, why, edit)

    def close(self, case_id: str, actor: Actor, version: int, why: str) -> Stored[Case]:
        """End a case without a reply (answered by phone, not ours, no answer wanted ...)."""
        require_person(actor, Role.DRAFTER, Role.REVIEWER)

        def edit(case: Case, now: datetime) -> Case:
            acts = append_act(case.acts, at=now, actor=actor.id, what="close", why=why)
            return case.model_copy(
                update={"state": CaseState.CLOSED, "closed_reason": why, "acts": acts}
            )

        return self._change_case(case_id, actor, version, why, edit)

    # ---- helpers

    def _view(
        self, stored: Stored[Case], posts: Mapping[str, Post], scope: Scope, now: datetime
    ) -> CaseView:
        case = stored.record
        done = case.state in {CaseState.PUBLISHED, CaseState.CLOSED}
        return CaseView(
            stored, posts.get(case.post), self._archive.get(Draft, draft_id(case.id), scope),
            cases.duplicate_of(case), not done and now > case.due_at,
        )  # fmt: skip

    def _case_for(self, reference: str, actor: Actor) -> Case:
        known = self._archive.get(Case, reference, actor.scope) or self._archive.get(
            Case, cases.case_id(reference), actor.scope
        )
        if known is not None:
            return known.record
        post = self._archive.get_posts([reference], actor.scope).get(reference)
        if post is None:
            raise NotFound(f"没有这条帖文或办件：{reference}", "检查编号和可见范围")
        if post.deleted_at is not None:
            raise NotAllowed("原帖已经删除，不用再回复", "把办件办结", reason="deleted")
        return cases.open_case(self._archive, post, actor, self._clock())[0].record

    def _post(self, case: Case, scope: Scope) -> Post:
        post = self._archive.get_posts([case.post], scope).get(case.post)
        if post is None:
            raise NotFound(f"没有这条帖文：{case.post}", "检查编号和可见范围")
        if post.deleted_at is not None:
            raise NotAllowed("原帖已经删除，不用再回复", "把办件办结", reason="deleted")
        return post

    def _notices(self, ids: Sequence[str]) -> list[Post]:
        found = self._archive.get_posts(ids, ALL)
        for one in ids:
            notice = found.get(one)
            if (
                notice is None
                or notice.kind is not Kind.NOTICE
                or notice.author.kind is not AuthorKind.GOVERNMENT
            ):
                raise InputError(f"{one} 不是官方通告，不能作出处", "从依据列表里选")
        return [found[one] for one in ids if found[one].deleted_at is None]

    def _evidence_for(
        self, draft: Draft, case: Case, post: Post, cite: Sequence[str] | None, now: datetime
    ) -> list[Post]:
        if cite is not None:
            return self._notices(cite)
        cited = self._notices([one for one in _sources(draft) if one != post.id])
        found = [one.notice for one in self._retriever.find(post, case.account, now)]
        return list({one.id: one for one in (*cited, *found)}.values())

    def _about_duplicate(self, case: Case) -> tuple[str, ...]:
        original = cases.duplicate_of(case)
        if not original:
            return ()
        draft = self._archive.get(Draft, draft_id(original), ALL)
        answered = draft is not None and draft.record.state is DraftState.PUBLISHED
        then = "已经回复过，先看那条回复是否适用" if answered else "请合并办理，避免重复回复"
        return (f"内容重复：与 {original} 相同→{then}",)

    def _may_go_out(self, draft: Draft, actor: Actor, looked_for: str) -> None:
        case = self.case(draft.case, actor.scope).case.record
        self._post(case, actor.scope)
        if case.state is CaseState.CLOSED:
            raise NotAllowed("这个办件已经办结", "不用再发", reason="closed")
        known = self._archive.get(Account, draft.account, ALL)
        own = draft.account in self._own or known is not None
        if not own or not actor.scope.allows((draft.account,)):
            raise NotAllowed(
                "只能用本单位自己的官方账号回复",
                "转给该账号的单位，或请管理员授权",
                reason="account",
            )
        if draft.state is DraftState.PUBLISHED and not looked_for.strip():
            raise NotAllowed(
                "这条回复已经发过", "先到平台上找，确实没有再说明后重发", reason="published"
            )

    def _followed(self, stored: Stored[Draft]) -> Stored[Draft]:
        cases.follow(self._archive, stored.record, self._clock())
        return stored

    def _change_case(
        self, case_id: str, actor: Actor, version: int, why: str,
        edit: Callable[[Case, datetime], Case],
    ) -> Stored[Case]:  # fmt: skip
        if not why.strip():
            raise InputError("没有说明原因", "写一句为什么")
        stored = self._archive.get(Case, case_id, actor.scope)
        if stored is None:
            raise NotFound(f"没有这个办件：{case_id}", "检查编号和可见范围")
        if stored.version != version:
            raise stale()
        if stored.record.state in {CaseState.CLOSED, CaseState.PUBLISHED}:
            raise NotAllowed("这个办件已经结束", "刷新后再看", reason="state")
        try:
            return self._archive.replace(stored, edit(stored.record, self._clock()))
        except Conflict as error:
            raise stale() from error


def draft_id(case: str) -> str:
    """The one draft of a case."""
    return f"draft:{case}"


def _sources(draft: Draft) -> list[str]:
    """Posts cited by any sentence, each once."""
    return list(dict.fromkeys(one for line in draft.sentences for one in line.sources))
