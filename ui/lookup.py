"""Small questions to the archive that several pages ask."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import streamlit as st

from archive.base import Filters, SearchRequest
from crawler.sources import known_sources
from crawler.temporary import source_id
from huiyin.records import Account, Gap, Incident, IncidentState, Post, Source
from ui.session import Visit
from ui.words import t

PAGE = 20
LATE_FACTOR = 3
"""A source that has not been read for this many of its own intervals is called late."""
_NIGHT_SECONDS = 3600.0
"""At night, or on a small allowance, a source may rest so long."""
_LONG_AGO = datetime(1970, 1, 2, tzinfo=UTC)


def account_names(visit: Visit) -> dict[str, str]:
    """Name of each official account that the person may see."""
    found = visit.app.archive.records(Account, visit.scope, limit=5000)
    return {one.record.id: one.record.name for one in found}


def accounts(visit: Visit) -> list[Account]:
    """The official accounts that the person may see."""
    return [one.record for one in visit.app.archive.records(Account, visit.scope, limit=5000)]


def members(visit: Visit, incident: Incident, most: int) -> tuple[list[Post], bool]:
    """An incident's posts, those of incidents merged into it included; False when there are more

    than `most`.
    """
    merged = visit.app.archive.records(
        Incident, visit.scope, state=IncidentState.MERGED, limit=10_000
    )
    names, done = [incident.id], 0
    while done < len(names):
        names += [one.record.id for one in merged if one.record.merged_into == names[done]]
        done += 1
    found: list[Post] = []
    for name in names:
        for post in visit.app.archive.iter_posts(visit.scope, Filters(incident=name)):
            if len(found) >= most:
                return found, False
            found.append(post)
    return found, True


def staff_names(visit: Visit) -> dict[str, str]:
    """Name of each colleague, for acts."""
    return {person.id: person.name for person in visit.app.people.everyone()}


def sources(visit: Visit) -> list[Source]:
    """The sources that the person may see, without temporary ones that ended."""
    known = known_sources(visit.app.archive, None)
    return [one for one in known if visit.scope.allows(one.offices)]


def ended_sources(visit: Visit) -> list[Source]:
    """The temporary sources that ended last."""
    stored = visit.app.archive.records(
        Source, visit.scope, state="ended", newest_first=True, limit=PAGE
    )
    return [one.record for one in stored]


def temporary_source(visit: Visit, incident: str) -> Source | None:
    """The temporary search of an incident, also when it has ended."""
    stored = visit.app.archive.get(Source, source_id(incident), visit.scope)
    return stored.record if stored else None


def blind(visit: Visit, incident: str = "") -> list[Gap]:
    """All times that a chart has to hatch, each with whose source it was and why.

    What was caught up since is seen. A source that nobody reads any more opens no gap itself, so
    the time since its last reading is told here; and what lies before the first reading of any.
    Temporary sources are beyond what is always read; that of `incident` counts in its own charts.
    """
    every, names = sources(visit), account_names(visit)
    own = temporary_source(visit, incident) if incident else None
    found = [one for one in every if not one.incident]
    told: list[Gap] = []
    for one in (*found, *([own] if own else [])):
        name = names.get(one.account, one.account)
        told += [
            gap.model_copy(update={"reason": f"{name}：{_why(gap)}"})
            for gap in one.gaps
            if gap.caught_up_at is None
        ]
        is_open = any(gap.ends_at is None for gap in one.gaps)
        if one.last_ok_at is not None and not is_open and is_late(one, visit.now):
            reason = f"{name}：之后没有再读（采集进程可能没有在运行）"
            told.append(Gap(starts_at=one.last_ok_at, reason=reason, state="behind"))
    began = [one.covered_since for one in found if one.covered_since is not None]
    if began:
        reason = "还没有开始采集，更早的只有导入的内容"
        told.append(Gap(starts_at=_LONG_AGO, ends_at=min(began), reason=reason, state="unknown"))
    return told


def _why(gap: Gap) -> str:
    missed = gap.missed and "约" not in gap.reason
    return f"{gap.reason}，约有 {gap.missed} 条没有看到" if missed else gap.reason


def is_late(source: Source, now: datetime, every_seconds: float | None = None) -> bool:
    """True when it was not read for much longer than it should be."""
    if source.last_ok_at is None or source.resting:
        return False
    waited = (now - source.last_ok_at).total_seconds()
    return waited > LATE_FACTOR * max(every_seconds or source.every_seconds, _NIGHT_SECONDS)


def posts_by_id(visit: Visit, ids: Iterable[str]) -> dict[str, Post]:
    """The posts that the person may see; order and number are the caller's."""
    return visit.app.archive.get_posts(tuple(dict.fromkeys(ids)), visit.scope)


def incident_request(incident: Incident) -> SearchRequest:
    """The hours of an incident, without its posts."""
    return SearchRequest(filters=Filters(incident=incident.id), limit=1, timeline="hour")


def chosen() -> str:
    """The record that the address names (`?id=`), empty for the list."""
    return str(st.query_params.get("id", ""))


def choose(record_id: str) -> None:
    """Show one record of this page (or the list, for an empty id)."""
    if record_id:
        st.query_params["id"] = record_id
    else:
        st.query_params.clear()
    st.rerun()


def back() -> None:
    """The button that leads from a record to the list."""
    if st.button(f"← {t('返回列表')}", key="back"):
        choose("")


def pick(label: str, names: dict[str, str], *, key: str) -> str:
    """A choice among values (`""` = all) shown by their names; returns the value."""
    values = ["", *names]
    return st.selectbox(
        label, values, key=key,
        format_func=lambda value: names[value] if value else t("全部"),
    )  # fmt: skip


def pager(key: str, next_cursor: str | None, page_of: str) -> None:
    """Buttons for the page before and after; `page_of` starts again at one when it changes."""
    back_column, next_column, _ = st.columns([1, 1, 3])
    stack = cursors(key, page_of)
    with back_column:
        if st.button(t("上一页"), key=f"{key}-back", disabled=not stack, width="stretch"):
            st.session_state[key] = (page_of, stack[:-1])
            st.rerun()
    with next_column:
        if st.button(t("下一页"), key=f"{key}-next", disabled=not next_cursor, width="stretch"):
            st.session_state[key] = (page_of, (*stack, next_cursor))
            st.rerun()


def cursors(key: str, page_of: str) -> tuple[str, ...]:
    """Cursors of the pages turned so far; empty on the first page."""
    known, stack = st.session_state.get(key, ("", ()))
    return tuple(stack) if known == page_of else ()
