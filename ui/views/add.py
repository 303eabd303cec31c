"""添加: what came by telephone, letter or a link, written down by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import streamlit as st

from huiyin.errors import HuiyinError, InputError
from huiyin.records import Contact, Post, Role
from ui import lookup
from ui.markup import show
from ui.parts import head, note
from ui.session import Visit
from ui.shell import room
from ui.when import SHANGHAI
from ui.words import t


def render(visit: Visit) -> None:
    """One form; what it stores is masked like everything else."""
    from crawler.by_hand import HOWS, LONGEST

    head("添加", "电话里说的、来信、来访、一段文字，或网上的一条链接：记下来，和其他诉求一样办理")
    if not visit.may(Role.DRAFTER, Role.REVIEWER, Role.ON_CALL, Role.OPERATOR):
        show(note("bad", "您没有添加的权限，请管理员授权。"))
        return
    show(note("warn", "请不要在内容里写姓名、电话、身份证号：电话和证件号会被遮蔽。"
              "要回电的，写在“对方的电话”里：单独封存，只有经办人能看，办结后销毁。"))  # fmt: skip
    names = lookup.account_names(visit)
    with st.form("add", clear_on_submit=True):
        how = st.selectbox(t("来自"), list(HOWS), format_func=lambda one: t(HOWS[one]))
        text = st.text_area(t("内容"), max_chars=LONGEST, height=200)
        link = st.text_input(t("链接（可不填；回音不去打开它）"))
        title = st.text_input(t("标题（可不填）"), max_chars=200)
        phone = st.text_input(t("对方的电话（可不填，封存）"), max_chars=30)
        local = visit.now.astimezone(SHANGHAI)
        day = st.date_input(t("哪一天"), value=local.date(), max_value=local.date())
        clock = st.time_input(t("几点"), value=local.time().replace(second=0, microsecond=0),
                              step=timedelta(minutes=5))  # fmt: skip
        office = st.selectbox(
            t("归哪个账号"), _offices(visit, names), format_func=lambda one: names.get(one, one)
        )
        sent = st.form_submit_button(t("添加"), type="primary")
    if sent:
        said_at = min(datetime.combine(day, clock, SHANGHAI), visit.now)
        _store(visit, text, how, link, title, said_at, office, phone)


def _offices(visit: Visit, names: dict[str, str]) -> list[str]:
    own = visit.app.settings.office.id
    seen = [one for one in names if visit.scope.allows((one,))]
    return list(dict.fromkeys([*([own] if visit.scope.allows((own,)) else []), *seen]))


def _store(
    visit: Visit, text: str, how: str, link: str, title: str, said_at: datetime,
    office: str | None, phone: str,
) -> None:  # fmt: skip
    from crawler.by_hand import post_by_hand

    if not office:
        show(note("bad", "没有您负责的账号，请管理员授权。"))
        return
    try:
        post = post_by_hand(
            text=text, how=how, link=link, title=title, said_at=said_at, office=office,
            by=visit.actor.id, identity=visit.app.identity, accounts=visit.app.accounts,
            now=visit.now,
        )  # fmt: skip
        if phone.strip():  # first: whoever sees the message finds its number
            visit.app.contacts.keep(_sealed(visit, phone, post))
        visit.app.archive.put_posts([post])
        stored = visit.app.archive.get_posts([post.id], visit.scope).get(post.id)
    except HuiyinError as error:
        show(note("bad", str(error)))
        return
    if stored is None:
        show(note("bad", "存进去了，但读不回来，请到检索页查看。"))
    else:
        show(note("good", f"已添加 {stored.id}：", stored.text[:200]))


def _sealed(visit: Visit, phone: str, post: Post) -> Contact:
    """The number in its box. Raises `InputError` for what is none, or without a key."""
    from huiyin.contacts import Sealer

    settings = visit.app.settings
    sealer = Sealer.of(settings.path(settings.secrets.folder))
    if sealer is None:
        raise InputError("没有封存用的密钥，什么都没有存", "请管理员运行 huiyin init")
    return sealer.seal(phone, post, visit.now)


if __name__ == "__main__":
    room(render)
