"""What all records are made of: frozen models, who may see them, chained acts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


UtcDatetime = Annotated[AwareDatetime, AfterValidator(_to_utc)]

EVERYTHING = "*"


class Record(BaseModel):
    """Base of all records: frozen; unknown fields, infinities and NaN (JSON has none) refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Scope:
    """The offices (official account ids) that the asker may see; None means all of them."""

    offices: frozenset[str] | None

    @classmethod
    def everything(cls) -> Scope:
        """For the system's own processes and for people whose offices are `("*",)`."""
        return cls(None)

    @classmethod
    def of(cls, *offices: str) -> Scope:
        """The given offices; `"*"` among them means everything."""
        return cls(None if EVERYTHING in offices else frozenset(offices))

    def allows(self, offices: tuple[str, ...]) -> bool:
        """True when the asker may see a record that belongs to `offices`."""
        return self.offices is None or not self.offices.isdisjoint(offices)


class StateRecord(Record):
    """A record that changes; the archive keeps a version beside it."""

    kind: ClassVar[str]
    id: str
    offices: tuple[str, ...] = ()
    """Who may see it; empty = only the system and people who see everything."""

    @property
    def state_name(self) -> str:
        """Indexed by the archive: `records(..., state=...)`. Empty when it has no states."""
        return str(getattr(self, "state", ""))

    @property
    def ref(self) -> str:
        """Indexed by the archive: id of the record this one belongs to, or empty."""
        return ""


class Act(Record):
    """One act of a person (or of the system), a link of the hash chain inside its record."""

    at: UtcDatetime
    actor: str
    """Person id, or `system:<part>`."""
    what: str
    why: str = ""
    digests: Mapping[str, str] = {}
    """Name -> SHA-256 of a text acted on; digests, not texts, so that erasure breaks nothing."""
    previous: str = ""
    """Digest of the act before; empty for the first."""
    digest: str = ""


def append_act(
    acts: tuple[Act, ...],
    *,
    at: datetime,
    actor: str,
    what: str,
    why: str = "",
    digests: Mapping[str, str] | None = None,
) -> tuple[Act, ...]:
    """Return `acts` with one more link at its end, chained to the one before."""
    previous = acts[-1].digest if acts else ""
    act = Act(at=at, actor=actor, what=what, why=why, digests=digests or {}, previous=previous)
    return (*acts, act.model_copy(update={"digest": act_digest(act)}))


def act_digest(act: Act) -> str:
    """SHA-256 over everything in the act but its own digest."""
    body = act.model_dump_json(exclude={"digest"})
    return hashlib.sha256(body.encode()).hexdigest()


def first_broken_act(acts: tuple[Act, ...]) -> int | None:
    """0-based position of the first act whose digest or link is wrong; None when all hold."""
    previous = ""
    for position, act in enumerate(acts):
        if act.previous != previous or act.digest != act_digest(act):
            return position
        previous = act.digest
    return None
