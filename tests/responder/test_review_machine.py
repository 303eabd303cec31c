"""Random lives of a draft: whatever people try, what comes out had two people behind that text."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from archive import open_archive
from huiyin.errors import HuiyinError
from huiyin.records import Actor, Draft, DraftState, Role, Scope, first_broken_act
from tests.responder.conftest import OTHER, Clock, actor, fill

ALL = Scope.everything()
BOTH = (Role.DRAFTER, Role.REVIEWER)
CAST = [
    actor("li", Role.DRAFTER), actor("zhao", Role.REVIEWER), actor("qian", *BOTH),
    actor("sun", *BOTH), actor("far", *BOTH, offices=(OTHER,)), actor("none"),
    Actor("system:bot", "bot", frozenset(BOTH), ALL),
]  # fmt: skip
TEXTS = [
    "您好，谢谢您的提醒。",
    "您好，我们记下来了。",
    "您好，3月6日22:00停水。",
    "您好，补贴9999元。",
]
PEOPLE = st.sampled_from(CAST)


class Life(RuleBasedStateMachine):
    """A model beside the desk that knows only who last wrote, submitted and approved which text."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        archive = open_archive(f"sqlite:///{Path(self.folder.name) / 'a.db'}")
        self.office = fill(archive, Clock())
        stored = self.office.desk.draft_for(self.office.post.id, CAST[0])
        self.id, self.seen = stored.record.id, stored.version
        self.submitted: tuple[str, str] | None = None
        self.approved: tuple[str, str] | None = None
        self.writer = "system:drafter"

    def teardown(self) -> None:
        self.office.archive.close()
        self.folder.cleanup()

    def draft(self) -> Draft:
        return self.office.archive.get(Draft, self.id, ALL).record

    @rule()
    def look(self) -> None:
        self.seen = self.office.archive.get(Draft, self.id, ALL).version

    @rule(who=PEOPLE, text=st.sampled_from(TEXTS))
    def edit(self, who: Actor, text: str) -> None:
        try:
            self.seen = self.office.desk.edit(self.id, text, who, self.seen).version
        except HuiyinError:
            return
        self.writer, self.submitted, self.approved = who.id, None, None

    @rule(who=PEOPLE)
    def submit(self, who: Actor) -> None:
        text = self.draft().text
        try:
            self.seen = self.office.desk.submit(self.id, who, self.seen).version
        except HuiyinError:
            return
        self.submitted, self.approved = (who.id, text), None

    @rule(who=PEOPLE)
    def give_back(self, who: Actor) -> None:
        try:
            self.seen = self.office.desk.return_(self.id, who, self.seen, "再改改").version
        except HuiyinError:
            return
        self.submitted = self.approved = None

    @rule(who=PEOPLE)
    def approve(self, who: Actor) -> None:
        text = self.draft().text
        try:
            self.seen = self.office.desk.approve(self.id, who, self.seen).version
        except HuiyinError:
            return
        assert self.submitted is not None
        assert Role.REVIEWER in who.roles
        assert who.id not in {self.submitted[0], self.writer}
        self.approved = (who.id, text)

    @rule(who=PEOPLE, looked=st.sampled_from(["", "找过，没有"]))
    def publish(self, who: Actor, looked: str) -> None:
        try:
            out = self.office.desk.publish(self.id, who, self.seen, looked_for=looked)
        except HuiyinError:
            return
        assert self.submitted is not None
        assert self.approved is not None
        assert self.submitted[0] != self.approved[0]
        assert out.text == self.submitted[1] == self.approved[1]
        assert "9999" not in out.text
        assert who.id in {"li", "zhao", "qian", "sun"}

    @invariant()
    def history_holds(self) -> None:
        draft = self.draft()
        assert first_broken_act(draft.acts) is None
        if draft.state in {DraftState.APPROVED, DraftState.PUBLISHED}:
            assert self.approved is not None
            assert draft.text == self.approved[1]


Life.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
TestLife = Life.TestCase
