"""Of an answer's JSON only what is wanted: everything else is passed over, not made into objects.

A page of 200 posts is 660 kB. Microseconds a post of recorded ones (3.3 kB): everything 12.8, what
a `Post` is made of 4.4, what the reactor pages by 2.4 (docs/decisions/crawler-writing.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypedDict, Union

import msgspec

from crawler.payload_table import KEPT
from crawler.weibo_api import Page, page_of, read_page

_HEAD = ("id", "idstr", "mid", "bid", "isLongText", "longText", "longTextContent")
"""What numbers an object (`payloads.number_of`), and tells that its text was cut short."""
_ALSO = ("isLongText", "original_pic", "data", "floor_number")
"""No fields of a post, but the form of an object is known by them."""


def read_heads(body: bytes, status: int, key: str, now: datetime) -> Page:
    """`read_page`, of its objects only numbers and marks. Raises what `read_page` raises.

    What is passed over is not looked into, but for being UTF-8: reading the whole may still fail.
    """
    return _read(body, status, key, now, _heads(key))


def read_kept(body: bytes, key: str, now: datetime) -> Page:
    """`read_page` of an answer that `read_heads` has read, of its objects only what

    `payload_table.KEPT` names. Raises likewise.
    """
    return _read(body, 200, key, now, _kept(key), checked=True)


Decoder = msgspec.json.Decoder[Mapping[str, Any]]


def _read(
    body: bytes, status: int, key: str, now: datetime, wanted: Decoder, *, checked: bool = False
) -> Page:
    """By `wanted`; an answer of another form is read whole. `checked`: it is UTF-8."""
    if status == 200:
        try:
            if not checked:
                body.decode()
            answer = wanted.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return read_page(body, status, key, now)
        if isinstance(answer.get(key), list) and answer.get("error_code") in (None, "", 0):
            return page_of(answer, key)
    return read_page(body, status, key, now)


@cache
def _heads(key: str) -> Decoder:
    return _answer(key, dict.fromkeys(_HEAD, Any))


@cache
def _kept(key: str) -> Decoder:
    fields = dict.fromkeys([*(path for path in KEPT if "." not in path), *_ALSO], Any)
    for name, others in (("user", (int, str)), ("page_info", ())):
        inside = [path.partition(".")[2] for path in KEPT if path.startswith(f"{name}.")]
        fields[name] = _one_of(_form(dict.fromkeys(inside, Any)), *others, None)
    original = _form(fields)
    return _answer(key, {**fields, "retweeted_status": _one_of(original, None)})


def _answer(key: str, fields: Mapping[str, Any]) -> Decoder:
    paging = {"next_cursor": Any, "total_number": Any, "error_code": Any}
    return msgspec.json.Decoder(_form({**paging, key: list[_form(fields)]}))  # type: ignore[misc]


def _form(fields: Mapping[str, Any]) -> Any:
    return TypedDict("Form", dict(fields), total=False)  # type: ignore[operator]


def _one_of(*kinds: Any) -> Any:
    return Union[kinds]  # noqa: UP007 - forms made here know no `|`
