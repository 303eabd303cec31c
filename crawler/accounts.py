"""The official accounts that the office knows: who may be named, and whom a post mentions."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from huiyin.errors import FileFormatError, unreadable
from huiyin.records import Account


class AccountBook:
    """Official accounts by name, by platform and number, and by id."""

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self.accounts: dict[str, Account] = {one.id: one for one in accounts}
        self.by_name: dict[str, str] = {one.name: one.id for one in self.accounts.values()}
        """Account name -> account id; what `mask` takes."""
        self.by_uid: dict[str, str] = {
            f"{one.platform}:{one.uid}": one.id for one in self.accounts.values()
        }

    def __len__(self) -> int:
        return len(self.accounts)

    def find(self, platform: str, uid: str | None, name: str | None) -> Account | None:
        """The account of this number, or of exactly this name when the number is not known.

        A name counts on its own platform only: elsewhere anybody may bear it. Files that do not
        say their platform (`file`) are taken at their word.
        """
        if uid:
            found = self.by_uid.get(f"{platform}:{uid}")
            return self.accounts[found] if found else None
        account = self.accounts.get(self.by_name.get(name or "", ""))
        if account is None or platform not in (account.platform, "file"):
            return None
        return account

    def ancestors(self, account: str) -> tuple[str, ...]:
        """Ids of the accounts above, nearest first; a ring in the data ends the way up."""
        above: list[str] = []
        one = self.accounts.get(account)
        while one is not None and one.parent and one.parent not in (*above, account):
            above.append(one.parent)
            one = self.accounts.get(one.parent)
        return tuple(above)


def load_accounts(file: Path) -> list[Account]:
    """Read accounts from JSON (a list of `Account` objects) or CSV (columns name, uid).

    Missing fields of a row: id = `weibo:<uid>`, platform weibo, level 2, offices = itself and
    the accounts above it. Raises `FileFormatError` that names the place.
    """
    rows = _json_rows(file) if file.suffix.lower() == ".json" else _csv_rows(file)
    drafts = [_complete(row) for row in rows]
    parents = {row.get("id"): row.get("parent") for row in drafts}
    accounts = []
    for line, row in enumerate(drafts, 1):
        offices = row.get("offices") or _chain(row.get("id"), parents)
        try:
            accounts.append(Account.model_validate({**row, "offices": tuple(offices)}))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise FileFormatError(
                f"第 {line} 个账号的 {where} 有误", "每个账号至少要有 name 和 uid", file=str(file)
            ) from error
    return accounts


def _complete(row: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: row[name] for name in Account.model_fields if row.get(name) not in (None, "")}
    platform = known.setdefault("platform", "weibo")
    if "uid" in known:
        known["uid"] = str(known["uid"]).strip()
        known.setdefault("id", f"{platform}:{known['uid']}")
    known.setdefault("level", 2)
    return known


def _chain(account: Any, parents: Mapping[Any, Any]) -> list[str]:
    chain: list[str] = []
    while account and account not in chain:
        chain.append(account)
        account = parents.get(account)
    return chain


def _json_rows(file: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"读不出账号表：{unreadable(error)}", "检查文件", file=str(file)
        ) from error
    if isinstance(rows, dict):
        rows = rows.get("accounts")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FileFormatError("账号表应为对象的列表", "参照 docs/importing.md", file=str(file))
    return rows


def _csv_rows(file: Path) -> list[dict[str, Any]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows: list[dict[str, Any]] = list(csv.DictReader(stream))
    except (OSError, ValueError, csv.Error) as error:
        mend = "另存为 UTF-8 的 CSV"
        raise FileFormatError(f"读不出账号表：{unreadable(error)}", mend, file=str(file)) from error
    if not rows or not {"name", "uid"} <= set(rows[0]):
        raise FileFormatError("账号表缺少 name 或 uid 列", "首行应有 name,uid", file=str(file))
    for row in rows:
        if row.get("duties"):
            row["duties"] = tuple(str(row["duties"]).split())
    return rows
