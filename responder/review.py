"""The two-person rule: the only way from a draft to something that may be published.

A draft is approved when a reviewer who neither submitted nor last edited it has agreed to exactly
this text, target and account. What was agreed is looked up again in the archive at the moment of
publishing: an `ApprovedDraft` is a ticket, not a permission of its own.
"""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn, final

from archive.base import Archive, Stored
from huiyin.clock import Clock, system_clock
from huiyin.errors import Conflict, NotAllowed, NotFound
from huiyin.records import (
    Act,
    Actor,
    Draft,
    DraftState,
    Role,
    Scope,
    append_act,
    first_broken_act,
)  # fmt: skip

MARK = "【待核实】"
_TOKEN = object()
_ISSUED: weakref.WeakSet[ApprovedDraft] = weakref.WeakSet()


@final
class ApprovedDraft:
    """A reply that two people stand behind. Made by `Review.ticket` alone; cannot be copied."""

    __slots__ = ("__weakref__", "account", "digest", "draft_id", "target", "text")
    draft_id: str
    text: str
    target: str
    account: str
    digest: str

    def __init__(self, token: object, draft: Draft) -> None:
        if token is not _TOKEN:
            raise _refused("这份拟稿没有经过审核", "走提交和审核两步", "forged")
        for name, value in (
            ("draft_id", draft.id), ("text", draft.text), ("target", draft.target),
            ("account", draft.account), ("digest", digest_of(draft)),
        ):  # fmt: skip
            object.__setattr__(self, name, value)
        _ISSUED.add(self)

    def __init_subclass__(cls, **_: Any) -> NoReturn:
        raise _refused("审核凭据不能另造", "走提交和审核两步", "forged")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise _refused("审核凭据不能改动", "改了文字要重新提交审核", "forged")

    def __delattr__(self, name: str) -> NoReturn:
        raise _refused("审核凭据不能改动", "改了文字要重新提交审核", "forged")

    def __reduce_ex__(self, protocol: object) -> NoReturn:  # pickle, copy and deepcopy
        raise _refused("审核凭据不能复制或保存", "发布时现取", "forged")

    def __copy__(self) -> NoReturn:
        raise _refused("审核凭据不能复制或保存", "发布时现取", "forged")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise _refused("审核凭据不能复制或保存", "发布时现取", "forged")


def approval_digest(text: str, target: str, account: str) -> str:
    """SHA-256, hexadecimal, of exactly this text to this target from this account."""
    body = json.dumps([text, target, account], ensure_ascii=False)
    return hashlib.sha256(body.encode()).hexdigest()


def digest_of(draft: Draft) -> str:
    """`approval_digest` of a draft as it stands."""
    return approval_digest(draft.text, draft.target, draft.account)


def blocked_by(draft: Draft) -> tuple[str, str] | None:
    """Named reason and sentence in Chinese why this text cannot be approved; None when it can."""
    if not draft.text.strip():
        return "empty", "拟稿是空的"
    if "".join(sentence.text for sentence in draft.sentences) != draft.text:
        return "unchecked", "文字还没有逐句核对"
    unsupported = [one.text for one in draft.sentences if not one.supported]
    if unsupported or MARK in draft.text:
        return "unsupported", f"有 {max(1, len(unsupported))} 句没有出处（{MARK}）"
    return None


def check_approval(draft: Draft) -> None:
    """Raise `NotAllowed` unless the record itself proves two people behind exactly this text.

    Not the fields alone count but the chain of acts: it must be whole, its last submission and
    approval must be by two different people, of this digest, with no edit after.
    """
    if first_broken_act(draft.acts) is not None:
        raise _refused("这份拟稿的历史被改动过", "请管理员查看审计记录", "history")
    submitted = _last(draft.acts, "submit")
    approved = _last(draft.acts, "approve")
    edited = _last(draft.acts, "edit", "create")
    if draft.state not in {DraftState.APPROVED, DraftState.PUBLISHED} or not approved:
        raise _refused("还没有审核通过", "请审核员先审核", "not-approved")
    digest = digest_of(draft)
    if draft.approved_digest != digest or approved[1].digests.get("draft") != digest:
        raise _refused("审核之后文字又变了", "重新提交审核", "changed")
    if not submitted or submitted[1].digests.get("draft") != digest:
        raise _refused("提交的不是这段文字", "重新提交审核", "changed")
    if not (edited[0] if edited else -1) < submitted[0] < approved[0]:
        raise _refused("审核之后又有改动", "重新提交审核", "changed")
    people = {submitted[1].actor, edited[1].actor if edited else ""}
    reviewer = approved[1].actor
    if reviewer in people or any(_is_system(one) for one in (reviewer, submitted[1].actor)):
        raise _refused("提交人和审核人必须是两个不同的人", "请另一位审核员审核", "same-person")
    if (draft.submitted_by, draft.reviewed_by) != (submitted[1].actor, reviewer):
        raise _refused("这份拟稿的记录前后不一", "请管理员查看审计记录", "history")
    if (why := blocked_by(draft)) is not None:
        raise _refused(why[1], "补上出处或删去这句", why[0])


class Review:
    """Submit, return, approve; each an optimistic write of the version that the person saw."""

    def __init__(self, archive: Archive, clock: Clock = system_clock) -> None:
        self._archive = archive
        self._clock = clock

    def submit(self, draft_id: str, actor: Actor, version: int) -> Stored[Draft]:
        """Ask for review. The submitter stands behind the text."""
        require_person(actor, Role.DRAFTER, Role.REVIEWER)

        def edit(draft: Draft, now: datetime) -> Draft:
            _expect(draft, DraftState.DRAFT, DraftState.RETURNED)
            return acted(
                draft, actor, now, "submit", digests={"draft": digest_of(draft)},
                state=DraftState.SUBMITTED, submitted_by=actor.id, reviewed_by=None,
                approved_digest=None,
            )  # fmt: skip

        return self.write(draft_id, actor, version, edit)

    def return_(self, draft_id: str, actor: Actor, version: int, why: str) -> Stored[Draft]:
        """Send back with a reason; an approved draft too, as long as it is not published."""
        require_person(actor, Role.REVIEWER)
        if not why.strip():
            raise _refused("退回要说明原因", "写一句哪里要改", "no-reason")

        def edit(draft: Draft, now: datetime) -> Draft:
            _expect(draft, DraftState.SUBMITTED, DraftState.APPROVED)
            return acted(
                draft, actor, now, "return", why=why, state=DraftState.RETURNED,
                reviewed_by=None, approved_digest=None,
            )  # fmt: skip

        return self.write(draft_id, actor, version, edit)

    def approve(self, draft_id: str, actor: Actor, version: int) -> Stored[Draft]:
        """Agree to exactly the text, target and account of `version`.

        Raises `NotAllowed`: `role`, `system`, `same-person`, `unsupported`, `state`, ...
        """
        require_person(actor, Role.REVIEWER)

        def edit(draft: Draft, now: datetime) -> Draft:
            _expect(draft, DraftState.SUBMITTED)
            if actor.id in {draft.submitted_by, draft.written_by}:
                raise _refused("不能审核自己提交或修改的拟稿", "请另一位审核员审核", "same-person")
            if (why := blocked_by(draft)) is not None:
                raise _refused(why[1], "补上出处或删去这句", why[0])
            digest = digest_of(draft)
            approved = acted(
                draft, actor, now, "approve", digests={"draft": digest},
                state=DraftState.APPROVED, reviewed_by=actor.id, approved_digest=digest,
            )  # fmt: skip
            check_approval(approved)
            return approved

        return self.write(draft_id, actor, version, edit)

    def ticket(self, draft_id: str, scope: Scope) -> ApprovedDraft:
        """What a publisher takes; the record is read and checked now."""
        stored = self._archive.get(Draft, draft_id, scope)
        if stored is None:
            raise NotFound(f"没有这份拟稿：{draft_id}", "检查编号和可见范围")
        check_approval(stored.record)
        return ApprovedDraft(_TOKEN, stored.record)

    def verify(self, approved: ApprovedDraft) -> Draft:
        """Check a ticket against the archive; returns the draft as it is there.

        Raises `NotAllowed` for a forged or copied ticket and for one that no longer holds.
        """
        if type(approved) is not ApprovedDraft or approved not in _ISSUED:
            raise _refused("这份拟稿没有经过审核", "走提交和审核两步", "forged")
        stored = self._archive.get(Draft, approved.draft_id, Scope.everything())
        if stored is None:
            raise NotFound(f"没有这份拟稿：{approved.draft_id}", "检查编号")
        check_approval(stored.record)
        if approved.digest != digest_of(stored.record) or approved.text != stored.record.text:
            raise _refused("审核之后文字又变了", "重新提交审核", "changed")
        return stored.record

    def write(
        self, draft_id: str, actor: Actor, version: int, edit: Callable[[Draft, datetime], Draft]
    ) -> Stored[Draft]:
        """Change a draft as the actor saw it. `Conflict` when somebody wrote since."""
        stored = self._archive.get(Draft, draft_id, actor.scope)
        if stored is None:
            raise NotFound(f"没有这份拟稿：{draft_id}", "检查编号和可见范围")
        if stored.version != version:
            raise stale()
        if first_broken_act(stored.record.acts) is not None:
            raise _refused("这份拟稿的历史被改动过", "请管理员查看审计记录", "history")
        changed = edit(stored.record, self._clock())
        try:
            return self._archive.replace(stored, changed)
        except Conflict as error:
            raise stale() from error


def stale() -> Conflict:
    """Somebody else was faster."""
    return Conflict("您打开之后有人改过这份内容", "刷新后看看改了什么，再操作")


def acted(
    draft: Draft, actor: Actor, now: datetime, what: str, *, why: str = "",
    digests: Mapping[str, str] | None = None, **update: Any,
) -> Draft:  # fmt: skip
    """The draft with one more act and the given fields changed."""
    acts = append_act(draft.acts, at=now, actor=actor.id, what=what, why=why, digests=digests)
    return draft.model_copy(update={**update, "acts": acts})


def require_person(actor: Actor, *roles: Role) -> None:
    """Raise `NotAllowed` for a process of ours and for somebody without one of the roles."""
    if _is_system(actor.id):
        raise _refused("系统不能代替人提交或审核", "请登录后操作", "system")
    actor.require(*roles)


def _is_system(actor_id: str) -> bool:
    return not actor_id or actor_id.startswith("system:")


def _expect(draft: Draft, *states: DraftState) -> None:
    if draft.state not in states:
        raise _refused(f"拟稿现在是“{STATES[draft.state]}”，不能这样做", "刷新后再看", "state")


STATES = {
    DraftState.DRAFT: "草稿",
    DraftState.SUBMITTED: "待审核",
    DraftState.RETURNED: "已退回",
    DraftState.APPROVED: "已通过",
    DraftState.PUBLISHED: "已发布",
}
"""Names that people read."""


def _last(acts: tuple[Act, ...], *what: str) -> tuple[int, Act] | None:
    found = [(position, act) for position, act in enumerate(acts) if act.what in what]
    return found[-1] if found else None


def _refused(message: str, mend: str, reason: str) -> NotAllowed:
    return NotAllowed(message, mend, reason=reason)
