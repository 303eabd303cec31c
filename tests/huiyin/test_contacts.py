"""Sealed contacts: who can open them, what is left of a look, and that they are destroyed."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from archive import open_archive
from archive.base import Archive
from huiyin.cli import app
from huiyin.commands.common import opened as open_app
from huiyin.contacts import LONGEST_KEPT, SETTLES, Contacts, Sealer, make_keys
from huiyin.errors import HuiyinError, InputError, NotAllowed, NotFound, SettingsError
from huiyin.records import (
    Actor,
    Case,
    CaseState,
    Contact,
    Kind,
    Origin,
    Post,
    Role,
    Scope,
    first_broken_act,
)  # fmt: skip

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
ALL = Scope.everything()
PHONE = "138 1234-5678"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_archive(f"sqlite:///{tmp_path / 'huiyin.db'}")
    yield opened
    opened.close()


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    make_keys(tmp_path / "secrets")
    return tmp_path / "secrets"


@pytest.fixture
def contacts(archive: Archive, secrets: Path) -> Contacts:
    return Contacts(archive, secrets)


def post(name: str = "form:1") -> Post:
    return Post(id=name, kind=Kind.MESSAGE, text="路灯坏了", created_at=NOW, collected_at=NOW,
                read_at=NOW, offices=("weibo:1",), source=Origin(spider="form"))  # fmt: skip


def person(name: str, *roles: Role, office: str = "weibo:1") -> Actor:
    return Actor(name, name, frozenset(roles), Scope.of(office))


LI, WANG = person("li", Role.DRAFTER), person("wang", Role.REVIEWER)


@pytest.fixture
def case(archive: Archive, contacts: Contacts, secrets: Path) -> Case:
    archive.put_posts([post()])
    sealer = Sealer.of(secrets)
    assert sealer is not None
    contacts.keep(sealer.seal(PHONE, post(), NOW))
    one = Case(id="case:1", offices=("weibo:1",), post="form:1", account="weibo:1", opened_at=NOW,
               due_at=NOW + timedelta(days=2))  # fmt: skip
    return archive.create(one).record


def sealed(archive: Archive) -> Contact:
    stored = archive.get(Contact, "contact:form:1", ALL)
    assert stored is not None
    return stored.record


def test_only_the_handler_opens_it_and_each_look_is_written_down(
    archive: Archive, contacts: Contacts, case: Case
) -> None:
    assert contacts.open(case.id, LI, "回电核实地址", NOW) == PHONE
    with pytest.raises(NotAllowed) as told:
        contacts.open(case.id, WANG, "看看", NOW)
    assert told.value.reason == "handler"
    contacts.open(case.id, LI, "再打一次", NOW + timedelta(hours=1))
    acts = sealed(archive).acts
    assert [(one.actor, one.what, one.why) for one in acts] == [
        ("system:form", "seal", ""), ("li", "look", "回电核实地址"), ("li", "look", "再打一次"),
    ]  # fmt: skip
    assert first_broken_act(acts) is None
    taken = archive.get(Case, case.id, ALL)
    assert taken is not None and taken.record.handler == "li"
    assert [one.what for one in taken.record.acts] == ["take"]


@pytest.mark.parametrize(
    ("actor", "why"),
    [(person("x", Role.RESEARCHER), "查"), (person("x", Role.OPERATOR), "查"),
     (Actor.system("drafter"), "查"), (LI, "  "),
     (person("y", Role.DRAFTER, office="weibo:2"), "查")],
)  # fmt: skip
def test_others_see_nothing(
    archive: Archive, contacts: Contacts, case: Case, actor: Actor, why: str
) -> None:
    with pytest.raises(HuiyinError) as told:
        contacts.open(case.id, actor, why, NOW)
    assert told.value.mend and len(sealed(archive).acts) == 1


def test_closing_destroys_it(
    archive: Archive, contacts: Contacts, case: Case, tmp_path: Path
) -> None:
    contacts.open(case.id, LI, "回电", NOW)
    later = NOW + SETTLES
    assert contacts.sweep(later) == 0
    archive.change(Case, case.id, ALL,
                   lambda one: one.model_copy(update={"state": CaseState.CLOSED}))  # fmt: skip
    with pytest.raises(NotAllowed, match="办结"):  # before the sweep already
        contacts.open(case.id, LI, "回电", later)
    box = sealed(archive).box
    assert contacts.sweep(later) == 1 and contacts.sweep(later) == 0
    one = sealed(archive)
    assert (one.state, one.box, one.destroyed_at) == ("destroyed", "", later)
    assert [act.what for act in one.acts] == ["seal", "look", "destroy"]
    assert contacts.state("form:1", ALL) == "destroyed"
    archive.close()
    for file in tmp_path.glob("huiyin.db*"):  # the box itself is gone from the file as well
        assert box.encode() not in file.read_bytes(), file


def test_without_a_case_it_does_not_stay_for_ever(
    archive: Archive, contacts: Contacts, secrets: Path
) -> None:
    sealer = Sealer.of(secrets)
    assert sealer is not None
    archive.put_posts([post()])
    contacts.keep(sealer.seal(PHONE, post(), NOW))
    contacts.keep(sealer.seal(PHONE, post("form:gone"), NOW))  # its message never came
    assert contacts.sweep(NOW + timedelta(minutes=1)) == 0
    assert contacts.sweep(NOW + SETTLES) == 1  # of the one that never came
    assert contacts.sweep(NOW + LONGEST_KEPT + timedelta(days=1)) == 1
    assert sealed(archive).acts[-1].why == "到期"


def test_a_box_is_bound_to_its_post_and_its_key(
    archive: Archive, contacts: Contacts, case: Case, tmp_path: Path
) -> None:
    archive.put_posts([post("form:2")])
    other = Case(id="case:2", offices=("weibo:1",), post="form:2", account="weibo:1",
                 opened_at=NOW, due_at=NOW)  # fmt: skip
    archive.create(other)
    moved = sealed(archive).model_copy(update={"id": "contact:form:2", "post": "form:2"})
    archive.create(moved)
    with pytest.raises(InputError, match="打不开"):
        contacts.open("case:2", LI, "查", NOW)
    make_keys(tmp_path / "others")
    with pytest.raises(InputError, match="打不开"):
        Contacts(archive, tmp_path / "others").open(case.id, LI, "查", NOW)
    assert "138" not in repr(sealed(archive)) and len(sealed(archive).acts) == 1


def test_keys(tmp_path: Path, secrets: Path, archive: Archive, case: Case) -> None:
    assert not make_keys(secrets)  # twice is once
    assert stat.S_IMODE((secrets / "contact.key").stat().st_mode) == 0o600
    (tmp_path / "form").mkdir()  # a host that has the public form only
    (tmp_path / "form/contact.pub").write_bytes((secrets / "contact.pub").read_bytes())
    sealer = Sealer.of(tmp_path / "form")
    assert sealer is not None and Sealer.of(tmp_path / "none") is None
    with pytest.raises(SettingsError, match="不在这台机器"):
        Contacts(archive, tmp_path / "form").open(case.id, LI, "查", NOW)
    for wrong in ("张三", "110x", "1" * 30, "", "138<b>"):
        with pytest.raises(InputError):
            sealer.seal(wrong, post(), NOW)
    (secrets / "contact.pub").unlink()  # killed between the two files
    assert make_keys(secrets)
    assert Contacts(archive, secrets).open(case.id, LI, "查", NOW) == PHONE
    with pytest.raises(NotFound):
        Contacts(archive, secrets).open("case:none", LI, "查", NOW)


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As staff do it: note a call with its number, look at it, with a password of one's own."""
    monkeypatch.setenv("HUIYIN_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")

    def run(*arguments: str, said: str = "") -> Result:
        return CliRunner().invoke(app, list(arguments), input=said)

    assert "contact.key" in run("init").stdout
    added = run("add", "路灯坏了三天", "--how", "phone", "--phone", PHONE, "--json")
    assert added.exit_code == 0 and PHONE not in added.output
    name = json.loads(added.stdout)["id"]
    with open_app() as opened:
        one = Case(id="case:1", offices=("office:default",), post=name, account="office:default",
                   opened_at=NOW, due_at=NOW)  # fmt: skip
        opened.archive.create(one)
        first = opened.people.add("li", "李", (Role.DRAFTER,), ("*",), by="cli")
        look = ("contact", "case:1", "--user", "li", "--why", "回电")
        early = run(*look, said=f"{first}\n")
        assert isinstance(early.exception, InputError)
        session = opened.people.sign_in("li", first)
        opened.people.change_password(session, first, "a longer password 1")
    seen = run(*look, said="a longer password 1\n")
    assert seen.exit_code == 0 and PHONE in seen.stdout, seen.output
    wrong = run(*look, said="guessed\n")
    assert wrong.exit_code and PHONE not in wrong.output
    assert run("add", "又一件", "--phone", "没有").exit_code
