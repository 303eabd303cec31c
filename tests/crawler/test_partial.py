"""What is passed over in an answer changes nothing: the same pages, posts and errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive import open_archive
from crawler.build import Builder
from crawler.items import PageItem
from crawler.partial import read_heads, read_kept
from crawler.payload_table import KEPT, NOT_KEPT
from crawler.payloads import is_cut_short, posts_of
from crawler.rounds import Round, number_or_zero
from crawler.weibo_api import ENDPOINTS, Page, read_page
from huiyin.errors import CollectError
from tests.crawler.reader import BOOK, source
from tests.crawler.test_making import IDENTITY, objects, started, stored, with_maker
from tests.crawler.test_payload_table import COMMENT, MESSAGE, STATUS, TRIES, with_value

NOW = datetime(2026, 3, 5, 4, 20, tzinfo=UTC)
BUILD = Builder(
    identity=IDENTITY, accounts=BOOK, office="weibo:101", spider="weibo_official", at=NOW, now=NOW
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "idstr", "text", "type", "name"]), inside, max_size=3
        )
    ),
    max_leaves=5,
)


def body_of(*items: Any, key: str = "statuses", **more: Any) -> bytes:
    return json.dumps({key: items, **more}, ensure_ascii=False).encode("utf-8", "surrogatepass")


def told(read: Callable[[], Page]) -> Any:
    """Posts, numbers, marks and paging of what is read; or how it failed."""
    try:
        page = read()
    except CollectError as error:
        return type(error), error.message
    posts: list[Any] = []
    for one in page.items:
        try:
            posts += posts_of(one, BUILD)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            posts.append((type(error), str(error)))
    return posts, *headed(page)


def headed(page: Page) -> tuple[Any, ...]:
    marks = [(number_or_zero(one), is_cut_short(one)) for one in page.items]
    return marks, page.next_cursor, page.total


def same(body: bytes, key: str = "statuses") -> None:
    whole = told(lambda: read_page(body, 200, key, NOW))
    try:
        heads = read_heads(body, 200, key, NOW)
    except CollectError as error:
        assert whole == (type(error), error.message)
    else:
        assert headed(heads) == whole[1:]
        assert told(lambda: read_kept(body, key, NOW)) == whole


@pytest.mark.parametrize("path", sorted(TRIES))
def test_each_field_that_is_kept_comes_along(path: str) -> None:
    item, value = TRIES[path]
    for key in ("statuses", "comments", "direct_messages"):
        same(body_of(with_value(item, path, value), next_cursor="12", total_number=3, key=key), key)


@given(
    st.sampled_from([STATUS, COMMENT, MESSAGE, {**STATUS, "retweeted_status": STATUS}]),
    st.dictionaries(st.sampled_from([*KEPT, *NOT_KEPT, "isLongText", "data"]), JSON, max_size=3),
    JSON, JSON,
)  # fmt: skip
def test_whatever_stands_in_a_field(
    item: dict[str, Any], fields: dict[str, Any], cursor: Any, code: Any
) -> None:
    for path, value in fields.items():
        item = with_value(item, path, value)
    same(body_of(item, STATUS, next_cursor=cursor, error_code=code))
    same(body_of(STATUS, fields or 3, total_number=cursor))


def test_recorded_answers(real_data: Path) -> None:
    files = sorted((real_data / "payloads").glob("official_*.json"))
    assert files
    for file in files:
        same(file.read_bytes())


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"", b"{", b"<html></html>", b'{"statuses": 1}', b'{"statuses": [1, null]}',
        b'{"statuses": [{"no": 1}]}', b'{"error_code": "21327"}',
        body_of({**STATUS, "text": "a\ud83db"}), body_of(STATUS).replace("停水".encode(), b"\xff"),
        json.dumps({"statuses": [STATUS]}, ensure_ascii=False).encode("gb18030"),
        body_of(STATUS)[:-20], body_of(STATUS) + b"}",
    ],
)  # fmt: skip
def test_answers_of_other_forms_are_judged_alike(body: bytes) -> None:
    same(body)
    for status in (403, 500):
        with pytest.raises(CollectError) as partly:
            read_heads(body, status, "statuses", NOW)
        with pytest.raises(CollectError) as wholly:
            read_page(body, status, "statuses", NOW)
        assert type(partly.value) is type(wholly.value)


@pytest.mark.parametrize("beside", [False, True])
def test_an_answer_broken_in_what_was_passed_over_is_no_page(tmp_path: Path, beside: bool) -> None:
    """Nothing of it is stored, the round says why, and the other pages are stored all the same."""
    archive = open_archive(f"sqlite:///{tmp_path / 'a.db'}")
    broken = body_of(*objects(200, 201)).replace(b'"text": "', b'"text": "\x01', 1)
    one = Round(source("mentions"), NOW, endpoint=ENDPOINTS["mentions"])
    pages = []
    for body in (body_of(*objects(200)), broken, body_of(*objects(200, 401))):
        heads = read_heads(body.replace(b"\x01", b""), 200, "statuses", NOW)
        pages.append(PageItem(one, heads.items, NOW, None, (body, "statuses")))
    one.pages = len(pages)
    maker = started(archive)
    pipeline = with_maker(archive, maker)
    try:
        if not beside:
            maker.close()

        async def store() -> None:
            await asyncio.gather(*(pipeline.process_item(page) for page in pages))

        asyncio.run(store())
    finally:
        maker.close()
    assert one.stored == 3 and one.error is not None and "不完整" in one.error.message
    assert len(stored(archive)) == 400
    assert min(post.created_at for post in stored(archive)) > NOW - timedelta(days=1)
    archive.close()
