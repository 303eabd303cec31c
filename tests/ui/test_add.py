"""添加: a person writes down what came by telephone."""

from __future__ import annotations

from huiyin.records import Kind, Scope
from huiyin.secret import author_secret
from tests.ui.conftest import Console, page_html, press

EVERYTHING = Scope.everything()


def by_label(widgets: object, label: str) -> object:
    return next(one for one in widgets if one.label.startswith(label))  # type: ignore[attr-defined]


def test_what_came_by_telephone_is_stored_masked(console: Console) -> None:
    author_secret(console.home / "var/secrets", create=True)
    at = console.sign_in("lin", "add")
    area = by_label(at.text_area, "内容")
    area.set_value("来电：东城路灯不亮，电话13812345678")  # type: ignore[attr-defined]
    press(at, "添加")
    assert "已添加" in page_html(at) and "13812345678" not in page_html(at)
    found = [one for one in console.archive.iter_posts(EVERYTHING) if one.id.startswith("hand:")]
    assert [(one.kind, one.text) for one in found] == [
        (Kind.MESSAGE, "来电：东城路灯不亮，电话【电话】")
    ]


def test_nobody_adds_to_an_office_that_is_not_theirs(console: Console) -> None:
    at = console.sign_in("yuan", "add")
    by_label(at.text_area, "内容").set_value("别的单位的事")  # type: ignore[attr-defined]
    press(at, "添加")
    assert "没有您负责的账号" in page_html(at)
    assert not [one for one in console.archive.iter_posts(EVERYTHING) if "hand:" in one.id]
