"""Official accounts, the people of the office, and their turns of duty."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from huiyin.errors import NotAllowed
from huiyin.records.base import Act, Scope, StateRecord, UtcDatetime


class Account(StateRecord):
    """An official account of the matrix. Its `offices` are itself and the accounts above it."""

    kind: ClassVar[str] = "account"
    platform: str = "weibo"
    uid: str
    name: str
    level: int
    """1 city, 2 district or bureau, 3 street or hall, 4 community or station"""
    parent: str | None = None
    unit: str = ""
    duties: tuple[str, ...] = ()
    """Words that name what it answers for."""
    region: str | None = None

    @property
    def ref(self) -> str:
        return self.parent or ""


class Role(StrEnum):
    DRAFTER = "拟稿员"
    REVIEWER = "审核员"
    ON_CALL = "值班员"
    RESEARCHER = "研究员"
    OPERATOR = "管理员"


@dataclass(frozen=True)
class Actor:
    """Who acts: made from a signed-in session or a system process, never from a form."""

    id: str
    name: str
    roles: frozenset[Role]
    scope: Scope

    @classmethod
    def system(cls, part: str) -> Actor:
        """A process of ours; it has no roles, so it can neither submit nor approve."""
        return cls(f"system:{part}", part, frozenset(), Scope.everything())

    def require(self, *roles: Role) -> None:
        """Raise `NotAllowed` unless the actor has one of the roles."""
        if self.roles.isdisjoint(roles):
            wanted = "、".join(roles)
            raise NotAllowed(
                f"{self.name}没有这项权限", f"请由{wanted}操作，或请管理员授权", reason="role"
            )


class Person(StateRecord):
    """Somebody who may sign in. `offices` says what they see; `("*",)` = everything."""

    kind: ClassVar[str] = "person"
    name: str
    roles: tuple[Role, ...]
    password_hash: str = Field(repr=False)
    """argon2id"""
    must_change_password: bool = False
    failed_sign_ins: int = 0
    locked_until: UtcDatetime | None = None
    active: bool = True
    acts: tuple[Act, ...] = ()


class Shift(StateRecord):
    """One turn of the rota: who is called between two times."""

    kind: ClassVar[str] = "shift"
    person: str
    starts_at: UtcDatetime
    ends_at: UtcDatetime
    order: int = 1
    """1 = called first"""
    channels: tuple[str, ...] = ("log",)
