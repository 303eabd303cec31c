"""Sign-in: one-time passwords, lockout, sessions."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from archive import open_archive
from huiyin.errors import InputError, NotAllowed, SignInError
from huiyin.people import MAX_FAILED, People
from huiyin.records import Actor, Person, Role, Scope, first_broken_act

ALL = Scope.everything()


class Clock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def people(tmp_path: Path, clock: Clock) -> People:
    return People(open_archive(f"sqlite:///{tmp_path}/a.db"), clock, session_hours=8)


def _add(people: People, person_id: str = "lin", role: Role = Role.DRAFTER) -> str:
    return people.add(person_id, "林", (role,), ("weibo:1",), by="system:test")


def test_sign_in_with_the_one_time_password_then_change_it(people: People, clock: Clock) -> None:
    password = _add(people)
    session = people.sign_in("lin", password)
    assert session.person.must_change_password
    session = people.change_password(session, password, "一个够长的新密码1234")
    assert not session.person.must_change_password
    with pytest.raises(SignInError):
        people.sign_in("lin", password)
    actor = people.sign_in("lin", "一个够长的新密码1234").actor(clock())
    assert (actor.id, actor.scope) == ("lin", Scope.of("weibo:1"))


def test_passwords_are_argon2id_and_stand_nowhere_in_the_archive(
    people: People, tmp_path: Path
) -> None:
    password = _add(people)
    stored = people.everyone()[0]
    assert stored.password_hash.startswith("$argon2id$")
    assert "argon2" not in repr(stored)
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert password.encode() not in files


def test_unknown_name_and_wrong_password_say_the_same(people: People) -> None:
    _add(people)
    with pytest.raises(SignInError) as unknown:
        people.sign_in("nobody", "x")
    with pytest.raises(SignInError) as wrong:
        people.sign_in("lin", "x")
    assert str(unknown.value) == str(wrong.value)


def test_lockout_after_failures_and_reset_unlocks(people: People, clock: Clock) -> None:
    password = _add(people)
    for _ in range(MAX_FAILED):
        with pytest.raises(SignInError):
            people.sign_in("lin", "wrong")
    with pytest.raises(SignInError, match="锁定"):
        people.sign_in("lin", password)
    clock.at += timedelta(minutes=16)
    assert people.sign_in("lin", password).person.failed_sign_ins == 0
    fresh = people.reset("lin", by="system:test")
    assert people.sign_in("lin", fresh).person.must_change_password


def test_sessions_expire_and_end_with_deactivation(people: People, clock: Clock) -> None:
    session = people.sign_in("lin", _add(people))
    assert people.still_active(session)
    clock.at += timedelta(hours=8)
    with pytest.raises(SignInError, match="过期"):
        session.actor(clock())
    people.deactivate("lin", by="system:test")
    assert not people.still_active(session)
    with pytest.raises(SignInError):
        people.sign_in("lin", "whatever")


@pytest.mark.parametrize("bad", ["", "有 空格", "a b", "1st", "林", "x" * 3 + "'"])
def test_bad_ids_are_refused(people: People, bad: str) -> None:
    with pytest.raises(InputError):
        _add(people, bad)


def test_taken_id_and_weak_passwords_are_refused(people: People) -> None:
    password = _add(people)
    with pytest.raises(InputError, match="已经有人"):
        _add(people)
    session = people.sign_in("lin", password)
    for weak in ("short", password):
        with pytest.raises(InputError):
            people.change_password(session, password, weak)


def test_acts_form_a_chain_that_shows_tampering(people: People) -> None:
    password = _add(people)
    people.change_password(people.sign_in("lin", password), password, "another-long-one")
    person: Person = people.everyone()[0]
    assert [act.what for act in person.acts] == ["create", "change-password"]
    assert first_broken_act(person.acts) is None
    forged = person.acts[0].model_copy(update={"actor": "somebody"})
    assert first_broken_act((forged, *person.acts[1:])) == 0
    assert first_broken_act(person.acts[1:]) == 0


def test_an_actor_without_the_role_is_refused() -> None:
    actor = Actor("lin", "林", frozenset({Role.DRAFTER}), ALL)
    actor.require(Role.DRAFTER, Role.REVIEWER)
    with pytest.raises(NotAllowed) as caught:
        actor.require(Role.REVIEWER)
    assert caught.value.reason == "role"
    with pytest.raises(NotAllowed):
        Actor.system("work").require(Role.REVIEWER)
