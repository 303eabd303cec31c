"""Reads a sample city: a folder of platform JSON, accounts and a rota (see docs/samples.md).

    SAMPLE/city.toml       name, timezone, the day, playback
           accounts.json   the account matrix
           rota.toml       who is on call (may be missing)
           notices.json    posts of the official accounts
           statuses.json   posts of other people
           comments.json, messages.json, changes.json   (may be missing)

The posts keep every field of the platform's JSON; only what the sample platform needs is checked.
All that is wrong in a folder is reported at once.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from crawler.sample_platform.check import Problems, check_city
from huiyin.errors import FileFormatError

TIME_FORMAT = "%a %b %d %H:%M:%S %z %Y"
Json = dict[str, Any]
Kind = Literal["status", "notice", "comment", "message"]
M = TypeVar("M", bound=BaseModel)


def parse_time(text: str) -> datetime:
    """Platform time such as `Thu Sep 17 06:18:02 +0800 2026`, aware. Raises ValueError."""
    return datetime.strptime(text, TIME_FORMAT)  # noqa: DTZ007  the format has %z


def _platform_time(text: str) -> str:
    try:
        parse_time(text)
    except ValueError:
        raise ValueError("须写作 Thu Sep 17 06:18:02 +0800 2026 这样的时间") from None
    return text


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        raise ValueError("不是已知的时区，例如 Asia/Shanghai") from None
    return name


PlatformTime = Annotated[str, AfterValidator(_platform_time)]
DayTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
Uid = Annotated[str, Field(pattern=r"^\d+$")]
ParentUid = Annotated[Uid, BeforeValidator(lambda uid: str(uid).removeprefix("weibo:"))]


class Loose(BaseModel):
    """Platform objects: needed fields are checked, all others kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Strict(BaseModel):
    """Our own files: unknown names are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class UserJson(Loose):
    id: int
    screen_name: str = Field(min_length=1)


class Reference(Loose):
    id: int


class StatusJson(Loose):
    created_at: PlatformTime
    id: int = Field(gt=0)
    text: str
    user: UserJson
    retweeted_status: Reference | None = None


class CommentJson(Loose):
    created_at: PlatformTime
    id: int = Field(gt=0)
    text: str
    user: UserJson
    status: Reference
    reply_comment: Reference | None = None


class MessageJson(Loose):
    created_at: PlatformTime
    id: int = Field(gt=0)
    text: str
    sender: UserJson
    recipient: UserJson


class CityAccount(Strict):
    """One official account of the matrix."""

    uid: Uid
    name: str = Field(min_length=1)
    level: int = Field(ge=1, le=4)
    """1 city, 2 district or bureau, 3 street or hall, 4 community or station"""
    parent: ParentUid | None = None
    """The account above; in the file its uid or its id (`weibo:<uid>`)."""
    unit: str = ""
    duties: tuple[str, ...] = ()
    region: str = ""
    verified_type: int = 1
    followers_count: int = 0


class Change(Strict):
    """What happens to a post later: its author edits, deletes or hides it."""

    at: PlatformTime
    id: int
    kind: Literal["edit", "delete", "hide"]
    text: str | None = None

    @property
    def when(self) -> datetime:
        """`at`, parsed."""
        return parse_time(self.at)


class RotaPerson(Strict):
    """Somebody on call. `phone` names a webhook of the demo, never a telephone number."""

    id: str = Field(pattern=r"^[A-Za-z]\w*$")
    name: str = Field(min_length=1)
    roles: tuple[str, ...] = ()
    unit: str = ""
    offices: tuple[str, ...] = ("*",)
    phone: str = ""


class RotaShift(Strict):
    """A turn that repeats every day; `end` before `start` runs past midnight."""

    person: str
    start: DayTime = Field(alias="from")
    end: DayTime = Field(alias="to")
    order: int = Field(default=1, ge=1)
    channels: tuple[str, ...] = ("log",)
    offices: tuple[str, ...] = ()


class Rota(Strict):
    person: tuple[RotaPerson, ...] = ()
    shift: tuple[RotaShift, ...] = ()


class PlaybackSettings(Strict):
    live_minutes: float = Field(default=40.0, gt=0, le=24 * 60)


class CityInfo(Strict):
    name: str = Field(min_length=1)
    province: str = ""
    timezone: Annotated[str, AfterValidator(_timezone)] = "Asia/Shanghai"
    day: date
    playback: PlaybackSettings = PlaybackSettings()


@dataclass(frozen=True)
class Entry:
    """One status, comment or message as the file has it; times and ids are those of the sample."""

    kind: Kind
    id: int
    created_at: datetime
    raw: Json


@dataclass(frozen=True)
class City:
    """A sample city that was read and found whole."""

    folder: Path
    info: CityInfo
    accounts: tuple[CityAccount, ...]
    rota: Rota
    entries: tuple[Entry, ...]
    changes: tuple[Change, ...]

    def of(self, *kinds: Kind) -> tuple[Entry, ...]:
        """Entries of the given kinds."""
        return tuple(entry for entry in self.entries if entry.kind in kinds)

    @property
    def ends_at(self) -> datetime:
        """Time of the last entry; in playback this is "now"."""
        return max(entry.created_at for entry in self.entries)

    @property
    def day_ends_at(self) -> datetime:
        """Midnight at the end of the sample's day."""
        return datetime.combine(self.info.day, time.max, ZoneInfo(self.info.timezone))


def load_city(folder: Path) -> City:
    """Read a sample folder. Raises `FileFormatError` that lists everything to mend."""
    if not folder.is_dir():
        raise FileFormatError("没有这个样例文件夹", "检查 --sample 后的路径", file=str(folder))
    problems = Problems()
    info = _toml(folder / "city.toml", CityInfo, problems)
    rota = _toml(folder / "rota.toml", Rota, problems, optional=True)
    accounts = _rows(folder / "accounts.json", CityAccount, "accounts", problems)
    changes = _rows(folder / "changes.json", Change, "changes", problems, optional=True)
    entries = _all_entries(folder, problems)
    problems.raise_any(folder)
    if info is None or rota is None:  # cannot be: they are None only with a problem
        raise AssertionError
    city = City(folder, info, accounts, rota, entries, changes)
    check_city(city, problems)
    problems.raise_any(folder)
    return city


def _all_entries(folder: Path, problems: Problems) -> tuple[Entry, ...]:
    plan: tuple[tuple[str, str, Kind, type[Loose], bool], ...] = (
        ("notices.json", "statuses", "notice", StatusJson, False),
        ("statuses.json", "statuses", "status", StatusJson, False),
        ("comments.json", "comments", "comment", CommentJson, True),
        ("messages.json", "direct_messages", "message", MessageJson, True),
    )
    entries: list[Entry] = []
    for name, key, kind, model, optional in plan:
        for raw in _valid(folder / name, key, model, problems, optional=optional):
            entries.append(Entry(kind, raw["id"], parse_time(raw["created_at"]), raw))
    return tuple(entries)


def _rows(
    file: Path, model: type[M], key: str, problems: Problems, *, optional: bool = False
) -> tuple[M, ...]:
    rows = _valid(file, key, model, problems, optional=optional)
    return tuple(model.model_validate(row) for row in rows)


def _valid(
    file: Path, key: str, model: type[BaseModel], problems: Problems, *, optional: bool
) -> Iterable[Json]:
    """Rows of `file` that fit `model`; each that does not becomes a problem."""
    text = _text(file, problems, optional=optional)
    if text is None:
        return []
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        problems.add(file, f"不是完整的 JSON：{error.msg}", "补全或改正这一行", error.lineno)
        return []
    rows = content.get(key) if isinstance(content, dict) else content
    if not isinstance(rows, list):
        problems.add(file, f"没有 {key} 列表", f'写成 {{"{key}": [...]}} 或直接一个列表')
        return []
    good = []
    for position, row in enumerate(rows, start=1):
        try:
            model.model_validate(row)
        except ValidationError as error:
            number = row.get("id", row.get("uid")) if isinstance(row, dict) else None
            _explain(file, error, problems, f"第 {position} 条 ", _line_of(text, number))
        else:
            good.append(row)
    return good


def _toml(file: Path, model: type[M], problems: Problems, *, optional: bool = False) -> M | None:
    text = _text(file, problems, optional=optional)
    if text is None:
        return model.model_validate({}) if optional else None
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        problems.add(file, f"TOML 语法不对：{error}", "改正该处")
    except ValidationError as error:
        _explain(file, error, problems)
    return None


def _text(file: Path, problems: Problems, *, optional: bool) -> str | None:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if not optional:
            problems.add(file, "缺少这个文件", "照 docs/samples.md 补上")
    except UnicodeDecodeError:
        problems.add(file, "不是 UTF-8 编码", "另存为 UTF-8")
    except OSError as error:
        problems.add(file, f"读不了：{error.strerror}", "检查权限")
    return None


def _explain(
    file: Path, error: ValidationError, problems: Problems, where: str = "", line: int | None = None
) -> None:
    for one in error.errors():
        field = ".".join(str(part) for part in one["loc"])
        problems.add(file, f"{where}{field or '内容'} 不对", _mend(one), line)


def _mend(one: Mapping[str, Any]) -> str:
    kind = str(one["type"])
    if kind == "missing":
        return "补上这个字段"
    if kind == "extra_forbidden":
        return "没有这个字段，删去或改正名称"
    return str(one["msg"]).removeprefix("Value error, ")


def _line_of(text: str, number: object) -> int | None:
    """1-based line where the row of this id stands, None when it cannot be told."""
    if number is None:
        return None
    for form in (f'"id": {number},', f'"id":{number},', f'"uid": "{number}"', f'"uid":"{number}"'):
        at = text.find(form)
        if at >= 0:
            return text.count("\n", 0, at) + 1
    return None
