"""Posts on an own account that nobody here approved: theft, or a mistake.

A draft explains a post when it was approved for that account, and the post says the same within a
day of the approval (or of being handed out for pasting). What stood there before the account was
watched never counts. Each unexplained post is told once; a person may then explain it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from archive.base import Archive, Filters, Stored
from crawler.privacy import Identity
from crawler.values import CHINA
from huiyin.errors import Conflict, InputError, NotAllowed
from huiyin.records import (
    Actor,
    Alert,
    AlertState,
    Draft,
    DraftState,
    Kind,
    Post,
    Role,
    Scope,
    Setting,
    Source,
    append_act,
)

if TYPE_CHECKING:
    from crawler.accounts import AccountBook

RULE = "own-post"
LOOK_BACK = timedelta(days=3)
"""Posts older than this are not told any more: the warning would come too late."""
BEFORE = timedelta(minutes=10)
"""Clocks of two machines: a post may seem a little older than its approval."""
AFTER = timedelta(hours=24)
"""After approval, and again after being handed out, a draft explains a post for so long."""
ALIKE = 0.8
"""Part of the words that must agree: platforms add names and links, masking hides numbers."""
_DRAFTS = 500
_NO_WORDS = re.compile(
    r"https?://[!-~]+|网页链接|回复@[^:：\s]{1,30}[:：]|@\S{1,30}|【[^】]{1,6}】|[\W_]+"
)
_EVERYTHING = Scope.everything()


class OwnPosts:
    """Looks at the timelines of own accounts. Used from one thread."""

    def __init__(self, archive: Archive, identity: Identity) -> None:
        self._archive, self._identity = archive, identity
        self._since: dict[str, datetime] = {}
        self._fine: set[str] = set()
        """Ids of posts that a draft explains."""

    def alerts(
        self, timelines: Iterable[Source], accounts: AccountBook, now: datetime
    ) -> Iterator[Alert]:
        """An alert for each post that no draft explains; the same id each time."""
        for source in timelines:
            known = accounts.accounts.get(source.account)
            name = known.name if known else source.account
            posts = self._new_posts(source, now)
            drafts = self._drafts(source.account) if posts else []
            for post in posts:
                if any(explains(draft, post) for draft in drafts):
                    self._fine.add(post.id)
                else:
                    yield _alert(post, name, source, now)

    def _new_posts(self, source: Source, now: datetime) -> list[Post]:
        since = max(self._watched_since(source.account, now), now - LOOK_BACK)
        return [
            post for post in posts_of_account(self._archive, self._identity, source, since)
            if post.deleted_at is None and post.id not in self._fine
        ]  # fmt: skip

    def _watched_since(self, account: str, now: datetime) -> datetime:
        """When this was looked at for the first time, by any process."""
        if account not in self._since:
            name = f"{RULE}:{account}"
            with suppress(Conflict):
                self._archive.create(Setting(id=name, value=now.isoformat()))
            stored = self._archive.get(Setting, name, _EVERYTHING)
            self._since[account] = datetime.fromisoformat(stored.record.value) if stored else now
        return self._since[account]

    def _drafts(self, account: str) -> list[Draft]:
        return [
            one.record
            for state in (DraftState.APPROVED, DraftState.PUBLISHED)
            for one in self._archive.records(
                Draft, _EVERYTHING, state=state.value, limit=_DRAFTS, newest_first=True
            )
            if one.record.account == account
        ]


def posts_of_account(
    archive: Archive, identity: Identity, timeline: Source, since: datetime
) -> Iterator[Post]:
    """What an own account posted, whichever list brought it first."""
    key = identity.author_key("weibo", timeline.parameters["uid"])
    filters = Filters(since=since, kinds=(Kind.NOTICE,), offices=(timeline.account,))
    for post in archive.iter_posts(_EVERYTHING, filters):
        if post.author.key == key:
            yield post


def explains(draft: Draft, post: Post) -> bool:
    """True when the post may be what was approved: the same account, time and words."""
    if draft.account not in post.offices or draft.state not in _APPROVED:
        return False
    times = [act.at for act in draft.acts if act.what in ("approve", "publish", "publish-again")]
    if not any(at - BEFORE <= post.created_at <= at + AFTER for at in times):
        return False
    return _alike(draft.text, post.text)


_APPROVED = frozenset({DraftState.APPROVED, DraftState.PUBLISHED})


def _alike(approved: str, posted: str) -> bool:
    one, other = _NO_WORDS.sub("", approved), _NO_WORDS.sub("", posted)
    if not one or not other:
        return False
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks() if block.size > 1)
    return same >= ALIKE * max(len(one), len(other))


def _alert(post: Post, name: str, source: Source, now: datetime) -> Alert:
    at = post.created_at.astimezone(CHINA)
    return Alert(
        id=f"alert:{RULE}:{post.id}", offices=source.offices, incident="", rule=RULE,
        title=f"{name}：有一条内容找不到审批记录", created_at=now,
        text=f"{name} 在 {at:%m月%d日 %H:%M} 发布了：“{post.text[:80]}”。"
             "回音里没有通过审核的草稿与它相符。可能是账号被盗用、误发，或用别的方式发布。"
             f"请账号保管人核对：{post.url or post.id}；"
             "不是本单位发的，立即改密码并联系平台；是本单位发的，在“今天”页写明是谁、为什么发。",
    )  # fmt: skip


def explain(
    archive: Archive, alert_id: str, actor: Actor, why: str, now: datetime
) -> Stored[Alert]:
    """A person says what is behind a post; kept with name and reason, and no longer open.

    Raises `InputError` without words, `NotAllowed` without a role of the office, `NotFound`.
    """
    actor.require(Role.DRAFTER, Role.REVIEWER, Role.ON_CALL, Role.OPERATOR)
    if len(why.strip()) < 2:
        raise InputError("没有写说明", "写明是谁发的、为什么不经审核")

    def edit(alert: Alert) -> Alert:
        if alert.rule != RULE:
            raise NotAllowed(
                "这条提醒不是关于本账号内容的", "在“今天”页选对应的那条", reason="rule"
            )
        acts = append_act(alert.acts, at=now, actor=actor.id, what="explain", why=why.strip()[:500])
        return alert.model_copy(
            update={
                "state": AlertState.ACKNOWLEDGED, "acts": acts,
                "deliveries": tuple(
                    one if one.state in ("sent", "dead")
                    else one.model_copy(update={"state": "dead", "error": f"{actor.name}已说明"})
                    for one in alert.deliveries
                ),
                "acknowledged_by": actor.id, "acknowledged_at": now,
            }
        )  # fmt: skip

    return archive.change(Alert, alert_id, actor.scope, edit)
