"""Promise 1: nothing is published unless two different people stand behind exactly that text."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading
from typing import Any

import pytest

from huiyin.errors import Conflict, NotAllowed, NotFound
from huiyin.records import (
    Actor,
    Case,
    CaseState,
    Draft,
    DraftState,
    Role,
    Scope,
    append_act,
    first_broken_act,
)  # fmt: skip
from responder.publishing import Clipboard
from responder.review import ApprovedDraft, Review, approval_digest
from tests.responder.conftest import OTHER, WATER, Office, actor

ALL = Scope.everything()


def submitted(office: Office) -> Any:
    stored = office.desk.draft_for(office.post.id, office.writer)
    return office.desk.submit(stored.record.id, office.writer, stored.version)


def approved(office: Office) -> Any:
    stored = submitted(office)
    return office.desk.approve(stored.record.id, office.reviewer, stored.version)


def refused(reason: str, act: Any, *args: Any, **more: Any) -> None:
    with pytest.raises(NotAllowed) as caught:
        act(*args, **more)
    assert caught.value.reason == reason
    assert caught.value.mend


def test_two_people_bring_a_reply_out(office: Office) -> None:
    stored = approved(office)
    published = office.desk.publish(stored.record.id, office.writer, stored.version)
    draft = office.archive.get(Draft, stored.record.id, ALL).record
    assert published.text == draft.text == stored.record.text
    assert (draft.submitted_by, draft.reviewed_by) == ("li", "zhao")
    assert draft.approved_digest == approval_digest(draft.text, office.post.id, WATER)
    assert draft.state is DraftState.PUBLISHED
    assert first_broken_act(draft.acts) is None
    assert [act.what for act in draft.acts] == ["create", "submit", "approve", "publish"]
    assert office.archive.get(Case, draft.case, ALL).record.state is CaseState.PUBLISHED


def test_nobody_approves_what_they_submitted(office: Office) -> None:
    stored = office.desk.draft_for(office.post.id, office.reviewer2)
    stored = office.desk.submit(stored.record.id, office.reviewer2, stored.version)
    refused("same-person", office.desk.approve, stored.record.id, office.reviewer2, stored.version)


def test_nobody_approves_what_they_edited_though_another_submitted(office: Office) -> None:
    stored = office.desk.draft_for(office.post.id, office.writer)
    stored = office.desk.edit(
        stored.record.id, stored.record.text, office.reviewer2, stored.version
    )
    assert stored.record.submitted_by == "qian"
    stored = office.desk.submit(stored.record.id, office.writer, stored.version)
    refused("same-person", office.desk.approve, stored.record.id, office.reviewer2, stored.version)
    stored = office.desk.approve(stored.record.id, office.reviewer, stored.version)
    assert stored.record.state is DraftState.APPROVED


@pytest.mark.parametrize("act", ["submit", "approve", "publish"])
def test_the_system_stands_behind_nothing(office: Office, act: str) -> None:
    everything = Actor("system:robot", "robot", frozenset(Role), ALL)
    stored = {
        "submit": lambda: office.desk.draft_for(office.post.id, office.writer),
        "approve": lambda: submitted(office),
        "publish": lambda: approved(office),
    }[act]()
    refused("system", getattr(office.desk, act), stored.record.id, everything, stored.version)


@pytest.mark.parametrize(
    "roles", [(), (Role.DRAFTER,), (Role.ON_CALL, Role.RESEARCHER, Role.OPERATOR)]
)
def test_only_a_reviewer_approves(office: Office, roles: tuple[Role, ...]) -> None:
    stored = submitted(office)
    who = actor("someone", *roles)
    refused("role", office.desk.approve, stored.record.id, who, stored.version)


def test_an_edit_after_approval_voids_it(office: Office) -> None:
    stored = approved(office)
    edited = office.desk.edit(
        stored.record.id, stored.record.text + "谢谢您。", office.writer, stored.version
    )
    assert edited.record.state is DraftState.DRAFT
    assert edited.record.approved_digest is None
    refused("not-approved", office.desk.publish, edited.record.id, office.writer, edited.version)


def test_approval_can_be_taken_back_with_a_reason(office: Office) -> None:
    stored = approved(office)
    refused(
        "no-reason", office.desk.return_, stored.record.id, office.reviewer, stored.version, " "
    )
    back = office.desk.return_(stored.record.id, office.reviewer, stored.version, "语气太硬")
    assert back.record.acts[-1].why == "语气太硬"
    refused("not-approved", office.desk.publish, back.record.id, office.writer, back.version)


def test_text_swapped_under_the_approval_is_noticed(office: Office) -> None:
    """Somebody writes the archive past the desk: the digest of the approval gives it away."""
    stored = approved(office)
    sentences = (stored.record.sentences[0].model_copy(update={"text": "不用还了。"}),)
    swapped = stored.record.model_copy(update={"text": "不用还了。", "sentences": sentences})
    written = office.archive.replace(stored, swapped)
    refused("changed", office.desk.publish, written.record.id, office.writer, written.version)


@pytest.mark.parametrize("field", ["target", "account"])
def test_another_target_or_account_needs_a_new_approval(office: Office, field: str) -> None:
    stored = approved(office)
    written = office.archive.replace(stored, stored.record.model_copy(update={field: OTHER}))
    refused("changed", office.desk.publish, written.record.id, office.writer, written.version)


def test_fields_alone_approve_nothing(office: Office) -> None:
    stored = office.desk.draft_for(office.post.id, office.writer)
    draft = stored.record
    forged = draft.model_copy(
        update={
            "state": DraftState.APPROVED, "submitted_by": "li", "reviewed_by": "zhao",
            "approved_digest": approval_digest(draft.text, draft.target, draft.account),
        }
    )  # fmt: skip
    written = office.archive.replace(stored, forged)
    refused("not-approved", office.desk.publish, draft.id, office.writer, written.version)


def test_a_changed_act_is_noticed(office: Office) -> None:
    stored = approved(office)
    acts = list(stored.record.acts)
    acts[1] = acts[1].model_copy(update={"actor": "somebody-else"})
    written = office.archive.replace(
        stored, stored.record.model_copy(update={"acts": tuple(acts), "submitted_by": "x"})
    )
    assert first_broken_act(written.record.acts) == 1
    refused("history", office.desk.publish, written.record.id, office.writer, written.version)
    refused(
        "history", office.desk.return_, written.record.id, office.reviewer, written.version, "?"
    )


def test_one_person_under_both_acts_is_noticed_though_the_chain_holds(office: Office) -> None:
    stored = submitted(office)
    draft = stored.record
    digest = approval_digest(draft.text, draft.target, draft.account)
    acts = append_act(
        draft.acts, at=office.clock(), actor="li", what="approve", digests={"draft": digest}
    )
    written = office.archive.replace(
        stored,
        draft.model_copy(
            update={
                "state": DraftState.APPROVED, "reviewed_by": "li", "approved_digest": digest,
                "acts": acts,
            }
        ),
    )  # fmt: skip
    refused("same-person", office.desk.publish, draft.id, office.writer, written.version)


def test_a_ticket_cannot_be_forged_copied_or_changed(office: Office) -> None:
    stored = approved(office)
    review = Review(office.archive, office.clock)
    clipboard = Clipboard(review, office.clock)
    ticket = review.ticket(stored.record.id, office.writer.scope)
    assert clipboard.publish(ticket).text == stored.record.text
    refused("forged", ApprovedDraft, object(), stored.record)
    refused("forged", pickle.dumps, ticket)
    refused("forged", copy.copy, ticket)
    refused("forged", copy.deepcopy, ticket)
    refused("forged", setattr, ticket, "text", "别的话")
    refused("forged", delattr, ticket, "text")
    with pytest.raises((TypeError, AttributeError)):
        dataclasses.replace(ticket, text="别的话")  # type: ignore[type-var]
    empty = object.__new__(ApprovedDraft)
    for name in ("draft_id", "text", "target", "account", "digest"):
        object.__setattr__(empty, name, getattr(ticket, name))
    refused("forged", clipboard.publish, empty)
    refused("forged", clipboard.publish, stored.record)
    with pytest.raises(NotAllowed):
        type("Mine", (ApprovedDraft,), {})


def test_a_ticket_is_worth_nothing_after_an_edit(office: Office) -> None:
    stored = approved(office)
    review = Review(office.archive, office.clock)
    ticket = review.ticket(stored.record.id, office.writer.scope)
    office.desk.edit(stored.record.id, "您好，谢谢。", office.writer, stored.version)
    refused("not-approved", Clipboard(review, office.clock).publish, ticket)


def test_a_ticket_changed_by_force_publishes_the_archive_or_nothing(office: Office) -> None:
    stored = approved(office)
    review = Review(office.archive, office.clock)
    ticket = review.ticket(stored.record.id, office.writer.scope)
    object.__setattr__(ticket, "text", "别的话")
    refused("changed", Clipboard(review, office.clock).publish, ticket)


def test_foreign_scope_sees_and_does_nothing(office: Office) -> None:
    stored = submitted(office)
    desk, who, name, version = office.desk, office.stranger, stored.record.id, stored.version
    assert desk.inbox(who.scope) == []
    for call in (
        lambda: desk.case(stored.record.case, who.scope),
        lambda: desk.draft(name, who.scope),
        lambda: desk.evidence(stored.record.case, who.scope),
        lambda: desk.draft_for(office.post.id, who),
        lambda: desk.draft_for(stored.record.case, who),
        lambda: desk.edit(name, "您好。", who, version),
        lambda: desk.submit(name, who, version),
        lambda: desk.return_(name, who, version, "不好"),
        lambda: desk.approve(name, who, version),
        lambda: desk.publish(name, who, version),
        lambda: desk.close(stored.record.case, who, version, "完"),
    ):
        with pytest.raises(NotFound):
            call()
    assert office.archive.get(Draft, name, ALL).version == version


@pytest.mark.parametrize("act", ["edit", "submit", "return_", "approve", "publish"])
def test_a_stale_version_is_a_conflict(office: Office, act: str) -> None:
    stored = {
        "edit": lambda: office.desk.draft_for(office.post.id, office.writer),
        "submit": lambda: office.desk.draft_for(office.post.id, office.writer),
        "return_": lambda: submitted(office),
        "approve": lambda: submitted(office),
        "publish": lambda: approved(office),
    }[act]()
    name, old = stored.record.id, stored.version - 1
    arguments = {
        "edit": (name, "您好。", office.writer, old),
        "submit": (name, office.writer, old),
        "return_": (name, office.reviewer, old, "不好"),
        "approve": (name, office.reviewer, old),
        "publish": (name, office.writer, old),
    }[act]
    with pytest.raises(Conflict, match="有人改过"):
        getattr(office.desk, act)(*arguments)


def test_of_two_reviewers_at_once_one_counts(office: Office) -> None:
    stored = submitted(office)
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def approve(who: Actor) -> None:
        start.wait()
        try:
            office.desk.approve(stored.record.id, who, stored.version)
            outcomes.append(who.id)
        except (Conflict, NotAllowed):
            outcomes.append("")

    threads = [
        threading.Thread(target=approve, args=(who,)) for who in (office.reviewer, office.reviewer2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    draft = office.archive.get(Draft, stored.record.id, ALL).record
    assert sorted(outcomes)[0] == ""
    assert draft.reviewed_by == max(outcomes)
    assert [act.what for act in draft.acts].count("approve") == 1


def test_of_two_publishers_at_once_one_gets_the_text(office: Office) -> None:
    stored = approved(office)
    texts: list[str] = []
    start = threading.Barrier(2)

    def publish(who: Actor) -> None:
        start.wait()
        try:
            texts.append(office.desk.publish(stored.record.id, who, stored.version).text)
        except (Conflict, NotAllowed):
            texts.append("")

    threads = [
        threading.Thread(target=publish, args=(who,)) for who in (office.writer, office.writer2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts) == ["", stored.record.text]


def test_a_second_publication_needs_a_look_at_the_platform(office: Office) -> None:
    stored = approved(office)
    desk, name = office.desk, stored.record.id
    desk.publish(name, office.writer, stored.version)
    version = desk.draft(name, ALL).version
    refused("published", desk.publish, name, office.writer, version)
    again = desk.publish(name, office.writer, version, looked_for="在原帖下翻过，没有这条")
    assert again.text == stored.record.text
    last = desk.draft(name, ALL).record.acts[-1]
    assert (last.what, last.why) == ("publish-again", "在原帖下翻过，没有这条")
    refused("state", desk.edit, name, "改", office.writer, desk.draft(name, ALL).version)


def test_only_the_offices_own_account_answers(office: Office) -> None:
    stored = approved(office)
    elsewhere = actor("li", Role.DRAFTER, offices=("weibo:1",))  # sees the post, not the account
    refused("account", office.desk.publish, stored.record.id, elsewhere, stored.version)


def test_a_deleted_post_is_not_answered(office: Office) -> None:
    stored = approved(office)
    office.archive.delete_posts([office.post.id], office.clock())
    refused("deleted", office.desk.publish, stored.record.id, office.writer, stored.version)


def test_a_closed_case_is_not_answered(office: Office) -> None:
    stored = approved(office)
    case = office.desk.case(stored.record.case, ALL).case
    office.desk.close(case.record.id, office.writer, case.version, "已电话答复")
    refused("closed", office.desk.publish, stored.record.id, office.writer, stored.version)
