"""People who sign in: argon2id passwords, one-time first passwords, lockout, sessions.

A session lives in the memory of the process that signed the person in; who acts is always read
from it (`session.actor()`), never from a form.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from archive.base import Archive
from huiyin.clock import Clock
from huiyin.errors import Conflict, InputError, NotFound, SignInError
from huiyin.records import Actor, Person, Role, Scope, append_act

MAX_FAILED = 5
LOCKED_FOR = timedelta(minutes=15)
MIN_PASSWORD = 10
# No easily confused characters (0/O, 1/l/I): people type these from a terminal.
ALPHABET = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789"
ALL = Scope.everything()


@dataclass(frozen=True)
class Session:
    """A signed-in person until `expires_at` (aware, UTC)."""

    person: Person
    expires_at: datetime
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    def actor(self, now: datetime) -> Actor:
        """Who acts in this session. Raises `SignInError` when it has expired."""
        if now >= self.expires_at:
            raise SignInError("登录已过期", "请重新登录")
        person = self.person
        return Actor(person.id, person.name, frozenset(person.roles), Scope.of(*person.offices))


class People:
    """Keeps the people who may sign in; all of them are records in the archive."""

    def __init__(self, archive: Archive, clock: Clock, *, session_hours: float = 8.0) -> None:
        self._archive = archive
        self._clock = clock
        self._session = timedelta(hours=session_hours)
        self._hasher = PasswordHasher()  # argon2id, RFC 9106 low-memory parameters
        # Verified for unknown names too, so that a name cannot be guessed by the time it takes.
        self._decoy = self._hasher.hash(secrets.token_urlsafe(16))

    def add(
        self, person_id: str, name: str, roles: tuple[Role, ...], offices: tuple[str, ...],
        *, by: str,
    ) -> str:  # fmt: skip
        """Create a person; returns the one-time password, shown once and stored nowhere.

        Raises `InputError` for an unusable or taken id.
        """
        if not person_id.isidentifier() or not person_id.isascii():
            raise InputError(f"登录名“{person_id}”不可用", "只用英文字母、数字和下划线，以字母开头")
        if not offices:
            raise InputError("没有指定可见的账号", "给出账号编号，或用 * 表示全部")
        password = one_time_password()
        now = self._clock()
        person = Person(
            id=person_id, name=name, roles=roles, offices=offices,
            password_hash=self._hasher.hash(password), must_change_password=True,
            acts=append_act((), at=now, actor=by, what="create"),
        )  # fmt: skip
        try:
            self._archive.create(person)
        except Conflict as error:
            raise InputError(f"登录名“{person_id}”已经有人使用", "换一个登录名") from error
        return password

    def reset(self, person_id: str, *, by: str) -> str:
        """Give a new one-time password and unlock; returns it. `NotFound` for an unknown id."""
        password = one_time_password()
        digest = self._hasher.hash(password)

        def edit(person: Person) -> Person:
            acts = append_act(person.acts, at=self._clock(), actor=by, what="reset-password")
            return person.model_copy(
                update={
                    "password_hash": digest, "must_change_password": True,
                    "failed_sign_ins": 0, "locked_until": None, "acts": acts,
                }
            )  # fmt: skip

        self._archive.change(Person, person_id, ALL, edit)
        return password

    def sign_in(self, person_id: str, password: str) -> Session:
        """Open a session. `SignInError` says the same for an unknown name and a wrong password."""
        stored = self._archive.get(Person, person_id, ALL)
        now = self._clock()
        if stored is not None and stored.record.locked_until and now < stored.record.locked_until:
            raise SignInError("输错次数过多，已暂时锁定", "15 分钟后再试，或请管理员重置密码")
        known = stored is not None and stored.record.active
        good = self._matches(stored.record.password_hash if stored else self._decoy, password)
        if stored is None or not known or not good:
            if stored is not None:
                self._count_failure(person_id, now)
            raise SignInError("登录名或密码不对", "检查大小写；忘记密码请管理员重置")
        person = self._archive.change(Person, person_id, ALL, _signed_in).record
        return Session(person, now + self._session)

    def change_password(self, session: Session, old: str, new: str) -> Session:
        """Replace the password; returns a session with the changed person.

        `SignInError` when `old` is wrong, `InputError` when `new` is too weak.
        """
        current = self.sign_in(session.person.id, old).person
        if len(new) < MIN_PASSWORD:
            raise InputError("新密码太短", f"至少 {MIN_PASSWORD} 个字符")
        if new in {old, current.id}:
            raise InputError("新密码不能与旧密码或登录名相同", "换一个")
        digest = self._hasher.hash(new)

        def edit(person: Person) -> Person:
            acts = append_act(
                person.acts, at=self._clock(), actor=person.id, what="change-password"
            )
            return person.model_copy(
                update={"password_hash": digest, "must_change_password": False, "acts": acts}
            )

        person = self._archive.change(Person, current.id, ALL, edit).record
        return Session(person, session.expires_at, session.token)

    def everyone(self) -> list[Person]:
        """All people, by id."""
        return [stored.record for stored in self._archive.records(Person, ALL)]

    def deactivate(self, person_id: str, *, by: str) -> None:
        """End a person's access; the record stays, because acts name it."""

        def edit(person: Person) -> Person:
            acts = append_act(person.acts, at=self._clock(), actor=by, what="deactivate")
            return person.model_copy(update={"active": False, "acts": acts})

        self._archive.change(Person, person_id, ALL, edit)

    def still_active(self, session: Session) -> bool:
        """False when the person was deactivated or given a new password since signing in."""
        stored = self._archive.get(Person, session.person.id, ALL)
        return (
            stored is not None
            and stored.record.active
            and stored.record.password_hash == session.person.password_hash
        )

    def _matches(self, digest: str, password: str) -> bool:
        try:
            return self._hasher.verify(digest, password)
        except (VerificationError, InvalidHashError):
            return False

    def _count_failure(self, person_id: str, now: datetime) -> None:
        def edit(person: Person) -> Person:
            failed = person.failed_sign_ins + 1
            locked = now + LOCKED_FOR if failed >= MAX_FAILED else None
            return person.model_copy(
                update={
                    "failed_sign_ins": 0 if locked else failed,
                    "locked_until": locked or person.locked_until,
                }
            )

        try:
            self._archive.change(Person, person_id, ALL, edit)
        except NotFound:  # deleted between the look and the count: nothing left to protect
            return


def one_time_password() -> str:
    """Twelve random characters in groups of four."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(3))
    return "-".join(groups)


def _signed_in(person: Person) -> Person:
    return person.model_copy(update={"failed_sign_ins": 0, "locked_until": None})
