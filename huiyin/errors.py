"""Every error that Huiyin raises on purpose.

    HuiyinError
    ├── SettingsError          a setting is wrong or missing (all of them at once)
    ├── InputError             what a person or a file gave cannot be read
    │   ├── FileFormatError    a file as a whole: not recognised, not decodable, broken
    │   └── QueryError         a search query: wrong syntax, with the position
    ├── ArchiveError           the archive could not do it
    │   ├── NotFound           no such record, or not inside the asker's scope
    │   ├── Conflict           somebody wrote since it was read, or it exists already
    │   ├── ArchiveBusy        another writer held it for too long; trying again may help
    │   ├── ArchiveMoved       another archive is in use now; carries which
    │   ├── ArchiveAway        its server does not answer now: posts wait in the spool
    │   ├── ArchiveDenied      its server does not accept our key, password or certificate
    │   ├── ArchiveFull        the spool is full as well: collection pauses
    │   └── SchemaError        the archive was written by a newer or broken version
    ├── ModelError             a model folder is missing, broken or of the wrong kind
    ├── CollectError           a source could not be read
    │   ├── LoginExpired       the platform no longer accepts the token: a person must act
    │   ├── QuotaExceeded      the platform's limit is used up; carries when to go on
    │   ├── SourceRefused      the platform refuses for good (permission, no such account)
    │   ├── SourceBlocked      the platform takes us for a robot and keeps us out
    │   └── LayoutChanged      the answer has another form than we know
    ├── ChannelError           a message could not be delivered; says whether a retry may help
    └── NotAllowed             this person may not do this (role, scope, two-person rule)
        └── SignInError        unknown person, wrong password or expired session

Errors of libraries are turned into these where they enter (a test checks each seam). Each message
is one sentence in Chinese for the person at the screen and ends with what to do (`mend`).
"""

from __future__ import annotations

import re
from datetime import datetime

_PLACE = re.compile(r"\bline (\d+),? column (\d+)")


def unreadable(error: Exception) -> str:
    """Why a file could not be read, in Chinese where the library says it in English."""
    for kind, words in (
        (FileNotFoundError, "没有这个文件"), (IsADirectoryError, "这是文件夹，不是文件"),
        (PermissionError, "没有权限读它"), (UnicodeDecodeError, "不是 UTF-8 编码"),
    ):  # fmt: skip
        if isinstance(error, kind):
            return words
    place = _PLACE.search(str(error))
    return f"第 {place[1]} 行第 {place[2]} 个字符处写法不对" if place else str(error)


class HuiyinError(Exception):
    """Base class. `message` says what happened, `mend` what the reader can do about it."""

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message}（{self.mend}）" if self.mend else self.message


class SettingsError(HuiyinError):
    """One or more settings are wrong. `problems` lists (setting name, what is wrong, mend)."""

    def __init__(self, problems: list[tuple[str, str, str]]) -> None:
        self.problems = problems
        lines = [f"{name}: {what}（{mend}）" for name, what, mend in problems]
        super().__init__("设置有误：\n  " + "\n  ".join(lines))


class InputError(HuiyinError):
    """Input that cannot be used. `file` and `line` (1-based) name the place where known."""

    def __init__(
        self, message: str, mend: str = "", *, file: str | None = None, line: int | None = None
    ) -> None:
        place = f"{file or ''}{f' 第 {line} 行' if line is not None else ''}".strip()
        super().__init__(f"{place}：{message}" if place else message, mend)
        self.file = file
        self.line = line


class FileFormatError(InputError):
    """A file whose format is not recognised or that is broken as a whole."""


class QueryError(InputError):
    """A search query with wrong syntax. `position` is the 0-based character where it goes wrong."""

    def __init__(self, message: str, query: str, position: int, mend: str = "") -> None:
        pointer = f"\n  {query}\n  {' ' * position}^"
        super().__init__(message + pointer, mend)
        self.query = query
        self.position = position


class ArchiveError(HuiyinError):
    """The archive could not do what was asked."""


class NotFound(ArchiveError):
    """No such record, or it lies outside the asker's scope (the two are not told apart)."""


class Conflict(ArchiveError):
    """Somebody wrote since the record was read, or a record of that id exists already."""


class ArchiveBusy(ArchiveError):
    """Another writer held the archive for longer than the waiting time (10 s)."""


class ArchiveMoved(ArchiveError):
    """The archive takes no writes any more because `to` (a URL) is in use now."""

    def __init__(self, to: str) -> None:
        super().__init__(
            f"这个档案已停用，现在用的是 {to}",
            "长期运行的程序会自己换过去；命令请再运行一次，已存的不会重复",
        )
        self.to = to


class ArchiveAway(ArchiveError):
    """The archive's server does not answer, or takes no writes just now; it mends itself.

    Writes of posts wait in the spool meanwhile; acts of people must be done again.
    """


class ArchiveDenied(ArchiveError):
    """The server does not accept our key, password or right, or we do not accept its certificate.

    A person must act.
    """


class ArchiveFull(ArchiveError):
    """The archive is away and what waits for it has filled its room: nothing more is accepted."""


class SchemaError(ArchiveError):
    """The archive's schema is newer than this program, or broken."""


class ModelError(HuiyinError):
    """A model folder is missing, broken or of the wrong kind."""


class CollectError(HuiyinError):
    """A source could not be read; the time it did not cover stays visible as a gap.

    `until` is when to go on (aware), None if the platform did not say.
    """

    def __init__(self, message: str, mend: str = "", *, until: datetime | None = None) -> None:
        super().__init__(message, mend)
        self.until = until


class LoginExpired(CollectError):
    """The platform no longer accepts the token; a person must authorise again."""


class QuotaExceeded(CollectError):
    """The platform's limit is used up."""


class SourceRefused(CollectError):
    """The platform refuses this request for good: permission, unknown account, wrong request."""


class SourceBlocked(CollectError):
    """The platform takes us for a robot: a captcha, HTTP 418 or 432, or only empty answers."""


class LayoutChanged(CollectError):
    """The answer came whole, but in another form than we know; a developer must look."""


class ChannelError(HuiyinError):
    """A message could not be delivered. `retry` says whether trying again may help."""

    def __init__(self, message: str, mend: str = "", *, retry: bool) -> None:
        super().__init__(message, mend)
        self.retry = retry


class NotAllowed(HuiyinError):
    """This person may not do this: role, scope or the two-person rule. `reason` names the rule."""

    def __init__(self, message: str, mend: str = "", *, reason: str) -> None:
        super().__init__(message, mend)
        self.reason = reason


class SignInError(NotAllowed):
    """Unknown person, wrong password, locked or expired sign-in."""

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message, mend, reason="sign-in")
