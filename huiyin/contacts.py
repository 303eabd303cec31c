"""Contact details that one case needs: sealed when they come in, opened by its handler alone.

Sealed with a public key (X25519, HKDF-SHA256, ChaCha20-Poly1305, one new key pair a box), so that
the public form's process, which strangers talk to, can write and never read. The private key lies
in the secrets folder, not in the archive and in no backup. A box is bound to its post: moved to
another one it does not open. When the case is closed the box is emptied; that somebody looked, and
when it was destroyed, stays as acts.
"""

from __future__ import annotations

import base64
import os
import re
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from archive.base import Archive
from huiyin.errors import Conflict, InputError, NotAllowed, NotFound, SettingsError
from huiyin.records import (
    Actor,
    Case,
    CaseState,
    Contact,
    Post,
    Role,
    Scope,
    append_act,
)  # fmt: skip

ALL = Scope.everything()
PRIVATE, PUBLIC = "contact.key", "contact.pub"
LONGEST_KEPT = timedelta(days=90)
"""Destroyed then whatever became of the case."""
SETTLES = timedelta(minutes=10)
_NUMBER = re.compile(r"\+?[0-9][0-9 \-]{5,22}[0-9]\Z")
_NONCE = bytes(12)
"""Each box has a key of its own, which is used once."""


class Sealer:
    """Closes boxes; cannot open any."""

    def __init__(self, public: bytes) -> None:
        self._public = X25519PublicKey.from_public_bytes(public)

    @classmethod
    def of(cls, folder: Path) -> Sealer | None:
        """With the key in the secrets folder; None when there is none (`huiyin init` makes it)."""
        try:
            return cls(bytes.fromhex((folder / PUBLIC).read_text(encoding="ascii").strip()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise _broken(folder / PUBLIC) from error

    def seal(self, number: str, post: Post, at: datetime) -> Contact:
        """A record that is not stored yet. Raises `InputError` for what is no telephone number."""
        number = number.strip()
        if not _NUMBER.match(number):
            raise InputError("电话只能是数字（可有空格、横线和开头的加号）", "改正，或不留电话")
        own = X25519PrivateKey.generate()
        key = _key(own.exchange(self._public), own.public_key(), self._public)
        shut = ChaCha20Poly1305(key).encrypt(_NONCE, number.encode(), post.id.encode())
        box = base64.b64encode(own.public_key().public_bytes_raw() + shut).decode()
        return Contact(
            id=f"contact:{post.id}", offices=post.offices, post=post.id, box=box, sealed_at=at,
            acts=append_act((), at=at, actor=f"system:{post.source.spider}", what="seal"),
        )  # fmt: skip


class Contacts:
    """Opens boxes for handlers, and destroys them."""

    def __init__(self, archive: Archive, folder: Path) -> None:
        self._archive, self._folder = archive, folder

    def keep(self, contact: Contact) -> None:
        """Store a new one; one that is there stays. Raises `ArchiveError`."""
        try:
            self._archive.create(contact)
        except Conflict:
            return

    def state(self, post: str, scope: Scope) -> str:
        """`sealed`, `destroyed`, or "" when nobody left a contact."""
        stored = self._archive.get(Contact, f"contact:{post}", scope)
        return stored.record.state if stored else ""

    def about(self, post: str, scope: Scope) -> Contact | None:
        """Its state, and who looked when and why; the box in it stays shut."""
        stored = self._archive.get(Contact, f"contact:{post}", scope)
        return stored.record if stored else None

    def open(self, case_id: str, actor: Actor, why: str, at: datetime) -> str:
        """The number that was left with a case's post. The look is on disk before it is returned.

        Raises `NotFound`; `NotAllowed`: `role`, `closed`, `handler` (a case that nobody handles
        becomes the asker's); `InputError` without a reason or where the box does not open.
        """
        actor.require(Role.DRAFTER, Role.REVIEWER)
        if not why.strip():
            raise InputError("没有写为什么要看", "写一句，例如：回电核实地址")
        case = self._case_of(case_id, actor, at)
        contact = self._archive.get(Contact, f"contact:{case.post}", ALL)
        if contact is None:
            raise NotFound("这件事没有人留联系方式", "在平台上或来件里找")
        if contact.record.state != "sealed":
            raise NotFound("联系方式已经销毁", "办结或到期后不再保留")
        number = _opened(contact.record, _private(self._folder))

        def looked(one: Contact) -> Contact:
            if one.state != "sealed":
                raise NotFound("联系方式已经销毁", "办结或到期后不再保留")
            acts = append_act(one.acts, at=at, actor=actor.id, what="look", why=why)
            return one.model_copy(update={"acts": acts})

        self._archive.change(Contact, contact.record.id, ALL, looked)
        return number

    def _case_of(self, case_id: str, actor: Actor, at: datetime) -> Case:
        stored = self._archive.get(Case, case_id, actor.scope)
        if stored is None:
            raise NotFound("没有这个办件", "检查编号和可见范围")

        def take(case: Case) -> Case:
            if case.state is CaseState.CLOSED:
                raise NotAllowed("这个办件已经办结", "联系方式随办结销毁", reason="closed")
            if case.handler is None:
                acts = append_act(case.acts, at=at, actor=actor.id, what="take")
                return case.model_copy(update={"handler": actor.id, "acts": acts})
            if case.handler != actor.id:
                raise NotAllowed(
                    "联系方式只有经办人能看", "请经办人看，或先转给您", reason="handler"
                )
            return case

        return self._archive.change(Case, case_id, actor.scope, take).record

    def sweep(self, at: datetime) -> int:
        """Destroy what is no longer needed; returns how many. Doing it twice changes nothing."""
        done, after = 0, ""
        while page := self._archive.records(Contact, ALL, state="sealed", limit=500, after=after):
            after = page[-1].record.id
            done += sum(self._spent(one.record, at) for one in page)
        return done

    def _spent(self, one: Contact, at: datetime) -> bool:
        """Destroy it when its time is over: its case closed, its message gone, or too old."""
        settled = at - one.sealed_at >= SETTLES  # before, its message may be on its way
        cases = [case.record for case in self._archive.records(Case, ALL, ref=one.post, limit=9)]
        if cases and all(case.state is CaseState.CLOSED for case in cases):
            why = "办结"
        elif at - one.sealed_at > LONGEST_KEPT:
            why = "到期"
        elif settled and not cases and self._is_gone(one.post):
            why = "原文已不在"
        else:
            return False
        self._archive.change(Contact, one.id, ALL, lambda had: _emptied(had, at, why))
        return True

    def _is_gone(self, post: str) -> bool:
        found = self._archive.get_posts([post], ALL).get(post)
        return found is None or found.deleted_at is not None


def make_keys(folder: Path) -> bool:
    """Make the key pair when there is none; True when it was made."""
    if (folder / PUBLIC).exists():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    private = X25519PrivateKey.generate()
    try:
        descriptor = os.open(folder / PRIVATE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # killed between the two files, or another process is at it
        private = _private(folder)
    else:
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(private.private_bytes_raw().hex() + "\n")
            out.flush()
            os.fsync(out.fileno())
    said = private.public_key().public_bytes_raw().hex() + "\n"
    (folder / PUBLIC).write_text(said, encoding="ascii")
    return True


def _key(shared: bytes, own: X25519PublicKey, theirs: X25519PublicKey) -> bytes:
    info = b"huiyin contact 1" + own.public_bytes_raw() + theirs.public_bytes_raw()
    return HKDF(SHA256(), 32, None, info).derive(shared)


def _private(folder: Path) -> X25519PrivateKey:
    file = folder / PRIVATE
    try:
        return X25519PrivateKey.from_private_bytes(bytes.fromhex(file.read_text().strip()))
    except FileNotFoundError as error:
        raise SettingsError(
            [("secrets.folder", f"{file} 不在这台机器上", "到控制台那台上看")]
        ) from error
    except (OSError, ValueError) as error:
        raise _broken(file) from error


def _broken(file: Path) -> SettingsError:
    return SettingsError([("secrets.folder", f"{file} 读不出来或已损坏", "从当初另存的副本恢复")])


def _opened(contact: Contact, private: X25519PrivateKey) -> str:
    try:
        raw = base64.b64decode(contact.box, validate=True)
        own = X25519PublicKey.from_public_bytes(raw[:32])
        key = _key(private.exchange(own), own, private.public_key())
        opened = ChaCha20Poly1305(key).decrypt(_NONCE, raw[32:], contact.post.encode())
    except (ValueError, InvalidTag) as error:
        raise InputError("封存的联系方式打不开", "密钥换过，或记录被改动：请管理员查") from error
    return opened.decode()


def _emptied(contact: Contact, at: datetime, why: str) -> Contact:
    if contact.state != "sealed":
        return contact
    acts = append_act(contact.acts, at=at, actor="system:contacts", what="destroy", why=why)
    return contact.model_copy(
        update={"box": "", "state": "destroyed", "destroyed_at": at, "acts": acts}
    )
