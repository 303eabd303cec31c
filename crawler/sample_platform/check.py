"""Checks of a sample city that look at several files together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from huiyin.errors import FileFormatError

if TYPE_CHECKING:
    from crawler.sample_platform.city import City, Entry

SHOWN = 20
"""An error lists at most this many problems and counts the rest."""
FILES = {
    "status": "statuses.json",
    "notice": "notices.json",
    "comment": "comments.json",
    "message": "messages.json",
}


class Problems:
    """Collects what is wrong in a folder, so that it is reported at once."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, file: Path | str, what: str, mend: str, line: int | None = None) -> None:
        """Note one problem; `line` is 1-based."""
        name = file.name if isinstance(file, Path) else file
        place = f"{name} 第 {line} 行" if line else name
        self._lines.append(f"{place}：{what}（{mend}）")

    def raise_any(self, folder: Path) -> None:
        """Raise `FileFormatError` with all problems, if there are any."""
        if not self._lines:
            return
        shown = self._lines[:SHOWN]
        if len(self._lines) > SHOWN:
            shown.append(f"……还有 {len(self._lines) - SHOWN} 处")
        text = "\n  ".join([f"样例城市有 {len(self._lines)} 处要改", *shown])
        raise FileFormatError(text, file=str(folder))


def check_city(city: City, problems: Problems) -> None:
    """Check what the files say about each other: ids, owners, times, matrix, rota."""
    _check_accounts(city, problems)
    _check_ids(city, problems)
    _check_owners(city, problems)
    _check_links(city, problems)
    _check_times(city, problems)
    _check_changes(city, problems)
    people = {person.id for person in city.rota.person}
    for shift in city.rota.shift:
        if shift.person not in people:
            problems.add("rota.toml", f"值班人 {shift.person} 没有登记", "在 [[person]] 中补上")


def _check_accounts(city: City, problems: Problems) -> None:
    file = "accounts.json"
    if not city.accounts:
        problems.add(file, "一个账号也没有", "至少写一个一级账号")
    for field in ("uid", "name"):
        counts = Counter(getattr(account, field) for account in city.accounts)
        for value, count in counts.items():
            if count > 1:
                problems.add(file, f"{field} {value} 出现 {count} 次", "每个账号只写一次")
    levels = {account.uid: account.level for account in city.accounts}
    for account in city.accounts:
        above = None if account.parent is None else levels.get(account.parent)
        if account.level == 1 and account.parent is not None:
            problems.add(file, f"{account.name} 是一级账号却有 parent", "删去 parent 或改 level")
        elif account.level > 1 and above is None:
            problems.add(file, f"{account.name} 的 parent 不存在", "写上级账号的 uid")
        elif above is not None and above >= account.level:
            problems.add(file, f"{account.name} 的上级级别不比它高", "改 level 或 parent")


def _check_ids(city: City, problems: Problems) -> None:
    seen: dict[int, Entry] = {}
    for entry in city.entries:
        first = seen.setdefault(entry.id, entry)
        if first is not entry:
            what = f"id {entry.id} 与 {FILES[first.kind]} 中的一条相同"
            problems.add(FILES[entry.kind], what, "每条用不同的 id")


def _check_owners(city: City, problems: Problems) -> None:
    official = {int(account.uid) for account in city.accounts}
    for entry in city.of("notice"):
        if entry.raw["user"]["id"] not in official:
            problems.add(
                "notices.json", f"id {entry.id} 的 user 不是矩阵账号", "改 user.id 或移到 statuses"
            )
    for entry in city.of("message"):
        if entry.raw["recipient"]["id"] not in official:
            problems.add(
                "messages.json", f"id {entry.id} 的 recipient 不是矩阵账号", "改 recipient.id"
            )


def _check_links(city: City, problems: Problems) -> None:
    known = {entry.id for entry in city.entries}
    for entry in city.entries:
        for field in ("status", "retweeted_status", "reply_comment"):
            target = entry.raw.get(field)
            if isinstance(target, dict) and target["id"] not in known and "text" not in target:
                what = f"id {entry.id} 的 {field} 指向不存在的 {target['id']}"
                problems.add(FILES[entry.kind], what, "改正 id，或写出它的全部内容")


def _check_times(city: City, problems: Problems) -> None:
    if not city.entries:
        problems.add("statuses.json", "一条内容也没有", "至少写一条")
        return
    last = max(city.entries, key=lambda entry: entry.created_at)
    if last.created_at > city.day_ends_at:
        what = f"id {last.id} 晚于 city.toml 的 day（{city.info.day}）"
        problems.add(FILES[last.kind], what, "改 created_at 或 day")


def _check_changes(city: City, problems: Problems) -> None:
    known = {entry.id: entry for entry in city.of("status", "notice")}
    for change in city.changes:
        entry = known.get(change.id)
        if entry is None:
            problems.add("changes.json", f"id {change.id} 不在微博中", "改正 id")
        elif change.when < entry.created_at:
            problems.add("changes.json", f"id {change.id} 的改动早于发布", "改 at")
        if (change.kind == "edit") != (change.text is not None):
            problems.add("changes.json", f"id {change.id}：只有 edit 有 text", "补上或删去 text")
