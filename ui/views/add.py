"""添加: what came by telephone, letter or a link, written down by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import streamlit as st

from huiyin.errors import HuiyinError
from huiyin.records import Role
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
    show(note("warn", "请不要写姓名、电话、身份证号：电话和证件号会被遮蔽，联系方式这里存不下来。"
              "要回电的，请另记在本单位自己的工单里。"))  # fmt: skip
    names = lookup.account_names(visit)
    with st.form("add", clear_on_submit=True):
        how = st.selectbox(t("来自"), list(HOWS), format_func=lambda one: t(HOWS[one]))
        text = st.text_area(t("内容"), max_chars=LONGEST, height=200)
        link = st.text_input(t("链接（可不填；回音不去打开它）"))
        title = st.text_input(t("标题（可不填）"), max_chars=200)
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
        _store(visit, text, how, link, title, said_at, office)


def _offices(visit: Visit, names: dict[str, str]) -> list[str]:
    own = visit.app.settings.office.id
    seen = [one for one in names if visit.scope.allows((one,))]
    return list(dict.fromkeys([*([own] if visit.scope.allows((own,)) else []), *seen]))


def _store(
    visit: Visit, text: str, how: str, link: str, title: str, said_at: datetime, office: str | None
) -> None:
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
        visit.app.archive.put_posts([post])
        stored = visit.app.archive.get_posts([post.id], visit.scope).get(post.id)
    except HuiyinError as error:
        show(note("bad", str(error)))
        return
    if stored is None:
        show(note("bad", "存进去了，但读不回来，请到检索页查看。"))
    else:
        show(note("good", f"已添加 {stored.id}：", stored.text[:200]))


if __name__ == "__main__":
    room(render)
