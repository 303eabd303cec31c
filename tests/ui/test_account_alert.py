"""A warning without an incident is shown whole on the first page, and answered there."""

from __future__ import annotations

from crawler.own_posts import RULE
from huiyin.records import Alert, AlertState, Scope
from tests.ui.conftest import Console, page_html, press
from tests.ui.seed import CITY
from ui.parts import post_card

ALL = Scope.everything()


def test_an_own_post_that_nobody_approved_is_explained_on_the_first_page(console: Console):
    alert = Alert(
        id="alert:own-post:weibo:77", offices=(CITY,), incident="", rule=RULE,
        title="郑州发布：有一条内容找不到审批记录", text="发布了：“加微信领红包”。请核对。",
        state=AlertState.SENT, created_at=console.seeded.now,
    )  # fmt: skip
    console.archive.create(alert)
    at = console.sign_in("lin", "today")
    assert "加微信领红包" in page_html(at) and alert.title in page_html(at)
    at = press(at, "记下说明")
    assert "没有写说明" in page_html(at)
    at.text_input(key=f"why-{alert.id}").set_value("宣传科用手机直接发的")
    at = press(at, "记下说明")
    assert "已记下您的说明" in page_html(at) and "加微信领红包" not in page_html(at)
    stored = console.archive.get(Alert, alert.id, ALL)
    assert stored is not None and stored.record.state is AlertState.ACKNOWLEDGED
    (act,) = stored.record.acts
    assert (act.actor, act.why) == ("lin", "宣传科用手机直接发的")


def test_an_edited_post_says_so(console: Console):
    post = next(iter(console.archive.iter_posts(ALL)))
    assert "作者改过" not in str(post_card(post, console.seeded.now))
    changed = post.model_copy(update={"edited_at": console.seeded.now})
    assert "作者改过" in str(post_card(changed, console.seeded.now))
