"""A post on an own account that no approved draft explains is told; a person explains it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from archive.base import Archive
from crawler import AccountBook, Identity
from crawler.build import Builder
from crawler.own_posts import RULE, OwnPosts, explain, explains
from huiyin.errors import InputError, NotAllowed, NotFound
from huiyin.records import (
    Actor,
    Alert,
    AlertState,
    Draft,
    DraftState,
    Post,
    Role,
    Scope,
    Setting,
    append_act,
    first_broken_act,
)
from tests.crawler.conftest import NOW
from tests.crawler.reader import source

ALL = Scope.everything()
TEXT = "您好，幸福路的路灯今天下午已经修好，感谢您的反映，有问题请拨打12345。"
LI = Actor("li", "李审核", frozenset({Role.REVIEWER}), Scope.of("weibo:101"))


def own_post(build: Builder, number: int, text: str, hours: float, uid: str = "101") -> Post:
    return build.post(platform="weibo", native=str(number), text=text, uid=uid, query="timeline",
                      created_at=NOW + timedelta(hours=hours))  # fmt: skip


def approved(text: str, hours: float, account: str = "weibo:101") -> Draft:
    at = NOW + timedelta(hours=hours)
    acts = append_act((), at=at, actor="li", what="approve")
    return Draft(
        id=f"draft:{account}:{hours}", case="case:1", target="weibo:1", account=account, text=text,
        state=DraftState.APPROVED, written_by="wang", created_at=at, acts=acts,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "hours", "holds"),
    [(TEXT, 0.1, True), (f"回复@某用户：{TEXT} https://t.cn/A1", 5, True), (TEXT, 30, False),
     (TEXT, -1, False), ("加微信领红包，点击链接", 0.1, False),
     (TEXT[:12], 0.1, False), (TEXT + "另外本店茶叶打折，加微信买，包邮到家" * 2, 0.1, False)],
)  # fmt: skip
def test_what_an_approved_draft_explains(
    build: Builder, text: str, hours: float, holds: bool
) -> None:
    draft, post = approved(TEXT, 0), own_post(build, 5, text, hours)
    assert explains(draft, post) == holds
    assert not explains(approved(TEXT, 0, "weibo:102"), post)  # approved for another account
    submitted = draft.model_copy(update={"state": DraftState.SUBMITTED})
    assert not explains(submitted, post)


def test_a_post_that_nobody_approved_is_told_once_and_explained_by_name(
    archive: Archive, build: Builder, identity: Identity, book: AccountBook
) -> None:
    own, timeline = OwnPosts(archive, identity), source("timeline")
    archive.put_posts([own_post(build, 1, "昨天的旧闻", -20)])
    assert not list(own.alerts([timeline], book, NOW))  # stood there before it was watched
    archive.create(approved(TEXT, 1))
    archive.put_posts([
        own_post(build, 2, TEXT, 1.2),
        own_post(build, 3, "加微信领红包，点击链接", 1.3),
        own_post(build, 4, "下级单位的公告提到 @云渡发布", 1.4, uid="102"),
    ])  # fmt: skip
    later = NOW + timedelta(hours=2)
    (told,) = own.alerts([timeline], book, later)
    assert "红包" in told.text and "云渡发布" in told.title and told.id.endswith("weibo:3")
    again = OwnPosts(archive, identity)  # another process, after a kill
    assert [one.id for one in again.alerts([timeline], book, later)] == [told.id]
    assert len(archive.records(Setting, ALL)) == 1

    archive.create(told)
    with pytest.raises(InputError):
        explain(archive, told.id, LI, " ", later)
    with pytest.raises(NotAllowed):
        nobody = Actor("x", "x", frozenset({Role.RESEARCHER}), LI.scope)
        explain(archive, told.id, nobody, "办公室发的", later)
    with pytest.raises(NotFound):
        stranger = Actor("x", "x", LI.roles, Scope.of("weibo:999"))
        explain(archive, told.id, stranger, "办公室发的", later)
    explain(archive, told.id, LI, "宣传科值班用手机直接发的", later)
    stored = archive.get(Alert, told.id, ALL)
    assert stored is not None and stored.record.state is AlertState.ACKNOWLEDGED
    (act,) = stored.record.acts
    assert (act.actor, act.what, act.why) == ("li", "explain", "宣传科值班用手机直接发的")
    assert first_broken_act(stored.record.acts) is None
    other = told.model_copy(update={"id": "alert:x", "rule": "source-health"})
    archive.create(other)
    with pytest.raises(NotAllowed):
        explain(archive, "alert:x", LI, "不是这一类", later)
    assert told.rule == RULE
