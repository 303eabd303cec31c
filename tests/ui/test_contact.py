"""A case's sealed telephone number in the console: its handler, a reason, an act, once."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from huiyin.contacts import Contacts, Sealer, make_keys
from huiyin.records import Case, CaseState, Contact, Scope, first_broken_act
from huiyin.secret import author_secret
from tests.ui.conftest import Console, go, labels, page_html, press
from tests.ui.seed import CASE

ALL = Scope.everything()
POST, PHONE = "weibo:5001", "138 1234-5678"


def leave(console: Console) -> Contacts:
    """Somebody leaves a number with the case's post."""
    secrets = console.home / "var/secrets"
    make_keys(secrets)
    sealer = Sealer.of(secrets)
    assert sealer is not None
    post = console.archive.get_posts([POST], ALL)[POST]
    contacts = Contacts(console.archive, secrets)
    contacts.keep(sealer.seal(PHONE, post, console.seeded.now))
    return contacts


def kept(console: Console) -> Contact:
    stored = console.archive.get(Contact, f"contact:{POST}", ALL)
    assert stored is not None
    return stored.record


def case(console: Console) -> Case:
    stored = console.archive.get(Case, CASE, ALL)
    assert stored is not None
    return stored.record


def ask(at: AppTest, why: str) -> AppTest:
    next(one for one in at.text_input if one.label == "为什么要看").set_value(why)
    return press(at, "看电话")


def test_the_handler_sees_it_once_and_the_look_is_written_down(console: Console) -> None:
    leave(console)
    at = console.sign_in("lin", "cases", id=CASE)
    html = page_html(at)
    assert "来件人留了电话" in html and "看了就由您经办" in html and PHONE not in html
    ask(at, "回电核实地址")
    html = page_html(at)
    assert PHONE in html and "林拟稿 看了电话：回电核实地址" in html
    held = repr(at.session_state)  # all of it
    assert "close-reason" in held and PHONE not in held, "the number stays in the page's state"
    assert (case(console).handler, case(console).acts[-1].what) == ("lin", "take")
    acts = kept(console).acts
    assert [(one.actor, one.what, one.why) for one in acts[1:]] == [("lin", "look", "回电核实地址")]
    assert first_broken_act(acts) is None
    at.run()
    assert PHONE not in page_html(at) and "看了电话" in page_html(at)
    assert len(kept(console).acts) == 2, "drawing the page again is no look"
    go(at, "cases", id=CASE)
    assert PHONE not in page_html(at)


def test_who_looks_can_close_the_case_on_the_same_page(console: Console) -> None:
    """Becoming the handler changed the case: the other forms name its new version."""
    contacts = leave(console)
    at = console.sign_in("lin", "cases", id=CASE)
    ask(at, "回电")
    at.text_input(key=f"close-reason-{CASE}").set_value("已电话告知")
    press(at, "办结")
    assert case(console).state is CaseState.CLOSED
    html = page_html(at)
    assert "已办结：电话不再给看" in html and "看电话" not in labels(at) and PHONE not in html
    assert contacts.sweep(console.seeded.now) == 1
    assert "电话已经销毁" in page_html(at.run())


def test_without_a_reason_nothing_opens(console: Console) -> None:
    leave(console)
    at = ask(console.sign_in("lin", "cases", id=CASE), "  ")
    assert "没有写为什么要看" in page_html(at) and PHONE not in page_html(at)
    assert len(kept(console).acts) == 1 and case(console).handler is None


def test_others_are_told_whom_to_ask(console: Console) -> None:
    leave(console)
    before = console.sign_in("zhao", "cases", id=CASE)  # a page from before it had a handler
    ask(console.sign_in("lin", "cases", id=CASE), "回电")
    ask(before, "看看")
    assert "只有经办人能看" in page_html(before) and PHONE not in page_html(before)
    at = console.sign_in("zhao", "cases", id=CASE)
    assert "请林拟稿看，或先转给您" in page_html(at) and "看电话" not in labels(at)
    for name in ("wang", "gao"):  # on call, operator
        at = console.sign_in(name, "cases", id=CASE)
        assert "由经办的拟稿员或审核员看" in page_html(at) and "看电话" not in labels(at)
    at = console.sign_in("yuan", "cases", id=CASE)
    assert "找不到这件诉求" in page_html(at) and "电话" not in labels(at)
    assert len(kept(console).acts) == 2


def test_where_nobody_left_one_the_page_says_what_to_do(console: Console) -> None:
    html = page_html(console.sign_in("lin", "cases", id=CASE))
    assert "来件人没有留电话" in html and "公众留言表单" in html


def test_without_the_key_the_mend_is_told(console: Console) -> None:
    leave(console)
    (console.home / "var/secrets/contact.key").unlink()
    at = ask(console.sign_in("lin", "cases", id=CASE), "回电")
    assert "不在这台机器上" in page_html(at) and len(kept(console).acts) == 1


def test_a_number_is_sealed_when_it_is_written_down_by_hand(console: Console) -> None:
    author_secret(console.home / "var/secrets", create=True)
    at = console.sign_in("lin", "add")

    def fill(text: str, phone: str) -> None:
        next(one for one in at.text_area if one.label.startswith("内容")).set_value(text)
        next(one for one in at.text_input if one.label.startswith("对方的电话")).set_value(phone)
        press(at, "添加")

    fill("来电：东城路灯不亮", PHONE)
    assert "没有封存用的密钥" in page_html(at)
    make_keys(console.home / "var/secrets")
    fill("来电：东城路灯不亮", "没有")
    assert "电话只能是数字" in page_html(at)
    assert not [one for one in console.archive.iter_posts(ALL) if one.id.startswith("hand:")]
    fill("来电：东城路灯不亮", PHONE)
    assert "已添加" in page_html(at) and PHONE not in page_html(at)
    (one,) = [one for one in console.archive.iter_posts(ALL) if one.id.startswith("hand:")]
    assert console.archive.get(Contact, f"contact:{one.id}", ALL) is not None
    assert PHONE not in one.model_dump_json()
