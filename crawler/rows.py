"""Single rows of our own JSONL form, for those who read the file themselves (replay, analysis)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from crawler.accounts import AccountBook
from crawler.build import Builder
from crawler.importers.base import reason_of
from crawler.importers.own import OwnJson
from crawler.privacy import Identity
from crawler.values import parse_time
from huiyin.errors import InputError
from huiyin.records import Post

ROW_ERRORS = (ValueError, TypeError, KeyError, AttributeError, OverflowError)


def row_reader(
    identity: Identity, accounts: AccountBook, office: str, now: datetime
) -> Callable[[Mapping[str, Any]], Post]:
    """A function from a row `{id, text, title?, created_at, author?, root?, ...}` to its `Post`.

    The post is masked and pseudonymised as by an import. It raises `InputError` with the reason
    when the row cannot be used.
    """
    own = OwnJson()
    build = Builder(
        identity=identity, accounts=accounts, office=office, spider="replay", at=now, now=now
    )

    def read(row: Mapping[str, Any]) -> Post:
        try:
            return next(iter(own.posts(dict(row), build)))
        except ROW_ERRORS as error:
            raise InputError(reason_of(error), "改正这一行") from error

    return read


def read_time(value: object) -> datetime | None:
    """The time of a row, without zone in Asia/Shanghai; None where there is none to be read."""
    if value is None:
        return None
    try:
        return parse_time(value, None)[0]
    except ROW_ERRORS:
        return None
